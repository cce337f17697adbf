//! `launcher run --interactive`: the app has a terminal of its own, to which
//! the caller attends.
//!
//! The pod is started as one that goes on without its caller, for it may: who
//! types the keys for that leaves it alone, and `launcher attach` comes back.

use std::os::fd::AsFd as _;

use crate::cmd::attach::say_how_to_return;
use crate::cmd::child::{self, Begin, pass_on};
use crate::cmd::failure::explained;
use crate::cmd::mode::{Outcome, RunMode, StartError};
use error::Context as _;
use pod::plan::streams::Streams;
use pod::runtime::claim::PodDirectory;
use pod::runtime::relay::{HeldTerminal, RelayEnd, RelayOptions, relay};
use pod::runtime::start::Runnable;
use pod::runtime::status::is_ready;
use pod::runtime::terminal;
use pod::spec::log::Log;
use sys::dirs::Dirs;
use sys::host::Host;
use sys::pty;

/// Runs a pod and attends to its terminal, until it is over or left alone.
///
/// # Errors
///
/// Why it does not run, or what of it could not be carried out.
pub(super) fn start(
    dirs: &Dirs,
    host: &Host,
    directory: PodDirectory<'_>,
    runnable: &Runnable,
    mode: &RunMode,
) -> std::result::Result<Outcome, StartError> {
    let uuid = directory.uuid();
    // Made here, so that it can be read even when all is over and removed.
    let mut report = directory.report()?;
    terminal::make(directory.fd())?;
    // From the beginning, so that nothing goes past the caller.
    let attended = terminal::attach(directory.fd(), uuid)?;
    let master = pty::open()?;
    pty::fit(&master);
    let log = Log::default();
    let begin = Begin {
        uuid,
        keep: mode.keep,
        log,
        terminal: Some(master.as_fd()),
    };
    let terminal = pty::peer(&master)?;
    let spawned = child::spawn(dirs, &begin, directory.fd());
    let mut child = spawned.context(|| "cannot start the pod")?;
    // It has the pod now, and removes it if it cannot run it.
    directory.leave();
    let aside = RelayOptions {
        keys: &mode.keys,
        signal: &mut |signal| pass_on(&child, signal),
        until: Some(HeldTerminal::ended(&child, terminal)?),
    };
    let left = relay(master.as_fd(), aside)?;
    drop((attended, master));
    if left != RelayEnd::Closed {
        say_how_to_return(uuid);
        return Ok(Outcome::Left);
    }
    let status = child::wait(&mut child)?;
    let told = child::read(&mut report)?;
    match explained(runnable, host, Streams::Logged(log), &told) {
        Some(error) => Err(StartError { error, status }),
        None if is_ready(&told) => Ok(Outcome::Exited(status)),
        None => Err(StartError {
            error: child::said(&mut child),
            status,
        }),
    }
}
