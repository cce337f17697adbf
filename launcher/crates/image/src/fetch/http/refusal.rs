//! Why a document could not be fetched.

use std::fmt;
use std::time::Duration;

use crate::fetch::http::Reply;
use crate::fetch::http::wire::Fault;
use error::quote::quoted;
use error::{Error, Kind};

/// Why a document could not be fetched: one sentence.
#[derive(Debug)]
pub struct Refusal {
    /// The URL, unless the sentence has it.
    url: Option<String>,
    why: String,
    hint: Option<String>,
    status: Option<u16>,
    /// Another try may do better.
    pub(crate) passing: bool,
    /// The server asks to wait so long.
    pub(crate) after: Option<Duration>,
}

impl Refusal {
    /// Makes one about a URL: the cause, in a few words.
    pub(crate) fn new(url: impl ToString, why: impl Into<String>) -> Self {
        Self {
            url: Some(url.to_string()),
            why: why.into(),
            hint: None,
            status: None,
            passing: false,
            after: None,
        }
    }

    /// Makes one of a whole sentence.
    pub(crate) fn plain(sentence: &str) -> Self {
        Self {
            url: None,
            ..Self::new("", sentence)
        }
    }

    /// The exchange with the server failed.
    pub(crate) fn broken(url: impl ToString, fault: Fault) -> Self {
        Self {
            hint: fault.hint.map(str::to_owned),
            passing: fault.passing,
            ..Self::new(url, fault.what)
        }
    }

    /// The server answered something else than the document.
    pub(crate) fn status_of(reply: &Reply) -> Self {
        let Reply { url, head, .. } = reply;
        let answer = quoted(format!("{} {}", head.status, head.reason).trim());
        let hint = match (head.status, reply.known) {
            (401 | 403, true) => Some(format!(
                "it was given the credentials that `auth.d` has for `{}`",
                url.host
            )),
            (401 | 403, false) if reply.withheld => Some(format!(
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
        Self {
            hint,
            status: Some(head.status),
            ..Self::new(url, format!("the server answered {answer}"))
        }
    }

    pub(crate) fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }

    /// Tells whether another try may do better.
    pub(crate) fn is_passing(&self) -> bool {
        self.passing
    }

    /// Returns the status that the server answered with, if that is the reason.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Returns why, without the URL, and the hint.
    pub fn reason(&self) -> (&str, Option<&str>) {
        (&self.why, self.hint.as_deref())
    }

    fn subject(&self) -> Option<String> {
        let url = self.url.as_deref()?;
        Some(format!("cannot fetch {}", shown(url)))
    }
}

/// Shows a URL without its query, which may be a ticket that opens the
/// document for everybody.
pub(crate) fn shown(url: &str) -> String {
    quoted(url.split('?').next().unwrap_or_default())
}

/// One sentence, without the hint.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(subject) = self.subject() {
            write!(f, "{subject}: ")?;
        }
        f.write_str(&self.why)
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal.status {
            Some(404 | 410) => Kind::NotFound,
            _ => Kind::Failed,
        };
        let error = match refusal.subject() {
            Some(subject) => Self::new(kind, subject).because(refusal.why),
            None => Self::new(Kind::Invalid, refusal.why),
        };
        match refusal.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}
