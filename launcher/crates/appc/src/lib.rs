//! The types of the App Container specification: names, versions, digests,
//! manifests, references. Pure: no I/O.

pub mod address;
pub mod digest;
pub mod json;
pub mod manifest;
pub mod reference;
pub mod types;
