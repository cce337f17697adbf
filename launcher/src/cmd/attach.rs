//! `launcher attach`: attaches to the terminal of a running pod.

use std::path::Path;

use crate::cmd::say;
use crate::cmd::selector::PodSelector;
use crate::cmd::status::running;
use appc::types::Uuid;
use error::{Error, Result};
use pod::runtime::detach_keys::Keys;
use pod::runtime::process::Target;
use pod::runtime::relay::{RelayEnd, RelayOptions, relay};
use pod::runtime::{status, terminal};
use pod::state::directory;
use pod::state::lock::Release;
use sys::dirs::{Dirs, State};
use sys::pty;

/// The options.
#[derive(Debug)]
pub(crate) struct Attach {
    /// The pod.
    pub(crate) selector: PodSelector,
    /// The keys that detach.
    pub(crate) keys: Keys,
}

/// Attaches, and returns the status to exit with.
pub(crate) fn run(dir: &Path, attach: &Attach) -> Result<u8> {
    let dirs = Dirs::look(dir)?;
    let (dirs, uuid) = attach.selector.find_one(&dirs)?;
    let over = || Error::invalid(format!("cannot attach to pod `{uuid}`: it has exited"));
    let pod = running(&dirs, uuid, "attach to")?.ok_or_else(over)?;
    let directory = directory::open_in(&dirs, State::Run, uuid)?.ok_or_else(over)?;
    let attended = terminal::attach(&directory, uuid)?;
    let started = pod.started.ok_or_else(over)?;
    let master = started.terminal.ok_or_else(|| terminal::none(uuid))?;
    let target = Target::find(&started.process)?.ok_or_else(over)?;
    let master = pty::take(target.pidfd(), master)?;
    let aside = RelayOptions {
        keys: &attach.keys,
        // The pod is not ours: ending this command only detaches.
        signal: &mut |_| {},
        until: None,
    };
    let left = relay(std::os::fd::AsFd::as_fd(&master), aside)?;
    drop((attended, master));
    match left {
        RelayEnd::Closed => {
            Release::of(directory)?.until(None)?;
            Ok(status_of(&dirs, uuid))
        }
        RelayEnd::Detached | RelayEnd::HungUp => {
            say_how_to_return(uuid);
            Ok(0)
        }
    }
}

/// Tells the caller how to attach again.
pub(super) fn say_how_to_return(uuid: Uuid) {
    say(&[format!(
        "pod `{uuid}` is still running; `launcher attach` returns to it"
    )]);
}

/// Returns the exit status of a pod; 0 if it is no longer known.
fn status_of(dirs: &Dirs, uuid: Uuid) -> u8 {
    let pod = status::read(dirs, uuid).ok().flatten();
    let ended = pod.and_then(|pod| pod.ended);
    ended.and_then(|ended| ended.status).unwrap_or(0)
}
