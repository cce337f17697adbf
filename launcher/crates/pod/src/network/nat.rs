//! `--net=nat`: a pair of links, one end of which is the pod's `eth0`. The host
//! routes between the other ends and whatever else it reaches, and lends pods
//! its own address.
//!
//! Every link to a pod has the same address on the host, and a route to the one
//! address of the pod. So pods share no medium, and no pod can answer for
//! another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use crate::network::attachment::{Attachment, FILE};
use crate::network::firewall;
use crate::network::forwarding::{self, Reach};
use crate::network::leases::{Lease, Leases, Owner};
use crate::network::pool::{self, LINKS, Pool};
use crate::network::ports;
use crate::plan::directives::Change;
use crate::spec::pod::PodSpec;
use crate::state::directory;
use error::{Context as _, Error, Kind, Result};
use sys::netlink::Socket;
use sys::netlink::route::{FIRST, Route, Veth, bits};

/// The name of the link in the pod.
const INTERFACE: &str = "eth0";

/// The network namespace of a pod.
pub struct Inside<'a> {
    /// Its file.
    pub namespace: BorrowedFd<'a>,
    /// A socket that belongs to it.
    pub socket: Socket,
    /// The listener of the metadata service in it.
    pub listener: BorrowedFd<'a>,
}

/// What has to be held as long as a pod runs.
pub struct Attached {
    /// The lock of its lease.
    pub lease: OwnedFd,
    /// The sockets that listen on its ports on the host.
    pub ports: Vec<OwnedFd>,
}

/// What is set for the host's end of the link: it only takes packets from the
/// pod's address, and nothing that a pod says changes the host's routes
/// (CVE-2020-10749).
const PARAMETERS: [(&str, &str, &str); 5] = [
    ("ipv4", "rp_filter", "1"),
    ("ipv4", "accept_redirects", "0"),
    ("ipv4", "forwarding", "1"),
    ("ipv6", "accept_ra", "0"),
    ("ipv6", "accept_redirects", "0"),
];

/// Connects a pod.
///
/// # Errors
///
/// No address is free, a port is taken, the kernel lacks an option, or refuses.
pub(super) fn connect(
    spec: &PodSpec,
    inside: &mut Inside<'_>,
    pod: BorrowedFd<'_>,
) -> Result<Attached> {
    let what = || "cannot connect the pod to a network";
    let id = spec.id;
    let mut socket = Socket::route().context(what)?;
    let reach = forwarding::reach(&mut socket).context(what)?;
    let pool = choose(&reach).context(what)?;
    // First, so that the addresses that they lead to are not removed later.
    let listeners = ports::listen(&spec.ports)?;
    ports::settle(&listeners, &sweep).context(what)?;
    // Somewhere, so that an address is not used again at once.
    let start = id.to_string().bytes().fold(0_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    let taken = Leases::take(pool.addresses(start)).context(what)?;
    let (leases, lease) = taken
        .ok_or_else(|| {
            let none = format!("all addresses of the network `{pool}` are used by pods");
            Error::new(Kind::Failed, none)
        })
        .context(what)?;
    if lease.used {
        undo(&leases, &lease).context(what)?;
    }
    let owner = Owner {
        pod: id,
        ports: listeners.iter().map(|listener| listener.port).collect(),
    };
    owner.write(&lease).context(what)?;
    drop(leases);
    let address = lease.address;
    let ipv6 = forwarding::has_ipv6();
    let attachment = Attachment {
        interface: INTERFACE.to_owned(),
        mode: "nat".to_owned(),
        ipv4: address,
        ipv6: ipv6.then(|| pool::sixth(address)),
        lease: lease.descriptor(),
        ports: listeners
            .iter()
            .map(|listener| (listener.port, listener.descriptor()))
            .collect(),
        metadata: inside.listener.as_raw_fd().unsigned_abs(),
    };
    let file = directory::make(pod, FILE).context(what)?;
    rustix::io::write(file, attachment.text().as_bytes()).context(what)?;
    let ends = Ends {
        pool,
        address,
        ipv6,
    };
    ends.join(&mut socket, inside).context(what)?;
    firewall::admit(address, id, &owner.ports).context(what)?;
    for link in forwarding::off(&reach.links) {
        forwarding::set("ipv4", link, "forwarding", "1").context(what)?;
    }
    Ok(Attached {
        lease: lease.into_lock().ok_or(Errno::BADF).context(what)?,
        ports: listeners
            .into_iter()
            .map(|listener| listener.socket)
            .collect(),
    })
}

/// Chooses the network of pods.
fn choose(reach: &Reach) -> Result<Pool> {
    Pool::choose(&reach.networks).ok_or_else(|| {
        let all = pool::all();
        let what = format!("the host uses all networks that pods can have: {all}");
        Error::new(Kind::Failed, what).hint("`--net=host` gives the pod the host's own network")
    })
}

/// Two ends of a link, and their addresses.
struct Ends {
    pool: Pool,
    address: Ipv4Addr,
    ipv6: bool,
}

impl Ends {
    /// Makes the link, and sets both ends up.
    fn join(&self, here: &mut Socket, there: &mut Inside<'_>) -> Result<()> {
        let name = pool::link(self.address);
        let cannot = || format!("cannot set up the link `{name}`");
        let veth = Veth {
            here: &name,
            there: INTERFACE,
            namespace: there.namespace,
        };
        here.add_veth(&veth).map_err(|errno| match errno {
            Errno::OPNOTSUPP => Error::new(Kind::Failed, "the kernel has no `CONFIG_VETH`"),
            errno => Error::new(Kind::Failed, cannot()).because(std::io::Error::from(errno)),
        })?;
        let link = here.find_link(&name).context(cannot)?;
        let link = link.ok_or(Errno::NODEV).context(cannot)?;
        for (version, parameter, value) in PARAMETERS {
            if version == "ipv4" || self.ipv6 {
                forwarding::set(version, &name, parameter, value)?;
            }
        }
        let gateways = pool::both(self.pool.gateway(), self.ipv6);
        let addresses = pool::both(self.address, self.ipv6);
        let pairs: Vec<_> = gateways.zip(addresses).collect();
        for &(gateway, address) in &pairs {
            here.add_address(link, gateway).context(cannot)?;
            there.socket.add_address(FIRST, address).context(cannot)?;
        }
        here.set_up(link).context(cannot)?;
        there.socket.set_up(FIRST).context(cannot)?;
        for (gateway, address) in pairs {
            let to = |to: IpAddr, link| Route {
                to: (to, bits(to)),
                link,
                gateway: None,
            };
            here.add_route(&to(address, link)).context(cannot)?;
            there
                .socket
                .add_route(&to(gateway, FIRST))
                .context(cannot)?;
            // Nothing would come back: better to fail at once.
            if address.is_ipv4() || forwarding::passes_ipv6() {
                let everywhere = everywhere(gateway);
                there.socket.add_route(&everywhere).context(cannot)?;
            }
        }
        Ok(())
    }
}

/// Returns the default route of a pod.
fn everywhere(gateway: IpAddr) -> Route {
    let all: IpAddr = match gateway {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    Route {
        to: (all, 0),
        link: FIRST,
        gateway: Some(gateway),
    }
}

/// Removes what a lease stands for.
fn undo(leases: &Leases, lease: &Lease) -> rustix::io::Result<()> {
    let owner = leases.owner(lease.address)?;
    let ports = owner.map(|owner| owner.ports).unwrap_or_default();
    match Socket::netfilter() {
        Ok(mut socket) => firewall::dismiss(&mut socket, lease.address, &ports)?,
        // Then there is nothing to remove.
        Err(Errno::PROTONOSUPPORT) => {}
        Err(errno) => return Err(errno),
    }
    Socket::route()?.delete_link(&pool::link(lease.address))
}

/// Removes what a lease stands for, and the lease.
///
/// # Errors
///
/// The kernel refuses.
pub(super) fn remove(leases: &Leases, lease: Lease) -> rustix::io::Result<()> {
    undo(leases, &lease)?;
    leases.free(&lease)?;
    drop(lease);
    tidy(leases)
}

/// Removes what no pod uses.
fn tidy(leases: &Leases) -> rustix::io::Result<()> {
    match Socket::netfilter() {
        Ok(mut socket) => firewall::clear(&mut socket, leases)?,
        Err(Errno::PROTONOSUPPORT) => {}
        Err(errno) => return Err(errno),
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
    if dead.is_empty() && !leases.are_none()? {
        return Ok(());
    }
    for lease in dead {
        undo(leases, &lease)?;
        leases.free(&lease)?;
    }
    tidy(leases)
}

/// Returns what connecting a pod would change.
///
/// # Errors
///
/// As for [`connect`], as far as it can be known.
pub(super) fn changes(reason: &str) -> Result<Vec<Change>> {
    let mut socket = Socket::route().context(|| "cannot look at the network of the host")?;
    let reach = forwarding::reach(&mut socket)?;
    let pool = choose(&reach)?;
    let change = |what: String, reason: &str, stays| Change {
        what,
        reason: reason.to_owned(),
        stays,
    };
    let sixth = match forwarding::has_ipv6() {
        true => format!(" and `{}/118`", pool::sixth(pool.network())),
        false => String::new(),
    };
    let mut changes = vec![
        change(
            format!("a link `{LINKS}…` to `{INTERFACE}` of the pod, and a route to it"),
            reason,
            false,
        ),
        change(
            format!("a lease of an address of `{pool}`{sixth}"),
            reason,
            false,
        ),
        change(
            format!(
                "the table `inet {}` of nftables, with the pod's addresses",
                firewall::TABLE
            ),
            "gives packets of pods the host's address, and drops forged and uninvited ones",
            false,
        ),
    ];
    changes.extend(forwarding::off(&reach.links).into_iter().map(|link| {
        let what = format!("`net.ipv4.conf.{link}.forwarding=1`");
        change(what, "answers to pods come in there", true)
    }));
    Ok(changes)
}
