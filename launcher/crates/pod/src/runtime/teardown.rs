//! The end of a pod: what is kept of it, and how it is removed.
//!
//! The caller holds the pod's lock, so that no two processes do this at once.
//! All removal goes through [`remove`].

use std::io::ErrorKind::PermissionDenied;
use std::io::{Seek as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::fs::{Access, AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::network;
use crate::runtime::pause::{self, PATIENCE, PauseLock};
use crate::runtime::status;
use crate::state::directory::read_in;
use crate::state::lock::{self, Release};
use crate::state::log::memory;
use crate::state::records::{self, ENDED, Ended, Started};
use crate::state::subdirectory;
use appc::types::Uuid;
use error::{Context as _, Result};
use sys::dirs::{Dirs, Part, State};
use sys::root_fd;

/// Takes the lock of a pod in a state; `None` if the pod does not exist or is
/// locked. Commands that make pods hold a shared lock on `pods/embryo`, since
/// their pods have no lock at first.
pub fn claim(dirs: &Dirs, state: State, uuid: Uuid) -> Result<Option<OwnedFd>> {
    let what = || format!("cannot lock pod `{uuid}`");
    let name = uuid.to_string();
    let Some(parent) = dirs.find(Part::Pods(state))? else {
        return Ok(None);
    };
    let Some(directory) = subdirectory::open(&parent, &name).context(what)? else {
        return Ok(None);
    };
    if state == State::Embryo {
        match rustix::fs::flock(&parent, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Ok(None),
            locked => locked.context(what)?,
        }
    }
    let mut got = lock::take(&directory).context(what)?;
    if !got && state == State::Run && pause::thaw_dying(dirs, uuid)? {
        // Now that the pod is thawed, it dies and releases the lock.
        let waiting = directory.try_clone().context(what)?;
        Release::of(waiting)?.until(Instant::now().checked_add(PATIENCE))?;
        got = lock::take(&directory).context(what)?;
    }
    let got = got && lock::is_there(&parent, &name, &directory).context(what)?;
    Ok(got.then_some(directory))
}

/// Ends a pod in `pods/run` as requested when it was started: keeps it, with a
/// record of how it ended, or removes it.
pub fn conclude(dirs: &Dirs, uuid: Uuid, status: Option<u8>) -> Result<()> {
    let turn = PauseLock::take(dirs, uuid)?;
    let record = turn.as_ref().map_or(Ok(None), PauseLock::started);
    let record = record.context(|| format!("cannot determine whether to keep pod `{uuid}`"))?;
    let started = record.and_then(|record| Started::read(&record));
    match started.is_some_and(|started| started.keep) {
        true => retire_under(turn.as_ref(), dirs, uuid, status),
        false => remove_under(turn.as_ref(), dirs, State::Run, uuid),
    }
}

/// Keeps a pod in `pods/run` that has ended, with a record of how it ended.
pub fn retire(dirs: &Dirs, uuid: Uuid, status: Option<u8>) -> Result<()> {
    retire_under(PauseLock::take(dirs, uuid)?.as_ref(), dirs, uuid, status)
}

fn retire_under(
    turn: Option<&PauseLock>,
    dirs: &Dirs,
    uuid: Uuid,
    status: Option<u8>,
) -> Result<()> {
    release(turn)?;
    let what = || format!("cannot keep pod `{uuid}`");
    let name = uuid.to_string();
    let (run, exited) = (dirs.pods(State::Run)?, dirs.pods(State::Exited)?);
    let Some(pod) = subdirectory::open(&run, &name).context(what)? else {
        return Ok(());
    };
    let written = read_in(&pod, ENDED).context(what)?;
    let written = written.is_some_and(|record| Ended::read(&record).is_some());
    let ended = Ended {
        time: records::now(),
        status,
    };
    let write = |now| match now && !written {
        true => write_record(&pod, uuid, &ended).context(what),
        false => Ok(()),
    };
    // If the status is known, it is recorded before the pod counts as exited. A
    // pod that was found dead is moved first, so that it is not listed as
    // running any longer than necessary.
    let early = write(status.is_some());
    // The pod has exited even if the disk is full.
    rustix::fs::renameat_with(&run, &name, &exited, &name, RenameFlags::NOREPLACE)
        .and_then(|()| rustix::fs::fsync(&exited))
        .context(what)?;
    early.and(write(status.is_none()))
}

/// Removes what a pod that has ended has elsewhere on the host: its groups, and
/// its network.
fn release(turn: Option<&PauseLock>) -> Result<()> {
    let Some(turn) = turn else {
        return Ok(());
    };
    turn.remove_groups()?;
    network::disconnect(turn.pod(), turn.uuid())
}

/// Writes how a pod ended, with what is listed of it if there is room for that.
fn write_record(pod: &OwnedFd, uuid: Uuid, ended: &Ended) -> std::io::Result<()> {
    let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::CLOEXEC;
    let flags = flags | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(pod, ENDED, flags, Mode::RUSR | Mode::WUSR)?;
    let mut file = std::fs::File::from(file);
    // What cannot be read of the pod is reported whenever it is listed.
    let listed = status::record(pod, uuid, Some(ended)).ok().flatten();
    let written = listed.is_some_and(|text| file.write_all(text.as_bytes()).is_ok());
    if !written {
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(ended.text().as_bytes())?;
    }
    file.sync_all()
}

/// Removes a pod: one rename takes it out of sight, then its files are deleted,
/// and then what it has elsewhere. After an interruption, a second call
/// finishes the job.
pub fn remove(dirs: &Dirs, state: State, uuid: Uuid) -> Result<()> {
    let turn = match state {
        State::Run => PauseLock::take(dirs, uuid)?,
        // In other states a pod has no groups; any with its UUID would be
        // another pod's.
        _ => None,
    };
    remove_under(turn.as_ref(), dirs, state, uuid)
}

fn remove_under(turn: Option<&PauseLock>, dirs: &Dirs, state: State, uuid: Uuid) -> Result<()> {
    release(turn)?;
    hide(dirs, state, uuid)?;
    memory::remove(dirs, uuid)?;
    let name = uuid.to_string();
    let mut deleted = delete(dirs.pods(State::Garbage)?, &name);
    if let Some(scratch) = scratch(dirs, &name)? {
        deleted = deleted.and(delete(scratch, &name));
    }
    let immutable = matches!(&deleted, Err(error) if error.kind() == PermissionDenied);
    let deleted = deleted.context(|| format!("cannot remove pod `{uuid}`"));
    deleted.map_err(|error| match immutable {
        true => {
            let place = dirs.pods_path().join("garbage").join(name);
            error.hint(format!(
                "`lsattr -R {}` shows which files are immutable",
                place.display()
            ))
        }
        false => error,
    })
}

/// Opens the parent of the scratch directory of a pod, if it has one.
fn scratch(dirs: &Dirs, name: &str) -> Result<Option<OwnedFd>> {
    let path = Part::Scratch.path().join(name);
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    match rustix::fs::accessat(dirs.root()?, path, Access::EXISTS, flags) {
        Err(Errno::NOENT) => Ok(None),
        _ => dirs.find(Part::Scratch),
    }
}

/// Takes a pod out of sight by moving it to `pods/garbage`.
pub fn hide(dirs: &Dirs, state: State, uuid: Uuid) -> Result<()> {
    let what = || format!("cannot remove pod `{uuid}`");
    if state == State::Garbage {
        return Ok(());
    }
    let name = uuid.to_string();
    let path = |state| Part::Pods(state).path().join(&name);
    let (base, from, to) = (dirs.pods_base()?, path(state), path(State::Garbage));
    let hidden = || rustix::fs::renameat(base, &from, base, &to);
    let mut moved = hidden();
    if matches!(moved, Err(Errno::NOTEMPTY | Errno::EXIST)) {
        // An earlier pod with this UUID was not completely removed.
        delete(dirs.pods(State::Garbage)?, &name).context(what)?;
        moved = hidden();
    }
    if moved == Err(Errno::NOENT) && dirs.find(Part::Pods(State::Garbage))?.is_none() {
        dirs.make(Part::Pods(State::Garbage))?;
        moved = hidden();
    }
    match moved {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno).context(what),
    }
}

/// Deletes a pod in `pods/garbage`.
fn delete(garbage: impl AsFd, name: &str) -> std::io::Result<()> {
    root_fd::remove_tree(garbage.as_fd(), name)
}
