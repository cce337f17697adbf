//! Fills files that were made, and gives them what they are to become: the
//! latter on a thread of its own, while the next ones are made.
//!
//! To make a file and to write it is done in one go, while the kernel has all
//! of it at hand. Setting owner, mode, times and attributes, and closing, needs
//! nothing but the file, so another core can do it.
//!
//! # Invariants
//!
//! 1. Files are known by descriptors of what was made, never by names: in
//!    whatever order files are filled, each gets what is its own.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rustix::fs::{Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use crate::archive::tar_reader::Chunk;
use crate::archive::walk::Entry;
use error::{Context as _, Error, Kind, Result};

/// How many files are handed over together: enough that waking the thread
/// costs little, few enough to stay below every limit of descriptors.
const FILES: usize = 64;

/// What a file or directory is to become, besides its content.
pub(crate) struct Attributes {
    /// User and group, if it is given away.
    pub(crate) owner: Option<(u32, u32)>,
    /// Permission bits, if they are not yet as they must be.
    pub(crate) mode: Option<u32>,
    /// Last modification, in seconds since 1970 and nanoseconds.
    pub(crate) mtime: (i64, u32),
    /// Extended attributes, of which those that mean something are set.
    pub(crate) extended: BTreeMap<OsString, Vec<u8>>,
}

impl Attributes {
    /// Sets all of it.
    pub(crate) fn set(&self, file: BorrowedFd<'_>) -> Result<()> {
        let what = || CANNOT_WRITE;
        if let Some((uid, gid)) = self.owner {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            rustix::fs::fchown(file, Some(uid), Some(gid)).context(what)?;
        }
        for (name, value) in &self.extended {
            set_attribute(file, name, value)?;
        }
        // After chown(2), which clears the set-user-ID bit.
        if let Some(mode) = self.mode {
            rustix::fs::fchmod(file, Mode::from_raw_mode(mode)).context(what)?;
        }
        rustix::fs::futimens(file, &times(self.mtime)).context(what)
    }
}

/// Who fills files, and a thread that finishes them.
pub(crate) struct Fill {
    /// What is handed over next.
    batch: Vec<Filled>,
    full: SyncSender<Vec<Filled>>,
    thread: JoinHandle<Result<()>>,
}

/// A file that has its content.
struct Filled {
    file: OwnedFd,
    /// For messages: its path below `rootfs`.
    path: PathBuf,
    attributes: Attributes,
}

impl Fill {
    /// Starts the thread.
    pub(crate) fn start() -> Result<Self> {
        // One batch is collected here, one waits, and one is worked on.
        let (full, batches) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("fill".to_owned())
            .spawn(move || finish(&batches));
        Ok(Self {
            batch: Vec::with_capacity(FILES),
            full,
            thread: thread.context(|| "cannot start a thread")?,
        })
    }

    /// Fills a file, and hands it over for what else it is to become.
    ///
    /// # Errors
    ///
    /// It cannot be filled. Or one that was handed over could not be finished:
    /// [`Fill::finish`] says which and why.
    pub(crate) fn file(
        &mut self,
        file: OwnedFd,
        mut entry: Entry<'_, '_>,
        attributes: Attributes,
    ) -> Result<()> {
        write(file.as_fd(), &mut entry)?;
        self.batch.push(Filled {
            file,
            path: entry.path,
            attributes,
        });
        if self.batch.len() < FILES {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(FILES));
        let sent = self.full.send(batch);
        sent.map_err(|_| Error::new(Kind::Failed, "another one could not be written"))
    }

    /// Waits until all files are finished.
    ///
    /// # Errors
    ///
    /// The first file that could not be finished, and why.
    pub(crate) fn finish(self) -> Result<()> {
        // If nobody receives it the thread has failed, and says so.
        let _ = self.full.send(self.batch);
        drop(self.full);
        let failed = |_| Error::new(Kind::Failed, "a thread that writes files has failed");
        self.thread.join().map_err(failed)?
    }
}

fn finish(batches: &Receiver<Vec<Filled>>) -> Result<()> {
    for filled in batches.iter().flatten() {
        let set = filled.attributes.set(filled.file.as_fd());
        set.context(|| {
            let path = filled.path.to_string_lossy().escape_debug().to_string();
            format!("cannot unpack entry `rootfs/{path}`")
        })?;
    }
    Ok(())
}

/// Writes the content of a file; its holes stay holes.
fn write(file: BorrowedFd<'_>, entry: &mut Entry<'_, '_>) -> Result<()> {
    let mut offset = 0_u64;
    let mut hole = false;
    while let Some(chunk) = entry.content()? {
        match chunk {
            Chunk::Hole(zeros) => {
                offset = offset.saturating_add(zeros);
                hole = true;
            }
            Chunk::Bytes(bytes) => {
                write_at(file, bytes, offset)?;
                offset = offset.saturating_add(bytes.len() as u64);
            }
        }
    }
    if hole {
        rustix::fs::ftruncate(file, offset).context(|| CANNOT_WRITE)?;
    }
    Ok(())
}

fn write_at(file: BorrowedFd<'_>, mut bytes: &[u8], mut offset: u64) -> Result<()> {
    while !bytes.is_empty() {
        let count = match rustix::io::pwrite(file, bytes, offset) {
            Err(Errno::INTR) => 0,
            written => written.context(|| CANNOT_WRITE)?,
        };
        offset = offset.saturating_add(count as u64);
        bytes = &bytes[count..];
    }
    Ok(())
}

/// Tells whether images have this attribute: those that mean the same inside
/// and outside a pod. Those of an overlay would make our own mounts show other
/// files (CVE-2023-0386); labels and signatures are the host's affair.
pub fn is_kept(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name == b"security.capability"
        || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
}

fn set_attribute(file: BorrowedFd<'_>, name: &OsStr, value: &[u8]) -> Result<()> {
    if !is_kept(name) {
        return Ok(());
    }
    match rustix::fs::fsetxattr(file, name, value, XattrFlags::empty()) {
        // Not every file system has them, and an ordinary user may not set all.
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => Ok(()),
        Err(errno) => Err(errno).context(|| {
            let name = name.to_string_lossy().escape_debug().to_string();
            format!("cannot set its attribute `{name}`")
        }),
    }
}

/// Returns what sets the time of the last modification alone.
pub(crate) fn times((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds.into(),
        },
    }
}

/// What is said of an entry that the file system refuses.
pub(crate) const CANNOT_WRITE: &str = "cannot write it";
