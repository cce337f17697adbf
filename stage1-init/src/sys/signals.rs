//! Signals, other things to wait for, and clocks.
//!
//! # Safety
//!
//! As in `call`, whose macro is used here.

#![allow(unsafe_code, reason = "raw system calls are this file's purpose")]

use core::ptr;

use rustix::fd::{AsRawFd, BorrowedFd};

use super::call::nr;
use super::calls::kill;
use super::fd::{inherited, set_status_flags};
use super::process::{Pid, exit, own_pid};
use super::result::{Errno, Result};
use crate::exit_code;

/// Seconds and nanoseconds.
pub(crate) type Time = [i64; 2];

/// A set of signals: bit 0 is signal 1.
pub(crate) type Signals = u64;

/// Blocks these signals and no others.
pub(crate) fn block(signals: Signals) -> Result<()> {
    let set = &raw const signals;
    done!(
        __NR_rt_sigprocmask,
        nr::SIG_SETMASK,
        set,
        0_usize,
        size_of::<Signals>()
    )
}

/// Blocks no signals. It cannot fail, as blocking them did not.
pub(crate) fn let_signals_through() {
    let _ = block(0);
}

/// The action of a signal: handler, flags, and for some processors a restorer;
/// then the mask.
type Action = [usize; 8];

/// Gives signals their default action that this program needs, or that are
/// ignored because of how the caller was written: Python ignores SIGPIPE, and
/// glibc the two that it keeps for itself. All others stay ignored, here and in
/// the apps, as in any command.
pub(crate) fn default_own_signals() {
    for signal in [nr::SIGCHLD, nr::SIGIO, nr::SIGPIPE, 32, 33] {
        default_signal(signal, 0);
    }
}

/// Gives all signals their default action.
pub(crate) fn default_signals() {
    for signal in 1..=64 {
        default_signal(signal, 0);
    }
}

/// Gives a signal its default action. The flags are those of sigaction(2), and
/// matter only for SIGCHLD: whether the kernel reaps children by itself.
pub(crate) fn default_signal(signal: u32, flags: u32) {
    let action: Action = [0, flags as usize, 0, 0, 0, 0, 0, 0];
    let _ = action_of(signal, action.as_ptr(), ptr::null_mut());
}

/// Tells whether a signal is ignored. A blocked one is received all the same.
fn is_ignored(signal: u32) -> bool {
    let mut action = Action::default();
    let _ = action_of(signal, ptr::null(), action.as_mut_ptr());
    const SIG_IGN: usize = 1;
    action[0] == SIG_IGN
}

/// Changes the action of a signal, or returns it.
fn action_of(signal: u32, new: *const usize, old: *mut usize) -> Result<u32> {
    let size = size_of::<Signals>();
    call!(__NR_rt_sigaction, signal, new, old, size)
}

/// Stops this process, as the terminal's stop character would.
pub(crate) fn stop_self() {
    let _ = kill(own_pid(), nr::SIGSTOP);
}

/// A signal that was received.
#[derive(Clone, Copy)]
pub(crate) struct Received {
    pub(crate) signal: u32,
    /// Why it was sent.
    code: i32,
    /// For SIGCHLD: the child, and how it ended.
    child: Pid,
    status: i32,
}

impl Received {
    /// Tells whether the terminal sent it, to all processes of its foreground
    /// group alike.
    pub(crate) fn is_terminals(self) -> bool {
        const KINDS: u64 = 1 << nr::SIGINT
            | 1 << nr::SIGQUIT
            | 1 << nr::SIGTSTP
            | 1 << nr::SIGTTIN
            | 1 << nr::SIGTTOU
            | 1 << nr::SIGWINCH;
        // There are 64 signals, and the last one is none of these.
        self.code == SI_KERNEL && KINDS >> (self.signal & 63) & 1 == 1
    }

    /// Tells whether it signals that something can be read.
    pub(crate) fn is_readable(self) -> bool {
        self.code == SI_KERNEL && self.signal == nr::SIGIO
    }

    /// Tells whether it asks this process to end. Servers have their own use for
    /// SIGHUP.
    pub(crate) fn asks_to_end(self) -> bool {
        const KINDS: u64 = 1 << nr::SIGINT | 1 << nr::SIGQUIT | 1 << nr::SIGTERM;
        KINDS >> (self.signal & 63) & 1 == 1
    }

    /// Returns the exit code of a child, if this signals that it has ended.
    pub(crate) fn end_of(self, child: Pid) -> Option<u8> {
        if self.signal != nr::SIGCHLD || self.child != child {
            return None;
        }
        match self.code as u32 {
            nr::CLD_EXITED => Some(self.status as u8),
            nr::CLD_KILLED | nr::CLD_DUMPED => Some(128 + self.status as u8),
            _ => None,
        }
    }
}

/// Waits for one of these signals; all must be blocked. Returns `None` when the
/// time is over, or for no reason: callers check again what they wait for.
#[inline(never)]
pub(crate) fn wait_for_signal(signals: Signals, time: Option<Time>) -> Option<Received> {
    // siginfo_t: signo, errno, code, and what depends on the signal.
    let mut information = [0_i32; 32];
    let span = time.as_ref().map_or(ptr::null(), |time| time.as_ptr());
    let size = size_of::<Signals>();
    let received = call!(
        __NR_rt_sigtimedwait,
        &raw const signals,
        information.as_mut_ptr(),
        span,
        size
    );
    let signal = match received {
        Ok(signal) => signal,
        // The call worked when the program started.
        Err(Errno::INTR | Errno::AGAIN) => return None,
        Err(_) => exit(exit_code::OURS),
    };
    let received = Received {
        signal,
        code: information[2],
        child: information[CHILD],
        status: information[CHILD + 2],
    };
    // What this program asked the kernel for; then not what is ignored, and not
    // what this process caused: a file that would have become too large.
    let wanted = received.is_readable() || !is_ignored(signal) && received.child != own_pid();
    wanted.then_some(received)
}

/// All signals.
pub(crate) const ALL: Signals = !0;

/// All signals except the one that something can be read.
pub(crate) const BUT_READABLE: Signals = !(1 << (nr::SIGIO - 1));

const SI_KERNEL: i32 = 0x80;

/// The place of the child in siginfo_t: after the first three fields, and
/// padding before a pointer. The user id follows.
const CHILD: usize = 2 + size_of::<usize>() / 4;

/// Makes the kernel send SIGIO when a descriptor can be read (fcntl(2),
/// `O_ASYNC`). Reading then never blocks. Its other flags are about writing.
pub(crate) fn signal_when_readable(fd: BorrowedFd<'_>) -> Result<()> {
    call!(__NR_fcntl, fd.as_raw_fd(), nr::F_SETOWN, own_pid())?;
    set_status_flags(fd, nr::FASYNC | nr::O_NONBLOCK)
}

/// What to wait for: to read from a descriptor, or to write to it.
pub(crate) const READABLE: u32 = nr::POLLIN;
pub(crate) const WRITABLE: u32 = nr::POLLOUT;

/// Waits until a descriptor is ready, for at most this time, and tells whether
/// it is (poll(2)). It is not if the other end of a pipe has been closed.
pub(crate) fn wait_for(fd: BorrowedFd<'_>, what: u32, time: Option<Time>) -> bool {
    // struct pollfd: the descriptor, then in two halves what to wait for, and
    // what is ready.
    let mut asked = [fd.as_raw_fd() as u32, what];
    let span = time.as_ref().map_or(ptr::null(), |time| time.as_ptr());
    let ready = call!(__NR_ppoll, asked.as_mut_ptr(), 1, span, 0, 0);
    ready == Ok(1) && asked[1] >> 16 == what
}

/// Returns how long it takes a timer to expire (timerfd_gettime(2)): nothing, if
/// it has, or never will.
pub(crate) fn time_left(timer: BorrowedFd<'_>) -> Time {
    // struct itimerspec: the interval comes first.
    let mut times = [0_i64; 4];
    let _ = call!(__NR_timerfd_gettime, timer.as_raw_fd(), times.as_mut_ptr());
    let [_, _, seconds, rest] = times;
    [seconds, rest]
}

/// The signals that ask a process to end.
const ENDING: Signals =
    1 << (nr::SIGHUP - 1) | 1 << (nr::SIGINT - 1) | 1 << (nr::SIGQUIT - 1) | 1 << (nr::SIGTERM - 1);

/// Waits until a descriptor can be read. Fails with [`Errno::ended`] if a signal
/// asks this process to end.
#[inline(never)]
pub(crate) fn wait_for_input(number: u32) -> Result<()> {
    wait_for(inherited(number)?, READABLE, None);
    match wait_for_signal(ENDING, Some([0, 0])) {
        Some(received) => Err(Errno::ended(received.signal)),
        None => Ok(()),
    }
}

/// Returns the time of the monotonic clock, which nobody can set, in
/// nanoseconds.
pub(crate) fn now() -> i64 {
    nanoseconds(clock(nr::CLOCK_MONOTONIC))
}

/// Returns the processor time that this process has used, in nanoseconds.
pub(crate) fn taken() -> i64 {
    nanoseconds(clock(nr::CLOCK_PROCESS_CPUTIME_ID))
}

fn nanoseconds([seconds, rest]: Time) -> i64 {
    seconds * SECOND + rest
}

/// A second, in nanoseconds.
pub(crate) const SECOND: i64 = 1_000_000_000;

/// Returns the time of day: seconds since 1970, and nanoseconds.
pub(crate) fn time_of_day() -> [u32; 2] {
    clock(nr::CLOCK_REALTIME).map(|number| number as u32)
}

fn clock(which: u32) -> Time {
    let mut time = Time::default();
    let _ = call!(__NR_clock_gettime, which, time.as_mut_ptr());
    time
}
