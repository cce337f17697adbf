//! Does what openat2(2) does with `RESOLVE_IN_ROOT`, for Linux before 5.6.

use std::ffi::OsString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::{Errno, Result};

use crate::links::{self, Step};

/// Opens a path inside the root.
pub(crate) fn open(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    links::follow(path.as_os_str(), Errno::LOOP, |way, name, last| {
        let here = way.last().map_or(root, |fd: &OwnedFd| fd.as_fd());
        let open = |flags| {
            let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(here, name, flags, Mode::empty())
        };
        let next = open(OFlags::PATH)?;
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&next)?.st_mode);
        if kind.is_symlink() && !(last && flags.contains(OFlags::NOFOLLOW)) {
            let target = rustix::fs::readlinkat(&next, c"", Vec::new())?;
            Ok(Step::Link(OsString::from_vec(target.into_bytes())))
        } else if last {
            open(flags).map(Step::To)
        } else if kind.is_dir() {
            Ok(Step::To(next))
        } else {
            Err(Errno::NOTDIR)
        }
    })
}
