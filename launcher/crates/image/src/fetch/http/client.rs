//! The HTTP client: fetches whole documents, the rest of one, or nothing if it
//! has not changed.

use std::sync::Arc;
use std::time::Duration;

use crate::fetch::credentials::Header;
use crate::fetch::http::download::{self, Download, Partial};
use crate::fetch::http::headers::{Freshness, Validators};
use crate::fetch::http::http_error::HttpError;
use crate::fetch::http::proxy::Proxies;
use crate::fetch::http::stop::Stop;
use crate::fetch::http::tls::Tls;
use crate::fetch::http::transport::{ACCEPT, Options, Reply, Transport, redirected};
use crate::fetch::http::url::Url;
use crate::fetch::http::wire::{Form, Sent, Timeouts, Upload};
use error::Result;

/// An HTTP client.
#[derive(Clone, Debug)]
pub(crate) struct Client(Arc<Transport>);

/// The answer to a conditional request.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one at a time, and the large one is the common one"
)]
pub(crate) enum Response {
    /// The cached copy is still current.
    NotModified(Freshness),
    /// The document, or the rest of it.
    Download(Download),
}

/// What we have of a document already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Conditions<'a> {
    /// The version of a complete copy.
    pub cached: Option<&'a Validators>,
    /// The first part of a version, perhaps not the current one.
    pub partial: Option<&'a Partial>,
    /// The media types that are wanted; any if absent.
    pub accept: Option<&'static str>,
    /// Whether the URL names these bytes and no others, by their digest, so that parts
    /// fit together whoever sends them.
    pub pinned: bool,
    /// How many attempts are made to get an answer; as many as usual if absent.
    pub attempts: Option<u32>,
}

impl Client {
    /// Makes a client.
    ///
    /// # Errors
    ///
    /// The file of authorities cannot be used.
    pub(crate) fn new(options: Options) -> Result<Self> {
        let timeouts = Timeouts {
            head: Duration::from_secs(20 + 30),
            idle: Duration::from_secs(30),
        };
        let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
        let proxies = Proxies::read(|name| std::env::var_os(name).map(text));
        let pause = Duration::from_millis(500);
        Self::with(options, proxies, timeouts, pause)
    }

    /// Makes a client with these timeouts and this first pause.
    ///
    /// # Errors
    ///
    /// See [`Self::new`].
    pub(crate) fn with(
        options: Options,
        proxies: Proxies,
        timeouts: Timeouts,
        pause: Duration,
    ) -> Result<Self> {
        let checked = Tls::checking(options.ca_file.as_deref(), options.certificates.as_ref())?;
        let tls = match options.insecure_tls {
            true => Tls::unchecked(),
            false => checked,
        };
        Ok(Self(Arc::new(Transport {
            options,
            tls: Arc::new(tls),
            proxies,
            timeouts,
            first_pause: pause,
            stop: Stop::default(),
        })))
    }

    /// Ends what other threads wait for: pauses, answers, and what arrives.
    pub(crate) fn stop(&self) {
        self.0.stop.stop();
    }

    /// Fetches a small document of at most `limit` bytes.
    pub(crate) fn document(
        &self,
        url: &str,
        limit: u64,
    ) -> std::result::Result<Vec<u8>, HttpError> {
        match self.open(url, Some(limit), Conditions::default())? {
            Response::Download(download) => download.whole(),
            Response::NotModified(_) => Err(HttpError::new(url, "the server sent no document")),
        }
    }

    /// Sends a form to a server, or asks it for a small document, saying who we
    /// are. Redirects are not followed.
    pub(crate) fn exchange(
        &self,
        url: &Url,
        credentials: Option<Header>,
        form: Option<Form>,
        limit: u64,
    ) -> std::result::Result<Vec<u8>, HttpError> {
        let sent = form.map_or(Sent::Nothing, Sent::Form);
        let (reply, _) = self.0.ask(url.clone(), &[], credentials, sent)?;
        match reply.head.status {
            200 => {
                Download::new(Arc::clone(&self.0), url.clone(), reply, Some(limit), false)?.whole()
            }
            _ => Err(reply.unexpected()),
        }
    }

    /// Does something else than to get a document, once. Returns the status and where
    /// the answer leads to; redirects are not followed.
    pub(crate) fn upload(
        &self,
        url: &Url,
        upload: &Upload,
    ) -> std::result::Result<(Reply, Option<Url>), HttpError> {
        let sent = Sent::Upload(upload.clone());
        let (reply, location) = self.0.ask_as_wanted(url.clone(), &[], &sent)?;
        let next = location.map(|location| {
            let allowed = self.0.options.allow_http;
            redirected(&reply.url, Some(&location), allowed, true)
        });
        let next = next.transpose()?;
        Ok((reply, next))
    }

    /// Tries something until it does not fail for a while only; at most so often, or
    /// as often as usual.
    pub(crate) fn retry<T>(
        &self,
        attempts: Option<u32>,
        act: impl Fn() -> std::result::Result<T, HttpError>,
    ) -> std::result::Result<T, HttpError> {
        let attempts = attempts.unwrap_or(self.0.options.attempts);
        let mut failures = 0;
        loop {
            match act() {
                Err(error) if error.transient && failures + 1 < attempts => {
                    failures += 1;
                    self.0.pause(failures, &error);
                }
                done => return done,
            }
        }
    }

    /// Opens a download of at most `limit` bytes: the whole document, or
    /// the rest if the server still has the version of the partial one.
    pub(crate) fn open(
        &self,
        url: &str,
        limit: Option<u64>,
        conditions: Conditions<'_>,
    ) -> std::result::Result<Response, HttpError> {
        let start = Url::parse(url).map_err(|why| HttpError::plain(&why))?;
        let mut headers = Vec::new();
        headers.extend(conditions.accept.map(|wanted| (ACCEPT, wanted.to_owned())));
        if let Some(known) = conditions.cached {
            let tag = known.etag.clone().map(|tag| ("If-None-Match", tag));
            let date = known.last_modified.clone();
            headers.extend(tag);
            headers.extend(date.map(|date| ("If-Modified-Since", date)));
        }
        if let Some(part) = conditions.partial {
            let rest = download::rest(part.at, &part.validators, conditions.pinned);
            headers.extend(rest.into_iter().flatten());
        }
        let attempts = conditions.attempts.unwrap_or(self.0.options.attempts);
        let reply = self.0.get_with_retries(&start, &headers, attempts)?;
        let pinned = conditions.pinned;
        let transport = Arc::clone(&self.0);
        match (reply.head.status, conditions.partial) {
            (200, _) => {
                let download = Download::new(transport, start, reply, limit, pinned)?;
                Ok(Response::Download(download))
            }
            (206 | 412 | 416, Some(part)) => {
                match Download::rest(transport, start, part, reply, limit, pinned) {
                    Ok(rest) => Ok(Response::Download(rest)),
                    // The server has another version; start from
                    // the beginning.
                    Err(_) => self.open(
                        url,
                        limit,
                        Conditions {
                            partial: None,
                            ..conditions
                        },
                    ),
                }
            }
            (304, _) if conditions.cached.is_some() => {
                Ok(Response::NotModified(reply.head.headers.freshness()))
            }
            _ => Err(reply.unexpected()),
        }
    }
}
