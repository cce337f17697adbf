//! The kinds of operand that a directive can have: how they are read from words
//! and written back.
//!
//! Reading is strict (no signs, blanks or unknown words), and whatever is
//! written reads back as the same value.

use core::ffi::CStr;

use crate::fault::FaultKind;
use crate::packed;
use crate::words::{Sink, WordList, Words, read_digits, write_number};

/// An operand: one word, or a count and that many words.
pub(crate) trait Operand<'a>: Sized {
    /// Reads it. The value means something only if [`Operands::finish`]
    /// succeeds.
    fn read(operands: &mut Operands<'a, '_>) -> Self;
    fn write(&self, sink: &mut dyn Sink);
}

/// The operands of one directive, while they are read.
///
/// After the first fault, it reads no more words and returns meaningless
/// values, so that a caller checks for a fault once, at the end.
pub(crate) struct Operands<'a, 'w> {
    words: &'w mut Words<'a>,
    fault: Option<FaultKind>,
}

impl<'a, 'w> Operands<'a, 'w> {
    pub(crate) fn new(words: &'w mut Words<'a>) -> Self {
        Self { words, fault: None }
    }

    /// Returns the first fault, if there was one.
    pub(crate) fn finish(&self) -> Result<(), FaultKind> {
        self.fault.map_or(Ok(()), Err)
    }

    #[cold]
    pub(crate) fn fail(&mut self, kind: FaultKind) {
        self.fault = self.fault.or(Some(kind));
    }

    /// Reads the next word.
    #[inline(never)]
    pub(crate) fn word(&mut self) -> &'a CStr {
        if self.fault.is_none() {
            if let Some(word) = self.words.next() {
                return word;
            }
            self.fail(FaultKind::MissingOperand);
        }
        c""
    }

    /// Reads the digits of a number that is at most `most`.
    #[inline(never)]
    fn digits(&mut self, digits: &[u8], base: u64, most: u64) -> u64 {
        match read_digits(digits, base) {
            Some(number) if number <= most => number,
            _ => {
                self.fail(FaultKind::NotANumber);
                0
            }
        }
    }

    /// Reads a word of a packed table, and returns its place there.
    #[inline(never)]
    pub(crate) fn choice(&mut self, names: &'static [u8]) -> usize {
        let word = self.word().to_bytes();
        packed::position(names, word).unwrap_or_else(|| {
            self.fail(FaultKind::UnknownWord);
            0
        })
    }

    /// Reads words of a packed table, separated by commas, and returns their
    /// places as bits.
    #[inline(never)]
    pub(crate) fn members(&mut self, word: &[u8], names: &'static [u8]) -> u64 {
        let mut bits = 0;
        if word.is_empty() {
            return bits;
        }
        for name in word.split(|&byte| byte == b',') {
            match packed::position(names, name) {
                Some(bit) => bits |= 1 << bit,
                None => self.fail(FaultKind::UnknownWord),
            }
        }
        bits
    }

    /// Reads a count, and that many words.
    #[inline(never)]
    fn list(&mut self) -> WordList<'a> {
        let count = u32::read(self);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if self.fault.is_none() {
            match self.words.take(count) {
                Some(list) => return list,
                None => self.fail(FaultKind::MissingOperand),
            }
        }
        WordList::default()
    }
}

/// Any word: a path, a name, a value. May be empty.
impl<'a> Operand<'a> for &'a CStr {
    fn read(operands: &mut Operands<'a, '_>) -> Self {
        operands.word()
    }

    fn write(&self, sink: &mut dyn Sink) {
        sink.write(self.to_bytes_with_nul());
    }
}

/// A number of 32 bits, except the highest: the kernel takes that for no id,
/// and does not change an id that was to be set.
impl Operand<'_> for u32 {
    #[inline(never)]
    fn read(operands: &mut Operands<'_, '_>) -> Self {
        let word = operands.word().to_bytes();
        let number = operands.digits(word, 10, u64::from(Self::MAX) - 1);
        Self::try_from(number).unwrap_or_default()
    }

    fn write(&self, sink: &mut dyn Sink) {
        write_number(sink, u64::from(*self), 10);
        sink.write(b"\0");
    }
}

/// The number of ids in a map; the maximum means all ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub u32);

impl Operand<'_> for Count {
    fn read(operands: &mut Operands<'_, '_>) -> Self {
        let word = operands.word().to_bytes();
        let number = operands.digits(word, 10, u32::MAX.into());
        Self(u32::try_from(number).unwrap_or_default())
    }

    fn write(&self, sink: &mut dyn Sink) {
        self.0.write(sink);
    }
}

/// A signed number: an optional `-`, then decimal digits.
impl Operand<'_> for i32 {
    fn read(operands: &mut Operands<'_, '_>) -> Self {
        let word = operands.word().to_bytes();
        let digits = word.strip_prefix(b"-");
        let most = u64::from(Self::MAX.unsigned_abs()) + u64::from(digits.is_some());
        let number = operands.digits(digits.unwrap_or(word), 10, most);
        if number == 0 && digits.is_some() {
            operands.fail(FaultKind::NotANumber);
        }
        let number = i64::try_from(number).unwrap_or_default();
        let number = if digits.is_some() { -number } else { number };
        Self::try_from(number).unwrap_or_default()
    }

    fn write(&self, sink: &mut dyn Sink) {
        if *self < 0 {
            sink.write(b"-");
        }
        write_number(sink, u64::from(self.unsigned_abs()), 10);
        sink.write(b"\0");
    }
}

/// A file mode: octal digits, at most `7777`. Leading zeros are optional when
/// it is read; it is written with four digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl Operand<'_> for Mode {
    #[inline(never)]
    fn read(operands: &mut Operands<'_, '_>) -> Self {
        let word = operands.word().to_bytes();
        let number = operands.digits(word, 8, 0o7777);
        Self(u32::try_from(number).unwrap_or_default())
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
    fn read(operands: &mut Operands<'_, '_>) -> Self {
        let word = operands.word();
        if word == c"unlimited" {
            return Self(None);
        }
        // RLIM_INFINITY has only this spelling.
        Self(Some(operands.digits(word.to_bytes(), 10, u64::MAX - 1)))
    }

    fn write(&self, sink: &mut dyn Sink) {
        match self.0 {
            None => sink.write(b"unlimited"),
            Some(number) => write_number(sink, number, 10),
        }
        sink.write(b"\0");
    }
}

/// A command: a count, then that many words, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argv<'a>(pub WordList<'a>);

impl<'a> Operand<'a> for Argv<'a> {
    fn read(operands: &mut Operands<'a, '_>) -> Self {
        let words = operands.list();
        if words.is_empty() {
            operands.fail(FaultKind::EmptyCommand);
        }
        Self(words)
    }

    fn write(&self, sink: &mut dyn Sink) {
        write_number(sink, self.0.len() as u64, 10);
        sink.write(b"\0");
        sink.write(self.0.as_bytes());
    }
}

/// Group ids: a count, then that many numbers. May be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups<'a>(WordList<'a>);

impl<'a> Groups<'a> {
    /// Returns a list of words as ids, or `None` if one of them is not a
    /// number.
    pub fn new(words: WordList<'a>) -> Option<Self> {
        let all_numbers = words
            .iter()
            .all(|word| read_number(word.to_bytes()).is_some());
        all_numbers.then_some(Self(words))
    }

    /// Returns the number of groups.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there are no groups.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the ids in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.0
            .iter()
            .filter_map(|word| read_number(word.to_bytes()))
    }
}

/// Reads a number as in a plan: decimal digits only, and not 4294967295, which
/// is neither an id nor a descriptor.
pub fn read_number(digits: &[u8]) -> Option<u32> {
    let number = u32::try_from(read_digits(digits, 10)?).ok();
    number.filter(|&number| number != u32::MAX)
}

impl<'a> Operand<'a> for Groups<'a> {
    fn read(operands: &mut Operands<'a, '_>) -> Self {
        let count = u32::read(operands);
        let mut words = *operands.words;
        for _ in 0..count {
            // Word by word, so that a fault is that of its word.
            u32::read(operands);
            if operands.fault.is_some() {
                return Self(WordList::default());
            }
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Self(words.take(count).unwrap_or_default())
    }

    fn write(&self, sink: &mut dyn Sink) {
        write_number(sink, self.0.len() as u64, 10);
        sink.write(b"\0");
        sink.write(self.0.as_bytes());
    }
}

/// The name of an app: letters, digits, `.`, `_` and `-`, at least one. It is a
/// single word in a report line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppName<'a>(&'a CStr);

impl<'a> AppName<'a> {
    /// Returns a word as a name, or `None` if it is not one.
    pub fn new(word: &'a CStr) -> Option<Self> {
        let bytes = word.to_bytes();
        let named = bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        (named && !bytes.is_empty()).then_some(Self(word))
    }

    /// Returns the name.
    pub const fn as_c_str(&self) -> &'a CStr {
        self.0
    }
}

impl<'a> Operand<'a> for AppName<'a> {
    fn read(operands: &mut Operands<'a, '_>) -> Self {
        let word = operands.word();
        if Self::new(word).is_none() {
            operands.fail(FaultKind::UnknownWord);
        }
        Self(word)
    }

    fn write(&self, sink: &mut dyn Sink) {
        sink.write(self.0.to_bytes_with_nul());
    }
}
