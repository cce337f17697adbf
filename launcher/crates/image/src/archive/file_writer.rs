//! Writes the contents of new files, and sets their metadata on another thread,
//! while the next files are created.
//!
//! A file is created and written at once, while the kernel has it at hand.
//! Setting owner, mode, times and attributes and closing need only the
//! descriptor, so another core can do it.
//!
//! # Invariants
//!
//! 1. Files are identified by the descriptors they were created with, never by
//!    name, so each gets its own content and metadata, whatever the order.

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

/// Number of files passed to the thread at once: enough to make waking it
/// cheap, few enough for any limit on descriptors.
const FILES: usize = 64;

/// The metadata of a file or directory.
pub(crate) struct Attributes {
    /// User and group, if they are set.
    pub(crate) owner: Option<(u32, u32)>,
    /// Permission bits, if they are not right already.
    pub(crate) mode: Option<u32>,
    /// Modification time, in seconds since 1970 and nanoseconds.
    pub(crate) mtime: (i64, u32),
    /// Extended attributes. Only those that are kept are set.
    pub(crate) extended: BTreeMap<OsString, Vec<u8>>,
}

impl Attributes {
    /// Sets everything.
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

/// Writes files, with a thread that sets their metadata.
pub(crate) struct Fill {
    /// The next batch for the thread.
    batch: Vec<Filled>,
    full: SyncSender<Vec<Filled>>,
    thread: JoinHandle<Result<()>>,
}

/// A file with its content written.
struct Filled {
    file: OwnedFd,
    /// Its path below `rootfs`, for messages.
    path: PathBuf,
    attributes: Attributes,
}

impl Fill {
    /// Starts the thread.
    pub(crate) fn start() -> Result<Self> {
        // One batch is collected, one waits, and one is processed.
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

    /// Writes a file, and passes it on for its metadata.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or an earlier one could not be finished:
    /// [`Fill::finish`] returns which and why.
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
        sent.map_err(|_| Error::new(Kind::Failed, "another file could not be written"))
    }

    /// Waits until all files are finished.
    ///
    /// # Errors
    ///
    /// The first file that could not be finished.
    pub(crate) fn finish(self) -> Result<()> {
        // If nobody receives this, the thread has failed and returns the error.
        let _ = self.full.send(self.batch);
        drop(self.full);
        let failed = |_| Error::new(Kind::Failed, "a thread that writes files has failed");
        self.thread.join().map_err(failed)?
    }
}

fn finish(batches: &Receiver<Vec<Filled>>) -> Result<()> {
    for filled in batches.iter().flatten() {
        let set = filled.attributes.set(filled.file.as_fd());
        set.map_err(|error| {
            let path = filled.path.to_string_lossy().escape_debug().to_string();
            error.at(format!("entry `rootfs/{path}`"))
        })?;
    }
    Ok(())
}

/// Writes the content of a file and leaves holes as holes.
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

/// Tells whether images keep an attribute: only those that mean the same inside
/// and outside a pod. Overlay attributes would make our mounts show other files
/// (CVE-2023-0386); labels and signatures are the host's business.
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
        // Not every file system supports them, and ordinary users may not set
        // all.
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => Ok(()),
        Err(errno) => Err(errno).context(|| {
            let name = name.to_string_lossy().escape_debug().to_string();
            format!("cannot set its attribute `{name}`")
        }),
    }
}

/// Returns times that set only the modification time.
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

/// Makes an error about an entry.
pub(crate) const CANNOT_WRITE: &str = "cannot write it";
