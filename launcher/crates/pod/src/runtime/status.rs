//! The status of a pod: from the directory that it is in, its lock, its files,
//! and, while it runs, what the kernel says about its processes.

mod app;
pub mod health;
mod resting;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use crate::cgroup::oom::OomKills;
use crate::cgroup::record as groups;
use crate::network::attachment::{self, Networks};
use crate::runtime::status::app::KILLED;
use crate::runtime::status::resting::Record;
use crate::runtime::{pause, pod_process};
use crate::spec::limits::Limits;
use crate::spec::pod::{Namespace, PodSpec};
use crate::spec::ports::PublishedPort;
use crate::state::directory::{REPORT, SPEC, read_in};
use crate::state::records::{self, CREATED, Created, ENDED, Ended, Restarts, STARTED, Started};
use crate::state::{find, lock, subdirectory};
use appc::types::{AcName, Uuid};
use error::{Context as _, Result};
use sys::dirs::{Dirs, Part, State};

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
    /// How many of its processes were killed because memory had run out.
    pub oom_kills: u64,
    /// How often it was started again.
    pub restarts: u32,
    /// The limits that were requested for the pod.
    pub limits: Limits,
    /// Its interfaces, while it runs.
    pub networks: Vec<String>,
    /// How it is connected to others, while it runs.
    pub connected: Option<Networks>,
    /// Whether it shares the host's network.
    pub shares_network: bool,
    /// The network that it has joined, as the command line calls it.
    pub joined: Option<String>,
}

impl Status {
    /// Returns the pod's name.
    pub fn name(&self) -> Option<&AcName> {
        self.created.as_ref()?.name.as_ref()
    }

    /// Returns the health of the pod: that of the app which is worst, if any is
    /// checked.
    pub fn health(&self) -> Option<health::State> {
        let apps = self.apps.iter().filter_map(|app| app.health.as_ref());
        apps.map(|health| health.state).max()
    }

    /// Returns the ports of the host that lead to it.
    pub fn ports(&self) -> impl Iterator<Item = &PublishedPort> {
        let attached = self.connected.iter();
        attached.flat_map(|attached| attached.ports.iter().map(|(port, _)| port))
    }

    /// Returns the status that the record of a pod at rest says.
    fn listed(state: State, uuid: Uuid, record: Record) -> Self {
        let Record { time, status, pod } = record;
        let ended = (state == State::Exited).then_some(Ended { time, status });
        Self {
            uuid,
            phase: phase(state, false, pod.started.is_some(), ended.as_ref()),
            created: pod.created.as_ref().and_then(Created::of),
            started: pod.started.as_ref().and_then(Started::of),
            ended,
            ready: pod.ready,
            apps: pod.apps,
            oom_kills: pod.oom_kills,
            restarts: pod.restarts,
            limits: pod.limits,
            networks: Vec::new(),
            connected: None,
            shares_network: false,
            joined: None,
        }
    }

    /// Learns from a report what has become of the apps.
    fn learn(&mut self, report: &[u8]) {
        self.ready = app::tell(report, &mut self.apps);
        self.count(&OomKills::read(report));
    }

    fn count(&mut self, kills: &OomKills) {
        self.oom_kills = kills.pod;
        app::attribute(kills, &mut self.apps);
    }

    /// Completes the status of a pod that was removed when it had exited, with
    /// its report, which was opened before.
    pub fn conclude(&mut self, report: &[u8]) {
        self.phase = Phase::Gone;
        self.learn(report);
        if let Some(status) = app::overall(report) {
            self.ended = Some(Ended {
                time: records::now(),
                status: Some(status),
            });
            app::end_with_init(&mut self.apps);
        }
    }
}

/// Reads the status of a pod, which may change state in the meantime. `None` if
/// the pod does not exist.
///
/// # Errors
///
/// Fails if a file of the pod cannot be read.
pub fn read(dirs: &Dirs, uuid: Uuid) -> Result<Option<Status>> {
    read_since(dirs, State::ALL[0], uuid)
}

/// Reads the status of all pods in a place, which may change state in the
/// meantime. Each pod comes with its own error.
///
/// # Errors
///
/// Fails if the directories of pods cannot be read.
pub fn all(dirs: &Dirs) -> Result<Vec<Result<Status>>> {
    let mut found = BTreeMap::new();
    for state in State::ALL {
        let Some(pods) = dirs.find(Part::Pods(state))? else {
            continue;
        };
        for uuid in find::in_state(&pods)? {
            let status = match resting::read(&pods, state, uuid) {
                Some(record) => Ok(Some(Status::listed(state, uuid, record))),
                None => read_since(dirs, state, uuid),
            };
            // The last state is the one in which it was seen last.
            found.insert(uuid, status.transpose());
        }
    }
    Ok(found.into_values().flatten().collect())
}

/// Reads the status of a pod that was seen in a state: it only moves on from
/// there.
fn read_since(dirs: &Dirs, seen: State, uuid: Uuid) -> Result<Option<Status>> {
    let what = || cannot_read(uuid);
    let name = uuid.to_string();
    let states = State::ALL.into_iter().skip_while(|&state| state != seen);
    for state in states {
        let Some(pods) = dirs.find(Part::Pods(state))? else {
            continue;
        };
        let Some(pod) = subdirectory::open(&pods, &name).context(what)? else {
            continue;
        };
        // First, because the files are written before the lock is released.
        let held = lock::is_held(&pod).context(what)?;
        let started = read_in(&pod, STARTED).context(what)?;
        let started = started.and_then(|record| Started::read(&record));
        let ended = read_in(&pod, ENDED).context(what)?;
        let ended = ended.and_then(|record| Ended::read(&record));
        if !lock::is_there(&pods, &name, &pod).context(what)? {
            // The pod has changed state; what was read may belong to either.
            continue;
        }
        let phase = phase(state, held, started.is_some(), ended.as_ref());
        return of(&pod, uuid, phase, started, ended).map(Some);
    }
    Ok(None)
}

/// Returns the record that lists a pod from now on: one that was prepared or,
/// with how it ended, one that has exited. See `resting`.
///
/// # Errors
///
/// As for [`read`].
pub(crate) fn record(pod: &OwnedFd, uuid: Uuid, ended: Option<&Ended>) -> Result<Option<String>> {
    let state = match ended {
        Some(_) => State::Exited,
        None => State::Prepared,
    };
    let started = read_in(pod, STARTED).context(|| cannot_read(uuid))?;
    let started = started.and_then(|record| Started::read(&record));
    let phase = phase(state, false, started.is_some(), ended);
    let status = of(pod, uuid, phase, started, ended.cloned())?;
    let listed = resting::Listed {
        created: status.created.map(|created| created.record().into()),
        started: status.started.map(|started| started.record().into()),
        ready: status.ready,
        oom_kills: status.oom_kills,
        restarts: status.restarts,
        limits: status.limits,
        apps: status.apps,
    };
    Ok(resting::text(&Record {
        time: ended.map_or_else(records::now, |ended| ended.time),
        status: ended.and_then(|ended| ended.status),
        pod: listed,
    }))
}

/// Reads what else there is to know of a pod.
fn of(
    pod: &OwnedFd,
    uuid: Uuid,
    phase: Phase,
    started: Option<Started>,
    ended: Option<Ended>,
) -> Result<Status> {
    let read = |name| read_in(pod, name).context(|| cannot_read(uuid));
    let report = read(REPORT)?.unwrap_or_default();
    // An empty file is being written.
    let spec = read(SPEC)?.filter(|text| !text.is_empty());
    let spec = spec.map(|text| PodSpec::read(&text)).transpose();
    let spec = spec.context(|| format!("cannot read `{SPEC}` of pod `{uuid}`"))?;
    let apart = spec.as_ref().is_some_and(has_own_processes);
    let shares = spec
        .as_ref()
        .is_some_and(|spec| spec.network == Namespace::Host);
    let joined = spec.as_ref().and_then(|spec| spec.network.joined());
    let joined = joined.map(ToString::to_string);
    let (apps, limits) = match spec {
        Some(spec) => (app::of_spec(&spec), spec.limits),
        None => Default::default(),
    };
    let mut status = Status {
        uuid,
        phase,
        created: read(CREATED)?.and_then(|record| Created::read(&record)),
        started,
        ended,
        ready: false,
        apps,
        oom_kills: 0,
        restarts: Restarts::of(pod).context(|| cannot_read(uuid))?.count,
        limits,
        networks: Vec::new(),
        connected: None,
        shares_network: shares,
        joined,
    };
    status.learn(&report);
    let code = status.ended.as_ref().and_then(|ended| ended.status);
    if apart && phase.has_exited() && code == Some(KILLED) {
        app::end_with_init(&mut status.apps);
    }
    if phase == Phase::Running {
        let mut health = health::Record::read(pod).context(|| cannot_read(uuid))?;
        for app in &mut status.apps {
            app.health = health.of(&app.name).map(|health| health.clone());
        }
        status.connected = read(attachment::FILE)?.and_then(|text| Networks::read(&text));
        let text = read(groups::FILE)?.unwrap_or_default();
        let made = groups::read(&String::from_utf8_lossy(&text), uuid)?;
        status.count(&OomKills::of(made.tops()));
    }
    Ok(status)
}

fn cannot_read(uuid: Uuid) -> String {
    format!("cannot read the status of pod `{uuid}`")
}

/// Returns whether the kernel ends all processes of a pod with its init.
fn has_own_processes(spec: &PodSpec) -> bool {
    spec.processes != Namespace::Host
}

/// Returns what has become of the apps of a pod that has ended.
pub fn endings(spec: &PodSpec, report: &[u8], kills: &OomKills) -> Vec<App> {
    let mut apps = app::of_spec(spec);
    app::tell(report, &mut apps);
    app::attribute(kills, &mut apps);
    apps
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

/// Returns whether a report says that all apps were started, or that they are as
/// soon as somebody connects.
pub fn is_under_way(report: &[u8]) -> bool {
    let mut lines = report.split(|&byte| byte == b'\n');
    let time = |line: &[u8]| {
        let report = stage1_init::Report::decode(line);
        matches!(report, Some(stage1_init::Report::Time { .. }))
    };
    is_ready(report) || lines.any(time)
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
