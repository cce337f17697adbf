//! `launcher stop` and `launcher kill`: stops pods, and sends them signals.
//!
//! A signal is sent to the outer process of the pod's init, which forwards it
//! to the apps. SIGKILL is sent to PID 1 of the pod instead: the kernel then
//! kills everything in the pod first, and the outer process records the exit
//! and releases the lock. If the outer process were killed, the lock would be
//! free while apps still run, and nothing would be recorded. So that is only
//! done if there is no PID 1, and the command that did it records the exit.
//!
//! A paused pod does not see signals, so it is resumed before it is asked to
//! stop. SIGKILL works while it is paused.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::cmd::results::Results;
use crate::cmd::selector::PodSelector;
use crate::cmd::status::running;
use crate::cmd::{last_of, say};
use appc::json::Object;
use appc::types::Uuid;
use error::{Error, Kind, Result};
use pod::runtime::process::Target;
use pod::runtime::{notify, pause, pod_process, status, teardown};
use pod::spec::pod::Namespace;
use pod::state::directory;
use pod::state::lock::Release;
use pod::state::records::Process;
use sys::dirs::{Dirs, State};
use sys::signal_names;

/// The options of `stop`.
#[derive(Debug)]
pub(crate) struct Stop {
    /// The pods.
    pub(crate) selector: PodSelector,
    /// How long they may take to stop.
    pub(crate) time: Duration,
    /// The signal that asks them to stop, if not the one of their images.
    pub(crate) signal: Option<Signal>,
}

/// The status of a pod that was killed: 128 plus the number of SIGKILL.
const KILLED: u8 = 137;

/// Stops pods, all at once, and prints the UUIDs of those that were running.
pub(crate) fn run(dir: &Path, stop: &Stop, results: &mut Results<'_>) -> Result<()> {
    let dirs = Dirs::look(dir)?;
    let (mut signalled, mut failures) = (Vec::new(), Vec::new());
    for (place, uuid) in stop.selector.find(&dirs, &mut failures) {
        let signal = stop.signal.unwrap_or_else(|| own_signal(&place, uuid));
        match send(&place, uuid, Purpose::Stop, signal) {
            Ok(Some(pod)) => signalled.push(pod),
            Ok(None) => say(&[format!("pod `{uuid}` has already exited")]),
            Err(error) => failures.push(error),
        }
    }
    let deadline = Instant::now().checked_add(stop.time);
    for pod in signalled {
        let uuid = pod.uuid;
        let stopped = match pod.release.until(deadline) {
            Ok(true) => Ok(()),
            Ok(false) => pod.kill().and_then(|()| pod.wait_and_record()),
            Err(error) => Err(error),
        };
        match stopped {
            Ok(()) => {
                let object = Object::new().with("uuid", uuid.to_string());
                results.add(&format!("stopped {uuid}"), object)?;
            }
            Err(error) => failures.push(error),
        }
    }
    last_of(failures)
}

/// Returns the signal that asks a pod to stop: the one that the image of an app
/// names, if no app wants another. Without a spec that can be read, it is stopped
/// all the same.
fn own_signal(dirs: &Dirs, uuid: Uuid) -> Signal {
    let usual = Signal::TERM;
    let Ok(spec) = directory::spec(dirs, State::Run, uuid) else {
        return usual;
    };
    let wanted = spec.apps.iter().map(|app| match &app.stop_signal {
        Some(name) => signal_names::signal(name).unwrap_or(usual),
        None => usual,
    });
    let agreed = wanted.reduce(|one, other| match one == other {
        true => one,
        false => usual,
    });
    agreed.unwrap_or(usual)
}

/// Sends a signal to pods.
pub(crate) fn kill(dir: &Path, selector: &PodSelector, signal: Signal) -> Result<()> {
    let dirs = Dirs::look(dir)?;
    let mut failures = Vec::new();
    for (place, uuid) in selector.find(&dirs, &mut failures) {
        let sent = match signal {
            Signal::KILL => kill_one(&place, uuid),
            signal => send(&place, uuid, Purpose::Signal, signal).map(|pod| pod.is_some()),
        };
        match sent {
            Ok(true) => {}
            Ok(false) => failures.push(Error::invalid(format!("pod `{uuid}` has already exited"))),
            Err(error) => failures.push(error),
        }
    }
    last_of(failures)
}

/// Kills a pod, and waits until it has exited; returns whether it was running.
pub(super) fn kill_one(dirs: &Dirs, uuid: Uuid) -> Result<bool> {
    match send(dirs, uuid, Purpose::Kill, Signal::KILL)? {
        Some(pod) => pod.wait_and_record().map(|()| true),
        None => Ok(false),
    }
}

/// Tells the service manager of a pod that the pod is asked to end.
fn tell_manager(dirs: &Dirs, uuid: Uuid, process: &Process) {
    let spec = directory::spec(dirs, State::Run, uuid).ok();
    if let Some(manager) = spec.and_then(|spec| spec.manager) {
        let service = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
        let _ = notify::tell(&manager, "STOPPING=1", service);
    }
}

/// What a signal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Stop,
    Kill,
    Signal,
}

impl Purpose {
    const fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Signal => "signal",
        }
    }
}

/// A pod to whose init a signal was sent.
struct Signalled {
    /// The directories that it is in.
    dirs: Dirs,
    uuid: Uuid,
    process: Process,
    target: Target,
    release: Release,
}

impl Signalled {
    /// Kills the pod with everything in it.
    fn kill(&self) -> Result<()> {
        let outer = pod_process::outer(&self.process)?;
        let init = outer.as_ref().map(pod_process::init).transpose()?.flatten();
        match init {
            Some(init) => {
                init.signal(Signal::KILL)?;
                // It may be stopped by a signal, and could not record the exit.
                self.target.signal(Signal::CONT)?;
            }
            None if had_init(&self.dirs, self.uuid)? => {}
            None => self.target.signal(Signal::KILL)?,
        }
        pause::kill(&self.dirs, self.uuid)
    }

    /// Waits until the pod, which was killed, has exited, and records that.
    fn wait_and_record(&self) -> Result<()> {
        self.release.until(None)?;
        match teardown::claim(&self.dirs, State::Run, self.uuid)? {
            Some(_claim) => teardown::conclude(&self.dirs, self.uuid, Some(KILLED)),
            // It had exited by itself, or another command is recording it.
            None => Ok(()),
        }
    }
}

/// Returns whether the pod has had a PID 1 of its own. If that no longer
/// exists, the outer process is recording the exit.
fn had_init(dirs: &Dirs, uuid: Uuid) -> Result<bool> {
    if !status::read(dirs, uuid)?.is_none_or(|pod| pod.ready) {
        return Ok(false);
    }
    match directory::open_in(dirs, State::Run, uuid)? {
        Some(_) => Ok(directory::spec(dirs, State::Run, uuid)?.processes != Namespace::Host),
        // Its state has changed.
        None => Ok(true),
    }
}

/// Sends a signal to a pod; `None` if it has exited.
fn send(dirs: &Dirs, uuid: Uuid, purpose: Purpose, signal: Signal) -> Result<Option<Signalled>> {
    let what = purpose.word();
    let Some(pod) = running(dirs, uuid, what)? else {
        return Ok(None);
    };
    let Some(directory) = directory::open_in(dirs, State::Run, uuid)? else {
        return Ok(None);
    };
    let process = pod.started.map(|started| started.process);
    let target = process.as_ref().map(Target::find).transpose()?.flatten();
    let (Some(process), Some(target)) = (process, target) else {
        if let Some(_claim) = teardown::claim(dirs, State::Run, uuid)? {
            // It has exited, although this was not recorded.
            teardown::conclude(dirs, uuid, None)?;
        }
        return match running(dirs, uuid, what)? {
            None => Ok(None),
            Some(_) => Err(Error::new(
                Kind::Failed,
                format!(
                    "cannot {what} pod `{uuid}`: its process is not visible in this PID namespace"
                ),
            )),
        };
    };
    if purpose != Purpose::Signal {
        directory::note_stop(&directory)?;
    }
    let signalled = Signalled {
        dirs: dirs.clone(),
        uuid,
        process,
        target,
        release: Release::of(directory)?,
    };
    match (signal, purpose) {
        (Signal::KILL, _) => signalled.kill()?,
        (signal, Purpose::Stop) => {
            pause::resume(dirs, uuid)?;
            tell_manager(dirs, uuid, &signalled.process);
            signalled.target.signal(signal)?;
            // If the init or an app was stopped by a signal, it must continue
            // before it can exit.
            signalled.target.signal(Signal::CONT)?;
        }
        (signal, _) => {
            signalled.target.signal(signal)?;
            if pause::is_asked(dirs, uuid)? {
                say(&[format!(
                    "pod `{uuid}` is paused: the signal is delivered when it resumes"
                )]);
            }
        }
    }
    Ok(Some(signalled))
}
