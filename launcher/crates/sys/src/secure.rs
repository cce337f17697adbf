//! Whether this program has more rights than its caller: because its file is
//! set-user-ID or set-group-ID or has capabilities, or because of a security
//! module.

#![allow(
    unsafe_code,
    reason = "a call of the C library that no crate of ours makes"
)]

/// getauxval(3): what the kernel recorded when it executed the file.
const AT_SECURE: core::ffi::c_ulong = 23;

unsafe extern "C" {
    // SAFETY: it is of the C library that the standard library is linked with,
    // takes any number, and only reads what the kernel left before `main`.
    safe fn getauxval(kind: core::ffi::c_ulong) -> core::ffi::c_ulong;
}

/// Tells whether the caller gained rights by executing this program.
pub fn is_secure() -> bool {
    getauxval(AT_SECURE) != 0
}
