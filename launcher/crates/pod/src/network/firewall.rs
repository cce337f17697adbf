//! The table of the packet filter that all pods share.
//!
//! What it does is the same for every pod; each only adds its addresses to sets,
//! with its UUID beside them. So nothing has to be searched for at the end.
//! Other tables are left alone.
//!
//! - Packets of pods that go to others than pods get the host's address.
//! - A pod cannot send in another's name: what is passed on has the address of
//!   a pod. (That it is its own, the kernel checks: `rp_filter`.)
//! - Who connects to a published port of the host gets to the pod. That is looked
//!   up in two pairs of maps, first by the address that was meant, and then by
//!   none. Pods are not redirected: one that means itself would not understand
//!   the answer.
//! - Who is not a pod can only answer pods: nobody who knows a route may connect
//!   to them through this host.

use std::net::{IpAddr, Ipv4Addr};

use rustix::io::Errno;

use crate::network::forwarding;
use crate::network::leases::Leases;
use crate::network::pool::{self, LINKS};
use crate::spec::ports::{Protocol, PublishedPort};
use appc::types::Uuid;
use error::{Error, Kind, Result};
use sys::netlink::Socket;
use sys::netlink::expression::{
    Connection, Expression as E, Field, IPV4, IPV6, KNOWN, Meta, REDIRECTED,
};
use sys::netlink::nftables::{Batch, Hook, Kind as Part, Refused};

/// The table, of the family `inet`.
pub(super) const TABLE: &str = "nosecone";

/// Chains and sets of the table.
const FORWARD: &str = "forward";
const POSTROUTING: &str = "postrouting";
const PREROUTING: &str = "prerouting";

/// What the rules of one version of IP look at.
struct Version {
    number: u8,
    source: Field,
    destination: Field,
    address: Part,
    /// The length of an address, in bytes.
    length: u32,
    /// The set of the addresses of pods.
    pods: &'static str,
    /// The maps of ports: of one address of the host, and of all.
    ports: [&'static str; 2],
}

const VERSIONS: [Version; 2] = [
    Version {
        number: IPV4,
        source: Field::Source4,
        destination: Field::Destination4,
        address: Part::Ipv4,
        length: 4,
        pods: "pods4",
        ports: ["address_ports4", "ports4"],
    },
    Version {
        number: IPV6,
        source: Field::Source6,
        destination: Field::Destination6,
        address: Part::Ipv6,
        length: 16,
        pods: "pods6",
        ports: ["address_ports6", "ports6"],
    },
];

/// Makes the table, if it is not there, and adds the addresses and ports of a pod.
///
/// # Errors
///
/// The kernel lacks an option, or refuses.
pub(super) fn admit(address: Ipv4Addr, pod: Uuid, ports: &[PublishedPort]) -> Result<()> {
    let mut batch = Batch::of(TABLE);
    batch.table();
    for version in &VERSIONS {
        batch.set(version.pods, &[version.address]);
    }
    batch.empty_chain(FORWARD, Hook::Forward);
    batch.empty_chain(POSTROUTING, Hook::SourceNat);
    for version in &VERSIONS {
        let (source, pods, version) = (version.source, version.pods, version.number);
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
    let comment = &pod.to_string();
    for (version, address) in VERSIONS.iter().zip(pool::both(address, true)) {
        batch.element(version.pods, &octets(address), comment);
    }
    if !ports.is_empty() {
        redirect(&mut batch);
    }
    for (map, key, address, port) in keys(address, ports) {
        // IPv6 that is not passed on gets to the socket that listens on the port.
        if address.is_ipv4() || forwarding::passes_ipv6() {
            let value = [&octets(address)[..], &padded(port.pod)].concat();
            batch.value(map, &key, &value, comment);
        }
    }
    let mut socket = Socket::netfilter().map_err(|errno| lacks(errno, "CONFIG_NF_TABLES"))?;
    let made = socket.commit(&batch);
    made.map_err(|Refused { errno, option }| lacks(errno, option))
}

/// Adds what redirects connections to the ports of pods.
fn redirect(batch: &mut Batch<'_>) {
    let port = [Part::Protocol, Part::Port];
    for version in &VERSIONS {
        let [of_address, of_any] = version.ports;
        let keys = [&[version.address][..], &port].concat();
        let values = [version.address, Part::Port];
        batch.map(of_address, &keys, &values);
        batch.map(of_any, &port, &values);
    }
    batch.empty_chain(PREROUTING, Hook::DestinationNat);
    for version in &VERSIONS {
        let mut from_outside = vec![E::meta(Meta::InLink), E::is_not(LINKS.as_bytes())];
        from_outside.extend(E::is_for_host());
        from_outside.extend([E::meta(Meta::Version), E::is(&[version.number])]);
        let [of_address, of_any] = version.ports;
        for (map, before) in [(of_address, version.length), (of_any, 0)] {
            let mut rule = from_outside.clone();
            if before > 0 {
                rule.push(E::field(version.destination));
            }
            rule.extend([
                E::meta_after(before, Meta::Protocol),
                E::field_after(before + 4, Field::Port),
                E::value_in(map),
                E::redirect(version.number),
            ]);
            batch.rule(PREROUTING, &rule);
        }
    }
}

/// Returns where the ports of a pod stand: the map, the key in it, the address of
/// the pod, and the port. What only the host itself can reach is not among them.
fn keys(
    pod: Ipv4Addr,
    ports: &[PublishedPort],
) -> impl Iterator<Item = (&'static str, Vec<u8>, IpAddr, PublishedPort)> {
    let versions = VERSIONS.iter().zip(pool::both(pod, true));
    versions.flat_map(move |(version, pod)| {
        let of_version = ports.iter().filter(move |port| {
            port.address
                .is_none_or(|address| address.is_ipv4() == pod.is_ipv4() && !address.is_loopback())
        });
        of_version.map(move |port| {
            let map = version.ports[usize::from(port.address.is_none())];
            let protocol = match port.protocol {
                Protocol::Tcp => [6, 0, 0, 0],
                Protocol::Udp => [17, 0, 0, 0],
            };
            let address = port.address.map(octets).unwrap_or_default();
            let key = [&address[..], &protocol, &padded(port.host)].concat();
            (map, key, pod, *port)
        })
    })
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A port as part of a key or value.
fn padded(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

/// Explains why the kernel refuses: most often, because it lacks an option.
/// Explains why rules were refused.
pub(super) fn lacks(errno: Errno, option: &str) -> Error {
    let what = match errno {
        Errno::PROTONOSUPPORT | Errno::OPNOTSUPP | Errno::AFNOSUPPORT | Errno::NOENT => {
            format!("the kernel has no `{option}`")
        }
        _ => "the kernel refuses rules of nftables".to_owned(),
    };
    Error::new(Kind::Failed, what).because(std::io::Error::from(errno))
}

/// Removes the addresses and ports of a pod.
///
/// # Errors
///
/// The kernel refuses.
pub(super) fn dismiss(
    socket: &mut Socket,
    address: Ipv4Addr,
    ports: &[PublishedPort],
) -> rustix::io::Result<()> {
    let addresses = VERSIONS.iter().zip(pool::both(address, true));
    let addresses = addresses.map(|(version, address)| (version.pods, octets(address)));
    let ports = keys(address, ports).map(|(map, key, ..)| (map, key));
    for (set, key) in addresses.chain(ports) {
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

/// Removes the table, if no pod has an address, but for the one that has `last`.
/// Returns whether it is gone.
///
/// # Errors
///
/// The kernel refuses.
pub(super) fn clear(
    socket: &mut Socket,
    leases: &Leases,
    last: Option<Ipv4Addr>,
) -> rustix::io::Result<bool> {
    loop {
        // A pod that starts takes its lease before it changes the table. If it
        // has not done the first by now, and does the other before the table
        // is removed, then that is refused.
        let generation = socket.generation()?;
        if !leases.are_none_but(last)? {
            return Ok(false);
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
            | Ok(()) => return Ok(true),
            Err(refused) => return Err(refused.errno),
        }
    }
}
