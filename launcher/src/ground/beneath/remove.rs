//! Removes a tree without following a link or crossing a mount.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Removes what has this name in the directory, with all that is below it. It
/// is no error if there is nothing.
///
/// # Errors
///
/// What the file system says. A mount below ends it with "Device or resource
/// busy": what is mounted belongs to somebody else.
pub(crate) fn remove_tree(parent: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    remove_name(parent, &std::ffi::CString::new(name)?)
}

/// As [`remove_tree`], for names that need not be UTF-8.
pub(super) fn remove_name(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    match remove(parent, name) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// A directory that is being emptied.
struct Level {
    entries: Dir,
    fd: OwnedFd,
}

/// Goes down with a stack of its own, so that no depth exhausts the thread's.
fn remove(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<()> {
    if !descend_needed(parent, name)? {
        return Ok(());
    }
    let device = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?.st_dev;
    let mut names = vec![name.to_owned()];
    let mut levels = vec![level(parent, name, device)?];
    while let Some(top) = levels.last_mut() {
        match top.entries.next().transpose()? {
            Some(entry) if entry.file_name() == c"." || entry.file_name() == c".." => {}
            Some(entry) => {
                if descend_needed(top.fd.as_fd(), entry.file_name())? {
                    let below = level(top.fd.as_fd(), entry.file_name(), device)?;
                    names.push(entry.file_name().to_owned());
                    levels.push(below);
                }
            }
            None => {
                levels.pop();
                let Some(empty) = names.pop() else {
                    return Ok(());
                };
                let above = levels.last().map_or(parent, |level| level.fd.as_fd());
                rustix::fs::unlinkat(above, &empty, AtFlags::REMOVEDIR)?;
            }
        }
    }
    Ok(())
}

/// Removes anything but a directory that has something in it.
fn descend_needed(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<bool> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) => Ok(false),
        // POSIX says EPERM for a directory, Linux EISDIR.
        Err(Errno::ISDIR | Errno::PERM) => Ok(true),
        Err(errno) => Err(errno),
    }
}

fn level(parent: BorrowedFd<'_>, name: &CStr, device: u64) -> rustix::io::Result<Level> {
    let fd = match open(parent, name) {
        // An ordinary user's own directory that is closed even to him.
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            open(parent, name)?
        }
        opened => opened?,
    };
    let status = rustix::fs::fstat(&fd)?;
    if status.st_dev != device || !FileType::from_raw_mode(status.st_mode).is_dir() {
        return Err(Errno::BUSY);
    }
    if status.st_mode & 0o300 != 0o300 {
        rustix::fs::fchmod(&fd, Mode::RWXU)?;
    }
    Ok(Level {
        entries: Dir::read_from(&fd)?,
        fd,
    })
}

/// Opens a directory on which nothing is mounted. Before Linux 5.6 only mounts
/// of other file systems are noticed, by their device.
fn open(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat2(parent, name, flags, Mode::empty(), ResolveFlags::NO_XDEV) {
        Err(Errno::XDEV) => Err(Errno::BUSY),
        // A filter that does not know the call may answer EPERM.
        Err(Errno::NOSYS | Errno::PERM) => rustix::fs::openat(parent, name, flags, Mode::empty()),
        opened => opened,
    }
}
