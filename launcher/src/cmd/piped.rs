//! `--pipe-output`: apps write to pipes, from which this process copies to the
//! caller's streams.
//!
//! Without this option, an app has the streams themselves, and can reopen the
//! files behind them through /proc/self/fd, to read or truncate them. That
//! costs nothing, and is what people expect of a terminal; this option costs a
//! launcher that stays in memory.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use crate::cmd::ONCE_MORE;
use crate::cmd::child::pass_on;
use crate::cmd::exit::Exit;
use error::{Context as _, Result};
use sys::signals::{self, Signals};
use sys::standard::Output;

/// Runs the same command again, copies its output, and returns how it ended.
/// `words` are the arguments of this process.
///
/// # Errors
///
/// The command cannot be started.
pub(crate) fn run(words: impl Iterator<Item = OsString>) -> Result<Exit> {
    let what = || "cannot redirect the standard streams through pipes";
    let signals = Signals::take(&signals::passed_on())?;
    // The child must know the caller's.
    sys::limits::restore();
    let mut child = Command::new("/proc/self/exe")
        .arg0("launcher")
        .arg(ONCE_MORE)
        .args(words)
        // In a process group of its own, so that signals of a terminal are
        // forwarded by us and do not arrive twice.
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context(what)?;
    let (over, writer) = io::pipe().context(what)?;
    for stream in [
        child
            .stdout
            .take()
            .map(|from| copier(from, Output::stdout())),
        child
            .stderr
            .take()
            .map(|from| copier(from, Output::stderr())),
    ]
    .into_iter()
    .flatten()
    {
        let writer = writer.try_clone().context(what)?;
        let copy = move || {
            stream();
            drop(writer);
        };
        std::thread::Builder::new().spawn(copy).context(what)?;
    }
    drop(writer);
    while !is_over(&signals, &over).context(what)? {
        for signal in signals.next() {
            pass_on(&child, signal);
        }
    }
    child.wait().context(what).map(Exit::of)
}

/// Copies everything as it arrives. If the reader goes away, the pipe tells the
/// writer.
fn copier(
    mut from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
) -> Box<dyn FnOnce() + Send> {
    Box::new(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..length]).is_err() {
                return;
            }
        }
    })
}

/// Waits for a signal, or until copying has ended; returns whether it has.
fn is_over(signals: &Signals, over: &io::PipeReader) -> rustix::io::Result<bool> {
    let mut polled = [
        PollFd::from_borrowed_fd(over.as_fd(), PollFlags::IN),
        PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
    ];
    match rustix::event::poll(&mut polled, None) {
        Ok(_) => Ok(!polled[0].revents().is_empty()),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}
