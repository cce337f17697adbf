//! Reads gzip (RFC 1952): any number of consecutive members, each checked
//! against its CRC and length.
//!
//! Anything but zeros after the last member is an error: bytes that nobody hashes
//! or checks have no place in an image. Zeros are what `tar` pads its output with.

use std::fmt;
use std::io::{self, BufRead, Read};

use crc32fast::Hasher as Crc;

use crate::archive::inflate::{Corrupt, Inflater};

/// The first two bytes of every member.
pub(crate) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A reader that decompresses `R`.
pub(crate) struct Gunzip<R> {
    input: R,
    state: Inflater,
    crc: Crc,
    length: u32,
    place: Place,
}

enum Place {
    Header,
    Body,
    End,
}

impl<R: BufRead> Gunzip<R> {
    /// Makes a reader.
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            state: Inflater::new(),
            crc: Crc::new(),
            length: 0,
            place: Place::Header,
        }
    }

    fn header(&mut self) -> io::Result<()> {
        const HAS_CRC: u8 = 2;
        const HAS_EXTRA: u8 = 4;
        const HAS_NAME: u8 = 8;
        const HAS_COMMENT: u8 = 16;
        const RESERVED: u8 = 0xe0;
        let mut fixed = [0; 10];
        self.input.read_exact(&mut fixed)?;
        let flags = fixed[3];
        if fixed[..2] != MAGIC {
            return Err(behind());
        }
        if fixed[2] != 8 || flags & RESERVED != 0 {
            return Err(malformed("the gzip header is malformed"));
        }
        if flags & HAS_EXTRA != 0 {
            let mut length = [0; 2];
            self.input.read_exact(&mut length)?;
            self.skip(u64::from(u16::from_le_bytes(length)))?;
        }
        for text in [HAS_NAME, HAS_COMMENT] {
            if flags & text != 0 {
                self.input.skip_until(0)?;
            }
        }
        if flags & HAS_CRC != 0 {
            self.skip(2)?;
        }
        self.state.reset();
        self.crc = Crc::new();
        self.length = 0;
        self.place = Place::Body;
        Ok(())
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        match io::copy(&mut (&mut self.input).take(count), &mut io::sink())? {
            all if all == count => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Inflates once; 0 if there was no output yet or the member has ended.
    fn body(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let input = self.input.fill_buf()?;
        let at_end = input.is_empty();
        let step = self.state.step(input, buffer);
        let step = step.map_err(|Corrupt| malformed("the compressed data is corrupt"))?;
        self.input.consume(step.consumed);
        let written = step.written;
        self.crc.update(&buffer[..written]);
        self.length = self
            .length
            .wrapping_add(u32::try_from(written).unwrap_or(u32::MAX));
        if step.end {
            self.trailer()?;
        } else if at_end && written == 0 {
            return Err(malformed("the compressed data is truncated"));
        }
        Ok(written)
    }

    fn trailer(&mut self) -> io::Result<()> {
        let mut trailer = [0; 8];
        self.input
            .read_exact(&mut trailer)
            .map_err(|_| malformed("the compressed data is truncated"))?;
        let [c0, c1, c2, c3, l0, l1, l2, l3] = trailer;
        let crc = u32::from_le_bytes([c0, c1, c2, c3]);
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        if crc != self.crc.clone().finalize() || length != self.length {
            return Err(malformed(
                "the compressed data is corrupt: its checksum is wrong",
            ));
        }
        self.place = match another(&mut self.input, MAGIC[0])? {
            true => Place::Header,
            false => Place::End,
        };
        Ok(())
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.place {
                Place::Header => self.header()?,
                Place::End => return Ok(0),
                Place::Body => match self.body(buffer)? {
                    0 => {}
                    written => return Ok(written),
                },
            }
        }
    }
}

/// Returns whether another stream follows the end of one, whose first byte is
/// this. Otherwise, zeros are passed over.
///
/// # Errors
///
/// Something else follows, or something follows the zeros.
pub(crate) fn another(input: &mut impl BufRead, first: u8) -> io::Result<bool> {
    match input.fill_buf()?.first() {
        None => return Ok(false),
        Some(byte) if *byte == first => return Ok(true),
        Some(_) => {}
    }
    loop {
        let buffer = input.fill_buf()?;
        if buffer.iter().any(|&byte| byte != 0) {
            return Err(behind());
        }
        match buffer.len() {
            0 => return Ok(false),
            count => input.consume(count),
        }
    }
}

/// Returns whether an error is one of this module's, whose words are for users.
pub(crate) fn is_plain(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|error| error.is::<Malformed>())
}

/// What is wrong with the data.
#[derive(Debug)]
struct Malformed(&'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

fn behind() -> io::Error {
    malformed("there is other data after the compressed data")
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Malformed(what))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// Compresses bytes as one member with a file name in its header.
    fn member(content: &[u8]) -> Vec<u8> {
        let mut packed = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 255];
        packed.extend_from_slice(b"name\0");
        packed.extend(miniz_oxide::deflate::compress_to_vec(content, 6));
        let mut crc = Crc::new();
        crc.update(content);
        packed.extend(crc.finalize().to_le_bytes());
        packed.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
        packed
    }

    fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        // A small buffer, so that every boundary is crossed somewhere.
        let input = io::BufReader::with_capacity(7, packed);
        Gunzip::new(input)
            .read_to_end(&mut content)
            .map(|_| content)
    }

    fn sample() -> Vec<u8> {
        (0..40_000_u32)
            .flat_map(|n| (n * n).to_le_bytes())
            .collect()
    }

    #[test]
    fn data_that_ends_too_early_is_refused() {
        let packed = member(&sample());
        for length in [
            0,
            1,
            9,
            12,
            20,
            packed.len() / 2,
            packed.len() - 8,
            packed.len() - 1,
        ] {
            assert!(unpack(&packed[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn any_flipped_bit_of_data_or_checksum_is_noticed() {
        let packed = member(b"some content that is compressed");
        for at in 15..packed.len() {
            let mut broken = packed.clone();
            broken[at] ^= 4;
            assert!(unpack(&broken).is_err(), "byte {at}");
        }
    }

    #[test]
    fn garbage_behind_the_data_is_refused() {
        let mut packed = member(b"content");
        let end = packed.len();
        for behind in [
            &b"and more, of no kind"[..],
            b"?",
            b"\0\0\0?",
            b"\0\x1f\x8b\x08",
            b"\x1f and more, of no kind",
        ] {
            packed.truncate(end);
            packed.extend_from_slice(behind);
            let error = unpack(&packed).unwrap_err();
            let expected = "there is other data after the compressed data";
            assert_eq!(error.to_string(), expected, "{behind:?}");
        }
    }

    #[test]
    fn zeros_behind_the_data_are_padding() {
        for count in [1, 7, 8, 10_240] {
            let mut packed = member(b"content");
            packed.resize(packed.len() + count, 0);
            assert_eq!(unpack(&packed).unwrap(), b"content", "{count}");
        }
    }

    #[test]
    fn members_are_read_one_after_another() {
        let mut packed = member(&sample());
        packed.extend(member(b""));
        packed.extend(member(b"end"));
        let mut expected = sample();
        expected.extend_from_slice(b"end");
        assert_eq!(unpack(&packed).unwrap(), expected);
    }
}
