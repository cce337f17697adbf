//! What OCI and docker images say about themselves: references, digests,
//! manifests, configurations, layouts; what registries say about logging in, what
//! operators say about registries, policies, and what signatures say. Pure: no I/O, and
//! nothing is hashed.

#![forbid(unsafe_code)]

pub mod auth;
mod base64;
pub mod challenge;
pub mod choose;
pub mod config;
pub mod digest;
pub mod docker_archive;
mod document;
mod exact;
pub mod layout;
mod list;
pub mod lookaside;
pub mod manifest;
pub mod media_type;
pub mod platform;
pub mod policy;
pub mod port;
pub mod reference;
pub mod registries;
pub mod secret;
pub mod signature;
pub mod token;
mod toml;
pub mod user;
pub mod whiteout;
mod written;
