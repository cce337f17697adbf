//! Finds out whether the apps of a pod work, when it is time for that.
//! `stage1-init` executes the launcher for this when a timer expires, and that sets
//! the timer for the next time. This is an internal command.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::cmd::enter;
use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};
use pod::runtime::check;
use pod::runtime::pause;
use pod::runtime::pod_process::{self, MainProgram, PodProcess};
use pod::runtime::status::health::{Health, Outcome, Record};
use pod::runtime::timer;
use pod::spec::health::{HealthCheck, OnUnhealthy};
use pod::spec::pod::PodSpec;
use pod::state::directory::{self, REPORT};
use pod::state::records::{STARTED, Started};
use sys::dirs::{Dirs, State};

/// How long to wait before another process begins if this one is killed, besides
/// what checks take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Checks what is due, and sets the timer for the rest.
///
/// # Errors
///
/// The pod cannot be read.
pub(super) fn run(dir: &Path, data: u32, uuid: Uuid, dirs: &Dirs, timer: &OwnedFd) -> Result<()> {
    let what = || "cannot check the health of the pod";
    let longest = |spec: &PodSpec| checks(spec).map(|(_, check)| check.time()).max();
    let spec = directory::spec(dirs, State::Run, uuid)?;
    let patience = PATIENCE.saturating_add(longest(&spec).unwrap_or_default());
    timer::set(timer, patience).context(what)?;
    let Some(pod) = directory::open_in(dirs, State::Run, uuid)? else {
        return Ok(());
    };
    let mut record = Record::read(&pod).context(what)?;
    let now = timer::now();
    let due = checks(&spec).filter(|(app, _)| record.of(app).is_some_and(|one| one.is_due(now)));
    let due: Vec<_> = due.collect();
    let look = |app: &str, check: &HealthCheck| -> Result<Option<Outcome>> {
        if !can_be_checked(dirs, &pod, uuid, app)? {
            return Ok(None);
        }
        let mut command = Command::new("/proc/self/exe");
        command.arg0("launcher").arg("--dir").arg(dir);
        command.args(["finish", &data.to_string(), &uuid.to_string(), "check", app]);
        let outcome = check::run(command, check.time()).context(what)?;
        // What has ended or was paused meanwhile says nothing.
        let counts = can_be_checked(dirs, &pod, uuid, app)?;
        Ok(counts.then_some(outcome))
    };
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let look = &look;
        let all = due
            .iter()
            .map(|&(app, check)| scope.spawn(move || look(app, check)));
        let all: Vec<_> = all.collect();
        all.into_iter().map(|one| one.join().ok()).collect()
    });
    let mut unhealthy = false;
    for ((app, check), outcome) in due.into_iter().zip(outcomes) {
        let now = timer::now();
        match (record.of(app), outcome.unwrap_or(Ok(None))?) {
            (Some(health), Some(outcome)) => unhealthy |= health.learn(check, outcome, now),
            (Some(health), None) => health.put_off(check, now),
            (None, _) => {}
        }
    }
    record.write(&pod).context(what)?;
    timer::set(timer, record.rest().unwrap_or(patience)).context(what)?;
    if unhealthy && spec.on_unhealthy != OnUnhealthy::Nothing {
        if spec.on_unhealthy == OnUnhealthy::Restart {
            directory::note_unhealthy(&pod)?;
        }
        if let Some(init) = init(&pod)? {
            init.signal(Signal::KILL)?;
        }
    }
    Ok(())
}

/// Returns the apps that are checked, and how.
fn checks(spec: &PodSpec) -> impl Iterator<Item = (&str, &HealthCheck)> {
    let mut apps = spec.apps.iter();
    std::iter::from_fn(move || apps.next()).filter_map(|app| {
        let check = &app.health.as_ref()?.value;
        Some((app.name.as_str(), check))
    })
}

/// Finds PID 1 of a pod.
fn init(pod: &OwnedFd) -> Result<Option<PodProcess>> {
    let started = directory::read_in(pod, STARTED).context(|| "cannot read the pod")?;
    let started = started.and_then(|record| Started::read(&record));
    let outer = started.map(|started| pod_process::outer(&started.process));
    let outer = outer.transpose()?.flatten();
    outer
        .as_ref()
        .map(pod_process::init)
        .transpose()
        .map(Option::flatten)
}

/// Returns whether an app runs in a pod that is neither paused nor about to end.
fn can_be_checked(dirs: &Dirs, pod: &OwnedFd, uuid: Uuid, app: &str) -> Result<bool> {
    let report = directory::read(dirs, State::Run, uuid, REPORT)?;
    let runs = matches!(
        pod_process::main_program(&report, app),
        MainProgram::Running(_)
    );
    if !runs || directory::is_stopped(pod) || pause::is_asked(dirs, uuid)? {
        return Ok(false);
    }
    init(pod)?.map_or(Ok(false), |init| Ok(!pause::is_frozen(&init)?))
}

/// Becomes the check of an app: a command that enters it as any other does.
pub(crate) fn become_check(dir: &Path, data: u32, uuid: Uuid, app: &str) -> Result<Infallible> {
    // It ends with whoever measures its time.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .context(|| "cannot check the health of the pod")?;
    let dirs = Dirs::inherited(data, dir)?;
    let spec = directory::spec(
        &pod::state::find::running_place(&dirs, uuid),
        State::Run,
        uuid,
    )?;
    let check = checks(&spec).find(|(name, _)| *name == app);
    let (_, check) = check
        .ok_or_else(|| Error::new(Kind::NotFound, format!("app `{app}` has no health check")))?;
    enter::check(&dirs, uuid, app, &check.argv)
}

/// Returns the error of a pod that was killed because an app was unhealthy.
pub(super) fn unhealthy(spec: &PodSpec, pod: &OwnedFd) -> Option<Error> {
    if spec.on_unhealthy == OnUnhealthy::Nothing {
        return None;
    }
    let mut record = Record::read(pod).ok()?;
    let mut apps = checks(spec).filter_map(|(app, _)| Some((app, record.of(app)?.clone())));
    let is_it = |health: &Health| health.state.word() == "unhealthy";
    let (app, health) = apps.find(|(_, health)| is_it(health))?;
    let times = match health.failing {
        1 => "its health check failed".to_owned(),
        times => format!("its health check failed {times} times in a row"),
    };
    let error = Error::new(Kind::Failed, format!("app `{app}` was killed: {times}"));
    let said = health.last.map(|last| last.output).unwrap_or_default();
    Some(match said.lines().next() {
        Some(line) if !line.is_empty() => {
            error.hint(format!("it said: {}", error::quote::escaped(line)))
        }
        _ => error,
    })
}
