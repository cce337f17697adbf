//! Leases: locks on what is kept in a directory of its own, an image, a layer,
//! what a pod writes.
//!
//! Whoever uses one holds a shared flock(2) on its directory, and whoever
//! removes one an exclusive lock, under which it is renamed out of sight. A
//! lock that was got is worth nothing if the directory was renamed meanwhile,
//! so that is checked behind it. What is published is held before it is
//! visible. What a remembered pod needs is not locked for as long as the pod is
//! there: its files name it.
//!
//! When something was used last is the time of its directory's last
//! modification, since nobody writes to it.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, FlockOperation, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT,
};
use rustix::io::Errno;

/// Waits until nobody is about to remove what has this name, and keeps it from
/// being removed for as long as the descriptor is open. `None` if it is not there.
pub(crate) fn hold(parent: impl AsFd, name: &str) -> rustix::io::Result<Option<OwnedFd>> {
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

/// Keeps everybody else from what has this name, or gives `None` if somebody
/// holds it, or it is not there.
pub(crate) fn claim(parent: impl AsFd, name: &str) -> rustix::io::Result<Option<OwnedFd>> {
    let Some(fd) = open(&parent, name)? else {
        return Ok(None);
    };
    match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(is_there(&parent, name, &fd)?.then_some(fd)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Notes that what is held is used now. It is no failure if that cannot be
/// noted, on a file system that is read-only, for instance.
pub(crate) fn touch(held: impl AsFd) {
    let time = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    let now = Timestamps {
        last_access: time(UTIME_OMIT),
        last_modification: time(UTIME_NOW),
    };
    let _ = rustix::fs::futimens(held, &now);
}

/// Notes that what has this name need not be kept for a while when nobody uses it.
pub(crate) fn expire(parent: impl AsFd, name: &str) -> rustix::io::Result<()> {
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

/// Returns when what has this name was used last, in seconds since 1970;
/// `None` if it is not there.
pub(crate) fn last_used(parent: impl AsFd, name: &str) -> rustix::io::Result<Option<u64>> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(status) => Ok(Some(u64::try_from(status.st_mtime).unwrap_or(0))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn open(parent: impl AsFd, name: &str) -> rustix::io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Tells whether what is open still has this name.
fn is_there(parent: impl AsFd, name: &str, fd: &OwnedFd) -> rustix::io::Result<bool> {
    let here = rustix::fs::fstat(fd)?;
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(there) => Ok((there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}
