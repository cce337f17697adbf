//! Opens and reads paths inside a root.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::root_fd::walk;
use crate::small_file;

/// Opens a path inside the root. Links are followed but cannot lead out; the
/// empty path is the root itself.
pub fn open(root: impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let path = match path.as_os_str().is_empty() {
        true => Path::new("."),
        false => path,
    };
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::CLOEXEC;
    match rustix::fs::openat2(&root, path, flags, Mode::empty(), inside) {
        // A seccomp filter that does not know the call may answer EPERM.
        Err(Errno::NOSYS | Errno::PERM) => Ok(walk::open(root.as_fd(), path, flags)?),
        // The tree changed during the call.
        Err(Errno::AGAIN) => Ok(walk::open(root.as_fd(), path, flags)?),
        opened => Ok(opened?),
    }
}

/// Reads at most `limit` bytes of a regular file inside the root; `None` if
/// there is none.
pub fn read(root: impl AsFd, path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
    // Without O_NONBLOCK, opening a fifo would block.
    let fd = match open(
        root,
        path,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
    ) {
        Ok(fd) => fd,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    if !FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode).is_file() {
        return Ok(None);
    }
    small_file::read(&fd, limit).map(Some)
}

/// Tells whether the error means that nothing has this path: the file does not
/// exist, a component is not a directory, or links form a circle.
pub fn is_absent(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO)
    )
}
