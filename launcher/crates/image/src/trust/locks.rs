//! Names that are locked to a digest: `launcher policy lock` keeps what a name stands
//! for (trust on first use), and nothing else is accepted under that name.
//!
//! ```text
//! DIR/locks.json   {"docker.io/library/alpine:3": "sha256:..."}, replaced by rename
//! ```

use std::collections::BTreeMap;
use std::io::Write as _;

use rustix::fs::{FlockOperation, Mode, OFlags};

use appc::json::{self, Object, Value};
use error::{Context as _, Error, Kind, Result};
use oci::digest::Digest;
use oci::reference::Reference;
use sys::atomic_file::AtomicFile;
use sys::dirs::Dirs;
use sys::small_file;

/// The file.
const FILE: &str = "locks.json";

/// The largest file that is read, in bytes: eight thousand names.
const LIMIT: usize = 1 << 20;

/// The names that are locked, with their digests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locks(BTreeMap<String, String>);

impl Locks {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// The file is damaged or cannot be read: then nothing is known to be right.
    pub fn read(dirs: &Dirs) -> Result<Self> {
        let what = || {
            format!(
                "cannot read the locks in `{}`",
                dirs.path().join(FILE).display()
            )
        };
        let Ok(root) = dirs.root() else {
            return Ok(Self::default());
        };
        let text = small_file::find(root, FILE, LIMIT).context(what)?;
        let Some(text) = text else {
            return Ok(Self::default());
        };
        let Value::Object(entries) = json::parse(&text).context(what)? else {
            return Err(Error::invalid(what()));
        };
        let entries = entries.into_iter().map(|(name, digest)| match digest {
            Value::Text(digest) => Ok((name, Digest::parse(&digest).context(what)?.to_string())),
            _ => Err(Error::invalid(what())),
        });
        entries.collect::<Result<_>>().map(Self)
    }

    /// Returns the digest that an image must have that is asked for by this name. One
    /// that is asked for by digest has its own.
    pub fn digest(&self, image: &Reference) -> Option<&str> {
        match image.digest() {
            Some(_) => None,
            None => self.0.get(&image.to_string()).map(String::as_str),
        }
    }

    /// Returns the names and their digests.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter();
        all.map(|(name, digest)| (name.as_str(), digest.as_str()))
    }

    /// Locks a name to a digest.
    ///
    /// # Errors
    ///
    /// It is locked to another one; errors of the disk.
    pub fn add(dirs: &Dirs, image: &Reference, digest: &Digest) -> Result<()> {
        change(dirs, |locks| {
            let (name, digest) = (image.to_string(), digest.to_string());
            match locks.get(&name) {
                Some(known) if *known != digest => {
                    let what = format!("image `{name}` is locked to `{known}`");
                    Err(Error::invalid(what)
                        .hint(format!("`launcher policy unlock {name}` unlocks it")))
                }
                _ => {
                    locks.insert(name, digest);
                    Ok(())
                }
            }
        })
    }

    /// Unlocks a name. Returns the digest.
    ///
    /// # Errors
    ///
    /// It is not locked; errors of the disk.
    pub fn remove(dirs: &Dirs, image: &Reference) -> Result<String> {
        change(dirs, |locks| {
            let missing = || {
                let what = format!("image `{image}` is not locked");
                Error::new(Kind::NotFound, what).hint("`launcher policy` lists what is")
            };
            locks.remove(&image.to_string()).ok_or_else(missing)
        })
    }
}

/// Changes the file, one process at a time.
fn change<T>(
    dirs: &Dirs,
    change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<T>,
) -> Result<T> {
    let path = dirs.path().join(FILE);
    let what = || format!("cannot write `{}`", path.display());
    // Released when it is closed.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let lock = rustix::fs::openat(dirs.names()?, ".", flags, Mode::empty()).context(what)?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).context(what)?;
    let mut locks = Locks::read(dirs)?.0;
    let done = change(&mut locks)?;
    let entries = locks.into_iter();
    let object = entries.fold(Object::new(), |object, (name, digest)| {
        object.with(&name, digest)
    });
    let text = format!("{:#}\n", Value::from(object));
    let file = AtomicFile::create(&path, true)?;
    file.file().write_all(text.as_bytes()).context(what)?;
    file.publish()?;
    Ok(done)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use oci::reference::ShortNames;

    #[test]
    fn a_name_keeps_its_digest_until_it_is_unlocked() {
        let path = std::env::temp_dir().join(format!("nosecone-locks-{}", std::process::id()));
        let dirs = Dirs::open(&path).unwrap();
        let image = |text: &str| Reference::parse(text, &ShortNames::default()).unwrap();
        let digest = |digit: &str| Digest::parse(&format!("sha256:{}", digit.repeat(64))).unwrap();
        let (one, other) = (digest("0"), digest("1"));
        assert_eq!(Locks::read(&dirs).unwrap(), Locks::default());
        Locks::remove(&dirs, &image("alpine")).unwrap_err();
        Locks::add(&dirs, &image("alpine"), &one).unwrap();
        Locks::add(&dirs, &image("alpine"), &one).unwrap();
        Locks::add(&dirs, &image("alpine"), &other).unwrap_err();
        Locks::add(&dirs, &image("alpine:3"), &other).unwrap();
        let locks = Locks::read(&dirs).unwrap();
        assert_eq!(locks.digest(&image("alpine")), Some(&*one.to_string()));
        assert_eq!(locks.digest(&image("busybox")), None);
        let pinned = format!("alpine@{other}");
        assert_eq!(locks.digest(&image(&pinned)), None);
        assert_eq!(
            Locks::remove(&dirs, &image("alpine")).unwrap(),
            one.to_string()
        );
        assert_eq!(Locks::read(&dirs).unwrap().iter().count(), 1);
        for damaged in ["", "[]", "{\"a\":1}", "{\"a\":\"b\"}"] {
            std::fs::write(path.join(FILE), damaged).unwrap();
            Locks::read(&dirs).unwrap_err();
            Locks::add(&dirs, &image("alpine"), &one).unwrap_err();
        }
        std::fs::remove_dir_all(path).unwrap();
    }
}
