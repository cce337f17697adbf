//! Copies what apps write into files: `log` and `attended`.
//!
//! The kernel signals when there is something to copy, as for `demand`. Nothing
//! is remembered in between: for each record, the file is opened again, and its
//! size checked.

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{Mode, OFlags};
use stage1_init::{Decimal, Directive, Directives};

use crate::say::Line;
use crate::sys::{self, Errno, Result};

/// The maximum length of a record without its head: pipes are filled page by
/// page.
const RECORD: usize = 4096;

/// The default capacity of a pipe (pipe(7)).
const PIPE: usize = 16 * RECORD;

/// How often a descriptor is read at the end: more often than a full pipe needs
/// (pipe(7)), but not forever, since a process outside of the pod may still
/// write into it.
const ROUNDS: usize = (1 << 20) / RECORD + 1;

/// The directives before the pod's namespaces.
#[derive(Clone, Copy)]
pub(crate) struct Log<'a>(Directives<'a>);

impl<'a> Log<'a> {
    /// Takes the directives that are about the log, among others.
    pub(crate) fn of(directives: Directives<'a>) -> Self {
        Self(directives)
    }

    /// Asks the kernel to signal what is written from now on.
    pub(crate) fn begin(self) {
        for (_, directive) in self.0 {
            if let Directive::Log { fd, .. } | Directive::Attended { fd } = directive {
                // A descriptor that cannot signal, such as a file, is read now
                // and at the end.
                let _ = sys::inherited(fd).and_then(sys::signal_when_readable);
            }
        }
    }

    /// Reads each descriptor once, unless a client is attached. Tells whether
    /// there may be more.
    #[inline(never)]
    pub(crate) fn copy(self) -> bool {
        let (mut more, mut looked, mut attended) = (false, false, false);
        for (_, directive) in self.0 {
            match directive {
                Directive::Attended { fd } => attended |= is_open(fd),
                Directive::Log {
                    fd,
                    directory,
                    tag,
                    size,
                } if !attended => {
                    looked = true;
                    let tag = tag.as_c_str().to_bytes();
                    // What was written together stays together: up to a full
                    // pipe, before the next descriptor is read.
                    for _ in 0..PIPE / RECORD {
                        let copied = copy_one(fd, directory, tag, size);
                        more |= copied.is_ok();
                        if copied != Ok(RECORD) {
                            break;
                        }
                    }
                }
                _ => {}
            }
        }
        if looked && !more {
            sys::release_stack();
        }
        more
    }

    /// The pod has ended: reads what is left.
    pub(crate) fn finish(self) {
        for _ in 0..ROUNDS {
            if !self.copy() {
                return;
            }
        }
    }
}

/// Tells whether the other end of a pipe is open: if it is, reading does not
/// find the end.
fn is_open(fd: u32) -> bool {
    let read = sys::inherited(fd).and_then(|fd| sys::read(fd, &mut [0; 64]));
    read != Ok(0)
}

/// Copies one record; returns its length.
///
/// # Errors
///
/// There was nothing to read.
#[inline(never)]
fn copy_one(fd: u32, directory: u32, tag: &[u8], size: u32) -> Result<usize> {
    let mut buffer = [0; RECORD];
    let bytes = sys::bytes_of(sys::inherited(fd)?, &mut buffer);
    if bytes.is_empty() {
        return Err(Errno::AGAIN);
    }
    // What cannot be written is dropped.
    let _ = sys::inherited(directory).and_then(|directory| append(directory, tag, size, bytes));
    Ok(bytes.len())
}

fn append(directory: BorrowedFd<'_>, tag: &[u8], size: u32, bytes: &[u8]) -> Result<()> {
    /// Added to nine digits, it makes ten, and keeps their leading zeros.
    const TEN_DIGITS: u32 = 1_000_000_000;
    let [seconds, nanoseconds] = sys::time_of_day();
    let nanoseconds = Decimal::new(TEN_DIGITS + nanoseconds);
    let mut head = Line::new(sys::STDERR);
    head.number(seconds);
    head.push(b".");
    head.push(nanoseconds.as_bytes().get(1..).unwrap_or_default());
    head.push(b" ");
    head.push(tag);
    head.push(b" ");
    head.number(u32::try_from(bytes.len()).unwrap_or_default());
    head.push(b"\n");
    let whole = (head.as_bytes().len() + bytes.len()) as u64;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW;
    let mut renamed = false;
    loop {
        let file = sys::create(directory, c"log", flags, Mode::RUSR | Mode::WUSR)?;
        let end = rustix::fs::seek(&file, rustix::fs::SeekFrom::End(0))?;
        if end > 0 && end + whole > u64::from(size) && !renamed {
            rustix::fs::renameat(directory, c"log", directory, c"log.1")?;
            renamed = true;
        } else if u64::from(sys::write_both(file.as_fd(), head.as_bytes(), bytes)?) == whole {
            return Ok(());
        } else {
            // A partial record would hide those after it.
            return Ok(rustix::fs::ftruncate(&file, end)?);
        }
    }
}
