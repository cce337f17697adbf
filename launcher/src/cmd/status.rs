//! `launcher status`: prints the status of a pod, and can wait for it.

use std::io::Write;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::cmd::selector::PodSelector;
use crate::cmd::table::Format;
use crate::cmd::{json, print};
use appc::types::{Uuid, spell_time};
use error::quote::escaped;
use error::{Error, Result};
use pod::runtime::status::{self, App, Phase, Status};
use pod::state::directory;
use pod::state::lock::{Changes, Release, Wake};
use sys::dirs::{Dirs, State};

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

/// The options.
#[derive(Debug)]
pub(crate) struct Options {
    /// The pod.
    pub(crate) selector: PodSelector,
    /// Wait until it has exited.
    pub(crate) over: Wait,
    /// Wait until its apps have started.
    pub(crate) ready: Wait,
    /// Text or JSON.
    pub(crate) format: Format,
}

/// Prints the status of a pod.
///
/// # Errors
///
/// It is not found, or the wait timed out. In the latter case the status is
/// printed all the same.
pub(crate) fn run(dir: &Path, options: &Options, out: &mut dyn Write) -> Result<()> {
    let dirs = Dirs::look(dir)?;
    let (dirs, uuid) = options.selector.find_one(&dirs)?;
    let gone = || Error::invalid(format!("pod `{uuid}` has been removed"));
    let mut pod = status::read(&dirs, uuid)?.ok_or_else(gone)?;
    let waited = wait(&dirs, &mut pod, options);
    status::observe(std::slice::from_mut(&mut pod))?;
    print(
        out,
        &match options.format {
            Format::Text => text(&pod),
            Format::Json => format!("{}\n", json::pod(&pod)),
            Format::JsonPretty => format!("{:#}\n", json::pod(&pod)),
        },
    )?;
    waited
}

fn wait(dirs: &Dirs, pod: &mut Status, options: &Options) -> Result<()> {
    if let Some(deadline) = options.ready.deadline() {
        until_ready(dirs, pod, deadline)?;
    }
    if let Some(deadline) = options.over.deadline() {
        until_over(dirs, pod, deadline)?;
    }
    Ok(())
}

impl Wait {
    /// Returns until when to wait, if at all.
    fn deadline(self) -> Option<Option<Instant>> {
        match self {
            Self::No => None,
            Self::Ever => Some(None),
            Self::For(span) => Some(Instant::now().checked_add(span)),
        }
    }
}

/// Waits until a pod has exited.
fn until_over(dirs: &Dirs, pod: &mut Status, deadline: Option<Instant>) -> Result<()> {
    let uuid = pod.uuid;
    while !pod.phase.has_exited() {
        if let Some(directory) = busy(dirs, pod)?
            && !Release::of(directory)?.until(deadline)?
        {
            return Err(Error::invalid(format!("pod `{uuid}` has not exited yet")));
        }
        look_again(dirs, pod)?;
    }
    Ok(())
}

/// Waits until all apps of a pod have started.
fn until_ready(dirs: &Dirs, pod: &mut Status, deadline: Option<Instant>) -> Result<()> {
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

/// Opens the directory of a pod that is being prepared or running; `None` if
/// its state has changed.
fn busy(dirs: &Dirs, pod: &Status) -> Result<Option<OwnedFd>> {
    let uuid = pod.uuid;
    let state = match pod.phase {
        Phase::Running => State::Run,
        Phase::Preparing if directory::open_in(dirs, State::Prepare, uuid)?.is_some() => {
            State::Prepare
        }
        Phase::Preparing => State::Run,
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

/// Reads the status again. If the pod has been removed, what was known before
/// is kept.
fn look_again(dirs: &Dirs, pod: &mut Status) -> Result<()> {
    match status::read(dirs, pod.uuid)? {
        Some(now) => *pod = now,
        None => pod.phase = Phase::Gone,
    }
    Ok(())
}

/// Formats the status as lines, as rkt does.
fn text(pod: &Status) -> String {
    let mut lines = vec![format!("state={}", pod.phase.word())];
    let mut time = |key: &str, time: Option<u64>| {
        if let Some(time) = time {
            lines.push(format!("{key}={}", spell_time(time / 1_000_000_000)));
        }
    };
    let over = pod.phase.has_exited();
    let ended = pod.ended.as_ref().filter(|_| over);
    time("created", pod.created.as_ref().map(|record| record.time));
    time("started", pod.started.as_ref().map(|record| record.time));
    time("ended", ended.map(|record| record.time));
    if let Some(name) = pod.name() {
        lines.push(format!("name={name}"));
    }
    if !pod.networks.is_empty() {
        lines.push(format!("networks={}", escaped(&pod.networks.join(","))));
    }
    let runs = matches!(pod.phase, Phase::Running | Phase::Paused);
    if let Some(started) = pod.started.as_ref().filter(|_| runs) {
        lines.push(format!("pid={}", started.process.pid));
    }
    lines.push(format!("exited={over}"));
    if let Some(status) = ended.and_then(|record| record.status) {
        lines.push(format!("status={status}"));
    }
    for (limit, number) in json::named(&pod.limits) {
        lines.push(format!("limit.{limit}={number}"));
    }
    for app in &pod.apps {
        of_app(app, &mut lines);
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Formats the status of an app. App names contain no dots.
fn of_app(app: &App, lines: &mut Vec<String>) {
    let name = &app.name;
    if let Some(ending) = app.ending {
        lines.push(format!("app-{name}={}", ending.code()));
        let signal = json::killed_by(ending);
        lines.extend(signal.map(|signal| format!("app-{name}.signal={signal}")));
    }
    lines.extend(app.pid.map(|pid| format!("app-{name}.pid={pid}")));
    for mounted in &app.mounts {
        let (volume, target) = (escaped(&mounted.name), escaped(&mounted.target));
        let from = match mounted.ours {
            false => {
                let source = mounted.source.to_string_lossy();
                format!("kind=host,source={}", escaped(&source))
            }
            true => "kind=empty".to_owned(),
        };
        let read_only = mounted.read_only;
        lines.push(format!(
            "app-{name}.mount=volume={volume},target={target},{from},readOnly={read_only}"
        ));
    }
    for (limit, number) in json::named(&app.limits) {
        lines.push(format!("app-{name}.limit.{limit}={number}"));
    }
}

/// Returns the status of a running pod; `None` if it has exited.
///
/// # Errors
///
/// It is not running; `what` is the verb of the message.
pub(super) fn running(dirs: &Dirs, uuid: Uuid, what: &str) -> Result<Option<Status>> {
    let pod = status::read(dirs, uuid)?;
    match pod {
        Some(pod) if pod.phase == Phase::Running => Ok(Some(pod)),
        Some(pod) if !pod.phase.has_exited() => Err(Error::invalid(format!(
            "cannot {what} pod `{uuid}`: it is not running, but {}",
            pod.phase.word()
        ))),
        _ => Ok(None),
    }
}
