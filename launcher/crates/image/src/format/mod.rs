//! The formats of images.

pub mod aci;
pub mod differences;
pub mod import;
pub mod inspect;
pub mod lookup;
pub mod oci;
pub mod pack;
pub mod repack;
pub mod verify;
