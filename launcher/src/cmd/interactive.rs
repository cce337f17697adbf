//! `launcher run --interactive`: the app has a terminal, which this process
//! relays to the caller's.
//!
//! The pod is started as a detached one, since it may become one: the detach
//! keys leave it running, and `launcher attach` returns to it.

use std::os::fd::AsFd as _;

use rustix::process::Signal;

use crate::cmd::attach::say_how_to_return;
use crate::cmd::child::{self, Begin, pass_on};
use crate::cmd::failure::{explained, out_of_memory};
use crate::cmd::mode::{Outcome, RunMode, StartError};
use error::Context as _;
use pod::cgroup::oom::OomKills;
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
use sys::signals;

/// Runs a pod and relays its terminal, until it exits or the caller detaches.
///
/// # Errors
///
/// The reason why it was not started.
pub(super) fn start(
    dirs: &Dirs,
    host: &Host,
    directory: PodDirectory<'_>,
    runnable: &Runnable,
    mode: &RunMode,
) -> std::result::Result<Outcome, StartError> {
    let uuid = directory.uuid();
    // Opened here, so that it can be read even after the pod is removed.
    let mut report = directory.report()?;
    terminal::make(directory.fd())?;
    // Attached before the start, so that the caller misses nothing.
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
    // The child owns the pod now, and removes it if it cannot run it.
    directory.leave();
    let aside = RelayOptions {
        keys: &mode.keys,
        signal: &mut |signal| pass_on(&child, signal),
        until: Some(HeldTerminal::ended(&child, terminal)?),
    };
    let left = relay(master.as_fd(), aside)?;
    drop((attended, master));
    match left {
        RelayEnd::Closed => {}
        // As any command, the app decides what that means.
        RelayEnd::HungUp if !signals::is_ignored(Signal::HUP) => pass_on(&child, Signal::HUP),
        RelayEnd::HungUp | RelayEnd::Detached => {
            say_how_to_return(uuid);
            return Ok(Outcome::Left);
        }
    }
    let exit = child::wait(&mut child)?;
    let told = child::read(&mut report)?;
    let status = exit.status;
    match explained(runnable, host, Streams::Logged(log), &told, status) {
        Some(failure) => Err(failure),
        None if is_ready(&told) => {
            child::repeat(&mut child);
            match out_of_memory(&runnable.spec, &told, &OomKills::read(&told)) {
                Some(error) => Err(StartError { error, status }),
                None => Ok(Outcome::Exited(exit)),
            }
        }
        None => Err(StartError {
            error: child::said(&mut child),
            status,
        }),
    }
}
