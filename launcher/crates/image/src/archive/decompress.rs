//! Detects the compression of an archive by its first bytes, and decompresses
//! it.
//!
//! The only file that knows bzip2 and lzma-rust2.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bzip2::bufread::BzDecoder;
use lzma_rust2::XzReader;

use crate::archive::fixed_header::{BLOCK, FixedHeader};
use crate::archive::gzip::{self, Gunzip};
use crate::archive::zstd::{self, Unzstd};
use sys::size;

/// Largest dictionary in KiB: twice what `xz -9` needs.
const XZ_MEMORY: u32 = 128 << 10;

/// The first bytes of an xz stream.
const XZ: &[u8] = b"\xfd7zXZ\0";

/// Returns a reader of the uncompressed tar. Its errors of kind `InvalidData`
/// say what is wrong with the compressed data; others are those of the input.
///
/// # Errors
///
/// The compression is not supported, or the file is not an archive.
pub(crate) fn decompress(input: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let failed = Arc::new(AtomicBool::new(false));
    let mut input = Watched {
        input,
        failed: Arc::clone(&failed),
    };
    let mut head = Vec::new();
    (&mut input).take(BLOCK as u64).read_to_end(&mut head)?;
    let what = match head.as_slice() {
        head if head.starts_with(&gzip::MAGIC) => None,
        head if head.starts_with(b"BZh") || head.starts_with(XZ) => None,
        head if zstd::begins(head) || is_tar(head) => None,
        // Whether that will do is for the reader to say.
        [] => None,
        // Bytes of no text, of which no other file consists.
        head if head.len() > 1 && XZ.starts_with(head) => Some(TRUNCATED),
        _ => Some("it is not an image archive"),
    };
    if let Some(what) = what {
        return Err(invalid(what));
    }
    let kind = match zstd::begins(&head) {
        true => Some(0x28),
        false => head.first().copied(),
    };
    let input = BufReader::with_capacity(64 << 10, input);
    let input = Cursor::new(head).chain(input);
    let unpacked: Box<dyn Read + Send> = match kind {
        Some(0x1f) => Box::new(Gunzip::new(input)),
        Some(b'B') => Box::new(Bunzip2(Some(BzDecoder::new(input)))),
        Some(0x28) => Box::new(Unzstd::new(input)),
        Some(0xfd) => Box::new(XzReader::new_mem_limit(input, true, XZ_MEMORY)),
        _ => return Ok(Box::new(input)),
    };
    Ok(Box::new(Unpacked { unpacked, failed }))
}

const TRUNCATED: &str = "the compressed data is truncated";

/// Whether a file begins as an uncompressed tar does, of whatever age.
fn is_tar(head: &[u8]) -> bool {
    let sound = |block: [u8; BLOCK]| FixedHeader::new(block).is_sound();
    // One with nothing in it begins with its end.
    let is_empty = head.len() == BLOCK && head.iter().all(|&byte| byte == 0);
    is_empty || head.get(257..262) == Some(b"ustar") || head.try_into().is_ok_and(sound)
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// Notices whether it was the input that failed, and not what it contains.
struct Watched<R> {
    input: R,
    failed: Arc<AtomicBool>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.failed.store(true, Ordering::Relaxed);
            }
        })
    }
}

/// Reads one bzip2 stream after another; nothing after the last one.
struct Bunzip2<R>(Option<BzDecoder<R>>);

impl<R: BufRead> Read for Bunzip2<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(stream) = &mut self.0 {
            let count = stream.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            if let Some(mut input) = self.0.take().map(BzDecoder::into_inner)
                && gzip::another(&mut input, b'B')?
            {
                self.0 = Some(BzDecoder::new(input));
            }
        }
        Ok(0)
    }
}

/// Says in plain words what is wrong with compressed data.
struct Unpacked {
    unpacked: Box<dyn Read + Send>,
    failed: Arc<AtomicBool>,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.unpacked.read(buffer);
        read.map_err(|error| match error.kind() {
            _ if self.failed.load(Ordering::Relaxed) => error,
            io::ErrorKind::Interrupted => error,
            io::ErrorKind::UnexpectedEof => invalid(TRUNCATED),
            io::ErrorKind::OutOfMemory => {
                let most = size::spell(u64::from(XZ_MEMORY) << 10);
                invalid(format!(
                    "unpacking it would take more than {most} of memory"
                ))
            }
            io::ErrorKind::Unsupported => {
                invalid("it is compressed in a way of xz that is not supported")
            }
            _ if gzip::is_plain(&error) => error,
            // What the libraries say is about their own works.
            _ => invalid("the compressed data is corrupt"),
        })
    }
}
