//! One request and its answer.
//!
//! A large download on a slow line takes longer than any timeout while it makes
//! progress. So a thread reads each answer without a timeout and passes it on
//! through a bounded queue, whose receiver gives up if nothing arrives. An
//! abandoned thread ends with its connection or with the program.

use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::fetch::credentials::Header;
use crate::fetch::http::connect::{self, Connection};
use crate::fetch::http::fault::Fault;
use crate::fetch::http::message::{self, BodyReader, Head};
use crate::fetch::http::plain;
use crate::fetch::http::proxy::Proxy;
use crate::fetch::http::stop::Stop;
use crate::fetch::http::tls::Tls;
use crate::fetch::http::url::Url;
use oci::secret::Secret;

/// Size of the pieces that are passed on, in bytes.
const PIECE: usize = 64 << 10;

/// Length of the queue: enough to overlap reading with other work. It bounds
/// the memory of a download.
const WAITING: usize = 4;

/// A request for a document.
pub(crate) struct Request {
    /// The URL to get.
    pub(crate) url: Url,
    /// Header fields, checked to contain no control characters.
    pub(crate) fields: Vec<(&'static str, String)>,
    /// The field with which we say who we are, if any.
    pub(crate) credentials: Option<Header>,
    /// What is sent.
    pub(crate) sent: Sent,
    /// The proxy, if any.
    pub(crate) proxy: Option<Proxy>,
    /// How TLS is spoken for HTTPS.
    pub(crate) tls: Arc<Tls>,
}

/// What is sent with a request.
#[derive(Clone, Debug)]
pub(crate) enum Sent {
    /// Nothing: a document is got.
    Nothing,
    /// A form is posted.
    Form(Form),
    /// Something else is done.
    Upload(Upload),
}

/// The fields of a form, as `application/x-www-form-urlencoded`.
#[derive(Clone, Debug)]
pub(crate) struct Form(pub(crate) Secret);

/// A request that does not get a document.
#[derive(Clone)]
pub(crate) struct Upload {
    /// `HEAD`, `POST` or `PUT`.
    pub(crate) method: &'static str,
    /// The media type of the content.
    pub(crate) media_type: String,
    /// Its size, in bytes.
    pub(crate) size: u64,
    /// Starts to read it.
    pub(crate) content: Arc<dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync>,
}

impl Upload {
    /// A request without content.
    pub(crate) fn empty(method: &'static str) -> Self {
        Self {
            method,
            media_type: String::new(),
            size: 0,
            content: Arc::new(|| Ok(Box::new(io::empty()))),
        }
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} bytes", self.method, self.size)
    }
}

/// How long to wait for the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// For the connection and the header of the answer.
    pub(crate) head: Duration,
    /// For the next piece of the body.
    pub(crate) idle: Duration,
}

/// How often somebody who waits asks whether to go on.
const ASKED: Duration = Duration::from_millis(100);

/// The body of an answer, piece by piece.
#[derive(Debug)]
pub(crate) struct Body {
    pieces: Receiver<Event>,
    idle: Duration,
    stop: Stop,
}

#[derive(Debug)]
enum Event {
    /// Part of the request was sent.
    Sent,
    Head(Head),
    Piece(Vec<u8>),
    End,
    Fault(Fault),
}

/// Sends a request, and waits for the header of the answer.
pub(crate) fn send(
    request: Request,
    timeouts: Timeouts,
    stop: &Stop,
) -> Result<(Head, Body), Fault> {
    let (sender, pieces) = sync_channel(WAITING);
    std::thread::Builder::new()
        .name("fetch".to_owned())
        .spawn(move || {
            let last = match receive(&request, &sender) {
                Ok(()) => Event::End,
                Err(fault) => Event::Fault(fault),
            };
            // The receiver may be gone.
            let _ = sender.send(last);
        })
        .map_err(|error| Fault::permanent(format!("cannot start a thread: {error}")))?;
    let body = Body {
        pieces,
        idle: timeouts.idle,
        stop: stop.clone(),
    };
    let time = timeouts.head;
    let silent = || format!("the server did not respond within {}", spelled(time));
    loop {
        return match body.wait(time, silent)? {
            Event::Sent => continue,
            Event::Head(head) => Ok((head, body)),
            Event::Fault(fault) => Err(fault),
            Event::Piece(_) | Event::End => Err(Fault::transient("there was no response")),
        };
    }
}

/// Reads an answer to its end, or until the receiver is gone.
fn receive(request: &Request, sender: &SyncSender<Event>) -> Result<(), Fault> {
    let Request { url, proxy, .. } = request;
    if proxy.is_none()
        && matches!(request.sent, Sent::Nothing)
        && plain::suits(url)
        && let Some((head, mut body)) = plain::get(url, fields(request))?
    {
        return forward(head, |piece| body.read(piece), sender);
    }
    let stream = connect::connect(url, proxy.as_ref(), &request.tls)?;
    exchange(stream, request, sender).map_err(|fault| Fault {
        in_tls: url.secure,
        ..fault
    })
}

/// Returns the fields of a request, those that say who we are included.
fn fields(request: &Request) -> impl Iterator<Item = (&str, &str)> + Clone {
    let fields = request.fields.iter();
    let fields = fields.map(|(name, value)| (*name, value.as_str()));
    let secret = request.credentials.iter();
    fields.chain(secret.map(|field| (field.name, field.value.reveal())))
}

/// Sends a request over a connection, and reads the answer.
fn exchange(
    mut stream: Box<dyn Connection>,
    request: &Request,
    sender: &SyncSender<Event>,
) -> Result<(), Fault> {
    let Request { url, proxy, .. } = request;
    // The proxy that forwards a request is told the whole URL (RFC 9112,
    // section 3.2.2), and who we are.
    let forwarding = proxy.as_ref().filter(|_| !url.secure);
    let target = match forwarding {
        Some(_) => url.reveal(),
        None => url.target().to_owned(),
    };
    let login = forwarding.and_then(connect::authorization);
    let login = login
        .as_ref()
        .map(|login| (connect::AUTHORIZATION, login.reveal()));
    let host = url.authority();
    let (method, kind, length) = match &request.sent {
        Sent::Nothing => ("GET", "", 0),
        Sent::Form(Form(form)) => {
            let length = form.reveal().len() as u64;
            ("POST", "application/x-www-form-urlencoded", length)
        }
        Sent::Upload(upload) => (upload.method, &*upload.media_type, upload.size),
    };
    let length = length.to_string();
    let posted = [("Content-Type", kind), ("Content-Length", &length)];
    let has_content = !matches!(method, "GET" | "HEAD");
    let posted = posted
        .into_iter()
        .filter(|(_, value)| has_content && !value.is_empty());
    let fields = std::iter::once(("Host", host.as_str()))
        .chain(fields(request))
        .chain(login)
        .chain(posted);
    stream.write_all(&message::request(method, &target, fields))?;
    let sent = send_content(&mut stream, &request.sent, sender);
    let mut input = BufReader::with_capacity(PIECE, stream);
    // A server may answer before it has read everything.
    let head = match (message::read_head(&mut input), sent) {
        (Err(_), Err(fault)) => return Err(fault),
        (head, _) => head?,
    };
    if method == "HEAD" {
        return forward(head, |_| Ok(0), sender);
    }
    if let (Some(proxy), 407) = (forwarding, head.status) {
        return Err(connect::refusal(proxy, head.status));
    }
    match BodyReader::new(input, &head) {
        Ok(mut body) => forward(head, |piece| body.read(piece), sender),
        // What the answer says otherwise may be worth more.
        Err(fault) => forward(head, |_| Err(fault.clone()), sender),
    }
}

/// Sends what belongs to a request.
fn send_content(
    stream: &mut dyn Write,
    sent: &Sent,
    sender: &SyncSender<Event>,
) -> Result<(), Fault> {
    match sent {
        Sent::Nothing => {}
        Sent::Form(Form(form)) => stream.write_all(form.reveal().as_bytes())?,
        Sent::Upload(upload) => {
            let cannot = |error: io::Error| Fault::permanent(format!("cannot read it: {error}"));
            let mut content = (upload.content)().map_err(cannot)?;
            let mut piece = vec![0; PIECE];
            let mut left = upload.size;
            while left > 0 {
                let most = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
                let count = content.read(&mut piece[..most]).map_err(cannot)?;
                if count == 0 {
                    return Err(Fault::permanent("it is shorter than it was"));
                }
                stream.write_all(&piece[..count])?;
                left -= count as u64;
                if sender.send(Event::Sent).is_err() {
                    return Err(Fault::broke());
                }
            }
        }
    }
    Ok(stream.flush()?)
}

/// Passes an answer on.
fn forward(
    head: Head,
    mut read: impl FnMut(&mut [u8]) -> Result<usize, Fault>,
    sender: &SyncSender<Event>,
) -> Result<(), Fault> {
    if sender.send(Event::Head(head)).is_err() {
        return Ok(());
    }
    loop {
        let mut piece = vec![0; PIECE];
        match read(&mut piece)? {
            0 => return Ok(()),
            length => piece.truncate(length),
        }
        if sender.send(Event::Piece(piece)).is_err() {
            return Ok(());
        }
    }
}

impl Body {
    /// Returns the next piece; `None` at the end.
    pub(crate) fn next(&self) -> Result<Option<Vec<u8>>, Fault> {
        let stalled = || format!("the transfer stalled for {}", spelled(self.idle));
        match self.wait(self.idle, stalled)? {
            Event::Piece(piece) => Ok(Some(piece)),
            Event::Fault(fault) => Err(fault),
            Event::End | Event::Head(_) | Event::Sent => Ok(None),
        }
    }

    fn wait(&self, time: Duration, why: impl Fn() -> String) -> Result<Event, Fault> {
        let begun = Instant::now();
        loop {
            let left = time.saturating_sub(begun.elapsed());
            match self.pieces.recv_timeout(left.min(ASKED)) {
                Ok(event) => return Ok(event),
                Err(RecvTimeoutError::Disconnected) => return Err(Fault::broke()),
                Err(RecvTimeoutError::Timeout) if self.stop.is_stopped() => {
                    return Err(Fault::permanent("nobody waits for it any more"));
                }
                Err(RecvTimeoutError::Timeout) if left > ASKED => {}
                Err(RecvTimeoutError::Timeout) => return Err(Fault::transient(why())),
            }
        }
    }
}

/// `1 second`, `30 seconds`, `0.2 seconds`, `2 minutes`.
pub(crate) fn spelled(time: Duration) -> String {
    let of = |number: f64, unit: &str| match number {
        1.0 => format!("1 {unit}"),
        number => format!("{number} {unit}s"),
    };
    match time.as_secs() {
        whole @ 120.. if time.subsec_nanos() == 0 && whole % 60 == 0 => {
            of(Duration::from_secs(whole / 60).as_secs_f64(), "minute")
        }
        _ => of(time.as_secs_f64(), "second"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_as_people_do() {
        for (millis, text) in [
            (200, "0.2 seconds"),
            (1000, "1 second"),
            (60_000, "60 seconds"),
            (90_000, "90 seconds"),
            (120_000, "2 minutes"),
            (3_600_000, "60 minutes"),
        ] {
            assert_eq!(spelled(Duration::from_millis(millis)), text);
        }
    }
}
