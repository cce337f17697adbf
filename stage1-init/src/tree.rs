//! The root that directives work in, and the host's procfs.
//!
//! A target is first resolved to a descriptor (`beneath`), and then mounted on
//! through `/proc/self/fd/N` of the host's procfs. So no path is resolved
//! twice, and none by the rules of an image. It needs nothing newer than
//! mount(2).

use core::ffi::CStr;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::fs::{CWD, FsWord, OFlags};
use stage1_init::MountFlags;

use crate::beneath::{self, Links};
use crate::say;
use crate::sys::{self, Errno, OwnedFd, Result};

/// Where targets are resolved, and the host's procfs.
pub(crate) struct Tree<'a> {
    proc: Option<OwnedFd>,
    root: Option<(OwnedFd, &'a CStr)>,
}

impl<'a> Tree<'a> {
    /// Starts with the host's paths. It is not an error yet if the host has no
    /// procfs: the plan may mount it, or not need it.
    pub(crate) fn new() -> Self {
        Self {
            proc: open_proc().ok(),
            root: None,
        }
    }

    /// Has nothing open: for when no directive is left.
    pub(crate) fn nowhere() -> Self {
        Self {
            proc: None,
            root: None,
        }
    }

    /// Looks for the host's procfs again.
    pub(crate) fn find_proc(&mut self) {
        self.proc = open_proc().ok();
    }

    /// Returns the host's procfs.
    pub(crate) fn proc(&self) -> Result<BorrowedFd<'_>> {
        self.proc.as_ref().map(AsFd::as_fd).ok_or(Errno::NOENT)
    }

    /// `root`: from here on, targets are resolved in this directory.
    pub(crate) fn set_root(&mut self, path: &'a CStr) -> Result<()> {
        self.root = Some((sys::open(CWD, path, sys::DIRECTORY)?, path));
        Ok(())
    }

    /// Returns the path of the root, to open it again later.
    pub(crate) fn root_path(&self) -> Option<&'a CStr> {
        self.root.as_ref().map(|&(_, path)| path)
    }

    /// Opens the root again, or none, after the mount namespace has changed: a
    /// descriptor belongs to the namespace it was opened in.
    pub(crate) fn reopen_root(&mut self, path: Option<&'a CStr>) -> Result<()> {
        self.root = None;
        path.map_or(Ok(()), |path| self.set_root(path))
    }

    /// Returns where targets are resolved: [`CWD`] stands for the host.
    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_ref().map_or(CWD, |(root, _)| root.as_fd())
    }

    /// Tells whether targets are resolved in a root.
    pub(crate) fn has_root(&self) -> bool {
        self.root.is_some()
    }

    /// Opens a target; returns `None` if it does not exist and is optional.
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

    /// Runs `work` in the directory of the host's procfs.
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

/// The source of a mount, as mount(2) takes it.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    Word(&'a CStr),
    Fd(BorrowedFd<'a>),
}

/// Opens the host's procfs, but no other file system that is mounted there.
fn open_proc() -> Result<OwnedFd> {
    const PROC_SUPER_MAGIC: FsWord = 0x9fa0;
    let proc = sys::open(CWD, c"/proc", sys::DIRECTORY)?;
    if rustix::fs::fstatfs(&proc)?.f_type != PROC_SUPER_MAGIC {
        return Err(Errno::NOENT);
    }
    Ok(proc)
}

/// Calls mount(2) with descriptors in place of paths, from inside of procfs.
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

/// Returns the path of a descriptor of this process, below procfs.
pub(crate) fn fd_path(fd: BorrowedFd<'_>) -> Short {
    let mut path = Short { bytes: [0; 24] };
    let number = say::Decimal::new(fd.as_raw_fd().unsigned_abs());
    let bytes = b"self/fd/".iter().chain(number.as_bytes());
    for (place, &byte) in path.bytes.iter_mut().zip(bytes) {
        *place = byte;
    }
    path
}

/// A path whose maximum length is known.
pub(crate) struct Short {
    bytes: [u8; 24],
}

impl Short {
    pub(crate) fn as_c_str(&self) -> &CStr {
        say::c_str(&self.bytes)
    }
}
