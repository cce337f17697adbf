//! From images, manifests and options to what runs.
//!
//! [`from_appc`] makes a [`PodSpec`](crate::spec::pod::PodSpec) of App Container
//! images, a pod manifest and options.

pub mod dependencies;
pub mod devices;
pub mod dry_run;
pub mod from_appc;
pub mod grant;
pub mod isolators;
mod merge;
pub mod report;
pub mod request;
pub mod settings;
pub mod tmpfs;
pub mod users;
pub mod volumes;

/// Where something comes from that a pod manifest says.
pub(crate) const BY_MANIFEST: &str = "pod manifest";
