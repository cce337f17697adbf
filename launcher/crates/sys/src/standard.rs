//! The standard streams of this process.
//!
//! The caller may have made them non-blocking, as the programs that share a
//! terminal with it can, too. Those of std fail then when the reader is slow,
//! and output is lost. These wait.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

/// Standard output or standard error. Nothing is buffered.
#[derive(Debug)]
pub struct Output {
    to: BorrowedFd<'static>,
    reader: Reader,
}

/// Whether somebody reads an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// It is an error if nobody does.
    Needed,
    /// Output that nobody reads is discarded.
    Optional,
    /// Nobody does.
    Gone,
}

impl Output {
    /// Returns standard output. Writing to it fails when its reader has gone
    /// (`EPIPE`).
    pub fn stdout() -> Self {
        Self::new(rustix::stdio::stdout(), Reader::Needed)
    }

    /// Returns standard error. Writing to it fails when its reader has gone.
    pub fn stderr() -> Self {
        Self::new(rustix::stdio::stderr(), Reader::Needed)
    }

    /// Returns standard output for the results of a command, whose reader may
    /// have read enough, as `head` does: what nobody reads is discarded, and
    /// the command does its work all the same.
    pub fn results() -> Self {
        Self::new(rustix::stdio::stdout(), Reader::Optional)
    }

    const fn new(to: BorrowedFd<'static>, reader: Reader) -> Self {
        Self { to, reader }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.reader == Reader::Gone {
            return Ok(bytes.len());
        }
        match patiently(self.to, PollFlags::OUT, || {
            rustix::io::write(self.to, bytes)
        }) {
            Err(Errno::PIPE) if self.reader == Reader::Optional => {
                self.reader = Reader::Gone;
                Ok(bytes.len())
            }
            written => Ok(written?),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.to
    }
}

/// Standard input. Nothing is buffered.
#[derive(Debug)]
pub struct Input;

impl Read for Input {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let from = rustix::stdio::stdin();
        Ok(patiently(from, PollFlags::IN, || {
            rustix::io::read(from, &mut *bytes)
        })?)
    }
}

/// Repeats a call until it need not wait any more.
fn patiently(
    fd: BorrowedFd<'_>,
    until: PollFlags,
    mut call: impl FnMut() -> rustix::io::Result<usize>,
) -> rustix::io::Result<usize> {
    loop {
        match call() {
            Err(Errno::AGAIN) => {
                let mut polled = [PollFd::from_borrowed_fd(fd, until)];
                match rustix::event::poll(&mut polled, None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(errno) => return Err(errno),
                }
            }
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}
