//! The locks of a pod, and how to wait for them.
//!
//! They are flock(2)s. Whoever makes, runs or removes the pod holds an
//! exclusive lock on its directory. PID 1 of the pod cannot hold that one,
//! because an open directory of the host would make it worth attacking: it
//! locks a file in the directory instead, through which nothing else can be
//! reached. A pod is locked as long as either lock is held.
//!
//! To test a lock, a process takes it shared and releases it at once. Others
//! that find it taken for that reason retry.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::path::Arg;

use error::{Context as _, Result};
use sys::readonly_file;

/// The file in the directory that PID 1 of the pod locks.
pub(crate) const INIT: &str = "lock";

/// Makes the file that PID 1 of a pod locks, and locks it.
pub fn of_init(directory: impl AsFd) -> Result<OwnedFd> {
    let what = || "cannot lock the pod";
    let flags = OFlags::CREATE | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, INIT, flags, Mode::empty()).context(what)?;
    let held = readonly_file::open(file).context(what)?;
    rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive).context(what)?;
    Ok(held)
}

/// Opens the file that PID 1 locks; `None` if it was never made.
fn init(directory: impl AsFd) -> rustix::io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(directory, INIT, flags, Mode::empty()) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Returns whether a process is making, running or removing the pod.
pub fn is_held(directory: impl AsFd) -> rustix::io::Result<bool> {
    Ok(is_locked(&directory)? || has_init(&directory)?)
}

fn has_init(directory: impl AsFd) -> rustix::io::Result<bool> {
    init(directory)?.map_or(Ok(false), is_locked)
}

fn is_locked(file: impl AsFd) -> rustix::io::Result<bool> {
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            rustix::fs::flock(&file, FlockOperation::Unlock)?;
            Ok(false)
        }
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(errno) => Err(errno),
    }
}

/// Takes the lock, unless a process is making, running or removing the pod;
/// returns whether it was taken.
pub fn take(directory: impl AsFd) -> rustix::io::Result<bool> {
    loop {
        match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if has_init(&directory)? => {
                rustix::fs::flock(&directory, FlockOperation::Unlock)?;
                return Ok(false);
            }
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => {}
            Err(errno) => return Err(errno),
        }
        // The lock may only be taken for a moment, by a process that tests it.
        if is_locked(&directory)? {
            return Ok(false);
        }
    }
}

/// Returns whether an open directory still has this name.
pub fn is_there(
    parent: impl AsFd,
    name: impl Arg,
    directory: impl AsFd,
) -> rustix::io::Result<bool> {
    let here = rustix::fs::fstat(directory)?;
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(there) => Ok((there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Waits until the lock of a pod is released. A thread does this, because
/// flock(2) has no timeout; it closes a pipe when the lock is free.
pub struct Release(std::io::PipeReader);

impl Release {
    /// Starts waiting.
    pub fn of(directory: OwnedFd) -> Result<Self> {
        let what = || "cannot wait for a pod";
        let (reader, writer) = std::io::pipe().context(what)?;
        let wait = move || {
            let shared = FlockOperation::LockShared;
            while rustix::fs::flock(&directory, shared) == Err(Errno::INTR) {}
            if let Ok(Some(init)) = init(&directory) {
                while rustix::fs::flock(&init, shared) == Err(Errno::INTR) {}
            }
            drop(directory);
            drop(writer);
        };
        std::thread::Builder::new().spawn(wait).context(what)?;
        Ok(Self(reader))
    }

    /// Waits until the lock is free or the deadline has passed; returns whether
    /// the lock is free.
    pub fn until(&self, deadline: Option<Instant>) -> Result<bool> {
        Ok(first(&mut [readable(&self.0)], deadline)?.is_some())
    }
}

/// Becomes readable when the lock is free.
impl AsFd for Release {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Watches the files in pods' directories for changes.
pub struct Changes(OwnedFd);

impl Changes {
    /// Starts watching a directory.
    pub fn of(directory: impl AsFd) -> Result<Self> {
        Self::of_all([directory])
    }

    /// Starts watching several directories.
    pub fn of_all(directories: impl IntoIterator<Item: AsFd>) -> Result<Self> {
        use std::os::fd::AsRawFd as _;
        let what = || "cannot watch the directory of a pod";
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).context(what)?;
        let flags = WatchFlags::CREATE | WatchFlags::MODIFY | WatchFlags::MOVED_TO;
        for directory in directories {
            let path = format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd());
            inotify::add_watch(&events, path, flags).context(what)?;
        }
        Ok(Self(events))
    }

    /// Waits until something has changed, the other descriptor is readable, or
    /// the deadline has passed; returns which.
    pub fn or(&self, other: BorrowedFd<'_>, deadline: Option<Instant>) -> Result<Wake> {
        let woken = match first(&mut [readable(&self.0), readable(&other)], deadline)? {
            None => Wake::Timeout,
            Some(0) => Wake::Changed,
            Some(_) => Wake::Readable,
        };
        self.forget();
        Ok(woken)
    }

    /// Waits until something has changed, the lock is free, or one of the
    /// outputs has no reader any more; returns whether the last is so.
    pub fn or_gone(&self, release: &Release, written: [BorrowedFd<'_>; 2]) -> Result<bool> {
        let [one, other] = written.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::empty()));
        let mut polled = [one, other, readable(&self.0), readable(&release.0)];
        let woken = first(&mut polled, None)?;
        self.forget();
        Ok(woken.is_some_and(|at| at < written.len()))
    }

    /// Discards the events: the caller looks up what has changed.
    fn forget(&self) {
        while rustix::io::read(&self.0, &mut [0; 4096]).is_ok_and(|length| length > 0) {}
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Something has changed.
    Changed,
    /// The other descriptor is readable.
    Readable,
    /// The deadline has passed.
    Timeout,
}

/// For [`first`]: is readable, or its other end was closed.
fn readable(fd: &impl AsFd) -> PollFd<'_> {
    PollFd::new(fd, PollFlags::IN)
}

/// Waits until one of the descriptors is ready or the deadline has passed;
/// returns the index of the first that is ready.
fn first(polled: &mut [PollFd<'_>], deadline: Option<Instant>) -> Result<Option<usize>> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.map(timespec);
        match rustix::event::poll(polled, timeout.as_ref()) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(polled.iter().position(|fd| !fd.revents().is_empty())),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).context(|| "cannot wait for a pod"),
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
