//! What a new program finds on its stack: arguments, environment, and what the
//! kernel says about itself.

#![allow(
    unsafe_code,
    reason = "the initial stack is reachable through raw pointers only"
)]

use core::ffi::{CStr, c_char};

use crate::sys::Vector;

/// The entry of the auxiliary vector that getauxval(3) calls AT_SECURE.
const AT_SECURE: usize = 23;

/// What the kernel passed: arguments, environment, auxiliary vector.
///
/// It is at the end of the stack, and stays there for as long as the program
/// runs.
#[derive(Clone, Copy)]
pub(crate) struct Start {
    count: usize,
    words: *const *const c_char,
}

impl Start {
    /// # Safety
    ///
    /// `stack` must be the stack pointer at the program's entry.
    pub(crate) unsafe fn new(stack: *const usize) -> Self {
        // SAFETY: the kernel puts argc there, and the words behind it.
        let count = unsafe { stack.read() };
        // SAFETY: the words follow argc.
        let words = unsafe { stack.add(1) }.cast();
        Self { count, words }
    }

    /// Returns the number of arguments, including the program's own name.
    pub(crate) fn count(self) -> usize {
        self.count
    }

    /// Returns an argument; the first is the program's own name.
    pub(crate) fn argument(self, index: usize) -> Option<&'static CStr> {
        if index < self.count {
            self.word(index)
        } else {
            None
        }
    }

    /// Returns the environment.
    pub(crate) fn environment(self) -> Vector<'static> {
        // SAFETY: a NULL pointer ends the arguments, and the environment
        // follows it.
        let first = unsafe { self.words.add(self.count + 1) };
        // SAFETY: the kernel put pointers there, with a NULL pointer at the
        // end.
        unsafe { Vector::new(first) }
    }

    /// Returns all arguments from this one on as they are in memory, each with
    /// its NUL byte, or `None` if they are not adjacent. The kernel makes them
    /// so.
    pub(crate) fn arguments_from(self, index: usize) -> Option<&'static [u8]> {
        let mut bytes: &'static [u8] = &[];
        for index in index..self.count {
            let word = self.argument(index)?.to_bytes_with_nul();
            if bytes.is_empty() {
                bytes = word;
            } else if core::ptr::eq(bytes.as_ptr_range().end, word.as_ptr()) {
                let length = bytes.len() + word.len();
                // SAFETY: the second string starts where the first ends, and
                // both are in the argument area of the stack, which is one
                // mapping, initialised by the kernel. Only `erase_from` writes
                // there.
                bytes = unsafe { core::slice::from_raw_parts(bytes.as_ptr(), length) };
            } else {
                return None;
            }
        }
        Some(bytes)
    }

    /// Erases the arguments from this one on, as other processes can read them
    /// in /proc/PID/cmdline. They are empty words afterwards.
    pub(crate) fn erase_from(self, index: usize) {
        for word in (index..self.count).filter_map(|index| self.argument(index)) {
            // SAFETY: the kernel put the word on the stack, which is writable.
            // This is called for the words of `--finally-fd`, and nobody keeps
            // a reference to these, but only their place on the command line.
            unsafe { word.as_ptr().cast_mut().write_bytes(0, word.count_bytes()) };
        }
    }

    /// Tells whether executing its file gave this program privileges.
    pub(crate) fn is_secure(self) -> bool {
        let mut at = self.count + 1;
        while self.word(at).is_some() {
            at += 1;
        }
        // SAFETY: the auxiliary vector follows the NULL pointer at `at` that
        // ends the environment.
        let mut vector: *const [usize; 2] = unsafe { self.words.add(at + 1) }.cast();
        loop {
            // SAFETY: no pair before this one was AT_NULL, so this is one.
            match unsafe { vector.read() } {
                [0, _] => return false,
                [AT_SECURE, value] => return value != 0,
                _ => {}
            }
            // SAFETY: a pair that is not AT_NULL is followed by another.
            vector = unsafe { vector.add(1) };
        }
    }

    /// Reads the pointer at a place up to the NULL after the environment:
    /// callers stop at the first `None`.
    fn word(self, at: usize) -> Option<&'static CStr> {
        // SAFETY: from the first word on there are pointers, up to the NULL
        // that ends the environment.
        let place = unsafe { self.words.add(at) };
        // SAFETY: the kernel put this pointer there.
        let word = unsafe { place.read() };
        if word.is_null() {
            return None;
        }
        // SAFETY: the kernel's strings end with a NUL byte, and stay there.
        Some(unsafe { CStr::from_ptr(word) })
    }
}
