//! The child process that becomes the init of a pod, while its parent waits for
//! it.

use std::io::{Read as _, Seek as _};
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal};

use crate::cmd::exit::Exit;
use crate::cmd::failure::init_was_killed;
use crate::cmd::{complain, verbosity};
use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};
use pod::spec::log::{Log, Place};
use sys::dirs::Dirs;

/// Arguments of `launcher begin`.
pub(super) struct Begin<'a> {
    /// The pod.
    pub(super) uuid: Uuid,
    /// Whether to keep the pod when it has exited.
    pub(super) keep: bool,
    /// Where its log goes.
    pub(super) log: Log,
    /// The master of its terminal, if the caller relays one.
    pub(super) terminal: Option<BorrowedFd<'a>>,
}

/// The message for a pod that cannot be started.
pub(super) const WHAT: &str = "cannot start the pod";

/// Starts `launcher begin` as a child process. The pod's lock is its standard
/// input; the terminal, if there is one, its standard output.
pub(super) fn spawn(
    dirs: &Dirs,
    begin: &Begin<'_>,
    lock: BorrowedFd<'_>,
) -> std::io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("launcher").arg("--dir").arg(dirs.path());
    command
        .args(verbosity())
        .arg("begin")
        .arg(begin.uuid.to_string());
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
    // The child must know the caller's, and this process only waits from now on.
    sys::limits::restore();
    command.spawn()
}

/// Waits for the process, and returns how it ended.
pub(super) fn wait(child: &mut Child) -> Result<Exit> {
    child.wait().context(|| WHAT).map(Exit::of)
}

/// Reads a report.
pub(super) fn read(report: &mut std::fs::File) -> Result<Vec<u8>> {
    let mut told = Vec::new();
    let read = report.rewind().and_then(|()| report.read_to_end(&mut told));
    read.context(|| "cannot read the report of the pod")?;
    Ok(told)
}

/// Returns the error that a child which has exited wrote to its standard error.
pub(super) fn said(child: &mut Child) -> Error {
    heard(child).unwrap_or_else(init_was_killed)
}

/// Repeats what a child said that has become stage1-init, which says nothing more.
pub(super) fn repeat(child: &mut Child) {
    if let Some(note) = heard(child) {
        complain(&note);
    }
}

fn heard(child: &mut Child) -> Option<Error> {
    let mut said = String::new();
    if let Some(mut stream) = child.stderr.take() {
        // An unreadable message counts as no message.
        let _ = stream.read_to_string(&mut said);
    }
    said_again(&said)
}

/// Parses the error message of another launcher, if there is one.
pub(super) fn said_again(text: &str) -> Option<Error> {
    let text = text.trim_end().trim_start_matches("launcher: ");
    match text.split_once("\nhint: ") {
        Some((what, hint)) => Some(Error::new(Kind::Failed, what).hint(hint)),
        None if text.is_empty() => None,
        None => Some(Error::new(Kind::Failed, text)),
    }
}

/// Sends a signal to the init that the child becomes, which forwards it.
pub(super) fn pass_on(child: &Child, signal: Signal) {
    // We have not waited for the child yet, so its PID cannot have been reused.
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}
