//! The formats of images; each becomes what the store keeps.

pub mod aci;
pub mod import;
pub mod inspect;
pub mod pack;
