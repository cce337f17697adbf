//! Why a document could not be fetched.

use std::fmt;
use std::time::Duration;

use crate::fetch::http::fault::Fault;
use error::quote::quoted;
use error::{Error, Kind};

/// Why a document could not be fetched, as one sentence.
#[derive(Clone, Debug)]
pub(crate) struct HttpError {
    /// The URL, unless it is in the sentence.
    url: Option<String>,
    why: String,
    hint: Option<String>,
    status: Option<u16>,
    /// Whether there was no answer, or none that could be understood.
    unanswered: bool,
    /// Whether another attempt may succeed.
    pub(crate) transient: bool,
    /// How long the server asks to wait.
    pub(crate) retry_after: Option<Duration>,
}

impl HttpError {
    /// Makes an error about a URL, as it is displayed, from its cause.
    pub(crate) fn new(url: impl ToString, why: impl Into<String>) -> Self {
        Self {
            url: Some(url.to_string()),
            why: why.into(),
            hint: None,
            status: None,
            unanswered: false,
            transient: false,
            retry_after: None,
        }
    }

    /// Makes an error from a whole sentence.
    pub(crate) fn plain(sentence: &str) -> Self {
        Self {
            url: None,
            ..Self::new("", sentence)
        }
    }

    /// The connection or the exchange failed.
    pub(crate) fn broken(url: impl ToString, fault: Fault) -> Self {
        Self {
            hint: fault.hint.map(str::to_owned),
            unanswered: !fault.in_tls,
            transient: fault.transient,
            ..Self::new(url, fault.what)
        }
    }

    /// The server answered with a status that is not the document.
    pub(crate) fn status_is(
        url: impl ToString,
        status: u16,
        why: String,
        hint: Option<String>,
    ) -> Self {
        Self {
            hint,
            status: Some(status),
            ..Self::new(url, why)
        }
    }

    pub(crate) fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }

    /// Returns the error of an attempt to go on after this one, with both.
    pub(crate) fn and_then(&self, next: Self) -> Self {
        let why = format!("{}, and could not be resumed: {}", self.why, next.why);
        Self { why, ..next }
    }

    /// Tells whether another attempt may succeed.
    pub(crate) fn is_transient(&self) -> bool {
        self.transient
    }

    /// Tells whether there was no answer, or none that could be understood.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.unanswered
    }

    /// Returns the status of the answer, if that is the reason.
    pub(crate) fn status(&self) -> Option<u16> {
        self.status
    }

    /// Returns the cause without the URL, and the hint.
    pub(crate) fn reason(&self) -> (&str, Option<&str>) {
        (&self.why, self.hint.as_deref())
    }

    fn subject(&self) -> Option<String> {
        let url = self.url.as_deref()?;
        Some(format!("cannot fetch {}", quoted(url)))
    }
}

/// The sentence without the hint.
impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(subject) = self.subject() {
            write!(f, "{subject}: ")?;
        }
        f.write_str(&self.why)
    }
}

impl std::error::Error for HttpError {}

impl From<HttpError> for Error {
    fn from(from: HttpError) -> Self {
        let kind = match from.status {
            Some(404 | 410) => Kind::NotFound,
            _ => Kind::Failed,
        };
        let error = match from.subject() {
            Some(subject) => Self::new(kind, subject).because(from.why),
            None => Self::new(Kind::Invalid, from.why),
        };
        match from.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}
