//! Writes gzip, as [`crate::archive::gzip`] reads it.

use std::io::{self, Write};

use crc32fast::Hasher as Crc;
use miniz_oxide::deflate::core::CompressorOxide;
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::{DataFormat, MZFlush, MZStatus};

/// A gzip member that is being written.
pub(crate) struct Gzip<W> {
    out: W,
    compressor: Box<CompressorOxide>,
    crc: Crc,
    length: u32,
}

/// Fast rather than small.
const FAST: u8 = 1;

/// Small rather than fast, as gzip does it.
const SMALL: u8 = 6;

impl<W: Write> Gzip<W> {
    /// Writes the header. The content will be compressed in little time.
    pub(crate) fn new(out: W) -> io::Result<Self> {
        Self::of(out, FAST)
    }

    /// Writes the header. The content will be compressed to little space.
    pub(crate) fn small(out: W) -> io::Result<Self> {
        Self::of(out, SMALL)
    }

    fn of(mut out: W, level: u8) -> io::Result<Self> {
        // No name, no time, unknown system: equal contents give equal bytes.
        out.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])?;
        let mut compressor = Box::new(CompressorOxide::default());
        compressor.set_format_and_level(DataFormat::Raw, level);
        Ok(Self {
            out,
            compressor,
            crc: Crc::new(),
            length: 0,
        })
    }

    /// Compresses more content.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc.update(bytes);
        // The format counts modulo 2^32.
        self.length = self
            .length
            .wrapping_add(u32::try_from(bytes.len() % (1 << 32)).unwrap_or(0));
        self.compress(bytes, MZFlush::None)
    }

    /// Writes the end.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.compress(&[], MZFlush::Finish)?;
        let crc = self.crc.clone().finalize();
        self.out.write_all(&crc.to_le_bytes())?;
        self.out.write_all(&self.length.to_le_bytes())?;
        self.out.flush()
    }

    /// Returns what was written to.
    pub(crate) fn into_inner(self) -> W {
        self.out
    }

    fn compress(&mut self, mut bytes: &[u8], flush: MZFlush) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        loop {
            let result = deflate(&mut self.compressor, bytes, &mut buffer, flush);
            self.out.write_all(&buffer[..result.bytes_written])?;
            bytes = &bytes[result.bytes_consumed..];
            let full = result.bytes_written == buffer.len();
            let over = matches!(result.status, Ok(MZStatus::StreamEnd) | Err(_));
            if over || (bytes.is_empty() && !full && flush == MZFlush::None) {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::archive::gzip::Gunzip;

    #[test]
    fn what_is_written_is_read_back() {
        let content: Vec<u8> = (0..300_000_u32)
            .flat_map(|n| (n / 7).wrapping_mul(n).to_le_bytes())
            .collect();
        for size in [0, 1, 511, 70_000, content.len()] {
            let mut packed = Vec::new();
            let mut gzip = Gzip::new(&mut packed).unwrap();
            for piece in content[..size].chunks(1000) {
                gzip.write(piece).unwrap();
            }
            gzip.finish().unwrap();
            let mut back = Vec::new();
            Gunzip::new(packed.as_slice())
                .read_to_end(&mut back)
                .unwrap();
            assert!(back == content[..size], "{size} bytes");
        }
    }
}
