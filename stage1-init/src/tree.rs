//! The root that directives work in, and the host's procfs.
//!
//! A target is first resolved to a descriptor (`beneath`), and then mounted on
//! through `/proc/self/fd/N` of the host's procfs. So no path is resolved
//! twice, and none by the rules of an image. It needs nothing newer than
//! mount(2).
//!
//! That procfs stays the working directory from the first mount on, until a
//! path depends on where the process was before.

use core::ffi::CStr;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::fs::{CWD, FsWord, OFlags};
use stage1_init::{Decimal, MountFlags};

use crate::beneath::{self, Links};
use crate::say;
use crate::sys::{self, Errno, OwnedFd, Result};

/// Where targets are resolved, and the host's procfs.
pub(crate) struct Tree<'a> {
    proc: Option<OwnedFd>,
    root: Option<(OwnedFd, &'a CStr)>,
    /// The working directory, while the process is in procfs instead.
    here: Option<OwnedFd>,
    /// The null device that hides a file. A copy of the mount hides the next.
    pub(crate) null: Option<OwnedFd>,
}

impl<'a> Tree<'a> {
    /// Starts with the host's paths. It is not an error yet if the host has no
    /// procfs: the plan may mount it, or not need it.
    pub(crate) fn new() -> Self {
        Self {
            proc: open_proc(),
            ..Self::nowhere()
        }
    }

    /// Has nothing open: for when no directive is left.
    pub(crate) fn nowhere() -> Self {
        Self {
            proc: None,
            root: None,
            here: None,
            null: None,
        }
    }

    /// Looks for the host's procfs again.
    pub(crate) fn find_proc(&mut self) {
        self.proc = open_proc();
    }

    /// Returns the host's procfs.
    pub(crate) fn proc(&self) -> Result<BorrowedFd<'_>> {
        self.proc.as_ref().map(AsFd::as_fd).ok_or(Errno::NOENT)
    }

    /// `root`: from here on, targets are resolved in this directory.
    #[inline(never)]
    pub(crate) fn set_root(&mut self, path: &'a CStr) -> Result<()> {
        let host = self.host(path)?;
        self.root = Some((sys::open(host, path, sys::DIRECTORY)?, path));
        Ok(())
    }

    /// Returns to the working directory, as the mount namespace is about to
    /// change, and returns the path of the root, to open it again.
    pub(crate) fn leave(&mut self) -> Result<Option<&'a CStr>> {
        self.come_back()?;
        Ok(self.root.as_ref().map(|&(_, path)| path))
    }

    /// Opens the root again, or none, after the mount namespace has changed: a
    /// descriptor belongs to the namespace it was opened in.
    pub(crate) fn reopen_root(&mut self, path: Option<&'a CStr>) -> Result<()> {
        (self.root, self.here, self.null) = (None, None, None);
        path.map_or(Ok(()), |path| self.set_root(path))
    }

    /// Returns where a path on the host starts.
    pub(crate) fn host(&mut self, path: &CStr) -> Result<BorrowedFd<'static>> {
        if !path.to_bytes().starts_with(b"/") {
            self.come_back()?;
        }
        Ok(CWD)
    }

    #[inline(never)]
    fn come_back(&mut self) -> Result<()> {
        self.here
            .take()
            .map_or(Ok(()), |here| sys::fchdir(here.as_fd()))
    }

    /// Returns where a target is resolved: [`CWD`] stands for the host.
    pub(crate) fn root(&mut self, target: &CStr) -> Result<BorrowedFd<'_>> {
        if self.root.is_none() {
            return self.host(target);
        }
        Ok(self.root.as_ref().map_or(CWD, |(root, _)| root.as_fd()))
    }

    /// Tells whether targets are resolved in a root.
    pub(crate) fn has_root(&self) -> bool {
        self.root.is_some()
    }

    /// Opens a target. One that does not exist and is optional is
    /// [`Errno::SKIPPED`].
    pub(crate) fn target(&mut self, path: &CStr, flags: MountFlags) -> Result<OwnedFd> {
        let links = if flags.contains(MountFlags::NOFOLLOW) {
            Links::Refuse
        } else {
            Links::Follow
        };
        match beneath::open(self.root(path)?, path, links) {
            Err(Errno::NOENT | Errno::NOTDIR) if flags.contains(MountFlags::OPTIONAL) => {
                Err(Errno::SKIPPED)
            }
            result => result,
        }
    }

    /// Opens the directory in which something is to be created, and returns its
    /// name there.
    #[inline(never)]
    pub(crate) fn parent<'p>(&mut self, path: &'p CStr) -> Result<(OwnedFd, &'p CStr)> {
        beneath::open_parent(self.root(path)?, path)
    }

    /// Calls mount(2) with descriptors in place of paths.
    #[inline(never)]
    pub(crate) fn mount_at(
        &mut self,
        source: Source<'_>,
        target: BorrowedFd<'_>,
        kind: &CStr,
        flags: u32,
        data: Option<&CStr>,
    ) -> Result<()> {
        self.enter_proc()?;
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

    /// Makes the host's procfs the working directory.
    #[inline(never)]
    pub(crate) fn enter_proc(&mut self) -> Result<()> {
        if self.here.is_none() {
            let here = sys::open(CWD, c".", OFlags::PATH)?;
            sys::fchdir(self.proc()?)?;
            self.here = Some(here);
        }
        Ok(())
    }

    /// Makes the root the working directory.
    pub(crate) fn enter_root(&mut self) -> Result<()> {
        let (root, _) = self.root.as_ref().ok_or(Errno::NOENT)?;
        sys::fchdir(root.as_fd())?;
        (self.here, self.null) = (None, None);
        Ok(())
    }
}

/// The source of a mount, as mount(2) takes it.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    Word(&'a CStr),
    Fd(BorrowedFd<'a>),
}

/// Opens the host's procfs, but no other file system that is mounted there.
#[inline(never)]
fn open_proc() -> Option<OwnedFd> {
    let proc = sys::open(CWD, c"/proc", sys::DIRECTORY).ok()?;
    is_proc(proc.as_fd()).then_some(proc)
}

/// Tells whether a descriptor is on a procfs.
#[inline(never)]
pub(crate) fn is_proc(fd: BorrowedFd<'_>) -> bool {
    const PROC_SUPER_MAGIC: FsWord = 0x9fa0;
    rustix::fs::fstatfs(fd).is_ok_and(|status| status.f_type == PROC_SUPER_MAGIC)
}

/// Returns the path of a descriptor of this process, below procfs.
pub(crate) fn fd_path(fd: BorrowedFd<'_>) -> Short {
    let mut path = Short { bytes: [0; 24] };
    let number = Decimal::new(fd.as_raw_fd().unsigned_abs());
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
