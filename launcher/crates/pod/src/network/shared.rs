//! `--net=macvlan` and `--net=ipvlan`: a link that shares an interface of the host,
//! so that the pod is a neighbour of its host, with an address of the network that
//! the interface is on. That costs nothing for a packet, but the host itself is the
//! one that such a pod does not reach.
//!
//! The link is made in the pod's namespace, and the kernel removes it with that: it
//! leaves nothing on the host, and needs no lease of ours.
//!
//! An address that is not given comes from a server of DHCP (`dhcp`), which is asked
//! before the apps start. No process of ours runs as long as the pod does: the kernel
//! knows for how long the address is lent. When half of that time is over it says so
//! on a socket that the process that waits for the pod has, which then executes the
//! launcher to ask for more ([`renew`]), and again after half of what is left. When
//! all of the time is over, the kernel removes the address, as RFC 2131 (4.4.5) wants
//! it. The server is not told when the pod ends; it knows the pod by its UUID.
//!
//! Addresses of IPv6 are those that routers announce, if any, as on other hosts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::RecvFlags;

use crate::network::attachment::{Attachment, Borrowed, Networks};
use crate::network::bandwidth;
use crate::network::dhcp::{Asking, Lease};
use crate::network::link::{Inside, Wanted, interface, write};
use crate::plan::directives::Change;
use crate::spec::connection::{Arguments, Connection, is_within};
use crate::spec::sharing::{InterfaceName, Mode, Sharing};
use appc::types::Uuid;
use error::{Context as _, Error, Kind as ErrorKind, Result};
use sys::netlink::Socket;
use sys::netlink::route::{Route, bits};
use sys::netlink::upper::{self, IpvlanMode, Link, MacvlanMode, Upper};
use sys::netns::{self, PacketSocket};

/// What a link that shares an interface brings along.
#[derive(Default)]
pub(super) struct Joined {
    /// The content of `/etc/resolv.conf`, if a server of DHCP has named servers.
    pub(super) resolver: Option<String>,
    /// The socket on which the kernel says that the time of the address is over, if
    /// it is lent.
    pub(super) events: Option<OwnedFd>,
    /// The pod's namespace, to be held for the same.
    pub(super) namespace: Option<OwnedFd>,
}

/// Connects a pod, and records it.
///
/// # Errors
///
/// The interface is not there, or cannot be shared; the kernel lacks an option; no
/// server has answered.
pub(super) fn connect(
    wanted: &Wanted<'_>,
    (sharing, name): (Sharing, &InterfaceName),
    inside: &mut Inside<'_>,
    record: &mut Networks,
) -> Result<Joined> {
    let mut socket = Socket::route().context(|| "cannot use netlink")?;
    let lower = look(&mut socket, name, &wanted.connection.arguments)?;
    let made = Made::add(&mut socket, wanted, (sharing, name), &lower, inside)?;
    let Arguments {
        ip,
        prefix,
        gateway,
        ..
    } = wanted.connection.arguments;
    let mut joined = Joined::default();
    let mut borrowed = None;
    let address = match ip.zip(prefix) {
        Some(given) => {
            made.settle(inside, &Given::told(given, gateway))?;
            given.0
        }
        None => {
            let lease = made.ask(wanted, name, inside)?;
            made.settle(inside, &Given::lent(&lease, wanted))?;
            if lease.lifetime.is_some() {
                let what = || "cannot watch the address of the pod";
                let events = netns::within(inside.namespace, Socket::addresses);
                let events = events.context(what)?;
                let namespace = inside.namespace.try_clone_to_owned().context(what)?;
                borrowed = Some(Borrowed {
                    events: events.as_raw_fd().unsigned_abs(),
                    namespace: namespace.as_raw_fd().unsigned_abs(),
                });
                (joined.events, joined.namespace) = (Some(events), Some(namespace));
            }
            joined.resolver = resolver(&lease);
            lease.address.0.into()
        }
    };
    record.attachments.push(Attachment {
        interface: wanted.interface(),
        mode: wanted.connection.kind.to_string(),
        addresses: vec![address],
        lease: None,
        borrowed,
    });
    write(record, wanted.directory).context(|| "cannot record the network")?;
    Ok(joined)
}

/// Looks at the interface, and whether it can be shared with these arguments.
fn look(socket: &mut Socket, name: &InterfaceName, arguments: &Arguments) -> Result<Link> {
    let name = name.as_str();
    let failed = |what: String| Err(Error::new(ErrorKind::Failed, what));
    let found = socket.look_at_link(name);
    let found = found.context(|| format!("cannot look at interface `{name}`"))?;
    let Some(link) = found else {
        let what = format!("the host has no interface `{name}`");
        let hint = "`ip link` lists the interfaces of the host";
        return Err(Error::new(ErrorKind::NotFound, what).hint(hint));
    };
    if link.is_loopback() {
        return failed(format!(
            "interface `{name}` leads to the host itself, and cannot be shared"
        ));
    }
    if !link.has_broadcast() {
        return failed(format!(
            "interface `{name}` is not one of Ethernet, and cannot be shared"
        ));
    }
    if !link.is_up() {
        let what = format!("interface `{name}` is down");
        let hint = format!("`ip link set {name} up` sets it up");
        return Err(Error::new(ErrorKind::Failed, what).hint(hint));
    }
    match arguments.mtu.filter(|&mtu| mtu > link.mtu) {
        Some(mtu) => failed(format!(
            "argument `MTU`: packets of {mtu} bytes are too large for interface `{name}`, which \
             has {}",
            link.mtu
        )),
        None => Ok(link),
    }
}

/// A link that was made in a pod.
struct Made {
    number: u32,
    /// Its name in the pod.
    interface: String,
    /// Its largest packet.
    mtu: u32,
    /// Whether the caller has chosen that.
    fixed: bool,
}

impl Made {
    fn add(
        socket: &mut Socket,
        wanted: &Wanted<'_>,
        (sharing, name): (Sharing, &InterfaceName),
        lower: &Link,
        inside: &mut Inside<'_>,
    ) -> Result<Self> {
        let arguments = &wanted.connection.arguments;
        let interface = wanted.interface();
        let upper = Upper {
            name: &interface,
            lower: lower.number,
            sharing: as_in_kernel(sharing, arguments.mode),
            namespace: inside.namespace,
            mac: arguments.mac.map(|mac| mac.0),
            mtu: arguments.mtu,
        };
        let (kind, name) = (sharing.name(), name.as_str());
        let failed = |what: String| Error::new(ErrorKind::Failed, what);
        let cannot = |errno| {
            let what = format!("cannot share interface `{name}` as `{kind}`");
            failed(what).because(std::io::Error::from(errno))
        };
        let added = socket.add_upper(&mut inside.socket, &upper);
        let number = added.map_err(|errno| match (errno, sharing) {
            (Errno::OPNOTSUPP, Sharing::Macvlan) => {
                failed("the kernel has no `CONFIG_MACVLAN`".to_owned())
            }
            (Errno::OPNOTSUPP, Sharing::Ipvlan) => {
                failed("the kernel has no `CONFIG_IPVLAN`".to_owned())
                    .hint(format!("`--net=macvlan:{name}` is like it"))
            }
            (Errno::BUSY, _) => failed(format!(
                "cannot share interface `{name}` as `{kind}`: it is a port of a bridge or a bond, \
                 or is shared in another way"
            )),
            (Errno::INVAL, _) => failed(format!(
                "cannot share interface `{name}` as `{kind}`: in mode `passthru`, nobody else can \
                 share it"
            )),
            (errno, _) => cannot(errno),
        })?;
        if let Some(rate) = wanted.bandwidth {
            bandwidth::limit_inside(
                inside.namespace,
                &mut inside.socket,
                &interface,
                wanted.index,
                rate,
            )?;
        }
        let up = inside.socket.set_up(number);
        up.map_err(|errno| match (errno, arguments.mac) {
            (Errno::ADDRINUSE, Some(mac)) => failed(format!(
                "another link on interface `{name}` has the hardware address `{mac}`"
            )),
            (errno, _) => cannot(errno),
        })?;
        Ok(Self {
            number,
            interface,
            mtu: arguments.mtu.unwrap_or(lower.mtu),
            fixed: arguments.mtu.is_some(),
        })
    }

    /// Asks for an address.
    fn ask(
        &self,
        wanted: &Wanted<'_>,
        name: &InterfaceName,
        inside: &mut Inside<'_>,
    ) -> Result<Lease> {
        let name = name.as_str();
        let what = || format!("cannot ask for an address on interface `{name}`");
        let link = inside.socket.look_at_link(&self.interface).context(what)?;
        let mac = link.and_then(|link| link.mac).ok_or(Errno::NODEV);
        let mac = mac.context(what)?;
        let socket = netns::within(inside.namespace, || PacketSocket::open(self.number));
        let socket = socket.map_err(|errno| match errno {
            Errno::AFNOSUPPORT => Error::new(
                ErrorKind::Failed,
                "the kernel has no `CONFIG_PACKET`, which DHCP needs",
            ),
            errno => Error::new(ErrorKind::Failed, what()).because(std::io::Error::from(errno)),
        })?;
        let asking = Asking::new(socket, mac, wanted.pod, wanted.hostname).context(what)?;
        asking.address().context(what)?.ok_or_else(|| {
            let kind = &wanted.connection.kind;
            Error::new(
                ErrorKind::Failed,
                format!("no server of DHCP has answered on interface `{name}`"),
            )
            .hint(format!(
                "`--net={kind}:IP=ADDRESS/PREFIX` gives the pod an address"
            ))
        })
    }

    /// Gives the link an address and routes.
    fn settle(&self, inside: &mut Inside<'_>, given: &Given) -> Result<()> {
        let socket = &mut inside.socket;
        let what = || format!("cannot set up interface `{}` of the pod", self.interface);
        let mtu = given.mtu.filter(|&mtu| !self.fixed && mtu < self.mtu);
        if let Some(mtu) = mtu {
            socket.set_mtu(self.number, mtu).context(what)?;
        }
        let (address, prefix) = given.address;
        match (given.lifetime, address) {
            (Some(time), IpAddr::V4(address)) => {
                socket.lend_address(self.number, (address, prefix), time, time / 2)
            }
            _ => socket.add_address(self.number, given.address),
        }
        .context(what)?;
        for &(to, length, gateway) in &given.routes {
            let gateway = gateway.filter(|gateway| gateway.is_ipv4() == to.is_ipv4());
            let add = |socket: &mut Socket, to, gateway| {
                let link = self.number;
                match socket.add_route(&Route { to, link, gateway }) {
                    // Said twice.
                    Err(Errno::EXIST) => Ok(()),
                    added => added.context(what),
                }
            };
            // Some servers name a router of another network.
            if let Some(gateway) = gateway.filter(|&one| !is_within(one, address, prefix)) {
                add(socket, (gateway, bits(gateway)), None)?;
            }
            add(socket, (to, length), gateway)?;
        }
        Ok(())
    }
}

/// Formats an `/etc/resolv.conf` of what a server has said; `None` if it has named no
/// server.
fn resolver(lease: &Lease) -> Option<String> {
    let servers = lease.servers.iter();
    let mut content: String = servers
        .map(|server| format!("nameserver {server}\n"))
        .collect();
    if content.is_empty() {
        return None;
    }
    if !lease.search.is_empty() {
        content.push_str(&format!("search {}\n", lease.search.join(" ")));
    }
    Some(content)
}

/// Asks for more of the time for which an address is lent, if the kernel has said
/// that it is time for that. `name` is the host name of the pod.
///
/// # Errors
///
/// The kernel refuses.
pub fn renew(
    attachment: &Attachment,
    events: impl AsFd,
    namespace: impl AsFd,
    pod: Uuid,
    name: &str,
) -> Result<()> {
    let what = || format!("cannot renew the lease of `{}`", attachment.interface);
    let mut buffer = [0; 4096];
    let mut told = false;
    while rustix::net::recv(&events, &mut buffer, RecvFlags::DONTWAIT).is_ok() {
        told = true;
    }
    let Some(IpAddr::V4(address)) = attachment.addresses.first().copied().filter(|_| told) else {
        return Ok(());
    };
    let mut socket = netns::within(&namespace, Socket::route).context(what)?;
    let link = socket.look_at_link(&attachment.interface).context(what)?;
    let Some((link, mac)) = link.and_then(|link| Some((link.number, link.mac?))) else {
        return Ok(());
    };
    let left = socket.time_left(link, address).context(what)?;
    let Some(left) = left.filter(|left| left.preferred.is_zero()) else {
        return Ok(());
    };
    let packets = netns::within(&namespace, || PacketSocket::open(link)).context(what)?;
    let asking = Asking::new(packets, mac, pod, name).context(what)?;
    let granted = asking.longer(address).context(what)?;
    let (valid, preferred) = match granted.map(|lease| lease.lifetime.unwrap_or(FOR_GOOD)) {
        Some(FOR_GOOD) => (FOR_GOOD, FOR_GOOD),
        Some(lifetime) => (lifetime, lifetime / 2),
        // Once more before it is over, but not without a pause.
        None => (left.valid, (left.valid / 2).max(PAUSE).min(left.valid)),
    };
    let own = (address, left.prefix);
    let lent = socket.lend_address(link, own, valid, preferred);
    lent.context(what)?;
    // It says what was just done, too.
    while rustix::net::recv(&events, &mut buffer, RecvFlags::DONTWAIT).is_ok() {}
    Ok(())
}

/// What the kernel takes for a time without an end.
const FOR_GOOD: Duration = Duration::from_secs(u32::MAX as u64);

/// The shortest time between two questions (RFC 2131, 4.4.5).
const PAUSE: Duration = Duration::from_secs(60);

/// What a link is given.
struct Given {
    address: (IpAddr, u8),
    lifetime: Option<Duration>,
    routes: Vec<(IpAddr, u8, Option<IpAddr>)>,
    mtu: Option<u32>,
}

impl Given {
    /// What the caller gives.
    fn told(address: (IpAddr, u8), gateway: Option<IpAddr>) -> Self {
        let all: IpAddr = match address.0 {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        Self {
            address,
            lifetime: None,
            routes: gateway.map(|one| (all, 0, Some(one))).into_iter().collect(),
            mtu: None,
        }
    }

    /// What a server gives; only the first connection gets a default route.
    fn lent(lease: &Lease, wanted: &Wanted<'_>) -> Self {
        let routes = lease.routes.iter();
        let routes = routes.filter(|(_, prefix, _)| *prefix > 0 || wanted.index == 0);
        let (address, prefix) = lease.address;
        Self {
            address: (address.into(), prefix),
            lifetime: lease.lifetime,
            routes: routes
                .map(|&(to, prefix, hop)| (to.into(), prefix, hop.map(IpAddr::from)))
                .collect(),
            mtu: lease.mtu,
        }
    }
}

fn as_in_kernel(sharing: Sharing, mode: Option<Mode>) -> upper::Sharing {
    match sharing {
        Sharing::Macvlan => upper::Sharing::Macvlan(match mode {
            Some(Mode::Private) => MacvlanMode::Private,
            Some(Mode::Vepa) => MacvlanMode::Vepa,
            Some(Mode::Passthru) => MacvlanMode::Passthru,
            Some(Mode::Bridge | Mode::L2 | Mode::L3) | None => MacvlanMode::Bridge,
        }),
        Sharing::Ipvlan => upper::Sharing::Ipvlan(match mode {
            Some(Mode::L3) => IpvlanMode::L3,
            _ => IpvlanMode::L2,
        }),
    }
}

/// Returns what connecting a pod would change on the host: nothing that is seen
/// there.
///
/// # Errors
///
/// The interface is not there, or cannot be shared.
pub(super) fn changes(
    connection: &Connection,
    name: &InterfaceName,
    index: u32,
    reason: &str,
) -> Result<Change> {
    let mut socket = Socket::route().context(|| "cannot look at the network of the host")?;
    look(&mut socket, name, &connection.arguments)?;
    let from = match connection.arguments.ip {
        Some(_) => "",
        None => ", with an address by DHCP",
    };
    let (interface, name) = (interface(index), name.as_str());
    Ok(Change {
        what: format!("interface `{name}` is shared by `{interface}` of the pod{from}"),
        reason: reason.to_owned(),
        stays: false,
    })
}
