//! Sends what is unpacked to the disk while more is unpacked, so that little
//! is left to wait for at the end.

use std::io::{self, BufRead, Read};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use error::{Context as _, Result};

/// How much is written before it is sent on, in bytes.
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

    /// Passes an archive on, and sends on what is made of it.
    pub(crate) fn pace<'a>(&'a mut self, input: &'a mut dyn BufRead) -> Paced<'a> {
        Paced { flush: self, input }
    }

    /// Notes that so much was read, and so will have been written.
    fn note(&mut self, bytes: usize) {
        self.written += bytes;
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

/// An archive, the reading of which sets the pace.
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
