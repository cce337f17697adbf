//! A temporary directory: locked by the process that creates it, removed when
//! it goes out of scope, and garbage if it is not locked.

use std::fs::File;
use std::io::Write as _;
use std::ops::Deref;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{Access, AtFlags, Dir, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use error::{Context as _, Result};
use sys::dirs::{Dirs, Part};
use sys::root_fd;

/// The directory.
pub struct Staging {
    tmp: OwnedFd,
    name: String,
    folder: Folder,
}

impl Staging {
    /// Removes what interrupted processes left, and creates a new directory.
    pub fn make(dirs: &Dirs) -> Result<Self> {
        let tmp = dirs.tmp()?;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{:x}-{number:x}", std::process::id());
        let folder = Folder(make(&tmp, &name, true)?);
        Ok(Self { tmp, name, folder })
    }
}

/// Creates the directory for the files of a pod that is not stored on disk. It
/// is kept while the descriptor is open, here or in a process that inherits it.
pub fn scratch(dirs: &Dirs, id: &str) -> Result<OwnedFd> {
    let parent = dirs.make(Part::Scratch)?;
    // An earlier pod of this name may have left its directory.
    let stale = rustix::fs::accessat(&parent, id, Access::EXISTS, AtFlags::SYMLINK_NOFOLLOW);
    make(&parent, id, stale.is_ok())
}

/// Creates a directory and locks it. With `clear`, first removes what is not
/// locked.
fn make(parent: &OwnedFd, name: &str, clear: bool) -> Result<OwnedFd> {
    let what = || "cannot create a temporary directory";
    // Until it is locked, no other process may take it for garbage.
    rustix::fs::flock(parent, FlockOperation::LockExclusive).context(what)?;
    if clear {
        // Garbage that cannot be removed does no harm.
        let _ = clear_in(parent);
    }
    rustix::fs::mkdirat(parent, name, Mode::RWXU).context(what)?;
    let fd = open(parent.as_fd(), name).context(what)?;
    rustix::fs::flock(&fd, FlockOperation::LockExclusive).context(what)?;
    rustix::fs::flock(parent, FlockOperation::Unlock).context(what)?;
    Ok(fd)
}

impl Deref for Staging {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.folder
    }
}

/// A temporary directory, or a directory in it.
pub struct Folder(OwnedFd);

impl Folder {
    /// Creates a directory in it.
    pub fn directory(&self, name: &str) -> Result<Self> {
        let what = || format!("cannot create `{name}`");
        rustix::fs::mkdirat(&self.0, name, Mode::RWXU).context(what)?;
        open(self.fd(), name).map(Self).context(what)
    }

    /// Creates a file in it.
    pub fn create(&self, name: &str) -> Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat(&self.0, name, flags, mode);
        file.map(File::from).context(|| unwritten(name))
    }

    /// Writes a file in it; returns it.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<File> {
        let mut file = self.create(name)?;
        file.write_all(content).context(|| unwritten(name))?;
        Ok(file)
    }

    /// Takes a shared lock on a directory in it.
    pub(crate) fn lease(&self, name: &str) -> rustix::io::Result<OwnedFd> {
        let fd = open(self.fd(), name)?;
        rustix::fs::flock(&fd, FlockOperation::LockShared)?;
        Ok(fd)
    }

    /// Returns the directory.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is removed later.
        let _ = root_fd::remove_tree(self.tmp.as_fd(), &self.name);
    }
}

/// The message for a file that cannot be written.
pub(crate) fn unwritten(name: &str) -> String {
    format!("cannot write `{name}`")
}

/// Moves a directory to `tmp/` under the name `aside`, to be removed by
/// `discard`. This works even if the disk is full, since it creates nothing.
pub(crate) fn hide(dirs: &Dirs, from: &OwnedFd, name: &str, aside: &str) -> Result<()> {
    let tmp = dirs.tmp()?;
    let mut hidden = rustix::fs::renameat(from, name, &tmp, aside);
    if matches!(hidden, Err(Errno::NOTEMPTY | Errno::EXIST)) {
        // An earlier one of this name has not been removed completely.
        remove(&tmp, aside)?;
        hidden = rustix::fs::renameat(from, name, &tmp, aside);
    }
    hidden
        .and_then(|()| rustix::fs::fsync(from))
        .context(|| "cannot move it to `tmp`")
}

/// Removes what `hide` moved.
pub(crate) fn discard(dirs: &Dirs, aside: &str) -> Result<()> {
    remove(&dirs.tmp()?, aside)
}

/// Removes what interrupted processes left, and the files of pods that no
/// longer exist.
///
/// # Errors
///
/// The first that cannot be removed; the rest is removed all the same.
pub fn clear(dirs: &Dirs) -> Result<()> {
    let mut cleared = Ok(());
    for part in [Part::Tmp, Part::Scratch] {
        if let Some(directory) = dirs.find(part)? {
            rustix::fs::flock(&directory, FlockOperation::LockExclusive).context(|| UNCLEARED)?;
            cleared = cleared.and(clear_in(&directory));
        }
    }
    cleared
}

const UNCLEARED: &str = "cannot remove temporary files";

fn remove(tmp: &OwnedFd, name: &str) -> Result<()> {
    root_fd::remove_tree(tmp.as_fd(), name).context(|| UNCLEARED)
}

/// Removes what is not locked.
fn clear_in(tmp: &OwnedFd) -> Result<()> {
    let what = || UNCLEARED;
    let mut cleared = Ok(());
    for entry in Dir::read_from(tmp).context(what)? {
        let entry = entry.context(what)?;
        let name = entry.file_name().to_string_lossy();
        if name == "." || name == ".." {
            continue;
        }
        let unused = match open(tmp.as_fd(), &name) {
            Ok(fd) => rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive).is_ok(),
            Err(Errno::NOTDIR) => true,
            Err(_) => false,
        };
        if unused {
            cleared = cleared.and(remove(tmp, &name));
        }
    }
    cleared
}

fn open(parent: BorrowedFd<'_>, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_a_pod_writes_stays_while_somebody_has_it_open() {
        let name = format!("nosecone-scratch-{}", std::process::id());
        let root = std::env::temp_dir().join(name);
        let dirs = Dirs::open(&root).unwrap();
        let fd = scratch(&dirs, "pod").unwrap();
        std::fs::create_dir(root.join("scratch/pod/upper")).unwrap();
        for inherited in [fd.try_clone().unwrap(), fd] {
            clear(&dirs).unwrap();
            assert!(root.join("scratch/pod/upper").exists());
            drop(inherited);
        }
        clear(&dirs).unwrap();
        assert!(!root.join("scratch/pod").exists());
        std::fs::remove_dir_all(root).unwrap();
    }
}
