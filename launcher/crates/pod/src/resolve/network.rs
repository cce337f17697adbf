//! Which network a pod has.

use crate::spec::network::Connection;
use crate::spec::pod::{Namespace, PodSpec};
use crate::spec::process::Sourced;
use appc::manifest::pod::ExposedPort;
use error::quote::quoted;
use error::{Error, Result};

/// What can be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// A network of its own, with a loopback interface only.
    #[default]
    None,
    /// A network of its own, connected through the host.
    Nat,
    /// The host's network.
    Host,
}

/// Parses the value of `--net`.
///
/// # Errors
///
/// It is none of the words.
pub fn parse(text: &str) -> Result<Network> {
    match text {
        "none" => Ok(Network::None),
        "nat" => Ok(Network::Nat),
        "host" => Ok(Network::Host),
        other => Err(Error::usage(format!(
            "{} is not a network: use `nat`, `host` or `none`",
            quoted(other)
        ))),
    }
}

/// Formats it as the command line calls it.
impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Nat => "nat",
            Self::Host => "host",
        })
    }
}

impl Network {
    /// Returns whether the pod has a network of its own.
    pub(crate) fn is_own(self) -> bool {
        self != Self::Host
    }

    /// Returns notes about ports that the pod is to be reached at from outside.
    pub(crate) fn notes(self, ports: &[ExposedPort]) -> impl Iterator<Item = String> {
        ports
            .iter()
            .filter(move |_| self == Self::None)
            .map(|port| {
                let name = &port.name;
                format!(
                    "port `{name}` cannot be reached from the host: the pod has a private network"
                )
            })
    }

    /// Gives a pod this network.
    pub(crate) fn give(self, pod: &mut PodSpec, reason: &str) {
        match self {
            Self::None => {}
            Self::Host => pod.network = Namespace::Host,
            Self::Nat => pod.connections.push(Sourced::new(Connection::Nat, reason)),
        }
    }
}
