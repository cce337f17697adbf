//! The status of a pod: from the directory that it is in, its lock, its files,
//! and, while it runs, what the kernel says about its processes.

mod app;

use crate::runtime::{pause, pod_process};
use crate::spec::limits::Limits;
use crate::spec::pod::PodSpec;
use crate::state::directory::{self, SPEC, read_in};
use crate::state::lock;
use crate::state::records::{CREATED, Created, ENDED, Ended, STARTED, Started};
use appc::types::{AcName, Uuid};
use error::{Context as _, Result};
use sys::dirs::{Dirs, State};

pub use crate::runtime::status::app::{App, Ending};

/// The phase of a pod's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its directory is being made.
    Embryo,
    /// It is being filled, or about to run.
    Preparing,
    /// The process that prepared it was killed.
    AbortedPrepare,
    /// It can be run.
    Prepared,
    /// It is running.
    Running,
    /// It is running, and all its processes are frozen: only [`observe`] finds
    /// out.
    Paused,
    /// It has exited.
    Exited,
    /// It has ended, but nobody recorded how: it was killed from outside, or
    /// the power failed.
    Aborted,
    /// It is being removed.
    Deleting,
    /// The process that was removing it was killed.
    Garbage,
    /// It was removed.
    Gone,
}

impl Phase {
    /// Returns the word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Embryo => "embryo",
            Self::Preparing => "preparing",
            Self::AbortedPrepare => "aborted prepare",
            Self::Prepared => "prepared",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Exited => "exited",
            Self::Aborted => "aborted",
            Self::Deleting => "deleting",
            Self::Garbage => "garbage",
            Self::Gone => "gone",
        }
    }

    /// Returns whether the pod has run and has ended.
    pub const fn has_exited(self) -> bool {
        matches!(
            self,
            Self::Exited | Self::Aborted | Self::Deleting | Self::Garbage | Self::Gone
        )
    }
}

/// The status of a pod.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its UUID.
    pub uuid: Uuid,
    /// Its phase.
    pub phase: Phase,
    /// When it was made, and its name.
    pub created: Option<Created>,
    /// How it was started.
    pub started: Option<Started>,
    /// How it ended.
    pub ended: Option<Ended>,
    /// Whether all of its apps have been started.
    pub ready: bool,
    /// Its apps, in order.
    pub apps: Vec<App>,
    /// The limits that were requested for the pod.
    pub limits: Limits,
    /// Its networks, while it runs.
    pub networks: Vec<String>,
}

impl Status {
    /// Returns the pod's name.
    pub fn name(&self) -> Option<&AcName> {
        self.created.as_ref()?.name.as_ref()
    }
}

/// Reads the status of a pod, which may change state in the meantime. `None` if
/// the pod does not exist.
///
/// # Errors
///
/// Fails if a file of the pod cannot be read.
pub fn read(dirs: &Dirs, uuid: Uuid) -> Result<Option<Status>> {
    let what = || format!("cannot read the status of pod `{uuid}`");
    for state in State::ALL {
        let Some(pod) = directory::open_in(dirs, state, uuid)? else {
            continue;
        };
        let read = |name| read_in(&pod, name).context(what);
        // First, because the files are written before the lock is released.
        let held = lock::is_held(&pod).context(what)?;
        let started = read(STARTED)?.and_then(|record| Started::read(&record));
        let ended = read(ENDED)?.and_then(|record| Ended::read(&record));
        let phase = phase(state, held, started.is_some(), ended.as_ref());
        let there = lock::is_there(dirs.pods(state)?, &uuid.to_string(), &pod);
        if !there.context(what)? {
            // The pod has changed state; what was read may belong to either.
            continue;
        }
        let report = read("report")?.unwrap_or_default();
        // An empty file is being written.
        let spec = read(SPEC)?.filter(|text| !text.is_empty());
        let spec = spec.map(|text| PodSpec::read(&text)).transpose();
        let spec = spec.context(|| format!("cannot read `{SPEC}` of pod `{uuid}`"));
        let (mut apps, limits) = match spec? {
            Some(spec) => (app::of_spec(&spec), spec.limits),
            None => Default::default(),
        };
        let ready = app::tell(&report, &mut apps);
        return Ok(Some(Status {
            uuid,
            phase,
            created: read(CREATED)?.and_then(|record| Created::read(&record)),
            started,
            ended,
            ready,
            apps,
            limits,
            networks: Vec::new(),
        }));
    }
    Ok(None)
}

fn phase(state: State, held: bool, started: bool, ended: Option<&Ended>) -> Phase {
    let status = ended.and_then(|ended| ended.status);
    match (state, held) {
        (State::Embryo, _) => Phase::Embryo,
        (State::Prepare, true) => Phase::Preparing,
        (State::Prepare, false) => Phase::AbortedPrepare,
        (State::Prepared, _) => Phase::Prepared,
        (State::Run, true) if started => Phase::Running,
        (State::Run, true) => Phase::Preparing,
        (State::Run | State::Exited, _) => match status {
            Some(_) => Phase::Exited,
            None => Phase::Aborted,
        },
        (State::Garbage, true) => Phase::Deleting,
        (State::Garbage, false) => Phase::Garbage,
    }
}

/// Returns whether a report says that all apps were started.
pub fn is_ready(report: &[u8]) -> bool {
    app::tell(report, &mut [])
}

/// Completes the status of running pods with what the kernel says about their
/// processes.
pub fn observe(pods: &mut [Status]) -> Result<()> {
    for pod in pods.iter_mut().filter(|pod| pod.phase == Phase::Running) {
        let outer = pod.started.as_ref().map(|started| &started.process);
        let outer = outer.map(pod_process::outer).transpose()?.flatten();
        let Some(init) = outer.as_ref().map(pod_process::init).transpose()?.flatten() else {
            continue;
        };
        let mut frozen = pause::is_frozen(&init)?;
        for app in pod.apps.iter_mut().filter(|app| app.ending.is_none()) {
            let main = app
                .number
                .map(|number| pod_process::main_process(&init, number));
            let main = main.transpose()?.flatten();
            frozen = frozen && main.as_ref().map_or(Ok(true), pause::is_frozen)?;
            app.pid = main.map(|main| main.number());
        }
        if frozen {
            pod.phase = Phase::Paused;
        }
        pod.networks = init.networks()?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn nothing_runs_without_a_lock() {
        let ended = |status| Some(Ended { time: 0, status });
        let told = |state, held, started, ended: Option<Ended>| {
            phase(state, held, started, ended.as_ref()).word()
        };
        for (state, held, started, ended, expected) in [
            (State::Run, false, true, None, "aborted"),
            (State::Run, false, false, None, "aborted"),
            (State::Run, false, true, ended(Some(0)), "exited"),
            (State::Run, true, false, None, "preparing"),
            (State::Run, true, true, None, "running"),
            (State::Exited, false, true, ended(Some(1)), "exited"),
            (State::Exited, false, true, ended(None), "aborted"),
            (State::Exited, true, true, None, "aborted"),
            (State::Embryo, true, false, None, "embryo"),
            (State::Prepare, true, false, None, "preparing"),
            (State::Prepare, false, false, None, "aborted prepare"),
            (State::Prepared, true, false, None, "prepared"),
            (State::Garbage, true, true, None, "deleting"),
            (State::Garbage, false, true, None, "garbage"),
        ] {
            assert_eq!(
                told(state, held, started, ended),
                expected,
                "{state:?} {held}"
            );
        }
    }
}
