//! Which ports of the host lead to which of a pod.

use std::net::IpAddr;

use crate::resolve::BY_MANIFEST;
use crate::resolve::network::Network;
use crate::spec::ports::{Protocol, PublishedPort};
use crate::spec::process::Sourced;
use appc::manifest::app::Port;
use appc::manifest::pod::{ExposedPort, PodApp};
use appc::types::AcName;
use error::quote::quoted;
use error::{Error, Result};

/// What an option asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortRequest {
    /// `--port`: a port that an app declares.
    Named(ExposedPort),
    /// `--publish`: any ports of the pod.
    Numbered {
        /// The first of them.
        first: PublishedPort,
        /// How many there are.
        count: u16,
    },
    /// `--publish-all`: all that apps declare, each at a port that is free.
    All,
}

/// The most ports that a pod can have on its host: each takes a socket.
const MOST: usize = 256;

/// Parses a value of `--port`: `NAME:[ADDRESS:]HOSTPORT`.
///
/// # Errors
///
/// It is something else.
pub fn named(text: &str) -> Result<PortRequest> {
    let parts = text.split_once(':').and_then(|(name, place)| {
        let (address, port) = place_of(place)?;
        let host_port = port.parse().ok().filter(|&port| port > 0)?;
        Some(ExposedPort {
            name: AcName::parse(name).ok()?,
            host_port,
            host_ip: address,
            pod_port: None,
        })
    });
    parts.map(PortRequest::Named).ok_or_else(|| {
        let what = format!("{} is not `NAME:[ADDRESS:]HOSTPORT`", quoted(text));
        Error::usage(what).hint("for instance `http:8080` or `http:127.0.0.1:8080`")
    })
}

/// Parses a value of `--publish`: `[ADDRESS:][HOST[-LAST]]:POD[-LAST][/PROTOCOL]`.
///
/// # Errors
///
/// It is something else.
pub fn numbered(text: &str) -> Result<PortRequest> {
    let (ports, protocol) = match text.rsplit_once('/') {
        Some((ports, name)) => (ports, Protocol::find(name)),
        None => (text, Some(Protocol::Tcp)),
    };
    let parts = ports.rsplit_once(':').and_then(|(place, pod)| {
        let (address, host) = match place {
            // Any free one.
            "" => (None, ""),
            place => place_of(place)?,
        };
        let (pod, pods) = range(pod)?;
        let (host, count) = match host {
            "" => (0, pods),
            host => range(host)?,
        };
        let fits = pods == count || pods == 1;
        let last = pod.checked_add(count - 1);
        (fits && last.is_some()).then_some(PortRequest::Numbered {
            first: PublishedPort {
                protocol: protocol?,
                address,
                host,
                pod,
            },
            count,
        })
    });
    parts.ok_or_else(|| {
        let what = format!(
            "{} is not `[ADDRESS:]HOST[-LAST]:POD[/udp]`, in ports from 1 to 65535",
            quoted(text)
        );
        Error::usage(what).hint("for instance `8080:80`, `127.0.0.1:8080:80` or `[::1]:53:53/udp`")
    })
}

/// Splits an address of the host from a port.
fn place_of(text: &str) -> Option<(Option<IpAddr>, &str)> {
    let Some((address, port)) = text.rsplit_once(':') else {
        return Some((None, text));
    };
    let bracketed = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = match bracketed {
        Some(address) => IpAddr::V6(address.parse().ok()?),
        None => IpAddr::V4(address.parse().ok()?),
    };
    let any = address.is_unspecified();
    Some(((!any).then_some(address), port))
}

/// Parses a port, or a range of them: the first, and how many there are.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.parse::<u16>().ok().filter(|&port| port > 0);
    let (first, last) = (port(first)?, port(last)?);
    Some((first, last.checked_sub(first)?.checked_add(1)?))
}

/// Decides which ports lead to a pod in this network, with apps that declare
/// these.
///
/// # Errors
///
/// No app declares one, two are the same, or the pod cannot have any.
pub(crate) fn resolve(
    requests: &[PortRequest],
    by_manifest: &[ExposedPort],
    network: &Network,
    declared: &[Port],
) -> Result<Vec<Sourced<PublishedPort>>> {
    if !network.has_ports() {
        let Some(request) = requests.first() else {
            return Ok(Vec::new());
        };
        let what = format!("`{}` needs `--net=nat`", request.option());
        return Err(Error::usage(what).hint(match network {
            Network::Host => "in the host's network, the ports of apps are the host's",
            Network::Joined(_) => "whoever made the network that the pod joins connects it",
            _ => "a pod that is not connected cannot be reached from outside",
        }));
    }
    let mut all: Vec<Sourced<PublishedPort>> = Vec::new();
    let mut add = |(first, count): (PublishedPort, u16), reason: &str| {
        for at in 0..count {
            let next = |port: u16| port.checked_add(at);
            let host = if first.host == 0 {
                Some(0)
            } else {
                next(first.host)
            };
            let (Some(host), Some(pod)) = (host, next(first.pod)) else {
                let what = format!("port {first} and the {at} after it do not exist");
                return Err(Error::usage(what));
            };
            let port = PublishedPort { host, pod, ..first };
            if all.iter().any(|other| other.value.overlaps(&port)) {
                return Err(Error::usage(format!("port {port} is published twice")));
            }
            all.push(Sourced::new(port, reason));
        }
        match all.len() > MOST {
            true => Err(Error::usage(format!(
                "a pod can publish at most {MOST} ports"
            ))),
            false => Ok(()),
        }
    };
    for exposed in by_manifest {
        add(exposed_port(exposed, declared)?, BY_MANIFEST)?;
    }
    for request in requests {
        let reason = format!("option {}", request.option());
        match request {
            PortRequest::Named(exposed) => add(exposed_port(exposed, declared)?, &reason)?,
            PortRequest::Numbered { first, count } => add((*first, *count), &reason)?,
            PortRequest::All => {
                for port in declared {
                    add((of_app(port, None, 0)?, port.count), &reason)?;
                }
            }
        }
    }
    Ok(all)
}

/// Returns the ports that apps declare.
pub(crate) fn declared(sections: &[PodApp]) -> Vec<Port> {
    let apps = sections.iter().filter_map(|section| section.app.as_ref());
    apps.flat_map(|app| app.ports.clone()).collect()
}

/// Returns what a pod manifest says of ports: others than those of apps it cannot.
pub(crate) fn in_manifest(
    requests: &[PortRequest],
    by_manifest: &[ExposedPort],
) -> Vec<ExposedPort> {
    let named = requests.iter().filter_map(|request| match request {
        PortRequest::Named(exposed) => Some(exposed),
        PortRequest::Numbered { .. } | PortRequest::All => None,
    });
    by_manifest.iter().chain(named).cloned().collect()
}

impl PortRequest {
    fn option(&self) -> &'static str {
        match self {
            Self::Named(_) => "--port",
            Self::Numbered { .. } => "--publish",
            Self::All => "--publish-all",
        }
    }
}

fn exposed_port(exposed: &ExposedPort, declared: &[Port]) -> Result<(PublishedPort, u16)> {
    let name = &exposed.name;
    let found = declared.iter().find(|port| port.name == *name);
    let port = found.or(exposed.pod_port.as_ref()).ok_or_else(|| {
        let error = Error::usage(format!("no app of the pod has a port `{name}`"));
        let names: Vec<String> = declared
            .iter()
            .map(|port| format!("`{}`", port.name))
            .collect();
        error.hint(match names.is_empty() {
            true => "`--publish HOST:POD` takes numbers".to_owned(),
            false => format!("its ports are {}", names.join(", ")),
        })
    })?;
    let first = of_app(port, exposed.host_ip, exposed.host_port)?;
    Ok((first, port.count))
}

pub(crate) fn of_app(port: &Port, address: Option<IpAddr>, host: u16) -> Result<PublishedPort> {
    let protocol = Protocol::find(&port.protocol).ok_or_else(|| {
        Error::invalid(format!(
            "port `{}` cannot be published: its protocol {} is neither `tcp` nor `udp`",
            port.name,
            quoted(&port.protocol)
        ))
    })?;
    Ok(PublishedPort {
        protocol,
        address: address.filter(|address| !address.is_unspecified()),
        host,
        pod: port.port,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn port(name: &str, protocol: &str, port: u16, count: u16) -> Port {
        Port {
            name: AcName::parse(name).unwrap(),
            protocol: protocol.to_owned(),
            port,
            count,
            socket_activated: false,
        }
    }

    fn resolved(requests: &[PortRequest], declared: &[Port]) -> Result<Vec<String>> {
        let all = resolve(requests, &[], &Network::usual(), declared)?;
        let spelled = |port: &Sourced<PublishedPort>| {
            let value = port.value;
            format!("{value} {} {}", value.of_pod(), port.reason)
        };
        Ok(all.iter().map(spelled).collect())
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in [
            "",
            "80",
            ":",
            "8080:",
            "0:80",
            "8080:0",
            "8080:x",
            "65536:80",
            "8080:80/sctp",
            "8080:80/",
            "host:8080:80",
            "::1:8080:80",
            "[192.0.2.1]:8080:80",
            "[::1:8080:80",
            "90-80:80",
            "80-:80",
            "8000-8001:80-82",
            "1-10:65530",
            "-1:80",
            "+1:80x",
        ] {
            assert!(numbered(text).is_err(), "{text}");
        }
        for text in [
            "",
            "http",
            "http:",
            "http:0",
            "http:x",
            ":80",
            "Http:80",
            "http:a:80",
        ] {
            assert!(named(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_taken_as_they_are() {
        for (text, expected) in [
            ("8080:80", &["8080/tcp 80/tcp"][..]),
            ("8080:80/tcp", &["8080/tcp 80/tcp"]),
            ("192.0.2.1:53:53/udp", &["192.0.2.1:53/udp 53/udp"]),
            ("[fd00::1]:53:5353/udp", &["[fd00::1]:53/udp 5353/udp"]),
            ("0.0.0.0:8080:80", &["8080/tcp 80/tcp"]),
            ("[::]:8080:80", &["8080/tcp 80/tcp"]),
            (":80", &["0/tcp 80/tcp"]),
            ("127.0.0.1::80", &["127.0.0.1:0/tcp 80/tcp"]),
            (
                "8000-8002:80",
                &["8000/tcp 80/tcp", "8001/tcp 81/tcp", "8002/tcp 82/tcp"],
            ),
            ("8000-8001:80-81", &["8000/tcp 80/tcp", "8001/tcp 81/tcp"]),
        ] {
            let all = resolved(&[numbered(text).unwrap()], &[]).unwrap();
            let expected: Vec<String> = expected
                .iter()
                .map(|port| format!("{port} option --publish"))
                .collect();
            assert_eq!(all, expected, "{text}");
        }
    }

    #[test]
    fn names_are_those_of_the_apps_ports() {
        let declared = [port("http", "tcp", 80, 1), port("dns", "udp", 53, 2)];
        for (text, expected) in [
            ("http:8080", &["8080/tcp 80/tcp"][..]),
            ("http:127.0.0.1:8080", &["127.0.0.1:8080/tcp 80/tcp"]),
            (
                "dns:[::1]:5353",
                &["[::1]:5353/udp 53/udp", "[::1]:5354/udp 54/udp"],
            ),
        ] {
            let all = resolved(&[named(text).unwrap()], &declared).unwrap();
            let expected: Vec<String> = expected
                .iter()
                .map(|port| format!("{port} option --port"))
                .collect();
            assert_eq!(all, expected, "{text}");
        }
        let all = resolved(&[PortRequest::All], &declared).unwrap();
        assert_eq!(
            all,
            ["0/tcp 80/tcp", "0/udp 53/udp", "0/udp 54/udp"]
                .map(|port| format!("{port} option --publish-all"))
        );
    }

    #[test]
    fn ports_that_cannot_be_had_together_or_at_all_are_refused() {
        let declared = [port("sip", "sctp", 80, 1), port("many", "tcp", 65_535, 2)];
        for requests in [
            &["8080:80", "8080:81"][..],
            &["8080:80", "127.0.0.1:8080:80"],
            &["1000-2000:1000"],
            &["65535-65535:80", "[::1]:65530-65535:80"],
        ] {
            let requests: Vec<_> = requests
                .iter()
                .map(|text| numbered(text).unwrap())
                .collect();
            assert!(resolved(&requests, &[]).is_err(), "{requests:?}");
            for network in [Network::None, Network::Host] {
                assert!(resolve(&requests, &[], &network, &[]).is_err());
            }
        }
        for text in ["http:80", "sip:80", "many:80"] {
            assert!(
                resolved(&[named(text).unwrap()], &declared).is_err(),
                "{text}"
            );
        }
    }
}
