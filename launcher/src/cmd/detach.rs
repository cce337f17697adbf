//! `launcher run --detach`: runs a pod in the background.
//!
//! The launcher starts itself again, as a process that leaves the caller's
//! session and then becomes `stage1-init`. It waits until that reports that the
//! apps have started, or why they have not. The output of the apps goes to the
//! pod's log.

use std::convert::Infallible;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Child;

use rustix::process::{Pid, PidfdFlags};

use crate::cmd::child::{self, Begin, WHAT};
use crate::cmd::failure::explained;
use crate::cmd::mode::{Outcome, StartError};
use crate::cmd::{STAGE1_INIT, complain};
use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};
use pod::plan::streams::Streams;
use pod::runtime::claim::PodDirectory;
use pod::runtime::notify;
use pod::runtime::start::{self, Runnable, Start};
use pod::runtime::status::is_under_way;
use pod::spec::log::Log;
use pod::state::lock::{Changes, Wake};
use sys::dirs::{Dirs, State};
use sys::host::Host;
use sys::signals;

/// Runs a pod, and returns when its apps have started.
///
/// # Errors
///
/// The reason why they have not. The pod is removed in that case.
pub(super) fn start(
    dirs: &Dirs,
    host: &Host,
    directory: PodDirectory<'_>,
    runnable: &Runnable,
    keep: bool,
    log: Log,
) -> std::result::Result<Outcome, StartError> {
    let uuid = directory.uuid();
    let changes = Changes::of(directory.fd())?;
    // Opened here, so that it can be read even after the pod is removed.
    let mut report = directory.report()?;
    let begin = Begin {
        uuid,
        keep,
        log,
        terminal: None,
    };
    let mut child = child::spawn(dirs, &begin, directory.fd()).context(|| WHAT)?;
    if let Some(manager) = &runnable.spec.manager {
        // The service is the process that stays.
        let _ = notify::tell(manager, &format!("MAINPID={}", child.id()), None);
    }
    let status = until_ready(&mut child, &changes, &mut report).inspect_err(|_| {
        // Its directory is about to be removed, so it must not keep running.
        let _ = child.kill().and_then(|()| child.wait());
    });
    let Some(status) = status? else {
        directory.leave();
        child::repeat(&mut child);
        return Ok(Outcome::Detached(uuid));
    };
    // The pod may have exited before we could look.
    let told = child::read(&mut report)?;
    if is_under_way(&told) {
        directory.leave();
        child::repeat(&mut child);
        return Ok(Outcome::Detached(uuid));
    }
    let failure = explained(runnable, host, Streams::Logged(log), &told, status);
    Err(failure.unwrap_or_else(|| StartError {
        error: child::said(&mut child),
        status,
    }))
}

/// Waits until the report says that the apps have started. Returns the status
/// of the process if it exits first.
fn until_ready(
    child: &mut Child,
    changes: &Changes,
    report: &mut std::fs::File,
) -> Result<Option<u8>> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Error::new(Kind::Failed, WHAT))?;
    let process = rustix::process::pidfd_open(pid, PidfdFlags::empty()).context(|| WHAT)?;
    while !is_under_way(&child::read(report)?) {
        if changes.or(process.as_fd(), None)? == Wake::Readable {
            return child::wait(child).map(|exit| Some(exit.status));
        }
    }
    Ok(None)
}

/// Leaves the caller's session and runs a pod, whose lock is the standard
/// input. Returns only on failure. This is an internal command.
pub(crate) fn begin(
    dir: &Path,
    uuid: Uuid,
    keep: bool,
    log: Log,
    terminal: bool,
) -> Result<Infallible> {
    rustix::process::setsid().context(|| "cannot start a session")?;
    let dirs = Dirs::open(dir)?;
    // A directory that a process is in is busy.
    rustix::process::chdir("/").context(|| "cannot change to the directory `/`")?;
    if !terminal {
        // The caller ignores what others send to its programs. Signals reach
        // this pod only on purpose.
        signals::stop_ignoring()?;
    }
    let lock = std::io::stdin().as_fd().try_clone_to_owned();
    let mut directory = PodDirectory::adopt(&dirs, uuid, lock.context(|| WHAT)?)?;
    let runnable = Runnable::read(&dirs, State::Run, uuid)?;
    let master = terminal.then(|| std::io::stdout().as_fd().try_clone_to_owned());
    let how = Start {
        program: STAGE1_INIT,
        keep,
        streams: Streams::Logged(log),
        master: master.transpose().context(|| WHAT)?,
        tell: &complain,
        timing: None,
    };
    start::start(&dirs, &mut directory, &runnable, &Host::observe(), how)
}
