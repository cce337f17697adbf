//! Reads an archive in one pass: it is decompressed on one core and hashed on
//! another, while the caller unpacks it. Memory is bounded whatever the archive
//! contains.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::archive::decompress::decompress;
use crate::digest::{Algorithm, Digest, Hasher};
use error::{Context as _, Error, Result};

/// Size of the pieces that are passed on, in bytes.
const PIECE: usize = 128 << 10;

/// Number of pieces that can wait: enough to even out files of different sizes,
/// and pauses while a file system writes its journal.
const WAITING: usize = 16;

/// How many times larger than its compressed form an archive may be, and the
/// size from which this applies. Programs and libraries grow at most tenfold,
/// zeros a thousandfold.
const RATIO: u64 = 500;
const FREE: u64 = 256 << 20;

/// How much larger than its compressed form an archive may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Growth {
    /// At most 500 times, unless it is small.
    #[default]
    Bounded,
    /// As large as its entries may be.
    Any,
}

type Piece = io::Result<Arc<Vec<u8>>>;

/// Reads the whole `input` through `read`. Returns its result and the
/// digest of the whole tar.
///
/// # Errors
///
/// `read` fails, the compressed data is not valid, or its `growth` is too large.
pub fn through<T>(
    input: impl Read + Send + 'static,
    growth: Growth,
    algorithm: Algorithm,
    read: impl FnOnce(&mut dyn BufRead) -> Result<T>,
) -> Result<(T, Digest)> {
    let (to_reader, pieces) = sync_channel::<Piece>(WAITING);
    let (to_hasher, hashed) = sync_channel::<Arc<Vec<u8>>>(WAITING);
    let inflating = thread::Builder::new()
        .name("inflate".to_owned())
        .spawn(move || inflate(input, growth, &to_reader, &to_hasher))
        .context(|| "cannot start a thread")?;
    let hasher = Hasher::new(algorithm);
    let hashing = thread::Builder::new()
        .name("hash".to_owned())
        .spawn(move || hash(hasher, &hashed))
        .context(|| "cannot start a thread")?;
    let mut reader = Pieces {
        pieces,
        current: Arc::default(),
        taken: 0,
    };
    let result = read(&mut reader);
    // If `read` stopped early, this ends the other two threads.
    drop(reader);
    let joined = (inflating.join(), hashing.join());
    let value = result?;
    match joined {
        (Ok(()), Ok(id)) => Ok((value, id)),
        _ => Err(Error::new(
            error::Kind::Failed,
            "a thread that reads the image has failed",
        )),
    }
}

fn inflate(
    input: impl Read + Send + 'static,
    growth: Growth,
    reader: &SyncSender<Piece>,
    hasher: &SyncSender<Arc<Vec<u8>>>,
) {
    let taken = Arc::new(AtomicU64::new(0));
    let counted = Counted {
        input,
        taken: Arc::clone(&taken),
    };
    let mut input = match decompress(counted) {
        Ok(input) => input,
        Err(error) => {
            let _ = reader.send(Err(error));
            return;
        }
    };
    let mut pieces = VecDeque::new();
    let mut given = 0_u64;
    loop {
        let mut piece = unused(&mut pieces);
        let Some(buffer) = Arc::get_mut(&mut piece) else {
            return;
        };
        match fill(&mut input, buffer) {
            Ok(0) => return,
            Ok(count) => {
                buffer.truncate(count);
                given = given.saturating_add(count as u64);
                let bounded = growth == Growth::Bounded && given > FREE;
                if bounded && given / RATIO > taken.load(Ordering::Relaxed) {
                    let _ = reader.send(Err(too_large()));
                    return;
                }
                let sent = hasher.send(Arc::clone(&piece)).is_ok();
                pieces.push_back(Arc::clone(&piece));
                if !sent || reader.send(Ok(piece)).is_err() {
                    return;
                }
            }
            Err(error) => {
                let _ = reader.send(Err(error));
                return;
            }
        }
    }
}

/// Reuses the oldest piece if both receivers have finished with it, or makes a
/// new one. Recently used memory is still in the cache.
fn unused(pieces: &mut VecDeque<Arc<Vec<u8>>>) -> Arc<Vec<u8>> {
    let oldest = pieces.front_mut().and_then(Arc::get_mut);
    match oldest.map(|buffer| buffer.resize(PIECE, 0)) {
        Some(()) => pieces.pop_front().unwrap_or_default(),
        None => Arc::new(vec![0; PIECE]),
    }
}

/// Reads until the buffer is full or the input ends.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Counts what is read.
struct Counted<R> {
    input: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.taken.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

fn too_large() -> io::Error {
    let what = format!("it is more than {RATIO} times larger when unpacked");
    let error = Error::invalid(what).hint("`--insecure-options=compression` allows that");
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn hash(mut hasher: Hasher, pieces: &Receiver<Arc<Vec<u8>>>) -> Digest {
    for piece in pieces {
        hasher.update(&piece);
    }
    hasher.finish()
}

/// Reads the pieces as one stream.
struct Pieces {
    pieces: Receiver<Piece>,
    current: Arc<Vec<u8>>,
    taken: usize,
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.current.len() {
            // At the end, it stays empty.
            self.current = match self.pieces.recv() {
                Ok(piece) => piece?,
                Err(_) => Arc::default(),
            };
            self.taken = 0;
        }
        Ok(&self.current[self.taken..])
    }

    fn consume(&mut self, count: usize) {
        self.taken = (self.taken + count).min(self.current.len());
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.fill_buf()?;
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.consume(count);
        Ok(count)
    }
}
