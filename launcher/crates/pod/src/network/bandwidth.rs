//! How much the links of a pod may carry, each way.
//!
//! What a link sends waits in a queue, and is dropped if it would wait for too
//! long. A pair of links has two ends, so that this is all it takes. A link that
//! shares an interface has no other end: what comes in too fast for it is dropped,
//! and whoever sends it notices.
//!
//! Who may set up networks in the pod (CAP_NET_ADMIN, which apps do not have by
//! default) can change what the pod's end does.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use crate::network::firewall;
use error::{Context as _, Error, Kind, Result};
use sys::netlink::Socket;
use sys::netlink::expression::{Expression, Meta};
use sys::netlink::nftables::{Batch, Hook, Refused};
use sys::netns;

/// The table in a pod's namespace, and its chain for the first network.
const TABLE: &str = "nosecone";
const CHAIN: &str = "bandwidth";

/// How much may come at once: what one packet can be, or what comes in a quarter of
/// a second, so that a sender that is slowed down by losses gets its share.
const LEAST_BURST: u64 = 64 << 10;
const BURSTS: u64 = 4;

/// Limits what a link sends to so many bytes a second.
///
/// # Errors
///
/// The kernel lacks an option, or refuses.
pub(super) fn limit(socket: &mut Socket, link: u32, rate: u64) -> Result<()> {
    let limited = socket.limit_rate(link, rate);
    limited.map_err(|errno| match errno {
        Errno::NOENT => Error::new(Kind::Failed, "the kernel has no `CONFIG_NET_SCH_TBF`"),
        errno => Error::new(Kind::Failed, "cannot limit network bandwidth")
            .because(std::io::Error::from(errno)),
    })
}

/// Limits what an interface of a pod sends, and what it receives, from within.
/// `socket` belongs to its namespace; `index` tells the interfaces apart.
///
/// # Errors
///
/// The kernel lacks an option, or refuses.
pub(super) fn limit_inside(
    namespace: BorrowedFd<'_>,
    socket: &mut Socket,
    interface: &str,
    index: u32,
    rate: u64,
) -> Result<()> {
    let link = socket.find_link(interface);
    let link = link.and_then(|link| link.ok_or(Errno::NODEV));
    let link = link.context(|| format!("cannot find interface `{interface}` of the pod"))?;
    limit(socket, link, rate)?;
    police(namespace, interface, index, rate)
}

fn police(namespace: BorrowedFd<'_>, interface: &str, index: u32, rate: u64) -> Result<()> {
    let socket = netns::within(namespace, Socket::netfilter);
    let mut socket = socket.map_err(|errno| firewall::lacks(errno, "CONFIG_NF_TABLES"))?;
    let chain = format!("{CHAIN}{index}");
    let name = [interface.as_bytes(), &[0]].concat();
    let burst = u32::try_from((rate / BURSTS).max(LEAST_BURST)).unwrap_or(u32::MAX);
    let mut batch = Batch::of(TABLE);
    batch.table();
    batch.empty_chain(&chain, Hook::Incoming);
    batch.rule(
        &chain,
        &[
            Expression::meta(Meta::InLink),
            Expression::is(&name),
            Expression::exceeds(rate, burst),
            Expression::drop(),
        ],
    );
    let made = socket.commit(&batch);
    made.map_err(|Refused { errno, option }| firewall::lacks(errno, option))
}
