//! The system call, as a macro that every file of `sys` uses.
//!
//! # Safety
//!
//! One rule for all of `sys`: the arguments of a call are those in the kernel's
//! manual page, in that order. A pointer comes from a reference, or is null
//! where the page allows it, and is passed with the length of what it refers
//! to. The comment at a call says only what goes beyond that.
//!
//! A function that acts on a descriptor takes a [`BorrowedFd`]. One that acts
//! on a bare number is an `unsafe fn`, as the number may belong to somebody
//! else.
//!
//! [`BorrowedFd`]: rustix::fd::BorrowedFd

#![allow(unsafe_code, reason = "raw system calls are this file's purpose")]

use super::result::{Errno, Result};
use crate::arch;

/// The kernel's numbers and constants.
pub(super) mod nr {
    pub(in crate::sys) use linux_raw_sys::general::*;
    /// On 32-bit machines, the calls that take times of 64 bits: the older ones
    /// end in 2038.
    #[cfg(target_pointer_width = "32")]
    pub(in crate::sys) use linux_raw_sys::general::{
        __NR_clock_gettime64 as __NR_clock_gettime, __NR_ppoll_time64 as __NR_ppoll,
        __NR_rt_sigtimedwait_time64 as __NR_rt_sigtimedwait,
    };
    /// Likewise the calls that take ids of 32 bits: the older ones take 16.
    #[cfg(target_arch = "arm")]
    pub(in crate::sys) use linux_raw_sys::general::{
        __NR_setgroups32 as __NR_setgroups, __NR_setresgid32 as __NR_setresgid,
        __NR_setresuid32 as __NR_setresuid,
    };
}

/// Makes a system call: `call!(__NR_close, number)`.
macro_rules! call {
    ($number:ident $(, $argument:expr)*) => {
        call!(@ $crate::sys::call::nr::$number, [$($argument as usize),*])
    };
    // The kernel ignores the arguments that a call does not have.
    (@ $number:expr, []) => { call!(@ $number, [0, 0, 0]) };
    (@ $number:expr, [$a:expr]) => { call!(@ $number, [$a, 0, 0]) };
    (@ $number:expr, [$a:expr, $b:expr]) => { call!(@ $number, [$a, $b, 0]) };
    (@ $number:expr, [$a:expr, $b:expr, $c:expr]) => {
        // SAFETY: see the head of `sys/call.rs`.
        unsafe { $crate::sys::call::call3($a, $b, $c, $number) }
    };
    (@ $number:expr, [$a:expr, $b:expr, $c:expr, $d:expr]) => {
        call!(@ $number, [$a, $b, $c, $d, 0])
    };
    (@ $number:expr, [$a:expr, $b:expr, $c:expr, $d:expr, $e:expr]) => {
        // SAFETY: see the head of `sys/call.rs`.
        unsafe { $crate::sys::call::call5($a, $b, $c, $d, $e, $number) }
    };
}

/// Calls the kernel. The number is the last argument, as the others are in
/// their registers then. No call made here returns more than 32 bits.
///
/// # Safety
///
/// As for [`arch::syscall`].
#[inline(never)]
pub(super) unsafe fn call3(a: usize, b: usize, c: usize, number: u32) -> Result<u32> {
    // SAFETY: the caller guarantees the same.
    returned(unsafe { arch::syscall(number, [a, b, c, 0, 0, 0]) })
}

/// The same with five arguments.
///
/// # Safety
///
/// As for [`arch::syscall`].
#[inline(never)]
pub(super) unsafe fn call5(
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    number: u32,
) -> Result<u32> {
    // SAFETY: the caller guarantees the same.
    returned(unsafe { arch::syscall(number, [a, b, c, d, e, 0]) })
}

fn returned(value: isize) -> Result<u32> {
    if value as usize > -4096_isize as usize {
        Err(Errno::new(value.unsigned_abs() as u32))
    } else {
        Ok(value as u32)
    }
}
