//! The process that stays outside of the pod's pid namespace.
//!
//! It waits for PID 1, forwards signals to it and its messages from it, writes
//! the log, and keeps inherited descriptors open, such as locks. If it dies, so
//! does the pod.

use linux_raw_sys::general as raw;
use rustix::fd::{AsFd, BorrowedFd};

use crate::demand::Demand;
use crate::exit_code;
use crate::log::Log;
use crate::pod::{Child, Origin};
use crate::sys::{self, End, Received};

/// The messages of PID 1, which are forwarded to the report or to standard
/// error. Their length is limited, as apps that may trace PID 1 can write
/// there, too.
struct Voice {
    from: End,
    to: BorrowedFd<'static>,
    left: usize,
}

/// The maximum number of bytes to forward: some lines for each app, with room
/// to spare.
const MOST_SAID: usize = 64 << 10;

/// How many bytes of it are read at once.
const READ: usize = 512;

impl Voice {
    fn begin(from: End, origin: Origin) -> Self {
        let _ = sys::signal_when_readable(from.as_fd());
        Self {
            from,
            to: origin.report.unwrap_or(sys::STDERR),
            left: MOST_SAID,
        }
    }

    /// Forwards what there is; tells whether there may be more. A pipe that
    /// does not fill the buffer is empty, and the kernel signals what is written
    /// later.
    #[inline(never)]
    fn pass_on(&mut self) -> bool {
        let mut buffer = [0; READ];
        let read = sys::bytes_of(self.from.as_fd(), &mut buffer);
        let bytes = read.get(..self.left).unwrap_or(read);
        self.left -= bytes.len();
        sys::write_all(self.to, bytes).is_ok() && bytes.len() == READ
    }
}

/// How long this process rests for each nanosecond of processor time that it
/// has used for copying, as that time is not charged to the pod.
const REST: i64 = 9;

/// Waits for PID 1 of the pod, forwards signals to it and messages from it, and
/// writes the log. Returns its exit code.
#[inline(never)]
pub(crate) fn wait_for(child: Child, origin: Origin, log: Log<'_>) -> u8 {
    let demand = origin.demand.zip(origin.finally);
    let mut demand = demand.map(|(fd, finally)| Demand::new(fd, finally, origin));
    let mut voice = Voice::begin(child.voice, origin);
    log.begin();
    sys::raise_file_limit();
    // Copies what is there, and once more after a rest.
    let (mut more, mut taken, mut rest) = (true, sys::taken(), 0);
    let mut asked = false;
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
        let (mut signals, mut time) = (sys::ALL, Some([0, rest]));
        if rest > 0 {
            signals = sys::BUT_READABLE;
            rest = 0;
        } else if !more {
            time = demand.as_ref().and_then(Demand::rest);
        }
        let received = sys::wait_for_signal(signals, time);
        more |= received.is_some_and(Received::is_readable);
        let Some(received) = received.filter(|received| !received.is_readable()) else {
            // Something can be read, or the timer has expired.
            if let Some(demand) = &mut demand {
                demand.look();
            }
            continue;
        };
        asked |= received.asks_to_end();
        // If the kernel reaps the child, only this signal says how it ended.
        if let Some(code) = received.end_of(child.pid) {
            sys::wait(child.pid, raw::WNOHANG);
            break code;
        }
        // What the terminal sends, the child gets as well.
        if !received.is_terminals() {
            let of_child = received.signal == raw::SIGCHLD;
            let signal = if of_child { 0 } else { received.signal };
            // If two children end at the same time, there is only one signal.
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
    // Whatever is executed next does not expect the kernel's signals.
    while sys::wait_for_signal(!sys::BUT_READABLE, Some([0, 0])).is_some() {}
    // It can tell that the pod was asked to end.
    if asked {
        let _ = sys::kill(sys::own_pid(), raw::SIGTERM);
    }
    code
}
