//! Maps of sparse files: where the data of a tar belongs in a file. Pure.
//!
//! Source: the GNU tar manual, "Storing Sparse Files".

use std::collections::VecDeque;

use crate::archive::fixed_header::{BLOCK, malformed};
use crate::archive::holes::{PIECES, Piece};
use error::{Error, Result};

/// What a PAX header says of a sparse file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sparse {
    /// The size of the file, with its holes.
    pub(crate) size: u64,
    /// Its offsets and lengths. If there are none here, they are at the start
    /// of the content, as [`TextMap`] reads them.
    pub(crate) map: Option<Vec<(u64, u64)>>,
}

/// Makes pieces from a map of offsets and lengths, which must match the size of
/// the file and of the data in the tar.
pub(crate) fn pieces(map: &[(u64, u64)], stored: u64, size: u64) -> Result<VecDeque<Piece>> {
    if map.len() > PIECES {
        return Err(too_many());
    }
    let mut pieces = VecDeque::new();
    let (mut offset, mut data) = (0_u64, 0_u64);
    for &(start, length) in map {
        // Every piece starts at a block: only the last one may be uneven.
        let even = data.is_multiple_of(BLOCK as u64) || length == 0;
        let hole = start.checked_sub(offset).filter(|_| even);
        pieces.push_back(Piece {
            hole: hole.ok_or_else(broken)?,
            data: length,
        });
        offset = start.checked_add(length).ok_or_else(broken)?;
        data = data.checked_add(length).ok_or_else(broken)?;
    }
    let end = size.checked_sub(offset).filter(|_| data == stored);
    pieces.push_back(Piece {
        hole: end.ok_or_else(broken)?,
        data: 0,
    });
    Ok(pieces)
}

/// A map that is being read from the start of a content: decimal numbers, one
/// on each line, padded with zeros to a block. The first one counts the pairs.
#[derive(Default)]
pub(crate) struct TextMap {
    text: Vec<u8>,
    /// Where the next line starts.
    start: usize,
    count: Option<usize>,
    numbers: Vec<u64>,
}

impl TextMap {
    /// Takes lines as far as there are any; returns whether the map is complete.
    pub(crate) fn is_complete(&mut self) -> Result<bool> {
        while self.count.is_none_or(|count| self.numbers.len() < count) {
            let rest = &self.text[self.start..];
            let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
                return match rest.len() > 20 {
                    true => Err(broken()),
                    false => Ok(false),
                };
            };
            let number = decimal(&rest[..end]).ok_or_else(broken)?;
            self.start += end + 1;
            match self.count {
                Some(_) => self.numbers.push(number),
                None => self.count = usize::try_from(number).ok().and_then(|n| n.checked_mul(2)),
            }
            if self.count.is_none_or(|count| count > 2 * PIECES) {
                return Err(too_many());
            }
        }
        Ok(true)
    }

    /// Adds a block of the content.
    pub(crate) fn add(&mut self, block: &[u8]) {
        self.text.extend_from_slice(block);
    }

    /// The part of the content that the map takes, in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.text.len() as u64
    }

    /// Returns the map.
    pub(crate) fn pairs(&self) -> Vec<(u64, u64)> {
        let pairs = self.numbers.chunks_exact(2);
        pairs.map(|pair| (pair[0], pair[1])).collect()
    }
}

/// Parses decimal digits only.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text)
        .ok()
        .filter(|_| digits)?
        .parse()
        .ok()
}

/// Says that a map does not describe its file.
pub(crate) fn broken() -> Error {
    malformed("the map of a sparse file is broken")
}

/// Says that a map is too long.
pub(crate) fn too_many() -> Error {
    malformed(&format!("a sparse file has more than {PIECES} pieces"))
}
