//! A download that is read like a file, and goes on by itself where a
//! connection broke.

use std::io::{self, Read};
use std::sync::Arc;

use crate::fetch::http::headers::{Freshness, Headers, Validators};
use crate::fetch::http::http_error::HttpError;
use crate::fetch::http::transport::{Reply, Transport};
use crate::fetch::http::url::Url;
use crate::fetch::http::wire::{Body, Fault, Head};

/// So many bytes since the last failure, and the count of failures starts anew.
const PROGRESS: u64 = 1 << 20;

/// The beginning of a document, which need not come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partial {
    /// What identifies the version of which it is.
    pub validators: Validators,
    /// How many bytes the whole document has.
    pub length: u64,
    /// How many of them are there.
    pub at: u64,
}

/// A document on its way.
#[derive(Debug)]
pub(crate) struct Download {
    transport: Arc<Transport>,
    /// Where to begin when asking again: where a redirect leads may have
    /// ceased to work.
    start: Url,
    url: String,
    length: Option<u64>,
    limit: Option<u64>,
    validators: Validators,
    freshness: Freshness,
    body: Body,
    /// Without, only the connection's end is the body's.
    framed: bool,
    /// How much has come.
    at: u64,
    failures: u32,
    failed_at: u64,
    piece: Vec<u8>,
    taken: usize,
    ended: bool,
}

impl Download {
    pub(crate) fn new(
        transport: Arc<Transport>,
        start: Url,
        reply: Reply,
        limit: Option<u64>,
    ) -> Result<Self, HttpError> {
        let headers = &reply.head.headers;
        let refused = |why| HttpError::new(&reply.url, why);
        let length = headers.length().map_err(refused)?;
        if let (Some(length), Some(limit)) = (length, limit)
            && length > limit
        {
            return Err(refused(format!(
                "it has {length} bytes, and at most {limit} are accepted"
            )));
        }
        Ok(Self {
            transport,
            start,
            length,
            limit,
            validators: headers.validators(),
            freshness: headers.freshness(),
            framed: headers.is_framed(),
            url: reply.url.to_string(),
            body: reply.body,
            at: 0,
            failures: 0,
            failed_at: 0,
            piece: Vec::new(),
            taken: 0,
            ended: false,
        })
    }

    /// Goes on with a document of which there is a part already.
    pub(crate) fn rest(
        transport: Arc<Transport>,
        start: Url,
        part: &Partial,
        reply: Reply,
        limit: Option<u64>,
    ) -> Result<Self, HttpError> {
        let headers = &reply.head.headers;
        let mut rest = Self {
            transport,
            start,
            length: Some(part.length),
            limit,
            validators: part.validators.clone(),
            freshness: headers.freshness(),
            framed: headers.is_framed(),
            url: reply.url.to_string(),
            body: reply.body,
            at: part.at,
            failures: 0,
            failed_at: part.at,
            piece: Vec::new(),
            taken: 0,
            ended: false,
        };
        rest.agree(&reply.head)?;
        rest.count(0)?;
        Ok(rest)
    }

    /// Returns how much has come.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Returns how many bytes there will be, if the server says so.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Returns what identifies this version of the document.
    pub(crate) fn validators(&self) -> &Validators {
        &self.validators
    }

    /// Returns until when a copy need not be asked for again.
    pub(crate) fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// Returns where the document is, after redirects.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Reads all of it into memory. For what has a limit.
    pub(crate) fn whole(mut self) -> Result<Vec<u8>, HttpError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.advance()? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    /// Returns the next piece; nothing after the last.
    fn advance(&mut self) -> Result<Option<Vec<u8>>, HttpError> {
        if self.ended {
            return Ok(None);
        }
        loop {
            let fault = match self.body.next() {
                Ok(Some(piece)) => {
                    self.count(piece.len())?;
                    return Ok(Some(piece));
                }
                Ok(None) if self.is_complete() => {
                    self.ended = true;
                    return Ok(None);
                }
                Ok(None) => Fault {
                    what: "it ended".to_owned(),
                    hint: None,
                    transient: true,
                },
                Err(fault) => fault,
            };
            self.resume(fault)?;
        }
    }

    fn count(&mut self, more: usize) -> Result<(), HttpError> {
        self.at = self
            .at
            .saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
        match self.limit {
            Some(limit) if self.at > limit => Err(HttpError::new(
                &self.url,
                format!("it has more than {limit} bytes, which is the most that is accepted"),
            )),
            _ if self.length.is_some_and(|length| self.at > length) => Err(self.changed()),
            _ => Ok(()),
        }
    }

    fn is_complete(&self) -> bool {
        match self.length {
            Some(length) => self.at == length,
            // An answer cut in its header has no length either, and no body.
            None => self.framed || self.at > 0,
        }
    }

    /// Connects again and goes on after what has come, as often as is allowed.
    fn resume(&mut self, fault: Fault) -> Result<(), HttpError> {
        let permanent = !fault.transient;
        let mut error = self.interrupted(fault);
        if self.at - self.failed_at >= PROGRESS {
            self.failures = 0;
        }
        self.failed_at = self.at;
        let mut conditions = Vec::new();
        if self.at > 0 {
            // Without it, what goes on could be of another version.
            let Some(validator) = self.validators.strong() else {
                return Err(error);
            };
            conditions.extend(behind(self.at, validator));
        }
        if permanent {
            return Err(error);
        }
        loop {
            self.failures += 1;
            if self.failures >= self.transport.options.attempts {
                return Err(error);
            }
            self.transport.pause(self.failures, error.retry_after);
            match self.transport.get(&self.start, &conditions) {
                Ok(reply) if !matches!(reply.head.status, 200 | 206 | 412 | 416) => {
                    return Err(reply.unexpected());
                }
                Ok(reply) => {
                    self.agree(&reply.head)?;
                    self.body = reply.body;
                    return Ok(());
                }
                Err(next) if next.transient => error = next,
                Err(next) => return Err(next),
            }
        }
    }

    /// Checks that an answer has the rest of the document.
    fn agree(&mut self, head: &Head) -> Result<(), HttpError> {
        let headers = &head.headers;
        let length = headers.length();
        let length = length.map_err(|why| HttpError::new(&self.url, why))?;
        match head.status {
            200 if self.at == 0 => {
                if !self.is_same(headers) || length != self.length {
                    return Err(self.changed());
                }
                self.framed = headers.is_framed();
            }
            206 if self.at > 0 => {
                let range = headers.range().ok_or_else(|| self.unresumed())?;
                let part = range.last - range.first + 1;
                if range.first != self.at || length.is_some_and(|length| length != part) {
                    return Err(self.unresumed());
                }
                let total = range.total;
                let other = self.length.is_some() && total.is_some() && total != self.length;
                if other || !self.is_same(headers) {
                    return Err(self.changed());
                }
                // Where the length was not known, the end of this part will do.
                self.length = self.length.or(total).or(Some(range.last + 1));
            }
            200 if self.is_same(headers) => return Err(self.unresumed()),
            206 => return Err(self.unresumed()),
            _ => return Err(self.changed()),
        }
        Ok(())
    }

    /// Tells whether an answer is about the version of which we have the
    /// beginning. A part may leave out what has not changed.
    fn is_same(&self, headers: &Headers) -> bool {
        let new = headers.validators();
        match (&self.validators.etag, &new.etag) {
            (Some(old), Some(new)) => old == new,
            _ => {
                let old = &self.validators.last_modified;
                new.last_modified.is_none() || new.last_modified == *old
            }
        }
    }

    /// `after 5 of 10 bytes`
    fn place(&self) -> String {
        match self.length {
            Some(length) => format!("after {} of {length} bytes", self.at),
            None => format!("after {} bytes", self.at),
        }
    }

    fn interrupted(&self, fault: Fault) -> HttpError {
        let what = format!("{} {}", fault.what, self.place());
        HttpError::broken(&self.url, Fault { what, ..fault })
    }

    fn changed(&self) -> HttpError {
        let why = format!(
            "the connection broke {}, and the file has changed on the server since",
            self.place()
        );
        HttpError::new(&self.url, why)
    }

    fn unresumed(&self) -> HttpError {
        let why = format!(
            "the connection broke {}, and the server does not go on there",
            self.place()
        );
        HttpError::new(&self.url, why)
    }
}

/// Asks for what is behind so many bytes of this version.
pub(crate) fn behind(at: u64, validator: &str) -> [(&'static str, String); 2] {
    [
        ("Range", format!("bytes={at}-")),
        ("If-Range", validator.to_owned()),
    ]
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.piece.len() && !buffer.is_empty() {
            // The error keeps its sentence below whatever is said on top.
            self.piece = self
                .advance()
                .map_err(io::Error::other)?
                .unwrap_or_default();
            self.taken = 0;
        }
        let rest = self.piece.get(self.taken..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..length), rest.get(..length)) {
            to.copy_from_slice(from);
        }
        self.taken += length;
        Ok(length)
    }
}
