//! Fetches documents over HTTPS, completely or not at all.
//!
//! `Client` follows redirects by its own rules, retries, and returns a
//! `Download`, which reads like a file and resumes by itself if the
//! connection breaks. A request goes one way: `client`, `transport`, `wire`,
//! `connect` (after `resolve`) and `message`, or, within this machine, `plain`.
//!
//! # Invariants
//!
//! 1. Credentials go only to the host that the operator has named, over HTTPS
//!    or within this machine, whatever a server answers.
//! 2. Memory is bounded: the header and the queue. Waiting is bounded, too, but
//!    a slow download may take any time.
//! 3. A body that was cut is an error, wherever HTTP or TLS can tell.
//! 4. If certificates are not verified, no credentials are sent, because nobody
//!    knows who would get them. Plain HTTP within this machine is exempt.

mod certificates;
mod client;
mod connect;
mod download;
mod fault;
pub mod fuzz;
mod headers;
mod http_error;
mod message;
mod plain;
mod proxy;
pub mod rate;
mod resolve;
mod stop;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "http/without_tls.rs"]
mod tls;
mod transport;
mod url;
mod wire;

pub(crate) use crate::fetch::http::certificates::Certificates;
pub(crate) use crate::fetch::http::client::{Client, Conditions, Response};
pub(crate) use crate::fetch::http::download::{Download, Partial};
pub(crate) use crate::fetch::http::headers::{Freshness, Headers, Validators};
pub(crate) use crate::fetch::http::http_error::HttpError;
pub(crate) use crate::fetch::http::tls::check_authorities;
pub(crate) use crate::fetch::http::transport::{Options, Plain, Session};
pub(crate) use crate::fetch::http::url::Url;
pub(crate) use crate::fetch::http::wire::{Form, Upload};

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
