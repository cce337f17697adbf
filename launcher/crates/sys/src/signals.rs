//! Signals that the launcher handles itself.
//!
//! The only file that knows signal-hook.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;

use error::{Context as _, Result};

/// Waits for signals. Its descriptor becomes readable when one arrives.
pub struct Signals {
    woken: UnixStream,
    wanted: Vec<(Signal, Arc<AtomicBool>)>,
}

impl Signals {
    /// Handles these signals from now on, until the process ends.
    pub fn take(signals: &[Signal]) -> Result<Self> {
        let what = || "cannot wait for signals";
        let (woken, waker) = UnixStream::pair().context(what)?;
        woken.set_nonblocking(true).context(what)?;
        let mut wanted = Vec::new();
        for &signal in signals {
            let came = Arc::new(AtomicBool::new(false));
            let number = signal.as_raw();
            signal_hook::flag::register(number, Arc::clone(&came)).context(what)?;
            let waker = waker.try_clone().context(what)?;
            signal_hook::low_level::pipe::register(number, waker).context(what)?;
            wanted.push((signal, came));
        }
        Ok(Self { woken, wanted })
    }

    /// Returns the signals that have arrived since the last call.
    pub fn next(&self) -> Vec<Signal> {
        // The pipe is emptied first: a later signal is found below or wakes the
        // caller again.
        while rustix::io::read(&self.woken, &mut [0; 64]).is_ok_and(|length| length > 0) {}
        let came = |(_, came): &&(Signal, Arc<AtomicBool>)| came.swap(false, Ordering::SeqCst);
        self.wanted
            .iter()
            .filter(came)
            .map(|(signal, _)| *signal)
            .collect()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.woken.as_fd()
    }
}
