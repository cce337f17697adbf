//! `launcher attach`: attaches to the terminal of a running pod.

use std::fs::File;
use std::path::Path;

use crate::cmd::exit::Exit;
use crate::cmd::selector::PodSelector;
use crate::cmd::status::running;
use crate::cmd::{child, say};
use appc::types::Uuid;
use error::{Context as _, Error, Result};
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

/// Attaches, and returns how to exit.
pub(crate) fn run(dir: &Path, attach: &Attach) -> Result<Exit> {
    let dirs = Dirs::look(dir)?;
    let (dirs, uuid) = attach.selector.find_one(&dirs)?;
    let over = || Error::invalid(format!("cannot attach to pod `{uuid}`: it has exited"));
    let pod = running(&dirs, uuid, "attach to")?.ok_or_else(over)?;
    let directory = directory::open_in(&dirs, State::Run, uuid)?.ok_or_else(over)?;
    // Opened here, so that it can be read even after the pod is removed.
    let report = directory::open_in_pod(&directory, "report");
    let mut report = report
        .context(|| format!("cannot read `report` of pod `{uuid}`"))?
        .ok_or_else(over)?;
    let attended = terminal::attach(&directory, uuid)?;
    let started = pod.started.ok_or_else(over)?;
    let master = started.terminal.ok_or_else(|| terminal::none(uuid))?;
    let target = Target::find(&started.process)?.ok_or_else(over)?;
    let master = pty::take(target.pidfd(), master)?;
    let aside = RelayOptions {
        keys: &attach.keys,
        // If the pod is ending, the relay ends as well.
        signal: &mut |signal| drop(target.signal(signal)),
        until: None,
    };
    let left = relay(std::os::fd::AsFd::as_fd(&master), aside)?;
    drop((attended, master));
    match left {
        RelayEnd::Closed => {
            Release::of(directory)?.until(None)?;
            exit_of(&dirs, uuid, &mut report)
        }
        RelayEnd::Detached | RelayEnd::HungUp => {
            say_how_to_return(uuid);
            Ok(Exit::with(0))
        }
    }
}

/// Tells the caller how to attach again.
pub(super) fn say_how_to_return(uuid: Uuid) {
    say(&[format!(
        "pod `{uuid}` is still running; `launcher attach` returns to it"
    )]);
}

/// Returns how a pod has exited, as it was recorded or, if it was removed, as
/// its apps did.
fn exit_of(dirs: &Dirs, uuid: Uuid, report: &mut File) -> Result<Exit> {
    let pod = status::read(dirs, uuid).ok().flatten();
    let status = pod.and_then(|pod| pod.ended?.status);
    let report = child::read(report)?;
    Ok(status.map_or_else(
        || Exit::of_report(&report),
        |status| Exit::reported(status, &report),
    ))
}
