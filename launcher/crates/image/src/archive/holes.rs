//! Finds long runs of zeros in a file, so that an archive need not store them:
//! a login database can be a terabyte long and hold three lines.
//!
//! Written zeros count as well as holes in the file system. Which zeros are
//! holes differs between disks, but equal files must give equal pieces.

use std::fs::File;
use std::io;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// Most pieces of a sparse file: every other block of a gigabyte.
pub(crate) const PIECES: usize = 1 << 17;

/// Only aligned runs of zeros of this size count, in bytes.
const CLUSTER: usize = 64 << 10;

/// Shorter files are not searched: their archive would hardly shrink.
const SHORTEST: u64 = 1 << 20;

/// A piece of a sparse file: zeros that are not in the tar, followed by data
/// that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Length of the hole.
    pub(crate) hole: u64,
    /// Length of the data after it.
    pub(crate) data: u64,
}

/// Returns the pieces of a file of this size.
pub(crate) fn pieces(file: &File, size: u64) -> io::Result<Vec<Piece>> {
    if size < SHORTEST {
        return Ok(none(size));
    }
    let mut pieces = vec![Piece::default()];
    let mut buffer = vec![0; CLUSTER];
    let mut at = 0;
    while at < size {
        let start = next_data(file, at)?.min(size) / CLUSTER as u64 * CLUSTER as u64;
        if start > at {
            add(&mut pieces, true, start - at);
            at = start;
        }
        let count = fill(file, &mut buffer, at)?;
        if count == 0 {
            break;
        }
        let zeros = buffer[..count].iter().all(|&byte| byte == 0);
        add(&mut pieces, zeros, count as u64);
        at += count as u64;
    }
    Ok(pieces)
}

/// Returns the pieces of a file that is not searched.
pub(crate) fn none(size: u64) -> Vec<Piece> {
    let all = Piece {
        hole: 0,
        data: size,
    };
    vec![all]
}

/// Appends zeros or data. Zeros become a hole unless there are too many pieces
/// already.
fn add(pieces: &mut Vec<Piece>, zeros: bool, count: u64) {
    let full = pieces.len() >= PIECES / 2;
    match pieces.last_mut() {
        Some(last) if !zeros || full => last.data += count,
        Some(last) if last.data == 0 => last.hole += count,
        _ => pieces.push(Piece {
            hole: count,
            data: 0,
        }),
    }
}

/// Skips a hole of the file system.
fn next_data(file: &File, at: u64) -> io::Result<u64> {
    match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(data) => Ok(data),
        Err(Errno::NXIO) => Ok(u64::MAX),
        // Not every file system supports this.
        Err(Errno::INVAL) => Ok(at),
        Err(errno) => Err(errno.into()),
    }
}

fn fill(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        let offset = at.saturating_add(filled as u64);
        match rustix::io::pread(file, &mut buffer[filled..], offset) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_holes_than_an_archive_may_have_are_zeros_again() {
        let mut pieces = vec![Piece::default()];
        for _ in 0..2 * PIECES {
            add(&mut pieces, true, 5);
            add(&mut pieces, true, 2);
            add(&mut pieces, false, 3);
        }
        assert_eq!(pieces.len(), PIECES / 2);
        let whole: u64 = pieces.iter().map(|piece| piece.hole + piece.data).sum();
        assert_eq!(whole, 20 * PIECES as u64);
        assert_eq!(pieces.first(), Some(&Piece { hole: 7, data: 3 }));
        let (last, others) = pieces
            .split_last()
            .unwrap_or((&Piece { hole: 0, data: 0 }, &[]));
        assert!(others.iter().all(|piece| piece.hole == 7));
        assert!(last.data > last.hole);
    }
}
