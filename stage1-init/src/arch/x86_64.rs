//! x86-64: how a program is entered, and how it calls the kernel
//! (System V ABI, AMD64 supplement, section A.2).

#![allow(unsafe_code, reason = "assembly is this file's purpose")]

use core::arch::asm;

/// Where the program begins, with the stack pointer at `argc`: calls `{entry}`
/// with that as its one argument.
macro_rules! begin {
    () => {
        concat!(
            "xor ebp, ebp\n", // Ends the chain of frames, for debuggers.
            "mov rdi, rsp\n", // The one argument: where `argc` is.
            "and rsp, -16\n", // The ABI's alignment; the kernel gives it, too.
            "call {entry}\n",
            "ud2\n",
        )
    };
}
pub(crate) use begin;

/// Ends the process by an instruction that no processor carries out.
pub(crate) fn trap() -> ! {
    // SAFETY: it raises a signal that nothing here catches, and never goes on.
    unsafe { asm!("ud2", options(noreturn, nostack)) }
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
    // SAFETY: the kernel keeps all registers but rax, rcx and r11, which are
    // declared; what it does to memory is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as usize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}
