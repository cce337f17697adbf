//! `launcher rm`: removes pods.

use std::path::Path;

use crate::cmd::results::Results;
use crate::cmd::selector::PodSelector;
use crate::cmd::{last_of, stop};
use appc::json::Object;
use appc::types::Uuid;
use error::{Error, Kind, Result};
use pod::runtime::status::{self, Phase};
use pod::runtime::teardown;
use pod::state::directory;
use pod::state::lock::Release;
use sys::dirs::{Dirs, State};

/// The states in which a pod can be removed, in the order of its life: one that
/// changes state meanwhile is found in the next.
const STATES: [State; 6] = State::ALL;

/// Removes pods. Continues if one cannot be removed.
pub(crate) fn run(
    dir: &Path,
    selector: &PodSelector,
    force: bool,
    results: &mut Results<'_>,
) -> Result<()> {
    let dirs = Dirs::look(dir)?;
    let mut failures = Vec::new();
    for (place, uuid) in selector.find(&dirs, &mut failures) {
        match remove(&place, uuid, force) {
            Ok(()) => {
                let object = Object::new().with("uuid", uuid.to_string());
                results.add(&format!("removed {uuid}"), object.with("removed", true))?;
            }
            Err(error) => failures.push(error),
        }
    }
    last_of(failures)
}

fn remove(dirs: &Dirs, uuid: Uuid, force: bool) -> Result<()> {
    let what = || format!("cannot remove pod `{uuid}`");
    let mut killed = false;
    while !claim(dirs, uuid)? {
        let error = match status::read(dirs, uuid)?.map(|pod| pod.phase) {
            Some(Phase::Running) if force => {
                stop::kill_one(dirs, uuid)?;
                killed = true;
                continue;
            }
            // The process that ran it may still be recording its exit.
            Some(Phase::Exited | Phase::Aborted) => {
                if let Some(pod) = directory::open_in(dirs, State::Exited, uuid)? {
                    Release::of(pod)?.until(None)?;
                }
                continue;
            }
            // It was removed when it exited.
            None | Some(Phase::Deleting | Phase::Garbage | Phase::Gone) if killed => return Ok(()),
            None | Some(Phase::Deleting | Phase::Garbage | Phase::Gone) => {
                Error::new(Kind::NotFound, format!("pod `{uuid}` has been removed"))
            }
            Some(Phase::Running) => Error::invalid(format!("{}: it is running", what()))
                .hint("stop it with `launcher stop`, or use `--force` to kill it"),
            Some(Phase::Embryo | Phase::Preparing) => {
                Error::invalid(format!("{}: it is being prepared", what()))
            }
            Some(_) => Error::invalid(format!("{}: it is in use", what())),
        };
        return Err(error);
    }
    Ok(())
}

/// Removes a pod unless it is locked; returns whether it did.
fn claim(dirs: &Dirs, uuid: Uuid) -> Result<bool> {
    for state in STATES {
        if let Some(_claim) = teardown::claim(dirs, state, uuid)? {
            teardown::remove(dirs, state, uuid)?;
            return Ok(true);
        }
    }
    Ok(false)
}
