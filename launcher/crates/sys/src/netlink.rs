//! Netlink: how the kernel is told about links, addresses, routes and packet
//! filters (netlink(7)).
//!
//! A request is a message: a fixed header of its family, and attributes,
//! which can be nested. The kernel executes it while it is sent, and answers
//! with an acknowledgement or an error. `route`, `bridge`, `upper` and `queue` have
//! the requests of rtnetlink(7), and `nftables` those of the packet filter, which
//! come in batches.
//!
//! A socket belongs to the network namespace in which it was opened, whatever
//! namespace its owner is in later.

pub mod bridge;
pub mod expression;
mod message;
pub mod nftables;
pub mod queue;
pub mod route;
pub mod upper;

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};

use message::{Message, Received, received};

/// A netlink socket.
pub struct Socket {
    fd: OwnedFd,
    /// The number of the last request.
    sequence: u32,
}

/// The most that the kernel puts into one datagram (`NLMSG_GOODSIZE` is less).
const BUFFER: usize = 32 << 10;

impl Socket {
    /// Opens a socket for links, addresses and routes of the network namespace
    /// that this thread is in.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    pub fn route() -> rustix::io::Result<Self> {
        // NETLINK_ROUTE is zero.
        Self::open(None)
    }

    /// Opens a socket on which the kernel says that an address of IPv4 was added or
    /// changed, or has gone. It is readable then.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    pub fn addresses() -> rustix::io::Result<OwnedFd> {
        // `RTMGRP_IPV4_IFADDR` (rtnetlink(7))
        const ADDRESSES: u32 = 0x10;
        let Self { fd, .. } = Self::route()?;
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, ADDRESSES))?;
        Ok(fd)
    }

    /// Opens a socket for the packet filter of that namespace.
    ///
    /// # Errors
    ///
    /// `EPROTONOSUPPORT` if the kernel has no `CONFIG_NF_TABLES`; those of
    /// socket(2).
    pub fn netfilter() -> rustix::io::Result<Self> {
        Self::open(Some(rustix::net::netlink::NETFILTER))
    }

    fn open(protocol: Option<Protocol>) -> rustix::io::Result<Self> {
        let (family, flags) = (AddressFamily::NETLINK, SocketFlags::CLOEXEC);
        let fd = rustix::net::socket_with(family, SocketType::RAW, flags, protocol)?;
        Ok(Self { fd, sequence: 0 })
    }

    /// Executes a request, and waits for its acknowledgement.
    fn execute(&mut self, request: Message) -> rustix::io::Result<()> {
        let request = request.with_flags(message::ACK);
        self.send(&[request])?;
        self.answers(&mut |_| {})
    }

    /// Returns what the kernel lists: the type of each answer, and what follows
    /// its header.
    fn list(&mut self, request: Message) -> rustix::io::Result<Vec<(u16, Vec<u8>)>> {
        let mut listed = Vec::new();
        self.send(&[request])?;
        self.answers(&mut |one| listed.push((one.kind, one.payload.to_vec())))?;
        Ok(listed)
    }

    /// Sends requests in one datagram, numbered one after another.
    fn send(&mut self, requests: &[Message]) -> rustix::io::Result<()> {
        let mut datagram = Vec::new();
        for request in requests {
            self.sequence = self.sequence.wrapping_add(1);
            request.encode(self.sequence, &mut datagram);
        }
        rustix::net::send(&self.fd, &datagram, SendFlags::empty()).map(drop)
    }

    /// Receives the answers to the last request, up to the one that says that
    /// there are no more.
    fn answers(&mut self, each: &mut dyn FnMut(&Received<'_>)) -> rustix::io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = self.receive(&mut buffer, RecvFlags::empty())?;
            for one in received(&buffer[..length]) {
                if one.sequence != self.sequence {
                    continue;
                }
                match one.end() {
                    Some(0) => return Ok(()),
                    Some(errno) => return Err(Errno::from_raw_os_error(errno)),
                    None => each(&one),
                }
            }
        }
    }

    fn receive(&self, buffer: &mut [u8], flags: RecvFlags) -> rustix::io::Result<usize> {
        loop {
            match rustix::net::recv(&self.fd, &mut *buffer, flags | RecvFlags::TRUNC) {
                Err(Errno::INTR) => {}
                Ok((_, length)) if length > buffer.len() => return Err(Errno::NOBUFS),
                received => return received.map(|(_, length)| length),
            }
        }
    }
}

#[cfg(test)]
#[path = "netlink_tests.rs"]
mod tests;
