//! The root that directives work in, and the host's procfs.
//!
//! A target is resolved to a descriptor first (`beneath`), and mounted on
//! through `/proc/self/fd/N` of the host's procfs, so that no path is resolved
//! twice and none by the rules of an image. That needs nothing newer than
//! mount(2) itself.

use core::ffi::CStr;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::fs::{CWD, FsWord, OFlags};
use stage1_init::MountFlags;

use crate::beneath::{self, Links};
use crate::say;
use crate::sys::{self, Errno, OwnedFd, Result};

/// Where targets are, and the host's procfs.
pub(crate) struct Tree<'a> {
    proc: Option<OwnedFd>,
    root: Option<(OwnedFd, &'a CStr)>,
}

impl<'a> Tree<'a> {
    /// Begins at the host's paths. A host without procfs is none to complain
    /// of yet: a plan may mount it, or need none.
    pub(crate) fn new() -> Self {
        Self {
            proc: open_proc().ok(),
            root: None,
        }
    }

    /// Opens nothing: for when no directive is left that needs it.
    pub(crate) fn nowhere() -> Self {
        Self {
            proc: None,
            root: None,
        }
    }

    /// Looks for the host's procfs once more.
    pub(crate) fn find_proc(&mut self) {
        self.proc = open_proc().ok();
    }

    /// Returns the host's procfs.
    pub(crate) fn proc(&self) -> Result<BorrowedFd<'_>> {
        self.proc.as_ref().map(AsFd::as_fd).ok_or(Errno::NOENT)
    }

    /// `root`: targets are resolved in this directory from here on.
    pub(crate) fn set_root(&mut self, path: &'a CStr) -> Result<()> {
        self.root = Some((sys::open(CWD, path, sys::DIRECTORY)?, path));
        Ok(())
    }

    /// Returns the path of the root, to open it again later.
    pub(crate) fn root_path(&self) -> Option<&'a CStr> {
        self.root.as_ref().map(|&(_, path)| path)
    }

    /// Opens the root again, or none: after the mount namespace changed, as a
    /// descriptor leads to the mounts of the namespace it was opened in.
    pub(crate) fn reopen_root(&mut self, path: Option<&'a CStr>) -> Result<()> {
        self.root = None;
        path.map_or(Ok(()), |path| self.set_root(path))
    }

    pub(crate) fn root(&self) -> Option<BorrowedFd<'_>> {
        self.root.as_ref().map(|(root, _)| root.as_fd())
    }

    /// Opens a target; `None` if it may be missing and is.
    pub(crate) fn target(&self, path: &CStr, flags: MountFlags) -> Result<Option<OwnedFd>> {
        let links = if flags.contains(MountFlags::NOFOLLOW) {
            Links::Refuse
        } else {
            Links::Follow
        };
        match beneath::open(self.root(), path, links) {
            Err(Errno::NOENT | Errno::NOTDIR) if flags.contains(MountFlags::OPTIONAL) => Ok(None),
            result => result.map(Some),
        }
    }

    /// Calls mount(2) with descriptors in place of paths.
    pub(crate) fn mount_at(
        &self,
        source: Source<'_>,
        target: BorrowedFd<'_>,
        kind: &CStr,
        flags: u32,
        data: Option<&CStr>,
    ) -> Result<()> {
        self.in_proc(&mut || mount_in_proc(source, target, kind, flags, data))
    }

    /// Does something in the host's procfs, and comes back.
    #[inline(never)]
    pub(crate) fn in_proc(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let proc = self.proc()?;
        let here = sys::open(CWD, c".", OFlags::PATH)?;
        sys::fchdir(proc)?;
        let result = work();
        sys::fchdir(here.as_fd())?;
        result
    }
}

/// What mount(2) takes as its source.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    Word(&'a CStr),
    Fd(BorrowedFd<'a>),
}

/// Opens the host's procfs, and nothing else that may be mounted there.
fn open_proc() -> Result<OwnedFd> {
    const PROC_SUPER_MAGIC: FsWord = 0x9fa0;
    let proc = sys::open(CWD, c"/proc", sys::DIRECTORY)?;
    if rustix::fs::fstatfs(&proc)?.f_type != PROC_SUPER_MAGIC {
        return Err(Errno::NOENT);
    }
    Ok(proc)
}

/// Calls mount(2) with descriptors in place of paths, from within procfs.
pub(crate) fn mount_in_proc(
    source: Source<'_>,
    target: BorrowedFd<'_>,
    kind: &CStr,
    flags: u32,
    data: Option<&CStr>,
) -> Result<()> {
    let target = fd_path(target);
    let opened;
    let source = match source {
        Source::Word(word) => word,
        Source::Fd(fd) => {
            opened = fd_path(fd);
            opened.as_c_str()
        }
    };
    sys::mount(source, target.as_c_str(), kind, flags, data)
}

/// Where procfs has a descriptor of this process.
pub(crate) fn fd_path(fd: BorrowedFd<'_>) -> Short {
    let mut path = Short { bytes: [0; 24] };
    let number = say::Decimal::new(fd.as_raw_fd().unsigned_abs());
    let bytes = b"self/fd/".iter().chain(number.as_bytes());
    for (place, &byte) in path.bytes.iter_mut().zip(bytes) {
        *place = byte;
    }
    path
}

/// A path of which the longest is known.
pub(crate) struct Short {
    bytes: [u8; 24],
}

impl Short {
    pub(crate) fn as_c_str(&self) -> &CStr {
        say::c_str(&self.bytes)
    }
}
