//! Serves the metadata of a pod to its apps, with as little of HTTP as that
//! takes.
//!
//! The apps are not trusted. One thread holds a bounded number of connections,
//! each with a bounded request and a deadline; when all are taken, a new
//! connection replaces the oldest. So a slow client or a flood can keep nobody
//! waiting, and costs no memory. A connection answers one request.
//!
//! The processor time this takes does not count towards the pod's limit. It is
//! kept so small that this does not matter; clients that want more have to
//! wait.
//!
//! The only file that knows httparse.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::runtime::metadata::{Request, Response};
use crate::runtime::throttle::Throttle;
use error::{Context as _, Result};

/// The most connections at a time.
const CONNECTIONS: usize = 32;

/// The longest head of a request, in bytes, and the most header lines.
const HEAD: usize = 8 << 10;
const HEADERS: usize = 64;

/// The longest body of a request, in bytes.
const BODY: usize = 64 << 10;

/// How long a connection may take from its first byte to its last.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long the server keeps running without requests.
const IDLE: Duration = Duration::from_secs(10);

/// Turns a request into a response.
type Answer<'a> = &'a dyn Fn(Request<'_>) -> Response;

/// Answers requests until there have been none for a while.
///
/// # Errors
///
/// Fails if the listening socket does.
pub fn serve(listener: &TcpListener, answer: Answer<'_>) -> Result<()> {
    let mut pace = Throttle::begin();
    serve_for(listener, answer, IDLE, &mut || pace.keep())
}

fn serve_for(
    listener: &TcpListener,
    answer: Answer<'_>,
    idle: Duration,
    pause: &mut dyn FnMut(),
) -> Result<()> {
    let what = || "cannot serve the pod's metadata";
    listener.set_nonblocking(true).context(what)?;
    let mut connections: Vec<Connection> = Vec::new();
    let mut busy = Instant::now();
    loop {
        pause();
        let now = Instant::now();
        connections.retain(|connection| connection.until > now);
        if connections.is_empty() && now.duration_since(busy) >= idle {
            return Ok(());
        }
        let ready = wait(listener, &connections, busy + idle, now).context(what)?;
        let mut ready = ready.into_iter();
        if ready.next() == Some(true) && accept(listener, &mut connections) {
            busy = Instant::now();
        }
        // Connections that were just accepted have not been polled.
        let mut going = Vec::with_capacity(connections.len());
        for mut connection in connections {
            if !ready.next().unwrap_or(false) || connection.goes_on(answer) {
                going.push(connection);
            }
        }
        connections = going;
    }
}

/// Waits for the listener or a connection, or for the next deadline; returns
/// which are ready, the listener first.
fn wait(
    listener: &TcpListener,
    connections: &[Connection],
    idle: Instant,
    now: Instant,
) -> std::io::Result<Vec<bool>> {
    let deadlines = connections.iter().map(|connection| connection.until);
    let next = deadlines.min().unwrap_or(idle);
    let patience = next.saturating_duration_since(now) + Duration::from_millis(1);
    let patience = Timespec {
        tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: patience.subsec_nanos().into(),
    };
    let mut fds = vec![PollFd::new(listener, PollFlags::IN)];
    fds.extend(connections.iter().map(|connection| {
        let wanted = match connection.answer.is_empty() {
            true => PollFlags::IN,
            false => PollFlags::OUT,
        };
        PollFd::from_borrowed_fd(connection.stream.as_fd(), wanted)
    }));
    match poll(&mut fds, Some(&patience)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect())
}

/// Accepts the next connection; returns whether there was one. No error ends
/// the server: it would only be started again for the next client.
fn accept(listener: &TcpListener, connections: &mut Vec<Connection>) -> bool {
    let accepted = listener.accept();
    // If the limit is reached, or the kernel has no room for another, closing
    // the oldest connection makes room.
    let full = match &accepted {
        Ok(_) => connections.len() == CONNECTIONS,
        Err(error) => !is_patience(error),
    };
    if full && !connections.is_empty() {
        connections.remove(0);
    }
    let Ok((stream, _)) = accepted else {
        return false;
    };
    if stream.set_nonblocking(true).is_ok() {
        connections.push(Connection {
            stream,
            until: Instant::now() + DEADLINE,
            request: Vec::new(),
            answer: Vec::new(),
        });
    }
    true
}

/// A connection and its progress.
struct Connection {
    stream: TcpStream,
    until: Instant,
    request: Vec<u8>,
    /// What is still to be sent; empty as long as the request is incomplete.
    answer: Vec<u8>,
}

impl Connection {
    /// Does what can be done without blocking; returns whether there is more to
    /// do.
    fn goes_on(&mut self, answer: Answer<'_>) -> bool {
        if self.answer.is_empty() {
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => self.request.extend_from_slice(&buffer[..count]),
                Err(error) => return is_patience(&error),
            }
            match understand(&self.request, answer) {
                Some(answer) => self.answer = answer,
                None => return true,
            }
        }
        match self.stream.write(&self.answer) {
            Ok(0) => false,
            Ok(count) => {
                self.answer.drain(..count);
                !self.answer.is_empty()
            }
            Err(error) => is_patience(&error),
        }
    }
}

fn is_patience(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Parses a request, as far as it has arrived; returns the bytes of the
/// response when it is complete or invalid.
fn understand(bytes: &[u8], answer: Answer<'_>) -> Option<Vec<u8>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD => length,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD => return None,
        Ok(_) => {
            return Some(spell(
                &Response::refusal(431, "the request head is too long"),
                true,
            ));
        }
        Err(_) => {
            return Some(spell(
                &Response::refusal(400, "the request is malformed"),
                true,
            ));
        }
    };
    let header = |name: &str| {
        let mut found = request.headers.iter();
        let found = found.find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    if header("Transfer-Encoding").is_some() {
        let refusal = Response::refusal(411, "`Content-Length` is required");
        return Some(spell(&refusal, true));
    }
    let length = match header("Content-Length").map(|length| length.trim().parse::<usize>()) {
        None => 0,
        Some(Ok(length)) if length <= BODY => length,
        Some(Ok(_)) => {
            return Some(spell(
                &Response::refusal(413, "the request body is too long"),
                true,
            ));
        }
        Some(Err(_)) => {
            return Some(spell(
                &Response::refusal(400, "`Content-Length` is malformed"),
                true,
            ));
        }
    };
    let body = bytes.get(head..head + length)?;
    let method = request.method.unwrap_or_default();
    let answer = answer(Request {
        method,
        path: request.path.unwrap_or_default(),
        body,
    });
    Some(spell(&answer, method != "HEAD"))
}

fn spell(response: &Response, with_body: bool) -> Vec<u8> {
    let reason = match response.status {
        200 => "OK",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        411 => "Length Required",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Bad Request",
    };
    let mut bytes = format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        response.status,
        response.media,
        response.body.len()
    )
    .into_bytes();
    if with_body {
        bytes.extend_from_slice(&response.body);
    }
    bytes
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
