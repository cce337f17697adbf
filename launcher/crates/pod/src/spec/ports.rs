//! Ports of the host that lead to a pod.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Protocol {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    /// Finds it by its name.
    pub fn find(name: &str) -> Option<Self> {
        let mut all = [Self::Tcp, Self::Udp].into_iter();
        all.find(|protocol| protocol.name() == name)
    }
}

/// A port of the host that leads to one of the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedPort {
    /// The protocol.
    pub protocol: Protocol,
    /// The address of the host; all of them if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The port of the host; 0 for one that is free.
    pub host: u16,
    /// The port in the pod.
    pub pod: u16,
}

impl PublishedPort {
    /// Formats the port of the pod: `80/tcp`.
    pub fn of_pod(&self) -> String {
        format!("{}/{}", self.pod, self.protocol.name())
    }

    /// Returns whether both want the same port of the host.
    pub fn overlaps(&self, other: &Self) -> bool {
        let same = self.protocol == other.protocol && self.host == other.host;
        let apart =
            matches!((self.address, other.address), (Some(one), Some(other)) if one != other);
        same && self.host != 0 && !apart
    }
}

/// Formats the port of the host: `8080/tcp`, `192.0.2.1:8080/tcp`.
impl fmt::Display for PublishedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            None => {}
            Some(IpAddr::V4(address)) => write!(f, "{address}:")?,
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
        }
        write!(f, "{}/{}", self.host, self.protocol.name())
    }
}

/// Parses what was formatted; the port in the pod is not part of it.
impl FromStr for PublishedPort {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (place, protocol) = text.rsplit_once('/').ok_or(())?;
        let (address, port) = match place.rsplit_once(':') {
            None => (None, place),
            Some((address, port)) => {
                let address = address.trim_start_matches('[').trim_end_matches(']');
                (Some(address.parse().map_err(drop)?), port)
            }
        };
        Ok(Self {
            protocol: Protocol::find(protocol).ok_or(())?,
            address,
            host: port.parse().map_err(drop)?,
            pod: 0,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn ports_of_the_host_are_the_same_only_if_one_client_could_mean_both() {
        for (one, other, expected) in [
            ("80/tcp", "80/tcp", true),
            ("80/tcp", "80/udp", false),
            ("80/tcp", "81/tcp", false),
            ("0/tcp", "0/tcp", false),
            ("80/tcp", "192.0.2.1:80/tcp", true),
            ("[fd00::1]:80/tcp", "192.0.2.1:80/tcp", false),
            ("[fd00::1]:80/tcp", "[fd00::1]:80/tcp", true),
        ] {
            let [first, second]: [PublishedPort; 2] =
                [one, other].map(|text| text.parse().unwrap());
            assert_eq!(first.overlaps(&second), expected, "{one} {other}");
            assert_eq!(second.overlaps(&first), expected, "{one} {other}");
            assert_eq!([first.to_string(), second.to_string()], [one, other]);
        }
        for text in [
            "",
            "80",
            "x/tcp",
            "80/sctp",
            "65536/tcp",
            "host:80/tcp",
            ":80/tcp",
        ] {
            assert!(text.parse::<PublishedPort>().is_err(), "{text}");
        }
    }
}
