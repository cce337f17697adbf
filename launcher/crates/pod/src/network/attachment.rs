//! What a pod records of its networks, in the file `network` of its directory:
//! for `launcher status`, for whoever serves its ports, and for whoever removes it
//! from the host.

use std::net::{IpAddr, Ipv4Addr};

use crate::spec::ports::{Protocol, PublishedPort};
use appc::json::{self, Object, Value};

/// The file in the directory of a pod.
pub const FILE: &str = "network";

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    /// Its interfaces, but for that of loopback.
    pub attachments: Vec<Attachment>,
    /// The ports of the host that lead to it, with the descriptor of the socket that
    /// listens on each, in the process that waits for the pod.
    pub ports: Vec<(PublishedPort, u32)>,
    /// The descriptor of the listener of the metadata service.
    pub metadata: u32,
}

/// A link of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name in the pod.
    pub interface: String,
    /// How the pod is connected, as the command line calls it.
    pub mode: String,
    /// The pod's addresses on it, that of IPv4 first.
    pub addresses: Vec<IpAddr>,
    /// Its lease, if the launcher has chosen its address.
    pub lease: Option<Held>,
    /// What it takes to ask for more time, if its address is lent by a server.
    pub borrowed: Option<Borrowed>,
}

/// Descriptors in the process that waits for a pod, for an address that is lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Borrowed {
    /// The socket on which the kernel says that its time is over.
    pub events: u32,
    /// The pod's network namespace.
    pub namespace: u32,
}

/// A lease that a pod holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Of which address.
    pub address: Ipv4Addr,
    /// The descriptor that holds it, in the process that waits for the pod.
    pub descriptor: u32,
}

impl Networks {
    /// Returns all addresses of the pod.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let all = self.attachments.iter();
        all.flat_map(|attachment| attachment.addresses.iter().copied())
    }

    /// Returns whether one of its addresses is lent for some time.
    pub fn is_borrowed(&self) -> bool {
        self.attachments.iter().any(|one| one.borrowed.is_some())
    }

    /// Finds an attachment by its interface.
    pub fn find(&self, interface: &str) -> Option<&Attachment> {
        let mut all = self.attachments.iter();
        all.find(|attachment| attachment.interface == interface)
    }

    /// Formats the file.
    pub(crate) fn text(&self) -> String {
        let attachments = self.attachments.iter().map(Attachment::object);
        let ports = self.ports.iter().map(|(port, socket)| {
            Object::new()
                .with("protocol", port.protocol.name())
                .with_some("address", port.address.map(|address| address.to_string()))
                .with("host", u32::from(port.host))
                .with("pod", u32::from(port.pod))
                .with("socket", *socket)
        });
        let record = Object::new()
            .with_items("attachments", attachments)
            .with_items("ports", ports)
            .with("metadata", self.metadata);
        format!("{}\n", Value::from(record))
    }

    /// Parses the file; one that is damaged counts as missing.
    pub fn read(text: &[u8]) -> Option<Self> {
        let record = json::parse(text).ok()?;
        Some(Self {
            attachments: list(&record, "attachments", Attachment::read)?,
            ports: list(&record, "ports", port)?,
            metadata: u32::try_from(record.number("metadata")?).ok()?,
        })
    }
}

impl Attachment {
    fn object(&self) -> Object {
        let addresses = self.addresses.iter().map(ToString::to_string);
        let lease = self.lease.map(|lease| {
            Object::new()
                .with("address", lease.address.to_string())
                .with("descriptor", lease.descriptor)
        });
        let borrowed = self.borrowed.map(|borrowed| {
            Object::new()
                .with("events", borrowed.events)
                .with("namespace", borrowed.namespace)
        });
        Object::new()
            .with("interface", self.interface.as_str())
            .with("mode", self.mode.as_str())
            .with_items("addresses", addresses)
            .with_some("lease", lease)
            .with_some("borrowed", borrowed)
    }

    fn read(record: &Value) -> Option<Self> {
        let lease = record.get("lease").map(|lease| {
            Some(Held {
                address: lease.text("address")?.parse().ok()?,
                descriptor: u32::try_from(lease.number("descriptor")?).ok()?,
            })
        });
        let lease = match lease {
            Some(None) => return None,
            lease => lease.flatten(),
        };
        let number = |of: &Value, key| u32::try_from(of.number(key)?).ok();
        let borrowed = record.get("borrowed").map(|borrowed| {
            Some(Borrowed {
                events: number(borrowed, "events")?,
                namespace: number(borrowed, "namespace")?,
            })
        });
        let borrowed = match borrowed {
            Some(None) => return None,
            borrowed => borrowed.flatten(),
        };
        Some(Self {
            interface: record.text("interface")?,
            mode: record.text("mode")?,
            addresses: list(record, "addresses", |text| match text {
                Value::Text(text) => text.parse().ok(),
                _ => None,
            })?,
            lease,
            borrowed,
        })
    }
}

/// Reads all members of a list; none if there is no list.
fn list<T>(record: &Value, key: &str, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    match record.get(key) {
        Some(Value::List(all)) => all.iter().map(read).collect(),
        _ => Some(Vec::new()),
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
        let port = |text: &str| text.parse().map(|port| PublishedPort { pod: 80, ..port });
        let address = Ipv4Addr::new(172, 16, 28, 2);
        let lease = Held {
            address,
            descriptor: 7,
        };
        let record = Networks {
            attachments: vec![
                Attachment {
                    interface: "eth0".to_owned(),
                    mode: "nat".to_owned(),
                    addresses: vec![address.into(), "fd00::2".parse().unwrap()],
                    lease: Some(lease),
                    borrowed: None,
                },
                Attachment {
                    interface: "eth1".to_owned(),
                    mode: "bridge".to_owned(),
                    addresses: Vec::new(),
                    lease: None,
                    borrowed: Some(Borrowed {
                        events: 11,
                        namespace: 12,
                    }),
                },
            ],
            ports: vec![
                (port("8080/tcp").unwrap(), 9),
                (port("[fd00::1]:53/udp").unwrap(), 10),
            ],
            metadata: 8,
        };
        for record in [record.clone(), Networks::default()] {
            let text = record.text();
            for end in 0..text.len() - 1 {
                assert_eq!(Networks::read(&text.as_bytes()[..end]), None);
            }
            assert_eq!(Networks::read(text.as_bytes()), Some(record));
        }
        let text = record.text();
        for (from, to) in [("172.16", "1172.16"), (":7", ":-7"), ("\"eth0\"", "0")] {
            assert_eq!(Networks::read(text.replace(from, to).as_bytes()), None);
        }
    }
}
