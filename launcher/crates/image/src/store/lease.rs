//! Leases: locks on things that have a directory of their own: an image, a
//! layer, the files of a pod.
//!
//! A process that uses one holds a shared flock(2) on its directory. A process
//! that removes one holds an exclusive lock, under which it moves the directory
//! to `tmp/`. A lock is useless if the directory was moved meanwhile, so that
//! is checked after locking. New objects are locked before they are published.
//! What a stored pod needs is not locked while the pod exists: its files refer
//! to it.
//!
//! The modification time of the directory says when it was last used, since
//! nothing writes to it.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, FlockOperation, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT,
};
use rustix::io::Errno;

use sys::clock;

/// Takes a lease on the directory of this name, which keeps it from being
/// removed while the descriptor is open. Waits for a process that is about to
/// remove it. `None` if it does not exist.
pub(crate) fn hold(parent: impl AsFd, name: &Path) -> rustix::io::Result<Option<OwnedFd>> {
    loop {
        let Some(fd) = open(&parent, name)? else {
            return Ok(None);
        };
        rustix::fs::flock(&fd, FlockOperation::LockShared)?;
        if is_there(&parent, name, &fd)? {
            return Ok(Some(fd));
        }
    }
}

/// Locks the directory of this name exclusively. `None` if it is in use or does
/// not exist.
pub(crate) fn claim(parent: impl AsFd, name: &Path) -> rustix::io::Result<Option<OwnedFd>> {
    let Some(fd) = open(&parent, name)? else {
        return Ok(None);
    };
    match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(is_there(&parent, name, &fd)?.then_some(fd)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// How long a directory counts as used just now, in seconds: to mark it again
/// would write to the disk for nothing.
const RECENT: u64 = 60;

/// Marks a directory as used now. Failure is ignored, for instance on a
/// read-only file system.
pub(crate) fn touch(held: impl AsFd) {
    let used = rustix::fs::fstat(&held).map(|status| u64::try_from(status.st_mtime).unwrap_or(0));
    if used.is_ok_and(|used| clock::seconds().abs_diff(used) < RECENT) {
        return;
    }
    let time = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    let now = Timestamps {
        last_access: time(UTIME_OMIT),
        last_modification: time(UTIME_NOW),
    };
    let _ = rustix::fs::futimens(held, &now);
}

/// Marks the directory of this name as unused for a long time.
pub(crate) fn expire(parent: impl AsFd, name: &Path) -> rustix::io::Result<()> {
    let epoch = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: epoch,
        last_modification: epoch,
    };
    match rustix::fs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        expired => expired,
    }
}

/// Returns when the directory of this name was last used, in seconds since
/// 1970; `None` if it does not exist.
pub(crate) fn last_used(parent: impl AsFd, name: &Path) -> rustix::io::Result<Option<u64>> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(status) => Ok(Some(u64::try_from(status.st_mtime).unwrap_or(0))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn open(parent: impl AsFd, name: &Path) -> rustix::io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Returns whether the open directory still has this name.
fn is_there(parent: impl AsFd, name: &Path, fd: &OwnedFd) -> rustix::io::Result<bool> {
    let here = rustix::fs::fstat(fd)?;
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(there) => Ok((there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}
