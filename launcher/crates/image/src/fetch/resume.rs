//! Keeps the first part of an interrupted download, so that the next call
//! fetches only the rest.
//!
//! ```text
//! downloads/HASH     a line of JSON: the address, the version and its length;
//!                    then blocks of 4 KiB, each after its CRC-32
//! ```
//!
//! A download is kept only if it takes long or, of a blob, if it is large, and only
//! while there is plenty of disk space: an archive becomes several times as large.
//! Whoever uses a file has locked it; others do without.
//!
//! A blob is known by its digest, whoever has it. It has one version.
//!
//! After a power cut the file can contain anything, so it counts up to the
//! first block whose checksum is wrong. The checksums protect against accidents
//! only: the complete archive is verified like any other. If that fails,
//! nothing is kept, so what is here cannot fail twice.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::digest;
use crate::fetch::http::{Download, HttpError, Partial, Validators};
use appc::address::Address;
use appc::json::{self, Object, Value};
use error::{Context as _, Result};
use sys::clock;
use sys::dirs::Dirs;
use sys::root_fd;

/// Hints for a download that broke, and for one that was resumed in vain.
pub(crate) const KEPT: &str =
    "the part that arrived is kept for a day, and the next call resumes from there";
pub(crate) const REMOVED: &str =
    "the part that was kept is removed; the next call fetches all of it";

/// Where downloads are kept.
pub(crate) const DIRECTORY: &str = "downloads";

/// How much of a download is timed to estimate how long all of it takes, in bytes.
const SAMPLE: usize = 1 << 20;

/// How long a download must take to be kept.
const LONG: Duration = Duration::from_secs(5);

/// From which size on a blob is kept, in bytes.
const LARGE: u64 = 32 << 20;

/// How long a download is kept that nobody resumes.
const AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// How many times the size of a download must be free on the disk.
const ROOM: u64 = 8;

/// Size of a block, in bytes.
const BLOCK: usize = 4 << 10;

/// Size of a checksum, in bytes.
const CRC: usize = 4;

/// Maximum length of the first line, in bytes.
const HEAD: u64 = 16 << 10;

/// The download of one address, which may be resumed.
pub(crate) struct Resumable<'a> {
    dirs: &'a Dirs,
    url: String,
    name: String,
    /// The length of what is kept in any case.
    large: Option<u64>,
    saved: Option<Saved>,
    broken: Shared,
}

/// How the download broke off, as its reader learns it.
type Shared = Arc<Mutex<Option<Broken>>>;

/// A download that broke off.
pub(crate) struct Broken {
    /// Why.
    pub(crate) why: HttpError,
    /// Whether the part that arrived is kept, and can be resumed.
    pub(crate) kept: bool,
}

/// A file with at least one valid block.
struct Saved {
    file: File,
    /// Where the first block begins, in bytes.
    start: u64,
    /// The number of valid blocks.
    blocks: u64,
    partial: Partial,
}

impl<'a> Resumable<'a> {
    /// Looks for an earlier download of this address. A file that cannot be
    /// used counts as missing.
    pub(crate) fn open(dirs: &'a Dirs, address: &Address) -> Self {
        // What distinguishes addresses but is not shown of them counts in the
        // name of the file only.
        let name = digest::file_name(address.reveal());
        Self::named(dirs, address.to_string(), name, None)
    }

    /// Looks for an earlier download of a blob; `None` if it is too small for that.
    pub(crate) fn of_blob(dirs: &'a Dirs, digest: &str, size: u64) -> Option<Self> {
        let name = || digest::file_name(digest);
        (size > LARGE).then(|| Self::named(dirs, digest.to_owned(), name(), Some(size)))
    }

    fn named(dirs: &'a Dirs, url: String, name: String, large: Option<u64>) -> Self {
        let path = Path::new(DIRECTORY).join(&name);
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        let file = dirs.root().map_err(io::Error::other);
        let file = file.and_then(|root| root_fd::open(root, &path, flags));
        let saved = file.and_then(|file| {
            lock(&file)?;
            Saved::read(File::from(file), &url)
        });
        Self {
            dirs,
            url,
            name,
            large,
            saved: saved.ok().flatten(),
            broken: Shared::default(),
        }
    }

    /// Returns the part that need not be fetched again.
    pub(crate) fn partial(&self) -> Option<&Partial> {
        self.saved.as_ref().map(|saved| &saved.partial)
    }

    /// Reads the whole document: the saved part, if `download` continues it,
    /// and the download, which is kept if that is worth it.
    ///
    /// # Errors
    ///
    /// The file cannot be read or written.
    pub(crate) fn read(&mut self, download: Download) -> Result<Box<dyn Read + Send>> {
        let what = || format!("cannot resume the download of `{}`", self.url);
        let broken = Arc::clone(&self.broken);
        let saved = self.saved.take().filter(|_| download.at() > 0);
        let Some(saved) = saved else {
            let keeper = Keeper::new(&download, self).context(what)?;
            return Ok(Box::new(Keeping {
                download,
                keeper,
                broken,
            }));
        };
        let (before, keeper) = saved.resume(self).context(what)?;
        Ok(Box::new(before.chain(Keeping {
            download,
            keeper: Some(keeper),
            broken,
        })))
    }

    /// Removes the file unless the download can be resumed, or was given up; returns
    /// how it broke off, if it did.
    pub(crate) fn finish(self, given_up: bool) -> Option<Broken> {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        let broken = broken.take();
        if !given_up && broken.as_ref().is_none_or(|broken| !broken.kept) {
            // If this fails, the file is removed when it is too old.
            let _ = self.remove();
        }
        broken
    }

    /// Removes the file, if nobody else uses it.
    fn remove(&self) -> io::Result<()> {
        let path = Path::new(DIRECTORY).join(&self.name);
        let root = self.dirs.root().map_err(io::Error::other)?;
        lock(root_fd::open(
            root,
            &path,
            OFlags::RDONLY | OFlags::NOFOLLOW,
        )?)?;
        Ok(rustix::fs::unlinkat(root, path, AtFlags::empty())?)
    }
}

/// Locks a file, unless somebody else has.
fn lock(file: impl AsFd) -> rustix::io::Result<()> {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)
}

/// Removes downloads that were not resumed for this long.
///
/// # Errors
///
/// The directory cannot be read, or a file cannot be removed.
pub(crate) fn clear(root: impl AsFd, age: Duration) -> Result<()> {
    let what = || "cannot remove interrupted downloads";
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let directory = match root_fd::open(root, Path::new(DIRECTORY), flags) {
        Err(error) if root_fd::is_absent(&error) => return Ok(()),
        directory => directory.context(what)?,
    };
    let now = clock::seconds();
    for entry in Dir::read_from(&directory).context(what)? {
        let entry = entry.context(what)?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let status = rustix::fs::statat(&directory, name, flags).context(what)?;
        let written = u64::try_from(status.st_mtime).unwrap_or(0);
        if now.saturating_sub(written) >= age.as_secs() {
            rustix::fs::unlinkat(&directory, name, AtFlags::empty()).context(what)?;
        }
    }
    Ok(())
}

impl Saved {
    /// Reads and checks a file; `None` if it has another address or no valid block.
    fn read(file: File, url: &str) -> io::Result<Option<Self>> {
        let mut input = BufReader::new(&file);
        let mut line = Vec::new();
        (&mut input).take(HEAD).read_until(b'\n', &mut line)?;
        let Some((validators, length)) = parse_head(&line, url) else {
            return Ok(None);
        };
        let (mut blocks, mut block) = (0, Vec::new());
        while read_block(&mut input, &mut block)? {
            blocks += 1;
        }
        let at = blocks * BLOCK as u64;
        // A complete file has no rest to ask for.
        Ok((0 < at && at < length).then(|| Self {
            file,
            start: line.len() as u64,
            blocks,
            partial: Partial {
                validators,
                length,
                at,
            },
        }))
    }

    /// Removes what follows the valid blocks; returns their reader, and a
    /// writer that appends to them.
    fn resume(self, to: &Resumable<'_>) -> io::Result<(Blocks<BufReader<File>>, Keeper)> {
        let end = self.start + self.blocks * (CRC + BLOCK) as u64;
        self.file.set_len(end)?;
        let mut input = self.file.try_clone()?;
        input.seek(SeekFrom::Start(self.start))?;
        let blocks = Blocks {
            input: BufReader::new(input),
            block: Vec::new(),
            taken: 0,
            left: self.blocks,
        };
        let partial = &self.partial;
        let mut keeper = Keeper::of(to, &partial.validators, partial.length)?;
        keeper.file = Some(self.file);
        Ok((blocks, keeper))
    }
}

/// Reads the content of one block. Returns false if it is incomplete or damaged.
fn read_block(input: &mut impl Read, block: &mut Vec<u8>) -> io::Result<bool> {
    let mut crc = Vec::with_capacity(CRC);
    input.take(CRC as u64).read_to_end(&mut crc)?;
    block.clear();
    input.take(BLOCK as u64).read_to_end(block)?;
    Ok(block.len() == BLOCK && crc == crc32fast::hash(block).to_le_bytes())
}

/// Returns the first line of a file.
fn head(url: &str, validators: &Validators, length: u64) -> String {
    let value: Value = Object::new()
        .with("url", url)
        .with_some("etag", validators.etag.as_deref())
        .with_some("lastModified", validators.last_modified.as_deref())
        .with("length", length)
        .into();
    format!("{value}\n")
}

fn parse_head(line: &[u8], url: &str) -> Option<(Validators, u64)> {
    let value = json::parse(line).ok()?;
    if value.text("url")? != url || !line.ends_with(b"\n") {
        return None;
    }
    let validators = Validators {
        etag: value.text("etag"),
        last_modified: value.text("lastModified"),
    };
    Some((validators, value.number("length")?))
}

/// Reads blocks that were valid.
struct Blocks<R> {
    input: R,
    block: Vec<u8>,
    taken: usize,
    /// How many blocks follow.
    left: u64,
}

impl<R: Read> Read for Blocks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.block.len() && self.left > 0 {
            if !read_block(&mut self.input, &mut self.block)? {
                return Err(io::Error::other("the part that was kept has changed"));
            }
            (self.taken, self.left) = (0, self.left - 1);
        }
        let count = (&self.block[self.taken..]).read(buffer)?;
        self.taken += count;
        Ok(count)
    }
}

/// A download that is kept as it comes. If it cannot be kept, it goes on.
struct Keeping {
    download: Download,
    keeper: Option<Keeper>,
    broken: Shared,
}

impl Read for Keeping {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.download.read(buffer) {
            Ok(count) => {
                self.keeper = self.keeper.take().and_then(|it| it.add(&buffer[..count]));
                Ok(count)
            }
            Err(error) => {
                let cause = error.get_ref().and_then(|inner| inner.downcast_ref());
                if let Some(why) = cause.cloned() {
                    let kept = self.keeper.as_ref().is_some_and(|it| it.file.is_some());
                    let kept = kept && HttpError::is_transient(&why);
                    let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
                    *broken = Some(Broken { why, kept });
                }
                Err(error)
            }
        }
    }
}

/// Writes a download to its file, once it is known to take long.
struct Keeper {
    root: OwnedFd,
    name: String,
    head: String,
    length: u64,
    /// Whether it is kept in any case.
    is_large: bool,
    since: Instant,
    file: Option<File>,
    /// What was not written yet.
    pending: Vec<u8>,
}

impl Keeper {
    /// Makes one for a download from its beginning, if it could be resumed.
    fn new(download: &Download, to: &Resumable<'_>) -> io::Result<Option<Self>> {
        let validators = download.validators();
        let usable = validators.strong().is_some() && !download.freshness().no_store;
        let length = download.length().filter(|_| usable);
        to.large
            .or(length)
            .map(|length| Self::of(to, validators, length))
            .transpose()
    }

    fn of(to: &Resumable<'_>, validators: &Validators, length: u64) -> io::Result<Self> {
        let root = to.dirs.root().map_err(io::Error::other)?;
        Ok(Self {
            root: root.try_clone_to_owned()?,
            name: to.name.clone(),
            head: head(&to.url, validators, length),
            length,
            is_large: to.large.is_some(),
            since: Instant::now(),
            file: None,
            pending: Vec::new(),
        })
    }

    /// Keeps these bytes; returns `None` if the download is not kept any more.
    fn add(mut self, bytes: &[u8]) -> Option<Self> {
        self.pending.extend_from_slice(bytes);
        if self.file.is_none() {
            if self.pending.len() < SAMPLE && !self.is_large {
                return Some(self);
            }
            let long =
                self.is_large || is_long(self.since.elapsed(), self.pending.len(), self.length);
            if !long || !has_room(&self.root, self.length) {
                return None;
            }
            self.file = Some(self.create().ok()?);
        }
        self.write_blocks().ok()?;
        Some(self)
    }

    /// Writes all complete blocks.
    fn write_blocks(&mut self) -> io::Result<()> {
        let complete = self.pending.len() / BLOCK * BLOCK;
        let mut stored = Vec::with_capacity(complete / BLOCK * (CRC + BLOCK));
        for block in self.pending.drain(..complete).as_slice().chunks(BLOCK) {
            stored.extend(crc32fast::hash(block).to_le_bytes());
            stored.extend_from_slice(block);
        }
        let mut file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        file.write_all(&stored)
    }

    /// Creates the file, and removes those that are too old.
    fn create(&self) -> Result<File> {
        let what = || "cannot keep a partial download";
        clear(&self.root, AGE)?;
        match rustix::fs::mkdirat(&self.root, DIRECTORY, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).context(what),
        }
        let path = Path::new(DIRECTORY).join(&self.name);
        // Another version may be there.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat(&self.root, &path, flags, mode).context(what)?;
        lock(&file).context(what)?;
        rustix::fs::ftruncate(&file, 0).context(what)?;
        let mut file = File::from(file);
        file.write_all(self.head.as_bytes()).context(what)?;
        Ok(file)
    }
}

/// Tells whether `length` bytes take long, if `sample` of them took `time`.
fn is_long(time: Duration, sample: usize, length: u64) -> bool {
    let time = time.as_micros().saturating_mul(u128::from(length));
    time > LONG.as_micros().saturating_mul(sample as u128)
}

/// Tells whether there is room for an archive of `length` bytes and what is
/// unpacked from it.
fn has_room(root: &OwnedFd, length: u64) -> bool {
    let free = rustix::fs::fstatvfs(root);
    let free = free.map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    free / ROOM >= length
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const URL: &str = "https://a";
    const LENGTH: usize = 10 * BLOCK;
    const STORED: usize = CRC + BLOCK;

    fn validators() -> Validators {
        Validators {
            etag: Some("\"1\"".to_owned()),
            last_modified: None,
        }
    }

    /// A file in which so many blocks are kept.
    fn kept(blocks: usize) -> Vec<u8> {
        let mut all = head(URL, &validators(), LENGTH as u64).into_bytes();
        for number in 0..blocks {
            let block = vec![u8::try_from(number).unwrap(); BLOCK];
            all.extend(crc32fast::hash(&block).to_le_bytes());
            all.extend(block);
        }
        all
    }

    fn saved(content: &[u8], url: &str) -> Option<Saved> {
        let flags = OFlags::RDWR | OFlags::TMPFILE;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::open(std::env::temp_dir(), flags, mode).unwrap();
        let mut file = File::from(file);
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        Saved::read(file, url).unwrap()
    }

    /// How many bytes of a file are valid.
    fn at(content: &[u8]) -> u64 {
        saved(content, URL).map_or(0, |saved| saved.partial.at)
    }

    #[test]
    fn a_file_of_another_address_or_without_a_rest_is_not_used() {
        assert!(saved(&kept(1), "https://b").is_none());
        for file in [&b""[..], b"{}\n", &kept(0), &kept(10), &kept(11)] {
            assert_eq!(at(file), 0);
        }
        assert_eq!(at(&vec![b'{'; 100_000]), 0);
    }

    #[test]
    fn a_file_says_of_what_it_is_a_part_and_how_much() {
        let expected = Partial {
            validators: validators(),
            length: LENGTH as u64,
            at: 2 * BLOCK as u64,
        };
        assert_eq!(saved(&kept(2), URL).unwrap().partial, expected);
    }

    #[test]
    fn a_block_that_was_cut_or_damaged_and_all_behind_it_is_not_used() {
        let good = kept(3);
        let start = good.len() - 3 * STORED;
        let valid = |blocks: usize| (blocks * BLOCK) as u64;
        for end in [0, 1, STORED - 1, STORED, STORED + 1, 2 * STORED + 10] {
            assert_eq!(at(&good[..start + end]), valid(end / STORED), "{end} bytes");
        }
        let inside = [0, 3, 4, STORED - 1];
        for damaged in inside.iter().flat_map(|at| [*at, at + STORED]) {
            let mut file = good.clone();
            file[start + damaged] ^= 1;
            assert_eq!(at(&file), valid(damaged / STORED), "byte {damaged}");
        }
        // As a file can end after a power cut.
        let zeros = [&good[..start + STORED], &[0; 100_000]].concat();
        assert_eq!(at(&zeros), valid(1));
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_an_error() {
        let read = |left| {
            let file = kept(2);
            let mut blocks = Blocks {
                input: &file[file.len() - 2 * STORED..],
                block: Vec::new(),
                taken: 0,
                left,
            };
            let mut content = Vec::new();
            blocks.read_to_end(&mut content).map(|_| content)
        };
        assert_eq!(read(2).unwrap(), [[0; BLOCK], [1; BLOCK]].concat());
        assert!(read(3).is_err());
    }

    #[test]
    fn a_download_is_long_if_all_of_it_takes_more_than_five_seconds() {
        let second = Duration::from_secs(1);
        assert!(!is_long(second, 1 << 20, 5 << 20));
        assert!(is_long(second, 1 << 20, (5 << 20) + 1));
        assert!(!is_long(Duration::ZERO, 1 << 20, u64::MAX));
        assert!(is_long(Duration::MAX, 1 << 20, u64::MAX));
    }
}
