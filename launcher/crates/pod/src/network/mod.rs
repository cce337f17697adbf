//! How pods are connected to others, and what that changes on the host.
//!
//! The state of networks belongs to the host's network namespace, not to a data
//! directory: several data directories share it, and others that run in another
//! namespace do not.
//!
//! ```text
//! /run/nosecone/net/DEVICE-INODE/   of the host's network namespace
//! └── 172.16.28.7                   a lease, locked as long as its pod runs
//! ```
//!
//! What a lease stands for is named after its address: the link on the host and
//! the elements in the table `inet nosecone` of the packet filter. The lease is
//! taken before any of that is made and removed after all of it, so whatever a
//! killed process has left is found by its lease. Whoever takes the lock of a
//! lease owns what it stands for.
//!
//! | | |
//! |---|---|
//! | [`pool`] | which addresses pods get |
//! | [`attachment`] | what a pod records of its network |
//! | `leases` | who has which address |
//! | `firewall` | the table of the packet filter |
//! | `forwarding` | what the host passes on |
//! | `ports` | ports of the host that lead to a pod |
//! | `nat` | a link of a pod's own |

pub mod attachment;
mod firewall;
mod forwarding;
mod leases;
mod nat;
pub mod pool;
mod ports;

use std::os::fd::{AsFd, BorrowedFd};

use crate::network::attachment::{Attachment, FILE};
use crate::network::leases::Leases;
pub use crate::network::nat::{Attached, Inside};
use crate::plan::directives::Change;
use crate::spec::network::Connection;
use crate::spec::pod::PodSpec;
use crate::state::directory;
use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};

/// Connects a pod whose network namespace was made, as its spec says. `inside` is
/// that namespace, `pod` the pod's directory. Returns what has to be held as long
/// as the pod runs.
///
/// If it cannot be connected, but runs all the same, `tell` gets the reason.
///
/// # Errors
///
/// No address is free, the kernel lacks an option, or refuses. What was done up
/// to then is recorded in the pod's directory, for [`disconnect`].
pub fn connect(
    spec: &PodSpec,
    mut inside: Inside<'_>,
    pod: BorrowedFd<'_>,
    tell: &dyn Fn(&Error),
) -> Result<Vec<Attached>> {
    let mut attached = Vec::new();
    for connection in &spec.connections {
        match connection.value {
            Connection::Nat => match nat::connect(spec, &mut inside, pod) {
                Err(error) if spec.may_be_unconnected => {
                    disconnect(pod, spec.id)?;
                    tell(&unconnected(error));
                }
                connected => attached.push(connected?),
            },
        }
    }
    Ok(attached)
}

/// Explains why a pod has only a loopback interface.
pub fn unconnected(why: Error) -> Error {
    let what = "the pod has a loopback interface only";
    Error::new(Kind::Failed, what)
        .because(why)
        .hint("`--net=none` asks for that, `--net=host` gives the pod the host's network")
}

/// Removes from the host what a pod that has ended has there. The caller holds
/// the pod's lock.
///
/// # Errors
///
/// The kernel refuses.
pub fn disconnect(pod: impl AsFd, id: Uuid) -> Result<()> {
    let what = || "cannot remove the network of the pod";
    let Some(text) = directory::read_in(&pod, FILE).context(what)? else {
        return Ok(());
    };
    if let Some(attachment) = Attachment::read(&text)
        && let Some(leases) = Leases::here().context(what)?
        && let Some(lease) = leases.reclaim(&attachment, id).context(what)?
    {
        nat::remove(&leases, lease).context(what)?;
    }
    let gone = rustix::fs::unlinkat(&pod, FILE, rustix::fs::AtFlags::empty());
    gone.context(what)
}

/// Removes what pods have left on this host that were killed, with their
/// launchers.
///
/// # Errors
///
/// The kernel refuses.
pub fn sweep() -> Result<()> {
    let what = || "cannot remove the networks of pods that were killed";
    match Leases::here().context(what)? {
        Some(leases) => nat::sweep(&leases).context(what),
        None => Ok(()),
    }
}

/// Returns what connecting a pod would change on this host.
///
/// # Errors
///
/// All networks for pods are in use, or the kernel does not say what it has.
pub fn changes(spec: &PodSpec) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for connection in &spec.connections {
        match connection.value {
            Connection::Nat => changes.extend(nat::changes(&connection.reason)?),
        }
    }
    changes.extend(spec.ports.iter().map(|port| Change {
        what: match port.value.host {
            0 => format!("a free port, to {} of the pod", port.value.of_pod()),
            _ => format!("port {}, to {} of the pod", port.value, port.value.of_pod()),
        },
        reason: port.reason.clone(),
        stays: false,
    }));
    Ok(changes)
}
