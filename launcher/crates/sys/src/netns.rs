//! Creates a pod's network namespace in advance, with the loopback interface up
//! and a listening socket in it.
//!
//! A socket belongs to the namespace in which it was created. So the launcher
//! can listen inside the pod's network and pass on a socket that costs nothing
//! until somebody connects.

#![allow(unsafe_code, reason = "namespaces of threads and flags of interfaces")]

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;
use std::thread;

use rustix::fs::{Mode, OFlags};
use rustix::ioctl::{Opcode, Setter};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::thread::UnshareFlags;

use error::{Context as _, Error, Kind, Result};

/// A network namespace and a socket in it.
pub struct Netns {
    /// The namespace, for setns(2).
    pub namespace: OwnedFd,
    /// The socket that listens in it.
    pub listener: TcpListener,
}

/// Creates a namespace whose socket listens on this port of 127.0.0.1.
///
/// # Errors
///
/// The caller lacks privileges, or the kernel has no network namespaces.
pub fn make(port: u16) -> Result<Netns> {
    // Namespaces belong to threads, so this process stays in its own.
    let made = thread::Builder::new().spawn(move || make_here(port));
    let joined = made
        .context(|| "cannot start a thread")?
        .join()
        .map_err(|_| Error::new(Kind::Failed, "cannot create a network namespace"))?;
    joined.context(|| "cannot create a network namespace")
}

fn make_here(port: u16) -> std::io::Result<Netns> {
    // SAFETY: only the network is unshared, no descriptor table (see the
    // function's own condition), and this thread ends right after it.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET)? };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let namespace = rustix::fs::open("/proc/thread-self/ns/net", flags, Mode::empty())?;
    loopback_up()?;
    let listener = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    Ok(Netns {
        namespace,
        listener,
    })
}

/// The part of `struct ifreq` (netdevice(7)) that is needed to set flags.
#[repr(C)]
struct InterfaceFlags {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// `SIOCSIFFLAGS`, from the kernel's `sockios.h`.
const SET_FLAGS: Opcode = 0x8914;

/// `IFF_UP` and `IFF_RUNNING`, from netdevice(7).
const UP_AND_RUNNING: u16 = 0x1 | 0x40;

fn loopback_up() -> rustix::io::Result<()> {
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let mut request = InterfaceFlags {
        name: [0; 16],
        flags: UP_AND_RUNNING,
        rest: [0; 22],
    };
    request.name[..2].copy_from_slice(b"lo");
    // SAFETY: the opcode takes a `struct ifreq`, which is 40 bytes that begin
    // with a terminated name and the flags; the kernel reads no more of it.
    let set = unsafe { Setter::<SET_FLAGS, InterfaceFlags>::new(request) };
    // SAFETY: as above; the call touches nothing but that structure.
    unsafe { rustix::ioctl::ioctl(&socket, set) }
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
        let netns = make(18_112).unwrap();
        assert!(std::net::TcpStream::connect(netns.listener.local_addr().unwrap()).is_err());
        let here = std::fs::read_link("/proc/self/ns/net").unwrap();
        let there = rustix::fs::fstat(&netns.namespace).unwrap().st_ino;
        assert_ne!(here.to_str().unwrap(), format!("net:[{there}]"));
    }
}
