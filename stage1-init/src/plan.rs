//! The plan: the only decoder of its words, and the iterator over its
//! directives.

use core::ffi::CStr;

use crate::directive::Directive;
use crate::fault::{Fault, FaultKind};
use crate::grammar::Grammar;
use crate::operand::{Operand as _, read_number};
use crate::words::{Sink, Words};

/// The version, which must be the second word of a plan.
pub const VERSION: u32 = 1;

/// The maximum length of a plan in bytes. The kernel accepts at most 2 MiB of
/// arguments and environment for one program, so a longer one could not be
/// executed.
pub const MAX_PLAN: usize = 4 << 20;

/// The descriptor at which a program waits for its turn under its filter, which
/// must allow read(2) from it. All programs of an app wait there, except the
/// first. Lower ones can be passed to them.
pub const GATE: u32 = 32;

/// A plan that has been checked from its first word to its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan<'a> {
    bytes: &'a [u8],
}

impl<'a> Plan<'a> {
    /// Checks all of `bytes`.
    ///
    /// # Errors
    ///
    /// The first word at fault. Any bytes give a plan or a fault, and none a
    /// panic.
    #[inline(never)]
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Fault> {
        if bytes.len() > MAX_PLAN {
            return Err(Fault {
                word: 0,
                kind: FaultKind::TooLong,
            });
        }
        let mut words = Words::new(bytes);
        let mut grammar = Grammar::default();
        read_header(&mut words)?;
        while !words.is_empty() {
            let start = words.position();
            let before = bytes.len() - words.rest().len();
            let directive = Directive::read(&mut words).map_err(|kind| Fault {
                word: match kind {
                    FaultKind::UnknownDirective => start,
                    // The operand at fault is the last word that was read.
                    FaultKind::NotANumber | FaultKind::UnknownWord | FaultKind::EmptyCommand => {
                        words.position().saturating_sub(1)
                    }
                    _ => words.position(),
                },
                kind,
            })?;
            grammar
                .accept(&directive)
                .map_err(|kind| Fault { word: start, kind })?;
            if let Directive::App { name } = directive
                && Self::part(bytes, before).any(|(_, earlier)| {
                    matches!(earlier, Directive::App { name: other } if other == name)
                })
            {
                return Err(Fault {
                    word: start + 1,
                    kind: FaultKind::SameName,
                });
            }
        }
        grammar.finish().map_err(|kind| Fault {
            word: words.position(),
            kind,
        })?;
        Ok(Self { bytes })
    }

    /// Returns the directives in the first `length` bytes, which were decoded.
    fn part(bytes: &'a [u8], length: usize) -> Directives<'a> {
        let bytes = bytes.get(..length).unwrap_or_default();
        Self { bytes }.directives()
    }

    /// Returns the words.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the directives in order, each with its index from zero.
    pub fn directives(&self) -> Directives<'a> {
        let mut words = Words::new(self.bytes);
        // The header was checked when the plan was decoded.
        let _ = read_header(&mut words);
        Directives {
            rest: words.rest(),
            index: 0,
            end: u32::MAX,
        }
    }
}

/// Appends the words that every plan starts with.
pub fn encode_header(sink: &mut dyn Sink) {
    sink.write(b"plan\0");
    VERSION.write(sink);
}

fn read_header(words: &mut Words<'_>) -> Result<(), Fault> {
    if words.next().is_none_or(|word| word != c"plan") {
        return Err(Fault {
            word: 0,
            kind: FaultKind::NotAPlan,
        });
    }
    if words.next().and_then(|word| read_number(word.to_bytes())) != Some(VERSION) {
        return Err(Fault {
            word: 1,
            kind: FaultKind::WrongVersion,
        });
    }
    Ok(())
}

/// An iterator over the directives of a plan; a copy remembers its place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Directives<'a> {
    rest: &'a [u8],
    index: u32,
    end: u32,
}

impl<'a> Directives<'a> {
    /// Skips the directives before this index.
    #[must_use]
    pub fn from(mut self, index: u32) -> Self {
        while self.index < index && self.next().is_some() {}
        self
    }

    /// Leaves out the directives at this index and after it.
    #[must_use]
    pub fn until(self, index: u32) -> Self {
        Self { end: index, ..self }
    }

    /// Returns the first word of the next directive.
    pub fn word(&self) -> Option<&'a CStr> {
        Words::new(self.rest).next()
    }
}

impl<'a> Iterator for Directives<'a> {
    type Item = (u32, Directive<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() || self.index >= self.end {
            return None;
        }
        let mut words = Words::new(self.rest);
        // The same bytes were decoded before.
        let directive = Directive::read(&mut words).ok()?;
        self.rest = words.rest();
        let index = self.index;
        self.index = index.saturating_add(1);
        Some((index, directive))
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
