//! What is true of a pod: of the directory that it is in, its lock, and what
//! its files tell.

use stage1_init::{Directive, Report};

use super::directory::{self, read_in};
use super::life::{CREATED, Created, ENDED, Ended, STARTED, Started};
use super::lock;
use super::plan::Plan;
use crate::ground::dirs::{Dirs, State};
use crate::ground::{Context as _, Result};
use crate::words::digest::ImageId;
use crate::words::manifest::PodManifest;
use crate::words::types::{AcIdentifier, AcName, Uuid};

/// Where a pod is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its directory is being made.
    Embryo,
    /// It is being filled, or about to run.
    Preparing,
    /// Whoever filled it was killed.
    AbortedPrepare,
    /// It can be run.
    Prepared,
    /// It runs.
    Running,
    /// It is over.
    Exited,
    /// It is over, and nobody could see how it ended: it was killed from
    /// outside, or the power was cut.
    Aborted,
    /// It is being removed.
    Deleting,
    /// Whoever removed it was killed.
    Garbage,
    /// It was removed.
    Gone,
}

impl Phase {
    /// Returns the word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Embryo => "embryo",
            Self::Preparing => "preparing",
            Self::AbortedPrepare => "aborted prepare",
            Self::Prepared => "prepared",
            Self::Running => "running",
            Self::Exited => "exited",
            Self::Aborted => "aborted",
            Self::Deleting => "deleting",
            Self::Garbage => "garbage",
            Self::Gone => "gone",
        }
    }

    /// Tells whether the pod has run and does not any more.
    pub(crate) const fn is_over(self) -> bool {
        matches!(
            self,
            Self::Exited | Self::Aborted | Self::Deleting | Self::Garbage | Self::Gone
        )
    }
}

/// What is known of a pod.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    /// Which it is.
    pub(crate) uuid: Uuid,
    /// Where it is in its life.
    pub(crate) phase: Phase,
    /// How it came to be.
    pub(crate) created: Option<Created>,
    /// How it was started.
    pub(crate) started: Option<Started>,
    /// How it ended.
    pub(crate) ended: Option<Ended>,
    /// All of its apps have been started.
    pub(crate) ready: bool,
    /// Its apps, in order.
    pub(crate) apps: Vec<App>,
}

/// What is known of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct App {
    /// What it is called.
    pub(crate) name: String,
    /// The image it runs from: what it is called, and which it is.
    pub(crate) image: Option<(Option<AcIdentifier>, ImageId)>,
    /// The status with which its main program ended, if it has.
    pub(crate) status: Option<u8>,
}

impl Status {
    /// Returns what the pod is called.
    pub(crate) fn name(&self) -> Option<&AcName> {
        self.created.as_ref()?.name.as_ref()
    }
}

/// Looks at a pod, which may move on meanwhile. `None` if it is not there.
///
/// # Errors
///
/// A file of it cannot be read.
pub(crate) fn read(dirs: &Dirs, uuid: Uuid) -> Result<Option<Status>> {
    let what = || format!("cannot read the status of pod `{uuid}`");
    for state in State::ALL {
        let Some(pod) = directory::open_in(dirs, state, uuid)? else {
            continue;
        };
        let read = |name| read_in(&pod, name).context(what);
        // First, for what is written before a pod is let go of.
        let held = lock::is_held(&pod).context(what)?;
        let started = read(STARTED)?.and_then(|record| Started::read(&record));
        let ended = read(ENDED)?.and_then(|record| Ended::read(&record));
        let phase = phase(state, held, started.is_some(), ended.as_ref());
        let there = lock::is_there(dirs.pods(state)?, &uuid.to_string(), &pod);
        if !there.context(what)? {
            // It has moved on; what was seen may belong to either.
            continue;
        }
        let report = read("report")?.unwrap_or_default();
        let mut apps = match read("pod")? {
            Some(manifest) => of_manifest(&manifest).context(what)?,
            None => of_plan(&read("plan")?.unwrap_or_default()),
        };
        let ready = tell(&report, &mut apps);
        return Ok(Some(Status {
            uuid,
            phase,
            created: read(CREATED)?.and_then(|record| Created::read(&record)),
            started,
            ended,
            ready,
            apps,
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

fn of_manifest(text: &[u8]) -> Result<Vec<App>> {
    if text.is_empty() {
        // It is being written.
        return Ok(Vec::new());
    }
    let apps = PodManifest::parse(text)?.value.apps.into_iter();
    let app = |app: crate::words::manifest::pod::PodApp| App {
        name: app.name.to_string(),
        image: Some((app.image.name, app.image.id)),
        status: None,
    };
    Ok(apps.map(app).collect())
}

/// A pod that runs from a plan has no manifest.
fn of_plan(text: &[u8]) -> Vec<App> {
    let mut apps = Vec::new();
    if let Ok(plan) = Plan::read(text) {
        plan.find(|_, directive, _| -> Option<()> {
            if let Directive::App { name } = directive {
                apps.push(App {
                    name: name.as_c_str().to_string_lossy().into_owned(),
                    image: None,
                    status: None,
                });
            }
            None
        });
    }
    apps
}

/// Takes from a report how apps ended; tells whether all were started.
fn tell(report: &[u8], apps: &mut [App]) -> bool {
    let mut ready = false;
    for line in report.split(|&byte| byte == b'\n') {
        match Report::decode(line) {
            Some(Report::Ready) => ready = true,
            Some(Report::Exited { app, status }) => {
                let mut apps = apps.iter_mut();
                if let Some(app) = apps.find(|known| known.name.as_bytes() == app) {
                    app.status = Some(code(status));
                }
            }
            _ => {}
        }
    }
    ready
}

/// Tells whether a report says that all apps were started.
pub(crate) fn is_ready(report: &[u8]) -> bool {
    tell(report, &mut [])
}

/// Turns a status that wait(2) gives into an exit code, as shells do.
fn code(status: u32) -> u8 {
    let [low, high, ..] = status.to_le_bytes();
    match low & 0x7f {
        0 => high,
        signal => 128 | signal,
    }
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

    #[test]
    fn a_report_tells_how_apps_ended() {
        let app = |name: &str| App {
            name: name.to_owned(),
            image: None,
            status: None,
        };
        let mut apps = ["a", "b", "c", "d"].map(app);
        let report =
            b"ready\nexited a 256\nlater 1\nexited b 9\nexited c 139\nexited x 0\nexited d";
        assert!(tell(report, &mut apps));
        let statuses = apps.map(|app| app.status);
        assert_eq!(statuses, [Some(1), Some(137), Some(139), None]);
        assert!(!is_ready(b"failed 1 2\n") && !is_ready(b"read"));
    }
}
