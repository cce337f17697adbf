//! The keys that detach from a terminal while the app keeps running.

use error::{Error, Result};

/// A sequence of keys; empty if detaching is not possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys(Vec<u8>);

impl Default for Keys {
    /// The keys that other runners use: Ctrl-P, Ctrl-Q.
    fn default() -> Self {
        Self(vec![control(b'p'), control(b'q')])
    }
}

/// Returns the byte that a terminal sends for Ctrl and a key.
const fn control(key: u8) -> u8 {
    key & 0x1f
}

impl Keys {
    /// No keys: detaching is not possible.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Parses `ctrl-p,ctrl-q`: plain characters and ctrl combinations,
    /// separated by commas; or `none`.
    pub fn parse(text: &str) -> Result<Self> {
        if text == "none" {
            return Ok(Self::none());
        }
        let key = |word: &str| match *word.as_bytes() {
            [key @ b'!'..=b'~'] => Some(key),
            [
                b'c',
                b't',
                b'r',
                b'l',
                b'-',
                key @ (b'a'..=b'z' | b'@' | b'['..=b'_'),
            ] => Some(control(key)),
            _ => None,
        };
        let keys: Option<Vec<u8>> = text.split(',').map(key).collect();
        keys.map(Self).ok_or_else(|| {
            Error::invalid(format!(
                "{} is not a valid key sequence",
                error::quote::quoted(text)
            ))
            .hint("for instance `ctrl-p,ctrl-q`, `ctrl-],q`, or `none`")
        })
    }
}

/// How much of the sequence has been typed.
pub(crate) struct Typed<'a> {
    keys: &'a [u8],
    matched: usize,
}

impl<'a> Typed<'a> {
    /// Starts with nothing typed.
    pub(crate) fn new(keys: &'a Keys) -> Self {
        Self {
            keys: &keys.0,
            matched: 0,
        }
    }

    /// Takes what was typed, and appends what should be passed on to `through`.
    /// Keys that may start the sequence are held back until it is clear whether
    /// they do. Returns whether the sequence is complete; anything typed after
    /// it is dropped.
    pub(crate) fn take(&mut self, typed: &[u8], through: &mut Vec<u8>) -> bool {
        if self.keys.is_empty() {
            through.extend_from_slice(typed);
            return false;
        }
        for &byte in typed {
            while self.matched > 0 && self.keys[self.matched] != byte {
                self.give_back(through);
            }
            if self.keys[self.matched] == byte {
                self.matched += 1;
            } else {
                through.push(byte);
            }
            if self.matched == self.keys.len() {
                return true;
            }
        }
        false
    }

    /// Passes on as few of the held keys as needed for the rest to be a start
    /// of the sequence again.
    fn give_back(&mut self, through: &mut Vec<u8>) {
        let held = &self.keys[..self.matched];
        let left = (1..=held.len()).find(|&from| self.keys.starts_with(&held[from..]));
        let from = left.unwrap_or(held.len());
        through.extend_from_slice(&held[..from]);
        self.matched -= from;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn typed(keys: &str, pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let keys = Keys::parse(keys).unwrap();
        let mut typed = Typed::new(&keys);
        let mut through = Vec::new();
        let left = pieces.iter().any(|piece| typed.take(piece, &mut through));
        (through, left)
    }

    #[test]
    fn invalid_keys_are_refused() {
        for text in ["", "ctrl-", "ctrl-p,", "ctrl-P", "shift-p", "ctrl-1", "é"] {
            assert_eq!(
                Keys::parse(text).unwrap_err().to_string(),
                format!(
                    "`{text}` is not a valid key sequence\nhint: for instance `ctrl-p,ctrl-q`, `ctrl-],q`, or `none`"
                )
            );
        }
    }

    #[test]
    fn only_the_whole_sequence_detaches() {
        let p = control(b'p');
        let q = control(b'q');
        for (pieces, through, left) in [
            (&[&[b'a', p, q, b'b'][..]][..], &b"a"[..], true),
            (&[&[p], &[q]], b"", true),
            (&[&[p, b'x']], &[p, b'x'], false),
            (&[&[p], &[b'x', q]], &[p, b'x', q], false),
            (&[&[p, p], &[q]], &[p], true),
            (&[&[q, p]], &[q], false),
        ] {
            let expected = (through.to_vec(), left);
            assert_eq!(typed("ctrl-p,ctrl-q", pieces), expected, "{pieces:?}");
        }
        assert_eq!(typed("a,a,b", &[b"aaab"]), (b"a".to_vec(), true));
        assert_eq!(typed("a,b,a,c", &[b"ababac!"]), (b"ab".to_vec(), true));
        assert_eq!(typed("none", &[&[p, q]]), (vec![p, q], false));
    }
}
