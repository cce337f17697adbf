//! `launcher pause` and `launcher resume`: pods stand still, and go on.

use std::io::Write;
use std::path::Path;

use crate::cmd::status::running;
use crate::cmd::which::Which;
use crate::cmd::{last_of, print, say};
use appc::types::Uuid;
use error::{Error, Kind, Result};
use pod::runtime::pause::{self, Outcome};
use sys::dirs::Dirs;

/// How to use `pause`.
pub(crate) const HELP: &str = "\
Usage: launcher pause UUID...
       launcher pause --uuid-file=FILE

Freezes all processes of pods that run: they use no processor and notice
nothing, until `launcher resume` lets them go on. When this returns they stand
still. `launcher stop` lets a pod go on before it asks; `launcher kill` kills
what is frozen; another signal waits until the pod goes on.

A pod without limits moves into a cgroup of its own when it is paused first:
of version 2, or of the controller `freezer` of version 1.

Instead of a UUID, any beginning of it will do that no other pod has, or the
name of the pod.
";

/// How to use `resume`.
pub(crate) const RESUME_HELP: &str = "\
Usage: launcher resume UUID...
       launcher resume --uuid-file=FILE

Lets pods go on that were paused.

Instead of a UUID, any beginning of it will do that no other pod has, or the
name of the pod.
";

/// Pauses pods, and prints their UUIDs. One that cannot be paused does not
/// keep the others.
pub(crate) fn run(dir: &Path, which: &Which, out: &mut dyn Write) -> Result<()> {
    each(dir, which, out, &pause, "paused", "is paused already")
}

/// Lets pods go on, likewise.
pub(crate) fn resume(dir: &Path, which: &Which, out: &mut dyn Write) -> Result<()> {
    let resume = |dirs: &Dirs, uuid| match running(dirs, uuid, "resume")? {
        Some(_) => pause::resume(dirs, uuid),
        None => Ok(Outcome::Over),
    };
    each(dir, which, out, &resume, "resumed", "is not paused")
}

fn pause(dirs: &Dirs, uuid: Uuid) -> Result<Outcome> {
    let pod = running(dirs, uuid, "pause")?;
    let Some(started) = pod.and_then(|pod| pod.started) else {
        return Ok(Outcome::Over);
    };
    match pause::pause(dirs, uuid, &started.process)? {
        Outcome::Over if running(dirs, uuid, "pause")?.is_some() => Err(Error::new(
            Kind::Failed,
            format!("cannot pause pod `{uuid}`: its process cannot be seen from here"),
        )),
        outcome => Ok(outcome),
    }
}

fn each(
    dir: &Path,
    which: &Which,
    out: &mut dyn Write,
    change: &dyn Fn(&Dirs, Uuid) -> Result<Outcome>,
    done: &str,
    already: &str,
) -> Result<()> {
    let dirs = Dirs::look(dir)?;
    let mut failures = Vec::new();
    for uuid in which.find(&dirs)? {
        match change(&dirs, uuid) {
            Ok(Outcome::Done) => print(out, &format!("{done} {uuid}\n"))?,
            Ok(Outcome::Already) => say(&[format!("pod `{uuid}` {already}")]),
            Ok(Outcome::Over) => {
                failures.push(Error::invalid(format!("pod `{uuid}` is over already")));
            }
            Err(error) => failures.push(error),
        }
    }
    last_of(failures)
}
