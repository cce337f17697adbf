//! Fetches documents over HTTPS, completely or not at all.
//!
//! `Client` follows redirects by its own rules, retries, and returns a
//! `Download`, which reads like a file and resumes by itself if the
//! connection breaks. What the HTTP library does and does not do is described
//! in `wire.rs`.
//!
//! # Invariants
//!
//! 1. Credentials go only to the host that the operator has named, over HTTPS
//!    or within this machine, whatever a server answers.
//! 2. Memory is bounded: the header and the queue. Waiting is bounded, too, but
//!    a slow download may take any time.
//! 3. A body that ends before its announced length is an error.
//! 4. If certificates are not verified, no credentials are sent, because nobody
//!    knows who would get them. Plain HTTP within this machine is exempt.

mod client;
mod download;
mod environment;
pub mod fuzz;
mod headers;
mod http_error;
mod proxy;
mod transport;
mod unchecked;
mod url;
mod wire;

pub(crate) use crate::fetch::http::client::{Client, Conditions, Response};
pub(crate) use crate::fetch::http::download::{Download, Partial};
pub use crate::fetch::http::environment::{reexec_for_proxies, reexec_with_ca};
pub(crate) use crate::fetch::http::headers::{Freshness, Validators};
pub(crate) use crate::fetch::http::http_error::HttpError;
pub(crate) use crate::fetch::http::transport::Options;

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
