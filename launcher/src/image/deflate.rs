//! Writes gzip, as [`super::gzip`] reads it.

use crc32fast::Hasher as Crc;
use miniz_oxide::deflate::core::CompressorOxide;
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::{DataFormat, MZFlush, MZStatus};

/// A member of gzip that is being written, in memory: all of it, or as much as
/// nobody has taken yet.
pub(crate) struct Gzip {
    compressor: Box<CompressorOxide>,
    packed: Vec<u8>,
    crc: Crc,
    length: u32,
}

/// Fast rather than small: what is written is nearly all zeros.
const LEVEL: u8 = 1;

impl Default for Gzip {
    fn default() -> Self {
        let mut compressor = Box::new(CompressorOxide::default());
        compressor.set_format_and_level(DataFormat::Raw, LEVEL);
        Self {
            compressor,
            // No name, no time, unknown system: equal contents give equal bytes.
            packed: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255],
            crc: Crc::new(),
            length: 0,
        }
    }
}

impl Gzip {
    /// Appends.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        // The format counts modulo 2^32.
        self.length = self
            .length
            .wrapping_add(u32::try_from(bytes.len() % (1 << 32)).unwrap_or(0));
        self.compress(bytes, MZFlush::None);
    }

    /// Returns how many bytes were not taken yet.
    pub(crate) fn waiting(&self) -> usize {
        self.packed.len()
    }

    /// Takes what there is by now of what was not taken before.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.packed)
    }

    /// Returns all of it that was not taken.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.compress(&[], MZFlush::Finish);
        self.packed.extend(self.crc.finalize().to_le_bytes());
        self.packed.extend(self.length.to_le_bytes());
        self.packed
    }

    fn compress(&mut self, mut bytes: &[u8], flush: MZFlush) {
        let mut buffer = [0; 16 << 10];
        loop {
            let result = deflate(&mut self.compressor, bytes, &mut buffer, flush);
            self.packed
                .extend_from_slice(&buffer[..result.bytes_written]);
            bytes = &bytes[result.bytes_consumed..];
            let full = result.bytes_written == buffer.len();
            let over = matches!(result.status, Ok(MZStatus::StreamEnd) | Err(_));
            if over || (bytes.is_empty() && !full && flush == MZFlush::None) {
                return;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::image::gzip::Gunzip;

    #[test]
    fn what_is_written_is_read_back() {
        let content: Vec<u8> = (0..300_000_u32)
            .flat_map(|n| (n / 7).wrapping_mul(n).to_le_bytes())
            .collect();
        for size in [0, 1, 511, 70_000, content.len()] {
            let mut gzip = Gzip::default();
            let mut packed = Vec::new();
            for piece in content[..size].chunks(1000) {
                gzip.write(piece);
                packed.extend(gzip.take());
            }
            packed.extend(gzip.finish());
            let mut back = Vec::new();
            Gunzip::new(packed.as_slice())
                .read_to_end(&mut back)
                .unwrap();
            assert!(back == content[..size], "{size} bytes");
        }
    }
}
