//! The kinds of operand a directive can have: how each is read from its words
//! and written back, and nothing about what it does.
//!
//! Reading is strict (no signs, blanks or unknown words), and whatever is
//! written reads back as the same value.

use core::ffi::CStr;

use crate::words::{Sink, WordList, Words, read_number, write_number};

/// Why an operand could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Missing,
    NotANumber,
    UnknownWord,
    Empty,
}

/// Something that is spelled as one word, or as a count and that many words.
pub(crate) trait Operand<'a>: Sized {
    fn read(words: &mut Words<'a>) -> Result<Self, Unreadable>;
    fn write(&self, sink: &mut dyn Sink);
}

/// Takes the next word, whatever it is.
pub(crate) fn word<'a>(words: &mut Words<'a>) -> Result<&'a CStr, Unreadable> {
    words.next().ok_or(Unreadable::Missing)
}

/// Any word: a path, a name, a value. It may be empty.
impl<'a> Operand<'a> for &'a CStr {
    fn read(words: &mut Words<'a>) -> Result<Self, Unreadable> {
        word(words)
    }

    fn write(&self, sink: &mut dyn Sink) {
        sink.write(self.to_bytes_with_nul());
    }
}

impl Operand<'_> for u32 {
    fn read(words: &mut Words<'_>) -> Result<Self, Unreadable> {
        let number = read_number(word(words)?.to_bytes(), 10);
        number
            .and_then(|number| Self::try_from(number).ok())
            .ok_or(Unreadable::NotANumber)
    }

    fn write(&self, sink: &mut dyn Sink) {
        write_number(sink, u64::from(*self), 10);
        sink.write(b"\0");
    }
}

/// A signed number: an optional `-`, then decimal digits.
impl Operand<'_> for i32 {
    fn read(words: &mut Words<'_>) -> Result<Self, Unreadable> {
        let word = word(words)?.to_bytes();
        let number = match word.strip_prefix(b"-") {
            Some(digits) => read_number(digits, 10)
                .and_then(|number| i64::try_from(number).ok())
                .filter(|&number| number != 0)
                .map(|number| -number),
            None => read_number(word, 10).and_then(|number| i64::try_from(number).ok()),
        };
        number
            .and_then(|number| Self::try_from(number).ok())
            .ok_or(Unreadable::NotANumber)
    }

    fn write(&self, sink: &mut dyn Sink) {
        if *self < 0 {
            sink.write(b"-");
        }
        write_number(sink, u64::from(self.unsigned_abs()), 10);
        sink.write(b"\0");
    }
}

/// A file mode: octal digits, at most `7777`, with or without a leading zero
/// on reading; four digits on writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl Operand<'_> for Mode {
    fn read(words: &mut Words<'_>) -> Result<Self, Unreadable> {
        read_number(word(words)?.to_bytes(), 8)
            .and_then(|number| u32::try_from(number).ok())
            .filter(|&mode| mode <= 0o7777)
            .map(Self)
            .ok_or(Unreadable::NotANumber)
    }

    fn write(&self, sink: &mut dyn Sink) {
        for (below, zeros) in [(0o10, 3), (0o100, 2), (0o1000, 1)] {
            if self.0 < below {
                sink.write(b"000".get(..zeros).unwrap_or(b""));
                break;
            }
        }
        write_number(sink, u64::from(self.0), 8);
        sink.write(b"\0");
    }
}

/// One side of a resource limit: a number, or `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub Option<u64>);

impl Operand<'_> for Limit {
    fn read(words: &mut Words<'_>) -> Result<Self, Unreadable> {
        match word(words)?.to_bytes() {
            b"unlimited" => Ok(Self(None)),
            // RLIM_INFINITY has one spelling only.
            digits => read_number(digits, 10)
                .filter(|&number| number != u64::MAX)
                .map(|number| Self(Some(number)))
                .ok_or(Unreadable::NotANumber),
        }
    }

    fn write(&self, sink: &mut dyn Sink) {
        match self.0 {
            None => sink.write(b"unlimited"),
            Some(number) => write_number(sink, number, 10),
        }
        sink.write(b"\0");
    }
}

/// A command: a count, then that many words. At least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argv<'a>(pub WordList<'a>);

impl<'a> Operand<'a> for Argv<'a> {
    fn read(words: &mut Words<'a>) -> Result<Self, Unreadable> {
        let count = u32::read(words)?;
        if count == 0 {
            return Err(Unreadable::Empty);
        }
        let count = usize::try_from(count).map_err(|_| Unreadable::Missing)?;
        words.take(count).map(Self).ok_or(Unreadable::Missing)
    }

    fn write(&self, sink: &mut dyn Sink) {
        write_number(sink, self.0.len() as u64, 10);
        sink.write(b"\0");
        sink.write(self.0.as_bytes());
    }
}

/// Group ids: a count, then that many numbers. It may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups<'a>(WordList<'a>);

impl<'a> Groups<'a> {
    /// Takes a list of words that are all numbers, or returns `None`.
    pub fn new(words: WordList<'a>) -> Option<Self> {
        let all_numbers = words
            .iter()
            .all(|word| u32::read(&mut Words::new(word.to_bytes_with_nul())).is_ok());
        all_numbers.then_some(Self(words))
    }

    /// Returns how many groups there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the ids in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.0
            .iter()
            .filter_map(|word| u32::read(&mut Words::new(word.to_bytes_with_nul())).ok())
    }
}

impl<'a> Operand<'a> for Groups<'a> {
    fn read(words: &mut Words<'a>) -> Result<Self, Unreadable> {
        let count = u32::read(words)?;
        let count = usize::try_from(count).map_err(|_| Unreadable::Missing)?;
        let list = words.take(count).ok_or(Unreadable::Missing)?;
        Self::new(list).ok_or(Unreadable::NotANumber)
    }

    fn write(&self, sink: &mut dyn Sink) {
        write_number(sink, self.0.len() as u64, 10);
        sink.write(b"\0");
        sink.write(self.0.as_bytes());
    }
}

/// The name of an app: letters, digits, `.`, `_` and `-`, at least one, so
/// that it stands as one word in a report line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppName<'a>(&'a CStr);

impl<'a> AppName<'a> {
    /// Takes a word that is a name, or returns `None`.
    pub fn new(word: &'a CStr) -> Option<Self> {
        let bytes = word.to_bytes();
        let named = bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
        (named && !bytes.is_empty()).then_some(Self(word))
    }

    /// Returns the name.
    pub const fn as_c_str(&self) -> &'a CStr {
        self.0
    }
}

impl<'a> Operand<'a> for AppName<'a> {
    fn read(words: &mut Words<'a>) -> Result<Self, Unreadable> {
        Self::new(word(words)?).ok_or(Unreadable::UnknownWord)
    }

    fn write(&self, sink: &mut dyn Sink) {
        sink.write(self.0.to_bytes_with_nul());
    }
}
