//! Requests within this machine, without TLS: the only file that knows minreq.
//!
//! minreq 3 makes such requests well. Others it cannot make: through a proxy
//! without `CONNECT`, to an IPv6 address, to a server that a private authority
//! has certified, to a name without asking libc for it. And of some answers it tells less than we have to know: it
//! takes a chunked body that was cut for a complete one, the first of several
//! headers for the last, and none that has a byte above 0x7F; its limit for the
//! header can be evaded. So it asks only servers on this machine, and where its
//! answer is not beyond doubt, the caller asks again (RFC 9110, section 9.2.2:
//! whoever gets a document may ask for it twice).

use std::io::Read as _;
use std::net::Ipv4Addr;

use crate::fetch::http::fault::Fault;
use crate::fetch::http::headers::Headers;
use crate::fetch::http::message::{HEADER, Head};
use crate::fetch::http::url::Url;

/// The body of an answer, with a length.
pub(crate) struct PlainBody {
    answer: minreq::ResponseLazy,
    left: u64,
}

/// Tells whether a request for this URL can be made here, without a proxy.
pub(crate) fn suits(url: &Url) -> bool {
    !url.secure && url.is_loopback() && url.host.parse::<Ipv4Addr>().is_ok()
}

/// Sends a request. `None` says that the answer is in doubt.
///
/// # Errors
///
/// There is no connection.
pub(crate) fn get<'a>(
    url: &Url,
    fields: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Option<(Head, PlainBody)>, Fault> {
    let mut request = minreq::get(url.reveal())
        .with_follow_redirects(false)
        .with_max_headers_size(usize::try_from(HEADER).unwrap_or(usize::MAX));
    for (name, value) in fields {
        request = request.with_header(name, value);
    }
    let mut answer = match request.send_lazy() {
        Ok(answer) => answer,
        Err(minreq::Error::IoError(error)) => return Err(error.into()),
        Err(_) => return Ok(None),
    };
    let head = Head {
        status: answer.status_code,
        reason: std::mem::take(&mut answer.reason_phrase),
        headers: Headers(answer.headers.clone()),
    };
    let left = match (head.status, head.headers.length()) {
        (100..200, _) => None,
        (204 | 304, _) => Some(0),
        (_, length) => length.ok().flatten(),
    };
    Ok(left.map(|left| (head, PlainBody { answer, left })))
}

impl PlainBody {
    /// Reads the next bytes; 0 at the end of the body.
    ///
    /// # Errors
    ///
    /// The connection breaks before the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        if self.left == 0 {
            return Ok(0);
        }
        loop {
            match self.answer.read(buffer) {
                Ok(0) => return Err(Fault::broke()),
                Ok(count) => {
                    self.left = self.left.saturating_sub(count as u64);
                    return Ok(count);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
