//! Fetches documents over HTTPS, so that what arrives is whole or an error.
//!
//! `Web` follows redirects by rules of its own, tries again where that may
//! help, and gives a [`Download`], which is read like a file and goes on by
//! itself where a connection broke. What the library below does not do, and
//! how it is held to do the rest, is in `wire.rs`.
//!
//! # Invariants
//!
//! 1. Credentials go to the host that the operator named for them, over HTTPS
//!    (or without, within this machine), and to no other, whatever a server
//!    answers.
//! 2. Memory is bounded: header, pieces in flight, and nothing else. Time is
//!    bounded where nothing comes; a slow line may take what it takes.
//! 3. A body that ends before its announced length is an error.
//! 4. Where certificates are not checked, nobody gets credentials, as nobody
//!    knows who that is. Plain HTTP within this machine is no such case.

mod client;
mod download;
mod environment;
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
