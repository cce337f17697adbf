//! The web, as the operator wants it to be used: what fetching images and keys
//! have in common.

use std::sync::Arc;

use crate::fetch::credentials::{self, Credentials};
use crate::fetch::discovery::{Attempts, Why};
use crate::fetch::http::{Certificates, Client, HttpError, Options as HttpOptions, Plain, Session};
use crate::fetch::options::Options;
use error::{Error, Kind, Result};
use sys::progress::Progress;

/// The largest web page, key or signature, in bytes.
pub(crate) const DOCUMENT: u64 = 1 << 20;

/// How often to ask a server that fails.
const ATTEMPTS: u32 = 5;

/// Returns the schemes to ask with, in order.
pub(crate) fn schemes(http: bool) -> &'static [&'static str] {
    match http {
        true => &["https", "http"],
        false => &["https"],
    }
}

/// Creates an HTTP client; if `waived`, one that does not check certificates.
pub(crate) fn web(options: &Options, waived: bool) -> Result<Client> {
    let plain = Plain::if_allowed(waived || options.insecure.http);
    client(options, waived, plain, None, None)
}

/// Creates an HTTP client that may ask these servers by plain HTTP, and leaves it to
/// `session` to say who we are.
pub(crate) fn client(
    options: &Options,
    waived: bool,
    plain: Plain,
    session: Option<Arc<dyn Session>>,
    certificates: Option<Certificates>,
) -> Result<Client> {
    let talk = Progress::new(options.quiet);
    let credentials = Credentials::load(&credentials::directories())?;
    credentials
        .unclear()
        .iter()
        .for_each(|fault| talk.warn(fault));
    credentials
        .skipped()
        .iter()
        .for_each(|line| talk.tell(line));
    Client::new(HttpOptions {
        ca_file: options.ca_file.clone(),
        certificates,
        insecure_tls: waived || options.insecure.tls,
        allow_http: plain,
        credentials,
        attempts: ATTEMPTS,
        rate: options.rate.clone(),
        talk,
        session,
    })
}

/// Creates an HTTP client for servers that only an image names: it is nobody to them, and
/// speaks HTTPS.
pub(crate) fn stranger(options: &Options) -> Result<Client> {
    Client::new(HttpOptions {
        ca_file: options.ca_file.clone(),
        certificates: None,
        insecure_tls: options.insecure.tls,
        allow_http: Plain::Nobody,
        credentials: Credentials::default(),
        attempts: ATTEMPTS,
        rate: options.rate.clone(),
        talk: Progress::new(options.quiet),
        session: None,
    })
}

/// The error for what was not found, with everything that was tried.
pub(crate) fn in_vain(what: String, attempts: &Attempts) -> Error {
    let error = Error::new(Kind::NotFound, what).tried(attempts.lines());
    match attempts.hint() {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Downloads a page, for discovery.
pub(crate) fn page(web: &Client, address: &str) -> std::result::Result<Vec<u8>, Why> {
    web.document(address, DOCUMENT)
        .map_err(|refusal| Why::from(&refusal))
}

impl From<&HttpError> for Why {
    fn from(refusal: &HttpError) -> Self {
        let (text, hint) = refusal.reason();
        Self {
            text: text.to_owned(),
            hint: hint.map(str::to_owned),
        }
    }
}
