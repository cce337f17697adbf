//! Records, as `stage1-init` appends them to the log of an app.
//!
//! ```text
//! SECONDS.NANOSECONDS TAG LENGTH\n      since 1970; nine digits; `out`, `err` or `tty`
//! LENGTH bytes, as the app wrote them
//! ```
//!
//! A full disk truncates a record, a power failure leaves zeros or nothing, and
//! worn-out flash changes bytes. So a length is trusted only if the head of
//! another record, or the end, follows. Otherwise, the record ends at the next
//! head; and whatever is not a record is skipped up to the next head. Damage
//! never hides more than it hit.
//!
//! # Invariants
//!
//! 1. Any input is consumed to its end, at least one byte at a time, without a
//!    panic.
//! 2. In an undamaged log, nothing that an app wrote can be taken for a head.

/// The longest record: far more than one read(2) of stage1-init returns.
pub const LONGEST: usize = 64 * 1024;

/// The longest head: `9999999999.999999999 out 65536` and a line break.
pub const HEAD: usize = 31;

/// The last second that a record can have. With one more digit, the rest of a
/// truncated number could be joined to a complete one.
const LAST: u64 = 9_999_999_999;

/// The stream that an app wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
    /// The terminal.
    Terminal,
}

impl Stream {
    /// Returns its tag in a record.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Err => "err",
            Self::Terminal => "tty",
        }
    }

    /// Returns its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Out => "stdout",
            Self::Err => "stderr",
            Self::Terminal => "tty",
        }
    }
}

/// Something that an app wrote at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// The stream.
    pub stream: Stream,
    /// The data; at least one byte.
    pub data: &'a [u8],
}

/// What was found at the start of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken<'a> {
    /// A record, and its length in bytes.
    Record(Record<'a>, usize),
    /// This many bytes that are not a record.
    Damage(usize),
    /// There are too few bytes to tell.
    More,
}

/// Parses the start of `bytes`; `last` says that no more follow. With [`HEAD`]
/// more bytes than the longest record, or with the last ones, the result is
/// never [`Taken::More`]; with no bytes it always is.
pub fn take(bytes: &[u8], last: bool) -> Taken<'_> {
    if bytes.is_empty() {
        return Taken::More;
    }
    match head(bytes) {
        Head::Partial if !last => Taken::More,
        Head::Partial | Head::None => Taken::Damage(until_head(bytes, last)),
        Head::Whole(head) => take_data(bytes, &head, last),
    }
}

fn take_data<'a>(bytes: &'a [u8], head: &Parsed, last: bool) -> Taken<'a> {
    let Some((_, behind)) = bytes.split_at_checked(head.size) else {
        return Taken::More;
    };
    let length = match behind.get(head.length..) {
        None if !last => return Taken::More,
        // Truncated: by the end, or by other records that follow.
        None => first_head(behind, behind.len()),
        Some(after) => match self::head(after) {
            // With fewer digits it may be the tail of a head, and its length
            // leads nowhere.
            Head::Whole(next) if next.digits >= head.digits => head.length,
            _ if after.is_empty() => head.length,
            // A head could start in these bytes and end in those to come.
            _ if after.len() < HEAD && !last => return Taken::More,
            _ => first_head(behind, head.length),
        },
    };
    let data = behind.get(..length).unwrap_or(behind);
    let size = head.size + data.len();
    match data {
        [] => Taken::Damage(size),
        data => Taken::Record(
            Record {
                time: head.time,
                stream: head.stream,
                data,
            },
            size,
        ),
    }
}

/// The first line of a record.
struct Parsed {
    time: u64,
    /// The number of digits of its seconds.
    digits: usize,
    stream: Stream,
    length: usize,
    /// Its own length in bytes.
    size: usize,
}

enum Head {
    Whole(Parsed),
    /// Could become a head with more bytes.
    Partial,
    None,
}

/// Parses a head at the start.
fn head(bytes: &[u8]) -> Head {
    let within = bytes.get(..HEAD).unwrap_or(bytes);
    if !within.first().is_some_and(u8::is_ascii_digit) {
        return Head::None;
    }
    match within.iter().position(|&byte| byte == b'\n') {
        Some(end) => parse(&within[..end]).map_or(Head::None, Head::Whole),
        None if bytes.len() < HEAD && is_beginning(bytes) => Head::Partial,
        None => Head::None,
    }
}

fn parse(line: &[u8]) -> Option<Parsed> {
    let size = line.len() + 1;
    let line = std::str::from_utf8(line).ok()?;
    let (time, rest) = line.split_once(' ')?;
    let (tag, length) = rest.split_once(' ')?;
    let (seconds, nanoseconds) = time.split_once('.')?;
    let nanoseconds = (nanoseconds.len() == 9).then(|| digits(nanoseconds))??;
    let whole = number(seconds).filter(|&seconds| seconds <= LAST)?;
    let streams = [Stream::Out, Stream::Err, Stream::Terminal];
    let stream = streams.into_iter().find(|stream| stream.tag() == tag)?;
    let length = usize::try_from(number(length)?).ok()?;
    (1..=LONGEST).contains(&length).then_some(Parsed {
        time: whole * 1_000_000_000 + nanoseconds,
        digits: seconds.len(),
        stream,
        length,
        size,
    })
}

/// Parses a number in its shortest form.
fn number(text: &str) -> Option<u64> {
    match text {
        "0" => Some(0),
        text if text.starts_with('0') => None,
        text => digits(text),
    }
}

fn digits(text: &str) -> Option<u64> {
    let all = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| all)
}

/// Returns whether bytes without a line break could become a head.
fn is_beginning(bytes: &[u8]) -> bool {
    let mut fields = bytes.split(|&byte| byte == b' ');
    let time = fields.next().unwrap_or_default();
    let is_time = time
        .iter()
        .all(|&byte| byte.is_ascii_digit() || byte == b'.');
    let is_tag = fields.next().is_none_or(|tag| {
        [Stream::Out, Stream::Err, Stream::Terminal]
            .iter()
            .any(|stream| stream.tag().as_bytes().starts_with(tag))
    });
    let length = fields.next().unwrap_or_default();
    let is_length = length.iter().all(u8::is_ascii_digit);
    is_time && is_tag && is_length && fields.next().is_none()
}

/// Returns the number of bytes before the next head, or what could become one;
/// at least one.
fn until_head(bytes: &[u8], last: bool) -> usize {
    (1..bytes.len())
        .find(|&at| match head(&bytes[at..]) {
            Head::Whole(_) => true,
            Head::Partial => !last,
            Head::None => false,
        })
        .unwrap_or(bytes.len())
}

/// Returns the number of bytes before the first head that starts within this
/// many.
fn first_head(bytes: &[u8], within: usize) -> usize {
    (0..within)
        .find(|&at| matches!(head(&bytes[at..]), Head::Whole(_)))
        .unwrap_or(within)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
#[path = "record_tests.rs"]
mod tests;
