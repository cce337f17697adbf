//! Sends requests until there is an answer: redirects, credentials, proxies,
//! and pauses between attempts.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fetch::credentials::{Credentials, Header};
use crate::fetch::http::certificates::Certificates;
use crate::fetch::http::headers::Headers;
use crate::fetch::http::http_error::HttpError;
use crate::fetch::http::message::Head;
use crate::fetch::http::proxy::Proxies;
use crate::fetch::http::rate::Rate;
use crate::fetch::http::stop::Stop;
use crate::fetch::http::tls::Tls;
use crate::fetch::http::url::Url;
use crate::fetch::http::wire::{self, Body, Request, Sent, Timeouts};
use error::quote::quoted;
use sys::clock;
use sys::progress::Progress;

/// How documents are fetched.
#[derive(Debug)]
pub(crate) struct Options {
    /// A file of additional authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// What counts for one server besides.
    pub certificates: Option<Certificates>,
    /// Whether any certificate is accepted. Such servers get no
    /// credentials.
    pub insecure_tls: bool,
    /// Whether plain HTTP is allowed.
    pub allow_http: Plain,
    /// Credentials by host.
    pub credentials: Credentials,
    /// Number of attempts in a row without progress.
    pub attempts: u32,
    /// How fast documents may arrive.
    pub rate: Option<Rate>,
    /// Where it is told what is waited for.
    pub talk: Progress,
    /// Who says who we are to one server, in place of `credentials`.
    pub session: Option<Arc<dyn Session>>,
}

/// What one server is told about us, which it asks for in its answers. It is
/// told to no other server.
pub(crate) trait Session: fmt::Debug + Send + Sync {
    /// Returns the field for a request to this URL; `None` if it is not for us to
    /// say, or there is nothing to say yet.
    fn field(&self, url: &Url) -> Option<Header>;

    /// Learns from a refusal what the server wants; `told` is what it was told. Returns
    /// whether it is worth asking again.
    ///
    /// # Errors
    ///
    /// What the server wants cannot be had.
    fn refused(
        &self,
        url: &Url,
        told: Option<&Header>,
        headers: &Headers,
    ) -> std::result::Result<bool, HttpError>;

    /// Learns from any other answer.
    fn answered(&self, headers: &Headers);
}

/// Which servers may be asked by plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    /// None.
    Nobody,
    /// Those on this machine.
    Loopback,
    /// All.
    Everybody,
}

impl Plain {
    /// Returns the scope for an option that allows all or none.
    pub(crate) const fn if_allowed(allowed: bool) -> Self {
        match allowed {
            true => Self::Everybody,
            false => Self::Nobody,
        }
    }

    /// Tells whether the server of a URL may be asked in this way.
    fn includes(self, url: &Url) -> bool {
        match self {
            Self::Nobody => false,
            Self::Loopback => url.is_loopback(),
            Self::Everybody => true,
        }
    }
}

/// Longest pause that a server can ask for. If it asks for more, there is no
/// other attempt: to come earlier would be in vain.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Shortest pause of which it is told.
const NOTICED: Duration = Duration::from_secs(1);

/// Longest pause otherwise.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// Most redirects in a row.
const REDIRECTS: usize = 10;

/// The field with the media types that are wanted; all if it is not given.
pub(crate) const ACCEPT: &str = "Accept";

/// Statuses of temporary failures.
const TRANSIENT: [u16; 7] = [408, 425, 429, 500, 502, 503, 504];

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) options: Options,
    pub(crate) tls: Arc<Tls>,
    pub(crate) proxies: Proxies,
    pub(crate) timeouts: Timeouts,
    /// The pause after the first failure. It doubles with each further one.
    pub(crate) first_pause: Duration,
    /// Ends what waits.
    pub(crate) stop: Stop,
}

/// An answer, after redirects.
pub(crate) struct Reply {
    pub(crate) url: Url,
    pub(crate) head: Head,
    pub(crate) body: Body,
    /// Whether credentials were sent with the request.
    authenticated: bool,
    /// Whether there are credentials that were not sent, because the server
    /// is not verified.
    credentials_withheld: bool,
}

impl Reply {
    /// Returns the error for an answer without the document.
    pub(crate) fn unexpected(&self) -> HttpError {
        let Self { url, head, .. } = self;
        let answer = quoted(format!("{} {}", head.status, head.reason).trim());
        let hint = match (head.status, self.authenticated) {
            (401 | 403, true) => Some(format!(
                "the credentials in `auth.d` were sent to `{}`",
                url.host
            )),
            (401 | 403, false) if self.credentials_withheld => Some(format!(
                "`auth.d` has credentials for `{}`; `--insecure-options=tls` withholds them",
                url.host
            )),
            (401, false) => Some(
                "credentials for a host are read from `/etc/nosecone/auth.d/*.json`, \
                 and sent over HTTPS"
                    .to_owned(),
            ),
            _ => None,
        };
        HttpError::status_is(
            url,
            head.status,
            format!("the server responded with {answer}"),
            hint,
        )
    }
}

impl Transport {
    /// Retries temporary failures, up to so many attempts.
    pub(crate) fn get_with_retries(
        &self,
        start: &Url,
        headers: &[(&'static str, String)],
        attempts: u32,
    ) -> std::result::Result<Reply, HttpError> {
        let mut failures = 0;
        loop {
            match self.get(start, headers) {
                Err(error) if error.transient && failures + 1 < attempts => {
                    failures += 1;
                    self.pause(failures, &error);
                }
                other => return other,
            }
        }
    }

    /// Sends one request and follows redirects. A status of a temporary
    /// failure is returned as an error, any other as an answer.
    pub(crate) fn get(
        &self,
        start: &Url,
        conditions: &[(&'static str, String)],
    ) -> std::result::Result<Reply, HttpError> {
        let mut url = start.clone();
        let mut carried = false;
        for _ in 0..=REDIRECTS {
            let (reply, location) = self.ask_as_wanted(url, conditions, &Sent::Nothing)?;
            carried |= reply.authenticated;
            match (reply.head.status, location) {
                (301 | 302 | 303 | 307 | 308, location) => {
                    let location = location.as_deref();
                    url = redirected(&reply.url, location, self.options.allow_http, carried)?;
                }
                _ => return Ok(reply),
            }
        }
        Err(HttpError::new(
            start,
            format!("the server redirects more than {REDIRECTS} times"),
        ))
    }

    /// Sends a request, and another if the server refuses it and says what it
    /// wants.
    pub(crate) fn ask_as_wanted(
        &self,
        url: Url,
        conditions: &[(&'static str, String)],
        sent: &Sent,
    ) -> std::result::Result<(Reply, Option<String>), HttpError> {
        let Some(session) = &self.options.session else {
            return self.ask(url, conditions, None, sent.clone());
        };
        let told = session.field(&url);
        let (reply, location) = self.ask(url, conditions, told.clone(), sent.clone())?;
        let (from, headers) = (&reply.url, &reply.head.headers);
        match reply.head.status {
            401 if session.refused(from, told.as_ref(), headers)? => {
                let told = session.field(from);
                self.ask(reply.url, conditions, told, sent.clone())
            }
            401 => Ok((reply, location)),
            _ => {
                session.answered(&reply.head.headers);
                Ok((reply, location))
            }
        }
    }

    /// Sends one request to one server. `told` says who we are, in place of the
    /// credentials that there are for the server.
    pub(crate) fn ask(
        &self,
        url: Url,
        conditions: &[(&'static str, String)],
        told: Option<Header>,
        sent: Sent,
    ) -> std::result::Result<(Reply, Option<String>), HttpError> {
        if !url.secure && !self.options.allow_http.includes(&url) {
            return Err(
                HttpError::new(&url, "the connection would not be encrypted (plain HTTP)")
                    .hint("`--insecure-options=http` allows that"),
            );
        }
        let accept = conditions.iter().find(|(name, _)| *name == ACCEPT);
        let accept = accept.map(|(_, wanted)| wanted.clone());
        let mut fields = vec![
            (
                "User-Agent",
                format!("nosecone/{}", env!("CARGO_PKG_VERSION")),
            ),
            (ACCEPT, accept.unwrap_or_else(|| "*/*".to_owned())),
            // Without this field, any compression would be allowed.
            ("Accept-Encoding", "identity".to_owned()),
            // There is no second request, and closing marks the end of some
            // bodies.
            ("Connection", "close".to_owned()),
        ];
        let sound = |(name, value): &&(&str, String)| {
            *name != ACCEPT && !value.chars().any(char::is_control)
        };
        fields.extend(conditions.iter().filter(sound).cloned());
        let proxy = self.proxies.choose(&url);
        let proxy = proxy.map_err(|why| HttpError::new(&url, why))?;
        let unchecked = url.secure && self.options.insecure_tls;
        // For a proxy, the loopback address is another machine.
        let private = url.secure || (url.is_loopback() && proxy.is_none());
        let credentials = match private {
            true => self
                .options
                .credentials
                .for_host(&url.bracketed(), url.port),
            false => Ok(None),
        };
        let credentials = credentials.map_err(|fault| {
            let error = HttpError::new(&url, &*fault.what);
            match &fault.hint {
                Some(hint) => error.hint(hint),
                None => error,
            }
        })?;
        let credentials_withheld = unchecked && credentials.is_some();
        let credentials = credentials.filter(|_| !unchecked).cloned();
        let is_form = matches!(sent, Sent::Form(_));
        if !url.secure && url.is_loopback() && proxy.is_some() && (told.is_some() || is_form) {
            let why = "a proxy would be told who we are, without encryption";
            return Err(HttpError::new(&url, why).hint("name this host in `no_proxy`"));
        }
        let credentials = told.or(credentials);
        let authenticated = credentials.is_some();
        let request = Request {
            url: url.clone(),
            fields,
            credentials,
            sent,
            proxy,
            tls: Arc::clone(&self.tls),
        };
        let sent = wire::send(request, self.timeouts, &self.stop);
        let (head, body) = sent.map_err(|fault| HttpError::broken(&url, fault))?;
        let location = head.headers.get("location").map(str::to_owned);
        let reply = Reply {
            url,
            head,
            body,
            authenticated,
            credentials_withheld,
        };
        if TRANSIENT.contains(&reply.head.status) {
            let mut error = reply.unexpected();
            error.retry_after = reply.head.headers.retry_after(clock::seconds());
            error.transient = error.retry_after.is_none_or(|asked| asked <= LONGEST_PAUSE);
            return Err(match error.retry_after {
                Some(asked) if !error.transient => {
                    let asked = wire::spelled(asked);
                    error.hint(&format!("the server asks to be left alone for {asked}"))
                }
                _ => error,
            });
        }
        Ok((reply, location))
    }

    /// Waits until what has arrived was due.
    pub(crate) fn slow_down(&self, bytes: usize) {
        if let Some(rate) = &self.options.rate {
            self.stop.pause(rate.count(bytes, Instant::now()));
        }
    }

    /// Waits before the next attempt, and tells so: as long as the server asks,
    /// or longer after each failure and with some randomness, so that clients
    /// do not retry in step.
    pub(crate) fn pause(&self, failures: u32, error: &HttpError) {
        let time = pause(self.first_pause, failures, error.retry_after, chance());
        if time >= NOTICED {
            let whole = wire::spelled(Duration::from_secs(time.as_secs()));
            let line = format!("Waiting: {error}; next attempt in {whole}");
            self.options.talk.say(&line);
        }
        self.stop.pause(time);
    }
}

/// Returns how long to wait; `chance` is a random number.
pub(crate) fn pause(
    first: Duration,
    failures: u32,
    asked: Option<Duration>,
    chance: u8,
) -> Duration {
    if let Some(asked) = asked {
        return asked.min(LONGEST_PAUSE);
    }
    let doubled = 1_u32 << failures.saturating_sub(1).min(16);
    let longest = first.saturating_mul(doubled).min(LONGEST_BACKOFF);
    longest / 2 + longest * u32::from(chance) / 512
}

/// Returns a random number; a weak one if the kernel has none ready.
fn chance() -> u8 {
    let mut byte = [0];
    match rustix::rand::getrandom(&mut byte, rustix::rand::GetRandomFlags::NONBLOCK) {
        Ok(_) => byte[0],
        Err(_) => std::process::id().to_le_bytes()[0],
    }
}

/// Returns the target of a redirect, if it may be followed. `carried` tells
/// whether credentials were sent so far.
pub(crate) fn redirected(
    from: &Url,
    location: Option<&str>,
    allow_http: Plain,
    carried: bool,
) -> std::result::Result<Url, HttpError> {
    let refused = |why: String| HttpError::new(from, why);
    let location =
        location.ok_or_else(|| refused("the server redirects without a location".to_owned()))?;
    let to = from.join(location).map_err(|why| {
        refused(format!(
            "the server redirects to an invalid location: {why}"
        ))
    })?;
    let shown = quoted(&to.to_string());
    match (from.secure, to.secure) {
        (true, false) if carried => Err(refused(format!(
            "the server redirects to {shown}, which is not encrypted, although credentials were sent"
        ))),
        (_, false) if !allow_http.includes(&to) => Err(refused(format!(
            "the server redirects to {shown}, which is not encrypted"
        ))
        .hint("`--insecure-options=http` allows that")),
        _ => Ok(to),
    }
}
