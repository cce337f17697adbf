//! The two files of an app's log, read as one.
//!
//! ```text
//! log.1   full; replaced when `log` is full as well
//! log     appended to
//! ```
//!
//! A reader that follows a log keeps its file open, so nothing is lost when
//! that file is renamed and later removed. To find the next file, it checks
//! which of the two its file is now; only a reader that is slower than both
//! files are filled misses anything, and it knows from the number of renames.
//! A record that cannot be written completely
//! is truncated away, so an incomplete record is forgotten before the next
//! look.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::state::log::record::{self, Record, Stream, Taken};
use error::{Context as _, Result};

/// How much is read at once: enough for the longest record, and for what must
/// be seen after it.
const BUFFER: usize = 2 * record::LONGEST;

/// A reader of an app's log.
pub struct Source {
    /// The name of the app.
    pub app: String,
    directory: OwnedFd,
    /// The files to be read, oldest first. The last one stays here after it was
    /// read, so that no other file can be mistaken for it.
    files: VecDeque<File>,
    /// How far the first file has been read.
    offset: u64,
    /// What was read after that.
    buffer: Vec<u8>,
    /// How much of the buffer has been taken.
    taken: usize,
    /// Whether the end of the file was reached.
    at_end: bool,
    /// The next record: time, stream, total length and length of the data.
    next: Option<(u64, Stream, usize, usize)>,
    /// Counts renames, if the log is followed.
    renames: Option<Renames>,
}

impl Source {
    /// Opens the log in the directory of an app.
    pub fn new(app: String, directory: OwnedFd) -> Self {
        Self {
            app,
            directory,
            files: VecDeque::new(),
            offset: 0,
            buffer: Vec::new(),
            taken: 0,
            at_end: false,
            next: None,
            renames: None,
        }
    }

    /// Watches for what is renamed from now on, so that [`Self::look`] finds out
    /// if it has missed anything.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn watch(&mut self) -> Result<()> {
        self.renames = Some(Renames::of(&self.directory)?);
        Ok(())
    }

    /// Returns the directory, which changes when there is more.
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Looks for more. Returns whether there was some that was removed before it
    /// was found.
    pub fn look(&mut self) -> io::Result<bool> {
        self.forget();
        let known = self.files.back().map(identity).transpose()?;
        let mut renamed = self.renamed();
        let [old, new] = loop {
            let pair = pair(&self.directory)?;
            match self.renamed() {
                0 => break pair,
                // The files may be others by now.
                more => renamed += more,
            }
        };
        let is_known = |file: &Option<File>| match file {
            Some(file) => Ok(Some(identity(file)?) == known),
            None => io::Result::Ok(false),
        };
        if is_known(&new)? {
            return Ok(false);
        }
        // Each rename makes room for one file, and two are left: the one that is
        // known was renamed as well.
        let mut missed = false;
        if !is_known(&old)? {
            missed = renamed > 1 + usize::from(known.is_some());
            self.files.extend(old);
        }
        self.files.extend(new);
        Ok(missed)
    }

    /// Returns how many files were renamed since the last call.
    fn renamed(&self) -> usize {
        self.renames.as_ref().map_or(0, Renames::take)
    }

    /// Finds the next record and returns its time. `over` says that nobody is
    /// writing any more, nor was when [`Self::look`] was last called.
    pub fn time(&mut self, over: bool) -> io::Result<Option<u64>> {
        while self.next.is_none() {
            self.fill()?;
            // A file that has a successor is complete.
            let full = self.files.len() > 1;
            let rest = self.buffer.get(self.taken..).unwrap_or_default();
            match record::take(rest, self.at_end && (full || over)) {
                Taken::Record(record, size) => {
                    let length = record.data.len();
                    self.next = Some((record.time, record.stream, size, length));
                }
                Taken::Damage(size) => self.taken += size,
                Taken::More if full => {
                    self.files.pop_front();
                    self.forget();
                    self.offset = 0;
                }
                Taken::More => return Ok(None),
            }
        }
        Ok(self.next.map(|(time, ..)| time))
    }

    /// Takes the record that [`Self::time`] has found.
    pub fn take(&mut self) -> Option<Record<'_>> {
        let (time, stream, size, length) = self.next.take()?;
        let data = self
            .buffer
            .get(self.taken + size - length..self.taken + size)?;
        self.taken += size;
        Some(Record { time, stream, data })
    }

    /// Reads more, unless there is enough or no more.
    fn fill(&mut self) -> io::Result<()> {
        let Some(file) = self.files.front() else {
            self.at_end = true;
            return Ok(());
        };
        if self.at_end || self.buffer.len() - self.taken > BUFFER / 2 + record::HEAD * 2 {
            return Ok(());
        }
        self.offset += u64::try_from(self.taken).unwrap_or_default();
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let mut filled = self.buffer.len();
        self.buffer.resize(BUFFER, 0);
        while filled < BUFFER {
            let at = self.offset + u64::try_from(filled).unwrap_or_default();
            match file.read_at(&mut self.buffer[filled..], at) {
                Ok(0) => {
                    self.at_end = true;
                    break;
                }
                Ok(length) => filled += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.buffer.truncate(filled);
        Ok(())
    }

    /// Discards what was read and not taken.
    fn forget(&mut self) {
        self.offset += u64::try_from(self.taken).unwrap_or_default();
        self.buffer.clear();
        self.taken = 0;
        self.at_end = false;
        self.next = None;
    }
}

/// Counts how often `log` was renamed in a directory.
struct Renames(OwnedFd);

impl Renames {
    fn of(directory: &OwnedFd) -> Result<Self> {
        let what = || "cannot watch a log";
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).context(what)?;
        let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
        // Both, since the kernel merges equal events that follow each other.
        let flags = WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO;
        inotify::add_watch(&events, path, flags).context(what)?;
        Ok(Self(events))
    }

    fn take(&self) -> usize {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.0, &mut buffer);
        let mut count = 0;
        while let Ok(event) = events.next() {
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                // More than two, at any rate.
                count += 3;
            }
            count += usize::from(event.events().contains(ReadFlags::MOVED_TO));
        }
        count
    }
}

/// Opens both files, making sure that the second one came right after the
/// first.
fn pair(directory: &OwnedFd) -> io::Result<[Option<File>; 2]> {
    loop {
        let pair = [open(directory, "log.1")?, open(directory, "log")?];
        let was = pair[0].as_ref().map(identity).transpose()?;
        let is = match rustix::fs::statat(directory, "log.1", AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => Some((status.st_dev, status.st_ino)),
            Err(Errno::NOENT) => None,
            Err(errno) => return Err(errno.into()),
        };
        // Otherwise `log` may have been renamed again before it was opened.
        if was == is {
            return Ok(pair);
        }
    }
}

fn open(directory: &OwnedFd, name: &str) -> io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(directory, name, flags, Mode::empty()) {
        Ok(file) => Ok(Some(file.into())),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Takes the records of several apps in order of time, until there are no more
/// or the caller has enough.
pub fn merge(
    sources: &mut [Source],
    over: bool,
    each: &mut dyn FnMut(usize, &Record<'_>) -> ControlFlow<()>,
) -> io::Result<()> {
    loop {
        let mut first: Option<(u64, usize)> = None;
        for (index, source) in sources.iter_mut().enumerate() {
            let time = source.time(over)?;
            if let Some(time) = time.filter(|&time| first.is_none_or(|(least, _)| time < least)) {
                first = Some((time, index));
            }
        }
        let Some((_, index)) = first else {
            return Ok(());
        };
        if let Some(record) = sources.get_mut(index).and_then(Source::take)
            && each(index, &record).is_break()
        {
            return Ok(());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
#[path = "source_tests.rs"]
mod tests;
