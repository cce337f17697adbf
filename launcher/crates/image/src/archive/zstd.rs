//! Reads zstd (RFC 8878): any number of frames, and others that are to be skipped,
//! such as the tables by which some registries find single files.
//!
//! The only file that knows ruzstd. It refuses frames that would take more than
//! 128 MiB of memory.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::archive::gzip;

/// The bytes that a frame begins with.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Returns whether a file begins as one of these does.
pub(crate) fn begins(head: &[u8]) -> bool {
    let skipped = matches!(head, [first, 0x2a, 0x4d, 0x18, ..] if first >> 4 == 5);
    head.starts_with(&MAGIC) || skipped
}

/// A reader that decompresses `R`.
pub(crate) struct Unzstd<R> {
    input: Kept<R>,
    decoder: FrameDecoder,
    /// Whether a frame has begun.
    begun: bool,
}

impl<R: BufRead> Unzstd<R> {
    /// Makes a reader.
    pub(crate) fn new(input: R) -> Self {
        Self {
            input: Kept { input, error: None },
            decoder: FrameDecoder::new(),
            begun: false,
        }
    }

    /// Begins the next frame that has content; returns whether there is one.
    fn next(&mut self) -> io::Result<bool> {
        loop {
            match self.input.input.fill_buf()?.first() {
                None => return Ok(false),
                // Zeros are padding.
                Some(0) => return gzip::another(&mut self.input.input, 1),
                Some(_) => {}
            }
            match self.decoder.reset(&mut self.input) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => self.skip(length.into())?,
                Err(error) => return Err(self.failed(&error)),
            }
        }
    }

    fn skip(&mut self, length: u64) -> io::Result<()> {
        match io::copy(&mut (&mut self.input.input).take(length), &mut io::sink())? {
            all if all == length => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Returns the error of the input if that is why the decoder failed.
    fn failed(&mut self, error: &FrameDecoderError) -> io::Error {
        let of_input = self.input.error.take();
        of_input.unwrap_or_else(|| match error {
            FrameDecoderError::WindowSizeTooBig { .. } => io::ErrorKind::OutOfMemory.into(),
            _ => io::ErrorKind::InvalidData.into(),
        })
    }
}

impl<R: BufRead> Read for Unzstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.begun && self.decoder.can_collect() > 0 {
                return self.decoder.read(buffer);
            }
            if !self.begun || self.decoder.is_finished() {
                self.begun = self.next()?;
                if !self.begun {
                    return Ok(0);
                }
            } else {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                let decoded = self.decoder.decode_blocks(&mut self.input, one);
                decoded.map_err(|error| self.failed(&error))?;
            }
        }
    }
}

/// Keeps the error of what it reads, which decoders replace by their own.
struct Kept<R> {
    input: R,
    error: Option<io::Error>,
}

impl<R: BufRead> Read for Kept<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.input.read(buffer) {
            Ok(0) if !buffer.is_empty() => self.error = Some(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.error = Some(error);
                return Err(io::ErrorKind::Other.into());
            }
            read => return read,
        }
        Ok(0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// A frame with `content` as a raw block, of at most 255 bytes.
    fn frame(content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        // One segment, whose size is the next byte.
        let mut frame = [&MAGIC[..], &[0x20, length]].concat();
        let header = (u32::from(length) << 3) | 1;
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.extend_from_slice(content);
        frame
    }

    fn skipped(content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap();
        [
            &[0x5a, 0x2a, 0x4d, 0x18],
            &length.to_le_bytes()[..],
            content,
        ]
        .concat()
    }

    fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        let input = io::BufReader::with_capacity(7, packed);
        Unzstd::new(input)
            .read_to_end(&mut content)
            .map(|_| content)
    }

    #[test]
    fn what_is_cut_off_or_followed_by_other_data_is_refused() {
        let whole = [frame(b"some content"), skipped(b"a table")].concat();
        let first = frame(b"some content").len();
        for length in (1..whole.len()).filter(|length| *length != first) {
            assert!(unpack(&whole[..length]).is_err(), "{length}");
        }
        for behind in [&b"?"[..], b"\0\0?", b"\x28\xb5\x2f\xfe"] {
            assert!(unpack(&[&whole, behind].concat()).is_err(), "{behind:?}");
        }
    }

    #[test]
    fn frames_are_read_one_after_another_and_tables_skipped() {
        let packed = [
            skipped(b""),
            frame(b"one "),
            skipped(b"between"),
            frame(b""),
            frame(b"two"),
            skipped(b"last"),
            vec![0; 9],
        ];
        let packed = packed.concat();
        assert!(begins(&packed) && begins(&frame(b"")));
        assert_eq!(unpack(&packed).unwrap(), b"one two");
    }
}
