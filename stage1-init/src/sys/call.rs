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
        __NR_timerfd_gettime64 as __NR_timerfd_gettime,
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
        call!(@ call3 call5 $number, [$($argument as usize),*])
    };
    // The kernel ignores the arguments that a call does not have.
    (@ $three:ident $five:ident $number:ident, []) => {
        call!(@ $three $five $number, [0, 0, 0])
    };
    (@ $three:ident $five:ident $number:ident, [$a:expr]) => {
        call!(@ $three $five $number, [$a, 0, 0])
    };
    (@ $three:ident $five:ident $number:ident, [$a:expr, $b:expr]) => {
        call!(@ $three $five $number, [$a, $b, 0])
    };
    (@ $three:ident $five:ident $number:ident, [$a:expr, $b:expr, $c:expr]) => {
        // SAFETY: see the head of `sys/call.rs`.
        unsafe { $crate::sys::call::$three($a, $b, $c, $crate::sys::call::nr::$number) }
    };
    (@ $three:ident $five:ident $number:ident, [$a:expr, $b:expr, $c:expr, $d:expr]) => {
        call!(@ $three $five $number, [$a, $b, $c, $d, 0])
    };
    (@ $three:ident $five:ident $number:ident, [$a:expr, $b:expr, $c:expr, $d:expr, $e:expr]) => {
        // SAFETY: see the head of `sys/call.rs`.
        unsafe { $crate::sys::call::$five($a, $b, $c, $d, $e, $crate::sys::call::nr::$number) }
    };
}

/// Makes a system call that returns nothing but success. The result is in one
/// register.
macro_rules! done {
    ($number:ident $(, $argument:expr)*) => {
        call!(@ done3 done5 $number, [$($argument as usize),*])
    };
}

macro_rules! callers {
    ($($(#[$doc:meta])* $name:ident($($argument:ident),*; $($zero:literal)*) -> $result:ty, $returned:ident;)*) => {
        $($(#[$doc])*
        ///
        /// # Safety
        ///
        /// As for [`arch::syscall`].
        #[inline(never)]
        pub(super) unsafe fn $name($($argument: usize,)* number: u32) -> $result {
            // SAFETY: the caller guarantees the same.
            $returned(unsafe { arch::syscall(number, [$($argument,)* $($zero),*]) })
        })*
    };
}

callers! {
    /// Calls the kernel. The number is the last argument, as the others are in
    /// their registers then. No call made here returns more than 32 bits.
    call3(a, b, c; 0 0 0) -> Result<u32>, returned;
    /// The same with five arguments.
    call5(a, b, c, d, e; 0) -> Result<u32>, returned;
    /// The same as `call3` for a call that returns nothing.
    done3(a, b, c; 0 0 0) -> Result<()>, done;
    /// The same with five arguments.
    done5(a, b, c, d, e; 0) -> Result<()>, done;
}

fn returned(value: isize) -> Result<u32> {
    if value as usize > -4096_isize as usize {
        Err(Errno::new(value.unsigned_abs() as u32))
    } else {
        Ok(value as u32)
    }
}

fn done(value: isize) -> Result<()> {
    if value as usize > -4096_isize as usize {
        Err(Errno::new(value.unsigned_abs() as u32))
    } else {
        Ok(())
    }
}
