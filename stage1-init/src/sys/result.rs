//! What calls of the kernel give: an error, or a descriptor to be closed.
//!
//! # Safety
//!
//! As in the file above, whose functions are used here.

#![allow(unsafe_code, reason = "descriptors are handed out here")]

use linux_raw_sys::errno as nr;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd};

/// What a call gives.
pub(crate) type Result<T> = core::result::Result<T, Errno>;

/// An error, as errno(3) counts.
///
/// As wide as a descriptor or a length: the results of all calls then go through
/// the same two registers, and an error is handed on as it came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(u32);

macro_rules! errnos {
    ($($name:ident = $number:ident,)*) => {
        impl Errno {
            $(pub(crate) const $name: Self = Self(nr::$number);)*
        }
    };
}

errnos! {
    ACCESS = EACCES,
    AGAIN = EAGAIN,
    BADF = EBADF,
    CANCELED = ECANCELED,
    CHILD = ECHILD,
    EXIST = EEXIST,
    INTR = EINTR,
    INVAL = EINVAL,
    IO = EIO,
    LOOP = ELOOP,
    NAMETOOLONG = ENAMETOOLONG,
    NODEV = ENODEV,
    NOENT = ENOENT,
    NOEXEC = ENOEXEC,
    NOMEM = ENOMEM,
    NOSYS = ENOSYS,
    NOTDIR = ENOTDIR,
    PERM = EPERM,
    RANGE = ERANGE,
    SRCH = ESRCH,
    STALE = ESTALE,
    TIMEDOUT = ETIMEDOUT,
    TOOBIG = E2BIG,
    XDEV = EXDEV,
}

impl Errno {
    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }

    pub(crate) const fn number(self) -> u32 {
        self.0
    }
}

impl From<rustix::io::Errno> for Errno {
    fn from(errno: rustix::io::Errno) -> Self {
        Self(errno.raw_os_error().cast_unsigned())
    }
}

/// A descriptor of our own. It is closed when this is dropped.
///
/// Not rustix's, which looks at the number again with each use.
pub(crate) struct OwnedFd(BorrowedFd<'static>);

impl OwnedFd {
    /// # Safety
    ///
    /// The descriptor must be open, and nobody else may close it.
    pub(super) unsafe fn new(number: u32) -> Self {
        // SAFETY: it is open until this is dropped.
        Self(unsafe { BorrowedFd::borrow_raw(number.cast_signed()) })
    }
}

impl AsFd for OwnedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0
    }
}

impl AsRawFd for OwnedFd {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

impl Drop for OwnedFd {
    fn drop(&mut self) {
        super::files::close_number(self.0.as_raw_fd().cast_unsigned());
    }
}
