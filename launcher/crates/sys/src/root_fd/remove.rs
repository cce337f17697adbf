//! Removes a tree of any depth without following links or crossing mounts: apps
//! can make their trees as deep as the disk allows.
//!
//! # Invariants
//!
//! 1. At most [`OPEN`] directories of the tree are open at a time. Those above
//!    them are closed, and reopened through `..` when everything below is
//!    removed.
//! 2. Entries are removed only from directories that were reached by name from
//!    their parent, without a link and on the same mount. If `..` leads to
//!    another directory than before, somebody has moved something, and that is
//!    left alone.
//! 3. Each entry is tried once. If it cannot be removed, the others still are.

use std::cell::OnceCell;
use std::collections::{BTreeSet, VecDeque};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::{Errno, Result};

/// How many directories of a tree are open at a time. Few trees are deeper, and
/// even low limits on descriptors allow it.
const OPEN: usize = 8;

/// Removes what has this name in the directory, and everything below it. If
/// there is nothing, that is not an error.
///
/// # Errors
///
/// The error for the first entry that cannot be removed; everything else is
/// removed all the same. A mount is "Device or resource busy": it belongs to
/// somebody else.
pub fn remove_tree(parent: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    remove_name(parent, &CString::new(name)?)
}

/// Like [`remove_tree`], for names that need not be UTF-8.
pub(crate) fn remove_name(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let mut removal = Removal::of(parent);
    removal.entry(name, 0, FileType::Directory);
    removal.run();
    removal.failure.map_or(Ok(()), |errno| Err(errno.into()))
}

/// A tree that is being removed.
struct Removal<'a> {
    /// The directory that contains the tree.
    parent: BorrowedFd<'a>,
    /// The mount that it is on.
    mount: OnceCell<Mount>,
    /// The directories from the top of the tree to the current one.
    levels: Vec<Level>,
    /// The innermost of them that are open: at least the current one.
    open: VecDeque<Dir>,
    /// The inode numbers of entries that could not be removed: reading a
    /// directory again finds them again.
    left: BTreeSet<u64>,
    /// Why the first of them could not be removed.
    failure: Option<Errno>,
}

/// A directory that is being emptied.
struct Level {
    /// Its name in its parent.
    name: CString,
    /// The inode number of its entry there.
    number: u64,
    /// Its device and inode, if it was closed.
    inode: Option<(u64, u64)>,
}

impl<'a> Removal<'a> {
    fn of(parent: BorrowedFd<'a>) -> Self {
        Self {
            parent,
            mount: OnceCell::new(),
            levels: Vec::new(),
            open: VecDeque::new(),
            left: BTreeSet::new(),
            failure: None,
        }
    }

    /// Empties and removes all directories that were entered.
    fn run(&mut self) {
        while let Some(innermost) = self.open.back_mut() {
            match innermost.next().transpose() {
                Ok(Some(entry)) => {
                    let (name, number) = (entry.file_name(), entry.ino());
                    if name != c"." && name != c".." && !self.left.contains(&number) {
                        self.entry(name, number, entry.file_type());
                    }
                }
                Ok(None) => self.leave(),
                Err(errno) => {
                    self.fail(errno);
                    self.leave();
                }
            }
        }
    }

    /// Removes an entry of the current directory, or enters it. The file system
    /// may not know of what kind it is, and it may have changed since.
    fn entry(&mut self, name: &CStr, number: u64, kind: FileType) {
        let first = match kind {
            FileType::Directory => self.remove(name, AtFlags::REMOVEDIR),
            _ => Err(Errno::NOTDIR),
        };
        let removed = match first {
            Err(Errno::NOTDIR) => self.remove(name, AtFlags::empty()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Err(Errno::ISDIR),
            removed => removed,
        };
        let removed = match removed {
            Err(Errno::ISDIR) => self.enter(name, number),
            // POSIX has this errno for directories, Linux also for
            // immutable files.
            Err(Errno::PERM) => self.enter(name, number).map_err(|errno| match errno {
                Errno::NOTDIR | Errno::LOOP => Errno::PERM,
                errno => errno,
            }),
            removed => removed,
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => {
                self.left.insert(number);
                self.fail(errno);
            }
        }
    }

    fn remove(&self, name: &CStr, flags: AtFlags) -> Result<()> {
        let here = self.innermost()?;
        match rustix::fs::unlinkat(here, name, flags) {
            // The user's own directory, which even the user may not change.
            Err(Errno::ACCESS) if !self.open.is_empty() => {
                let _ = rustix::fs::fchmod(here, Mode::RWXU);
                rustix::fs::unlinkat(here, name, flags)
            }
            removed => removed,
        }
    }

    /// Returns the current directory, or the one that contains the tree.
    fn innermost(&self) -> Result<BorrowedFd<'_>> {
        self.open.back().map_or(Ok(self.parent), Dir::fd)
    }

    fn fail(&mut self, errno: Errno) {
        self.failure.get_or_insert(errno);
    }

    /// Enters a directory.
    fn enter(&mut self, name: &CStr, number: u64) -> Result<()> {
        let fd = match self.open(self.innermost()?, name) {
            // The user's own directory, which even the user may not enter.
            Err(Errno::ACCESS) => {
                self.unlock(name)?;
                self.open(self.innermost()?, name)?
            }
            opened => opened?,
        };
        if self.open.len() == OPEN {
            self.close()?;
        }
        self.open.push_back(Dir::new(fd)?);
        self.levels.push(Level {
            name: name.to_owned(),
            number,
            inode: None,
        });
        Ok(())
    }

    /// Closes the outermost directory that is open.
    fn close(&mut self) -> Result<()> {
        let at = self.levels.len() - self.open.len();
        if let (Some(outermost), Some(level)) = (self.open.front(), self.levels.get_mut(at)) {
            level.inode = Some(inode(outermost.fd()?)?);
            self.open.pop_front();
        }
        Ok(())
    }

    /// Removes the current directory, and returns to its parent.
    fn leave(&mut self) {
        let (Some(emptied), Some(Level { name, number, .. })) =
            (self.open.pop_back(), self.levels.pop())
        else {
            return;
        };
        if let (None, Some(above)) = (self.open.back(), self.levels.last()) {
            match self.reopen(&emptied, above.inode) {
                Ok(above) => self.open.push_back(above),
                // There is no way back up.
                Err(errno) => return self.fail(errno),
            }
        }
        match self.remove(&name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => {
                self.left.insert(number);
                self.fail(errno);
            }
        }
    }

    /// Opens the parent of a directory, if it is still the one we came
    /// from.
    fn reopen(&self, below: &Dir, known: Option<(u64, u64)>) -> Result<Dir> {
        let above = self.open(below.fd()?, c"..")?;
        match Some(inode(above.as_fd())?) == known {
            true => Dir::new(above),
            false => Err(Errno::BUSY),
        }
    }

    /// Opens a directory, if it is on the same mount as the tree.
    fn open(&self, at: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
        let flags = DIRECTORY | OFlags::RDONLY;
        match rustix::fs::openat2(at, name, flags, Mode::empty(), ResolveFlags::NO_XDEV) {
            Err(Errno::XDEV) => Err(Errno::BUSY),
            // Linux before 5.6, or a seccomp filter that does not know the
            // call.
            Err(Errno::NOSYS | Errno::PERM) => {
                let fd = rustix::fs::openat(at, name, flags, Mode::empty())?;
                match Mount::of(fd.as_fd())? == *self.mount()? {
                    true => Ok(fd),
                    false => Err(Errno::BUSY),
                }
            }
            opened => opened,
        }
    }

    fn mount(&self) -> Result<&Mount> {
        if let Some(mount) = self.mount.get() {
            return Ok(mount);
        }
        let mount = Mount::of(self.parent)?;
        Ok(self.mount.get_or_init(|| mount))
    }

    /// Lets the owner into a directory, by its descriptor: its name may be
    /// a link by now.
    fn unlock(&self, name: &CStr) -> Result<()> {
        let flags = DIRECTORY | OFlags::PATH;
        let fd = rustix::fs::openat(self.innermost()?, name, flags, Mode::empty())?;
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        rustix::fs::chmod(path, Mode::RWXU)
    }
}

/// Returns the device and inode of a directory.
fn inode(fd: BorrowedFd<'_>) -> Result<(u64, u64)> {
    let status = rustix::fs::fstat(fd)?;
    Ok((status.st_dev, status.st_ino))
}

const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Identifies a mount: two bind mounts of one file system differ.
#[derive(PartialEq, Eq)]
struct Mount(u64);

impl Mount {
    /// Returns the mount that something is on.
    fn of(fd: BorrowedFd<'_>) -> Result<Self> {
        let asked = rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID);
        if let Ok(status) = asked
            && StatxFlags::from_bits_retain(status.stx_mask).contains(StatxFlags::MNT_ID)
        {
            return Ok(Self(status.stx_mnt_id));
        }
        // Linux before 5.8.
        let path = format!("/proc/self/fdinfo/{}", fd.as_raw_fd());
        let text = std::fs::read_to_string(path).map_err(|error| {
            let errno = Errno::from_io_error(&error);
            errno.unwrap_or(Errno::IO)
        })?;
        let number = text.lines().find_map(|line| line.strip_prefix("mnt_id:"));
        let number = number.and_then(|number| number.trim().parse().ok());
        number.map(Self).ok_or(Errno::NOSYS)
    }
}

#[cfg(test)]
#[path = "remove_tests.rs"]
mod tests;
