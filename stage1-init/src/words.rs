//! Reads and writes sequences of NUL-terminated words.
//!
//! Every word is already a C string, so the reader returns borrowed [`CStr`]s
//! and copies nothing. Nothing here allocates, and nothing panics, whatever the
//! bytes are.

use core::ffi::CStr;

/// A reader over words: those that are left, and how many were read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Words<'a> {
    rest: &'a [u8],
    taken: usize,
}

impl<'a> Words<'a> {
    /// Starts reading at the first of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            taken: 0,
        }
    }

    /// Returns how many words have been read: the position, counted from zero,
    /// of the word that [`Self::next`] would return.
    pub const fn position(&self) -> usize {
        self.taken
    }

    /// Returns the bytes that are left.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Tells whether no bytes are left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads the next word; returns `None` if no NUL byte follows.
    #[expect(
        clippy::should_implement_trait,
        reason = "an Iterator would hide that `None` also means an unterminated word"
    )]
    pub fn next(&mut self) -> Option<&'a CStr> {
        let word = CStr::from_bytes_until_nul(self.rest).ok()?;
        self.rest = self.rest.get(word.to_bytes_with_nul().len()..)?;
        self.taken = self.taken.saturating_add(1);
        Some(word)
    }

    /// Reads the next `count` words as a list; returns `None` if there are
    /// fewer.
    pub fn take(&mut self, count: usize) -> Option<WordList<'a>> {
        let first = *self;
        for _ in 0..count {
            self.next()?;
        }
        let length = first.rest.len().checked_sub(self.rest.len())?;
        Some(WordList {
            bytes: first.rest.get(..length)?,
            count,
        })
    }
}

/// A list of words, such as an argv: borrowed, counted and complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WordList<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl<'a> WordList<'a> {
    /// Returns the NUL-terminated words in `bytes` as a list, or `None` if the
    /// last of them is not terminated.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        if bytes.last().is_some_and(|&byte| byte != 0) {
            return None;
        }
        let count = bytes.iter().filter(|&&byte| byte == 0).count();
        Some(Self { bytes, count })
    }

    /// Returns the number of words.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Tells whether there are no words.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the words as they are in memory, including NUL bytes.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns an iterator over the words.
    pub fn iter(&self) -> impl Iterator<Item = &'a CStr> + use<'a> {
        let mut words = Words::new(self.bytes);
        core::iter::from_fn(move || words.next())
    }
}

/// Where encoded words are written.
///
/// Any `FnMut(&[u8])` is a sink: `|bytes| vec.extend_from_slice(bytes)` encodes
/// into memory, although this crate does not know an allocator.
pub trait Sink {
    /// Appends bytes; a NUL byte ends a word.
    fn write(&mut self, bytes: &[u8]);
}

impl<F: FnMut(&[u8])> Sink for F {
    fn write(&mut self, bytes: &[u8]) {
        self(bytes);
    }
}

/// Decimal digits of a number.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    digits: [u8; 11],
    first: usize,
}

impl Decimal {
    /// Formats a number, with a NUL byte at the end.
    pub fn new(number: u32) -> Self {
        let mut spelled = Self {
            digits: [0; 11],
            first: 10,
        };
        let mut rest = number;
        loop {
            spelled.first -= 1;
            let [digit, ..] = (rest % 10).to_le_bytes();
            if let Some(place) = spelled.digits.get_mut(spelled.first) {
                *place = b'0' + digit;
            }
            rest /= 10;
            if rest == 0 {
                return spelled;
            }
        }
    }

    /// Returns the digits as a word.
    pub fn as_c_str(&self) -> &CStr {
        let word = self.digits.get(self.first..).unwrap_or(&[]);
        CStr::from_bytes_with_nul(word).unwrap_or_default()
    }

    /// Returns the digits.
    pub fn as_bytes(&self) -> &[u8] {
        self.digits
            .get(self.first..self.digits.len() - 1)
            .unwrap_or(&[])
    }
}

/// Appends `number` in the given base (at most ten), without a terminator.
pub(crate) fn write_number(sink: &mut dyn Sink, number: u64, base: u64) {
    let mut digits = [0_u8; 64];
    let mut rest = number;
    let mut first = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % base).unwrap_or(0);
        rest /= base;
        first -= 1;
        if rest == 0 {
            break;
        }
    }
    sink.write(digits.get(first..).unwrap_or(&[]));
}

/// Parses a whole word as an unsigned number: digits of `base` only, at least
/// one, without sign, blanks or overflow.
pub(crate) fn read_digits(word: &[u8], base: u64) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0_u64, |number, &byte| {
        let digit = u64::from(byte.checked_sub(b'0')?);
        if digit >= base {
            return None;
        }
        number.checked_mul(base)?.checked_add(digit)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_anything_but_digits_are_refused() {
        for word in [
            "",
            "+1",
            "-1",
            " 1",
            "1 ",
            "0x1",
            "1e3",
            "18446744073709551616",
        ] {
            assert_eq!(read_digits(word.as_bytes(), 10), None, "{word}");
        }
        assert_eq!(read_digits(b"8", 8), None);
    }

    #[test]
    fn numbers_survive_the_round_trip() {
        for number in [0, 1, 7, 8, 9, 10, 0o755, u64::MAX] {
            for base in [8, 10] {
                let mut bytes = Vec::new();
                write_number(
                    &mut |part: &[u8]| bytes.extend_from_slice(part),
                    number,
                    base,
                );
                assert_eq!(read_digits(&bytes, base), Some(number));
            }
        }
    }

    #[test]
    fn a_word_without_its_nul_is_no_word() {
        let mut words = Words::new(b"one\0two");
        assert_eq!(words.next().unwrap(), c"one");
        assert!(words.next().is_none());
        assert!(!words.is_empty());
    }

    #[test]
    fn a_list_takes_exactly_its_words() {
        let mut words = Words::new(b"a\0\0c\0rest\0");
        let list = words.take(3).unwrap();
        assert!(list.iter().eq([c"a", c"", c"c"]));
        assert_eq!(words.next().unwrap(), c"rest");
        assert!(words.take(1).is_none());
    }
}
