//! One request and its answer: the only file that knows minreq.
//!
//! minreq has one timeout for the whole answer, which a large download on a
//! slow line exceeds even while it makes progress. So a thread reads each
//! answer without a timeout and passes it on through a bounded queue, whose
//! receiver gives up if nothing arrives. An abandoned thread ends with its
//! connection or with the program.
//!
//! # Not here
//!
//! Redirects, retries, resuming, lengths: minreq takes credentials along when
//! it follows a redirect to another host, and accepts a body that ends early.
//!
//! If a chunked body or one without a length ends early, even we cannot tell,
//! unless TLS does: minreq 3 hides how much of a chunk is missing, and takes
//! the end of a connection for the last chunk. Readers of the document have to
//! notice: archives and compressed files have end marks, signatures have a last
//! line, and an incomplete page only names fewer places, none of which is
//! trusted.

use std::io::Read as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::fetch::http::headers::Headers;
use crate::fetch::http::proxy::Proxy;
use crate::fetch::http::unchecked::Relay;
use crate::fetch::http::url::Url;

/// Size of the pieces that are passed on, in bytes.
const PIECE: usize = 64 << 10;

/// Length of the queue: enough to overlap reading with other work. It bounds
/// the memory of a download.
const WAITING: usize = 4;

/// Largest header of an answer, in bytes.
const HEADERS: usize = 64 << 10;

/// A request for a document.
pub(crate) struct Request<'a> {
    /// The URL to get.
    pub(crate) url: &'a Url,
    /// Header fields, checked to contain no control characters.
    pub(crate) fields: Vec<(&'static str, String)>,
    /// The proxy, if any.
    pub(crate) proxy: Option<Proxy>,
    /// Whether certificates are not verified. Only for HTTPS without a
    /// proxy.
    pub(crate) unchecked: bool,
}

/// How long to wait for the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// For the connection and the header of the answer.
    pub(crate) head: Duration,
    /// For the next piece of the body.
    pub(crate) idle: Duration,
}

/// The status and header of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    /// 200, 404, ...
    pub(crate) status: u16,
    /// The reason phrase.
    pub(crate) reason: String,
    /// The fields.
    pub(crate) headers: Headers,
}

/// The body of an answer, piece by piece.
#[derive(Debug)]
pub(crate) struct Body {
    pieces: Receiver<Event>,
    idle: Duration,
}

/// Why there is no answer, or no more of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The cause in a few words.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) hint: Option<&'static str>,
    /// Whether another attempt may succeed.
    pub(crate) transient: bool,
}

impl Fault {
    fn transient(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: None,
            transient: true,
        }
    }

    fn permanent(what: impl Into<String>) -> Self {
        Self {
            transient: false,
            ..Self::transient(what)
        }
    }
}

#[derive(Debug)]
enum Event {
    Head(Head),
    Piece(Vec<u8>),
    End,
    Fault(Fault),
}

/// Sends a request, and waits for the header of the answer.
pub(crate) fn send(request: &Request<'_>, timeouts: Timeouts) -> Result<(Head, Body), Fault> {
    let mut address = request.url.to_string();
    let mut relay = None;
    let mut proxy = request.proxy.clone();
    if request.unchecked {
        let (new, way) =
            Relay::start(&request.url.host, request.url.port).map_err(|e| io_fault(&e))?;
        // minreq sends the same request, but without TLS. Like for HTTPS, the
        // default port is not in the field `Host`.
        address = address.replacen("https:", "http:", 1);
        (relay, proxy) = (Some(new), Some(way));
    }
    let mut get = minreq::get(address)
        .with_follow_redirects(false)
        .with_max_headers_size(HEADERS);
    for (name, value) in &request.fields {
        get = get.with_header(*name, value);
    }
    if let Some(Proxy { host, port, login }) = &proxy {
        let login = login
            .as_ref()
            .map_or(String::new(), |login| format!("{login}@"));
        let proxy = minreq::Proxy::new(format!("http://{login}{host}:{port}"))
            .map_err(|error| Fault::permanent(error.to_string()))?;
        get = get.with_proxy(proxy);
    }
    let way = request.proxy.as_ref().map(|proxy| format!("{proxy:?}"));
    let (sender, pieces) = sync_channel(WAITING);
    std::thread::Builder::new()
        .name("fetch".to_owned())
        .spawn(move || {
            let last = match receive(get, relay.as_ref(), &sender) {
                Ok(()) => Event::End,
                Err(error) => {
                    // minreq only sees that the relay closes the
                    // connection.
                    let cause = relay.and_then(|relay| relay.failure());
                    let error = cause.map_or(error, minreq::Error::IoError);
                    Event::Fault(fault(&error, way.as_deref()))
                }
            };
            // The receiver may be gone.
            let _ = sender.send(last);
        })
        .map_err(|error| Fault::permanent(format!("cannot start a thread: {error}")))?;
    let body = Body {
        pieces,
        idle: timeouts.idle,
    };
    match body.wait(timeouts.head)? {
        Event::Head(head) => Ok((head, body)),
        Event::Fault(fault) => Err(fault),
        Event::Piece(_) | Event::End => Err(Fault::transient("there was no response")),
    }
}

/// Reads an answer to its end, or until the receiver is gone.
fn receive(
    request: minreq::Request,
    relay: Option<&Relay>,
    sender: &SyncSender<Event>,
) -> Result<(), minreq::Error> {
    let mut answer = request.send_lazy()?;
    let head = Head {
        status: answer.status_code,
        reason: std::mem::take(&mut answer.reason_phrase),
        headers: Headers(answer.headers.clone()),
    };
    let counted = matches!(head.headers.length(), Ok(Some(_)));
    if sender.send(Event::Head(head)).is_err() {
        return Ok(());
    }
    loop {
        let mut piece = vec![0; PIECE];
        match answer.read(&mut piece) {
            // A body with a length is checked by the reader.
            Ok(0) if counted => return Ok(()),
            Ok(0) => {
                let failure = relay.and_then(Relay::failure).map(minreq::Error::IoError);
                return failure.map_or(Ok(()), Err);
            }
            Ok(length) => piece.truncate(length),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(minreq::Error::IoError(error)),
        }
        if sender.send(Event::Piece(piece)).is_err() {
            return Ok(());
        }
    }
}

impl Body {
    /// Returns the next piece; `None` at the end.
    pub(crate) fn next(&self) -> Result<Option<Vec<u8>>, Fault> {
        match self.wait(self.idle)? {
            Event::Piece(piece) => Ok(Some(piece)),
            Event::Fault(fault) => Err(fault),
            Event::End | Event::Head(_) => Ok(None),
        }
    }

    fn wait(&self, time: Duration) -> Result<Event, Fault> {
        self.pieces.recv_timeout(time).map_err(|error| match error {
            RecvTimeoutError::Timeout => Fault::transient(format!("no data for {}", seconds(time))),
            RecvTimeoutError::Disconnected => Fault::transient("the connection broke"),
        })
    }
}

/// `1 second`, `30 seconds`, `0.2 seconds`.
fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        1.0 => "1 second".to_owned(),
        seconds => format!("{seconds} seconds"),
    }
}

/// minreq's reason phrase for an answer without a status line. It sets the
/// status to 503, which is retried.
pub(crate) const NO_ANSWER: &str = "Server did not provide a status line";

/// Explains an error of minreq.
fn fault(error: &minreq::Error, proxy: Option<&str>) -> Fault {
    use minreq::Error;
    let proxy = proxy.unwrap_or_default();
    match error {
        Error::IoError(error) => io_fault(error),
        Error::RustlsCreateConnection(error) => tls_fault(&error.to_string()),
        Error::AddressNotFound => Fault::permanent("the host has no address"),
        Error::BadProxy => Fault::permanent(format!("proxy `{proxy}` refused the connection")),
        Error::ProxyConnect => Fault::transient(format!("proxy `{proxy}` does not respond")),
        Error::InvalidProxyCreds | Error::BadProxyCreds => {
            Fault::permanent(format!("proxy `{proxy}` rejected the credentials"))
        }
        other => Fault::permanent(other.to_string()),
    }
}

fn io_fault(error: &std::io::Error) -> Fault {
    use std::io::ErrorKind;
    let text = error.to_string();
    // Only the text of getaddrinfo(3) tells whether a host name does not
    // exist or could not be looked up.
    if let Some(why) = text.strip_prefix("failed to lookup address information: ") {
        let what = format!("cannot resolve the host name: {why}");
        return match why.contains("emporary failure") {
            true => Fault::transient(what),
            false => Fault::permanent(what),
        };
    }
    match error.kind() {
        // rustls reports bad certificates this way.
        ErrorKind::InvalidData => tls_fault(&text),
        ErrorKind::UnexpectedEof => Fault::transient("the connection broke"),
        _ if text == "invalid dns name" => Fault::permanent("the host name is not valid"),
        _ => Fault::transient(text.split(" (os error ").next().unwrap_or_default()),
    }
}

fn tls_fault(text: &str) -> Fault {
    let unknown = "use `--ca-file FILE` to trust the authority that signed it";
    let (what, hint) = if text.contains("UnknownIssuer") {
        let what = "the server's certificate was not signed by a trusted authority";
        (what.to_owned(), Some(unknown))
    } else if text.contains("No CA certificates were loaded") {
        let what = "no certificate authorities are installed";
        (what.to_owned(), Some(unknown))
    } else if let Some(why) = text.strip_prefix("invalid peer certificate: ") {
        (
            format!("the server's certificate is not valid: {why}"),
            None,
        )
    } else if text.contains("InvalidContentType") {
        ("the server does not speak TLS".to_owned(), None)
    } else {
        (text.to_owned(), None)
    };
    Fault {
        hint,
        ..Fault::permanent(what)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_lasts() {
        for (text, what, hinted) in [
            (
                "invalid peer certificate: UnknownIssuer",
                "the server's certificate was not signed by a trusted authority",
                true,
            ),
            (
                "unexpected error: No CA certificates were loaded from the system",
                "no certificate authorities are installed",
                true,
            ),
            (
                "invalid peer certificate: Expired",
                "the server's certificate is not valid: Expired",
                false,
            ),
            (
                "received corrupt message of type InvalidContentType",
                "the server does not speak TLS",
                false,
            ),
        ] {
            let fault = io_fault(&Error::new(ErrorKind::InvalidData, text));
            assert_eq!(fault.what, what);
            assert!(!fault.transient, "{text}");
            assert_eq!(fault.hint.is_some(), hinted, "{text}");
        }
    }

    #[test]
    fn a_name_that_does_not_exist_is_not_asked_for_again() {
        let fault = |why| {
            let text = format!("failed to lookup address information: {why}");
            io_fault(&Error::other(text))
        };
        let start = "cannot resolve the host name";
        let unknown = Fault::permanent(format!("{start}: Name or service not known"));
        assert_eq!(fault("Name or service not known"), unknown);
        let later = "Temporary failure in name resolution";
        assert_eq!(fault(later), Fault::transient(format!("{start}: {later}")));
    }

    #[test]
    fn what_the_kernel_says_is_said_without_its_number() {
        let refused = rustix::io::Errno::CONNREFUSED.into();
        assert_eq!(io_fault(&refused), Fault::transient("Connection refused"));
    }
}
