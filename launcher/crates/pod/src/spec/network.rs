//! How a pod is connected to others, if its network is its own.

use serde::{Deserialize, Serialize};

/// A connection to others, beside the loopback interface that every pod has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// A link of the pod's own, to whatever the host reaches, by the host's
    /// address.
    Nat,
}
