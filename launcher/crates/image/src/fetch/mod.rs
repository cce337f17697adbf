//! Fetches images: HTTP, discovery, credentials, resumed downloads.

pub(crate) mod credentials;
pub(crate) mod discovery;
pub mod fetcher;
pub mod http;
pub(crate) mod http_cache;
pub mod insecure;
pub mod keys;
pub mod local;
pub mod logins;
pub(crate) mod lookaside;
pub(crate) mod meta_tags;
pub mod oci;
pub mod options;
pub mod registries;
pub mod registry;
pub(crate) mod resume;
pub(crate) mod shown;
pub(crate) mod signed;
pub(crate) mod sources;
pub(crate) mod web;
