//! From images, manifests and options to a spec.
//!
//! [`from_oci_image`] puts what an OCI image says into the terms of App Container.
//! [`from_appc`] makes a [`PodSpec`](crate::spec::pod::PodSpec) from App
//! Container images, a pod manifest and options.

pub mod capabilities;
pub mod conventions;
pub mod dependencies;
pub mod devices;
pub mod dry_run;
pub mod from_appc;
pub mod from_oci_image;
pub mod grant;
pub mod health;
pub mod identity;
pub mod isolators;
pub mod lookup;
mod merge;
pub mod network;
pub mod notify;
pub mod parameters;
pub mod ports;
pub mod report;
pub mod request;
pub mod restart;
pub mod settings;
pub mod sockets;
pub mod tmpfs;
pub mod to_oci_image;
mod unsupported;
pub mod users;
pub mod volumes;

/// The reason of what comes from a pod manifest.
pub(crate) const BY_MANIFEST: &str = "pod manifest";
