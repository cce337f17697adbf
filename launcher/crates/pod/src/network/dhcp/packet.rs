//! Packets of IPv4 with datagrams of UDP in them (RFC 791, RFC 768), for a host
//! that has no address: the kernel makes and takes none for it.

use std::net::Ipv4Addr;

/// The ports of servers and of clients.
const SERVER: u16 = 67;
const CLIENT: u16 = 68;

/// The lengths of the headers.
const IP: usize = 20;
const UDP: usize = 8;

/// The number of UDP.
const PROTOCOL: u8 = 17;

/// Wraps what a client says to all servers.
pub(super) fn wrap(source: Ipv4Addr, message: &[u8]) -> Vec<u8> {
    let length = |whole: usize| u16::try_from(whole).unwrap_or(u16::MAX).to_be_bytes();
    let source = source.octets();
    let all = Ipv4Addr::BROADCAST.octets();
    let datagram = length(UDP + message.len());
    // Version and header length in words; "time to live" of 64.
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, PROTOCOL, 0, 0];
    packet[2..4].copy_from_slice(&length(IP + UDP + message.len()));
    packet.extend([source, all].concat());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum);
    packet.extend([CLIENT.to_be_bytes(), SERVER.to_be_bytes(), datagram, [0; 2]].concat());
    packet.extend(message);
    let addressed = [&source[..], &all, &[0, PROTOCOL], &datagram, &packet[IP..]].concat();
    let sum = match checksum(&addressed) {
        // Zero means that there is none.
        [0, 0] => [0xff; 2],
        sum => sum,
    };
    packet[IP + 6..IP + 8].copy_from_slice(&sum);
    packet
}

/// Returns what a server says to clients; `None` if the packet is another one.
/// The sum of what comes from this very host is not computed by anybody, so
/// that of UDP is not looked at.
pub(super) fn unwrap(packet: &[u8]) -> Option<&[u8]> {
    let header = usize::from(packet.first()? & 0xf) * 4;
    let whole = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
    let (fragment, protocol) = (packet.get(6..8)?, *packet.get(9)?);
    let is_udp = packet[0] >> 4 == 4
        && header >= IP
        && protocol == PROTOCOL
        // Neither is there more, nor is this more.
        && fragment[0] & 0x3f == 0
        && fragment[1] == 0
        && checksum(packet.get(..header)?) == [0, 0];
    if !is_udp {
        return None;
    }
    let datagram = packet.get(header..whole)?;
    let word = |at: usize| Some(u16::from_be_bytes(*datagram.get(at..)?.first_chunk()?));
    let length = usize::from(word(4)?);
    let meant = word(0)? == SERVER && word(2)? == CLIENT;
    meant.then(|| datagram.get(UDP..length))?
}

/// Computes the sum of RFC 1071, which is zero for what includes its own.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let (words, last) = bytes.as_chunks::<2>();
    let words = words
        .iter()
        .map(|&word| u32::from(u16::from_be_bytes(word)));
    let last = last.iter().map(|&byte| u32::from(byte) << 8);
    let sum = words.chain(last).sum::<u32>();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let [_, _, high, low] = (!sum).to_be_bytes();
    [high, low]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// What a server would have sent.
    fn answer(message: &[u8]) -> Vec<u8> {
        let mut packet = wrap(Ipv4Addr::UNSPECIFIED, message);
        packet[IP..IP + 4].copy_from_slice(&[0, 67, 0, 68]);
        packet
    }

    #[test]
    fn what_is_no_answer_of_a_server_is_none() {
        let good = answer(b"abc");
        assert_eq!(unwrap(&good), Some(&b"abc"[..]));
        // A frame of Ethernet is filled up.
        assert_eq!(unwrap(&[&good[..], &[0; 9]].concat()), Some(&b"abc"[..]));
        for end in 0..good.len() {
            assert_eq!(unwrap(&good[..end]), None, "{end}");
        }
        assert_eq!(unwrap(&wrap(Ipv4Addr::UNSPECIFIED, b"abc")), None);
        for (at, byte) in [
            (0, 0x65),
            (0, 0x44),
            (3, 200),
            (6, 0x20),
            (9, 6),
            (IP + 1, 66),
            (IP + 5, 7),
            (IP + 5, 12),
        ] {
            let mut packet = good.clone();
            packet[at] = byte;
            if at < IP {
                packet[10..12].fill(0);
                let sum = checksum(&packet[..IP]);
                packet[10..12].copy_from_slice(&sum);
            }
            assert_eq!(unwrap(&packet), None, "{at} {byte}");
        }
        let mut packet = good;
        packet[12] ^= 1;
        assert_eq!(unwrap(&packet), None);
    }

    #[test]
    fn sums_are_those_of_the_specification() {
        // The example of RFC 1071, 3.
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&bytes), [!0xdd, !0xf2]);
        assert_eq!(checksum(&[0xff]), [0, 0xff]);
        let packet = wrap(Ipv4Addr::UNSPECIFIED, b"abc");
        assert_eq!(checksum(&packet[..IP]), [0, 0]);
        let (pseudo, udp) = (&packet[12..20], &packet[IP..]);
        let whole = [pseudo, &[0, PROTOCOL, 0, 11], udp].concat();
        assert_eq!(checksum(&whole), [0, 0]);
    }
}
