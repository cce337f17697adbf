//! How pods are connected to others, and what that changes on the host.
//!
//! The state of networks belongs to the host's network namespace, not to a data
//! directory: several data directories share it, and others that run in another
//! namespace do not.
//!
//! ```text
//! /run/nosecone/net/                locked by whoever makes or removes bridges
//! └── DEVICE-INODE/                 of the host's network namespace
//!     ├── 172.16.28.7               a lease, locked as long as its pod runs
//!     └── UUID.hosts                the names of a pod on bridges
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
//! | [`attachment`] | what a pod records of its networks |
//! | `leases` | who has which address |
//! | `firewall` | the table of the packet filter |
//! | `foreign` | the tables of others |
//! | `forwarding` | what the host passes on |
//! | `ports` | ports of the host that lead to a pod |
//! | `bridge` | links that pods share |
//! | `names` | how pods on bridges find each other |
//! | `link` | a link of a pod's own |
//! | `shared` | a link that shares an interface of the host |
//! | `dhcp` | asks for an address |
//! | `bandwidth` | how much a link may carry |
//! | [`cni`] | what plugins make |

pub mod attachment;
mod bandwidth;
mod bridge;
pub mod cni;
mod dhcp;
mod firewall;
mod foreign;
mod forwarding;
mod leases;
mod link;
mod names;
pub mod pool;
mod ports;
pub mod shared;

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use crate::network::attachment::{Attachment, FILE, Networks};
use crate::network::leases::Leases;
pub use crate::network::link::Inside;
use crate::network::link::Wanted;
pub(crate) use crate::network::ports::listen_for_app as listen;
use crate::plan::directives::Change;
use crate::spec::connection::Kind;
use crate::spec::pod::PodSpec;
use crate::spec::process::Sourced;
use crate::state::directory;
use crate::state::records::{CREATED, Created};
use appc::types::Uuid;
use error::{Context as _, Error, Kind as ErrorKind, Result};

/// What has to be held as long as a pod runs.
#[derive(Default)]
pub struct Connected {
    /// The locks of its leases, and what plugins are to find in the end.
    pub held: Vec<OwnedFd>,
    /// The sockets that listen on its ports on the host, and those on which the
    /// kernel says that the time of an address is over.
    pub ports: Vec<OwnedFd>,
    /// Its `/etc/hosts`, if its networks decide what is in it.
    pub hosts: Option<OwnedFd>,
    /// The content of its `/etc/resolv.conf`, if its networks say that.
    pub resolver: Option<String>,
}

/// Connects a pod whose network namespace was made, as its spec says. `inside` is
/// that namespace, `pod` the pod's directory. Returns what has to be held as long
/// as the pod runs.
///
/// If it cannot be connected, but runs all the same, `tell` gets the reason; and
/// also what may be in its way.
///
/// # Errors
///
/// No address is free, a port is taken, the kernel lacks an option, or refuses. What
/// was done up to then is recorded in the pod's directory, for [`disconnect`].
pub fn connect(
    spec: &PodSpec,
    mut inside: Inside<'_>,
    pod: BorrowedFd<'_>,
    tell: &dyn Fn(&Error),
) -> Result<Connected> {
    let kinds = || spec.connections.iter().map(|one| &one.value.kind);
    if kinds().any(|kind| matches!(kind, Kind::Plugins(_))) {
        cni::sweep(pod, spec.id, tell)?;
    }
    if kinds().any(|kind| matches!(kind, Kind::Nat | Kind::Bridge(_)))
        && let Some(obstacle) = foreign::obstacle()
    {
        tell(&obstacle);
    }
    match connect_all(spec, &mut inside, pod) {
        Err(error) if spec.may_be_unconnected => {
            disconnect(pod, spec.id)?;
            tell(&unconnected(error));
            Ok(Connected::default())
        }
        connected => connected,
    }
}

fn connect_all(spec: &PodSpec, inside: &mut Inside<'_>, pod: BorrowedFd<'_>) -> Result<Connected> {
    // First, so that the addresses that they lead to are not removed later.
    let listeners = ports::listen(&spec.ports)?;
    ports::settle(&listeners, &link::sweep).context(cannot_connect)?;
    let mut record = Networks {
        attachments: Vec::new(),
        ports: listeners
            .iter()
            .map(|listener| (listener.port, listener.descriptor()))
            .collect(),
        metadata: inside.listener.as_raw_fd().unsigned_abs(),
    };
    let mut ports: Vec<_> = listeners.iter().map(|listener| listener.port).collect();
    let mut connected = Connected::default();
    let names = names_of(spec, pod).context(cannot_connect)?;
    for (index, connection) in (0..).zip(&spec.connections) {
        let connection = &connection.value;
        let wanted = Wanted {
            pod: spec.id,
            hostname: &spec.hostname.value,
            directory: pod,
            connection,
            index,
            bandwidth: spec.bandwidth(),
            names: &names,
            // The first has them all.
            ports: match connection.has_ports() {
                true => std::mem::take(&mut ports),
                false => Vec::new(),
            },
        };
        match &connection.kind {
            Kind::Nat | Kind::Bridge(_) => {
                let lease = link::connect(&wanted, inside, &mut record);
                connected.held.push(lease.context(cannot_connect)?);
            }
            Kind::Shared(sharing, name) => {
                let made = shared::connect(&wanted, (*sharing, name), inside, &mut record);
                let made = made.context(cannot_connect)?;
                connected.resolver = connected.resolver.or(made.resolver);
                connected.ports.extend(made.events);
                connected.held.extend(made.namespace);
            }
            Kind::Plugins(network) => {
                let interface = link::interface(index);
                let call = cni::Wanted {
                    network,
                    interface: &interface,
                    arguments: &connection.arguments,
                    ports: &wanted.ports,
                };
                let made = cni::connect(spec.id, &call, pod, inside.namespace)?;
                record.attachments.push(Attachment {
                    interface,
                    mode: connection.kind.to_string(),
                    addresses: made.made.addresses,
                    lease: None,
                    borrowed: None,
                });
                link::write(&record, pod).context(cannot_connect)?;
                if let Some(rate) = wanted.bandwidth {
                    let interface = wanted.interface();
                    bandwidth::limit_inside(
                        inside.namespace,
                        &mut inside.socket,
                        &interface,
                        index,
                        rate,
                    )?;
                }
                connected.resolver = connected.resolver.or_else(|| made.made.dns.file());
                connected.held.push(made.namespace);
            }
        }
    }
    let hosts = match spec.names_pods() {
        true => Some(link::name(spec.id, &spec.own_hosts()).context(cannot_connect)?),
        false => None,
    };
    let ports = listeners.into_iter().map(|listener| listener.socket);
    connected.ports.extend(ports);
    connected.hosts = hosts;
    Ok(connected)
}

/// Returns what others call a pod: its host name, and the name that it was given.
fn names_of(spec: &PodSpec, pod: BorrowedFd<'_>) -> std::io::Result<Vec<String>> {
    let created = directory::read_in(pod, CREATED)?;
    let given = created.and_then(|text| Created::read(&text)?.name);
    let mut names = vec![spec.hostname.value.clone()];
    names.extend(given.map(|name| name.to_string()));
    names.dedup();
    Ok(names)
}

fn cannot_connect() -> &'static str {
    "cannot connect the pod to a network"
}

/// Explains why a pod has only a loopback interface.
pub fn unconnected(why: Error) -> Error {
    let what = "the pod has a loopback interface only";
    Error::new(ErrorKind::Failed, what)
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
    // What else there is, is removed all the same.
    let plugged = cni::disconnect(&pod, id);
    let Some(text) = directory::read_in(&pod, FILE).context(what)? else {
        return plugged;
    };
    let attachments = Networks::read(&text).unwrap_or_default().attachments;
    for held in attachments.iter().filter_map(|one| one.lease) {
        // Whoever has removed the last lease has removed the directory, too.
        if let Some(leases) = Leases::here().context(what)?
            && let Some(lease) = leases.reclaim(held, id).context(what)?
        {
            link::remove(&leases, lease).context(what)?;
        }
    }
    let gone = rustix::fs::unlinkat(&pod, FILE, rustix::fs::AtFlags::empty());
    gone.context(what).and(plugged)
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
        Some(leases) => link::sweep(&leases).context(what),
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
    let mut ports: Vec<_> = spec.ports.iter().map(|port| port.value).collect();
    for (index, Sourced { value, reason }) in (0..).zip(&spec.connections) {
        // The first has them all.
        let ports = match value.has_ports() {
            true => std::mem::take(&mut ports),
            false => Vec::new(),
        };
        match &value.kind {
            Kind::Nat | Kind::Bridge(_) => changes.extend(link::changes(value, index, reason)?),
            Kind::Shared(_, name) => changes.push(shared::changes(value, name, index, reason)?),
            Kind::Plugins(network) => {
                let call = cni::Wanted {
                    network,
                    interface: &link::interface(index),
                    arguments: &value.arguments,
                    ports: &ports,
                };
                changes.push(cni::change(&call, reason)?);
            }
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
