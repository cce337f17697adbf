//! The terminal of a pod, and the client that is attached to it.
//!
//! `stage1-init` holds the terminal and copies what is written there to the
//! log. An attached client reads the terminal instead, and keeps the pod's FIFO
//! open meanwhile; the kernel closes the FIFO when the client ends, in whatever
//! way. A lock on the FIFO ensures that there is only one client at a time.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::plan::descriptors::{ATTACHED, MASTER, Owner, TERMINAL};
use crate::runtime::streams::give;
use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};
use sys::pty;

/// The name of the FIFO in the directory of a pod.
const NAME: &str = "attached";

/// An attachment to the terminal of a pod, which lasts as long as this is open.
pub struct Attachment(#[expect(dead_code, reason = "it is only held")] OwnedFd);

/// Opens what a plan names for a terminal, for a pod that is about to run; with
/// the caller's master, if the caller is attached.
pub(crate) fn open(
    pod: BorrowedFd<'_>,
    owner: Owner,
    master: Option<OwnedFd>,
) -> Result<[(u32, OwnedFd); 3]> {
    make(pod)?;
    let attached = watch(pod)?;
    let master = master.map_or_else(pty::open, Ok)?;
    let terminal = pty::peer(&master)?;
    give(terminal.as_fd(), owner);
    Ok([(ATTACHED, attached), (MASTER, master), (TERMINAL, terminal)])
}

/// Makes the FIFO in the directory of a pod that is about to run.
pub fn make(pod: impl AsFd) -> Result<()> {
    let (kind, mode) = (FileType::Fifo, Mode::RUSR | Mode::WUSR);
    match rustix::fs::mknodat(pod, NAME, kind, mode, 0) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno).context(|| "cannot create the terminal of the pod"),
    }
}

/// Opens the end that tells `stage1-init` whether a client is attached.
fn watch(pod: impl AsFd) -> Result<OwnedFd> {
    open_fifo(pod, OFlags::RDONLY).context(|| "cannot watch the terminal of the pod")
}

/// Attaches to the terminal of a pod.
///
/// # Errors
///
/// Fails if the pod has no terminal, or another client is attached.
pub fn attach(pod: impl AsFd, uuid: Uuid) -> Result<Attachment> {
    let what = || format!("cannot attach to pod `{uuid}`");
    // Opened for reading as well: opening a FIFO only for writing fails while
    // it has no reader.
    let fifo = match open_fifo(pod, OFlags::RDWR) {
        Err(Errno::NOENT) => return Err(none(uuid)),
        opened => opened.context(what)?,
    };
    match rustix::fs::flock(&fifo, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Attachment(fifo)),
        Err(Errno::WOULDBLOCK) => Err(Error::invalid(format!(
            "{}: another client is attached",
            what()
        ))),
        Err(errno) => Err(errno).context(what),
    }
}

/// Returns the error for a pod without a terminal.
pub fn none(uuid: Uuid) -> Error {
    Error::new(Kind::NotFound, format!("pod `{uuid}` has no terminal")).hint(
        "`launcher run --interactive` creates one; `launcher logs --follow` shows the output of detached pods",
    )
}

fn open_fifo(pod: impl AsFd, how: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = how | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(pod, NAME, flags, Mode::empty())
}
