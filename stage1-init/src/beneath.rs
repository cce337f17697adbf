//! Resolves paths inside a root that somebody else filled: the only way in
//! which a target is found.
//!
//! openat2(2) does it in one call, atomically (Linux 5.6). Where that is
//! missing or denied, each component is opened without following links, and
//! links are followed by hand, so that neither `..` nor an absolute link leads
//! out of the root.
//!
//! Everything is opened with `O_PATH`: nothing here reads, writes, or triggers
//! what opening a device or a fifo would.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};

use crate::files;

/// What links in a path mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    Follow,
    /// None may be there: ELOOP.
    Refuse,
}

const FLAGS: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// Opens a path inside `root`, or, without one, of the host.
pub(crate) fn open(root: Option<BorrowedFd<'_>>, path: &CStr, links: Links) -> Result<OwnedFd> {
    let mut resolve = ResolveFlags::empty();
    if root.is_some() {
        resolve |= ResolveFlags::IN_ROOT;
    }
    if links == Links::Refuse {
        resolve |= ResolveFlags::NO_SYMLINKS;
    }
    let within = root.unwrap_or(CWD);
    if resolve.is_empty() {
        return files::open(within, path, FLAGS);
    }
    for _ in 0..RACES {
        match rustix::fs::openat2(within, path, FLAGS, Mode::empty(), resolve) {
            // Something was renamed meanwhile, and `..` cannot be trusted.
            Err(Errno::AGAIN) => {}
            Err(Errno::NOSYS | Errno::PERM) => return walk(root, path, links),
            result => return result,
        }
    }
    Err(Errno::AGAIN)
}

const RACES: u32 = 32;

/// Opens the directory in which a path's last component is, and returns that
/// component. It is not looked at; `.` and `..` are none.
pub(crate) fn open_parent<'a>(
    root: Option<BorrowedFd<'_>>,
    path: &'a CStr,
) -> Result<(OwnedFd, &'a CStr)> {
    let bytes = path.to_bytes();
    let slash = bytes.iter().rposition(|&byte| byte == b'/');
    let first = slash.map_or(0, |slash| slash + 1);
    let name = path
        .to_bytes_with_nul()
        .get(first..)
        .and_then(|name| CStr::from_bytes_until_nul(name).ok());
    let name = name
        .filter(|name| !matches!(name.to_bytes(), b"" | b"." | b".."))
        .ok_or(Errno::INVAL)?;
    let mut directory = Path::new();
    directory.push(bytes.get(..first).unwrap_or(b""))?;
    if first == 0 {
        directory.push(b".")?;
    }
    let directory = open(root, directory.as_c_str(), Links::Follow)?;
    Ok((directory, name))
}

/// Tells what kind of file a descriptor is of.
pub(crate) fn kind(fd: BorrowedFd<'_>) -> Result<FileType> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode))
}

/// Tells whether two descriptors are of the same file.
pub(crate) fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<bool> {
    let (one, other) = (rustix::fs::fstat(one)?, rustix::fs::fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

/// A path being put together; as long as the kernel takes one.
pub(crate) struct Path {
    bytes: [u8; 4096],
    length: usize,
}

impl Path {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; 4096],
            length: 0,
        }
    }

    /// Appends; one byte always stays NUL.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let end = self.length + bytes.len();
        if end >= self.bytes.len() {
            return Err(Errno::NAMETOOLONG);
        }
        self.bytes
            .get_mut(self.length..end)
            .ok_or(Errno::NAMETOOLONG)?
            .copy_from_slice(bytes);
        self.length = end;
        Ok(())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(b"")
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }

    /// Takes the last component away.
    fn pop(&mut self) {
        let slash = self.as_bytes().iter().rposition(|&byte| byte == b'/');
        let end = core::mem::replace(&mut self.length, slash.unwrap_or(0));
        if let Some(taken) = self.bytes.get_mut(self.length..end) {
            taken.fill(0);
        }
    }

    /// Reads where a link leads.
    pub(crate) fn of_link(at: BorrowedFd<'_>, name: &CStr) -> Result<Self> {
        let mut path = Self::new();
        path.length = rustix::fs::readlinkat_raw(at, name, &mut path.bytes[..])?;
        if path.length == path.bytes.len() {
            return Err(Errno::NAMETOOLONG);
        }
        Ok(path)
    }
}

/// As many links as the kernel follows.
const MAX_LINKS: u32 = 40;

/// Resolves by hand: `done` is what was resolved to `here`, from the root and
/// without any link; what is left begins at `at` in `rest`.
#[inline(never)]
fn walk(root: Option<BorrowedFd<'_>>, path: &CStr, links: Links) -> Result<OwnedFd> {
    let root = match (root, path.to_bytes().first()) {
        (Some(root), _) => descend(root, b"")?,
        (None, Some(b'/')) => files::open(CWD, c"/", FLAGS)?,
        (None, _) => descend(CWD, b"")?,
    };
    let (mut done, mut rest) = (Path::new(), Path::new());
    rest.push(path.to_bytes())?;
    let mut here = descend(root.as_fd(), b"")?;
    let (mut at, mut followed) = (0, 0);
    loop {
        let text = rest.as_bytes().get(at..).unwrap_or(b"");
        let name = text.split(|&byte| byte == b'/').next().unwrap_or(b"");
        let left = text.get(name.len() + 1..).unwrap_or(b"");
        at = rest.length - left.len();
        match name {
            b"" | b"." if left.is_empty() => return Ok(here),
            b"" | b"." => continue,
            b".." => {
                done.pop();
                here = descend(root.as_fd(), done.as_bytes())?;
            }
            _ => {
                done.push(b"/")?;
                done.push(name)?;
                here = descend(here.as_fd(), name)?;
            }
        }
        if kind(here.as_fd())? == FileType::Symlink {
            followed += 1;
            if links == Links::Refuse || followed > MAX_LINKS {
                return Err(Errno::LOOP);
            }
            let mut link = Path::of_link(here.as_fd(), c"")?;
            done.pop();
            if link.as_bytes().first() == Some(&b'/') {
                done = Path::new();
            }
            here = descend(root.as_fd(), done.as_bytes())?;
            link.push(b"/")?;
            link.push(left)?;
            rest = link;
            at = 0;
        }
    }
}

/// Opens component after component. Only the last can be a link: from another,
/// which must have been put there meanwhile, nothing can be opened.
#[inline(never)]
fn descend(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    let mut here = files::open(root, c".", files::AS_IT_IS)?;
    for part in path.split(|&byte| byte == b'/') {
        if !part.is_empty() {
            let mut name = Path::new();
            name.push(part)?;
            here = files::open(here.as_fd(), name.as_c_str(), files::AS_IT_IS)?;
        }
    }
    Ok(here)
}
