//! `launcher run --detach`: the pod goes on without the caller.
//!
//! The launcher starts itself once more, as a process that leaves the caller's
//! session and then becomes `stage1-init`, and waits until that reports that
//! the apps run, or why they do not. What the apps write goes into the pod's
//! log.

use std::convert::Infallible;
use std::io::{Read as _, Seek as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, PidfdFlags};

use super::{OURS, finish, run};
use crate::ground::dirs::{Dirs, State};
use crate::ground::{Context as _, Error, Kind, Result};
use crate::pod::directory::{self, PodDirectory};
use crate::pod::lock::{Changes, Woken};
use crate::pod::log::capture::capture;
use crate::pod::log::{Log, Place};
use crate::pod::plan::Plan;
use crate::pod::status::is_ready;
use crate::words::types::Uuid;

/// How a pod is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Without the caller; then what its apps write is kept so.
    pub(crate) detached: Option<Log>,
    /// It is kept when it is over.
    pub(crate) keep: bool,
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
) -> std::result::Result<Uuid, NotRun> {
    let uuid = directory.uuid();
    let changes = Changes::of(directory.fd())?;
    // Made here, so that it can be read even when all is over and removed.
    let mut report = directory.report()?;
    let lock = directory.fd().try_clone_to_owned().context(|| WHAT)?;
    let mut child = spawn(dirs, uuid, lock, keep, log).context(|| WHAT)?;
    let status = until_ready(&mut child, &changes, &mut report).inspect_err(|_| {
        // Nobody could tell what it does, in a directory that is removed.
        let _ = child.kill().and_then(|()| child.wait());
    });
    let Some(status) = status? else {
        directory.leave();
        return Ok(uuid);
    };
    // It may have been over before anybody could look.
    let told = read(&mut report)?;
    if is_ready(&told) {
        directory.leave();
        return Ok(uuid);
    }
    let error =
        finish::explained(&capture(plan, log).plan, &told).unwrap_or_else(|| said(&mut child));
    Err(NotRun { error, status })
}

/// Starts [`begin`] in a process of its own. The lock is its standard input.
fn spawn(dirs: &Dirs, uuid: Uuid, lock: OwnedFd, keep: bool, log: Log) -> std::io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("launcher").arg("--dir").arg(dirs.path());
    command.arg("begin").arg(uuid.to_string());
    command.args(keep.then_some("--keep"));
    command.arg(format!("--log={}", log.place.word()));
    if log.place != Place::Nowhere {
        command.arg(format!("--log-size={}", log.size.bytes()));
    }
    command.stdin(Stdio::from(lock));
    command.stdout(Stdio::null()).stderr(Stdio::piped());
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
            let status = child.wait().context(|| WHAT)?;
            let code = status.code().or(status.signal().map(|signal| 128 + signal));
            return Ok(Some(
                code.and_then(|code| u8::try_from(code).ok())
                    .unwrap_or(OURS),
            ));
        }
    }
    Ok(None)
}

fn read(report: &mut std::fs::File) -> Result<Vec<u8>> {
    let mut told = Vec::new();
    let read = report.rewind().and_then(|()| report.read_to_end(&mut told));
    read.context(|| "cannot read the report of the pod")?;
    Ok(told)
}

/// Returns what [`begin`] said, which has ended.
fn said(child: &mut Child) -> Error {
    let mut said = String::new();
    if let Some(mut stream) = child.stderr.take() {
        // What cannot be read was not said.
        let _ = stream.read_to_string(&mut said);
    }
    match said.trim_end().trim_start_matches("launcher: ") {
        "" => finish::init_was_killed(),
        said => Error::new(Kind::Failed, said),
    }
}

/// Leaves the caller's session and runs a pod, whose lock is the standard
/// input; returns only if that failed. Nobody types this command.
pub(crate) fn begin(dir: &Path, uuid: Uuid, keep: bool, log: Log) -> Result<Infallible> {
    rustix::process::setsid().context(|| "cannot start a session")?;
    let dirs = Dirs::open(dir)?;
    let lock = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .context(|| WHAT)?;
    let directory = PodDirectory::adopt(&dirs, uuid, lock)?;
    let plan = Plan::read(&directory::read(&dirs, State::Run, uuid, "plan")?)?;
    run::start(&dirs, &directory, &plan, keep, Some(log))
}
