//! A pod on disk: a directory, named by the pod's UUID, and its lock.
//!
//! Which directory it is in and whether its lock is held is all the state a
//! pod has, so none of it can be stale:
//!
//! ```text
//! pods/embryo/UUID     being made; without a lock, rubbish
//! pods/prepare/UUID    locked: being prepared. Not locked: that was cut short
//! pods/prepared/UUID   can be run, once
//! pods/run/UUID        locked: running. Not locked: its host or its init was killed
//! pods/exited/UUID     over, and kept until somebody removes it
//! pods/garbage/UUID    being removed
//! ```
//!
//! ```text
//! UUID/spec            what runs; see `PodSpec`
//! UUID/manifest        the same as a pod manifest, for the metadata service
//! UUID/plan            the plan, if somebody wrote it; else it is composed
//! UUID/groups          cgroups that are made, and removed in the end
//! UUID/freezer         cgroups that were made to pause it, and removed in the end
//! UUID/lock            empty; what PID 1 of the pod has locked, see `lock`
//! UUID/report          what stage1-init said of it
//! UUID/created, UUID/started, UUID/ended
//!                      when it was, and by whom: see `life`
//! UUID/log/APP/        log and log.1: what an app wrote of a pod that goes on
//!                      without its caller, if it is kept here; see `log`
//! UUID/apps/NAME/      rootfs (where it is mounted), upper (its changes), work
//! UUID/volumes/NAME/   the pod's empty volumes
//! ```
//!
//! The lock is a flock(2) on the directory itself. It moves with the directory,
//! is inherited by `stage1-init`'s outer half and by what that becomes in the
//! end, and the kernel releases it when they are gone, however that came about.
//! The inner half holds a lock of its own; see `lock`.
//! Who makes a pod also has a shared lock on `pods/embryo` until the pod has
//! one of its own; what is there under an exclusive one is rubbish.

use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::spec::pod::PodSpec;
use crate::state::subdirectory;
use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};
use sys::dirs::{Dirs, Part, State};

/// The file of what runs in a pod.
pub const SPEC: &str = "spec";

/// The file that says the same as a pod manifest.
pub const MANIFEST: &str = "manifest";

/// The file of a plan that somebody wrote.
pub const PLAN: &str = "plan";

/// What may be in a directory: only its owner looks into it.
pub(crate) const PRIVATE: Mode = Mode::RWXU;

/// Returns where the files are on the host that a running pod writes: in its own
/// directory if it is remembered, else in that of its `scratch`.
pub fn files(dir: &Path, uuid: Uuid, remembered: bool) -> PathBuf {
    let place = match remembered {
        true => "pods/run",
        false => SCRATCH,
    };
    dir.join(place).join(uuid.to_string())
}

/// Tells which pod's these files are.
pub fn whose_files(dir: &Path, path: &Path) -> Option<Uuid> {
    let mut places = ["pods/run", SCRATCH].into_iter();
    let inside = places.find_map(|place| path.strip_prefix(dir.join(place)).ok())?;
    let uuid = inside.components().next()?.as_os_str().to_str()?;
    Uuid::parse(uuid).ok()
}

/// The directory of what pods write that are not remembered.
const SCRATCH: &str = "scratch";

/// Tells whether a pod writes there.
pub fn is_scratch(dir: &Path, files: &Path) -> bool {
    files.starts_with(dir.join(SCRATCH))
}

/// Reads a file of a pod that may not have it.
pub fn find(dirs: &Dirs, uuid: Uuid, name: &str) -> Result<Option<Vec<u8>>> {
    let pod = open(dirs.pods(State::Run)?.as_fd(), &uuid.to_string());
    let there =
        pod.and_then(|pod| rustix::fs::accessat(&pod, name, Access::EXISTS, AtFlags::empty()));
    match there {
        Err(Errno::NOENT) => Ok(None),
        _ => read(dirs, State::Run, uuid, name).map(Some),
    }
}

/// Reads what runs in a pod.
pub fn spec(dirs: &Dirs, state: State, uuid: Uuid) -> Result<PodSpec> {
    let text = read(dirs, state, uuid, SPEC)?;
    PodSpec::read(&text).context(|| format!("cannot read `{SPEC}` of pod `{uuid}`"))
}

/// Opens the directory of a pod in a state, if it is there.
pub fn open_in(dirs: &Dirs, state: State, uuid: Uuid) -> Result<Option<OwnedFd>> {
    let Some(pods) = dirs.find(Part::Pods(state))? else {
        return Ok(None);
    };
    subdirectory::open(pods, &uuid.to_string())
        .context(|| format!("cannot open the directory of pod `{uuid}`"))
}

/// Reads a file in the directory of a pod; `None` if there is none.
pub fn read_in(pod: impl AsFd, name: &str) -> std::io::Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(pod, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let mut content = Vec::new();
    std::fs::File::from(file).read_to_end(&mut content)?;
    Ok(Some(content))
}

/// Reads a file of a pod in a state.
pub fn read(dirs: &Dirs, state: State, uuid: Uuid, name: &str) -> Result<Vec<u8>> {
    let what = || format!("cannot read `{name}` of pod `{uuid}`");
    let pod = open(dirs.pods(state)?.as_fd(), &uuid.to_string()).context(what)?;
    let content = read_in(&pod, name).context(what)?;
    content.ok_or_else(|| {
        Error::new(Kind::NotFound, what()).because(std::io::Error::from(Errno::NOENT))
    })
}

/// Makes a file in the directory of a pod, which must not be there.
pub(crate) fn make(directory: impl AsFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR)
}

/// Opens a file in the directory of a pod, to append to it; makes it if it is
/// not there.
pub fn append(directory: impl AsFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::APPEND;
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR)
}

/// Opens a directory by its name.
pub(crate) fn open(parent: BorrowedFd<'_>, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}
