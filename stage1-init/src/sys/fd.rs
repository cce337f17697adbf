//! Descriptors: who owns them, and how they are copied and closed.
//!
//! There are three kinds:
//!
//! 1. 0, 1 and 2 are open from `main`'s first lines on, and [`GATE`] before a
//!    plan is executed. No [`OwnedFd`] ever has these numbers, so what is open
//!    there may be replaced.
//! 2. What the process inherited is known by its number, from an option or a
//!    directive, and belongs to no [`OwnedFd`]. It stays open until
//!    [`close_all_but`] closes it.
//! 3. What the program opened itself is an [`OwnedFd`].
//!
//! # Safety
//!
//! As in `call`, whose macro is used here.

#![allow(unsafe_code, reason = "descriptors are handed out here")]

use core::ffi::{CStr, c_int};
use core::mem::ManuallyDrop;
use core::num::NonZeroU32;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use stage1_init::GATE;

use super::call::nr;
use super::result::{Errno, Result};

/// A descriptor that the program opened itself. It is closed when this is
/// dropped.
///
/// Its number is never 0, so that an `Option` of it takes no more room.
pub(crate) struct OwnedFd(NonZeroU32);

impl OwnedFd {
    /// # Safety
    ///
    /// The descriptor must be open, and nobody else may close it.
    pub(super) unsafe fn new(number: u32) -> Self {
        // SAFETY: 0 is open from `main`'s first lines on, and never closed, so
        // the kernel gives that number to nobody else.
        Self(unsafe { NonZeroU32::new_unchecked(number) })
    }
}

impl AsFd for OwnedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: it is open until this is dropped.
        unsafe { borrow(self.0.get()) }
    }
}

impl AsRawFd for OwnedFd {
    fn as_raw_fd(&self) -> i32 {
        self.0.get().cast_signed()
    }
}

impl Drop for OwnedFd {
    fn drop(&mut self) {
        // SAFETY: nobody else may close it, and whoever borrowed it is done.
        unsafe { close_number(self.0.get()) };
    }
}

/// # Safety
///
/// The descriptor must be open for as long as it is borrowed.
const unsafe fn borrow<'a>(number: u32) -> BorrowedFd<'a> {
    // SAFETY: no open descriptor has the highest number. Otherwise, rustix
    // would check it with each use.
    unsafe { core::hint::assert_unchecked(number != u32::MAX) };
    // SAFETY: the caller guarantees that it is open.
    unsafe { BorrowedFd::borrow_raw(number.cast_signed()) }
}

/// Makes a system call that opens a descriptor, and returns it as an
/// [`OwnedFd`].
macro_rules! open {
    ($($call:tt)*) => {
        call!($($call)*).map(|number| {
            // SAFETY: the kernel has just opened it, so nobody else knows of it.
            unsafe { $crate::sys::fd::OwnedFd::new(number) }
        })
    };
}

pub(crate) const STDIN: BorrowedFd<'static> = Standard::Input.fd();
pub(crate) const STDOUT: BorrowedFd<'static> = Standard::Output.fd();
pub(crate) const STDERR: BorrowedFd<'static> = Standard::Error.fd();

/// The standard streams.
#[derive(Clone, Copy)]
pub(crate) enum Standard {
    Input,
    Output,
    Error,
}

impl Standard {
    const fn fd(self) -> BorrowedFd<'static> {
        // SAFETY: the three are open from `main`'s first lines on, and never closed.
        unsafe { borrow(self as u32) }
    }
}

/// Replaces a standard stream by this descriptor.
pub(crate) fn set_standard(stream: Standard, fd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: no `OwnedFd` has the number of a standard stream.
    unsafe { replace(fd, stream as u32, 0) }
}

/// Opens something as [`GATE`] if nothing is open there, so that no other
/// descriptor of the program gets the number. That fails only if the process
/// may have no descriptor of this number.
pub(crate) fn reserve_gate() {
    if inherited(GATE).is_err() {
        // SAFETY: nothing has the number.
        let _ = unsafe { replace(STDIN, GATE, nr::O_CLOEXEC) };
    }
}

/// Copies a descriptor to this number, which programs inherit.
#[inline(never)]
pub(crate) fn pass(fd: u32, number: u32) -> Result<()> {
    let fd = inherited(fd)?;
    // SAFETY: no `OwnedFd` has the number, as the author of the plan claims that
    // it was inherited, too.
    unsafe { replace(fd, number, 0) }?;
    // SAFETY: it is open now, and no program has begun that could close it.
    keep_on_exec(unsafe { borrow(number) });
    Ok(())
}

/// Copies a descriptor to [`GATE`], which no program inherits.
pub(crate) fn place_gate(fd: BorrowedFd<'_>) -> Result<BorrowedFd<'static>> {
    // SAFETY: no `OwnedFd` has the number, thanks to `reserve_gate`.
    unsafe { replace(fd, GATE, nr::O_CLOEXEC) }?;
    inherited(GATE)
}

/// Copies a descriptor to this number, replacing what is open there.
///
/// # Safety
///
/// No [`OwnedFd`] may have the number.
unsafe fn replace(fd: BorrowedFd<'_>, number: u32, flags: u32) -> Result<()> {
    if fd.as_raw_fd().cast_unsigned() != number {
        call!(__NR_dup3, fd.as_raw_fd(), number, flags)?;
    }
    Ok(())
}

/// Opens a path at the lowest free number, for the rest of the process's life.
pub(crate) fn open_lowest(path: &CStr) -> Result<()> {
    done!(__NR_openat, nr::AT_FDCWD, path.as_ptr(), nr::O_RDWR, 0)
}

/// Returns an inherited descriptor that a plan or an option names, if it is
/// open.
pub(crate) fn inherited(number: u32) -> Result<BorrowedFd<'static>> {
    if number > c_int::MAX.unsigned_abs() {
        return Err(Errno::BADF);
    }
    // SAFETY: the author of the plan or the option claims that this number was
    // inherited. Such a descriptor belongs to no `OwnedFd`, and stays open
    // until `close_all_but`, whose callers no longer use what it closes.
    let fd = unsafe { borrow(number) };
    descriptor_flags(fd)?;
    Ok(fd)
}

/// Accepts the number of a descriptor that is to stay open.
pub(crate) type Keep<'a> = dyn FnMut(u32) + 'a;

/// Closes every descriptor from `first` on, except those that `named` names.
/// Marks these close-on-exec, so that no program inherits them by accident.
///
/// # Safety
///
/// No descriptor that it closes may be used or dropped afterwards: neither an
/// [`OwnedFd`] nor one returned by [`inherited`].
#[inline(never)]
pub(crate) unsafe fn close_all_but(mut first: u32, named: &mut dyn FnMut(&mut Keep<'_>)) {
    /// Marks descriptors close-on-exec, in place of closing them (Linux 5.11).
    const CLOSE_RANGE_CLOEXEC: usize = 1 << 2;
    let marked = call!(__NR_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC).is_ok();
    loop {
        // To name them takes as long as to read a plan, so it is done once for
        // each 64 numbers, and not for each descriptor.
        let (start, mut near) = (first, 0_u64);
        // No descriptor has the highest number.
        let mut beyond = u32::MAX;
        named(&mut |number| match number.checked_sub(start) {
            Some(bit @ 0..64) => near |= 1 << bit,
            Some(_) => beyond = beyond.min(number),
            None => {}
        });
        while near != 0 {
            let next = start + near.trailing_zeros();
            near &= near - 1;
            // SAFETY: the caller guarantees it, as none of these was named.
            unsafe { close_between(first, next) };
            if !marked {
                let _ = call!(__NR_fcntl, next, nr::F_SETFD, nr::FD_CLOEXEC);
            }
            first = next + 1;
        }
        // SAFETY: likewise.
        unsafe { close_between(first, beyond) };
        if beyond == u32::MAX {
            return;
        }
        first = beyond;
    }
}

/// Closes every descriptor from `first` up to, but not including, `end`. Linux
/// 5.9 does it in one call; before, it is one by one, up to the limit.
///
/// # Safety
///
/// As for [`close_number`], for each of them.
unsafe fn close_between(first: u32, end: u32) {
    if first < end && call!(__NR_close_range, first, end - 1, 0_usize).is_err() {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let limit = limit.and_then(|limit| u32::try_from(limit).ok());
        for number in first..end.min(limit.unwrap_or(1 << 20)) {
            // SAFETY: the caller guarantees it for all of them.
            unsafe { close_number(number) };
        }
    }
}

/// Closes a descriptor. An error would be about a file that could not be
/// written, and there is nothing to do about it.
///
/// # Safety
///
/// Nobody may use or close the descriptor afterwards.
#[inline(never)]
unsafe fn close_number(number: u32) {
    let _ = call!(__NR_close, number);
}

/// Lets programs inherit a descriptor.
pub(crate) fn keep_on_exec(fd: BorrowedFd<'_>) {
    let _ = call!(__NR_fcntl, fd.as_raw_fd(), nr::F_SETFD, 0_usize);
}

/// Returns the flags of a descriptor (not of the open file).
pub(crate) fn descriptor_flags(fd: BorrowedFd<'_>) -> Result<u32> {
    call!(__NR_fcntl, fd.as_raw_fd(), nr::F_GETFD)
}

/// Sets the flags of an open file.
pub(crate) fn set_status_flags(fd: BorrowedFd<'_>, flags: u32) -> Result<()> {
    done!(__NR_fcntl, fd.as_raw_fd(), nr::F_SETFL, flags)
}

/// Copies a descriptor to the lowest free number from `least` on.
pub(crate) fn copy(fd: BorrowedFd<'_>, least: u32) -> Result<OwnedFd> {
    open!(__NR_fcntl, fd.as_raw_fd(), nr::F_DUPFD_CLOEXEC, least)
}

/// Creates a pipe whose ends no program inherits. The end to read from is
/// first.
#[inline(never)]
pub(crate) fn pipe() -> Result<(End, End)> {
    let mut ends = [0_u32; 2];
    call!(__NR_pipe2, ends.as_mut_ptr(), nr::O_CLOEXEC)?;
    let ends = ends.map(|number| {
        // SAFETY: the kernel has just opened it, so nobody else knows of it.
        ManuallyDrop::new(unsafe { OwnedFd::new(number) })
    });
    Ok(ends.into())
}

/// An end of a pipe: open until [`close`] closes it, or the process exits or
/// executes a program. That is what a process does that cannot continue after
/// it has created a pipe.
pub(crate) type End = ManuallyDrop<OwnedFd>;

/// Closes an end of a pipe.
pub(crate) fn close(end: End) {
    drop(ManuallyDrop::into_inner(end));
}

/// Gives a pipe the smallest capacity that the kernel allows: one page.
pub(crate) fn shrink_pipe(fd: BorrowedFd<'_>) -> Result<()> {
    done!(__NR_fcntl, fd.as_raw_fd(), nr::F_SETPIPE_SZ, 1)
}
