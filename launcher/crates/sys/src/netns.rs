//! Creates a pod's network namespace in advance, with sockets in it.
//!
//! A socket belongs to the namespace in which it was created. So the launcher
//! can listen inside the pod's network and pass on a socket that costs nothing
//! until somebody connects.

#![allow(
    unsafe_code,
    reason = "a namespace of its own for one thread, for a moment"
)]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
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
