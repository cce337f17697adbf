//! The keyring: whose signatures count for which images.
//!
//! ```text
//! PLACE/root.d/FINGERPRINT                    for every image
//! PLACE/prefix.d/example.com/app/FINGERPRINT  for example.com/app and what is below
//! .../FINGERPRINT.isolators                   what it signs may raise its rights
//! ```
//!
//! The layout is rkt's, whose keys are found, too. Places override the ones
//! before them:
//!
//! | place | whose |
//! |---|---|
//! | `/usr/lib/rkt/trustedkeys`, `/usr/lib/nosecone/trustedkeys` | the distribution's |
//! | `/etc/rkt/trustedkeys`, `/etc/nosecone/trustedkeys` | the administrator's |
//! | `DIR/trustedkeys` | ours: the only one that is written to |
//!
//! An empty file revokes trust in the key of that name that an earlier place or
//! `root.d` has. So does a file that cannot be parsed, with a warning; a
//! directory that cannot be read is an error, because it could revoke trust.
//! Prefixes are compared by component: a key for `example.com/app` does not
//! count for `example.com/application`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

use crate::store::staging::Staging;
use crate::trust::guarded::guarded;
use crate::trust::openpgp::{Check, Fingerprint, KEY_LIMIT, Key, Signer};
use appc::types::AcIdentifier;
use error::{Context as _, Error, Kind, Result};
use sys::clock;
use sys::dirs::{Dirs, Part};

/// The places that we do not write to, in ascending precedence.
const SYSTEM: &[&str] = &[
    "/usr/lib/rkt/trustedkeys",
    "/usr/lib/nosecone/trustedkeys",
    "/etc/rkt/trustedkeys",
    "/etc/nosecone/trustedkeys",
];

/// The keys that are trusted.
#[derive(Debug)]
pub struct Keyring {
    /// All places; ours is the last.
    system: Vec<Place>,
    /// Our own place, if it exists.
    ours: Option<Place>,
}

/// A directory with `root.d` and `prefix.d`.
#[derive(Debug)]
struct Place {
    path: String,
    fd: OwnedFd,
}

/// A trusted key.
struct Trusted {
    key: Key,
    raises: bool,
}

/// A key file, for listings.
#[derive(Debug)]
pub struct Entry {
    /// The prefix of the images it counts for; `None` means all images.
    pub prefix: Option<String>,
    /// The file name.
    pub fingerprint: Fingerprint,
    /// The place that contains it.
    pub place: String,
    /// Whether a later place has a file of the same name.
    pub overridden: bool,
    /// Whether images it signs may get more rights than the default.
    pub raises: bool,
    /// The key; `None` for an empty file, which revokes trust.
    pub key: Result<Option<Key>>,
}

/// How trust in a key was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// Its file was removed.
    Deleted,
    /// It belongs to the system, so an empty file of ours now overrides it.
    Masked,
}

impl Keyring {
    /// Opens all places that exist.
    ///
    /// # Errors
    ///
    /// A place cannot be read, or others may write to it.
    pub fn open(dirs: &Dirs) -> Result<Self> {
        Self::of(dirs, SYSTEM)
    }

    fn of(dirs: &Dirs, system: &[&str]) -> Result<Self> {
        let mut places = Vec::new();
        for path in system {
            let what = || format!("cannot read `{path}`");
            match rustix::fs::open(*path, DIRECTORY & !OFlags::NOFOLLOW, Mode::empty()) {
                Ok(fd) => places.push(Place {
                    path: (*path).to_owned(),
                    fd: guarded(fd).context(what)?,
                }),
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(errno) => return Err(errno).context(what),
            }
        }
        let ours = dirs.find(Part::TrustedKeys)?.map(|fd| Place {
            path: dirs.path().join("trustedkeys").display().to_string(),
            fd,
        });
        Ok(Self {
            system: places,
            ours,
        })
    }

    /// Returns the keys that count for an image of this name. `warn` is
    /// called for files that cannot be parsed.
    pub(crate) fn keys_for(
        &self,
        name: &AcIdentifier,
        warn: &mut dyn FnMut(&Error),
    ) -> Result<Vec<Key>> {
        let trusted = self.trusted_for(name, warn)?;
        Ok(trusted.into_values().map(|trusted| trusted.key).collect())
    }

    /// Tells whether an image of this name that this key has signed may get
    /// more rights than the default. `warn` is called for files that cannot
    /// be parsed.
    pub(crate) fn may_raise(
        &self,
        name: &AcIdentifier,
        signer: &Fingerprint,
        warn: &mut dyn FnMut(&Error),
    ) -> Result<bool> {
        let trusted = self.trusted_for(name, warn)?;
        let signer = trusted.get(signer);
        Ok(signer.is_some_and(|one| one.raises && !one.key.is_revoked()))
    }

    fn trusted_for(
        &self,
        name: &AcIdentifier,
        warn: &mut dyn FnMut(&Error),
    ) -> Result<BTreeMap<Fingerprint, Trusted>> {
        let mut trusted = BTreeMap::new();
        for place in self.places() {
            if let Some(directory) = place.directory(&["root.d"])? {
                place.read_into(&mut trusted, &directory, warn)?;
            }
        }
        for place in self.places() {
            let mut path = vec!["prefix.d"];
            for component in name.as_str().split('/') {
                path.push(component);
                match place.directory(&path)? {
                    Some(directory) => place.read_into(&mut trusted, &directory, warn)?,
                    None => break,
                }
            }
        }
        Ok(trusted)
    }

    /// Ends the check of an image of this name.
    ///
    /// # Errors
    ///
    /// No trusted key for this name has made a good signature.
    pub fn verify(
        &self,
        check: Check,
        name: &AcIdentifier,
        warn: &mut dyn FnMut(&Error),
    ) -> Result<Signer> {
        let keys = self.keys_for(name, warn)?;
        let what = || format!("the signature of image `{name}` is not trusted");
        check.finish(&keys, clock::seconds()).map_err(|error| {
            let untrusted = error.kind() == Kind::NotFound;
            let error = Error::invalid(what()).because(error);
            match untrusted {
                true => error.hint(format!(
                    "`launcher trust --prefix={name} KEYFILE` trusts a key"
                )),
                false => error,
            }
        })
    }

    /// Returns whether a key is trusted for images of this name: then one that is
    /// signed is expected.
    ///
    /// # Errors
    ///
    /// A place for keys cannot be read.
    pub fn is_for(&self, name: &AcIdentifier) -> Result<bool> {
        Ok(!self.keys_for(name, &mut |_| {})?.is_empty())
    }

    /// Trusts a key for the images below a prefix, or for all. `raises`
    /// sets whether these may get more rights than the default.
    pub fn add(
        &self,
        dirs: &Dirs,
        prefix: Option<&AcIdentifier>,
        key: &Key,
        raises: bool,
    ) -> Result<Fingerprint> {
        let fingerprint = key.fingerprint();
        let mark = mark(&fingerprint);
        if !raises {
            self.unlink(prefix, &fingerprint, &mark)?;
        }
        self.write(
            dirs,
            prefix,
            &fingerprint,
            fingerprint.as_str(),
            &key.armoured()?,
        )?;
        if raises {
            self.write(dirs, prefix, &fingerprint, &mark, b"")?;
        }
        Ok(fingerprint)
    }

    /// Revokes trust in a key.
    ///
    /// # Errors
    ///
    /// The key is not trusted for exactly this prefix.
    pub fn remove(
        &self,
        dirs: &Dirs,
        prefix: Option<&AcIdentifier>,
        fingerprint: &Fingerprint,
    ) -> Result<Removed> {
        let what = || format!("cannot remove key `{fingerprint}`");
        let path = directories(prefix);
        let mut systems = false;
        for place in &self.system {
            if let Some(directory) = place.directory(&path)? {
                let content = read(&directory, fingerprint.as_str()).context(what)?;
                // Later places override earlier ones.
                systems = content.map_or(systems, |content| !content.is_empty());
            }
        }
        self.unlink(prefix, fingerprint, &mark(fingerprint))?;
        if systems {
            self.write(dirs, prefix, fingerprint, fingerprint.as_str(), b"")?;
            return Ok(Removed::Masked);
        }
        match self.unlink(prefix, fingerprint, fingerprint.as_str())? {
            true => Ok(Removed::Deleted),
            false => Err(Error::new(
                Kind::NotFound,
                format!("key `{fingerprint}` is not trusted for {}", whose(prefix)),
            )
            .hint("`launcher trust list` lists the keys")),
        }
    }

    /// Lists all key files, including overridden ones.
    pub fn list(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for place in self.places() {
            let mut waiting = vec![vec!["root.d".to_owned()], vec!["prefix.d".to_owned()]];
            while let Some(path) = waiting.pop() {
                let words: Vec<&str> = path.iter().map(String::as_str).collect();
                let Some(directory) = place.directory(&words)? else {
                    continue;
                };
                for name in names(&directory).context(|| place.cannot_read())? {
                    match key_name(&name) {
                        Some(fingerprint) => entries.push(Entry {
                            prefix: (path[0] == "prefix.d").then(|| path[1..].join("/")),
                            raises: place.raises(&directory, &fingerprint)?,
                            key: place.key(&directory, &fingerprint),
                            fingerprint,
                            place: place.path.clone(),
                            overridden: false,
                        }),
                        // Other files are not followed.
                        None if path[0] == "prefix.d" && is_directory(&directory, &name) => {
                            waiting.push([path.clone(), vec![name]].concat());
                        }
                        None => {}
                    }
                }
            }
        }
        // The sort is stable: equal entries stay in the order of places.
        entries.sort_by(|a, b| (&a.prefix, &a.fingerprint).cmp(&(&b.prefix, &b.fingerprint)));
        let mut last: Option<&Entry> = None;
        for entry in entries.iter_mut().rev() {
            let same =
                |last: &Entry| last.prefix == entry.prefix && last.fingerprint == entry.fingerprint;
            entry.overridden = last.is_some_and(same);
            last = Some(entry);
        }
        Ok(entries)
    }

    /// Returns all places, in ascending precedence.
    fn places(&self) -> impl Iterator<Item = &Place> {
        self.system.iter().chain(&self.ours)
    }

    /// Returns our place, to change it.
    fn ours(&self) -> Result<&Place> {
        let missing = || Error::new(Kind::Failed, "the directory of trusted keys does not exist");
        self.ours.as_ref().ok_or_else(missing)
    }

    /// Removes a file of ours; tells whether it existed.
    fn unlink(
        &self,
        prefix: Option<&AcIdentifier>,
        fingerprint: &Fingerprint,
        name: &str,
    ) -> Result<bool> {
        let what = || format!("cannot remove key `{fingerprint}`");
        let Some(directory) = self.ours()?.directory(&directories(prefix))? else {
            return Ok(false);
        };
        match rustix::fs::unlinkat(&directory, name, AtFlags::empty()) {
            Ok(()) => rustix::fs::fsync(&directory).context(what).map(|()| true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno).context(what),
        }
    }

    /// Writes a file of ours under a temporary name, and renames it once it
    /// is on the disk.
    fn write(
        &self,
        dirs: &Dirs,
        prefix: Option<&AcIdentifier>,
        fingerprint: &Fingerprint,
        name: &str,
        content: &[u8],
    ) -> Result<()> {
        let what = || format!("cannot store key `{fingerprint}` for {}", whose(prefix));
        let mut directory = self.ours()?.fd.try_clone().context(what)?;
        for name in directories(prefix) {
            let below = make(directory.as_fd(), name).context(what)?;
            rustix::fs::fsync(&directory).context(what)?;
            directory = below;
        }
        let staging = Staging::make(dirs).context(what)?;
        let written = staging.write("key", content);
        rustix::fs::fsync(written.context(what)?)
            .and_then(|()| rustix::fs::renameat(staging.fd(), "key", &directory, name))
            .and_then(|()| rustix::fs::fsync(&directory))
            .context(what)
    }
}

impl Place {
    /// Opens a subdirectory, if it exists.
    fn directory(&self, path: &[&str]) -> Result<Option<OwnedFd>> {
        let what = || format!("cannot read `{}/{}`", self.path, path.join("/"));
        let mut directory = self.fd.try_clone().context(what)?;
        for name in path {
            directory = match rustix::fs::openat(&directory, *name, DIRECTORY, Mode::empty()) {
                Ok(fd) => guarded(fd).context(what)?,
                Err(Errno::NOENT) => return Ok(None),
                Err(errno) => return Err(errno).context(what),
            };
        }
        Ok(Some(directory))
    }

    /// Adds the trusted keys of a directory, and removes those it revokes.
    fn read_into(
        &self,
        trusted: &mut BTreeMap<Fingerprint, Trusted>,
        directory: &OwnedFd,
        warn: &mut dyn FnMut(&Error),
    ) -> Result<()> {
        for name in names(directory).context(|| self.cannot_read())? {
            let Some(fingerprint) = key_name(&name) else {
                continue;
            };
            match self.key(directory, &fingerprint) {
                Ok(Some(key)) => {
                    let raises = self.raises(directory, &fingerprint)?;
                    trusted.insert(fingerprint, Trusted { key, raises });
                    continue;
                }
                Ok(None) => {}
                Err(error) => warn(&error),
            }
            trusted.remove(&fingerprint);
        }
        Ok(())
    }

    /// Tells whether a key may raise the rights of what it signs.
    fn raises(&self, directory: &OwnedFd, fingerprint: &Fingerprint) -> Result<bool> {
        let there = read(directory, &mark(fingerprint)).context(|| self.cannot_read())?;
        Ok(there.is_some())
    }

    /// Reads a key; `None` if the file is empty.
    fn key(&self, directory: &OwnedFd, fingerprint: &Fingerprint) -> Result<Option<Key>> {
        let what = || format!("key file `{fingerprint}` in `{}` is ignored", self.path);
        let content = read(directory, fingerprint.as_str()).context(what)?;
        let content = content.unwrap_or_default();
        if content.is_empty() {
            return Ok(None);
        }
        let key = Key::parse(&content).context(what)?;
        match key.fingerprint() == *fingerprint {
            true => Ok(Some(key)),
            false => Err(Error::invalid(format!(
                "{}: it contains key `{}`",
                what(),
                key.fingerprint()
            ))),
        }
    }

    fn cannot_read(&self) -> String {
        format!("cannot read `{}`", self.path)
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Reads a key file; `None` if it does not exist.
fn read(directory: &OwnedFd, name: &str) -> Result<Option<Vec<u8>>> {
    // Without O_NONBLOCK, opening a fifo would block.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = match rustix::fs::openat(directory, name, flags, Mode::empty()) {
        Ok(fd) => guarded(fd)?,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Err(Error::invalid("it is a symbolic link")),
        Err(errno) => return Err(errno).context(|| "it cannot be opened"),
    };
    let file = File::from(fd);
    if !file.metadata().is_ok_and(|status| status.is_file()) {
        return Err(Error::invalid("it is not a regular file"));
    }
    let mut content = Vec::new();
    let limit = u64::try_from(KEY_LIMIT).unwrap_or(u64::MAX);
    file.take(limit.saturating_add(1))
        .read_to_end(&mut content)
        .context(|| "it cannot be read")?;
    Ok(Some(content))
}

/// Returns the names in a directory, sorted, without those that are not UTF-8.
fn names(directory: &OwnedFd) -> rustix::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        if let Ok(name) = entry?.file_name().to_str()
            && name != "."
            && name != ".."
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Returns the name of the file that lets a key raise rights.
fn mark(fingerprint: &Fingerprint) -> String {
    format!("{fingerprint}.isolators")
}

/// Checks the name of a key file. Other files are notes or incomplete.
fn key_name(name: &str) -> Option<Fingerprint> {
    let fingerprint = Fingerprint::parse(name).ok()?;
    (fingerprint.as_str() == name).then_some(fingerprint)
}

fn is_directory(parent: &OwnedFd, name: &str) -> bool {
    rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()).is_ok()
}

fn make(parent: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let what = || format!("cannot create `{name}`");
    let mode = Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH;
    match rustix::fs::mkdirat(parent, name, mode) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno).context(what),
    }
    rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()).context(what)
}

/// Returns the directories that lead to a prefix's keys. A prefix cannot
/// contain `..`, by its grammar.
fn directories(prefix: Option<&AcIdentifier>) -> Vec<&str> {
    match prefix {
        None => vec!["root.d"],
        Some(prefix) => ["prefix.d"]
            .into_iter()
            .chain(prefix.as_str().split('/'))
            .collect(),
    }
}

/// Describes what a key is trusted for.
pub fn whose(prefix: Option<&AcIdentifier>) -> String {
    match prefix {
        None => "all images".to_owned(),
        Some(prefix) => format!("`{prefix}`"),
    }
}

#[cfg(all(test, feature = "openpgp"))]
#[path = "keyring_tests.rs"]
mod tests;
