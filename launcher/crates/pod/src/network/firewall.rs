//! The table of the packet filter that all pods share.
//!
//! What it does is the same for every pod; each only adds its addresses to sets,
//! with its UUID beside them. So nothing has to be searched for at the end.
//! Other tables are left alone.
//!
//! - Packets of pods that go to others than pods get the host's address.
//! - A pod cannot send in another's name: what is passed on has the address of
//!   a pod. (That it is its own, the kernel checks: `rp_filter`.)
//! - Who is not a pod can only answer pods: nobody who knows a route may connect
//!   to them through this host.

use std::net::{IpAddr, Ipv4Addr};

use rustix::io::Errno;

use crate::network::leases::Leases;
use crate::network::pool::{self, LINKS};
use appc::types::Uuid;
use error::{Error, Kind, Result};
use sys::netlink::Socket;
use sys::netlink::expression::{
    Connection, Expression as E, Field, IPV4, IPV6, KNOWN, Meta, REDIRECTED,
};
use sys::netlink::nftables::{self, Batch, Hook, Refused};

/// The table, of the family `inet`.
pub(super) const TABLE: &str = "nosecone";

/// Chains and sets of the table.
const FORWARD: &str = "forward";
const POSTROUTING: &str = "postrouting";
const SETS: [&str; 2] = ["pods4", "pods6"];

/// What the rules of one version of IP look at.
const VERSIONS: [(u8, Field, &str); 2] = [
    (IPV4, Field::Source4, SETS[0]),
    (IPV6, Field::Source6, SETS[1]),
];

/// Makes the table, if it is not there, and adds the addresses of a pod.
///
/// # Errors
///
/// The kernel lacks an option, or refuses.
pub(super) fn admit(address: Ipv4Addr, pod: Uuid) -> Result<()> {
    let mut batch = Batch::of(TABLE);
    batch.table();
    batch.set(SETS[0], nftables::Kind::Ipv4);
    batch.set(SETS[1], nftables::Kind::Ipv6);
    batch.empty_chain(FORWARD, Hook::Forward);
    batch.empty_chain(POSTROUTING, Hook::SourceNat);
    for (version, source, pods) in VERSIONS {
        let of_version = [E::meta(Meta::Version), E::is(&[version]), E::field(source)];
        let forged = [
            E::meta(Meta::InLink),
            E::is(LINKS.as_bytes()),
            E::meta(Meta::Version),
            E::is(&[version]),
            E::field(source),
            E::is_not_in(pods),
            E::drop(),
        ];
        batch.rule(FORWARD, &forged);
        let leaving = [
            E::is_in(pods),
            E::meta(Meta::OutLink),
            E::is_not(LINKS.as_bytes()),
            E::masquerade(),
        ];
        batch.rule(POSTROUTING, &[&of_version[..], &leaving].concat());
    }
    let uninvited = [
        E::meta(Meta::OutLink),
        E::is(LINKS.as_bytes()),
        E::meta(Meta::InLink),
        E::is_not(LINKS.as_bytes()),
        E::connection(Connection::State),
        E::masked(KNOWN),
        E::is(&[0; 4]),
        E::connection(Connection::Status),
        E::masked(REDIRECTED),
        E::is(&[0; 4]),
        E::drop(),
    ];
    batch.rule(FORWARD, &uninvited);
    for (set, key) in keys(address) {
        batch.element(set, &key, &pod.to_string());
    }
    let mut socket = Socket::netfilter().map_err(|errno| lacks(errno, "CONFIG_NF_TABLES"))?;
    let made = socket.commit(&batch);
    made.map_err(|Refused { errno, option }| lacks(errno, option))
}

/// Returns the elements of a pod, and the sets that they are in.
fn keys(address: Ipv4Addr) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let addresses = pool::both(address, true);
    SETS.into_iter().zip(addresses.map(|address| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }))
}

/// Explains why the kernel refuses: most often, because it lacks an option.
fn lacks(errno: Errno, option: &str) -> Error {
    let what = match errno {
        Errno::PROTONOSUPPORT | Errno::OPNOTSUPP | Errno::AFNOSUPPORT | Errno::NOENT => {
            format!("the kernel has no `{option}`")
        }
        _ => "the kernel refuses rules of nftables".to_owned(),
    };
    Error::new(Kind::Failed, what).because(std::io::Error::from(errno))
}

/// Removes the addresses of a pod.
///
/// # Errors
///
/// The kernel refuses.
pub(super) fn dismiss(socket: &mut Socket, address: Ipv4Addr) -> rustix::io::Result<()> {
    for (set, key) in keys(address) {
        let mut batch = Batch::of(TABLE);
        batch.delete_element(set, &key);
        match socket.commit(&batch) {
            // The pod was killed before, or somebody has removed the table.
            Err(Refused {
                errno: Errno::NOENT,
                ..
            })
            | Ok(()) => {}
            Err(refused) => return Err(refused.errno),
        }
    }
    Ok(())
}

/// Removes the table, if no pod has an address.
///
/// # Errors
///
/// The kernel refuses.
pub(super) fn clear(socket: &mut Socket, leases: &Leases) -> rustix::io::Result<()> {
    loop {
        // A pod that starts takes its lease before it changes the table. If it
        // has not done the first by now, and does the other before the table
        // is removed, then that is refused.
        let generation = socket.generation()?;
        if !leases.are_none()? {
            return Ok(());
        }
        let mut batch = Batch::of(TABLE).only_in(generation);
        batch.delete_table();
        match socket.commit(&batch) {
            Err(Refused {
                errno: Errno::RESTART,
                ..
            }) => {}
            Err(Refused {
                errno: Errno::NOENT,
                ..
            })
            | Ok(()) => return Ok(()),
            Err(refused) => return Err(refused.errno),
        }
    }
}
