//! Creates a pod's network namespace in advance, with sockets in it.
//!
//! A socket belongs to the namespace in which it was created. So the launcher
//! can listen inside the pod's network and pass on a socket that costs nothing
//! until somebody connects.

#![allow(
    unsafe_code,
    reason = "a namespace of its own for one thread, for a moment; an address that rustix lacks"
)]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use error::{Context as _, Result};

/// Creates a namespace, and returns it with what the function has made in it.
/// Its loopback interface is down.
///
/// # Errors
///
/// The caller lacks privileges, or the kernel has no network namespaces; what
/// the function returns.
pub fn make<T>(inside: impl FnOnce() -> rustix::io::Result<T>) -> Result<(OwnedFd, T)> {
    let what = || "cannot create a network namespace";
    let own = here().context(what)?;
    // SAFETY: only the network is unshared, no descriptor table (see the
    // function's own condition).
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.context(what)?;
    let made = here().and_then(|namespace| Ok((namespace, inside()?)));
    let back = Some(LinkNameSpaceType::Network);
    rustix::thread::move_into_link_name_space(own.as_fd(), back)
        .context(|| "cannot return from a network namespace")?;
    made.context(what)
}

/// Does something in a namespace.
///
/// # Errors
///
/// The caller lacks privileges; what the function returns.
pub fn within<T>(
    namespace: impl AsFd,
    inside: impl FnOnce() -> rustix::io::Result<T>,
) -> rustix::io::Result<T> {
    let own = here()?;
    let kind = Some(LinkNameSpaceType::Network);
    rustix::thread::move_into_link_name_space(namespace.as_fd(), kind)?;
    let made = inside();
    rustix::thread::move_into_link_name_space(own.as_fd(), kind)?;
    made
}

/// Opens the network namespace that this thread is in.
///
/// # Errors
///
/// Procfs is not mounted, or the kernel has no network namespaces.
pub fn here() -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open("/proc/thread-self/ns/net", flags, Mode::empty())
}

/// Listens on a port of 127.0.0.1, in a new network namespace, in which no
/// interface has an address yet.
///
/// # Errors
///
/// Those of the kernel.
pub fn listen(port: u16) -> rustix::io::Result<OwnedFd> {
    let (family, flags) = (AddressFamily::INET, SocketFlags::CLOEXEC);
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    rustix::net::sockopt::set_ip_freebind(&socket, true)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// How many clients can wait.
const BACKLOG: i32 = 128;

/// A socket for packets of IPv4 on a link, for a host without an address on it
/// (packet(7)).
pub struct PacketSocket {
    fd: OwnedFd,
    everybody: LinkAddress,
}

/// `ETH_P_IP`
const IPV4: u16 = 0x800;

impl PacketSocket {
    /// Opens a socket for the link of this number, in the namespace that this
    /// thread is in.
    ///
    /// # Errors
    ///
    /// `EAFNOSUPPORT` if the kernel has no `CONFIG_PACKET`, `ENODEV` if there is
    /// no link of this number.
    pub fn open(link: u32) -> rustix::io::Result<Self> {
        let (family, flags) = (AddressFamily::PACKET, SocketFlags::CLOEXEC);
        // Nothing comes from other links: it comes only when the socket is bound.
        let fd = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
        let everybody = LinkAddress {
            family: family.as_raw(),
            protocol: IPV4.to_be(),
            link: link.cast_signed(),
            hardware: 0,
            kind: 0,
            length: 6,
            address: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0],
        };
        rustix::net::bind(&fd, &everybody)?;
        Ok(Self { fd, everybody })
    }

    /// Sends a packet to everybody on the link.
    ///
    /// # Errors
    ///
    /// `ENETDOWN` if the link is down; others of packet(7).
    pub fn broadcast(&self, packet: &[u8]) -> rustix::io::Result<()> {
        rustix::net::sendto(&self.fd, packet, SendFlags::empty(), &self.everybody).map(drop)
    }

    /// Receives a packet, as much of it as there is room for, and returns its
    /// length; `None` if there is none until then.
    ///
    /// # Errors
    ///
    /// `ENETDOWN` if the link is down; others of packet(7).
    pub fn receive(&self, buffer: &mut [u8], until: Instant) -> rustix::io::Result<Option<usize>> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let mut ready = [PollFd::new(&self.fd, PollFlags::IN)];
            match poll(&mut ready, Timespec::try_from(left).ok().as_ref()) {
                Ok(0) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
                Ok(_) => {
                    let (length, _) = rustix::net::recv(&self.fd, buffer, RecvFlags::empty())?;
                    return Ok(Some(length));
                }
            }
        }
    }
}

/// `struct sockaddr_ll` (packet(7))
#[repr(C)]
struct LinkAddress {
    family: u16,
    protocol: u16,
    link: i32,
    hardware: u16,
    kind: u8,
    length: u8,
    address: [u8; 8],
}

// SAFETY: `with_sockaddr` passes a pointer to a `struct sockaddr_ll` that lives as
// long as the call, and its length; the other functions are the trait's own.
unsafe impl SocketAddrArg for LinkAddress {
    unsafe fn with_sockaddr<R>(
        &self,
        f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        const LENGTH: SocketAddrLen = 20;
        const { assert!(size_of::<LinkAddress>() == 20, "as the kernel has it") };
        f(std::ptr::from_ref(self).cast(), LENGTH)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn the_socket_listens_there_and_not_here() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let before = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let (namespace, listener) = make(|| listen(18_112)).unwrap();
        let here = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        assert_eq!(here, before);
        let address = rustix::net::getsockname(&listener).unwrap();
        let address = SocketAddrV4::try_from(address).unwrap();
        assert_eq!(address.to_string(), "127.0.0.1:18112");
        assert!(std::net::TcpStream::connect(address).is_err());
        let there = rustix::fs::fstat(&namespace).unwrap().st_ino;
        assert_ne!(here.to_str().unwrap(), format!("net:[{there}]"));
    }
}
