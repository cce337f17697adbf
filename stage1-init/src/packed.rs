//! Tables of words, stored one after another, each after its length.
//!
//! In a table of `&str`, each word takes sixteen bytes more. The program is
//! small enough for that to matter.

/// Returns how many bytes [`pack`] needs.
pub(crate) const fn size(words: &[&str]) -> usize {
    let mut size = 0;
    let mut at = 0;
    while at < words.len() {
        size += 1 + words[at].trim_ascii_end().len();
        at += 1;
    }
    size
}

/// Packs words of at most 255 bytes, without blanks at their end. Runs only in
/// the compiler, where a longer word is an error.
pub(crate) const fn pack<const SIZE: usize>(words: &[&str]) -> [u8; SIZE] {
    let mut packed = [0; SIZE];
    let (mut at, mut to) = (0, 0);
    while at < words.len() {
        let word = words[at].trim_ascii_end().as_bytes();
        let [length, 0, ..] = word.len().to_le_bytes() else {
            panic!("a word is too long to be packed");
        };
        packed[to] = length;
        let mut byte = 0;
        while byte < word.len() {
            packed[to + 1 + byte] = word[byte];
            byte += 1;
        }
        to += 1 + word.len();
        at += 1;
    }
    packed
}

/// Defines a table as a constant: `packed!(NAME: "one", "two");`.
macro_rules! packed {
    ($(#[$doc:meta])* $visibility:vis $name:ident: $($word:expr),*) => {
        $(#[$doc])*
        $visibility const $name: &[u8] = {
            const WORDS: &[&str] = &[$($word),*];
            const PACKED: [u8; $crate::packed::size(WORDS)] = $crate::packed::pack(WORDS);
            &PACKED
        };
    };
}
pub(crate) use packed;

/// Returns the words of a table in order.
pub(crate) fn words(mut packed: &'static [u8]) -> impl Iterator<Item = &'static [u8]> {
    core::iter::from_fn(move || {
        let (&length, rest) = packed.split_first()?;
        let (word, rest) = rest.split_at_checked(usize::from(length))?;
        packed = rest;
        Some(word)
    })
}

/// Returns the place of a word in a table, or of the entry that starts with it
/// and a blank. Never finds a word with a blank in it.
#[inline(never)]
pub(crate) fn position(packed: &'static [u8], word: &[u8]) -> Option<usize> {
    let begins = |entry: &[u8]| {
        // Most differ in their first byte.
        entry.first() == word.first()
            && entry
                .strip_prefix(word)
                .is_some_and(|rest| matches!(rest.first(), None | Some(b' ')))
    };
    let whole = word.iter().all(|&byte| byte != b' ');
    words(packed).position(begins).filter(|_| whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    packed!(TABLE: "one", "", "three", "four FIVE SIX");

    #[test]
    fn words_stand_behind_their_length() {
        assert_eq!(TABLE, b"\x03one\0\x05three\x0dfour FIVE SIX");
        assert!(words(TABLE).eq([b"one".as_slice(), b"", b"three", b"four FIVE SIX"]));
    }

    #[test]
    fn a_part_of_a_word_is_not_found() {
        for word in [
            "on",
            "onee",
            "threeone",
            "\x05three",
            "ONE",
            "four FIVE",
            "four ",
        ] {
            assert_eq!(position(TABLE, word.as_bytes()), None, "{word:?}");
        }
        assert_eq!(position(TABLE, b"three"), Some(2));
        assert_eq!(position(TABLE, b"four"), Some(3));
    }
}
