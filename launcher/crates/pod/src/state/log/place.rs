//! Where the log of a pod is: a directory with one for each app in it.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::Mode;
use rustix::io::Errno;

use crate::state::lock;
use crate::state::log::source::Source;
use crate::state::log::{Place, memory};
use appc::types::Uuid;
use error::{Context as _, Result};
use sys::dirs::Dirs;

/// The directory of the log in that of its pod.
const LOG: &str = "log";

/// What may be in a directory: only its owner looks into it.
const PRIVATE: Mode = Mode::RWXU;

/// Makes the log of a pod, without apps; `None` if nothing is kept.
pub fn make(dirs: &Dirs, pod: BorrowedFd<'_>, uuid: Uuid, place: Place) -> Result<Option<OwnedFd>> {
    let what = || format!("cannot make the log of pod `{uuid}`");
    match place {
        Place::Disk => make_in(pod, LOG).context(what).map(Some),
        Place::Memory => memory::make(dirs, uuid).context(what).map(Some),
        Place::Nowhere => Ok(None),
    }
}

/// Makes a directory that may be there.
pub(crate) fn make_in(parent: BorrowedFd<'_>, name: &str) -> rustix::io::Result<OwnedFd> {
    match rustix::fs::mkdirat(parent, name, PRIVATE) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    lock::open(parent, name)?.ok_or(Errno::NOENT)
}

/// Opens the logs of a pod's apps, in order of their names; `None` if they are
/// not there any more.
pub fn open(
    dirs: &Dirs,
    pod: BorrowedFd<'_>,
    uuid: Uuid,
    place: Place,
) -> std::io::Result<Option<Vec<Source>>> {
    let log = match place {
        Place::Disk => lock::open(pod, LOG)?,
        Place::Memory => memory::open(dirs, uuid)?,
        Place::Nowhere => None,
    };
    let Some(log) = log else {
        return Ok(None);
    };
    let mut sources = Vec::new();
    for entry in rustix::fs::Dir::read_from(&log)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "."
            && name != ".."
            && let Some(directory) = lock::open(log.as_fd(), &name)?
        {
            sources.push(Source::new(name, directory));
        }
    }
    sources.sort_by(|one, other| one.app.cmp(&other.app));
    Ok(Some(sources))
}
