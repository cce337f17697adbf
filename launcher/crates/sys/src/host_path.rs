//! Checks the source of a volume on the host before it goes into a plan.
//!
//! The owner of a directory on the path could replace a symbolic link and so
//! redirect the volume anywhere (CVE-2024-42472). Links are followed only if
//! the operator allows it, and then once, here: the plan contains the resulting
//! path.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use error::{Error, Kind, Result};

/// A file or directory on the host that can be mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its absolute path, without links.
    pub path: PathBuf,
    /// Whether it is a directory.
    pub directory: bool,
}

/// Resolves a path; `None` if a link would have to be followed and must not.
///
/// # Errors
///
/// The path does not exist, or cannot be opened.
pub fn look(path: &Path, follow_links: bool) -> Result<Option<Source>> {
    let failed = |error: io::Error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Failed,
        };
        Error::new(kind, format!("cannot use `{}`", path.display())).because(error)
    };
    let path = match follow_links {
        true => std::fs::canonicalize(path).map_err(failed)?,
        false => path.to_owned(),
    };
    match open(&path) {
        Ok(directory) => Ok(Some(Source { path, directory })),
        Err(Errno::LOOP) => Ok(None),
        Err(errno) => Err(failed(errno.into())),
    }
}

/// Opens a path without following links; tells whether it is a directory.
fn open(path: &Path) -> rustix::io::Result<bool> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let no_links = ResolveFlags::NO_SYMLINKS;
    let opened = match rustix::fs::openat2(CWD, path, flags, Mode::empty(), no_links) {
        Err(Errno::NOSYS | Errno::PERM) => walk(path)?,
        opened => opened?,
    };
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&opened)?.st_mode);
    match kind {
        FileType::Symlink => Err(Errno::LOOP),
        kind => Ok(kind.is_dir()),
    }
}

/// The same before Linux 5.6, component by component.
fn walk(path: &Path) -> rustix::io::Result<rustix::fd::OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut here = rustix::fs::openat(CWD, "/", flags, Mode::empty())?;
    for component in path.components().skip(1) {
        if FileType::from_raw_mode(rustix::fs::fstat(&here)?.st_mode).is_symlink() {
            return Err(Errno::LOOP);
        }
        here = rustix::fs::openat(&here, component.as_os_str(), flags, Mode::empty())?;
    }
    Ok(here)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_only_where_that_is_allowed() {
        let name = format!("nosecone-source-{}", std::process::id());
        let root = std::fs::canonicalize(std::env::temp_dir())
            .unwrap()
            .join(name);
        std::fs::create_dir_all(root.join("dir")).unwrap();
        std::fs::write(root.join("dir/file"), "").unwrap();
        std::os::unix::fs::symlink("dir", root.join("link")).unwrap();
        std::os::unix::fs::symlink("file", root.join("dir/last")).unwrap();
        for name in ["link", "link/file", "dir/last"] {
            let path = root.join(name);
            assert_eq!(look(&path, false).unwrap(), None, "{name}");
            assert_eq!(open(&path), Err(Errno::LOOP), "{name}");
            let walked = walk(&path).map(|fd| {
                FileType::from_raw_mode(rustix::fs::fstat(fd).unwrap().st_mode).is_symlink()
            });
            assert!(matches!(walked, Ok(true) | Err(Errno::LOOP)), "{name}");
        }
        let found = look(&root.join("link/last"), true).unwrap().unwrap();
        assert_eq!(found.path, root.join("dir/file"));
        assert!(!found.directory);
        assert!(look(&root.join("dir"), false).unwrap().unwrap().directory);
        let message = look(&root.join("none"), false).unwrap_err().to_string();
        assert!(message.ends_with("/none`: No such file or directory"));
        std::fs::remove_dir_all(root).unwrap();
    }
}
