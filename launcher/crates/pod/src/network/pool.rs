//! Which addresses pods get: each an address of IPv4 of a private network, and
//! one of IPv6 that follows from it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network of which pods get addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    network: Ipv4Addr,
}

/// The first of these that the host does not use itself is the one. The first
/// was rkt's default, a quarter of its size.
const POOLS: [Pool; 4] = [
    Pool::at([172, 16, 28, 0]),
    Pool::at([10, 228, 28, 0]),
    Pool::at([192, 168, 228, 0]),
    Pool::at([172, 28, 228, 0]),
];

/// The length of a pool's prefix.
const PREFIX: u8 = 22;

/// The number of addresses of a pool. The first is the network's, the second
/// the host's, and the last nobody's.
const SIZE: u32 = 1 << (32 - PREFIX);

/// The unique local prefix (RFC 4193) of the addresses of IPv6; an address of
/// IPv4 makes the rest. It is that of no other site, and of every Nose Cone:
/// none of its packets leaves the host.
const UNIQUE: [u8; 12] = [0xfd, 0x6e, 0x6f, 0x73, 0x65, 0x63, 0, 0, 0, 0, 0, 0];

/// How the names of links to pods begin. The address follows, so that the name
/// says whose it is.
pub const LINKS: &str = "nsc-";

impl Pool {
    const fn at([a, b, c, d]: [u8; 4]) -> Self {
        Self {
            network: Ipv4Addr::new(a, b, c, d),
        }
    }

    /// Chooses the first pool that overlaps with none of these networks, each
    /// an address and the length of its prefix.
    pub fn choose(used: &[(Ipv4Addr, u8)]) -> Option<Self> {
        let mut pools = POOLS.into_iter();
        pools.find(|pool| !used.iter().any(|&network| pool.overlaps(network)))
    }

    fn overlaps(self, (address, prefix): (Ipv4Addr, u8)) -> bool {
        let shorter = u32::from(prefix.min(PREFIX));
        // The default route overlaps with everything and means nothing.
        shorter > 0 && (address.to_bits() ^ self.network.to_bits()) >> (32 - shorter) == 0
    }

    /// Returns the address of the network itself.
    pub fn network(self) -> Ipv4Addr {
        self.network
    }

    /// Returns the address of the host on all links to pods.
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.to_bits() | 1)
    }

    /// Returns all addresses for pods, starting somewhere.
    pub fn addresses(self, start: u32) -> impl Iterator<Item = Ipv4Addr> {
        let first = self.network.to_bits() + 2;
        let count = SIZE - 3;
        (0..count).map(move |at| Ipv4Addr::from_bits(first + (start % count + at) % count))
    }
}

impl std::fmt::Display for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{PREFIX}", self.network)
    }
}

/// Returns all pools.
pub fn all() -> String {
    POOLS.map(|pool| format!("`{pool}`")).join(", ")
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
            Pool::choose(&used).map(|pool| pool.to_string())
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
    fn the_name_of_a_link_says_whose_it_is_and_fits() {
        let last = Ipv4Addr::new(192, 168, 231, 254);
        assert_eq!(link(last), "nsc-c0a8e7fe");
        assert_eq!(sixth(last).to_string(), "fd6e:6f73:6563::c0a8:e7fe");
        // IFNAMSIZ, with a NUL byte
        assert!(link(last).len() < 16);
    }
}
