//! Starts writing unpacked files to the disk while others are still being
//! unpacked, so that there is little left to wait for at the end.

use std::io::{self, BufRead, Read};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use error::{Context as _, Result};

/// How much is written between two syncs, in bytes.
const ENOUGH: usize = 32 << 20;

/// A thread that syncs a file system now and then.
pub(crate) struct Flush {
    request: SyncSender<()>,
    thread: JoinHandle<rustix::io::Result<()>>,
    written: usize,
}

impl Flush {
    /// Starts the thread for the file system that `fd` is on.
    pub(crate) fn start(fd: OwnedFd) -> Result<Self> {
        let (request, requests) = sync_channel(1);
        let sync = move || {
            for () in requests {
                // The kernel reports each failure only once: see
                // syncfs(2).
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

    /// Wraps an archive's reader, which triggers the syncs.
    pub(crate) fn pace<'a>(&'a mut self, input: &'a mut dyn BufRead) -> Paced<'a> {
        Paced { flush: self, input }
    }

    /// Counts bytes that were read and so will have been written.
    fn note(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written > ENOUGH {
            self.written = 0;
            // One waiting request is enough.
            let _ = self.request.try_send(());
        }
    }

    /// Waits until everything is on the disk.
    ///
    /// # Errors
    ///
    /// Something could not be written, now or earlier.
    pub(crate) fn finish(self) -> io::Result<()> {
        // If nobody receives this, the thread has failed and returns the error.
        let _ = self.request.send(());
        drop(self.request);
        match self.thread.join() {
            Ok(synced) => Ok(synced?),
            Err(_) => Err(io::Error::other("a thread that syncs has failed")),
        }
    }
}

/// A reader of an archive that triggers syncs.
pub(crate) struct Paced<'a> {
    flush: &'a mut Flush,
    input: &'a mut dyn BufRead,
}

impl BufRead for Paced<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.input.consume(count);
        self.flush.note(count);
    }
}

impl Read for Paced<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.flush.note(count);
        Ok(count)
    }
}
