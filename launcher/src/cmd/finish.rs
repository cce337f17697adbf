//! Cleans up when a pod has exited. `stage1-init` becomes the launcher again
//! for this, and still holds the pod's lock. This is an internal command.

use std::path::Path;

use crate::cmd::exit::Exit;
use crate::cmd::failure::{explained, failed, init_was_killed};
use appc::types::Uuid;
use error::{Error, Result};
use pod::plan::streams::Streams;
use pod::runtime::start::Runnable;
use pod::runtime::{status, teardown};
use pod::state::records::{STARTED, Started};
use pod::state::{directory, find};
use sys::dirs::{Dirs, State};
use sys::host::Host;

/// Keeps or removes the pod, as its options say, and explains why if its plan
/// failed. A pod that never ran is not kept. `data` is the descriptor of the data
/// directory, which may have been moved while the pod ran. Returns how the pod has
/// ended.
///
/// # Errors
///
/// The explanation of the directive that failed. It is the pod's error; the
/// caller exits with the pod's status all the same.
pub(crate) fn run(dir: &Path, data: u32, uuid: Uuid, status: u8) -> Result<Exit> {
    let dirs = &find::running_place(&Dirs::inherited(data, dir)?, uuid);
    let told = told(dirs, uuid);
    let began = !matches!(&told, Ok((report, _)) if !status::is_ready(report));
    let concluded = match began {
        true => teardown::conclude(dirs, uuid, Some(status)),
        false => teardown::remove(dirs, State::Run, uuid),
    };
    match told? {
        (_, Some(error)) => Err(error),
        // The init has already reported or printed its own failures.
        (_, None) if !began && status > SIGNALLED => Err(init_was_killed()),
        (report, None) => concluded.map(|()| Exit::reported(status, &report)),
    }
}

/// Statuses above this one mean that a signal ended the app.
const SIGNALLED: u8 = 128;

/// Reads the report, and explains it if a directive failed.
fn told(dirs: &Dirs, uuid: Uuid) -> Result<(Vec<u8>, Option<Error>)> {
    let report = directory::read(dirs, State::Run, uuid, "report")?;
    if failed(&report).is_none() {
        return Ok((report, None));
    }
    let runnable = Runnable::read(dirs, State::Run, uuid)?;
    let error = explained(&runnable, &Host::observe(), streams(dirs, uuid)?, &report);
    Ok((report, error))
}

/// Returns where the output of a pod goes; the plan has extra directives for
/// some destinations.
fn streams(dirs: &Dirs, uuid: Uuid) -> Result<Streams> {
    let record = directory::find(dirs, uuid, STARTED)?;
    let started = record.and_then(|record| Started::read(&record));
    Ok(match started {
        Some(Started { log: Some(log), .. }) => Streams::Logged(log),
        Some(Started { silent: true, .. }) => Streams::Silent,
        _ => Streams::Inherited,
    })
}
