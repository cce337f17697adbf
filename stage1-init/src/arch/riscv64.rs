//! 64-bit RISC-V: how a program is entered, and how it calls the kernel
//! (syscall(2)).

#![allow(unsafe_code, reason = "assembly is this file's purpose")]

use core::arch::asm;

/// Where the program begins, with the stack pointer at `argc`: calls `{entry}`
/// with that as its one argument.
macro_rules! begin {
    () => {
        concat!(
            ".option push\n",
            ".option norelax\n", // This very load must not be made relative to gp.
            "lla gp, __global_pointer$\n",
            ".option pop\n",
            "mv a0, sp\n", // The one argument: where `argc` is; sp is aligned.
            "call {entry}\n",
            "unimp\n",
        )
    };
}
pub(crate) use begin;

/// Ends the process by an instruction that no processor carries out.
pub(crate) fn trap() -> ! {
    // SAFETY: it raises a signal that nothing here catches, and never goes on.
    unsafe { asm!("unimp", options(noreturn, nostack)) }
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
    // SAFETY: the kernel keeps all registers but a0, which is declared; what
    // it does to memory is the caller's promise.
    unsafe {
        asm!(
            "ecall",
            in("a7") number as usize,
            inlateout("a0") a => result,
            in("a1") b, in("a2") c, in("a3") d, in("a4") e, in("a5") f,
            options(nostack),
        );
    }
    result
}
