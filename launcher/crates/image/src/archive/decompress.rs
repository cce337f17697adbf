//! Detects the compression of an archive by its first bytes, and decompresses
//! it.
//!
//! The only file that knows bzip2 and lzma-rust2.

use std::io::{self, BufRead, BufReader, Read};

use bzip2::bufread::MultiBzDecoder;
use lzma_rust2::XzReader;

use crate::archive::gzip::{self, Gunzip};

/// Largest dictionary in KiB: twice what `xz -9` needs.
const XZ_MEMORY: u32 = 128 << 10;

/// Returns a reader of the uncompressed tar.
///
/// # Errors
///
/// The compression is not supported, or the file is not an archive.
pub(crate) fn decompress(input: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut input = BufReader::with_capacity(64 << 10, input);
    let head = head(&mut input)?;
    if head.starts_with(&gzip::MAGIC) {
        return Ok(Box::new(Gunzip::new(input)));
    }
    if head.starts_with(b"BZh") {
        return Ok(Box::new(MultiBzDecoder::new(input)));
    }
    if head.starts_with(b"\xfd7zXZ\0") {
        return Ok(Box::new(XzReader::new_mem_limit(input, true, XZ_MEMORY)));
    }
    if head.get(257..262) == Some(b"ustar") {
        return Ok(Box::new(input));
    }
    let what = match head.as_slice() {
        [] => "the file is empty",
        [b'B', b'Z', b'h', ..] => "it is compressed with bzip2, which this build does not support",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => {
            "it is compressed with xz, which this build does not support"
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "it is compressed with zstd, which is not supported",
        _ => "it is not an image archive",
    };
    Err(io::Error::new(io::ErrorKind::InvalidData, what))
}

/// Returns the first bytes of the file without consuming them.
fn head(input: &mut BufReader<impl Read>) -> io::Result<Vec<u8>> {
    // One read gives at least a block, except from a slow pipe.
    Ok(input.fill_buf()?.to_vec())
}
