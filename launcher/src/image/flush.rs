//! Sends what is unpacked to the disk while more is unpacked, so that little
//! is left to wait for at the end.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::ground::{Context as _, Result};

/// How much is written before it is sent on, in bytes.
const ENOUGH: u64 = 16 << 20;

/// A thread that syncs a file system now and then.
pub(crate) struct Flush {
    request: SyncSender<()>,
    thread: JoinHandle<rustix::io::Result<()>>,
    written: u64,
}

impl Flush {
    /// Starts the thread for the file system that `fd` is on.
    pub(crate) fn start(fd: OwnedFd) -> Result<Self> {
        let (request, requests) = sync_channel(1);
        let sync = move || {
            for () in requests {
                // The kernel tells of each failure only once: see syncfs(2).
                rustix::fs::syncfs(&fd)?;
            }
            Ok(())
        };
        let thread = thread::Builder::new().name("sync".to_owned()).spawn(sync);
        Ok(Self {
            request,
            thread: thread.context(|| "cannot start a thread")?,
            written: 0,
        })
    }

    /// Notes that so much was written.
    pub(crate) fn wrote(&mut self, bytes: u64) {
        self.written = self.written.saturating_add(bytes);
        if self.written > ENOUGH {
            self.written = 0;
            // If one waits already, that is enough.
            let _ = self.request.try_send(());
        }
    }

    /// Waits until all that was written is on the disk.
    ///
    /// # Errors
    ///
    /// Something could not be written, now or before.
    pub(crate) fn finish(self) -> io::Result<()> {
        // If nobody receives it the thread has failed, and says so.
        let _ = self.request.send(());
        drop(self.request);
        match self.thread.join() {
            Ok(synced) => Ok(synced?),
            Err(_) => Err(io::Error::other("a thread that syncs has failed")),
        }
    }
}
