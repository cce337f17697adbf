//! Starts a pod again that has ended.
//!
//! `stage1-init` has become the launcher, which still holds the pod's lock, its
//! network and all that its plan names: the descriptors of the first start, with
//! the same numbers. So nothing is opened, connected or composed anew. The launcher
//! notes what is different, and becomes `stage1-init` once more, with the same plan.
//! That begins with the pause.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use rustix::fs::{SeekFrom, ftruncate, seek};

use crate::runtime::descriptors::inherited;
use crate::runtime::exec::{self, Handover};
use crate::runtime::status::health::Record;
use crate::runtime::{process, timer};
use crate::spec::pod::PodSpec;
use crate::spec::restart::Restart;
use crate::state::directory::{self, REPORT};
use crate::state::lock;
use crate::state::records::{self, RESTARTS, Restarts, STARTED, Started};
use error::{Context as _, Result};
use sys::signals;

/// The shortest pause, and the longest: each is twice the one before.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);

/// A pod that has run for so long is not held up for what was before.
const LONG_ENOUGH: Duration = Duration::from_secs(10);

/// The descriptors by which a pod is started again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The plan.
    pub(crate) plan: u32,
    /// The timer of the pause.
    pub(crate) delay: u32,
    /// What `stage1-init` holds.
    pub(crate) held: Vec<u32>,
    /// What is served on demand.
    pub(crate) demand: Vec<u32>,
    /// A timer that is among them.
    pub(crate) timer: Option<u32>,
}

/// As a word of the command line.
impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |all: &[u32]| {
            let all = all.iter().map(u32::to_string);
            all.collect::<Vec<_>>().join(",")
        };
        let (held, demand) = (list(&self.held), list(&self.demand));
        let timer: Vec<u32> = self.timer.into_iter().collect();
        let (plan, delay, timer) = (self.plan, self.delay, list(&timer));
        write!(f, "{plan}:{delay}:{held}:{demand}:{timer}")
    }
}

impl Kept {
    /// Holds what else is needed the next time, and what the plan names.
    pub(crate) fn holding(mut self, named: &[u32]) -> Self {
        self.held.extend(named);
        // Of what is served, the last would not be held.
        self.held.extend(self.demand.last());
        self.held.extend([self.plan, self.delay]);
        self
    }

    /// Parses that word.
    pub fn parse(text: &str) -> Option<Self> {
        let list = |text: &str| -> Option<Vec<u32>> {
            let all = text.split(',').filter(|number| !number.is_empty());
            all.map(|number| number.parse().ok()).collect()
        };
        let mut parts = text.split(':').map(list);
        let mut part = || parts.next().flatten();
        let (plan, delay) = (part()?, part()?);
        Some(Self {
            plan: *plan.first()?,
            delay: *delay.first()?,
            held: part()?,
            demand: part()?,
            timer: part()?.first().copied(),
        })
    }
}

/// How a run of a pod has ended.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What `stage1-init` has reported.
    pub report: &'a [u8],
    /// With which status.
    pub status: u8,
    /// Whether somebody wants it to be started again whatever its status is.
    pub wanted: bool,
}

/// Decides how long to pause before a pod is started again, if it is: what is
/// noted, and whether it was asked to end.
fn decide(restart: Restart, run: Run<'_>, noted: &Restarts, now: Duration) -> Option<Restarts> {
    if !run.wanted && !restart.wants(run.status, noted.count) {
        return None;
    }
    let ran = now.saturating_sub(noted.began);
    let pause = match noted.pause {
        _ if ran >= LONG_ENOUGH => SHORTEST,
        Duration::ZERO => SHORTEST,
        pause => (2 * pause).min(LONGEST),
    };
    Some(Restarts {
        count: noted.count + 1,
        pause,
        began: now + pause,
        status: Some(run.status),
        report: String::from_utf8_lossy(run.report).into_owned(),
    })
}

/// Starts a pod again, if that is wanted: then this returns only on failure.
/// `words` are the arguments of the launcher when it has ended again.
///
/// # Errors
///
/// The disk or the kernel refuses.
pub fn start(
    pod: &OwnedFd,
    kept: &Kept,
    spec: &PodSpec,
    run: Run<'_>,
    program: &[u8],
    words: &[OsString],
) -> Result<Option<Infallible>> {
    let what = || "cannot start the pod again";
    let noted = Restarts::of(pod).context(what)?;
    let Some(next) = decide(spec.restart, run, &noted, timer::now()) else {
        return Ok(None);
    };
    // Whoever stops the pod leaves a note, and then looks whether it is running. It
    // must not find that it still is when the note comes too late.
    let report = directory::append(pod, REPORT).context(what)?;
    ftruncate(&report, 0).context(what)?;
    if signals::is_asked_to_end() || directory::is_stopped(pod) {
        rustix::io::write(&report, run.report).context(what)?;
        return Ok(None);
    }
    directory::replace(pod, RESTARTS, &next.text()).context(what)?;
    let started = directory::read_in(pod, STARTED).context(what)?;
    if let Some(mut started) = started.and_then(|record| Started::read(&record)) {
        started.time = records::now();
        started.process = process::own()?;
        directory::replace(pod, STARTED, started.text().as_bytes()).context(what)?;
    }
    let [plan, delay] = [kept.plan, kept.delay].map(inherited);
    let plan = plan.context(what)?;
    // It has been read once.
    seek(&plan, SeekFrom::Start(0)).context(what)?;
    timer::set(delay.context(what)?, next.pause).context(what)?;
    if let Some(checks) = kept.timer.map(inherited) {
        let health = Record::begin(spec, next.began);
        health.write(pod).context(what)?;
        let first = health.rest().unwrap_or_default();
        timer::set(checks.context(what)?, first).context(what)?;
    }
    exec::exec(Handover {
        program,
        plan: plan.as_fd(),
        report: report.as_fd(),
        held: &kept.held,
        lock: Some(lock::of_init(pod)?.as_fd()),
        demand: &kept.demand,
        timer: kept.timer,
        detached: false,
        finally: words,
        timing: None,
    })
    .map(Some)
}

/// Returns how a pod has ended that was asked to end in a pause: as it had before.
/// Its report says that again.
///
/// # Errors
///
/// The disk refuses.
pub fn last_status(pod: &OwnedFd) -> Result<Option<u8>> {
    let what = || "cannot read how the pod has ended";
    let noted = Restarts::of(pod).context(what)?;
    if noted.status.is_some() {
        let report = directory::append(pod, REPORT).context(what)?;
        rustix::io::write(&report, noted.report.as_bytes()).context(what)?;
    }
    Ok(noted.status)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn run(status: u8) -> Run<'static> {
        Run {
            report: b"ready\n",
            status,
            wanted: false,
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew_after_a_long_run() {
        let mut noted = Restarts {
            began: 500 * MS,
            ..Restarts::default()
        };
        let mut now = 600 * MS;
        let mut pauses = Vec::new();
        for _ in 0..12 {
            noted = decide(Restart::Always, run(1), &noted, now).unwrap();
            assert_eq!(noted.began, now + noted.pause);
            pauses.push(noted.pause.as_millis());
            // It runs for almost long enough.
            now += noted.pause + 9_999 * MS;
        }
        let doubled = [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200];
        assert_eq!(pauses, [&doubled[..], &[60_000, 60_000]].concat());
        now += MS;
        let next = decide(Restart::Always, run(1), &noted, now).unwrap();
        assert_eq!((next.pause, next.count), (100 * MS, 13));
    }

    #[test]
    fn what_nobody_wants_is_not_started_again() {
        let noted = Restarts {
            count: 3,
            ..Restarts::default()
        };
        let decide = |restart, run| decide(restart, run, &noted, MS).map(|next| next.count);
        assert_eq!(decide(Restart::No, run(1)), None);
        assert_eq!(decide(Restart::OnFailure(Some(3)), run(1)), None);
        assert_eq!(decide(Restart::OnFailure(Some(4)), run(1)), Some(4));
        let wanted = Run {
            wanted: true,
            ..run(0)
        };
        assert_eq!(decide(Restart::No, wanted), Some(4));
    }

    #[test]
    fn descriptors_survive_the_command_line() {
        for kept in [
            Kept::default(),
            Kept {
                plan: 7,
                delay: 8,
                held: vec![3, 4, 7],
                demand: vec![9, 10],
                timer: Some(9),
            },
        ] {
            assert_eq!(Kept::parse(&kept.to_string()), Some(kept));
        }
        for text in ["", "1", "1:2", "1:2::", "x:2:::", ":::: ", "1:2:3,x::"] {
            assert_eq!(Kept::parse(text), None, "{text}");
        }
    }
}
