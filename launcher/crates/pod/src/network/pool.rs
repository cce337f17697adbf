//! Which addresses pods get: each an address of IPv4 of a private network, and
//! one of IPv6 that follows from it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use error::{Error, Kind, Result};

/// A network of which pods get addresses. Its first address is the network's own,
/// the second the host's, and the last nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    network: Ipv4Addr,
    prefix: u8,
}

/// For `nat`, the first of these that the host does not use itself is the one. The
/// first was rkt's default, a quarter of its size.
const POOLS: [Pool; 4] = [
    Pool::at([172, 16, 28, 0], 22),
    Pool::at([10, 228, 28, 0], 22),
    Pool::at([192, 168, 228, 0], 22),
    Pool::at([172, 28, 228, 0], 22),
];

/// Each bridge has a part of one of these.
const BRIDGES: [Pool; 3] = [
    Pool::at([10, 229, 0, 0], 16),
    Pool::at([172, 29, 0, 0], 16),
    Pool::at([192, 168, 232, 0], 22),
];

/// The length of the prefix of a bridge's network.
const PART: u8 = 24;

/// The unique local prefix (RFC 4193) of the addresses of IPv6; an address of
/// IPv4 makes the rest. It is that of no other site, and of every Nose Cone:
/// none of its packets leaves the host.
const UNIQUE: [u8; 12] = [0xfd, 0x6e, 0x6f, 0x73, 0x65, 0x63, 0, 0, 0, 0, 0, 0];

/// How the names of links to pods begin. The address follows, so that the name
/// says whose it is.
pub const LINKS: &str = "nsc-";

/// Returns the networks of which pods can get addresses.
pub(super) fn networks() -> [Ipv4Addr; POOLS.len()] {
    POOLS.map(|pool| pool.network)
}

impl Pool {
    const fn at([a, b, c, d]: [u8; 4], prefix: u8) -> Self {
        Self {
            network: Ipv4Addr::new(a, b, c, d),
            prefix,
        }
    }

    /// Returns the network of a bridge that this is an address of.
    pub fn of_bridge(address: Ipv4Addr) -> Self {
        Self {
            network: Ipv4Addr::from_bits(address.to_bits() & !((1 << (32 - PART)) - 1)),
            prefix: PART,
        }
    }

    fn is_free(self, used: &[(Ipv4Addr, u8)]) -> bool {
        !used.iter().any(|&network| self.overlaps(network))
    }

    fn overlaps(self, (address, prefix): (Ipv4Addr, u8)) -> bool {
        let shorter = u32::from(prefix.min(self.prefix));
        // The default route overlaps with everything and means nothing.
        shorter > 0 && (address.to_bits() ^ self.network.to_bits()) >> (32 - shorter) == 0
    }

    /// Returns how many bits of its addresses differ.
    fn free_bits(self) -> u8 {
        32 - self.prefix
    }

    /// Returns the length of the prefix that goes with one of its addresses, of
    /// either version.
    pub fn prefix_of(self, address: IpAddr) -> u8 {
        match address {
            IpAddr::V4(_) => self.prefix,
            IpAddr::V6(_) => 128 - self.free_bits(),
        }
    }

    /// Returns its address, and the length of its prefix.
    pub fn network(self) -> (Ipv4Addr, u8) {
        (self.network, self.prefix)
    }

    /// Formats the network of IPv6 that goes with it.
    pub fn sixth(self) -> String {
        format!("{}/{}", sixth(self.network), 128 - self.free_bits())
    }

    /// Returns the address of the host on all links to pods.
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.to_bits() | 1)
    }

    /// Returns all addresses for pods, starting somewhere.
    pub fn addresses(self, start: u32) -> impl Iterator<Item = Ipv4Addr> {
        let first = self.network.to_bits() + 2;
        let count = (1 << self.free_bits()) - 3;
        (0..count).map(move |at| Ipv4Addr::from_bits(first + (start % count + at) % count))
    }
}

impl std::fmt::Display for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

/// Returns whether an address is one of a bridge's network.
pub fn is_of_bridge(address: Ipv4Addr) -> bool {
    let used = [(address, 32)];
    !BRIDGES.iter().all(|pool| pool.is_free(&used))
}

/// Chooses the network for `nat`: the first that overlaps with none of these, each
/// an address and the length of its prefix.
///
/// # Errors
///
/// The host uses them all.
pub fn choose(used: &[(Ipv4Addr, u8)]) -> Result<Pool> {
    let mut pools = POOLS.into_iter();
    pools
        .find(|pool| pool.is_free(used))
        .ok_or_else(|| all_used(&POOLS))
}

/// Chooses the network of a new bridge in the same way.
///
/// # Errors
///
/// The host uses them all.
pub fn choose_for_bridge(used: &[(Ipv4Addr, u8)]) -> Result<Pool> {
    let mut parts = BRIDGES.into_iter().flat_map(|whole| {
        let first = whole.network.to_bits();
        (0..1_u32 << (PART - whole.prefix)).map(move |at| Pool {
            network: Ipv4Addr::from_bits(first + (at << (32 - PART))),
            prefix: PART,
        })
    });
    parts
        .find(|pool| pool.is_free(used))
        .ok_or_else(|| all_used(&BRIDGES))
}

fn all_used(pools: &[Pool]) -> Error {
    let all: Vec<String> = pools.iter().map(|pool| format!("`{pool}`")).collect();
    let what = format!(
        "the host uses all networks that pods can have: {}",
        all.join(", ")
    );
    Error::new(Kind::Failed, what).hint("`--net=host` gives the pod the host's own network")
}

/// Returns the address of IPv6 that goes with one of IPv4.
pub fn sixth(address: Ipv4Addr) -> Ipv6Addr {
    let mut bytes = [0; 16];
    bytes[..12].copy_from_slice(&UNIQUE);
    bytes[12..].copy_from_slice(&address.octets());
    bytes.into()
}

/// Returns both addresses, that of IPv6 only if it is wanted.
pub fn both(address: Ipv4Addr, ipv6: bool) -> impl Iterator<Item = IpAddr> {
    let other = ipv6.then(|| sixth(address).into());
    std::iter::once(address.into()).chain(other)
}

/// Returns the name of the link to the pod with this address.
pub fn link(address: Ipv4Addr) -> String {
    format!("{LINKS}{:08x}", address.to_bits())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_pool_that_the_host_uses_is_not_chosen() {
        let chosen = |used: &[([u8; 4], u8)]| {
            let used: Vec<_> = used
                .iter()
                .map(|&(ip, prefix)| (ip.into(), prefix))
                .collect();
            choose(&used).ok().map(|pool| pool.to_string())
        };
        let first = Some("172.16.28.0/22".to_owned());
        let second = Some("10.228.28.0/22".to_owned());
        for (used, expected) in [
            (&[][..], &first),
            (&[([0, 0, 0, 0], 0)], &first),
            (&[([172, 16, 32, 0], 22), ([172, 16, 24, 0], 22)], &first),
            (&[([172, 16, 0, 0], 12)], &second),
            (&[([172, 16, 28, 0], 22)], &second),
            (&[([172, 16, 31, 255], 32)], &second),
            (
                &[([172, 0, 0, 0], 6), ([10, 0, 0, 0], 8), ([192, 0, 0, 0], 2)],
                &None,
            ),
        ] {
            assert_eq!(chosen(used), *expected, "{used:?}");
        }
    }

    #[test]
    fn pods_get_no_address_that_is_the_networks_or_the_hosts() {
        for start in [0, 1, 1020, 1021, u32::MAX] {
            let mut all: Vec<_> = POOLS[0].addresses(start).collect();
            assert_eq!(all.len(), 1021);
            all.sort();
            all.dedup();
            assert_eq!(all.len(), 1021);
            assert_eq!(all[0], Ipv4Addr::new(172, 16, 28, 2));
            assert_eq!(all[1020], Ipv4Addr::new(172, 16, 31, 254));
            assert!(!all.contains(&POOLS[0].gateway()));
        }
    }

    #[test]
    fn no_two_bridges_have_the_same_network() {
        let mut used = Vec::new();
        while let Ok(pool) = choose_for_bridge(&used) {
            assert_eq!(Pool::of_bridge(pool.gateway()), pool);
            used.push(pool.network());
        }
        assert_eq!(used.len(), 256 + 256 + 4);
        assert!(choose(&used).is_ok());
    }

    #[test]
    fn the_name_of_a_link_says_whose_it_is_and_fits() {
        let last = Ipv4Addr::new(192, 168, 231, 254);
        assert_eq!(link(last), "nsc-c0a8e7fe");
        assert_eq!(sixth(last).to_string(), "fd6e:6f73:6563::c0a8:e7fe");
        // IFNAMSIZ, with a NUL byte
        assert!(link(last).len() < 16);
    }
}
