//! From the kernel's entry to `main`, and what Rust demands of a program that
//! has no std.

#![allow(unsafe_code, reason = "the kernel enters here, with raw pointers only")]

use core::arch::naked_asm;
use core::panic::PanicInfo;

use crate::start::Start;
use crate::{arch, exit_code, say, sys};

/// The first instructions.
///
/// # Safety
///
/// Only the kernel may call it, once.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!(arch::begin!(), entry = sym entry)
}

/// The first Rust that runs.
///
/// # Safety
///
/// `stack` must be the stack pointer at the program's entry.
unsafe extern "C" fn entry(stack: *const usize) -> ! {
    // SAFETY: the caller's promise is the same.
    crate::main(unsafe { Start::new(stack) })
}

/// A panic is a bug of ours. It ends the process, and with PID 1 the pod.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    say::line(&[b"this is a bug, please report it"]);
    sys::exit(exit_code::OURS)
}

/// Unoptimised code names it, although nothing unwinds.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// Likewise.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "the compiler chose the name")]
extern "C" fn _Unwind_Resume() -> ! {
    sys::exit(exit_code::OURS)
}
