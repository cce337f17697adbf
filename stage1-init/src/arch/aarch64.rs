//! AArch64: how a program is entered, and how it calls the kernel (syscall(2)).

#![allow(unsafe_code, reason = "assembly is this file's purpose")]

use core::arch::asm;

/// Where the program begins, with the stack pointer at `argc`: calls `{entry}`
/// with that as its one argument.
macro_rules! begin {
    () => {
        concat!(
            "mov x29, xzr\n", // Ends the chain of frames, for debuggers.
            "mov x30, xzr\n",
            "mov x0, sp\n", // The one argument: where `argc` is; sp is aligned.
            "bl {entry}\n",
            "brk #1\n",
        )
    };
}
pub(crate) use begin;

/// Ends the process by an instruction that no processor carries out.
pub(crate) fn trap() -> ! {
    // SAFETY: it raises a signal that nothing here catches, and never goes on.
    unsafe { asm!("brk #1", options(noreturn, nostack)) }
}

/// Calls the kernel; a result from -4095 to -1 is an error.
///
/// # Safety
///
/// The arguments must be what this system call demands: pointers valid for
/// what it reads and writes, and no effect on memory that Rust relies on.
#[inline]
pub(crate) unsafe fn syscall(number: u32, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let result;
    // SAFETY: the kernel keeps all registers but x0, which is declared; what
    // it does to memory is the caller's promise.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number as usize,
            inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
            options(nostack),
        );
    }
    result
}
