//! 32-bit ARM, EABI: how a program is entered, and how it calls the kernel
//! (syscall(2)).

#![allow(unsafe_code, reason = "assembly is this file's purpose")]

use core::arch::asm;

/// Where the program begins, with the stack pointer at `argc`: calls `{entry}`
/// with that as its one argument.
macro_rules! begin {
    () => {
        concat!(
            "mov r11, #0\n", // Ends the chain of frames, for debuggers.
            "mov lr, #0\n",
            "mov r0, sp\n",     // The one argument: where `argc` is.
            "bic r1, r0, #7\n", // The EABI's alignment.
            "mov sp, r1\n",
            "bl {entry}\n",
            "udf #0\n",
        )
    };
}
pub(crate) use begin;

/// Ends the process by an instruction that no processor carries out.
pub(crate) fn trap() -> ! {
    // SAFETY: it raises a signal that nothing here catches, and never goes on.
    unsafe { asm!("udf #0", options(noreturn, nostack)) }
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
    // SAFETY: the number goes in r7, which the compiler may use as the frame
    // pointer and does not hand out; it is put back. The kernel keeps all
    // registers but r0, which is declared; what it does to memory is the
    // caller's promise.
    unsafe {
        asm!(
            "mov {kept}, r7",
            "mov r7, {number}",
            "svc 0",
            "mov r7, {kept}",
            kept = out(reg) _,
            number = in(reg) number,
            inlateout("r0") a => result,
            in("r1") b, in("r2") c, in("r3") d, in("r4") e, in("r5") f,
            options(nostack),
        );
    }
    result
}
