//! Networks that a pod joins: that of another pod, or a namespace that a file stands
//! for (ip-netns(8)).
//!
//! They stay as they are, also their parameters and whether their loopback
//! interface is up. They have no metadata service of ours: its address is that of
//! the loopback interface, which belongs to others.
//!
//! A pod keeps the network of the one that it has joined when that ends. What that
//! had on the host goes with it, though, and so does the way to others by `nat` and
//! `bridge`.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::runtime::pod_process;
use crate::spec::pod::Joined;
use crate::state::records::{STARTED, Started};
use crate::state::{directory, find};
use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};
use sys::dirs::Dirs;
use sys::netns;

/// Opens the namespace.
///
/// # Errors
///
/// It is not there, not a network namespace, or the host's own; the pod is not
/// running.
pub(crate) fn open(dirs: &Dirs, joined: &Joined) -> Result<OwnedFd> {
    let namespace = match joined {
        Joined::File(path) => of_file(path),
        Joined::Pod(uuid) => of_pod(dirs, *uuid),
    };
    let other = namespace.and_then(not_the_hosts);
    other.context(|| format!("cannot join network `{joined}`"))
}

/// Opens the network namespace that a file stands for.
fn of_file(path: &Path) -> Result<OwnedFd> {
    // Nobody is to wait for the other end of a pipe.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).context(|| "cannot open it")?;
    // By this link, procfs says of which kind a namespace is (namespaces(7)).
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    let kind = std::fs::read_link(link).context(|| "cannot look at it")?;
    match kind.as_os_str().as_encoded_bytes().starts_with(b"net:[") {
        true => Ok(file),
        false => Err(Error::invalid("it is not a network namespace")
            .hint("`ip netns add NAME` makes `/run/netns/NAME`")),
    }
}

/// Opens the network namespace of a running pod.
fn of_pod(dirs: &Dirs, uuid: Uuid) -> Result<OwnedFd> {
    let over = || Error::new(Kind::Failed, "the pod is not running");
    let place = find::running_place(dirs, uuid);
    let started = directory::find(&place, uuid, STARTED)?;
    let started = started.and_then(|text| Started::read(&text));
    let started = started.ok_or_else(over)?;
    let outer = pod_process::outer(&started.process)?.ok_or_else(over)?;
    let init = pod_process::init(&outer)?.ok_or_else(over)?;
    init.namespace("net")?.ok_or_else(over)
}

/// Refuses the host's own network, which is to be asked for by its name.
fn not_the_hosts(namespace: OwnedFd) -> Result<OwnedFd> {
    let what = || "cannot look at it";
    let own = netns::here().and_then(rustix::fs::fstat).context(what)?;
    let other = rustix::fs::fstat(&namespace).context(what)?;
    match (own.st_dev, own.st_ino) == (other.st_dev, other.st_ino) {
        true => Err(Error::invalid("it is the host's").hint("`--net=host` shares it")),
        false => Ok(namespace),
    }
}
