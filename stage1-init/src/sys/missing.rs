//! Checks for the system calls that the program depends on.
//!
//! # Safety
//!
//! As in `call`, whose macro is used here.

#![allow(unsafe_code, reason = "raw system calls are this file's purpose")]

use linux_raw_sys::prctl as ctl;

use super::call::nr;
use super::calls::kill;
use super::process::own_pid;
use super::result::{Errno, Result};
use super::signals::{Signals, Time};

/// Tries the calls that the program cannot do without, each in a way that does
/// nothing, and names the first that is denied. `blocked` is the result of
/// blocking signals; `executes` says whether an open program will be executed.
#[inline(never)]
pub(crate) fn missing(blocked: Result<()>, executes: bool) -> Option<(&'static [u8], Errno)> {
    /// wait4(2) has no option with this bit.
    const NO_OPTION: usize = 1 << 28;
    let none: Signals = 0;
    let mut time: Time = [0; 2];
    let (set, at_once) = (&raw const none, time.as_mut_ptr());
    let size = size_of::<Signals>();
    let refused = |result: Result<u32>, expected| result.err().filter(|&errno| errno != expected);
    if let Err(errno) = blocked {
        return Some((b"rt_sigprocmask", errno));
    }
    if call!(__NR_prctl, ctl::PR_GET_SECCOMP) == Ok(0) {
        // There is no filter.
        return None;
    }
    let received = call!(__NR_rt_sigtimedwait, set, 0_usize, at_once, size);
    if let Some(errno) = refused(received, Errno::AGAIN) {
        return Some((b"rt_sigtimedwait", errno));
    }
    let waited = call!(__NR_wait4, -1_isize, 0_usize, NO_OPTION, 0_usize);
    if let Some(errno) = refused(waited, Errno::INVAL) {
        return Some((b"wait4", errno));
    }
    if let Err(errno) = kill(own_pid(), 0) {
        return Some((b"kill", errno));
    }
    let looked = call!(__NR_ppoll, 0_usize, 0_usize, at_once, 0_usize, 0_usize);
    if let Err(errno) = looked {
        return Some((b"ppoll", errno));
    }
    if executes {
        let (empty, none) = (c"".as_ptr(), 0_usize);
        let executed = call!(__NR_execveat, -1_isize, empty, none, none, none);
        if let Some(errno) = refused(executed, Errno::NOENT) {
            return Some((b"execveat", errno));
        }
    }
    let told = call!(__NR_clock_gettime, nr::CLOCK_MONOTONIC, at_once);
    Some((b"clock_gettime", told.err()?))
}
