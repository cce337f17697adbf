//! Listening sockets that an app finds open when it starts (socket activation;
//! sd_listen_fds(3)).

use serde::{Deserialize, Serialize};

use crate::spec::ports::{Protocol, PublishedPort};

/// The first descriptor by which an app finds its sockets.
pub const FIRST: u32 = 3;

/// The most that can be passed to a pod: the descriptors below that at which
/// programs wait for their turn.
pub const MOST: usize = (stage1_init::GATE - FIRST) as usize;

/// A socket that an app finds, or expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListeningSocket {
    /// Its name.
    pub name: String,
    /// The port of the app, if it declares one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<(Protocol, u16)>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a socket comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Nowhere yet.
    Missing,
    /// From the caller, such as a service manager, by this descriptor.
    Caller(u32),
    /// From the launcher, which listens on this port of the host; the pod is
    /// started when somebody connects.
    Launcher(PublishedPort),
}

impl ListeningSocket {
    /// Returns whether there is one.
    pub fn is_there(&self) -> bool {
        self.origin != Origin::Missing
    }

    /// Returns whether the pod is started by it.
    pub fn is_awaited(&self) -> bool {
        matches!(self.origin, Origin::Launcher(_))
    }
}
