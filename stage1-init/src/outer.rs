//! The half of the program that stays outside of the pod's pid namespace.
//!
//! It waits for PID 1, passes signals on to it and what it says, keeps the log,
//! and keeps open what was inherited, such as locks. If it dies, so does the pod.

use linux_raw_sys::general as raw;
use rustix::fd::{AsFd, BorrowedFd};

use crate::demand::Demand;
use crate::exit_code;
use crate::log::Log;
use crate::pod::{Child, Origin};
use crate::sys::{self, End};

/// What PID 1 says, passed on to where this half says things. Apps that may
/// trace PID 1 can say something as well, so there is an end to it.
struct Voice {
    from: End,
    to: BorrowedFd<'static>,
    left: usize,
}

/// Most bytes that are passed on: some lines for each app, with room to spare.
const MOST_SAID: usize = 64 << 10;

impl Voice {
    fn begin(from: End, origin: Origin) -> Self {
        let _ = sys::signal_when_readable(from.as_fd());
        Self {
            from,
            to: origin.report.unwrap_or(sys::STDERR),
            left: MOST_SAID,
        }
    }

    /// Passes on what there is now; tells whether there may be more.
    #[inline(never)]
    fn pass_on(&mut self) -> bool {
        let mut buffer = [0; 512];
        let bytes = sys::bytes_of(self.from.as_fd(), &mut buffer);
        let bytes = bytes.get(..self.left).unwrap_or(bytes);
        self.left -= bytes.len();
        sys::write_all(self.to, bytes).is_ok() && !bytes.is_empty()
    }
}

/// How long this half rests for each nanosecond of processor time that it took
/// to copy: what it does for a pod is not charged to the pod.
const REST: i64 = 9;

/// Waits for PID 1 of the pod, passes on signals to it and what it says, and
/// keeps the log.
#[inline(never)]
pub(crate) fn wait_for(child: Child, origin: Origin, log: Log<'_>) -> u8 {
    let demand = origin.demand.zip(origin.finally);
    let mut demand = demand.map(|(fd, finally)| Demand::new(fd, finally, origin.start));
    let mut voice = Voice::begin(child.voice, origin);
    log.begin();
    // What can be read now is, and then once more after a rest.
    let (mut more, mut taken, mut rest) = (true, sys::taken(), 0);
    sys::release_stack();
    let code = 'over: loop {
        while let (pid @ 1.., status) = sys::wait(sys::ANY, raw::WNOHANG) {
            if pid == child.pid {
                break 'over exit_code::of(status);
            }
            if let Some(demand) = &mut demand {
                demand.ended(pid);
            }
        }
        if more {
            more = voice.pass_on() | log.copy();
            let now = sys::taken();
            rest = (REST * (now - taken)).min(sys::SECOND - 1);
            taken = now;
        }
        let received = if rest > 0 {
            let received = sys::wait_for_signal(sys::BUT_READABLE, Some([0, rest]));
            rest = 0;
            received
        } else {
            sys::wait_for_signal(sys::ALL, more.then_some([0, 0]))
        };
        let Some(received) = received else {
            continue;
        };
        if received.is_readable() {
            more = true;
            if let Some(demand) = &mut demand {
                demand.look();
            }
            continue;
        }
        // Of one that the kernel has buried, nothing else tells.
        if let Some(code) = received.end_of(child.pid) {
            sys::wait(child.pid, raw::WNOHANG);
            break code;
        }
        // What the terminal sends, it sends to the child as well.
        if !received.is_terminals() {
            let of_child = received.signal == raw::SIGCHLD;
            let signal = if of_child { 0 } else { received.signal };
            // There is one signal for two that end at a time.
            if sys::kill(child.pid, signal).is_err() && of_child {
                break 137;
            }
        }
        if received.signal == raw::SIGTSTP {
            sys::stop_self();
        }
    };
    while voice.pass_on() {}
    sys::close(voice.from);
    log.finish();
    // What comes next has no use for the kernel's word that there was something.
    while sys::wait_for_signal(!sys::BUT_READABLE, Some([0, 0])).is_some() {}
    code
}
