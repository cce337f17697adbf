//! Ports of the host that lead to a pod. A socket listens on each as long as the
//! pod runs: so the kernel gives a port one owner, and no other
//! program takes it. What comes from other hosts is redirected before it gets to
//! the socket, see `firewall`; the rest is passed on by a process that is started
//! when somebody connects.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::network::leases::{self, Leases};
use crate::spec::ports::{Protocol, PublishedPort};
use crate::spec::process::Sourced;
use error::quote::quoted;
use error::{Context as _, Error, Kind, Result};
use sys::sockets::{self, Owner};

/// A port, and the socket that listens on it.
pub(super) struct Listener {
    /// The port, with its number even if any was asked for.
    pub(super) port: PublishedPort,
    /// The socket.
    pub(super) socket: OwnedFd,
}

impl Listener {
    /// Returns the number of the descriptor.
    pub(super) fn descriptor(&self) -> u32 {
        self.socket.as_raw_fd().unsigned_abs()
    }
}

/// How many clients can wait.
const BACKLOG: i32 = 4096;

/// How long, and how often, to wait for the processes of a pod that has just ended
/// to be gone.
const PAUSE: Duration = Duration::from_millis(2);
const PAUSES: usize = 100;

/// Listens on ports.
///
/// # Errors
///
/// Somebody has one of them, or the host does not have its address.
pub(super) fn listen(ports: &[Sourced<PublishedPort>]) -> Result<Vec<Listener>> {
    let all = ports.iter().map(|port| listen_on(port.value));
    all.collect()
}

/// Listens on a port for an app, which is to find the socket as it expects it.
///
/// # Errors
///
/// As for [`listen`].
pub(crate) fn listen_for_app(port: PublishedPort) -> Result<OwnedFd> {
    let Listener { socket, .. } = listen_on(port)?;
    let blocking = rustix::io::ioctl_fionbio(&socket, false);
    blocking.context(|| format!("cannot publish port {port}"))?;
    Ok(socket)
}

fn listen_on(port: PublishedPort) -> Result<Listener> {
    for _ in 0..PAUSES {
        match bind(port) {
            Ok(listener) => return Ok(listener),
            Err(Errno::ADDRINUSE) => thread::sleep(PAUSE),
            Err(Errno::ADDRNOTAVAIL) => {
                return Err(cannot(port, "the host does not have this address"));
            }
            Err(errno) => return Err(cannot(port, &std::io::Error::from(errno).to_string())),
        }
    }
    Err(match owner_of(port)? {
        Some(owner) => cannot(port, &format!("pod `{}` has it", owner.pod)),
        None => cannot(port, &program_with(port)),
    })
}

fn cannot(port: PublishedPort, why: &str) -> Error {
    Error::new(Kind::Failed, format!("cannot publish port {port}: {why}"))
}

/// Names the program on the host that has a port.
fn program_with(port: PublishedPort) -> String {
    match sockets::owner(port.protocol.name(), port.host) {
        Some(Owner { process, name }) => {
            format!("program {} (process {process}) has it", quoted(&name))
        }
        None => "a program on the host has it".to_owned(),
    }
}

/// Returns the pod that has a port.
fn owner_of(port: PublishedPort) -> Result<Option<leases::Owner>> {
    let leases = Leases::here().context(|| "cannot read who has which port")?;
    let owners = leases.map(|leases| leases.owners()).transpose();
    let owners = owners.context(|| "cannot read who has which port")?;
    let mut owners = owners.into_iter().flatten().map(|(_, owner)| owner);
    Ok(owners.find(|owner| owner.ports.iter().any(|other| other.overlaps(&port))))
}

/// Waits until no pod that was killed has one of these ports in the packet
/// filter. The caller listens on them, so nobody else has.
///
/// # Errors
///
/// Files that cannot be read.
pub(super) fn settle(
    listeners: &[Listener],
    sweep: &dyn Fn(&Leases) -> rustix::io::Result<()>,
) -> rustix::io::Result<()> {
    for _ in 0..PAUSES {
        let Some(leases) = Leases::here()? else {
            return Ok(());
        };
        sweep(&leases)?;
        if listeners.is_empty() {
            return Ok(());
        }
        let mut left = leases
            .owners()?
            .into_iter()
            .flat_map(|(_, owner)| owner.ports);
        if !left.any(|port| listeners.iter().any(|one| one.port.overlaps(&port))) {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    Err(Errno::BUSY)
}

fn bind(port: PublishedPort) -> rustix::io::Result<Listener> {
    let everywhere = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    match bind_to(port.address.unwrap_or(everywhere), port) {
        Err(Errno::AFNOSUPPORT) if port.address.is_none() => {
            bind_to(Ipv4Addr::UNSPECIFIED.into(), port)
        }
        bound => bound,
    }
}

fn bind_to(address: IpAddr, port: PublishedPort) -> rustix::io::Result<Listener> {
    let family = match address {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    let kind = match port.protocol {
        Protocol::Tcp => SocketType::STREAM,
        Protocol::Udp => SocketType::DGRAM,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, kind, flags, None)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, port.address.is_some())?;
    }
    if port.protocol == Protocol::Tcp {
        // Connections that have ended do not keep it.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    rustix::net::bind(&socket, &SocketAddr::new(address, port.host))?;
    if port.protocol == Protocol::Tcp {
        rustix::net::listen(&socket, BACKLOG)?;
    }
    let bound = rustix::net::getsockname(&socket)?;
    let bound = SocketAddr::try_from(bound).map_err(|_| Errno::AFNOSUPPORT)?;
    let host = bound.port();
    Ok(Listener {
        port: PublishedPort { host, ..port },
        socket,
    })
}
