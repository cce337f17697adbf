//! What apps write, kept in files: `log` and `attended`.
//!
//! The kernel tells of it by a signal, as with `demand`, so that nobody waits
//! for it meanwhile. Between two looks nothing is remembered: the file is
//! opened, and found to be full, for each record anew.

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{Mode, OFlags};
use stage1_init::{Directive, Directives};

use crate::say::{Decimal, Line};
use crate::sys::{self, Errno, Result};

/// Longest record, without its head: what a pipe holds, by pages.
const RECORD: usize = 4096;

/// What a pipe holds, unless somebody says otherwise (pipe(7)).
const PIPE: usize = 16 * RECORD;

/// How often it is read in the end: more than a pipe can hold (pipe(7)), since
/// somebody outside of the pod may still write into it.
const ROUNDS: usize = (1 << 20) / RECORD + 1;

/// The directives before the pod's namespaces.
#[derive(Clone, Copy)]
pub(crate) struct Log<'a>(Directives<'a>);

impl<'a> Log<'a> {
    /// Takes those of them that are about the log.
    pub(crate) fn of(directives: Directives<'a>) -> Self {
        Self(directives)
    }

    /// Asks the kernel to tell of what is written from now on.
    pub(crate) fn begin(self) {
        for (_, directive) in self.0 {
            if let Directive::Log { fd, .. } | Directive::Attended { fd } = directive {
                // What cannot tell, such as a file, is read now and in the end.
                let _ = sys::inherited(fd).and_then(sys::signal_when_readable);
            }
        }
    }

    /// Reads each descriptor once, unless somebody else does. Returns whether
    /// there may be more.
    #[inline(never)]
    pub(crate) fn copy(self) -> bool {
        let (mut more, mut attended) = (false, false);
        for (_, directive) in self.0 {
            match directive {
                Directive::Attended { fd } => attended |= is_open(fd),
                Directive::Log {
                    fd,
                    directory,
                    tag,
                    size,
                } if !attended => {
                    let tag = tag.as_c_str().to_bytes();
                    // What was written at once stays together: as much as a pipe
                    // holds, before another is looked at.
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
        if !more {
            sys::release_stack();
        }
        more
    }

    /// The pod is over: reads what is left.
    pub(crate) fn finish(self) {
        for _ in 0..ROUNDS {
            if !self.copy() {
                return;
            }
        }
    }
}

/// Tells whether somebody has the other end of a pipe open: then reading does
/// not find its end.
fn is_open(fd: u32) -> bool {
    let read = sys::inherited(fd).and_then(|fd| sys::read(fd, &mut [0; 64]));
    read != Ok(0)
}

/// Reads one record and writes it; returns its length.
///
/// # Errors
///
/// There was nothing to be read.
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
    /// What makes ten digits of nine with their leading zeros.
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
            // A part of a record would hide those behind it.
            return Ok(rustix::fs::ftruncate(&file, end)?);
        }
    }
}
