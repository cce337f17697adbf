//! The memory functions that compiled Rust calls by name, and that a libc would
//! provide.
//!
//! They are written so that the compiler cannot turn them into calls of
//! themselves: with string instructions on x86-64, and volatile accesses
//! elsewhere. Speed matters little, as nothing here moves more than a few
//! kilobytes.

#![allow(unsafe_code, reason = "raw memory is this file's purpose")]

/// # Safety
///
/// As memcpy(3): both areas hold `length` bytes and do not overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: copies exactly `length` bytes upwards, between areas that the
    // caller guarantees; the direction flag is clear by the ABI.
    unsafe {
        core::arch::asm!("rep movsb", inout("rcx") length => _, inout("rdi") to => _,
            inout("rsi") from => _, options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "x86_64"))]
    for at in 0..length {
        // SAFETY: `at` is below `length`, so the byte is in the source.
        let byte = unsafe { byte_at(from, at) };
        // SAFETY: likewise for the destination.
        unsafe { set_byte_at(to, at, byte) };
    }
    to
}

/// # Safety
///
/// As memmove(3): both areas hold `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    if (to as usize).wrapping_sub(from as usize) >= length {
        // SAFETY: the destination does not begin inside the source, so that
        // copying upwards never overwrites what is still to be read.
        return unsafe { memcpy(to, from, length) };
    }
    for at in (0..length).rev() {
        // SAFETY: `at` is below `length`, so the byte is in the source.
        let byte = unsafe { byte_at(from, at) };
        // SAFETY: likewise for the destination; going down, it lies above
        // everything that is still to be read.
        unsafe { set_byte_at(to, at, byte) };
    }
    to
}

/// # Safety
///
/// As memset(3): the area holds `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, length: usize) -> *mut u8 {
    let [byte, ..] = byte.to_le_bytes();
    #[cfg(target_arch = "x86_64")]
    // SAFETY: fills exactly `length` bytes upwards, in an area that the caller
    // guarantees; the direction flag is clear by the ABI.
    unsafe {
        core::arch::asm!("rep stosb", inout("rcx") length => _, inout("rdi") to => _,
            in("al") byte, options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "x86_64"))]
    for at in 0..length {
        // SAFETY: `at` is below `length`, so the byte is in the area.
        unsafe { set_byte_at(to, at, byte) };
    }
    to
}

/// # Safety
///
/// As memcmp(3): both areas hold `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, length: usize) -> i32 {
    for at in 0..length {
        // SAFETY: `at` is below `length`, so the byte is in the first area.
        let left = unsafe { byte_at(one, at) };
        // SAFETY: likewise for the second.
        let right = unsafe { byte_at(other, at) };
        if left != right {
            return i32::from(left) - i32::from(right);
        }
    }
    0
}

/// # Safety
///
/// As bcmp(3): both areas hold `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, length: usize) -> i32 {
    // SAFETY: the caller's promise is the one that memcmp asks for.
    unsafe { memcmp(one, other, length) }
}

/// # Safety
///
/// As strlen(3): a NUL byte follows.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut length = 0;
    loop {
        // SAFETY: no byte before this one was NUL, so this one is in the string.
        let byte = unsafe { byte_at(text, length) };
        if byte == 0 {
            return length;
        }
        length += 1;
    }
}

/// # Safety
///
/// The byte must be in the area that `from` points into.
#[inline(always)]
unsafe fn byte_at(from: *const u8, at: usize) -> u8 {
    // SAFETY: the caller guarantees that it is in the area.
    let place = unsafe { from.add(at) };
    // SAFETY: likewise.
    unsafe { place.read_volatile() }
}

/// # Safety
///
/// The byte must be in the area that `to` points into.
#[inline(always)]
unsafe fn set_byte_at(to: *mut u8, at: usize, byte: u8) {
    // SAFETY: the caller guarantees that it is in the area.
    let place = unsafe { to.add(at) };
    // SAFETY: likewise.
    unsafe { place.write_volatile(byte) }
}
