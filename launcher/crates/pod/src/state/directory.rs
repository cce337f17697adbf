//! A pod on disk: a directory named after the pod's UUID, and its lock.
//!
//! A pod's state is the directory it is in and whether its lock is held;
//! nothing can go stale:
//!
//! ```text
//! pods/embryo/UUID     being made; garbage if not locked
//! pods/prepare/UUID    locked: being prepared. Not locked: interrupted
//! pods/prepared/UUID   can be run, once
//! pods/run/UUID        locked: running. Not locked: its host or its init was killed
//! pods/exited/UUID     has exited, and is kept until it is removed
//! pods/garbage/UUID    being removed
//! ```
//!
//! ```text
//! UUID/spec            what runs; see `PodSpec`
//! UUID/manifest        the equivalent pod manifest, for the metadata service
//! UUID/plan            the plan, if written by hand; otherwise it is composed
//! UUID/groups          cgroups, made at the start and removed in the end
//! UUID/freezer         cgroups that were made to pause it, removed in the end
//! UUID/lock            empty; PID 1 of the pod holds a lock on it, see `lock`
//! UUID/undo            empty: stage1-init may remove the pod by itself, see `UNDO`
//! UUID/restarts        how often it was started again; see `runtime::again`
//! UUID/health          how its apps are; see `status::health`
//! UUID/unhealthy       empty: it was killed for that, to be started again
//! UUID/stopped         empty: it was stopped, and is not started again
//! UUID/report          the report of stage1-init, and in the end how often memory
//!                      had run out; see `cgroup::oom`
//! UUID/created, UUID/prepared, UUID/started, UUID/ended
//!                      when that happened, and how; see `records`
//! UUID/network         how it is connected; see `network::attachment`
//! UUID/cni, UUID/cni-output
//!                      what plugins were asked for, and have answered; see
//!                      `network::cni`
//! UUID/log/APP/        log and log.1: what an app of a detached pod wrote, if the
//!                      log is kept here; see `log`
//! UUID/apps/NAME/      rootfs (where it is mounted), upper (its changes), work
//! UUID/volumes/NAME/   the pod's empty volumes
//! ```
//!
//! The lock is a flock(2) on the directory itself. It moves with the directory,
//! is inherited by `stage1-init`'s outer half and by the launcher that this
//! executes in the end, and the kernel releases it when they are gone, in
//! whatever way. The inner half holds a lock of its own; see `lock`. A process
//! that makes a pod also holds a shared lock on `pods/embryo` until it has
//! locked the pod's directory; whoever gets an exclusive lock there may remove
//! all that is in it.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::spec::pod::PodSpec;
use crate::state::subdirectory;
use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};
use sys::dirs::{Dirs, Part, State};
use sys::small_file;

/// The file with the pod's spec.
pub const SPEC: &str = "spec";

/// The file with the pod manifest.
pub const MANIFEST: &str = "manifest";

/// The file with the report of stage1-init.
pub const REPORT: &str = "report";

/// The file with a plan written by hand.
pub const PLAN: &str = "plan";

/// The empty file that is there as long as stage1-init may remove the pod by
/// itself, since it knows all that is to be removed. Whoever makes something
/// else for the pod takes it away first, and stage1-init does so before it
/// begins.
pub(crate) const UNDO: &str = "undo";

/// The empty file that is there from when somebody asked a pod to stop: it is not
/// started again.
const STOPPED: &str = "stopped";

/// Notes that somebody asks a running pod to stop.
///
/// # Errors
///
/// The disk refuses.
pub fn note_stop(pod: impl AsFd) -> Result<()> {
    let noted = append(pod, STOPPED).map(drop);
    noted.context(|| "cannot note that the pod is to stop")
}

/// Returns whether somebody has asked a running pod to stop.
pub fn is_stopped(pod: impl AsFd) -> bool {
    rustix::fs::accessat(pod, STOPPED, Access::EXISTS, AtFlags::empty()).is_ok()
}

/// The empty file that is there from when a pod was killed because an app is
/// unhealthy, if it is to be started again for that.
const UNHEALTHY: &str = "unhealthy";

/// Notes that a pod is to be started again because an app is unhealthy.
///
/// # Errors
///
/// The disk refuses.
pub fn note_unhealthy(pod: impl AsFd) -> Result<()> {
    let noted = append(pod, UNHEALTHY).map(drop);
    noted.context(|| "cannot note that the pod is to be started again")
}

/// Takes that note away; returns whether it was there.
pub fn take_unhealthy(pod: impl AsFd) -> bool {
    rustix::fs::unlinkat(pod, UNHEALTHY, AtFlags::empty()).is_ok()
}

/// The mode of our directories: only the owner has access.
pub(crate) const PRIVATE: Mode = Mode::RWXU;

/// Returns the directory on the host that a running pod writes to: its own if
/// it is remembered, otherwise its scratch directory.
pub fn files(dir: &Path, uuid: Uuid, remembered: bool) -> PathBuf {
    let place = match remembered {
        true => "pods/run",
        false => SCRATCH,
    };
    dir.join(place).join(uuid.to_string())
}

/// Returns the pod that writes to this directory.
pub fn owner_of_files(dir: &Path, path: &Path) -> Option<Uuid> {
    let mut places = ["pods/run", SCRATCH].into_iter();
    let inside = places.find_map(|place| path.strip_prefix(dir.join(place)).ok())?;
    let uuid = inside.components().next()?.as_os_str().to_str()?;
    Uuid::parse(uuid).ok()
}

/// The parent of the scratch directories, which pods that are not remembered
/// write to.
const SCRATCH: &str = "scratch";

/// Returns whether this is a scratch directory.
pub fn is_scratch(dir: &Path, files: &Path) -> bool {
    files.starts_with(dir.join(SCRATCH))
}

/// Reads a file of a pod; `None` if the pod does not have it.
pub fn find(dirs: &Dirs, uuid: Uuid, name: &str) -> Result<Option<Vec<u8>>> {
    let what = || cannot_read(name, uuid);
    let pod = open_in(dirs, State::Run, uuid)?;
    let content = pod.map(|pod| read_in(pod, name)).transpose();
    Ok(content.context(what)?.flatten())
}

/// Reads the spec of a pod.
pub fn spec(dirs: &Dirs, state: State, uuid: Uuid) -> Result<PodSpec> {
    let text = read(dirs, state, uuid, SPEC)?;
    PodSpec::read(&text).context(|| format!("cannot read `{SPEC}` of pod `{uuid}`"))
}

/// Opens the directory of a pod in a state; `None` if it does not exist.
pub fn open_in(dirs: &Dirs, state: State, uuid: Uuid) -> Result<Option<OwnedFd>> {
    let Ok(base) = dirs.pods_base() else {
        return Ok(None);
    };
    let path = Part::Pods(state).path().join(uuid.to_string());
    subdirectory::open(base, path).context(|| format!("cannot open the directory of pod `{uuid}`"))
}

/// Reads a file in a pod's directory; `None` if it does not exist.
pub fn read_in(pod: impl AsFd, name: &str) -> std::io::Result<Option<Vec<u8>>> {
    small_file::find(pod, name, usize::MAX)
}

/// Opens a file in a pod's directory, which can be read even after the pod is
/// removed; `None` if it does not exist.
pub fn open_in_pod(pod: impl AsFd, name: &str) -> std::io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(pod, name, flags, Mode::empty()) {
        Ok(file) => Ok(Some(file.into())),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Reads a file of a pod in a state.
pub fn read(dirs: &Dirs, state: State, uuid: Uuid, name: &str) -> Result<Vec<u8>> {
    let what = || cannot_read(name, uuid);
    let pod = open_in(dirs, state, uuid)?;
    let content = pod.map(|pod| read_in(pod, name)).transpose();
    content.context(what)?.flatten().ok_or_else(|| {
        Error::new(Kind::NotFound, what()).because(std::io::Error::from(Errno::NOENT))
    })
}

fn cannot_read(name: &str, uuid: Uuid) -> String {
    format!("cannot read `{name}` of pod `{uuid}`")
}

/// Makes a file in a pod's directory; it must not exist.
pub(crate) fn make(directory: impl AsFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR)
}

/// Replaces a file in a pod's directory: whoever reads it finds the old one or the
/// new one.
///
/// # Errors
///
/// The disk refuses.
pub fn replace(directory: impl AsFd, name: &str, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let aside = format!("{name}.new");
    let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::NOFOLLOW;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = rustix::fs::openat(&directory, &aside, flags | OFlags::CLOEXEC, mode)?;
    File::from(file).write_all(content)?;
    Ok(rustix::fs::renameat(&directory, &aside, &directory, name)?)
}

/// Opens a file in a pod's directory for appending; makes it if it does not
/// exist.
pub fn append(directory: impl AsFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::APPEND;
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR)
}

/// Opens a directory by name.
pub(crate) fn open(parent: BorrowedFd<'_>, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}
