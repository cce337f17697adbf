//! The version of the data directory's format: one line in its file `version`.
//!
//! Only one version is supported. A data directory of any other is refused, not
//! converted: images can be fetched again.

use std::io::Write as _;
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{Access, AtFlags, Mode, OFlags};
use rustix::io::Errno;

use error::{Context as _, Error, Result};

/// The version of this format.
const VERSION: &str = "2";

/// The name of the file.
const FILE: &str = "version";

/// A directory that has no version file but contains this is of the first
/// format.
const FIRST: &str = "images";

/// Refuses a data directory of another version. An empty one is accepted;
/// returns whether there is a version.
///
/// # Errors
///
/// Fails if the version differs, or cannot be read.
pub(crate) fn check(root: BorrowedFd<'_>, path: &Path) -> Result<bool> {
    let found = match read(root).context(|| cannot_use(path))? {
        Some(version) => version,
        None => {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            match rustix::fs::accessat(root, FIRST, Access::EXISTS, flags) {
                Err(Errno::NOENT) => return Ok(false),
                there => there.context(|| cannot_use(path))?,
            }
            "1".to_owned()
        }
    };
    if found == VERSION {
        return Ok(true);
    }
    let what = cannot_use(path);
    let why =
        format!("its format is version `{found}`, but this launcher requires version `{VERSION}`");
    Err(Error::invalid(format!("{what}: {why}")).hint(
        "choose another directory with `--dir`, or move this one away and fetch its images again",
    ))
}

/// Writes the version.
///
/// # Errors
///
/// Fails if the disk refuses.
pub(crate) fn write(root: BorrowedFd<'_>, path: &Path) -> Result<()> {
    let what = || cannot_use(path);
    // Another process that does this at the same time writes the same.
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(root, FILE, flags, Mode::RUSR | Mode::WUSR).context(what)?;
    let mut file = std::fs::File::from(file);
    file.write_all(format!("{VERSION}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .context(what)
}

/// Reads the version. An empty file counts as missing: whoever made it was
/// killed.
fn read(root: BorrowedFd<'_>) -> rustix::io::Result<Option<String>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(root, FILE, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        file => file?,
    };
    let mut text = [0; 16];
    let count = rustix::io::read(&file, &mut text)?;
    let text = String::from_utf8_lossy(&text[..count]);
    let version = text.trim_matches(['\n', '\0']);
    Ok((!version.is_empty()).then(|| version.to_owned()))
}

fn cannot_use(path: &Path) -> String {
    format!("cannot use directory `{}`", path.display())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::fs;

    use crate::dirs::Dirs;

    #[test]
    fn only_a_directory_of_this_format_is_opened() {
        let name = format!("nosecone-version-{}", std::process::id());
        let root = std::env::temp_dir().join(name);
        for (files, found) in [
            (&["version", "pods/"][..], None),
            (&["other"], None),
            // Whoever made it was killed.
            (&["version="], None),
            (&["images/"], Some("1")),
            (&["version=3", "images/"], Some("3")),
            (&["version=none"], Some("none")),
        ] {
            fs::create_dir_all(&root).unwrap();
            for file in files {
                let (name, text) = file.split_once('=').unwrap_or((file, "2\n"));
                match name.strip_suffix('/') {
                    Some(name) => fs::create_dir(root.join(name)).unwrap(),
                    None => fs::write(root.join(name), text).unwrap(),
                }
            }
            for error in [Dirs::look(&root).err(), Dirs::open(&root).err()] {
                let why = error.map(|error| error.to_string());
                let is_named = |found| why.clone().unwrap().contains(&format!("`{found}`, "));
                assert!(found.map_or(why.is_none(), is_named), "{files:?}: {why:?}");
            }
            if found.is_none() {
                assert_eq!(fs::read_to_string(root.join("version")).unwrap(), "2\n");
            }
            fs::remove_dir_all(&root).unwrap();
        }
    }
}
