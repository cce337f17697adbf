//! `launcher pause` and `launcher resume`: pauses and resumes pods.

use std::path::Path;

use crate::cmd::results::Results;
use crate::cmd::selector::PodSelector;
use crate::cmd::status::running;
use crate::cmd::{last_of, say};
use appc::json::Object;
use appc::types::Uuid;
use error::{Error, Kind, Result};
use pod::runtime::pause::{self, Outcome};
use sys::dirs::Dirs;

/// Pauses pods, and prints their UUIDs. Continues if one cannot be paused.
pub(crate) fn run(dir: &Path, selector: &PodSelector, results: &mut Results<'_>) -> Result<()> {
    each(
        dir,
        selector,
        results,
        &pause,
        "paused",
        "is already paused",
    )
}

/// Resumes pods, likewise.
pub(crate) fn resume(dir: &Path, selector: &PodSelector, results: &mut Results<'_>) -> Result<()> {
    let resume = |dirs: &Dirs, uuid| match running(dirs, uuid, "resume")? {
        Some(_) => pause::resume(dirs, uuid),
        None => Ok(Outcome::Exited),
    };
    each(dir, selector, results, &resume, "resumed", "is not paused")
}

fn pause(dirs: &Dirs, uuid: Uuid) -> Result<Outcome> {
    let pod = running(dirs, uuid, "pause")?;
    let Some(started) = pod.and_then(|pod| pod.started) else {
        return Ok(Outcome::Exited);
    };
    match pause::pause(dirs, uuid, &started.process)? {
        Outcome::Exited if running(dirs, uuid, "pause")?.is_some() => Err(Error::new(
            Kind::Failed,
            format!("cannot pause pod `{uuid}`: its process is not visible in this PID namespace"),
        )),
        outcome => Ok(outcome),
    }
}

fn each(
    dir: &Path,
    selector: &PodSelector,
    results: &mut Results<'_>,
    change: &dyn Fn(&Dirs, Uuid) -> Result<Outcome>,
    done: &str,
    already: &str,
) -> Result<()> {
    let dirs = Dirs::look(dir)?;
    let mut failures = Vec::new();
    for (place, uuid) in selector.find(&dirs, &mut failures) {
        match change(&place, uuid) {
            Ok(Outcome::Done) => {
                let object = Object::new().with("uuid", uuid.to_string());
                results.add(&format!("{done} {uuid}"), object)?;
            }
            Ok(Outcome::Already) => say(&[format!("pod `{uuid}` {already}")]),
            Ok(Outcome::Exited) => {
                failures.push(Error::invalid(format!("pod `{uuid}` has already exited")));
            }
            Err(error) => failures.push(error),
        }
    }
    last_of(failures)
}
