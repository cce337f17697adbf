//! Where the log of a pod is: a directory with a subdirectory for each app.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use crate::spec::log::Place;
use crate::state::log::memory;
use crate::state::log::source::Source;
use crate::state::subdirectory;
use appc::types::Uuid;
use error::{Context as _, Result};
use sys::dirs::Dirs;

/// The directory of the log in the pod's directory.
const LOG: &str = "log";

/// Makes the log of a pod, without apps; `None` if nothing is kept.
pub fn make(dirs: &Dirs, pod: BorrowedFd<'_>, uuid: Uuid, place: Place) -> Result<Option<OwnedFd>> {
    let what = || format!("cannot create the log of pod `{uuid}`");
    match place {
        Place::Disk => subdirectory::make(pod, LOG).context(what).map(Some),
        Place::Memory => memory::make(dirs, uuid).context(what).map(Some),
        Place::Nowhere => Ok(None),
    }
}

/// Opens the logs of a pod's apps, sorted by name; `None` if they no longer
/// exist.
pub fn open(
    dirs: &Dirs,
    pod: BorrowedFd<'_>,
    uuid: Uuid,
    place: Place,
) -> std::io::Result<Option<Vec<Source>>> {
    let log = match place {
        Place::Disk => subdirectory::open(pod, LOG)?,
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
            && let Some(directory) = subdirectory::open(log.as_fd(), &name)?
        {
            sources.push(Source::new(name, directory));
        }
    }
    sources.sort_by(|one, other| one.app.cmp(&other.app));
    Ok(Some(sources))
}
