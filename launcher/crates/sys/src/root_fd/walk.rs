//! Does what openat2(2) does with `RESOLVE_IN_ROOT`, for Linux before 5.6.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, Result};

/// Most links in one path, as in the kernel.
const MAX_LINKS: usize = 40;

/// Opens a path inside the root. `..` returns to the directory we came from,
/// never to the kernel's parent, which may be outside by now if somebody has
/// moved a directory.
pub(crate) fn open(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    let mut way: Vec<OwnedFd> = Vec::new();
    let mut ahead: Vec<OsString> = components(path.as_os_str());
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        if name == ".." {
            way.pop();
            continue;
        }
        let here = way.last().map_or(root, |fd| fd.as_fd());
        let step = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let next = rustix::fs::openat(here, name.as_os_str(), step, Mode::empty())?;
        let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&next)?.st_mode);
        if kind.is_symlink() && !(ahead.is_empty() && flags.contains(OFlags::NOFOLLOW)) {
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::LOOP);
            }
            let target = rustix::fs::readlinkat(here, name.as_os_str(), Vec::new())?;
            let target = OsString::from_vec(target.into_bytes());
            if target.as_bytes().starts_with(b"/") {
                way.clear();
            }
            ahead.extend(components(&target));
        } else if ahead.is_empty() {
            let last = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            return rustix::fs::openat(here, name.as_os_str(), last, Mode::empty());
        } else if kind.is_dir() {
            way.push(next);
        } else {
            return Err(Errno::NOTDIR);
        }
    }
    let here = way.last().map_or(root, |fd| fd.as_fd());
    rustix::fs::openat(here, ".", flags | OFlags::CLOEXEC, Mode::empty())
}

/// Splits a path into components, last one first.
fn components(path: &OsStr) -> Vec<OsString> {
    path.as_bytes()
        .split(|&byte| byte == b'/')
        .rev()
        .filter(|name| !name.is_empty() && name != b".")
        .map(|name| OsStr::from_bytes(name).to_owned())
        .collect()
}
