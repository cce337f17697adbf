//! A download that reads like a file, and resumes by itself if the connection
//! breaks.
//!
//! Where the server can, only the rest is asked for. Where it cannot, or does
//! not, the document comes once more, and what is there already is passed over:
//! if a strong validator says that it is the same version, or if its hash does.

use std::io::{self, Read};
use std::sync::Arc;

use crate::digest::{Algorithm, Digest, Hasher};
use crate::fetch::http::fault::Fault;
use crate::fetch::http::headers::{Freshness, Headers, Validators};
use crate::fetch::http::http_error::HttpError;
use crate::fetch::http::message::Head;
use crate::fetch::http::transport::{Reply, Transport};
use crate::fetch::http::url::Url;
use crate::fetch::http::wire::Body;
use error::quote::quoted;
use sys::size;

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
    /// Whether that is another URL.
    moved: bool,
    /// How the body is encoded, which we have not asked for.
    encoding: Option<String>,
    length: Option<u64>,
    limit: Option<u64>,
    validators: Validators,
    freshness: Freshness,
    media_type: Option<String>,
    body: Body,
    /// Whether the end of the body is marked. If not, it is the end of the
    /// connection.
    framed: bool,
    /// How many bytes have arrived.
    at: u64,
    /// The hash of what has arrived, where no strong validator identifies it.
    hash: Option<Hasher>,
    /// What the body repeats of that.
    repeated: Option<Repeated>,
    /// Whether the server may be asked for the rest only.
    ranges: bool,
    /// Whether there are no other versions.
    pinned: bool,
    failures: u32,
    failed_at: u64,
    piece: Vec<u8>,
    taken: usize,
    ended: bool,
}

/// The part of a body that has arrived already.
#[derive(Debug)]
struct Repeated {
    /// How many bytes of it are left.
    left: u64,
    /// The hash so far, and what it must be in the end.
    hash: Option<(Hasher, Digest)>,
}

impl Download {
    pub(crate) fn new(
        transport: Arc<Transport>,
        start: Url,
        reply: Reply,
        limit: Option<u64>,
        pinned: bool,
    ) -> Result<Self, HttpError> {
        let headers = &reply.head.headers;
        let refused = |why| HttpError::new(&reply.url, why);
        let length = headers.length().map_err(refused)?;
        if let (Some(length), Some(limit)) = (length, limit)
            && length > limit
        {
            return Err(refused(too_large(limit)));
        }
        let validators = headers.validators();
        let hash = match pinned || validators.strong().is_some() {
            true => None,
            false => Some(Hasher::new(Algorithm::Sha512)),
        };
        let encoding = headers.get("content-encoding").map(str::to_owned);
        Ok(Self {
            moved: start != reply.url,
            encoding: encoding.filter(|coding| !coding.eq_ignore_ascii_case("identity")),
            transport,
            start,
            length,
            limit,
            validators,
            freshness: headers.freshness(),
            media_type: headers.get("content-type").map(str::to_owned),
            framed: headers.is_framed(),
            url: reply.url.to_string(),
            body: reply.body,
            at: 0,
            hash,
            repeated: None,
            ranges: true,
            pinned,
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
        pinned: bool,
    ) -> Result<Self, HttpError> {
        let headers = &reply.head.headers;
        let mut rest = Self {
            moved: start != reply.url,
            encoding: None,
            transport,
            start,
            length: Some(part.length),
            limit,
            validators: part.validators.clone(),
            freshness: headers.freshness(),
            media_type: headers.get("content-type").map(str::to_owned),
            framed: headers.is_framed(),
            url: reply.url.to_string(),
            body: reply.body,
            at: part.at,
            hash: None,
            repeated: None,
            ranges: true,
            pinned,
            failures: 0,
            failed_at: part.at,
            piece: Vec::new(),
            taken: 0,
            ended: false,
        };
        // A document that begins anew is not the rest.
        if reply.head.status == 200 || !rest.agree(&reply.head)? {
            return Err(rest.unresumed());
        }
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

    /// Returns what the server says that it is.
    pub(crate) fn media_type(&self) -> Option<&str> {
        self.media_type.as_deref()
    }

    /// Returns the URL after redirects, as it is displayed; `None` if there was
    /// none.
    pub(crate) fn redirected(&self) -> Option<&str> {
        self.moved.then_some(&self.url)
    }

    /// Reads the whole document into memory. It should have a limit.
    pub(crate) fn whole(mut self) -> Result<Vec<u8>, HttpError> {
        // Archives are recognised by their content.
        if let Some(coding) = &self.encoding {
            let coding = quoted(coding);
            let why = format!("the response is encoded with {coding}, which was not asked for");
            return Err(HttpError::new(&self.url, why));
        }
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
                    self.transport.slow_down(piece.len());
                    let new = self.pass_over(&piece)?;
                    if new.is_empty() {
                        continue;
                    }
                    self.count(new.len())?;
                    if let Some(hash) = &mut self.hash {
                        hash.update(new);
                    }
                    return Ok(Some(match new.len() == piece.len() {
                        true => piece,
                        false => new.to_vec(),
                    }));
                }
                Ok(None) if self.is_complete() => {
                    self.ended = true;
                    return Ok(None);
                }
                Ok(None) => Fault::broke(),
                Err(fault) => fault,
            };
            self.resume(fault)?;
        }
    }

    /// Returns what is new in a piece of the body.
    fn pass_over<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], HttpError> {
        let Some(repeated) = &mut self.repeated else {
            return Ok(piece);
        };
        let left = usize::try_from(repeated.left).unwrap_or(usize::MAX);
        let (old, new) = piece.split_at(piece.len().min(left));
        repeated.left -= old.len() as u64;
        if let Some((hash, _)) = &mut repeated.hash {
            hash.update(old);
        }
        if repeated.left > 0 {
            return Ok(new);
        }
        let hash = self.repeated.take().and_then(|repeated| repeated.hash);
        match hash.is_none_or(|(hash, expected)| hash.finish() == expected) {
            true => Ok(new),
            false => Err(self.changed()),
        }
    }

    fn count(&mut self, more: usize) -> Result<(), HttpError> {
        self.at = self
            .at
            .saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
        match self.limit {
            Some(limit) if self.at > limit => Err(HttpError::new(&self.url, too_large(limit))),
            _ if self.length.is_some_and(|length| self.at > length) => Err(self.changed()),
            _ => Ok(()),
        }
    }

    fn is_complete(&self) -> bool {
        match self.length {
            _ if self.repeated.is_some() => false,
            Some(length) => self.at == length,
            // An answer that was cut off in its header has neither length
            // nor body.
            None => self.framed || self.at > 0,
        }
    }

    /// Reconnects and continues, if attempts are left.
    fn resume(&mut self, fault: Fault) -> Result<(), HttpError> {
        let permanent = !fault.transient;
        let first = self.interrupted(fault);
        if self.at - self.failed_at >= PROGRESS {
            self.failures = 0;
        }
        self.failed_at = self.at;
        if permanent {
            return Err(first);
        }
        let mut error = first.clone();
        loop {
            self.failures += 1;
            if self.failures >= self.transport.options.attempts {
                return Err(error);
            }
            self.transport.pause(self.failures, &error);
            let conditions = match self.ranges && self.at > 0 {
                true => rest(self.at, &self.validators, self.pinned),
                false => [None, None],
            };
            let conditions: Vec<_> = conditions.into_iter().flatten().collect();
            match self.transport.get(&self.start, &conditions) {
                Ok(reply) if !matches!(reply.head.status, 200 | 206 | 412 | 416) => {
                    return Err(reply.unexpected());
                }
                Ok(reply) => match self.agree(&reply.head)? {
                    true => {
                        let line = format!("Resuming: {}: {}", self.url, error.reason().0);
                        self.transport.options.talk.say(&line);
                        self.body = reply.body;
                        return Ok(());
                    }
                    // The whole document may be there.
                    false => self.ranges = false,
                },
                Err(next) if next.transient => error = first.and_then(next),
                Err(next) => return Err(next),
            }
        }
    }

    /// Checks that an answer has the rest of this document, perhaps behind what
    /// is there already; returns false if it has another part.
    fn agree(&mut self, head: &Head) -> Result<bool, HttpError> {
        let headers = &head.headers;
        let length = headers.length();
        let length = length.map_err(|why| HttpError::new(&self.url, why))?;
        let first = match head.status {
            200 => {
                if !self.is_same(head.status, headers) || length != self.length {
                    return Err(self.changed());
                }
                0
            }
            206 if self.ranges && self.at > 0 => {
                let Some(range) = headers.range() else {
                    return Ok(false);
                };
                let total = range.total;
                let other = self.length.is_some() && total.is_some() && total != self.length;
                if other || !self.is_same(head.status, headers) {
                    return Err(self.changed());
                }
                let part = range.last - range.first + 1;
                let fits = range.first <= self.at && self.at <= range.last;
                if !fits || length.is_some_and(|length| length != part) {
                    return Ok(false);
                }
                // If the length was unknown, the end of this part is
                // taken for it.
                self.length = self.length.or(total).or(Some(range.last + 1));
                range.first
            }
            206 => return Err(self.unresumed()),
            _ => return Err(self.changed()),
        };
        self.framed = headers.is_framed();
        self.repeated = (first < self.at).then(|| Repeated {
            left: self.at - first,
            hash: self.hash.clone().map(|hash| {
                let expected = hash.finish();
                (Hasher::new(Algorithm::Sha512), expected)
            }),
        });
        Ok(true)
    }

    /// Tells whether an answer is about the same version. A partial answer
    /// may omit fields that have not changed. A whole one may not: what is
    /// there of it will not be compared.
    fn is_same(&self, status: u16, headers: &Headers) -> bool {
        if self.pinned {
            return true;
        }
        let new = headers.validators();
        if let (200, 1.., Some(strong)) = (status, self.at, self.validators.strong()) {
            return Some(strong) == new.strong();
        }
        match (&self.validators.etag, &new.etag) {
            (Some(old), Some(new)) => old == new,
            _ => {
                let old = &self.validators.last_modified;
                new.last_modified.is_none() || new.last_modified == *old
            }
        }
    }

    /// `after 5 B of 10 B`
    fn place(&self) -> String {
        let at = size::spell(self.at);
        match self.length {
            Some(length) => format!("after {at} of {}", size::spell(length)),
            None => format!("after {at}"),
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
            "the connection broke {}, and the server does not send the rest",
            self.place()
        );
        HttpError::new(&self.url, why)
    }
}

fn too_large(limit: u64) -> String {
    format!("it is larger than the maximum of {}", size::spell(limit))
}

/// Returns the header fields that request the rest of this version; none if nothing
/// identifies it.
pub(crate) fn rest(
    at: u64,
    validators: &Validators,
    pinned: bool,
) -> [Option<(&'static str, String)>; 2] {
    let range = || ("Range", format!("bytes={at}-"));
    match (pinned, validators.strong()) {
        (true, _) => [Some(range()), None],
        (false, Some(version)) => [Some(range()), Some(("If-Range", version.to_owned()))],
        (false, None) => [None, None],
    }
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
