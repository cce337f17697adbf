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

mod download;
mod environment;
mod headers;
mod proxy;
mod refusal;
mod unchecked;
mod url;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::fetch::credentials::Credentials;
use crate::fetch::http::proxy::Proxies;
use crate::fetch::http::url::Url;
use crate::fetch::http::wire::{Ask, Body, Head, Patience};
use error::Result;

pub use crate::fetch::http::download::Download;
pub use crate::fetch::http::environment::{reexec_for_proxies, reexec_with_ca};
pub use crate::fetch::http::refusal::Refusal;

/// What the operator decides about fetching.
#[derive(Debug)]
pub struct Options {
    /// Trust the authorities in this file, too.
    pub ca_file: Option<PathBuf>,
    /// Believe any certificate, and give no credentials to who shows it.
    pub insecure_tls: bool,
    /// Fetch over plain HTTP where a URL says so.
    pub allow_http: bool,
    /// Who we are, to whom.
    pub credentials: Credentials,
    /// How often to try, in a row without progress; at least once.
    pub attempts: u32,
}

/// Fetches documents.
#[derive(Clone, Debug)]
pub(crate) struct Web(Arc<Client>);

/// What came of opening a download.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one at a time, and the large one is the common one"
)]
pub enum Answer {
    /// The copy that we have is still the document.
    Unchanged(Freshness),
    /// Here it is.
    Download(Download),
}

/// What identifies a version of a document, as the server said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// `ETag`
    pub etag: Option<String>,
    /// `Last-Modified`
    pub last_modified: Option<String>,
}

/// The beginning of a document, which need not come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What identifies the version of which it is.
    pub validators: Validators,
    /// How many bytes the whole document has.
    pub length: u64,
    /// How many of them are there.
    pub at: u64,
}

/// What is there of a document already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Have<'a> {
    /// A copy.
    pub copy: Option<&'a Validators>,
    /// A part, perhaps of another version.
    pub part: Option<&'a Part>,
}

/// Until when a copy need not be asked for again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// For so many seconds from now; nothing if the server does not say.
    pub max_age: Option<u64>,
    /// There should be no copy.
    pub no_store: bool,
}

/// What an image's server may ask us to wait, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The longest pause of our own.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// Most redirects in a row.
const REDIRECTS: usize = 10;

/// Statuses that tell of a state that may pass.
const PASSING: [u16; 7] = [408, 425, 429, 500, 502, 503, 504];

/// How requests are made.
#[derive(Debug)]
pub struct Client {
    allow_http: bool,
    insecure_tls: bool,
    credentials: Credentials,
    attempts: u32,
    proxies: Proxies,
    patience: Patience,
    /// The pause after the first failure; each following one is twice as long.
    pause: Duration,
}

/// An answer after redirects.
pub struct Reply {
    url: Url,
    head: Head,
    body: Body,
    /// Credentials went with the request that this answers.
    known: bool,
    /// There are credentials that did not go with it, as nobody knows who gets them.
    withheld: bool,
}

impl Web {
    /// Makes ready to fetch.
    ///
    /// Where the environment has to be another one for what `options` or the
    /// environment itself ask for, the program begins anew; to begin with
    /// [`reexec_with_ca`] and [`reexec_for_proxies`] saves doing work twice.
    ///
    /// # Errors
    ///
    /// The file of authorities cannot be used.
    pub(crate) fn new(options: Options) -> Result<Self> {
        let again = match &options.ca_file {
            Some(file) => reexec_with_ca(file),
            None => reexec_for_proxies(),
        };
        if let Some(error) = again {
            return Err(error);
        }
        let patience = Patience {
            head: Duration::from_secs(20 + 30),
            idle: Duration::from_secs(30),
        };
        let proxies = Proxies::read(environment::variable);
        let pause = Duration::from_millis(500);
        Ok(Self::with(options, proxies, patience, pause))
    }

    /// Makes one whose clock runs as the caller likes.
    fn with(options: Options, proxies: Proxies, patience: Patience, pause: Duration) -> Self {
        Self(Arc::new(Client {
            allow_http: options.allow_http,
            insecure_tls: options.insecure_tls,
            credentials: options.credentials,
            attempts: options.attempts.max(1),
            proxies,
            patience,
            pause,
        }))
    }

    /// Fetches a small document: whole, and at most `limit` bytes.
    pub(crate) fn document(&self, url: &str, limit: u64) -> std::result::Result<Vec<u8>, Refusal> {
        match self.open(url, Some(limit), Have::default())? {
            Answer::Download(download) => download.whole(),
            Answer::Unchanged(_) => Err(Refusal::new(url, "the server sent no document")),
        }
    }

    /// Opens a download of at most `limit` bytes: of all of the document, or of
    /// the rest, if we have a part of the version that the server has.
    pub(crate) fn open(
        &self,
        url: &str,
        limit: Option<u64>,
        have: Have<'_>,
    ) -> std::result::Result<Answer, Refusal> {
        let start = Url::parse(url).map_err(|why| Refusal::plain(&why))?;
        let mut conditions = Vec::new();
        if let Some(known) = have.copy {
            let tag = known.etag.clone().map(|tag| ("If-None-Match", tag));
            let date = known.last_modified.clone();
            conditions.extend(tag);
            conditions.extend(date.map(|date| ("If-Modified-Since", date)));
        }
        if let Some(part) = have.part
            && let Some(validator) = part.validators.strong()
        {
            conditions.extend(download::behind(part.at, validator));
        }
        let mut failures = 0;
        let reply = loop {
            match self.0.get(&start, &conditions) {
                Err(refusal) if refusal.passing && failures + 1 < self.0.attempts => {
                    failures += 1;
                    self.0.rest(failures, refusal.after);
                }
                other => break other?,
            }
        };
        let client = Arc::clone(&self.0);
        match (reply.head.status, have.part) {
            (200, _) => Download::new(client, start, reply, limit).map(Answer::Download),
            (206 | 412 | 416, Some(part)) => {
                match Download::rest(client, start, part, reply, limit) {
                    Ok(rest) => Ok(Answer::Download(rest)),
                    // The server means something else; all of it will do.
                    Err(_) => self.open(url, limit, Have { part: None, ..have }),
                }
            }
            (304, _) if have.copy.is_some() => {
                Ok(Answer::Unchanged(reply.head.headers.freshness()))
            }
            _ => Err(Refusal::status_of(&reply)),
        }
    }
}

impl Client {
    /// Asks once, and follows redirects. A status that may pass is a refusal,
    /// any other an answer.
    fn get(
        &self,
        start: &Url,
        conditions: &[(&'static str, String)],
    ) -> std::result::Result<Reply, Refusal> {
        let mut url = start.clone();
        let mut carried = false;
        for _ in 0..=REDIRECTS {
            let (reply, location) = self.ask(url, conditions)?;
            carried |= reply.known;
            match (reply.head.status, location) {
                (301 | 302 | 303 | 307 | 308, location) => {
                    let location = location.as_deref();
                    url = redirected(&reply.url, location, self.allow_http, carried)?;
                }
                _ => return Ok(reply),
            }
        }
        Err(Refusal::new(
            start,
            format!("the server redirects more than {REDIRECTS} times"),
        ))
    }

    /// Asks one server once.
    fn ask(
        &self,
        url: Url,
        conditions: &[(&'static str, String)],
    ) -> std::result::Result<(Reply, Option<String>), Refusal> {
        if !url.secure && !self.allow_http {
            return Err(Refusal::new(&url, "it is not encrypted (plain HTTP)")
                .hint("`--insecure-options=http` allows that"));
        }
        let mut fields = vec![
            (
                "User-Agent",
                format!("nosecone/{}", env!("CARGO_PKG_VERSION")),
            ),
            ("Accept", "*/*".to_owned()),
            // Without this field, any compression would be right.
            ("Accept-Encoding", "identity".to_owned()),
            // There will be no second request, and its end ends some bodies.
            ("Connection", "close".to_owned()),
        ];
        let sound = |(_, value): &&(_, String)| !value.chars().any(char::is_control);
        fields.extend(conditions.iter().filter(sound).cloned());
        let proxy = self.proxies.choose(&url);
        let proxy = proxy.map_err(|why| Refusal::new(&url, why))?;
        let unchecked = url.secure && self.insecure_tls;
        if unchecked && proxy.is_some() {
            return Err(Refusal::new(
                &url,
                "certificates can be left unchecked only without a proxy, and there is one",
            )
            .hint(&format!("`no_proxy={}` goes without", url.host)));
        }
        // Behind a proxy, this machine is another.
        let private = url.secure || (url.is_loopback() && proxy.is_none());
        let header = match private {
            true => self.credentials.for_host(&url.host, url.port),
            false => None,
        };
        let withheld = unchecked && header.is_some();
        let header = header.filter(|_| !unchecked);
        let known = header.is_some();
        fields.extend(header.map(|header| (header.name, header.value)));
        let ask = Ask {
            url: &url,
            fields,
            proxy,
            unchecked,
        };
        let (head, body) =
            wire::send(&ask, self.patience).map_err(|fault| Refusal::broken(&url, fault))?;
        if head.reason == wire::NO_ANSWER {
            let mut refusal = Refusal::new(&url, "the connection broke before an answer");
            refusal.passing = true;
            return Err(refusal);
        }
        let location = head.headers.get("location").map(str::to_owned);
        let reply = Reply {
            url,
            head,
            body,
            known,
            withheld,
        };
        if PASSING.contains(&reply.head.status) {
            let mut refusal = Refusal::status_of(&reply);
            refusal.passing = true;
            refusal.after = reply.head.headers.retry_after(now());
            return Err(refusal);
        }
        Ok((reply, location))
    }

    /// Waits before the next try: as long as the server asks, or longer after
    /// each failure, and never in step with others who failed with us.
    fn rest(&self, failures: u32, asked: Option<Duration>) {
        std::thread::sleep(pause(self.pause, failures, asked, chance()));
    }
}

/// Returns how long to wait; `chance` is anything from 0 to 255.
fn pause(first: Duration, failures: u32, asked: Option<Duration>, chance: u8) -> Duration {
    if let Some(asked) = asked {
        return asked.min(LONGEST_PAUSE);
    }
    let doubled = 1_u32 << failures.saturating_sub(1).min(16);
    let longest = first.saturating_mul(doubled).min(LONGEST_BACKOFF);
    longest / 2 + longest * u32::from(chance) / 512
}

/// Returns a random number; a poor one where the kernel gives none.
fn chance() -> u8 {
    let mut byte = [0];
    match rustix::rand::getrandom(&mut byte, rustix::rand::GetRandomFlags::NONBLOCK) {
        Ok(_) => byte[0],
        Err(_) => std::process::id().to_le_bytes()[0],
    }
}

/// Returns the seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |time| time.as_secs())
}

/// Returns where a redirect leads, if it may be followed. `carried` tells that
/// credentials were sent on the way here.
fn redirected(
    from: &Url,
    location: Option<&str>,
    allow_http: bool,
    carried: bool,
) -> std::result::Result<Url, Refusal> {
    let refused = |why: String| Refusal::new(from, why);
    let location =
        location.ok_or_else(|| refused("the server redirects without saying where".to_owned()))?;
    let to = from
        .join(location)
        .map_err(|why| refused(format!("the server redirects wrongly: {why}")))?;
    let shown = refusal::shown(&to.to_string());
    match (from.secure, to.secure) {
        (true, false) if carried => Err(refused(format!(
            "the server redirects to {shown}, which is not encrypted, after it was given credentials"
        ))),
        (_, false) if !allow_http => Err(refused(format!(
            "the server redirects to {shown}, which is not encrypted"
        ))
        .hint("`--insecure-options=http` allows that")),
        _ => Ok(to),
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
