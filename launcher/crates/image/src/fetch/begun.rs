//! The beginning of an archive whose download was interrupted: kept, so that
//! the next call fetches only the rest.
//!
//! ```text
//! downloads/HASH     a line of JSON: the address, the version, its length; then
//!                    pieces, each behind its length and its checksum
//! ```
//!
//! Only what will take long is kept: what comes again as fast as a disk writes
//! it is not worth writing. And only where there is ample room: an archive
//! becomes several times as large. Whoever reads or writes it has the address locked
//! (see `http_cache`). Where the power was cut a file can have anything in
//! it, so that what follows the first piece whose checksum is wrong counts as
//! not there.
//!
//! It proves nothing: the whole archive goes through all checks, whichever
//! part of it was here. If it fails them, none of it is kept, and nothing can
//! fail twice because of what is here.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

use crate::fetch::http::{Download, HttpError, Partial, Validators};
use crate::fetch::http_cache;
use crate::fetch::pieces::{PIECE, Pieces, Writer};
use appc::json::{self, Object, Value};
use error::{Context as _, Result};
use sys::dirs::Dirs;
use sys::root_fd;

/// Where all of them are.
const DIRECTORY: &str = "downloads";

/// By how much of a download it is judged how long all of it will take, in bytes.
const SAMPLE: usize = 1 << 20;

/// How long is long.
const LONG: Duration = Duration::from_secs(5);

/// How long it is kept that nobody fetches the rest.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How many times the size of a download there must be room for.
const ROOM: u64 = 8;

/// Longest first line, in bytes.
const HEAD: u64 = 16 << 10;

/// What is kept of what is at an address.
pub(crate) struct Begun<'a> {
    dirs: &'a Dirs,
    url: String,
    name: String,
    found: Option<Found>,
    /// There is something that can be continued.
    worth: Arc<AtomicBool>,
}

/// A file with at least one sound piece.
struct Found {
    file: File,
    part: Partial,
    /// Where its pieces begin and end, in bytes from its beginning.
    pieces: (u64, u64),
}

impl<'a> Begun<'a> {
    /// Looks for it. What cannot be read is not there.
    pub(crate) fn look(dirs: &'a Dirs, url: &str) -> Self {
        let name = http_cache::hash(url);
        let path = Path::new(DIRECTORY).join(&name);
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        let file = dirs.root().map_err(io::Error::other);
        let file = file.and_then(|root| root_fd::open(root, &path, flags));
        let found = file.and_then(|file| Found::read(File::from(file), url));
        Self {
            dirs,
            url: url.to_owned(),
            name,
            found: found.ok().flatten(),
            worth: Arc::default(),
        }
    }

    /// Returns what need not be fetched again.
    pub(crate) fn part(&self) -> Option<&Partial> {
        self.found.as_ref().map(|found| &found.part)
    }

    /// Reads an archive: what is here, if `download` goes on behind that, and
    /// what comes; that is kept, if it is worth it.
    ///
    /// # Errors
    ///
    /// What is here cannot be read from its beginning.
    pub(crate) fn with(&mut self, download: Download) -> Result<Box<dyn Read + Send>> {
        let what = || format!("cannot go on with the download of `{}`", self.url);
        let worth = Arc::clone(&self.worth);
        let found = self.found.take().filter(|_| download.at() > 0);
        let Some(found) = found else {
            let trial = Trial::of(&download, self).context(what)?;
            let keep = trial.map_or(Keep::Not, Keep::Perhaps);
            return Ok(Box::new(Growing {
                download,
                keep,
                worth,
            }));
        };
        let before = found.read_again().context(what)?;
        let growing = Growing {
            download,
            keep: Keep::In(Writer::new(found.file)),
            worth,
        };
        Ok(Box::new(before.chain(growing)))
    }

    /// Removes what is here, unless the download broke and there is something
    /// to go on with: tells whether there is.
    pub(crate) fn end(self) -> bool {
        if self.worth.load(Ordering::Relaxed) {
            return true;
        }
        let path = Path::new(DIRECTORY).join(&self.name);
        // What cannot be removed now is when it is too old.
        if let Ok(root) = self.dirs.root() {
            let _ = rustix::fs::unlinkat(root, path, AtFlags::empty());
        }
        false
    }
}

/// Removes what nobody has gone on with for so long.
///
/// # Errors
///
/// What the disk refuses.
pub(crate) fn clear(root: impl AsFd, age: Duration) -> Result<()> {
    let what = || "cannot clear away downloads that were interrupted";
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let directory = match root_fd::open(root, Path::new(DIRECTORY), flags) {
        Err(error) if root_fd::is_absent(&error) => return Ok(()),
        directory => directory.context(what)?,
    };
    let now = sys::clock::seconds();
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

impl Found {
    /// Looks through a file, which has another address or nothing of use in it.
    fn read(file: File, url: &str) -> io::Result<Option<Self>> {
        let mut input = BufReader::with_capacity(PIECE, &file);
        let mut line = Vec::new();
        (&mut input).take(HEAD).read_until(b'\n', &mut line)?;
        let Some((validators, length)) = understand(&line, url) else {
            return Ok(None);
        };
        let start = line.len() as u64;
        let mut pieces = Pieces::new(input);
        let (mut at, mut end) = (0, start);
        while let Some((content, all)) = pieces.skip()? {
            (at, end) = (at + content, end + all);
        }
        let part = Partial {
            validators,
            length,
            at,
        };
        // Of a whole one there is no rest to ask for.
        Ok((0 < at && at < length).then_some(Self {
            file,
            part,
            pieces: (start, end),
        }))
    }

    /// Cuts off what is behind the pieces, and reads them. What is written
    /// then is put at the end, whatever has been read.
    fn read_again(&self) -> io::Result<Before<impl Read + Send + use<>>> {
        let (start, end) = self.pieces;
        let mut file = self.file.try_clone()?;
        file.set_len(end)?;
        file.seek(SeekFrom::Start(start))?;
        let pieces = BufReader::with_capacity(PIECE, file.take(end - start));
        Ok(Before {
            pieces: Pieces::new(pieces),
            left: self.part.at,
        })
    }
}

/// The first line of a file.
fn head(url: &str, validators: &Validators, length: u64) -> String {
    let value: Value = Object::new()
        .with("url", url)
        .with_some("etag", validators.etag.as_deref())
        .with_some("lastModified", validators.last_modified.as_deref())
        .with("length", length)
        .into();
    format!("{value}\n")
}

fn understand(line: &[u8], url: &str) -> Option<(Validators, u64)> {
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

/// What was there when the download went on behind it.
struct Before<R> {
    pieces: Pieces<R>,
    /// How many bytes there must still be.
    left: u64,
}

impl<R: Read> Read for Before<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.pieces.read(buffer)?;
        self.left = self.left.saturating_sub(count as u64);
        match (count, self.left) {
            (0, 1..) if !buffer.is_empty() => {
                Err(io::Error::other("what was kept of it has changed"))
            }
            _ => Ok(count),
        }
    }
}

/// A download that may be kept as it comes.
struct Growing {
    download: Download,
    keep: Keep,
    worth: Arc<AtomicBool>,
}

enum Keep {
    Not,
    Perhaps(Trial),
    In(Writer<File>),
}

impl Growing {
    /// Keeps what came. That something cannot be kept is no failure.
    fn keep(&mut self, bytes: &[u8]) {
        self.keep = match std::mem::replace(&mut self.keep, Keep::Not) {
            Keep::Not => Keep::Not,
            Keep::Perhaps(mut trial) => {
                trial.sample.extend_from_slice(bytes);
                match trial.sample.len() >= SAMPLE {
                    true => trial.verdict().map_or(Keep::Not, Keep::In),
                    false => Keep::Perhaps(trial),
                }
            }
            Keep::In(mut writer) => match writer.add(bytes) {
                Ok(()) => Keep::In(writer),
                Err(_) => Keep::Not,
            },
        };
    }
}

/// A download of which it is not known yet how fast it comes.
struct Trial {
    root: OwnedFd,
    name: String,
    /// The first line of the file.
    head: String,
    length: u64,
    since: Instant,
    sample: Vec<u8>,
}

impl Trial {
    /// Begins it for a download that could be gone on with.
    fn of(download: &Download, begun: &Begun<'_>) -> io::Result<Option<Self>> {
        let validators = download.validators();
        let sound = validators.strong().is_some() && !download.freshness().no_store;
        let Some(length) = download.length().filter(|_| sound) else {
            return Ok(None);
        };
        Ok(Some(Self {
            root: begun
                .dirs
                .root()
                .map_err(io::Error::other)?
                .try_clone_to_owned()?,
            name: begun.name.clone(),
            head: head(&begun.url, validators, length),
            length,
            since: Instant::now(),
            sample: Vec::new(),
        }))
    }

    /// Keeps the download, if all of it takes long and there is ample room.
    fn verdict(self) -> Option<Writer<File>> {
        let long = is_long(self.since.elapsed(), self.sample.len(), self.length);
        if !long || !has_room(&self.root, self.length) {
            return None;
        }
        let mut writer = self.begin().map(Writer::new).ok()?;
        writer.add(&self.sample).ok()?;
        Some(writer)
    }

    /// Begins the file, and removes what is too old.
    fn begin(&self) -> Result<File> {
        let what = || "cannot keep a download";
        clear(&self.root, KEPT)?;
        match rustix::fs::mkdirat(&self.root, DIRECTORY, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).context(what),
        }
        let path = Path::new(DIRECTORY).join(&self.name);
        // Another version may be there. Nobody has it open: the address is locked.
        match rustix::fs::unlinkat(&self.root, &path, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno).context(what),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat(&self.root, &path, flags, mode).context(what)?;
        let mut file = File::from(file);
        file.write_all(self.head.as_bytes()).context(what)?;
        Ok(file)
    }
}

/// Tells whether it takes long until there are `length` bytes, if `sample` of
/// them took `time`.
fn is_long(time: Duration, sample: usize, length: u64) -> bool {
    let time = time.as_micros().saturating_mul(u128::from(length));
    time > LONG.as_micros().saturating_mul(sample as u128)
}

/// Tells whether there is room for an archive of `length` bytes besides what
/// becomes of it: what is kept must not fill a disk that would do without.
fn has_room(root: &OwnedFd, length: u64) -> bool {
    let free = rustix::fs::fstatvfs(root);
    let free = free.map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    free / ROOM >= length
}

impl Read for Growing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.download.read(buffer) {
            Ok(count) => {
                self.keep(&buffer[..count]);
                Ok(count)
            }
            Err(error) => {
                let cause = error.get_ref().and_then(|inner| inner.downcast_ref());
                if cause.is_some_and(HttpError::is_transient)
                    && let Keep::In(writer) = &mut self.keep
                    && writer.end().is_ok()
                {
                    self.worth.store(true, Ordering::Relaxed);
                }
                Err(error)
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"{\"url\":\"https://a\",\"etag\":\"\\\"1\\\"\",\"length\":2000}\n";

    /// A file without a name.
    fn file(content: &[u8]) -> File {
        let flags = OFlags::RDWR | OFlags::TMPFILE;
        let mode = Mode::RUSR | Mode::WUSR;
        let mut file = File::from(rustix::fs::open(std::env::temp_dir(), flags, mode).unwrap());
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        file
    }

    /// A file in which so much is kept.
    fn kept(length: usize) -> Vec<u8> {
        let mut all = HEAD.to_vec();
        let mut writer = Writer::new(&mut all);
        writer.add(&vec![7; length]).unwrap();
        writer.end().unwrap();
        all
    }

    fn part(content: &[u8], url: &str) -> Option<Partial> {
        let found = Found::read(file(content), url).unwrap();
        found.map(|found| found.part)
    }

    #[test]
    fn what_is_no_beginning_of_this_address_is_not_there() {
        assert_eq!(part(&kept(100), "https://b"), None);
        assert_eq!(part(b"", "https://a"), None);
        assert_eq!(part(b"{}\n", "https://a"), None);
        assert_eq!(part(HEAD, "https://a"), None);
        assert_eq!(part(&vec![b'{'; 100_000], "https://a"), None);
        // All of it, and more: there is no rest.
        assert_eq!(part(&kept(2000), "https://a"), None);
        assert_eq!(part(&kept(3000), "https://a"), None);
    }

    #[test]
    fn a_beginning_says_of_what_it_is_and_how_much() {
        let expected = Partial {
            validators: Validators {
                etag: Some("\"1\"".to_owned()),
                last_modified: None,
            },
            length: 2000,
            at: 100,
        };
        assert_eq!(part(&kept(100), "https://a"), Some(expected));
    }

    #[test]
    fn a_beginning_that_changes_while_it_is_read_is_an_error() {
        let kept = kept(100);
        let read = |left| {
            let pieces = Pieces::new(&kept[HEAD.len()..]);
            Before { pieces, left }.read_to_end(&mut Vec::new())
        };
        assert!(read(101).is_err());
        assert_eq!(read(100).unwrap(), 100);
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
