//! `launcher stop` and `launcher kill`: ends pods, and sends them signals.
//!
//! A signal goes to the outer half of the pod's init, which passes it on to
//! the apps. If that is killed, so is the pod, and nobody is left to write
//! down how it ended: whoever killed it does.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::status::running;
use super::which::Which;
use super::{last_of, print, say};
use crate::ground::dirs::{Dirs, State};
use crate::ground::{Error, Kind, Result};
use crate::pod::lock::Release;
use crate::pod::process::Target;
use crate::pod::{directory, end};
use crate::words::types::Uuid;

/// How to use `stop`.
pub(crate) const HELP: &str = "\
Usage: launcher stop [--time=SPAN] [--signal=SIGNAL] UUID...
       launcher stop [...] --uuid-file=FILE

Asks the apps of pods to end, and waits until they have. What runs after a SPAN
of time (10s) is killed.

  --signal=SIGNAL   what to ask with (TERM)
  --time=SPAN       how long to wait: 0, 90s, 30m

Instead of a UUID, any beginning of it will do that no other pod has, or the
name of the pod.
";

/// How to use `kill`.
pub(crate) const KILL_HELP: &str = "\
Usage: launcher kill [--signal=SIGNAL] UUID...
       launcher kill [--signal=SIGNAL] --uuid-file=FILE

Sends a signal to the apps of pods: KILL, or another by name or number. Waits
for the end of pods that it kills, and for nothing else.

Instead of a UUID, any beginning of it will do that no other pod has, or the
name of the pod.
";

/// What `stop` was asked for.
#[derive(Debug)]
pub(crate) struct Stop {
    /// The pods.
    pub(crate) which: Which,
    /// How long they may take.
    pub(crate) time: Duration,
    /// What they are asked with.
    pub(crate) signal: Signal,
}

/// Status that a pod has that was killed: 128 and the number of the signal.
const KILLED: u8 = 137;

/// Stops pods, all at a time, and prints the UUIDs of those that ran.
pub(crate) fn run(dir: &Path, stop: &Stop, out: &mut dyn Write) -> Result<()> {
    let dirs = Dirs::open(dir)?;
    let (mut asked, mut failures) = (Vec::new(), Vec::new());
    for uuid in stop.which.find(&dirs)? {
        match ask(&dirs, uuid, "stop", stop.signal) {
            Ok(Some(pod)) => asked.push(pod),
            Ok(None) => say(&[format!("pod `{uuid}` is over already")]),
            Err(error) => failures.push(error),
        }
    }
    let deadline = Instant::now().checked_add(stop.time);
    for pod in asked {
        let uuid = pod.uuid;
        let stopped = match pod.release.until(deadline) {
            Ok(true) => Ok(()),
            Ok(false) => pod
                .target
                .signal(Signal::KILL)
                .and_then(|()| bury(&dirs, &pod)),
            Err(error) => Err(error),
        };
        match stopped {
            Ok(()) => print(out, &format!("stopped {uuid}\n"))?,
            Err(error) => failures.push(error),
        }
    }
    last_of(failures)
}

/// Sends a signal to pods.
pub(crate) fn kill(dir: &Path, which: &Which, signal: Signal) -> Result<()> {
    let dirs = Dirs::open(dir)?;
    let mut failures = Vec::new();
    for uuid in which.find(&dirs)? {
        let sent = match signal {
            Signal::KILL => kill_one(&dirs, uuid),
            signal => ask(&dirs, uuid, "signal", signal).map(|pod| pod.is_some()),
        };
        match sent {
            Ok(true) => {}
            Ok(false) => failures.push(Error::invalid(format!("pod `{uuid}` is over already"))),
            Err(error) => failures.push(error),
        }
    }
    last_of(failures)
}

/// Kills a pod, and waits for its end; tells whether it was running.
pub(super) fn kill_one(dirs: &Dirs, uuid: Uuid) -> Result<bool> {
    match ask(dirs, uuid, "kill", Signal::KILL)? {
        Some(pod) => bury(dirs, &pod).map(|()| true),
        None => Ok(false),
    }
}

/// A pod to whose init a signal was sent.
struct Asked {
    uuid: Uuid,
    target: Target,
    release: Release,
}

/// Sends a signal to a pod; `None` if it is over.
fn ask(dirs: &Dirs, uuid: Uuid, what: &str, signal: Signal) -> Result<Option<Asked>> {
    let Some(pod) = running(dirs, uuid, what)? else {
        return Ok(None);
    };
    let Some(directory) = directory::open_in(dirs, State::Run, uuid)? else {
        return Ok(None);
    };
    let target = pod.started.map(|started| Target::find(&started.process));
    let Some(target) = target.transpose()?.flatten() else {
        return match running(dirs, uuid, what)? {
            None => Ok(None),
            Some(_) => Err(Error::new(
                Kind::Failed,
                format!("cannot {what} pod `{uuid}`: its process cannot be seen from here"),
            )),
        };
    };
    let release = Release::of(directory)?;
    target.signal(signal)?;
    Ok(Some(Asked {
        uuid,
        target,
        release,
    }))
}

/// Waits for the end of a pod that was killed, and writes down how it ended.
fn bury(dirs: &Dirs, pod: &Asked) -> Result<()> {
    pod.release.until(None)?;
    match end::claim(dirs, State::Run, pod.uuid)? {
        Some(_claim) => end::conclude(dirs, pod.uuid, Some(KILLED)),
        // It had ended by itself, or somebody else is at it.
        None => Ok(()),
    }
}
