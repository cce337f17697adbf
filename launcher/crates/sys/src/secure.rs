//! Whether this program has rights that its caller has not: because its file is
//! set-user-ID or set-group-ID or has capabilities, or a security module says so.

#![allow(
    unsafe_code,
    reason = "a call of the C library that no crate of ours makes"
)]

/// getauxval(3): the kernel's own answer, of when it executed the file.
const AT_SECURE: core::ffi::c_ulong = 23;

unsafe extern "C" {
    // SAFETY: it is of the C library that the standard library is linked with,
    // takes any number, and only reads what the kernel left before `main`.
    safe fn getauxval(kind: core::ffi::c_ulong) -> core::ffi::c_ulong;
}

/// Tells whether the caller got rights by executing this program.
pub fn is_secure() -> bool {
    getauxval(AT_SECURE) != 0
}
