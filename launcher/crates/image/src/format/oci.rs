//! OCI images, and docker's: a configuration, whose digest is the ID, and layers,
//! each of which changes the files of those below.
//!
//! Source: the OCI image specification.

mod apply;
pub mod archive;
mod below;
pub mod blobs;
mod directory;
pub(crate) mod docker_archive;
pub(crate) mod files;
pub mod import;
pub mod layout;
pub mod outgoing;
mod side_by_side;
pub mod stored;
mod unpacked;
pub mod verify;

/// The name of this format in the store.
pub const FORMAT: &str = "oci";
