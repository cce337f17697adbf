//! Records, as `stage1-init` appends them to the log of an app.
//!
//! ```text
//! SECONDS.NANOSECONDS TAG LENGTH\n      since 1970; nine digits; `out`, `err` or `tty`
//! LENGTH bytes, as the app wrote them
//! ```
//!
//! A disk that is full cuts a record, a power cut leaves zeros or nothing, and
//! a flash that wears out changes bytes. So a length is believed only if what
//! it leads to is the head of a record, or the end. If it is neither, the
//! record ends where the next head stands; and what is no record at all is
//! passed over, up to the next head. No damage hides more than it hit.
//!
//! # Invariants
//!
//! 1. Any bytes are taken to their end, in steps of at least one, and nothing
//!    panics.
//! 2. Of a log that is whole no byte that an app wrote can be taken for a head.

/// Longest record: far more than one read(2) of stage1-init's brings.
pub const LONGEST: usize = 64 * 1024;

/// Longest head: `9999999999.999999999 out 65536` and a line break.
pub const HEAD: usize = 31;

/// Last second that a record can be of: with a digit more, what is left of a
/// number that was cut could stand before a whole one.
const LAST: u64 = 9_999_999_999;

/// How an app wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// To its standard output.
    Out,
    /// To its standard error.
    Err,
    /// To its terminal.
    Terminal,
}

impl Stream {
    /// Returns the word for it in a record.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Err => "err",
            Self::Terminal => "tty",
        }
    }

    /// Returns what people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Out => "stdout",
            Self::Err => "stderr",
            Self::Terminal => "tty",
        }
    }
}

/// What an app wrote at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// Where to.
    pub stream: Stream,
    /// What; at least one byte.
    pub data: &'a [u8],
}

/// What stands at the beginning of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken<'a> {
    /// A record, and the number of bytes that it takes.
    Record(Record<'a>, usize),
    /// So many bytes that are none.
    Damage(usize),
    /// Not enough to tell.
    More,
}

/// Takes what stands at the beginning of `bytes`; `last` says that none will
/// follow them. For [`HEAD`] more bytes than the longest record has, and for
/// the last ones, there is always an answer; for none, [`Taken::More`].
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
        // Cut: by the end, or by other records that follow.
        None => first_head(behind, behind.len()),
        Some(after) => match self::head(after) {
            // With fewer digits it may be the end of one, which leads nowhere.
            Head::Whole(next) if next.digits >= head.digits => head.length,
            _ if after.is_empty() => head.length,
            // A head could begin in what is there, and end in what is not.
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
    /// How many its seconds have.
    digits: usize,
    stream: Stream,
    length: usize,
    /// How many bytes it has itself.
    size: usize,
}

enum Head {
    Whole(Parsed),
    /// What is there could become one.
    Partial,
    None,
}

/// Looks for a head at the beginning.
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

/// Reads a number as it is written: with no more digits than it needs.
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

/// Tells whether bytes without a line break could become a head.
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

/// Returns how many bytes stand before the next head, or before what could
/// become one; at least one.
fn until_head(bytes: &[u8], last: bool) -> usize {
    (1..bytes.len())
        .find(|&at| match head(&bytes[at..]) {
            Head::Whole(_) => true,
            Head::Partial => !last,
            Head::None => false,
        })
        .unwrap_or(bytes.len())
}

/// Returns how many bytes stand before the first head that begins in so many.
fn first_head(bytes: &[u8], within: usize) -> usize {
    (0..within)
        .find(|&at| matches!(head(&bytes[at..]), Head::Whole(_)))
        .unwrap_or(within)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
#[path = "record_tests.rs"]
mod tests;
