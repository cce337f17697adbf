//! Descriptors, files and mounts.
//!
//! # Safety
//!
//! As in the file above, whose macro is used here.

#![allow(unsafe_code, reason = "raw system calls are this file's purpose")]

use core::ffi::CStr;
use core::mem::ManuallyDrop;

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::fs::{Mode, OFlags};

use super::{Errno, OwnedFd, Result, call3, call5, inherited, nr};

/// Takes the number of a descriptor that is to stay open.
type Keep<'a> = dyn FnMut(u32) + 'a;

/// Closes every descriptor from `first` on but those that are named, and marks
/// these, so that no program gets them by accident.
#[inline(never)]
pub(crate) fn close_all_but(mut first: u32, named: &mut dyn FnMut(&mut Keep<'_>)) {
    loop {
        // No descriptor has the highest number.
        let mut next = u32::MAX;
        named(&mut |number| {
            if number >= first {
                next = next.min(number);
            }
        });
        close_between(first, next);
        if next == u32::MAX {
            return;
        }
        close_on_exec(next);
        first = next + 1;
    }
}

/// Closes every descriptor from `first` on, up to the one before `end`. Linux
/// 5.9 does it in one call; before, one by one, up to the limit.
fn close_between(first: u32, end: u32) {
    if first < end && call!(__NR_close_range, first, end - 1, 0_usize).is_err() {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let limit = limit.and_then(|limit| u32::try_from(limit).ok());
        for number in first..end.min(limit.unwrap_or(1 << 20)) {
            close_number(number);
        }
    }
}

/// Sets the close-on-exec flag of a descriptor, if there is one of this number.
fn close_on_exec(number: u32) {
    let _ = call!(__NR_fcntl, number, nr::F_SETFD, nr::FD_CLOEXEC);
}

/// Takes the close-on-exec flag of a descriptor away.
pub(crate) fn keep_on_exec(number: u32) {
    let _ = call!(__NR_fcntl, number, nr::F_SETFD, 0_usize);
}

/// Closes a descriptor. What it might say of a file that could not be written,
/// nobody could do anything about.
#[inline(never)]
pub(super) fn close_number(number: u32) {
    let _ = call!(__NR_close, number);
}

/// Returns the flags of a descriptor (not of the file that it is of).
pub(crate) fn descriptor_flags(fd: BorrowedFd<'_>) -> Result<u32> {
    call!(__NR_fcntl, fd.as_raw_fd(), nr::F_GETFD)
}

/// Sets the flags of the file that a descriptor is of.
pub(crate) fn set_status_flags(fd: BorrowedFd<'_>, flags: u32) -> Result<()> {
    call!(__NR_fcntl, fd.as_raw_fd(), nr::F_SETFL, flags).map(drop)
}

/// Opens a descriptor once more, by a number that is at least this.
pub(crate) fn copy(fd: BorrowedFd<'_>, least: u32) -> Result<OwnedFd> {
    call!(__NR_fcntl, fd.as_raw_fd(), nr::F_DUPFD_CLOEXEC, least).map(owned)
}

/// Opens a file; no program gets the descriptor.
#[inline(never)]
pub(crate) fn open(at: BorrowedFd<'_>, path: &CStr, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    let flags = flags.bits() | nr::O_CLOEXEC;
    call!(
        __NR_openat,
        at.as_raw_fd(),
        path.as_ptr(),
        flags,
        mode.bits()
    )
    .map(owned)
}

/// Opens what a path leads to, with a way to resolve it (openat2(2)).
pub(crate) fn open_resolved(
    at: BorrowedFd<'_>,
    path: &CStr,
    flags: u32,
    resolve: u32,
) -> Result<OwnedFd> {
    let how = nr::open_how {
        flags: u64::from(flags),
        mode: 0,
        resolve: u64::from(resolve),
    };
    let (path, size) = (path.as_ptr(), size_of_val(&how));
    call!(__NR_openat2, at.as_raw_fd(), path, &raw const how, size).map(owned)
}

/// Makes a pipe of which no program gets an end: the one to read from, first.
#[inline(never)]
pub(crate) fn pipe() -> Result<(End, End)> {
    let mut ends = [0_u32; 2];
    call!(__NR_pipe2, ends.as_mut_ptr(), nr::O_CLOEXEC)?;
    let [read, write] = ends;
    Ok((End::new(owned(read)), End::new(owned(write))))
}

/// An end of a pipe: open until it is closed by [`close`], or this process ends
/// or executes a program. Who cannot go on after making a pipe, does that.
pub(crate) type End = ManuallyDrop<OwnedFd>;

/// Closes an end of a pipe.
pub(crate) fn close(end: End) {
    drop(ManuallyDrop::into_inner(end));
}

/// Takes a descriptor that a call has just opened.
pub(super) fn owned(number: u32) -> OwnedFd {
    // SAFETY: nobody else knows of it.
    unsafe { OwnedFd::new(number) }
}

/// Reads as much as there is, up to the length of the buffer.
#[inline(never)]
pub(crate) fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<u32> {
    call!(__NR_read, fd.as_raw_fd(), buffer.as_mut_ptr(), buffer.len())
}

/// The same for who asks for the bytes only: none are the end, or an error.
#[inline(never)]
pub(crate) fn bytes_of<'b>(fd: BorrowedFd<'_>, buffer: &'b mut [u8]) -> &'b [u8] {
    let length = read(fd, buffer).unwrap_or(0);
    buffer.get(..length as usize).unwrap_or_default()
}

/// Writes two parts with one call, as much as can be.
pub(crate) fn write_both(fd: BorrowedFd<'_>, one: &[u8], other: &[u8]) -> Result<u32> {
    // struct iovec, twice.
    let parts = [
        one.as_ptr() as usize,
        one.len(),
        other.as_ptr() as usize,
        other.len(),
    ];
    call!(__NR_writev, fd.as_raw_fd(), parts.as_ptr(), 2)
}

/// Writes as much as can be.
#[inline(never)]
pub(crate) fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<u32> {
    call!(__NR_write, fd.as_raw_fd(), bytes.as_ptr(), bytes.len())
}

/// Opens a descriptor once more, by this number, for the rest of the process's
/// life: nobody may own what had the number. Unless it is to be closed, it
/// stays at execution.
pub(crate) fn place(fd: BorrowedFd<'_>, number: u32, closed: bool) -> Result<BorrowedFd<'static>> {
    if fd.as_raw_fd() as u32 != number {
        let flags = if closed { nr::O_CLOEXEC } else { 0 };
        call!(__NR_dup3, fd.as_raw_fd(), number, flags)?;
    }
    inherited(number)
}

/// Opens a path on the lowest free number, for `main`'s first lines.
pub(crate) fn open_lowest(path: &CStr) -> Result<()> {
    call!(__NR_openat, nr::AT_FDCWD, path.as_ptr(), nr::O_RDWR, 0).map(drop)
}

/// Changes attributes of the mount that `fd` is on, or of all below it, too.
pub(crate) fn mount_setattr(
    fd: BorrowedFd<'_>,
    recursive: bool,
    set: u32,
    clear: u32,
) -> Result<()> {
    let attributes = nr::mount_attr {
        attr_set: u64::from(set),
        attr_clr: u64::from(clear),
        propagation: 0,
        userns_fd: 0,
    };
    let flags = nr::AT_EMPTY_PATH | if recursive { nr::AT_RECURSIVE } else { 0 };
    let (attributes, size) = (&raw const attributes, size_of::<nr::mount_attr>());
    call!(
        __NR_mount_setattr,
        fd.as_raw_fd(),
        c"".as_ptr(),
        flags,
        attributes,
        size
    )
    .map(drop)
}

/// Reads where a link leads, which must be less than the buffer holds.
pub(crate) fn read_link(at: BorrowedFd<'_>, name: &CStr, buffer: &mut [u8]) -> Result<usize> {
    let (place, size) = (buffer.as_mut_ptr(), buffer.len());
    let length = call!(__NR_readlinkat, at.as_raw_fd(), name.as_ptr(), place, size)? as usize;
    if length < size {
        Ok(length)
    } else {
        Err(Errno::NAMETOOLONG)
    }
}

/// Writes the working directory's path into `buffer`.
pub(crate) fn getcwd(buffer: &mut [u8]) -> Result<&[u8]> {
    let length = call!(__NR_getcwd, buffer.as_mut_ptr(), buffer.len())?;
    buffer.get(..length as usize).ok_or(Errno::RANGE)
}
