//! What a pod records of its network, in the file `network` of its directory:
//! for `launcher status`, and for whoever removes it from the host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::spec::network::{Protocol, PublishedPort};
use appc::json::{self, Object, Value};

/// The file in the directory of a pod.
pub const FILE: &str = "network";

/// A link of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name in the pod.
    pub interface: String,
    /// How the pod is connected, as the command line calls it.
    pub mode: String,
    /// The pod's address.
    pub ipv4: Ipv4Addr,
    /// The pod's other address, if the host has IPv6.
    pub ipv6: Option<Ipv6Addr>,
    /// Who holds the lease: the descriptor of the process that waits for the pod.
    pub lease: u32,
    /// The ports of the host that lead here, with the descriptor of the socket that
    /// listens on each.
    pub ports: Vec<(PublishedPort, u32)>,
    /// The descriptor of the listener of the metadata service.
    pub metadata: u32,
}

impl Attachment {
    /// Returns all addresses of the pod.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let ipv6 = self.ipv6.map(IpAddr::from);
        [self.ipv4.into()].into_iter().chain(ipv6)
    }

    /// Formats the record.
    pub(crate) fn text(&self) -> String {
        let ipv6 = self.ipv6.map(|address| address.to_string());
        let ports = self.ports.iter().map(|(port, socket)| {
            Object::new()
                .with("protocol", port.protocol.name())
                .with_some("address", port.address.map(|address| address.to_string()))
                .with("host", u32::from(port.host))
                .with("pod", u32::from(port.pod))
                .with("socket", *socket)
        });
        let record = Object::new()
            .with("interface", self.interface.as_str())
            .with("mode", self.mode.as_str())
            .with("ipv4", self.ipv4.to_string())
            .with_some("ipv6", ipv6)
            .with("lease", self.lease)
            .with_items("ports", ports)
            .with("metadata", self.metadata);
        format!("{}\n", Value::from(record))
    }

    /// Parses the record; one that is damaged counts as missing.
    pub fn read(text: &[u8]) -> Option<Self> {
        let record = json::parse(text).ok()?;
        let text = |key| record.text(key);
        let number = |key| u32::try_from(record.number(key)?).ok();
        let ports = match record.get("ports") {
            Some(Value::List(ports)) => ports.iter().map(port).collect::<Option<_>>()?,
            _ => Vec::new(),
        };
        Some(Self {
            interface: text("interface")?,
            mode: text("mode")?,
            ipv4: text("ipv4")?.parse().ok()?,
            ipv6: text("ipv6").map(|text| text.parse()).transpose().ok()?,
            lease: number("lease")?,
            ports,
            metadata: number("metadata")?,
        })
    }
}

fn port(record: &Value) -> Option<(PublishedPort, u32)> {
    let number = |key| u16::try_from(record.number(key)?).ok();
    let address = record.text("address").map(|text| text.parse::<IpAddr>());
    let port = PublishedPort {
        protocol: Protocol::find(&record.text("protocol")?)?,
        address: address.transpose().ok()?,
        host: number("host")?,
        pod: number("pod")?,
    };
    Some((port, u32::try_from(record.number("socket")?).ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_record_counts_as_missing() {
        let mut attachment = Attachment {
            interface: "eth0".to_owned(),
            mode: "nat".to_owned(),
            ipv4: Ipv4Addr::new(172, 16, 28, 2),
            ipv6: Some("fd00::2".parse().unwrap()),
            lease: 7,
            ports: Vec::new(),
            metadata: 8,
        };
        let port = |text: &str| text.parse().map(|port| PublishedPort { pod: 80, ..port });
        attachment.ports = vec![
            (port("8080/tcp").unwrap(), 9),
            (port("[fd00::1]:53/udp").unwrap(), 10),
        ];
        for ipv6 in [attachment.ipv6, None] {
            attachment.ipv6 = ipv6;
            let text = attachment.text();
            for end in 0..text.len() - 1 {
                assert_eq!(Attachment::read(&text.as_bytes()[..end]), None);
            }
            assert_eq!(Attachment::read(text.as_bytes()), Some(attachment.clone()));
        }
        let text = attachment.text();
        for (from, to) in [("172.16", "1172.16"), (":7", ":-7"), ("\"eth0\"", "0")] {
            assert_eq!(Attachment::read(text.replace(from, to).as_bytes()), None);
        }
    }
}
