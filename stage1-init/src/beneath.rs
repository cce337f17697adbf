//! Resolves paths inside a root that somebody else has filled. Every target is
//! resolved here.
//!
//! openat2(2) does it in one atomic call (Linux 5.6). If that is missing or
//! denied, each component is opened without following links, and links are
//! followed by hand, so that neither `..` nor an absolute link leads out of the
//! root.
//!
//! Everything is opened with `O_PATH`: nothing is read or written, and no
//! device or FIFO notices.

use core::ffi::CStr;

use linux_raw_sys::general as raw;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::fs::{CWD, OFlags};

use crate::say;
use crate::sys::{self, Errno, OwnedFd, Result};

/// How to treat symbolic links in a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    Follow,
    /// A link fails with ELOOP.
    Refuse,
}

const FLAGS: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// Opens a path inside `root`; on the host if that is [`CWD`].
#[inline(never)]
pub(crate) fn open(root: BorrowedFd<'_>, path: &CStr, links: Links) -> Result<OwnedFd> {
    let mut resolve = 0;
    if !is_host(root) {
        resolve |= raw::RESOLVE_IN_ROOT;
    }
    if links == Links::Refuse {
        resolve |= raw::RESOLVE_NO_SYMLINKS;
    }
    if resolve == 0 {
        return sys::open(root, path, FLAGS);
    }
    for _ in 0..RACES {
        match sys::open_resolved(root, path, FLAGS.bits(), resolve) {
            // Something was renamed in the meantime, and `..` cannot be
            // trusted.
            Err(Errno::AGAIN) => {}
            Err(Errno::NOSYS | Errno::PERM) => return walk(root, path, links),
            result => return result,
        }
    }
    Err(Errno::AGAIN)
}

const RACES: u32 = 32;

fn is_host(root: BorrowedFd<'_>) -> bool {
    root.as_raw_fd() == CWD.as_raw_fd()
}

/// Opens the directory of a path's last component, and returns that component,
/// which need not exist. It cannot be `.` or `..`.
pub(crate) fn open_parent<'a>(root: BorrowedFd<'_>, path: &'a CStr) -> Result<(OwnedFd, &'a CStr)> {
    let bytes = path.to_bytes();
    let slash = bytes.iter().rposition(|&byte| byte == b'/');
    let first = slash.map_or(0, |slash| slash + 1);
    let name = path.to_bytes_with_nul().get(first..).unwrap_or_default();
    let name = say::c_str(name);
    if matches!(name.to_bytes(), b"" | b"." | b"..") {
        return Err(Errno::INVAL);
    }
    let mut directory = Path::new();
    directory.push(bytes.get(..first).unwrap_or_default())?;
    if first == 0 {
        directory.push(b".")?;
    }
    let directory = open(root, directory.as_c_str(), Links::Follow)?;
    Ok((directory, name))
}

/// Finds out what a link at the end of a path, in this directory, leads to.
/// That need not exist. Fails if it is no link.
#[inline(never)]
pub(crate) fn behind(
    path: &CStr,
    directory: BorrowedFd<'_>,
    name: &CStr,
    behind: &mut Path,
) -> Result<()> {
    let mut target = Path::new();
    target.read_link(directory, name)?;
    let target = target.as_bytes();
    let above = path.to_bytes().strip_suffix(name.to_bytes());
    let above = above.filter(|_| target.first() != Some(&b'/'));
    behind.append(&[above.unwrap_or(b""), target])
}

/// Tells whether a descriptor is of a file of this type, such as `S_IFDIR`.
#[inline(never)]
pub(crate) fn is_a(kind: u32, fd: BorrowedFd<'_>) -> Result<bool> {
    Ok(sys::status(fd, c"")?.mode & raw::S_IFMT == kind)
}

/// Tells whether two descriptors are of the same file.
pub(crate) fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<bool> {
    Ok(sys::status(one, c"")?.file == sys::status(other, c"")?.file)
}

/// A path under construction, as long as the kernel accepts.
pub(crate) struct Path {
    /// The byte after the path is NUL.
    bytes: [u8; 4096],
    length: usize,
}

impl Path {
    #[inline(never)]
    pub(crate) fn new() -> Self {
        Self {
            bytes: [0; 4096],
            length: 0,
        }
    }

    /// Appends bytes; there is always a NUL byte at the end.
    #[inline(never)]
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let end = self.length + bytes.len();
        match self.bytes.get_mut(self.length..=end) {
            Some([place @ .., nul]) => {
                place.copy_from_slice(bytes);
                *nul = 0;
            }
            _ => return Err(Errno::NAMETOOLONG),
        }
        self.length = end;
        Ok(())
    }

    /// Appends all parts.
    #[inline(never)]
    pub(crate) fn append(&mut self, parts: &[&[u8]]) -> Result<()> {
        parts.iter().try_for_each(|part| self.push(part))
    }

    #[inline(never)]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(b"")
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        say::c_str(&self.bytes)
    }

    /// Cuts the path down to this length.
    fn cut(&mut self, length: usize) {
        if let Some(nul) = self.bytes.get_mut(length) {
            *nul = 0;
            self.length = length;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.cut(0);
    }

    /// Removes the last component.
    fn pop(&mut self) {
        let slash = self.as_bytes().iter().rposition(|&byte| byte == b'/');
        self.cut(slash.unwrap_or(0));
    }

    /// Replaces the path by the target of a link.
    #[inline(never)]
    pub(crate) fn read_link(&mut self, at: BorrowedFd<'_>, name: &CStr) -> Result<()> {
        let length = sys::read_link(at, name, &mut self.bytes)?;
        self.cut(length);
        Ok(())
    }
}

/// The kernel follows as many links.
const MAX_LINKS: u32 = 40;

/// Resolves a path by hand. `done` is what has been resolved, from the root and
/// without links; the remaining path starts at `at` in `rest`.
#[inline(never)]
fn walk(root: BorrowedFd<'_>, path: &CStr, links: Links) -> Result<OwnedFd> {
    let slash;
    let root = match path.to_bytes().first() {
        Some(b'/') if is_host(root) => {
            slash = sys::open(CWD, c"/", FLAGS)?;
            slash.as_fd()
        }
        _ => root,
    };
    let (mut done, mut one, mut other) = (Path::new(), Path::new(), Path::new());
    let (mut rest, mut link) = (&mut one, &mut other);
    rest.push(path.to_bytes())?;
    let (mut at, mut followed) = (0, 0);
    loop {
        let text = rest.as_bytes().get(at..).unwrap_or(b"");
        let end = text.iter().position(|&byte| byte == b'/');
        let end = end.unwrap_or(text.len());
        let (name, left) = text.split_at_checked(end).unwrap_or_default();
        match name {
            b"" | b"." => {}
            b".." => done.pop(),
            _ => {
                done.append(&[b"/", name])?;
            }
        }
        let here = descend(root, done.as_bytes())?;
        if is_a(raw::S_IFLNK, here.as_fd())? {
            followed += 1;
            if links == Links::Refuse || followed > MAX_LINKS {
                return Err(Errno::LOOP);
            }
            link.read_link(here.as_fd(), c"")?;
            match link.as_bytes().first() {
                Some(b'/') => done.clear(),
                _ => done.pop(),
            }
            link.push(left)?;
            core::mem::swap(&mut rest, &mut link);
            at = 0;
        } else if left.is_empty() {
            return Ok(here);
        } else {
            at += end + 1;
        }
    }
}

/// Opens a path component by component. Only the last can be a link: any other
/// has been put there in the meantime, and nothing can be opened from it.
#[inline(never)]
fn descend(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    let mut here = sys::open(root, c".", sys::AS_IT_IS)?;
    let mut name = Path::new();
    for part in path.split(|&byte| byte == b'/') {
        if !part.is_empty() {
            name.clear();
            name.push(part)?;
            here = sys::open(here.as_fd(), name.as_c_str(), sys::AS_IT_IS)?;
        }
    }
    Ok(here)
}
