//! Fuzz targets: the parsers of foreign data, with random input.
//!
//! A target takes any bytes and panics if a parser does, or breaks what it
//! promises of what it has read. `cargo xtask fuzz` runs the targets in
//! libFuzzer, which learns from the branches that an input takes; the test below
//! tries a sample of changed seeds, always the same, and needs no libFuzzer.
//!
//! `corpus/TARGET` has the seeds of a target. An input that once failed is added
//! to them.

mod archive;
mod http;
mod manifest;
mod oci;
mod openpgp;
mod plan;

pub use crate::archive::archive;
pub use crate::http::http;
pub use crate::manifest::manifest;
pub use crate::oci::oci;
pub use crate::openpgp::openpgp;
pub use crate::plan::plan;

#[cfg(test)]
mod sample;
