//! Which network a pod has.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::spec::connection::{self, Connection, Kind, NetworkName};
use crate::spec::pod::{Joined, Namespace, PodSpec};
use crate::spec::process::Sourced;
use appc::manifest::pod::ExposedPort;
use appc::types::Uuid;
use error::{Error, Result};

/// What can be asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// A network of its own, with a loopback interface only.
    #[default]
    None,
    /// A network of its own, connected in these ways.
    Connected(Vec<Connection>),
    /// The host's network.
    Host,
    /// A network that is there already.
    Joined(Joinable),
}

/// A network that can be joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joinable {
    /// `ns:PATH`: the namespace that a file stands for.
    File(PathBuf),
    /// `pod:ID`: that of a pod, by a prefix of its UUID or its name.
    Asked(String),
    /// The same, found.
    Pod(Uuid),
}

impl FromStr for Joinable {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some(("ns", path)) if Path::new(path).is_absolute() => Ok(Self::File(path.into())),
            Some(("pod", pod)) if !pod.is_empty() => Ok(Self::Asked(pod.to_owned())),
            Some(("pod", _)) | None if text.starts_with("pod") => Err(Error::usage(
                "`pod` needs the UUID or the name of a running pod",
            )
            .hint("`launcher list` lists all pods")),
            _ => Err(
                Error::usage("`ns` needs the absolute path of a network namespace")
                    .hint("`ip netns add NAME` makes `/run/netns/NAME`"),
            ),
        }
    }
}

/// As it can be parsed.
impl std::fmt::Display for Joinable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "ns:{}", path.display()),
            Self::Asked(pod) => write!(f, "pod:{pod}"),
            Self::Pod(uuid) => write!(f, "pod:{uuid}"),
        }
    }
}

/// Parses the values of `--net`: each a word, or connections separated by commas.
/// A comma before `KEY=` separates arguments of a connection.
///
/// # Errors
///
/// One is none of the words, has wrong arguments, or excludes another.
pub fn parse(values: &[impl AsRef<str>]) -> Result<Network> {
    let mut texts: Vec<String> = Vec::new();
    for value in values {
        for (at, part) in value.as_ref().split(',').enumerate() {
            match texts.last_mut() {
                Some(last) if at > 0 && connection::is_argument(part) => {
                    last.push(',');
                    last.push_str(part);
                }
                _ => texts.push(part.to_owned()),
            }
        }
    }
    match &texts.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["none"] => return Ok(Network::None),
        ["host"] => return Ok(Network::Host),
        [joined] if is_alone(joined) => return joined.parse().map(Network::Joined),
        _ => {}
    }
    if let Some(alone) = texts.iter().find(|text| is_alone(text)) {
        let what = format!("`{alone}` cannot be used with other networks");
        return Err(Error::usage(what));
    }
    let mut connections: Vec<Connection> = Vec::new();
    for text in &texts {
        let connection: Connection = text.parse()?;
        if connections
            .iter()
            .any(|other| other.kind == connection.kind)
        {
            let what = format!("network `{}` is given twice", connection.kind);
            return Err(Error::usage(what));
        }
        // Nobody could say which of two the packets are to take.
        if !connections.is_empty() && connection.arguments.gateway.is_some() {
            let what = format!(
                "argument `GATEWAY` of `{}`: only the first network has one",
                connection.kind
            );
            return Err(Error::usage(what));
        }
        connections.push(connection);
    }
    Ok(Network::Connected(connections))
}

/// Returns whether a word excludes others.
fn is_alone(text: &str) -> bool {
    let kind = text.split(':').next();
    ["none", "host"].contains(&text) || kind.is_some_and(|kind| ["ns", "pod"].contains(&kind))
}

/// Formats it as the command line calls it.
impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Host => f.write_str("host"),
            Self::Joined(joined) => joined.fmt(f),
            Self::Connected(all) => {
                for (at, connection) in all.iter().enumerate() {
                    write!(f, "{}{connection}", if at == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

impl Network {
    /// Returns that of a pod if nobody says otherwise.
    pub fn usual() -> Self {
        Self::Connected(vec![Connection::plain(Kind::Nat)])
    }

    /// Returns whether the pod has a network of its own, which has a metadata
    /// service and parameters.
    pub fn is_own(&self) -> bool {
        !matches!(self, Self::Host | Self::Joined(_))
    }

    /// Returns the networks that plugins make.
    pub fn plugged(&self) -> impl Iterator<Item = &NetworkName> {
        let all = match self {
            Self::Connected(all) => &all[..],
            Self::None | Self::Host | Self::Joined(_) => &[],
        };
        all.iter().filter_map(|connection| match &connection.kind {
            Kind::Plugins(name) => Some(name),
            _ => None,
        })
    }

    /// Returns why what the pod's interfaces carry cannot be limited, if it cannot.
    pub(crate) fn why_unlimited(&self) -> Option<&'static str> {
        match self {
            Self::None => Some("the pod has a loopback interface only"),
            Self::Host => Some("the pod has the host's network"),
            Self::Joined(_) => Some("the pod joins a network that others have made"),
            Self::Connected(_) => None,
        }
    }

    /// Returns whether ports of the host can lead to the pod.
    pub(crate) fn has_ports(&self) -> bool {
        matches!(self, Self::Connected(all) if all.iter().any(Connection::has_ports))
    }

    /// Returns whether plugins make a network of it.
    pub fn has_plugins(&self) -> bool {
        self.plugged().next().is_some()
    }

    /// Returns whether a network may name servers for names when the pod starts.
    pub(crate) fn names_servers(&self) -> bool {
        matches!(self, Self::Connected(all) if all.iter().any(Connection::names_servers))
    }

    /// Returns notes about ports that the pod is to be reached at from outside.
    pub(crate) fn notes(&self, ports: &[ExposedPort]) -> impl Iterator<Item = String> {
        let reached = *self != Self::None;
        ports.iter().filter(move |_| !reached).map(|port| {
            let name = &port.name;
            format!("port `{name}` cannot be reached from the host: the pod has a private network")
        })
    }

    /// Gives a pod this network.
    pub(crate) fn give(&self, pod: &mut PodSpec, reason: &str) {
        match self {
            Self::None => {}
            Self::Host => pod.network = Namespace::Host,
            Self::Joined(joinable) => {
                let joined = match joinable {
                    Joinable::File(path) => Joined::File(path.clone().into()),
                    Joinable::Pod(uuid) => Joined::Pod(*uuid),
                    Joinable::Asked(_) => return,
                };
                pod.network = Namespace::Joined(Sourced::new(joined, reason));
            }
            Self::Connected(all) => {
                let all = all.iter().cloned();
                let all = all.map(|connection| Sourced::new(connection, reason));
                pod.connections.extend(all);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_excludes_another_network_is_refused() {
        for (values, expected) in [
            (&["nat,host"][..], "`host` cannot be used with other"),
            (&["none", "nat"], "`none` cannot be used with other"),
            (&["host", "host"], "`host` cannot be used with other"),
            (&["nat", "nat:MTU=1400"], "network `nat` is given twice"),
            (&["bridge:a,bridge:a"], "network `bridge:a` is given twice"),
            (
                &["nat,macvlan:a:IP=192.0.2.9/24,GATEWAY=192.0.2.1"],
                "`GATEWAY` of `macvlan:a`: only the first network",
            ),
            (&["nat,"], "`` is not a network"),
            (&["ns"], "`ns` needs the absolute path"),
            (&["ns:"], "`ns` needs the absolute path"),
            (&["ns:run/netns/a"], "`ns` needs the absolute path"),
            (&["pod"], "`pod` needs the UUID or the name"),
            (&["pod:"], "`pod` needs the UUID or the name"),
            (&["pod:a,nat"], "`pod:a` cannot be used with other"),
            (&["nat", "ns:/a"], "`ns:/a` cannot be used with other"),
            (&["IP=10.0.0.1"], "`IP=10.0.0.1` is not a network"),
            (&["nat", "MTU=1400"], "`MTU=1400` is not a network"),
        ] {
            let error = parse(values).unwrap_err().to_string();
            assert!(error.contains(expected), "{values:?}: {error}");
        }
    }

    #[test]
    fn a_comma_separates_networks_and_their_arguments() {
        for (values, expected) in [
            (&["none"][..], "none"),
            (&["host"], "host"),
            (&["nat"], "nat"),
            (&["ns:/run/netns/a"], "ns:/run/netns/a"),
            (&["pod:web"], "pod:web"),
            (
                &["nat:IP=10.0.0.1,MTU=1400,bridge:a"],
                "nat:IP=10.0.0.1,MTU=1400,bridge:a",
            ),
            (&["bridge", "nat", "bridge:b"], "bridge,nat,bridge:b"),
        ] {
            assert_eq!(parse(values).unwrap().to_string(), expected, "{values:?}");
        }
    }
}
