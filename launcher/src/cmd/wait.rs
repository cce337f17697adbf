//! `launcher wait`: waits until pods have ended, and exits with their status.
//!
//! It sleeps until the kernel releases the lock of a pod. A pod that is not kept
//! is removed then; how it ended is in its report, which is opened before.

use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use crate::cmd::results::Results;
use crate::cmd::selector::PodSelector;
use crate::cmd::{OURS, complain};
use appc::json::Object;
use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};
use pod::runtime::status::health::State;
use pod::runtime::status::{self, Phase, Status};
use pod::state::directory::{self, REPORT};
use pod::state::lock::{Changes, Release, Wake};
use sys::dirs::{Dirs, State as Place};

/// Whether to wait, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Do not wait.
    #[default]
    No,
    /// Wait without limit.
    Ever,
    /// Wait at most this long.
    For(Duration),
}

impl Wait {
    /// Returns until when to wait, if at all.
    pub(super) fn deadline(self) -> Option<Option<Instant>> {
        match self {
            Self::No => None,
            Self::Ever => Some(None),
            Self::For(span) => Some(Instant::now().checked_add(span)),
        }
    }
}

/// Waits for pods at most this long, and prints the exit status of each, in the
/// order in which they were given. Returns the first that is not 0, or, if one
/// of them could not be waited for, the status of our own failures.
pub(crate) fn run(
    dir: &Path,
    selector: &PodSelector,
    time: Option<Duration>,
    results: &mut Results<'_>,
) -> Result<u8> {
    let dirs = Dirs::look(dir)?;
    let mut failures = Vec::new();
    let pods = selector.find(&dirs, &mut failures);
    let deadline = time.and_then(|time| Instant::now().checked_add(time));
    let mut first = 0;
    for (place, uuid) in pods {
        let pod = read(&place, uuid);
        match pod.and_then(|mut pod| until_over(&place, &mut pod, deadline)) {
            Ok(code) => {
                let object = Object::new().with("uuid", uuid.to_string());
                let object = object.with("exit_code", u32::from(code));
                results.add(&code.to_string(), object)?;
                first = if first == 0 { code } else { first };
            }
            Err(error) => failures.push(error),
        }
    }
    failures.iter().for_each(complain);
    Ok(if failures.is_empty() { first } else { OURS })
}

/// Reads the status of a pod.
///
/// # Errors
///
/// It no longer exists.
pub(super) fn read(dirs: &Dirs, uuid: Uuid) -> Result<Status> {
    let gone = || Error::new(Kind::NotFound, format!("pod `{uuid}` has been removed"));
    status::read(dirs, uuid)?.ok_or_else(gone)
}

/// Waits until a pod has exited, and returns its exit status.
///
/// # Errors
///
/// It has not exited when the time is over, or nobody knows how it ended.
pub(super) fn until_over(dirs: &Dirs, pod: &mut Status, deadline: Option<Instant>) -> Result<u8> {
    let uuid = pod.uuid;
    while !pod.phase.has_exited() {
        let mut report = None;
        if let Some(directory) = busy(dirs, pod)? {
            report = open_report(&directory)?;
            if !Release::of(directory)?.until(deadline)? {
                return Err(Error::invalid(format!("pod `{uuid}` has not exited yet")));
            }
        }
        look_again(dirs, pod)?;
        if let (Phase::Gone, Some(mut report)) = (pod.phase, report) {
            let mut told = Vec::new();
            let read = report.read_to_end(&mut told);
            read.context(|| "cannot read the report of the pod")?;
            pod.conclude(&told);
        }
    }
    let code = pod.ended.as_ref().and_then(|ended| ended.status);
    code.ok_or_else(|| match pod.phase {
        Phase::Gone => Error::invalid(format!(
            "pod `{uuid}` was removed when it ended, without a record of how"
        ))
        .hint("`launcher run --keep` keeps a pod with its status"),
        _ => Error::invalid(format!(
            "nobody saw how pod `{uuid}` ended: it was killed from outside, or the power failed"
        )),
    })
}

/// Waits until all apps of a pod have started.
pub(super) fn until_ready(dirs: &Dirs, pod: &mut Status, deadline: Option<Instant>) -> Result<()> {
    let uuid = pod.uuid;
    while !pod.ready {
        if pod.phase.has_exited() {
            let what = format!("pod `{uuid}` exited before all of its apps had started");
            return Err(Error::invalid(what));
        }
        if let Some(directory) = busy(dirs, pod)? {
            let changes = Changes::of(&directory)?;
            let release = Release::of(directory)?;
            look_again(dirs, pod)?;
            while !pod.ready && !pod.phase.has_exited() {
                match changes.or(release.as_fd(), deadline)? {
                    Wake::Changed => look_again(dirs, pod)?,
                    Wake::Readable => break,
                    Wake::Timeout => {
                        let what = format!("not all apps of pod `{uuid}` have started yet");
                        return Err(Error::invalid(what));
                    }
                }
            }
        }
        look_again(dirs, pod)?;
    }
    Ok(())
}

/// Waits until all apps of a pod that are checked are healthy, or one is not;
/// returns whether they are.
///
/// # Errors
///
/// None is checked; it has ended.
pub(super) fn until_healthy(
    dirs: &Dirs,
    pod: &mut Status,
    deadline: Option<Instant>,
) -> Result<bool> {
    let uuid = pod.uuid;
    loop {
        if pod.phase.has_exited() {
            return Err(Error::invalid(format!("pod `{uuid}` has exited")));
        }
        let Some(directory) = busy(dirs, pod)? else {
            look_again(dirs, pod)?;
            continue;
        };
        let changes = Changes::of(&directory)?;
        let release = Release::of(directory)?;
        loop {
            look_again(dirs, pod)?;
            match pod.health() {
                _ if pod.phase.has_exited() => break,
                Some(State::Healthy) => return Ok(true),
                Some(State::Unhealthy) => return Ok(false),
                None if pod.phase == Phase::Running => {
                    let what = format!("no app of pod `{uuid}` has a health check");
                    let hint = "`launcher run IMAGE --health-cmd COMMAND` sets one";
                    return Err(Error::invalid(what).hint(hint));
                }
                Some(State::Starting) | None => {}
            }
            match changes.or(release.as_fd(), deadline)? {
                Wake::Changed => {}
                Wake::Readable => break,
                Wake::Timeout => {
                    let what = format!("pod `{uuid}` is neither healthy nor unhealthy yet");
                    return Err(Error::invalid(what));
                }
            }
        }
        look_again(dirs, pod)?;
    }
}

/// Opens the directory of a pod that is being prepared or running; `None` if
/// its state has changed.
fn busy(dirs: &Dirs, pod: &Status) -> Result<Option<OwnedFd>> {
    let uuid = pod.uuid;
    let state = match pod.phase {
        Phase::Running => Place::Run,
        Phase::Preparing if directory::open_in(dirs, Place::Prepare, uuid)?.is_some() => {
            Place::Prepare
        }
        Phase::Preparing => Place::Run,
        _ => {
            let word = pod.phase.word();
            return Err(
                Error::invalid(format!("pod `{uuid}` is not running: it is {word}"))
                    .hint("`launcher run-prepared` runs a prepared pod"),
            );
        }
    };
    directory::open_in(dirs, state, uuid)
}

/// Opens the report of a pod, if it has one yet.
fn open_report(directory: &OwnedFd) -> Result<Option<std::fs::File>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(directory, REPORT, flags, Mode::empty()) {
        Ok(report) => Ok(Some(report.into())),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno).context(|| "cannot open the report of the pod"),
    }
}

/// Reads the status again. If the pod has been removed, what was known before
/// is kept.
fn look_again(dirs: &Dirs, pod: &mut Status) -> Result<()> {
    match status::read(dirs, pod.uuid)? {
        Some(now) => *pod = now,
        None => pod.phase = Phase::Gone,
    }
    Ok(())
}
