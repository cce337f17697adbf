//! The result of a system call.

use core::num::NonZeroU32;

use linux_raw_sys::errno as nr;

/// The result of a system call.
pub(crate) type Result<T> = core::result::Result<T, Errno>;

/// An error, as in errno(3).
///
/// It is as wide as a descriptor or a length, so that the results of all calls
/// use the same two registers, and an error is passed on unchanged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(NonZeroU32);

macro_rules! errnos {
    ($($name:ident = $number:ident,)*) => {
        impl Errno {
            $(pub(crate) const $name: Self = Self::new(nr::$number);)*
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
    /// No error of the kernel: the directive has nothing to do, as its target
    /// is optional.
    pub(crate) const SKIPPED: Self = Self::new(u32::MAX);

    /// Returns the error of this number, which is not 0.
    pub(crate) const fn new(number: u32) -> Self {
        match NonZeroU32::new(number) {
            Some(number) => Self(number),
            None => Self(NonZeroU32::MAX),
        }
    }

    /// No error of the kernel: this signal asked the process to end.
    pub(crate) const fn ended(signal: u32) -> Self {
        Self::new((1 << 12) + 128 + signal)
    }

    /// Returns the exit code if a signal asked the process to end.
    pub(crate) const fn code(self) -> Option<u8> {
        if self.number() >> 12 == 1 {
            Some(self.number() as u8)
        } else {
            None
        }
    }

    pub(crate) const fn number(self) -> u32 {
        self.0.get()
    }
}

impl From<rustix::io::Errno> for Errno {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::new(errno.raw_os_error().cast_unsigned())
    }
}
