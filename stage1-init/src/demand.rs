//! Runs a program on demand, whenever a descriptor becomes readable, for
//! example a listening socket.
//!
//! The kernel sends a signal for it, so that nothing waits in the meantime. It sends
//! none for a timer: this process sleeps no longer than that takes.

use linux_raw_sys::general as raw;
use rustix::fd::BorrowedFd;

use crate::options::Finally;
use crate::pod::Origin;
use crate::start::Start;
use crate::sys::{self, Standard, Time};
use crate::{exit_code, program};

/// The descriptor, and what to execute for it.
pub(crate) struct Demand {
    fd: BorrowedFd<'static>,
    timer: Option<BorrowedFd<'static>>,
    finally: Finally,
    start: Start,
    running: Option<sys::Pid>,
    /// The program may be executed once more without another signal, as it may
    /// have ended before it had read what it was started for. Only once: a
    /// program that always does that must not keep this process busy.
    again: bool,
}

impl Demand {
    /// Starts. The kernel has been asked to signal
    /// ([`sys::signal_when_readable`]), but it does not signal what was there
    /// before.
    pub(crate) fn new(fd: BorrowedFd<'static>, finally: Finally, origin: Origin) -> Self {
        let mut demand = Self {
            fd,
            timer: origin.timer,
            finally,
            start: origin.start,
            running: None,
            again: false,
        };
        demand.look();
        demand
    }

    /// Returns how long nothing has to be done: until the timer expires, if there
    /// is one and nobody serves. It may have expired unnoticed.
    pub(crate) fn rest(&self) -> Option<Time> {
        let timer = self.timer.filter(|_| self.running.is_none())?;
        match sys::time_left(timer) {
            [0, 0] => self.is_wanted().then_some([1, 0]),
            left => Some(left),
        }
    }

    /// Handles that something can be read, perhaps here.
    pub(crate) fn look(&mut self) {
        self.again = true;
        self.serve();
    }

    /// Handles the end of a child, perhaps this one.
    pub(crate) fn ended(&mut self, pid: sys::Pid) {
        if self.running == Some(pid) {
            self.running = None;
            if core::mem::take(&mut self.again) {
                self.serve();
            }
        }
    }

    fn serve(&mut self) {
        if self.running.is_some() || !self.is_wanted() {
            return;
        }
        // Without enough memory, nobody is served.
        self.running = match sys::fork() {
            Ok(None) => self.become_program(),
            Ok(child) => child,
            Err(_) => None,
        };
    }

    #[inline(never)]
    fn is_wanted(&self) -> bool {
        sys::wait_for(self.fd, sys::READABLE, Some([0, 0]))
    }

    fn become_program(&self) -> ! {
        // It must not outlive the pod.
        let _ = sys::die_with_parent();
        let _ = sys::set_standard(Standard::Input, self.fd);
        sys::let_signals_through();
        let _ = program::execute_finally(self.finally, self.start, c"demand");
        sys::exit(exit_code::OURS)
    }
}

impl Drop for Demand {
    fn drop(&mut self) {
        if let Some(pid) = self.running {
            let _ = sys::kill(pid, raw::SIGKILL);
        }
    }
}
