//! `launcher run --detach`: the pod goes on without the caller.
//!
//! The launcher starts itself once more, as a process that leaves the caller's
//! session and then becomes `stage1-init`, and waits until that reports that
//! the apps run, or why they do not. What the apps write goes into the pod's
//! log.

use std::convert::Infallible;
use std::io::{Read as _, Seek as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, PidfdFlags};

use crate::cmd::launch::{self, Streams};
use crate::cmd::{OURS, finish};
use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};
use pod::plan::text::Plan;
use pod::runtime::detach_keys::Keys;
use pod::runtime::status::is_ready;
use pod::state::directory::{self, PodDirectory};
use pod::state::lock::{Changes, Woken};
use pod::state::log::capture::capture;
use pod::state::log::{Log, Place};
use sys::dirs::{Dirs, State};

/// How a pod is run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Without the caller; then what its apps write is kept so.
    pub(crate) detached: Option<Log>,
    /// It is kept when it is over.
    pub(crate) keep: bool,
    /// With which keys the caller leaves its terminal.
    pub(crate) keys: Keys,
    /// What the caller sees of what the apps write.
    pub(crate) shown: Shown,
    /// There are pipes between the apps and the caller's streams.
    pub(crate) piped: bool,
}

/// What a caller who stays sees of what the apps write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shown {
    /// All of it, and nothing else.
    #[default]
    Plainly,
    /// The same, behind a line that says so.
    Marked,
    /// Nothing.
    Hidden,
}

/// What became of a pod that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// It goes on without the caller.
    Detached(Uuid),
    /// The caller has left its terminal.
    Left,
    /// It is over, with this status.
    Over(u8),
}

/// Why a pod does not run, and the status to exit with.
pub(crate) struct NotRun {
    /// Why.
    pub(crate) error: Error,
    /// Ours, or the one that its init has for that.
    pub(crate) status: u8,
}

impl From<Error> for NotRun {
    fn from(error: Error) -> Self {
        Self {
            error,
            status: OURS,
        }
    }
}

/// What a caller says to the process that begins a pod.
pub(super) struct Begin<'a> {
    /// The pod.
    pub(super) uuid: Uuid,
    /// It is kept when it is over.
    pub(super) keep: bool,
    /// How its log is kept.
    pub(super) log: Log,
    /// The master of its terminal, if the caller has that.
    pub(super) terminal: Option<BorrowedFd<'a>>,
}

const WHAT: &str = "cannot start the pod";

/// Runs a pod, and returns when its apps run.
///
/// # Errors
///
/// Why they do not. Nothing is left of the pod then.
pub(super) fn start(
    dirs: &Dirs,
    directory: PodDirectory<'_>,
    plan: &Plan,
    keep: bool,
    log: Log,
) -> std::result::Result<Ran, NotRun> {
    let uuid = directory.uuid();
    let changes = Changes::of(directory.fd())?;
    // Made here, so that it can be read even when all is over and removed.
    let mut report = directory.report()?;
    let begin = Begin {
        uuid,
        keep,
        log,
        terminal: None,
    };
    let mut child = spawn(dirs, &begin, directory.fd()).context(|| WHAT)?;
    let status = until_ready(&mut child, &changes, &mut report).inspect_err(|_| {
        // Nobody could tell what it does, in a directory that is removed.
        let _ = child.kill().and_then(|()| child.wait());
    });
    let Some(status) = status? else {
        directory.leave();
        return Ok(Ran::Detached(uuid));
    };
    // It may have been over before anybody could look.
    let told = read(&mut report)?;
    if is_ready(&told) {
        directory.leave();
        return Ok(Ran::Detached(uuid));
    }
    let error = why(plan, log, &told).unwrap_or_else(|| said(&mut child));
    Err(NotRun { error, status })
}

/// Says why a pod of a plan did not run, if its report does.
pub(super) fn why(plan: &Plan, log: Log, told: &[u8]) -> Option<Error> {
    finish::explained(&capture(plan, log).plan, told)
}

/// Starts [`begin`] in a process of its own. The lock is its standard input,
/// and the terminal, if there is one, its standard output.
pub(super) fn spawn(
    dirs: &Dirs,
    begin: &Begin<'_>,
    lock: BorrowedFd<'_>,
) -> std::io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("launcher").arg("--dir").arg(dirs.path());
    command.arg("begin").arg(begin.uuid.to_string());
    command.args(begin.keep.then_some("--keep"));
    command.arg(format!("--log={}", begin.log.place.word()));
    if begin.log.place != Place::Nowhere {
        command.arg(format!("--log-size={}", begin.log.size.bytes()));
    }
    command.stdin(lock.try_clone_to_owned()?);
    match begin.terminal {
        Some(master) => command
            .arg("--terminal")
            .stdout(master.try_clone_to_owned()?),
        None => command.stdout(Stdio::null()),
    };
    command.stderr(Stdio::piped());
    command.spawn()
}

/// Waits until the report says that the apps run; returns the status of the
/// process if it ended before.
fn until_ready(
    child: &mut Child,
    changes: &Changes,
    report: &mut std::fs::File,
) -> Result<Option<u8>> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Error::new(Kind::Failed, WHAT))?;
    let process = rustix::process::pidfd_open(pid, PidfdFlags::empty()).context(|| WHAT)?;
    while !is_ready(&read(report)?) {
        if changes.or(process.as_fd(), None)? == Woken::Other {
            return wait(child).map(Some);
        }
    }
    Ok(None)
}

/// Waits for the end of the process, and returns its status.
pub(super) fn wait(child: &mut Child) -> Result<u8> {
    let status = child.wait().context(|| WHAT)?;
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    Ok(code
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(OURS))
}

/// Reads a report.
pub(super) fn read(report: &mut std::fs::File) -> Result<Vec<u8>> {
    let mut told = Vec::new();
    let read = report.rewind().and_then(|()| report.read_to_end(&mut told));
    read.context(|| "cannot read the report of the pod")?;
    Ok(told)
}

/// Returns what [`begin`] said, which has ended.
pub(super) fn said(child: &mut Child) -> Error {
    let mut said = String::new();
    if let Some(mut stream) = child.stderr.take() {
        // What cannot be read was not said.
        let _ = stream.read_to_string(&mut said);
    }
    said_again(&said).unwrap_or_else(finish::init_was_killed)
}

/// Takes apart what a launcher said, if it said anything.
pub(super) fn said_again(text: &str) -> Option<Error> {
    let text = text.trim_end().trim_start_matches("launcher: ");
    match text.split_once("\nhint: ") {
        Some((what, hint)) => Some(Error::new(Kind::Failed, what).hint(hint)),
        None if text.is_empty() => None,
        None => Some(Error::new(Kind::Failed, text)),
    }
}

/// Leaves the caller's session and runs a pod, whose lock is the standard
/// input; returns only if that failed. Nobody types this command.
pub(crate) fn begin(
    dir: &Path,
    uuid: Uuid,
    keep: bool,
    log: Log,
    terminal: bool,
) -> Result<Infallible> {
    rustix::process::setsid().context(|| "cannot start a session")?;
    let dirs = Dirs::open(dir)?;
    let lock = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .context(|| WHAT)?;
    let directory = PodDirectory::adopt(&dirs, uuid, lock)?;
    let plan = Plan::read(&directory::read(&dirs, State::Run, uuid, "plan")?)?;
    let master = match terminal {
        true => {
            let master = std::io::stdout().as_fd().try_clone_to_owned();
            Some(master.context(|| WHAT)?)
        }
        false => None,
    };
    launch::start(&dirs, &directory, &plan, keep, Streams::Log(log, master))
}
