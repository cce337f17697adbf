//! `launcher run --interactive`: the app has a terminal of its own, to which
//! the caller attends.
//!
//! The pod is started as one that goes on without its caller, for it may: who
//! types the keys for that leaves it alone, and `launcher attach` comes back.

use std::os::fd::AsFd as _;
use std::process::Child;

use rustix::process::{Pid, Signal};

use crate::cmd::attach::tell_that_it_goes_on;
use crate::cmd::detach::{self, Begin, Manner, NotRun, Ran};
use error::Context as _;
use pod::plan::text::Plan;
use pod::runtime::relay::{Aside, Left, Until, relay};
use pod::runtime::status::is_ready;
use pod::runtime::terminal;
use pod::state::directory::PodDirectory;
use pod::state::log::Log;
use sys::dirs::Dirs;
use sys::pty;

/// Runs a pod and attends to its terminal, until it is over or left alone.
///
/// # Errors
///
/// Why it does not run, or what of it could not be carried out.
pub(super) fn start(
    dirs: &Dirs,
    directory: PodDirectory<'_>,
    plan: &Plan,
    manner: &Manner,
) -> std::result::Result<Ran, NotRun> {
    let uuid = directory.uuid();
    // Made here, so that it can be read even when all is over and removed.
    let mut report = directory.report()?;
    terminal::make(directory.fd())?;
    // From the beginning, so that nothing goes past the caller.
    let attended = terminal::attend(directory.fd(), uuid)?;
    let master = pty::open()?;
    pty::fit(&master);
    let log = Log::default();
    let begin = Begin {
        uuid,
        keep: manner.keep,
        log,
        terminal: Some(master.as_fd()),
    };
    let terminal = pty::peer(&master)?;
    let spawned = detach::spawn(dirs, &begin, directory.fd());
    let mut child = spawned.context(|| "cannot start the pod")?;
    // It has the pod now, and removes it if it cannot run it.
    directory.leave();
    let aside = Aside {
        keys: &manner.keys,
        signal: &mut |signal| pass_on(&child, signal),
        until: Some(Until::ended(&child, terminal)?),
    };
    let left = relay(master.as_fd(), aside)?;
    drop((attended, master));
    if left != Left::Over {
        tell_that_it_goes_on(uuid);
        return Ok(Ran::Left);
    }
    let status = detach::wait(&mut child)?;
    let told = detach::read(&mut report)?;
    match detach::why(plan, log, &told) {
        Some(error) => Err(NotRun { error, status }),
        None if is_ready(&told) => Ok(Ran::Over(status)),
        None => Err(NotRun {
            error: detach::said(&mut child),
            status,
        }),
    }
}

/// Sends a signal to the init that a child becomes, which passes it on.
pub(super) fn pass_on(child: &Child, signal: Signal) {
    // It is our child, and was not waited for: the number is still its own.
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}
