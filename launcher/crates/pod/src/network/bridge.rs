//! Bridges of pods: links of the host, each with a network of its own. The first
//! pod of a bridge makes it, and the last one removes it.
//!
//! The hardware address of a bridge says which network it has. It is set when the
//! bridge is made, and stays the same whatever its ports are.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::network::forwarding::restrict;
use crate::network::leases;
use crate::network::pool::{self, LINKS, Pool};
use error::{Context as _, Error, Kind, Result};
use sys::netlink::Socket;
use sys::netlink::bridge::Bridge;

/// How the hardware addresses of bridges begin: locally administered (IEEE 802).
/// The address of IPv4 follows.
const MAC: [u8; 2] = [0x02, 0x6e];

/// Whoever makes, fills or removes bridges, one at a time. A bridge that has no
/// ports yet would otherwise be removed as one that has none any more.
#[must_use]
pub(super) struct Turn {
    #[expect(dead_code, reason = "it is only held")]
    lock: OwnedFd,
}

/// Waits for one's turn.
///
/// # Errors
///
/// Those of the disk.
pub(super) fn turn() -> rustix::io::Result<Turn> {
    let lock = leases::root()?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
    Ok(Turn { lock })
}

/// Returns the network of a bridge; `None` if there is no such bridge.
///
/// # Errors
///
/// A link of this name is none of ours.
pub(super) fn find(socket: &mut Socket, link: &str) -> Result<Option<Pool>> {
    let what = || format!("cannot look for the bridge `{link}`");
    let all = socket.bridges().context(what)?;
    match all.iter().find(|bridge| bridge.name == link) {
        Some(bridge) => network(bridge).map(Some).ok_or_else(|| taken(link)),
        None => Ok(None),
    }
}

/// Returns the network that the hardware address of a bridge names.
fn network(bridge: &Bridge) -> Option<Pool> {
    let (head, address) = bridge.mac.split_first_chunk()?;
    let address = Ipv4Addr::from(*address.first_chunk::<4>()?);
    (*head == MAC).then(|| Pool::of_bridge(address))
}

fn taken(link: &str) -> Error {
    let what = format!("the host has a link `{link}` that is no bridge for pods");
    Error::new(Kind::Failed, what)
}

/// Chooses the network of a new bridge. `used` are those that the host reaches.
///
/// # Errors
///
/// All are in use.
pub(super) fn choose(socket: &mut Socket, used: &[(Ipv4Addr, u8)]) -> Result<Pool> {
    let all = socket.bridges().context(|| "cannot list bridges")?;
    let theirs = all.iter().filter_map(network).map(Pool::network);
    let used: Vec<_> = used.iter().copied().chain(theirs).collect();
    pool::choose_for_bridge(&used)
}

/// Finds a bridge or makes it; returns its network.
///
/// # Errors
///
/// The kernel lacks an option, or refuses; another link has this name.
pub(super) fn find_or_make(
    socket: &mut Socket,
    _turn: &Turn,
    link: &str,
    used: &[(Ipv4Addr, u8)],
    ipv6: bool,
) -> Result<Pool> {
    if let Some(pool) = find(socket, link)? {
        return Ok(pool);
    }
    let pool = choose(socket, used)?;
    let what = || format!("cannot make the bridge `{link}`");
    let [a, b, c, d] = pool.gateway().octets();
    let mac = [MAC[0], MAC[1], a, b, c, d];
    let number = socket.add_bridge(link, mac).map_err(|errno| match errno {
        Errno::OPNOTSUPP => Error::new(Kind::Failed, "the kernel has no `CONFIG_BRIDGE`"),
        Errno::EXIST => taken(link),
        errno => Error::new(Kind::Failed, what()).because(std::io::Error::from(errno)),
    })?;
    let mut set_up = || {
        restrict(link, ipv6)?;
        for address in pool::both(pool.gateway(), ipv6) {
            let own = (address, pool.prefix_of(address));
            socket.add_address(number, own).context(what)?;
        }
        socket.set_up(number).context(what)
    };
    match set_up() {
        Ok(()) => Ok(pool),
        Err(error) => {
            socket.delete_link(link).context(what)?;
            Err(error)
        }
    }
}

/// Removes all bridges of pods that have no ports.
///
/// # Errors
///
/// The kernel refuses.
pub(super) fn remove_unused(socket: &mut Socket) -> rustix::io::Result<()> {
    let all = socket.bridges()?;
    let ours = |bridge: &&Bridge| bridge.name.starts_with(LINKS) && network(bridge).is_some();
    if !all.iter().any(|bridge| ours(&bridge)) {
        return Ok(());
    }
    let _turn = turn()?;
    for bridge in all.iter().filter(ours) {
        if !socket.has_ports(bridge.number)? {
            socket.delete_link(&bridge.name)?;
        }
    }
    Ok(())
}
