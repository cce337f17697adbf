//! `--net=nat` and `--net=bridge`: a pair of links, one end of which is in the
//! pod. The host routes between the other ends and whatever else it reaches, and
//! lends pods its own address.
//!
//! For `nat`, every link to a pod has the same address on the host, and a route to
//! the one address of the pod. So pods share no medium, and no pod can answer for
//! another. For `bridge`, the other end is a port of a bridge, which has the
//! address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;

use crate::network::attachment::{Attachment, FILE, Held, Networks};
use crate::network::forwarding;
use crate::network::leases::{Lease, Leases, Owner};
use crate::network::pool::{self, LINKS, Pool};
use crate::network::{bandwidth, bridge, firewall, names};
use crate::plan::directives::Change;
use crate::spec::connection::{Arguments, BridgeName, Connection};
use crate::spec::ports::PublishedPort;
use crate::state::directory;
use appc::types::Uuid;
use error::{Context as _, Error, Kind as ErrorKind, Result};
use sys::netlink::Socket;
use sys::netlink::route::{Route, Veth, bits};

/// The network namespace of a pod.
pub struct Inside<'a> {
    /// Its file.
    pub namespace: BorrowedFd<'a>,
    /// A socket that belongs to it.
    pub socket: Socket,
    /// The listener of the metadata service in it.
    pub listener: BorrowedFd<'a>,
}

/// A link that a pod is to have.
pub(super) struct Wanted<'a> {
    /// Which pod.
    pub(super) pod: Uuid,
    /// Its host name.
    pub(super) hostname: &'a str,
    /// Its directory.
    pub(super) directory: BorrowedFd<'a>,
    /// What it is connected to.
    pub(super) connection: &'a Connection,
    /// Which of its connections this is; the first has the default route.
    pub(super) index: u32,
    /// What others call the pod.
    pub(super) names: &'a [String],
    /// The ports of the host that lead there.
    pub(super) ports: Vec<PublishedPort>,
    /// How many bytes a second it may carry each way, if that is limited.
    pub(super) bandwidth: Option<u64>,
}

impl Wanted<'_> {
    /// Returns the name of the link in the pod.
    pub(super) fn interface(&self) -> String {
        interface(self.index)
    }
}

/// Returns the name of a link in a pod.
pub(super) fn interface(index: u32) -> String {
    format!("eth{index}")
}

/// Connects a pod, and records it. Returns the lock of its lease, which has to be
/// held as long as the pod runs.
///
/// # Errors
///
/// No address is free, or the one that is asked for is not; the kernel lacks an
/// option, or refuses.
pub(super) fn connect(
    wanted: &Wanted<'_>,
    inside: &mut Inside<'_>,
    record: &mut Networks,
) -> Result<OwnedFd> {
    let mut socket = Socket::route().context(|| "cannot use netlink")?;
    let reach = forwarding::reach(&mut socket)?;
    let ipv6 = forwarding::has_ipv6();
    let bridge = wanted.connection.kind.bridge().map(BridgeName::link);
    let turn = bridge.is_some().then(bridge::turn).transpose();
    let turn = turn.context(|| "cannot lock the bridges of pods")?;
    let pool = match bridge.as_deref().zip(turn.as_ref()) {
        None => pool::choose(&reach.networks)?,
        Some((link, turn)) => bridge::find_or_make(&mut socket, turn, link, &reach.networks, ipv6)?,
    };
    let (leases, lease) = match take(wanted, pool) {
        Err(error) if bridge.is_some() => {
            drop(turn);
            // It may have been made for this pod.
            bridge::remove_unused(&mut socket).context(|| "cannot remove the bridge")?;
            return Err(error);
        }
        taken => taken?,
    };
    let what = || "cannot prepare the lease of an address";
    if lease.used {
        undo(&leases, &lease).context(what)?;
    }
    let owner = Owner {
        pod: wanted.pod,
        ports: wanted.ports.clone(),
        names: wanted.names.to_vec(),
    };
    owner.write(&lease).context(what)?;
    let address = lease.address;
    record.attachments.push(Attachment {
        interface: wanted.interface(),
        mode: wanted.connection.kind.to_string(),
        addresses: pool::both(address, ipv6).collect(),
        lease: Some(Held {
            address,
            descriptor: lease.descriptor(),
        }),
        borrowed: None,
    });
    write(record, wanted.directory).context(what)?;
    let ends = Ends {
        pool,
        address,
        ipv6,
        bridge: bridge.as_deref(),
        wanted,
    };
    ends.join(&mut socket, inside)?;
    drop(turn);
    firewall::admit(address, wanted.pod, &owner.ports)?;
    for link in forwarding::off(&reach.links) {
        forwarding::set("ipv4", link, "forwarding", "1")?;
    }
    let lock = lease.into_lock().ok_or(Errno::BADF);
    lock.context(what)
}

/// Makes `/etc/hosts` of a pod on bridges, and tells the others its names.
///
/// # Errors
///
/// Those of the disk.
pub(super) fn name(pod: Uuid, own: &str) -> rustix::io::Result<OwnedFd> {
    let turn = bridge::turn()?;
    let leases = Leases::here()?.ok_or(Errno::NOENT)?;
    let hosts = names::make(&leases, pod, own)?;
    names::update(&leases, &turn, forwarding::has_ipv6())?;
    Ok(hosts)
}

/// Writes the record of a pod's networks anew. Until it is there, whoever finds
/// the lease knows enough.
pub(super) fn write(record: &Networks, directory: BorrowedFd<'_>) -> std::io::Result<()> {
    match rustix::fs::unlinkat(directory, FILE, rustix::fs::AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let file = directory::make(directory, FILE)?;
    rustix::io::write(file, record.text().as_bytes())?;
    Ok(())
}

/// Takes the address that is asked for, or one that is free.
fn take(wanted: &Wanted<'_>, pool: Pool) -> Result<(Leases, Lease)> {
    let what = || "cannot make the lease of an address";
    let asked = match wanted.connection.arguments.ip {
        Some(IpAddr::V4(address)) => Some(address),
        _ => None,
    };
    let Some(address) = asked else {
        // Somewhere, so that an address is not used again at once.
        let start = wanted.pod.to_string().bytes().fold(0_u32, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        let taken = Leases::take(pool.addresses(start)).context(what)?;
        return taken.ok_or_else(|| {
            let none = format!("all addresses of the network `{pool}` are used by pods");
            Error::new(ErrorKind::Failed, none)
        });
    };
    if !pool.addresses(0).any(|other| other == address) {
        let what = format!("pods cannot have the address `{address}` in the network `{pool}`");
        return Err(Error::new(ErrorKind::Failed, what));
    }
    let taken = Leases::take(std::iter::once(address)).context(what)?;
    taken.ok_or_else(|| {
        let what = format!("another pod has the address `{address}`");
        Error::new(ErrorKind::Failed, what)
    })
}

/// Two ends of a link, and their addresses.
struct Ends<'a> {
    pool: Pool,
    address: Ipv4Addr,
    ipv6: bool,
    bridge: Option<&'a str>,
    wanted: &'a Wanted<'a>,
}

impl Ends<'_> {
    /// Makes the link, and sets both ends up.
    fn join(&self, here: &mut Socket, there: &mut Inside<'_>) -> Result<()> {
        let name = pool::link(self.address);
        let cannot = || format!("cannot set up the link `{name}`");
        let Arguments { mac, mtu, .. } = self.wanted.connection.arguments;
        let interface = self.wanted.interface();
        let veth = Veth {
            here: &name,
            there: &interface,
            namespace: there.namespace,
            mac: mac.map(|mac| mac.0),
            mtu,
        };
        here.add_veth(&veth).map_err(|errno| match errno {
            Errno::OPNOTSUPP => Error::new(ErrorKind::Failed, "the kernel has no `CONFIG_VETH`"),
            errno => Error::new(ErrorKind::Failed, cannot()).because(std::io::Error::from(errno)),
        })?;
        let link = here.find_link(&name).context(cannot)?;
        let link = link.ok_or(Errno::NODEV).context(cannot)?;
        // Not the first: the kernel may put tunnels into every namespace.
        let number = there.socket.find_link(&interface).context(cannot)?;
        let number = number.ok_or(Errno::NODEV).context(cannot)?;
        let length = |address| match self.bridge {
            None => bits(address),
            Some(_) => self.pool.prefix_of(address),
        };
        let gateways = pool::both(self.pool.gateway(), self.ipv6);
        let addresses = pool::both(self.address, self.ipv6);
        let pairs: Vec<_> = gateways.zip(addresses).collect();
        match self.bridge {
            None => forwarding::restrict(&name, self.ipv6)?,
            Some(bridge) => {
                let bridge = here.find_link(bridge).context(cannot)?;
                let bridge = bridge.ok_or(Errno::NODEV).context(cannot)?;
                here.add_port(bridge, link).context(cannot)?;
            }
        }
        for &(gateway, address) in &pairs {
            if self.bridge.is_none() {
                here.add_address(link, (gateway, bits(gateway)))
                    .context(cannot)?;
            }
            let own = (address, length(address));
            there.socket.add_address(number, own).context(cannot)?;
        }
        if let Some(rate) = self.wanted.bandwidth {
            // What one end sends the other receives.
            bandwidth::limit(here, link, rate)?;
            bandwidth::limit(&mut there.socket, number, rate)?;
        }
        here.set_up(link).context(cannot)?;
        there.socket.set_up(number).context(cannot)?;
        for (gateway, address) in pairs {
            let to = |to: IpAddr, link| Route {
                to: (to, bits(to)),
                link,
                gateway: None,
            };
            if self.bridge.is_none() {
                here.add_route(&to(address, link)).context(cannot)?;
                there
                    .socket
                    .add_route(&to(gateway, number))
                    .context(cannot)?;
            }
            // Nothing would come back of IPv6: better to fail at once.
            let returns = address.is_ipv4() || forwarding::passes_ipv6();
            if self.wanted.index == 0 && returns {
                let everywhere = everywhere(gateway, number);
                there.socket.add_route(&everywhere).context(cannot)?;
            }
        }
        Ok(())
    }
}

/// Returns the default route of a pod.
fn everywhere(gateway: IpAddr, link: u32) -> Route {
    let all: IpAddr = match gateway {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    Route {
        to: (all, 0),
        link,
        gateway: Some(gateway),
    }
}

/// Removes what a lease stands for, but for a bridge. Returns whether the table is
/// gone, too.
fn undo(leases: &Leases, lease: &Lease) -> rustix::io::Result<bool> {
    let owner = leases.owner(lease.address)?;
    let ports = owner.map(|owner| owner.ports).unwrap_or_default();
    // Whatever is removed makes the kernel wait when the socket is closed: so the
    // last pod removes the table with all that is in it.
    let cleared = clear(leases, Some(lease.address))?;
    if !cleared && let Some(mut socket) = filter()? {
        firewall::dismiss(&mut socket, lease.address, &ports)?;
    }
    Socket::route()?.delete_link(&pool::link(lease.address))?;
    Ok(cleared)
}

/// Removes what a lease stands for, and the lease.
///
/// # Errors
///
/// The kernel refuses.
pub(super) fn remove(leases: &Leases, lease: Lease) -> rustix::io::Result<()> {
    let bridged = pool::is_of_bridge(lease.address);
    let cleared = undo(leases, &lease)?;
    leases.free(&lease)?;
    drop(lease);
    if !cleared {
        // Others may have ended at the same time.
        clear(leases, None)?;
    }
    tidy(leases, bridged)
}

/// Opens a socket for the packet filter, if the kernel has one.
fn filter() -> rustix::io::Result<Option<Socket>> {
    match Socket::netfilter() {
        Err(Errno::PROTONOSUPPORT) => Ok(None),
        socket => socket.map(Some),
    }
}

/// Removes the table if nobody needs it but whoever has the `last` address; returns
/// whether there is none.
fn clear(leases: &Leases, last: Option<Ipv4Addr>) -> rustix::io::Result<bool> {
    if !leases.are_none_but(last)? {
        return Ok(false);
    }
    match filter()? {
        Some(mut socket) => firewall::clear(&mut socket, leases, last),
        None => Ok(true),
    }
}

/// Removes what no pod uses any more; bridges only where there can be some.
fn tidy(leases: &Leases, bridges: bool) -> rustix::io::Result<()> {
    if bridges {
        bridge::remove_unused(&mut Socket::route()?)?;
        names::update(leases, &bridge::turn()?, forwarding::has_ipv6())?;
    }
    leases.remove()
}

/// Removes what pods have left that were killed with their launchers.
///
/// # Errors
///
/// The kernel refuses.
pub(super) fn sweep(leases: &Leases) -> rustix::io::Result<()> {
    let dead = leases.dead()?;
    if dead.is_empty() && !leases.are_none_but(None)? {
        return Ok(());
    }
    for lease in dead {
        undo(leases, &lease)?;
        leases.free(&lease)?;
    }
    clear(leases, None)?;
    tidy(leases, true)
}

/// Returns what connecting a pod would change.
///
/// # Errors
///
/// As for [`connect`], as far as it can be known.
pub(super) fn changes(connection: &Connection, index: u32, reason: &str) -> Result<Vec<Change>> {
    let mut socket = Socket::route().context(|| "cannot look at the network of the host")?;
    let reach = forwarding::reach(&mut socket)?;
    let change = |what: String, reason: &str, stays| Change {
        what,
        reason: reason.to_owned(),
        stays,
    };
    let interface = interface(index);
    let mut changes = Vec::new();
    let (pool, port) = match connection.kind.bridge() {
        None => {
            let pool = pool::choose(&reach.networks)?;
            (pool, ", and a route to it".to_owned())
        }
        Some(name) => {
            let bridge = name.link();
            let found = bridge::find(&mut socket, &bridge)?;
            let pool = match found {
                Some(pool) => pool,
                None => {
                    let pool = bridge::choose(&mut socket, &reach.networks)?;
                    let what = format!("the bridge `{bridge}` with the network `{pool}`");
                    changes.push(change(what, reason, false));
                    pool
                }
            };
            (pool, format!(", as a port of the bridge `{bridge}`"))
        }
    };
    let sixth = match forwarding::has_ipv6() {
        true => format!(" and `{}`", pool.sixth()),
        false => String::new(),
    };
    changes.extend([
        change(
            format!("a link `{LINKS}…` to `{interface}` of the pod{port}"),
            reason,
            false,
        ),
        change(
            format!("a lease of an address of `{pool}`{sixth}"),
            reason,
            false,
        ),
    ]);
    if index == 0 {
        changes.push(change(
            format!(
                "the table `inet {}` of nftables, with the pod's addresses",
                firewall::TABLE
            ),
            "gives packets of pods the host's address, and drops forged and uninvited ones",
            false,
        ));
        changes.extend(forwarding::off(&reach.links).into_iter().map(|link| {
            let what = format!("`net.ipv4.conf.{link}.forwarding=1`");
            change(what, "answers to pods come in there", true)
        }));
    }
    Ok(changes)
}
