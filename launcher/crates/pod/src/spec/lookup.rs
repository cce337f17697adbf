//! The files by which apps find others by name.

use serde::{Deserialize, Serialize};

/// A file in `/etc` of every app of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameFile {
    /// Its content.
    pub content: String,
    /// Why it is there.
    pub reason: String,
    /// Whether it replaces the one of the image.
    pub replaces: bool,
    /// Whether the pod's network may say something else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_network: bool,
}
