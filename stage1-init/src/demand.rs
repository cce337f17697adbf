//! A program that is there only while somebody wants it: it is executed when
//! a descriptor, of a listening socket for instance, can be read.
//!
//! The kernel tells of it by a signal, so that nobody waits for it meanwhile.

use linux_raw_sys::general as raw;
use rustix::fd::BorrowedFd;

use crate::options::Finally;
use crate::start::Start;
use crate::sys::{self, Standard};
use crate::{exit_code, program};

/// The descriptor, and what is executed for it.
pub(crate) struct Demand {
    fd: BorrowedFd<'static>,
    finally: Finally,
    start: Start,
    running: Option<sys::Pid>,
    /// The program may be executed once more without another signal: it may
    /// have ended, or been killed, before it had read what it was begun for. A
    /// program that always does so shall not keep us busy.
    again: bool,
}

impl Demand {
    /// Begins. The kernel has been asked to tell
    /// ([`sys::signal_when_readable`]); of who came before, it does not.
    pub(crate) fn new(fd: BorrowedFd<'static>, finally: Finally, start: Start) -> Self {
        let mut demand = Self {
            fd,
            finally,
            start,
            running: None,
            again: false,
        };
        demand.look();
        demand
    }

    /// Something can be read: this, perhaps.
    pub(crate) fn look(&mut self) {
        self.again = true;
        self.serve();
    }

    /// A child has ended; this one, perhaps.
    pub(crate) fn ended(&mut self, pid: sys::Pid) {
        if self.running == Some(pid) {
            self.running = None;
            if core::mem::take(&mut self.again) {
                self.serve();
            }
        }
    }

    fn serve(&mut self) {
        if self.running.is_some() || !sys::wait_for(self.fd, sys::READABLE, Some([0, 0])) {
            return;
        }
        // Without memory for it, nobody is served.
        self.running = match sys::fork() {
            Ok(None) => self.become_program(),
            Ok(child) => child,
            Err(_) => None,
        };
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
