//! Files and mounts, by descriptor.
//!
//! # Safety
//!
//! As in `call`, whose macro is used here.

#![allow(unsafe_code, reason = "raw system calls are this file's purpose")]

use core::ffi::CStr;
use core::mem::MaybeUninit;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::fs::{Mode, OFlags};

use super::call::nr;
use super::fd::OwnedFd;
use super::result::{Errno, Result};

/// For a directory in which to look things up.
pub(crate) const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);

/// For something to look at, whatever it is.
pub(crate) const AS_IT_IS: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW);

/// Opens what exists. No program inherits the descriptor.
#[inline(never)]
pub(crate) fn open(at: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd> {
    create(at, path, flags, Mode::empty())
}

/// Opens a file, and creates it with this mode if the flags say so. No program
/// inherits the descriptor.
#[inline(never)]
pub(crate) fn create(
    at: BorrowedFd<'_>,
    path: &CStr,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd> {
    let (path, flags) = (path.as_ptr(), flags.bits() | nr::O_CLOEXEC);
    open!(__NR_openat, at.as_raw_fd(), path, flags, mode.bits())
}

/// Opens a path that is resolved in a certain way (openat2(2)).
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
    open!(__NR_openat2, at.as_raw_fd(), path, &raw const how, size)
}

/// What there is to know of a file.
pub(crate) struct Status {
    /// Its type and mode.
    pub(crate) mode: u32,
    /// User and group.
    pub(crate) owner: [u32; 2],
    /// Which file it is: major and minor number of its device, and the inode.
    pub(crate) file: ([u32; 2], u64),
    /// Major and minor number of the device that it stands for.
    pub(crate) device: [u32; 2],
}

/// Looks at a file, which may be a link; at `at` itself, if the name is empty.
/// The structure of statx(2) is the same on all machines.
#[inline(never)]
pub(crate) fn status(at: BorrowedFd<'_>, name: &CStr) -> Result<Status> {
    let mut status = MaybeUninit::<nr::statx>::uninit();
    let flags = nr::AT_SYMLINK_NOFOLLOW | nr::AT_EMPTY_PATH;
    let (name, all) = (name.as_ptr(), nr::STATX_BASIC_STATS);
    let place = status.as_mut_ptr();
    call!(__NR_statx, at.as_raw_fd(), name, flags, all, place)?;
    // SAFETY: the kernel has written all of it.
    let status = unsafe { status.assume_init_ref() };
    Ok(Status {
        mode: status.stx_mode.into(),
        owner: [status.stx_uid, status.stx_gid],
        file: ([status.stx_dev_major, status.stx_dev_minor], status.stx_ino),
        device: [status.stx_rdev_major, status.stx_rdev_minor],
    })
}

/// Reads what is there, up to the length of the buffer.
#[inline(never)]
pub(crate) fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<u32> {
    call!(__NR_read, fd.as_raw_fd(), buffer.as_mut_ptr(), buffer.len())
}

/// Reads what is there, and returns the bytes: none at the end, or on an error.
#[inline(never)]
pub(crate) fn bytes_of<'b>(fd: BorrowedFd<'_>, buffer: &'b mut [u8]) -> &'b [u8] {
    let length = read(fd, buffer).unwrap_or(0);
    buffer.get(..length as usize).unwrap_or_default()
}

/// Writes two parts with one call, as much as possible.
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

/// Writes as much as possible.
#[inline(never)]
pub(crate) fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<u32> {
    call!(__NR_write, fd.as_raw_fd(), bytes.as_ptr(), bytes.len())
}

/// Changes attributes of the mount that `fd` is on, or of all mounts below it
/// as well.
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
    done!(
        __NR_mount_setattr,
        fd.as_raw_fd(),
        c"".as_ptr(),
        flags,
        attributes,
        size
    )
}

/// Reads the target of a link, which must be shorter than the buffer.
pub(crate) fn read_link(at: BorrowedFd<'_>, name: &CStr, buffer: &mut [u8]) -> Result<usize> {
    let (place, size) = (buffer.as_mut_ptr(), buffer.len());
    let length = call!(__NR_readlinkat, at.as_raw_fd(), name.as_ptr(), place, size)? as usize;
    if length < size {
        Ok(length)
    } else {
        Err(Errno::NAMETOOLONG)
    }
}

/// Writes the path of the working directory into `buffer`.
pub(crate) fn getcwd(buffer: &mut [u8]) -> Result<&[u8]> {
    let length = call!(__NR_getcwd, buffer.as_mut_ptr(), buffer.len())?;
    buffer.get(..length as usize).ok_or(Errno::RANGE)
}

/// Writes all bytes.
pub(crate) fn write_all(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match write(fd, rest) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => rest = rest.get(written as usize..).unwrap_or(b""),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Writes to an existing file of procfs or sysfs, which must be done in one
/// call.
pub(crate) fn write_at(directory: BorrowedFd<'_>, path: &CStr, text: &[u8]) -> Result<()> {
    let file = open(directory, path, OFlags::WRONLY)?;
    if write(file.as_fd(), text)? as usize == text.len() {
        Ok(())
    } else {
        Err(Errno::IO)
    }
}
