//! Logs in memory, of all directories of pods together:
//!
//! ```text
//! /run/nosecone/log/UUID/dir    a link to the directory, as `--dir` says it
//! /run/nosecone/log/UUID/log    see `place`
//! ```
//!
//! None outlives its pod, but a pod can outlive its log: when the host is
//! started again, /run is empty. Everything here is done under one lock, so
//! that nobody collects what somebody else is making.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{AtFlags, FlockOperation, FsWord, Mode, OFlags};
use rustix::io::Errno;

use crate::state::directory;
use crate::state::subdirectory;
use appc::types::Uuid;
use error::{Context as _, Error, Result};
use sys::dirs::{Dirs, State};
use sys::root_fd;

/// The file system that is in memory on every host that keeps to the Filesystem
/// Hierarchy Standard.
const MEMORY: &str = "/run";

/// The directory of all logs there.
const LOGS: [&str; 2] = ["nosecone", "log"];

/// The link to the directory that the pod of a log is in.
const OWNER: &str = "dir";

/// The log itself.
const LOG: &str = "log";

/// statfs(2), `f_type`: of tmpfs and of ramfs, which an initramfs can be.
const IN_MEMORY: [FsWord; 2] = [0x0102_1994, 0x8584_58f6];

/// The states in which a pod has a log that is not being removed.
const ALIVE: [State; 2] = [State::Run, State::Exited];

/// Makes the log of a pod, instead of one that an earlier pod of its UUID left.
///
/// # Errors
///
/// /run is not in memory; a pod in another directory has this UUID.
pub(crate) fn make(dirs: &Dirs, uuid: Uuid) -> Result<OwnedFd> {
    let what = || format!("cannot use `{MEMORY}/{}`", LOGS.join("/"));
    let mut logs = memory().context(what)?;
    if !IN_MEMORY.contains(&rustix::fs::fstatfs(&logs).context(what)?.f_type) {
        return Err(Error::invalid(format!("`{MEMORY}` is not in memory"))
            .hint(format!("`mount -t tmpfs tmpfs {MEMORY}`")));
    }
    for name in LOGS {
        logs = subdirectory::make(logs.as_fd(), name).context(what)?;
    }
    rustix::fs::flock(&logs, FlockOperation::LockExclusive).context(what)?;
    let name = uuid.to_string();
    match owner(dirs, &logs, &name).context(what)? {
        Some(Owner::Other) => {
            let taken = "a pod in another directory has the same UUID";
            return Err(Error::invalid(taken));
        }
        Some(_) => root_fd::remove_tree(logs.as_fd(), &name).context(what)?,
        None => {}
    }
    let entry = subdirectory::make(logs.as_fd(), &name).context(what)?;
    rustix::fs::symlinkat(dirs.path(), &entry, OWNER).context(what)?;
    subdirectory::make(entry.as_fd(), LOG).context(what)
}

/// Opens the log of a pod, if it is there.
pub fn open(dirs: &Dirs, uuid: Uuid) -> std::io::Result<Option<OwnedFd>> {
    let Some(logs) = all()? else {
        return Ok(None);
    };
    let name = uuid.to_string();
    match owner(dirs, &logs, &name)? {
        Some(Owner::Us) => match subdirectory::open(logs, &name)? {
            Some(entry) => Ok(subdirectory::open(entry, LOG)?),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

/// Removes the log of a pod that is no more, if it has one.
pub fn remove(dirs: &Dirs, uuid: Uuid) -> Result<()> {
    let what = || format!("cannot remove the log of pod `{uuid}`");
    let name = uuid.to_string();
    let Some(logs) = all().context(what)? else {
        return Ok(());
    };
    // First without the lock: few pods have one.
    if subdirectory::open(&logs, &name).context(what)?.is_none() {
        return Ok(());
    }
    rustix::fs::flock(&logs, FlockOperation::LockExclusive).context(what)?;
    match is_left(dirs, &logs, uuid, &ALIVE)? {
        true => root_fd::remove_tree(logs.as_fd(), &name).context(what),
        false => Ok(()),
    }
}

/// Returns the pods of which nothing is left but a log in memory.
pub fn left(dirs: &Dirs) -> Result<Vec<Uuid>> {
    let what = || "cannot list the logs in memory";
    let Some(logs) = all().context(what)? else {
        return Ok(Vec::new());
    };
    rustix::fs::flock(&logs, FlockOperation::LockExclusive).context(what)?;
    let mut left = Vec::new();
    for entry in rustix::fs::Dir::read_from(&logs).context(what)? {
        let entry = entry.context(what)?;
        let name = entry.file_name().to_str().ok();
        if let Some(uuid) = name.and_then(|name| Uuid::parse(name).ok())
            && is_left(dirs, &logs, uuid, &State::ALL)?
        {
            left.push(uuid);
        }
    }
    left.sort();
    Ok(left)
}

/// Tells whether a log belongs to no pod in one of these states. The lock is held.
fn is_left(dirs: &Dirs, logs: &OwnedFd, uuid: Uuid, states: &[State]) -> Result<bool> {
    let what = || format!("cannot look at the log of pod `{uuid}`");
    if !matches!(
        owner(dirs, logs, &uuid.to_string()).context(what)?,
        Some(Owner::Us | Owner::Nobody)
    ) {
        return Ok(false);
    }
    for &state in states {
        if directory::open_in(dirs, state, uuid)?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whose pod a log is of.
enum Owner {
    /// One in these directories.
    Us,
    /// One elsewhere.
    Other,
    /// Whoever made it was killed.
    Nobody,
}

/// Tells whose a log is, if it is there.
fn owner(dirs: &Dirs, logs: &OwnedFd, name: &str) -> rustix::io::Result<Option<Owner>> {
    let Some(entry) = subdirectory::open(logs, name)? else {
        return Ok(None);
    };
    match rustix::fs::readlinkat(&entry, OWNER, []) {
        Ok(_) => {}
        Err(Errno::NOENT) => return Ok(Some(Owner::Nobody)),
        Err(errno) => return Err(errno),
    }
    let Ok(root) = dirs.root() else {
        return Ok(Some(Owner::Other));
    };
    // By whichever path it is called, it is the same directory.
    match (
        rustix::fs::statat(&entry, OWNER, AtFlags::empty()),
        rustix::fs::fstat(root)?,
    ) {
        (Ok(there), here) if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino) => {
            Ok(Some(Owner::Us))
        }
        _ => Ok(Some(Owner::Other)),
    }
}

/// Opens the directory of all logs, if it is there and ours.
fn all() -> rustix::io::Result<Option<OwnedFd>> {
    let find = || {
        let mut logs = memory()?;
        for name in LOGS {
            logs = subdirectory::open(&logs, name)?.ok_or(Errno::NOENT)?;
        }
        Ok(logs)
    };
    match find() {
        Ok(logs) => Ok(Some(logs)),
        // Where it is closed to us, no log of ours is in it.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Opens /run, which may be a link.
fn memory() -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(MEMORY, flags, Mode::empty())
}
