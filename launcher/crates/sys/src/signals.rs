//! Signals that the launcher handles itself, and how it ends by one.
//!
//! The only file that knows signal-hook and libc.

#![allow(
    unsafe_code,
    reason = "handlers, and signals without a name, have no safe interface"
)]

use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::process::{DumpableBehavior, Signal};

use crate::small_file;
use error::{Context as _, Result};

/// Waits for signals. Its descriptor becomes readable when one arrives.
pub struct Signals {
    woken: UnixStream,
    /// Those that have arrived, each as its bit.
    came: Arc<AtomicU64>,
}

impl Signals {
    /// Handles these signals from now on, until the process ends.
    pub fn take(signals: &[Signal]) -> Result<Self> {
        let what = || "cannot wait for signals";
        let (woken, waker) = UnixStream::pair().context(what)?;
        for end in [&woken, &waker] {
            end.set_nonblocking(true).context(what)?;
        }
        let (came, waker) = (Arc::new(AtomicU64::new(0)), Arc::new(waker));
        for &signal in signals {
            let (came, waker) = (Arc::clone(&came), Arc::clone(&waker));
            let note = move || {
                came.fetch_or(bit(signal), Ordering::SeqCst);
                // If it is full, the reader is about to be woken anyway.
                let _ = rustix::io::write(&*waker, b"!");
            };
            // SAFETY: the action is safe in a handler (signal-safety(7)): it
            // changes an atomic, and calls write(2), which does not block here,
            // through rustix, which keeps no state.
            let handled = unsafe { signal_hook::low_level::register(signal.as_raw(), note) };
            handled.context(what)?;
        }
        Ok(Self { woken, came })
    }

    /// Returns the signals that have arrived since the last call.
    pub fn next(&self) -> Vec<Signal> {
        // The pipe is emptied first: a later signal is found below or wakes the
        // caller again.
        while rustix::io::read(&self.woken, &mut [0; 64]).is_ok_and(|length| length > 0) {}
        let came = self.came.swap(0, Ordering::SeqCst);
        all().filter(|&signal| came & bit(signal) != 0).collect()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.woken.as_fd()
    }
}

/// Returns the signals that a process passes on which stands between its caller
/// and an app, as `stage1-init` does: all but these, and those that the caller
/// ignores.
///
/// * Nobody can handle KILL and STOP.
/// * The others are about this process itself: its children, what it writes, the
///   terminal that it reads from, and its own faults.
pub fn passed_on() -> Vec<Signal> {
    const OWN: [Signal; 12] = [
        Signal::KILL,
        Signal::STOP,
        Signal::CHILD,
        Signal::PIPE,
        Signal::XFSZ,
        Signal::TTIN,
        Signal::TTOU,
        Signal::ILL,
        Signal::BUS,
        Signal::FPE,
        Signal::SEGV,
        Signal::SYS,
    ];
    let ignored = ignored();
    let is_passed_on = |signal: &Signal| !OWN.contains(signal) && ignored & bit(*signal) == 0;
    all().filter(is_passed_on).collect()
}

/// Returns whether the caller has this process ignore a signal.
pub fn is_ignored(signal: Signal) -> bool {
    ignored() & bit(signal) != 0
}

/// Returns whether SIGTERM is pending: this process was asked to end, and blocks
/// it, as the launcher does when `stage1-init` executes it in the end.
pub fn is_asked_to_end() -> bool {
    let status = small_file::text("/proc/self/status").unwrap_or_default();
    let pending = ["ShdPnd:", "SigPnd:"].into_iter();
    let mut pending = pending.map(|name| set_of(&status, name));
    pending.any(|set| set & bit(Signal::TERM) != 0)
}

/// Lets programs that this process executes start without ignored signals.
///
/// # Errors
///
/// The kernel refuses.
pub fn stop_ignoring() -> Result<()> {
    let ignored = ignored();
    let ignored = all().filter(|&signal| ignored & bit(signal) != 0);
    // execve(2) makes a signal with a handler one with its default action.
    let ignored = ignored.filter(|&signal| signal != Signal::PIPE);
    Signals::take(&ignored.collect::<Vec<_>>()).map(drop)
}

/// Returns what can be read when one of these descriptors can be read, or a signal
/// has arrived that asks this process to end: in this process, and in the program
/// that it executes, if that blocks these signals. The second descriptor has to
/// stay open with it.
///
/// # Errors
///
/// The kernel refuses.
pub fn or_ending<'a>(
    descriptors: impl Iterator<Item = BorrowedFd<'a>>,
) -> std::io::Result<[OwnedFd; 2]> {
    use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
    let ending = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];
    let ignored = ignored();
    let wanted = ending.into_iter().map(bit).filter(|bit| ignored & bit == 0);
    let signals = descriptor_of(wanted.sum())?;
    let any = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&any, &signals, EventData::new_u64(0), EventFlags::IN)?;
    for (at, fd) in (1..).zip(descriptors) {
        epoll::add(&any, fd, EventData::new_u64(at), EventFlags::IN)?;
    }
    Ok([any, signals])
}

/// Makes a descriptor that can be read when one of these signals has arrived
/// (signalfd(2)).
fn descriptor_of(signals: u64) -> std::io::Result<OwnedFd> {
    // SAFETY: a set of signals is made of integers only.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    for signal in (1..=LAST).filter(|signal| signals & (1 << (signal - 1)) != 0) {
        // SAFETY: the set is ours, and the number is that of a signal.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    // SAFETY: the set was filled above, and -1 asks for a new descriptor.
    match unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC) } {
        -1 => Err(std::io::Error::last_os_error()),
        // SAFETY: the kernel has just opened it, so nobody else has it.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
    }
}

/// Keeps a signal from ending this process. It is not ignored, which programs
/// that are executed would inherit.
///
/// # Errors
///
/// The kernel refuses.
pub fn outlive(signal: Signal) -> std::io::Result<()> {
    let noticed = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal.as_raw(), noticed).map(drop)
}

/// Ends this process by a signal, as if it had never been handled or ignored,
/// so that the caller sees that. Returns only if that failed.
pub fn die_of(signal: Signal) {
    // The memory of a launcher says nothing about the app.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = signal_hook::low_level::emulate_default_handler(signal.as_raw());
}

/// The last signal.
const LAST: i32 = 64;

/// The last one that has a name (signal(7)).
const LAST_NAMED: i32 = 31;

/// The first one that no C library keeps for itself: glibc and musl use up to
/// three.
const FIRST_REAL_TIME: i32 = 35;

/// Returns all signals that programs use.
fn all() -> impl Iterator<Item = Signal> {
    let numbers = (1..=LAST_NAMED).chain(FIRST_REAL_TIME..=LAST);
    // SAFETY: these are numbers of signals, and none of them is reserved by a C
    // library.
    numbers.map(|number| unsafe { Signal::from_raw_unchecked(number) })
}

/// Returns the place of a signal in a set of signals.
fn bit(signal: Signal) -> u64 {
    1 << (signal.as_raw() - 1)
}

/// Returns the set of signals that this process ignores: none if it cannot be
/// read.
fn ignored() -> u64 {
    let status = small_file::text("/proc/self/status").unwrap_or_default();
    set_of(&status, "SigIgn:")
}

/// Reads a set of signals in the status of a process (proc_pid_status(5)).
fn set_of(status: &str, name: &str) -> u64 {
    let set = status.lines().find_map(|line| line.strip_prefix(name));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn signals_are_returned_once() {
        let real_time = all().find(|signal| signal.as_raw() == 37).unwrap();
        let signals = Signals::take(&[Signal::USR2, real_time]).unwrap();
        assert_eq!(signals.next(), []);
        for signal in [real_time, Signal::USR2, real_time] {
            signal_hook::low_level::raise(signal.as_raw()).unwrap();
        }
        assert_eq!(signals.next(), [Signal::USR2, real_time]);
        assert_eq!(signals.next(), []);
    }

    #[test]
    fn what_a_launcher_causes_itself_is_not_passed_on() {
        let all = passed_on();
        for signal in [Signal::HUP, Signal::ABORT, Signal::ALARM, Signal::POWER] {
            // The caller of the tests may have them ignore it.
            assert!(all.contains(&signal) || is_ignored(signal), "{signal:?}");
        }
        for signal in [Signal::CHILD, Signal::PIPE, Signal::XFSZ, Signal::TTOU] {
            assert!(!all.contains(&signal), "{signal:?}");
        }
        assert_eq!(all.last().unwrap().as_raw(), LAST);
    }
}
