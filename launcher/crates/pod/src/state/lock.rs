//! The locks of a pod: who has them, and how to wait for them.
//!
//! They are flock(2)s. The one on the directory is exclusive for whoever makes,
//! runs or removes the pod. PID 1 of the pod cannot have that one, for with the
//! directory open it would be worth attacking: it holds a file in the directory
//! instead, through which nothing can be reached. A pod is held as long as
//! either of them is.
//!
//! Those who only look take a lock shared and let go of it at once; for so
//! short a time nobody is turned away.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use error::{Context as _, Result};
use sys::readonly_file;

/// The file that PID 1 of the pod holds, in the directory.
const INIT: &str = "lock";

/// Makes the lock that PID 1 of a pod holds, and takes it.
pub fn of_init(directory: impl AsFd) -> Result<OwnedFd> {
    let what = || "cannot lock the pod";
    let flags = OFlags::CREATE | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, INIT, flags, Mode::empty()).context(what)?;
    let held = readonly_file::open(file).context(what)?;
    rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive).context(what)?;
    Ok(held)
}

/// Opens the file that PID 1 holds; none if there never was one.
fn init(directory: impl AsFd) -> rustix::io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(directory, INIT, flags, Mode::empty()) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Tells whether somebody makes, runs or removes the pod.
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

/// Takes the lock, unless somebody makes, runs or removes the pod; tells
/// whether it was got.
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
        // Somebody may only have looked.
        if is_locked(&directory)? {
            return Ok(false);
        }
    }
}

/// Tells whether an open directory still has this name.
pub fn is_there(parent: impl AsFd, name: &str, directory: impl AsFd) -> rustix::io::Result<bool> {
    let here = rustix::fs::fstat(directory)?;
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(there) => Ok((there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Waits for the lock of a pod to be free. A thread does, because flock(2)
/// knows no deadline; when it has seen the lock free, it closes a pipe.
pub struct Release(std::io::PipeReader);

impl Release {
    /// Begins to wait.
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

    /// Waits until the lock is free, or until then; tells whether it is free.
    pub fn until(&self, deadline: Option<Instant>) -> Result<bool> {
        Ok(first(&mut [readable(&self.0)], deadline)?.is_some())
    }
}

/// What becomes readable when the lock is free.
impl AsFd for Release {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Tells of what happens to the files in the directory of a pod.
pub struct Changes(OwnedFd);

impl Changes {
    /// Begins to watch.
    pub fn of(directory: impl AsFd) -> Result<Self> {
        Self::of_all([directory])
    }

    /// Begins to watch several.
    pub fn of_all(directories: impl IntoIterator<Item: AsFd>) -> Result<Self> {
        use std::os::fd::AsRawFd as _;
        let what = || "cannot watch the directory of a pod";
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).context(what)?;
        let flags = WatchFlags::CREATE | WatchFlags::MODIFY;
        for directory in directories {
            let path = format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd());
            inotify::add_watch(&events, path, flags).context(what)?;
        }
        Ok(Self(events))
    }

    /// Waits until something has changed, the other descriptor is readable, or
    /// it is late; tells which.
    pub fn or(&self, other: BorrowedFd<'_>, deadline: Option<Instant>) -> Result<Woken> {
        let woken = match first(&mut [readable(&self.0), readable(&other)], deadline)? {
            None => Woken::Late,
            Some(0) => Woken::Changed,
            Some(_) => Woken::Other,
        };
        self.forget();
        Ok(woken)
    }

    /// Waits until something has changed, a lock is free, or nobody reads any
    /// more what is written to one of these; tells whether that is so.
    pub fn or_gone(&self, release: &Release, written: [BorrowedFd<'_>; 2]) -> Result<bool> {
        let [one, other] = written.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::empty()));
        let mut polled = [one, other, readable(&self.0), readable(&release.0)];
        let woken = first(&mut polled, None)?;
        self.forget();
        Ok(woken.is_some_and(|at| at < written.len()))
    }

    /// What changed, who is woken looks up; here it is only forgotten.
    fn forget(&self) {
        while rustix::io::read(&self.0, &mut [0; 4096]).is_ok_and(|length| length > 0) {}
    }
}

/// Why a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Something has changed.
    Changed,
    /// The other descriptor is readable.
    Other,
    /// It is late.
    Late,
}

/// For [`first`]: can be read, or has no other end any more.
fn readable(fd: &impl AsFd) -> PollFd<'_> {
    PollFd::new(fd, PollFlags::IN)
}

/// Waits until one of the descriptors is as it is waited for, or until then;
/// returns the first that is.
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
