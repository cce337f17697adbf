//! A download that reads like a file, and resumes by itself if the connection
//! breaks.

use std::io::{self, Read};
use std::sync::Arc;

use crate::fetch::http::headers::{Freshness, Headers, Validators};
use crate::fetch::http::http_error::HttpError;
use crate::fetch::http::transport::{Reply, Transport};
use crate::fetch::http::url::Url;
use crate::fetch::http::wire::{Body, Fault, Head};

/// After this many bytes, failures are counted anew.
const PROGRESS: u64 = 1 << 20;

/// The first part of a document, which need not be fetched again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partial {
    /// The validators of its version.
    pub validators: Validators,
    /// The length of the whole document in bytes.
    pub length: u64,
    /// The length of the part in bytes.
    pub at: u64,
}

/// A document that is being downloaded.
#[derive(Debug)]
pub(crate) struct Download {
    transport: Arc<Transport>,
    /// Where to resume. The target of a redirect may no longer work.
    start: Url,
    url: String,
    length: Option<u64>,
    limit: Option<u64>,
    validators: Validators,
    freshness: Freshness,
    body: Body,
    /// Whether the end of the body is marked. If not, it is the end of the
    /// connection.
    framed: bool,
    /// How many bytes have arrived.
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

    /// Continues a document whose first part is there already.
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

    /// Returns how many bytes have arrived, including an earlier part.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Returns the length of the document, if known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Returns the validators of this version.
    pub(crate) fn validators(&self) -> &Validators {
        &self.validators
    }

    /// Returns how long a copy stays fresh.
    pub(crate) fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// Returns the URL after redirects.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Reads the whole document into memory. It should have a limit.
    pub(crate) fn whole(mut self) -> Result<Vec<u8>, HttpError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.advance()? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    /// Returns the next piece; `None` at the end.
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
                format!("it is larger than the maximum of {limit} bytes"),
            )),
            _ if self.length.is_some_and(|length| self.at > length) => Err(self.changed()),
            _ => Ok(()),
        }
    }

    fn is_complete(&self) -> bool {
        match self.length {
            Some(length) => self.at == length,
            // An answer that was cut off in its header has neither length
            // nor body.
            None => self.framed || self.at > 0,
        }
    }

    /// Reconnects and continues, if attempts are left.
    fn resume(&mut self, fault: Fault) -> Result<(), HttpError> {
        let permanent = !fault.transient;
        let mut error = self.interrupted(fault);
        if self.at - self.failed_at >= PROGRESS {
            self.failures = 0;
        }
        self.failed_at = self.at;
        let mut conditions = Vec::new();
        if self.at > 0 {
            // Without a validator, the rest could be from another version.
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

    /// Checks that an answer has the rest of this document.
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
                // If the length was unknown, the end of this part is
                // taken for it.
                self.length = self.length.or(total).or(Some(range.last + 1));
            }
            200 if self.is_same(headers) => return Err(self.unresumed()),
            206 => return Err(self.unresumed()),
            _ => return Err(self.changed()),
        }
        Ok(())
    }

    /// Tells whether an answer is about the same version. A partial answer
    /// may omit fields that have not changed.
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
            "the connection broke {}, and the server cannot resume there",
            self.place()
        );
        HttpError::new(&self.url, why)
    }
}

/// Returns the header fields that request the rest of this version.
pub(crate) fn behind(at: u64, validator: &str) -> [(&'static str, String); 2] {
    [
        ("Range", format!("bytes={at}-")),
        ("If-Range", validator.to_owned()),
    ]
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.piece.len() && !buffer.is_empty() {
            // The error keeps its sentence below whatever is added.
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
