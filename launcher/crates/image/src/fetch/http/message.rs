//! Messages of HTTP/1.1 (RFC 9112): writes a request, reads an answer. The
//! only file of this module that knows httparse.
//!
//! An answer that is cut is told from a complete one wherever the protocol
//! allows that (section 8): in the header, by its length, by its last chunk,
//! and, where TLS is spoken, by the end of the connection.

use std::io::{BufRead, Read};

use httparse::{EMPTY_HEADER, ParserConfig, Status};

use crate::fetch::http::fault::Fault;
use crate::fetch::http::headers::Headers;
use sys::size;

/// Largest header of an answer, with those before it, in bytes.
pub(crate) const HEADER: u64 = 64 << 10;

/// Most fields of a header.
const FIELDS: usize = 256;

/// Longest line with the size of a chunk, in bytes.
const CHUNK_LINE: u64 = 4 << 10;

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

/// Writes a request. `target` is a path, a whole URL or an authority, and must
/// not contain blanks or control characters; nor must the fields contain the
/// latter.
pub(crate) fn request<'a>(
    method: &str,
    target: &str,
    fields: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\n");
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// Reads the header of an answer. Those that come before it, such as `103 Early
/// Hints` (RFC 9110, section 15.2), are passed over.
///
/// # Errors
///
/// The connection breaks, or what comes is not HTTP or too long.
pub(crate) fn read_head(input: &mut impl BufRead) -> Result<Head, Fault> {
    let mut left = HEADER;
    loop {
        let head = parse(&read_header(input, &mut left)?)?;
        // We never ask to go on with another protocol, so 101 is an answer.
        if !(100..200).contains(&head.status) || head.status == 101 {
            return Ok(head);
        }
    }
}

/// Reads up to the empty line after a header.
fn read_header(input: &mut impl BufRead, left: &mut u64) -> Result<Vec<u8>, Fault> {
    let mut text = Vec::new();
    loop {
        let start = text.len();
        let count = input.take(*left).read_until(b'\n', &mut text)?;
        *left = left.saturating_sub(count as u64);
        let line = text.get(start..).unwrap_or_default();
        match line {
            _ if !b"HTTP/".iter().zip(&text).all(|(one, other)| one == other) => {
                return Err(Fault::permanent("the server does not speak HTTP"));
            }
            b"\r\n" | b"\n" => return Ok(text),
            [.., b'\n'] => {}
            _ if *left == 0 => {
                let most = size::spell(HEADER);
                let what = format!("the header of the response is larger than {most}");
                return Err(Fault::permanent(what));
            }
            _ => return Err(Fault::transient("the connection broke before an answer")),
        }
    }
}

fn parse(text: &[u8]) -> Result<Head, Fault> {
    let mut fields = [EMPTY_HEADER; FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    // Old and careless servers write such headers, and there is no other
    // message behind this one that could be hidden by it.
    let parsed = ParserConfig::default()
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_multiple_spaces_in_response_status_delimiters(true)
        .ignore_invalid_headers_in_responses(true)
        .parse_response(&mut response, text);
    let (Ok(Status::Complete(_)), Some(status)) = (parsed, response.code) else {
        return Err(Fault::permanent("the response is not valid HTTP"));
    };
    let field = |field: &httparse::Header<'_>| {
        // Bytes above 0x7F are allowed, and mean nothing (RFC 9110, section 5.5).
        let value = String::from_utf8_lossy(field.value).into_owned();
        (field.name.to_ascii_lowercase(), value)
    };
    Ok(Head {
        status,
        reason: response.reason.unwrap_or_default().to_owned(),
        headers: Headers(response.headers.iter().map(field).collect()),
    })
}

/// The body of an answer.
pub(crate) struct BodyReader<R> {
    input: R,
    framing: Framing,
}

/// What marks the end of a body (RFC 9112, section 6.3).
enum Framing {
    /// So many bytes are left.
    Length(u64),
    /// Chunks, with so many bytes left of this one; `None` before the first.
    Chunks(Option<u64>),
    /// The last chunk has been read.
    Ended,
    /// The end of the connection.
    Connection,
}

impl<R: BufRead> BodyReader<R> {
    /// Reads the body behind this header.
    ///
    /// # Errors
    ///
    /// Where it ends is in doubt.
    pub(crate) fn new(input: R, head: &Head) -> Result<Self, Fault> {
        let framing = match (head.status, head.headers.length()) {
            (204 | 304, _) => Framing::Ended,
            (_, Err(why)) => return Err(Fault::permanent(why)),
            (_, Ok(Some(length))) => Framing::Length(length),
            (_, Ok(None)) if head.headers.is_framed() => Framing::Chunks(None),
            (_, Ok(None)) => Framing::Connection,
        };
        Ok(Self { input, framing })
    }

    /// Reads the next bytes; 0 at the end of the body.
    ///
    /// # Errors
    ///
    /// The connection breaks before the end, or a chunk is not valid.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let mut left = match &mut self.framing {
            Framing::Ended | Framing::Length(0) => return Ok(0),
            Framing::Connection => return Ok(read(&mut self.input, buffer)?),
            Framing::Length(left) => *left,
            Framing::Chunks(left) => left.unwrap_or(0),
        };
        if left == 0 {
            left = self.next_chunk()?;
            if left == 0 {
                self.framing = Framing::Ended;
                return Ok(0);
            }
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let length = buffer.len().min(most);
        let count = read(
            &mut self.input,
            buffer.get_mut(..length).unwrap_or_default(),
        )?;
        if count == 0 {
            return Err(Fault::broke());
        }
        let left = left - count as u64;
        self.framing = match self.framing {
            Framing::Chunks(_) => Framing::Chunks(Some(left)),
            _ => Framing::Length(left),
        };
        Ok(count)
    }

    /// Reads the size of the next chunk; 0 for the last one. What follows that,
    /// fields about the document, is not needed.
    fn next_chunk(&mut self) -> Result<u64, Fault> {
        let invalid = || Fault::permanent("the response is not valid HTTP: a chunk has no size");
        if let Framing::Chunks(Some(_)) = self.framing
            && !self.line()?.trim_ascii().is_empty()
        {
            return Err(Fault::permanent(
                "the response is not valid HTTP: a chunk is longer than it says",
            ));
        }
        let line = self.line()?;
        let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let size = size.trim_ascii();
        // `from_str_radix` alone accepts a sign.
        if !size.iter().all(u8::is_ascii_hexdigit) {
            return Err(invalid());
        }
        let size = str::from_utf8(size).map_err(|_| invalid())?;
        u64::from_str_radix(size, 16).map_err(|_| invalid())
    }

    /// Reads a line between chunks.
    fn line(&mut self) -> Result<Vec<u8>, Fault> {
        let mut line = Vec::new();
        let input = &mut self.input;
        input.take(CHUNK_LINE).read_until(b'\n', &mut line)?;
        match line.last() {
            Some(b'\n') => Ok(line),
            _ if line.len() as u64 == CHUNK_LINE => Err(Fault::permanent(
                "the response is not valid HTTP: a chunk has no size",
            )),
            _ => Err(Fault::broke()),
        }
    }
}

/// Reads, also if a signal comes.
fn read(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &str = "HTTP/1.1 200 OK\r\n";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    /// The status and body of an answer, or what is wrong with it.
    fn answer(text: impl AsRef<[u8]>) -> Result<(u16, String), Fault> {
        let mut input = text.as_ref();
        let head = read_head(&mut input)?;
        // In pieces that fit nothing.
        let mut body = BodyReader::new(input, &head)?;
        let (mut whole, mut piece) = (Vec::new(), [0; 3]);
        loop {
            match body.read(&mut piece)? {
                0 => return Ok((head.status, String::from_utf8_lossy(&whole).into_owned())),
                count => whole.extend_from_slice(&piece[..count]),
            }
        }
    }

    fn whole(body: &str) -> Result<(u16, String), Fault> {
        Ok((200, body.to_owned()))
    }

    #[test]
    fn wherever_an_answer_is_cut_that_is_seen() {
        let length = format!("{OK}ETag: \"a\"\r\nContent-Length: 10\r\n\r\n0123456789");
        let chunks = format!("{CHUNKED}4\r\n0123\r\n6;x=y\r\n456789\r\n0\r\nA: b\r\n\r\n");
        // Behind the last chunk, nothing of the document is missing.
        let last = chunks.find("0\r\nA:").expect("it is there") + 3;
        for (text, end) in [(&length, length.len()), (&chunks, last)] {
            for cut in 0..end {
                let fault = answer(&text[..cut]).expect_err(text);
                assert!(fault.transient, "{cut}: {fault:?}");
                assert!(fault.what.starts_with("the connection broke"), "{cut}");
            }
            for cut in end..=text.len() {
                assert_eq!(answer(&text[..cut]), whole("0123456789"), "{cut}");
            }
        }
    }

    #[test]
    fn a_chunk_that_is_none_ends_nothing() {
        for body in [
            "\r\n\r\n",
            "+4\r\n0123\r\n0\r\n\r\n",
            "-1\r\n",
            "x\r\n",
            ";x\r\n",
            "4\r\n01234\r\n0\r\n\r\n",
            "fffffffffffffffff\r\n",
            &"0".repeat(5000),
        ] {
            let fault = answer(format!("{CHUNKED}{body}")).expect_err(body);
            assert!(!fault.transient, "{body:?}: {fault:?}");
        }
    }

    #[test]
    fn early_hints_are_no_answer() {
        let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 7\r\n\r\n";
        let go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        let text = format!("{go_on}{early}{early}{OK}Content-Length: 2\r\n\r\nok");
        assert_eq!(answer(text), whole("ok"));
        let endless = early.repeat(2000);
        let fault = answer(endless).expect_err("too long");
        assert!(!fault.transient, "{fault:?}");
        let switch = format!("HTTP/1.1 101 Switching\r\n\r\n{OK}\r\n");
        assert_eq!(answer(switch).map(|(status, _)| status), Ok(101));
    }

    #[test]
    fn bytes_that_are_no_text_are_no_obstacle() {
        let text = b"HTTP/1.1 200 Gr\xfc\xdfe\r\nX-Disk: M\xfcller\r\nETag: \"\xe4\"\r\n\
                     Content-Length: 2\r\n\r\nok";
        assert_eq!(answer(text), whole("ok"));
        let head = read_head(&mut &text[..]).expect("a header");
        // It could not be sent back as it came.
        assert_eq!(head.headers.validators().etag, None);
    }

    #[test]
    fn a_careless_server_is_understood() {
        for text in [
            "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.0 200  OK\nContent-Length : 2\n\nok",
            "HTTP/1.1 200 OK\r\nno field\r\nX: a\r\n b\r\nCONTENT-LENGTH:2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nServer: x\r\n\r\nok",
        ] {
            assert_eq!(answer(text), whole("ok"), "{text}");
        }
    }

    #[test]
    fn what_is_not_http_is_named_at_its_first_byte() {
        for text in ["SSH-2.0-x\r\n", "<html>", "HTTX", "HTTP/1.1 ok\r\n\r\n"] {
            let fault = answer(text).expect_err(text);
            assert!(!fault.transient && fault.what.contains("HTTP"), "{fault:?}");
        }
        let long = format!("{OK}A: {}", "a".repeat(1 << 17));
        let many = format!("{OK}{}\r\n", "A: b\r\n".repeat(300));
        for text in [long, many] {
            let fault = answer(text).expect_err("too much");
            assert!(!fault.transient, "{fault:?}");
        }
    }

    #[test]
    fn an_answer_without_a_document_has_no_body() {
        let text = "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n";
        assert_eq!(answer(text), Ok((304, String::new())));
    }

    #[test]
    fn a_request_is_written_as_the_rfc_does() {
        let fields = [("Host", "a"), ("Range", "bytes=1-")];
        assert_eq!(
            request("GET", "/a?b", fields),
            b"GET /a?b HTTP/1.1\r\nHost: a\r\nRange: bytes=1-\r\n\r\n"
        );
    }
}
