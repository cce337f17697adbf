//! Logs in memory, for pods of all data directories:
//!
//! ```text
//! /run/nosecone/log/UUID/dir    a link to the data directory, as in `--dir`
//! /run/nosecone/log/UUID/log    see `place`
//! ```
//!
//! No log outlives its pod, but a pod can outlive its log: /run is empty after
//! a reboot. A lock protects everything here, so that no process collects what
//! another is making.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{Access, AtFlags, FlockOperation, FsWord, Mode, OFlags};
use rustix::io::Errno;

use crate::state::directory;
use crate::state::subdirectory;
use appc::types::Uuid;
use error::{Context as _, Error, Result};
use sys::dirs::{Dirs, State};
use sys::root_fd;

/// The file system that is in memory on every host that follows the Filesystem
/// Hierarchy Standard.
const MEMORY: &str = "/run";

/// The directory of all logs in it.
const LOGS: [&str; 2] = ["nosecone", "log"];

/// The link to the data directory of the pod.
const OWNER: &str = "dir";

/// The log itself.
const LOG: &str = "log";

/// The `f_type` that statfs(2) reports for tmpfs, and for ramfs, which an
/// initramfs can be.
const IN_MEMORY: [FsWord; 2] = [0x0102_1994, 0x8584_58f6];

/// The states of a pod in which its log is kept.
const WITH_LOG: [State; 2] = [State::Run, State::Exited];

/// Makes the log of a pod, replacing one that an earlier pod with this UUID
/// left.
///
/// # Errors
///
/// Fails if /run is not in memory, or a pod of another data directory has this
/// UUID.
pub(crate) fn make(dirs: &Dirs, uuid: Uuid) -> Result<OwnedFd> {
    let what = || format!("cannot use `{MEMORY}/{}`", LOGS.join("/"));
    let mut logs = memory().context(what)?;
    if !IN_MEMORY.contains(&rustix::fs::fstatfs(&logs).context(what)?.f_type) {
        return Err(Error::invalid(format!("`{MEMORY}` is not in memory"))
            .hint(format!("mount a tmpfs: `mount -t tmpfs tmpfs {MEMORY}`")));
    }
    for name in LOGS {
        logs = subdirectory::make(logs.as_fd(), name).context(what)?;
    }
    rustix::fs::flock(&logs, FlockOperation::LockExclusive).context(what)?;
    let name = uuid.to_string();
    match owner(dirs, &logs, &name).context(what)? {
        Some(Owner::Other) => {
            let taken = "a pod in another data directory has the same UUID";
            return Err(Error::invalid(taken));
        }
        Some(_) => root_fd::remove_tree(logs.as_fd(), &name).context(what)?,
        None => {}
    }
    let entry = subdirectory::make(logs.as_fd(), &name).context(what)?;
    rustix::fs::symlinkat(dirs.path(), &entry, OWNER).context(what)?;
    subdirectory::make(entry.as_fd(), LOG).context(what)
}

/// Opens the log of a pod, if it exists.
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

/// Removes the log of a pod that no longer exists.
pub fn remove(dirs: &Dirs, uuid: Uuid) -> Result<()> {
    let what = || format!("cannot remove the log of pod `{uuid}`");
    let name = uuid.to_string();
    // Checked without the lock first: few pods have a log in memory.
    let entry = Path::new(MEMORY).join(LOGS.join("/")).join(&name);
    if rustix::fs::access(entry, Access::EXISTS) == Err(Errno::NOENT) {
        return Ok(());
    }
    let Some(logs) = all().context(what)? else {
        return Ok(());
    };
    rustix::fs::flock(&logs, FlockOperation::LockExclusive).context(what)?;
    match is_orphan(dirs, &logs, uuid, &WITH_LOG)? {
        true => root_fd::remove_tree(logs.as_fd(), &name).context(what),
        false => Ok(()),
    }
}

/// Returns the pods of which only a log in memory is left.
pub fn orphans(dirs: &Dirs) -> Result<Vec<Uuid>> {
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
            && is_orphan(dirs, &logs, uuid, &State::ALL)?
        {
            left.push(uuid);
        }
    }
    left.sort();
    Ok(left)
}

/// Returns whether no pod in one of these states has this log. The lock is
/// held.
fn is_orphan(dirs: &Dirs, logs: &OwnedFd, uuid: Uuid, states: &[State]) -> Result<bool> {
    let what = || format!("cannot read the owner of the log of pod `{uuid}`");
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

/// The owner of a log.
enum Owner {
    /// A pod in this data directory.
    Us,
    /// A pod in another data directory.
    Other,
    /// None: whoever made it was killed.
    Nobody,
}

/// Returns the owner of a log, if the log exists.
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
    // Compares the directories, not their paths.
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

/// Opens the directory of all logs, if it exists and is ours.
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
        // If we have no access to it, none of our logs is in it.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Opens /run, which may be a link.
fn memory() -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(MEMORY, flags, Mode::empty())
}
