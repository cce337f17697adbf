//! Bytes in pieces that each have a checksum, in a file that may have been
//! written only in part: CRC, length, content, and the next piece.

use std::io::{self, Read, Write};

/// Size of a piece, in bytes; the last one may be smaller.
pub(crate) const PIECE: usize = 64 << 10;

/// What is before a piece, in bytes.
const BEFORE: usize = 8;

/// The pieces, as one stream. It ends before what is cut or damaged.
pub(crate) struct Pieces<R> {
    input: R,
    piece: Vec<u8>,
    taken: usize,
}

impl<R: Read> Pieces<R> {
    /// Reads the pieces in `input`.
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            piece: Vec::new(),
            taken: 0,
        }
    }

    /// Passes over the rest of a piece and all of the next one. Returns how
    /// long that is: the content, and all that it takes in the file. Nothing is
    /// behind a piece that is cut or damaged.
    pub(crate) fn skip(&mut self) -> io::Result<Option<(u64, u64)>> {
        let sound = self.next()?;
        self.taken = self.piece.len();
        let length = self.piece.len() as u64;
        Ok(sound.then_some((length, BEFORE as u64 + length)))
    }

    /// Reads a piece, and tells whether there was one.
    fn next(&mut self) -> io::Result<bool> {
        self.taken = 0;
        self.fill(BEFORE)?;
        let sound = match *self.piece.as_slice() {
            [c0, c1, c2, c3, l0, l1, l2, l3] => {
                let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
                self.fill(length.min(PIECE))?;
                let crc = u32::from_le_bytes([c0, c1, c2, c3]);
                length > 0 && self.piece.len() == length && crc32fast::hash(&self.piece) == crc
            }
            _ => false,
        };
        if !sound {
            self.piece.clear();
        }
        Ok(sound)
    }

    /// Reads so many bytes, as far as there are.
    fn fill(&mut self, count: usize) -> io::Result<()> {
        self.piece.clear();
        let mut input = (&mut self.input).take(count as u64);
        input.read_to_end(&mut self.piece).map(|_| ())
    }
}

impl<R: Read> Read for Pieces<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.piece.len() && !self.next()? {
            return Ok(0);
        }
        let count = (&self.piece[self.taken..]).read(buffer)?;
        self.taken += count;
        Ok(count)
    }
}

/// Writes pieces.
pub(crate) struct Writer<W> {
    output: W,
    /// What is before a piece, and the piece, which is not full yet.
    piece: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Writes them to `output`.
    pub(crate) fn new(output: W) -> Self {
        Self {
            output,
            piece: vec![0; BEFORE],
        }
    }

    /// Adds bytes. What does not fill a piece is not written yet.
    pub(crate) fn add(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = BEFORE + PIECE - self.piece.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.piece.extend_from_slice(now);
            bytes = later;
            if self.piece.len() == BEFORE + PIECE {
                self.end()?;
            }
        }
        Ok(())
    }

    /// Ends a piece where it is.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        let (before, content) = self.piece.split_at_mut(BEFORE);
        if content.is_empty() {
            return Ok(());
        }
        let length = u32::try_from(content.len()).map_err(io::Error::other)?;
        before[..4].copy_from_slice(&crc32fast::hash(content).to_le_bytes());
        before[4..].copy_from_slice(&length.to_le_bytes());
        // In one call: what a full disk takes of it is no piece.
        self.output.write_all(&self.piece)?;
        self.piece.truncate(BEFORE);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        (0..40_000_u32)
            .flat_map(|at| (at * at).to_le_bytes())
            .collect()
    }

    /// The sample in pieces: two full ones and another one.
    fn pieces() -> Vec<u8> {
        let mut pieces = Vec::new();
        let mut writer = Writer::new(&mut pieces);
        for bytes in sample().chunks(1000) {
            writer.add(bytes).unwrap();
        }
        writer.end().unwrap();
        writer.end().unwrap();
        pieces
    }

    /// How much of a file is sound: content, and all that it takes.
    fn sound(file: &[u8]) -> (u64, u64) {
        let mut pieces = Pieces::new(file);
        let mut sound = (0, 0);
        while let Some((content, all)) = pieces.skip().unwrap() {
            sound = (sound.0 + content, sound.1 + all);
        }
        sound
    }

    const WHOLE: usize = BEFORE + PIECE;

    /// So many whole pieces.
    fn whole(count: usize) -> (u64, u64) {
        ((count * PIECE) as u64, (count * WHOLE) as u64)
    }

    #[test]
    fn a_piece_that_was_cut_or_damaged_and_all_behind_it_is_not_there() {
        let good = pieces();
        for end in [0, 1, WHOLE - 1, WHOLE, WHOLE + 1, 2 * WHOLE + 10] {
            assert_eq!(sound(&good[..end]), whole(end / WHOLE), "{end} bytes");
        }
        let inside = [0, 3, 4, 7, 8, WHOLE - 1];
        for at in inside.iter().flat_map(|at| [*at, at + WHOLE]) {
            let mut damaged = good.clone();
            damaged[at] ^= 1;
            assert_eq!(sound(&damaged), whole(at / WHOLE), "byte {at}");
        }
        // As a file can end where the power was cut.
        let zeros = [&good[..WHOLE], &[0; 100_000]].concat();
        assert_eq!(sound(&zeros), whole(1));
    }

    #[test]
    fn what_was_written_is_read_as_it_was() {
        let (file, content) = (pieces(), sample());
        let all = (content.len() as u64, file.len() as u64);
        assert_eq!(sound(&file), all);
        let mut read = Vec::new();
        Pieces::new(&file[..]).read_to_end(&mut read).unwrap();
        assert_eq!(read, content);
    }
}
