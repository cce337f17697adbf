//! Links, addresses and routes (rtnetlink(7)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::time::Duration;

use rustix::io::Errno;

use super::Socket;
use super::message::{self, Attributes, Message, attributes, number};

/// Types of requests (linux/rtnetlink.h).
pub(super) const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
pub(super) const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;

/// Attributes of a link (linux/if_link.h).
pub(super) const ADDRESS: u16 = 1;
pub(super) const NAME: u16 = 3;
pub(super) const MTU: u16 = 4;
pub(super) const MASTER: u16 = 10;
pub(super) const INFO: u16 = 18;
pub(super) const INFO_KIND: u16 = 1;
pub(super) const INFO_DATA: u16 = 2;
pub(super) const NAMESPACE_FD: u16 = 28;

/// `AF_INET` and `AF_INET6`.
const INET: u8 = 2;
const INET6: u8 = 10;

/// `IFF_UP`
const UP: u32 = 1;

/// `IFA_F_NODAD`: nobody else can have the address, so it is usable at once.
const SETTLED: u8 = 0x2;

/// `RT_TABLE_MAIN`, `RTPROT_BOOT`, `RTN_UNICAST`
const MAIN: u8 = 254;
const BOOT: u8 = 3;
const UNICAST: u8 = 1;

/// `RT_SCOPE_UNIVERSE`, `RT_SCOPE_LINK`
const ANYWHERE: u8 = 0;
const LINK: u8 = 253;

/// A link between two network namespaces (veth(4)).
pub struct Veth<'a> {
    /// The name of the end in this namespace.
    pub here: &'a str,
    /// The name of the other end.
    pub there: &'a str,
    /// The namespace of the other end.
    pub namespace: BorrowedFd<'a>,
    /// The hardware address of the other end, if it is not any.
    pub mac: Option<[u8; 6]>,
    /// The largest packet of both, in bytes, if it is not the usual one.
    pub mtu: Option<u32>,
}

/// Where packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The network: its address, and how many bits of that are its prefix.
    pub to: (IpAddr, u8),
    /// The link.
    pub link: u32,
    /// The next hop, unless the network is on the link itself.
    pub gateway: Option<IpAddr>,
}

impl Socket {
    /// Adds a pair of links, both down.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the kernel has no `CONFIG_VETH`, `EEXIST` if there is a
    /// link of this name.
    pub fn add_veth(&mut self, veth: &Veth<'_>) -> rustix::io::Result<()> {
        // linux/veth.h
        const PEER: u16 = 1;
        let sized = |link: Attributes| match veth.mtu {
            Some(mtu) => link.with_u32(MTU, mtu),
            None => link,
        };
        let mut peer = Attributes::new()
            .with_text(NAME, veth.there)
            .with_u32(NAMESPACE_FD, veth.namespace.as_raw_fd().unsigned_abs());
        if let Some(mac) = veth.mac {
            peer = peer.with(ADDRESS, &mac);
        }
        let any = link_header(0, 0);
        let data = Attributes::new().with_nested_after(PEER, &any, &sized(peer));
        let info = Attributes::new()
            .with_text(INFO_KIND, "veth")
            .with_nested(INFO_DATA, &data);
        let pair = Attributes::new()
            .with_text(NAME, veth.here)
            .with_nested(INFO, &info);
        let flags = message::CREATE | message::EXCLUSIVE;
        self.execute(Message::new(NEW_LINK, flags, &any, sized(pair)))
    }

    /// Returns the number of a link; `None` if there is none of this name.
    ///
    /// # Errors
    ///
    /// Those of netlink(7).
    pub fn find_link(&mut self, name: &str) -> rustix::io::Result<Option<u32>> {
        let named = Attributes::new().with_text(NAME, name);
        let request = Message::new(GET_LINK, message::ACK, &link_header(0, 0), named);
        match self.list(request) {
            Ok(found) => Ok(found.first().and_then(|(_, link)| number_of(link))),
            Err(Errno::NODEV) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Returns the name of a link; `None` if there is none of this number.
    ///
    /// # Errors
    ///
    /// Those of netdevice(7).
    pub fn name_of(&self, link: u32) -> rustix::io::Result<Option<String>> {
        match rustix::net::netdevice::index_to_name(&self.fd, link) {
            Ok(name) => Ok(Some(name)),
            Err(Errno::NODEV) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Sets a link up.
    ///
    /// # Errors
    ///
    /// `ENODEV` if there is no link of this number, `EADDRINUSE` if it shares
    /// another one with one that has its address.
    pub fn set_up(&mut self, link: u32) -> rustix::io::Result<()> {
        let up = link_header(link, UP);
        self.execute(Message::new(NEW_LINK, 0, &up, Attributes::new()))
    }

    /// Removes a link; one that does not exist is none.
    ///
    /// # Errors
    ///
    /// Those of netlink(7).
    pub fn delete_link(&mut self, name: &str) -> rustix::io::Result<()> {
        let named = Attributes::new().with_text(NAME, name);
        match self.execute(Message::new(DELETE_LINK, 0, &link_header(0, 0), named)) {
            Err(Errno::NODEV) => Ok(()),
            deleted => deleted,
        }
    }

    /// Adds an address to a link, with the length of the prefix of its network;
    /// nobody asks whether others have it.
    ///
    /// # Errors
    ///
    /// `EEXIST` if the link has it, `EACCES` if it is one of IPv6 and that is
    /// turned off for the link.
    pub fn add_address(
        &mut self,
        link: u32,
        (address, prefix): (IpAddr, u8),
    ) -> rustix::io::Result<()> {
        let (family, bytes) = bytes(address);
        let mut header = vec![family, prefix, SETTLED, ANYWHERE];
        header.extend(link.to_ne_bytes());
        let own = Attributes::new()
            .with(LOCAL, &bytes)
            .with(IF_ADDRESS, &bytes);
        let flags = message::CREATE | message::EXCLUSIVE;
        self.execute(Message::new(NEW_ADDRESS, flags, &header, own))
    }

    /// Adds an address of IPv4 to a link for a time, or changes for how long the link
    /// has it. The kernel removes it after `valid`; it says so then, and after
    /// `preferred`, to those that listen ([`Self::addresses`]).
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no time left, or `preferred` is longer than `valid`.
    pub fn lend_address(
        &mut self,
        link: u32,
        (address, prefix): (Ipv4Addr, u8),
        valid: Duration,
        preferred: Duration,
    ) -> rustix::io::Result<()> {
        let seconds = |time: Duration| {
            let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
            seconds.to_ne_bytes()
        };
        // `struct ifa_cacheinfo`
        let times = [seconds(preferred), seconds(valid), [0; 4], [0; 4]].concat();
        let mut header = vec![INET, prefix, SETTLED, ANYWHERE];
        header.extend(link.to_ne_bytes());
        let own = Attributes::new()
            .with(LOCAL, &address.octets())
            .with(IF_ADDRESS, &address.octets())
            .with(TIMES, &times);
        let flags = message::CREATE | message::REPLACE;
        self.execute(Message::new(NEW_ADDRESS, flags, &header, own))
    }

    /// Returns for how long a link still has an address of IPv4; `None` if it does
    /// not have it.
    ///
    /// # Errors
    ///
    /// Those of netlink(7).
    pub fn time_left(&mut self, link: u32, address: Ipv4Addr) -> rustix::io::Result<Option<Left>> {
        let header = [INET, 0, 0, 0, 0, 0, 0, 0];
        let request = Message::new(GET_ADDRESS, message::DUMP, &header, Attributes::new());
        let listed = self.list(request)?;
        let found = listed.iter().find_map(|(_, one)| {
            let find = |wanted| {
                let mut all = attributes(one.get(8..)?);
                all.find(|(kind, _)| *kind == wanted)
                    .map(|(_, value)| value)
            };
            let ours = number(one.get(4..)?).map(u32::from_ne_bytes) == Some(link)
                && find(LOCAL)? == address.octets();
            let seconds = |at: usize| {
                let seconds = number(find(TIMES)?.get(at..)?).map(u32::from_ne_bytes)?;
                Some(Duration::from_secs(seconds.into()))
            };
            ours.then(|| {
                Some(Left {
                    prefix: *one.get(1)?,
                    valid: seconds(4)?,
                    preferred: seconds(0)?,
                })
            })?
        });
        Ok(found)
    }
}

/// For how long a link still has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The length of the prefix of its network.
    pub prefix: u8,
    /// Until it goes.
    pub valid: Duration,
    /// Until somebody is to do something about it.
    pub preferred: Duration,
}

/// Attributes of an address (linux/if_addr.h).
const IF_ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const TIMES: u16 = 6;

impl Socket {
    /// Adds a route to the main table.
    ///
    /// # Errors
    ///
    /// `EEXIST` if there is one to this network, `ENETUNREACH` if its gateway
    /// is not on the link.
    pub fn add_route(&mut self, route: &Route) -> rustix::io::Result<()> {
        let (network, prefix) = route.to;
        let (family, destination) = bytes(network);
        let scope = match route.gateway {
            None => LINK,
            Some(_) => ANYWHERE,
        };
        let header = [family, prefix, 0, 0, MAIN, BOOT, scope, UNICAST, 0, 0, 0, 0];
        let mut attributes = Attributes::new();
        if prefix > 0 {
            attributes = attributes.with(DESTINATION, &destination);
        }
        attributes = attributes.with_u32(OUT_LINK, route.link);
        if let Some(gateway) = route.gateway {
            attributes = attributes.with(GATEWAY, &bytes(gateway).1);
        }
        let flags = message::CREATE | message::EXCLUSIVE;
        self.execute(Message::new(NEW_ROUTE, flags, &header, attributes))
    }

    /// Returns the routes to other hosts in IPv4, in any table; one through
    /// several links counts once for each.
    ///
    /// # Errors
    ///
    /// Those of netlink(7).
    pub fn routes(&mut self) -> rustix::io::Result<Vec<Route>> {
        let mut header = [0; 12];
        header[0] = INET;
        let request = Message::new(GET_ROUTE, message::DUMP, &header, Attributes::new());
        let listed = self.list(request)?;
        let found = listed.iter().filter(|(kind, _)| *kind == NEW_ROUTE);
        Ok(found.flat_map(|(_, route)| read_route(route)).collect())
    }
}

/// Attributes of a route.
const DESTINATION: u16 = 1;
const OUT_LINK: u16 = 4;
const GATEWAY: u16 = 5;
const MULTIPATH: u16 = 9;

/// Makes a `struct ifinfomsg` that sets flags of a link.
pub(super) fn link_header(link: u32, flags: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&link.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    // Which flags are meant.
    header[12..].copy_from_slice(&flags.to_ne_bytes());
    header
}

/// Returns the number of a link in a `struct ifinfomsg`.
pub(super) fn number_of(link: &[u8]) -> Option<u32> {
    number(link.get(4..)?).map(u32::from_ne_bytes)
}

/// Returns the family of an address, and its bytes.
fn bytes(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (INET, address.octets().to_vec()),
        IpAddr::V6(address) => (INET6, address.octets().to_vec()),
    }
}

/// Returns how many bits an address has.
pub const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => number::<4>(bytes).map(|bytes| Ipv4Addr::from(bytes).into()),
        16 => number::<16>(bytes).map(|bytes| Ipv6Addr::from(bytes).into()),
        _ => None,
    }
}

/// Reads a `struct rtmsg` and its attributes.
fn read_route(message: &[u8]) -> Vec<Route> {
    let (Some(&prefix), Some(&kind), Some(rest)) =
        (message.get(1), message.get(7), message.get(12..))
    else {
        return Vec::new();
    };
    if kind != UNICAST {
        return Vec::new();
    }
    let find = |wanted| attributes(rest).find(|(kind, _)| *kind == wanted);
    let destination = find(DESTINATION).and_then(|(_, bytes)| address(bytes));
    let to = (destination.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), prefix);
    let gateway = find(GATEWAY).and_then(|(_, bytes)| address(bytes));
    let link = find(OUT_LINK).and_then(|(_, bytes)| number(bytes).map(u32::from_ne_bytes));
    let several = find(MULTIPATH).map(|(_, hops)| hops_of(hops));
    let links = link.into_iter().chain(several.into_iter().flatten());
    let route = |link| Route { to, link, gateway };
    links.map(route).collect()
}

/// Returns the links of a list of `struct rtnexthop`.
fn hops_of(mut hops: &[u8]) -> Vec<u32> {
    let mut links = Vec::new();
    while let (Some(length), Some(link)) = (number(hops), hops.get(4..).and_then(number)) {
        links.push(u32::from_ne_bytes(link));
        let length = usize::from(u16::from_ne_bytes(length)).next_multiple_of(4);
        match hops.get(length..) {
            Some(rest) if length > 0 => hops = rest,
            _ => break,
        }
    }
    links
}
