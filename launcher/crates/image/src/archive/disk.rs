//! The tree of an archive on disk, below a private directory.
//!
//! No path of the archive is resolved on the host: parents are opened inside
//! the root, and names are created in them by calls that follow no link and
//! replace nothing.
//!
//! # Invariants
//!
//! 1. Until the end, directories are writable and belong to the caller alone.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};

use crate::archive::extract::{Tree, new};
use crate::archive::file_writer::{Attributes, CANNOT_WRITE, Fill, times};
use crate::archive::walk::{Entry, EntryKind};
use error::{Context as _, Error, Kind, Result};
use sys::root_fd;

/// A tree that is being written.
pub(crate) struct Disk {
    root: OwnedFd,
    /// Whether the caller is root, who can change owners and create
    /// devices.
    privileged: bool,
    /// The owner of new files, unless it is changed.
    owner: (u32, u32),
    /// The permission bits that the umask leaves.
    unmasked: u32,
    /// Writes the files, until all are written.
    fill: Option<Fill>,
    /// The metadata of directories, set when nothing more is created in
    /// them.
    directories: BTreeMap<PathBuf, Attributes>,
}

impl Disk {
    /// Prepares to write below `root`, an empty directory of ours.
    ///
    /// # Errors
    ///
    /// The directory cannot be examined, or the thread cannot be started.
    pub(crate) fn new(root: OwnedFd) -> Result<Self> {
        let status = rustix::fs::fstat(&root).context(|| "cannot examine the directory")?;
        let umask = umask();
        // With a default ACL, the umask does not count.
        let list = c"system.posix_acl_default";
        let listed = rustix::fs::fgetxattr(&root, list, &mut [0_u8; 0][..]).is_ok();
        Ok(Self {
            root,
            privileged: sys::host::may_set_owners(),
            // New files may inherit the group of their directory, and so
            // may those in new directories, whose owner is only set at the
            // end.
            owner: (status.st_uid, status.st_gid),
            unmasked: if listed { 0 } else { 0o777 & !umask.bits() },
            fill: Some(Fill::start()?),
            directories: BTreeMap::new(),
        })
    }

    /// Waits until all files are complete. Call it after the last entry.
    ///
    /// # Errors
    ///
    /// A file could not be written. If an entry failed, this may be the
    /// actual cause.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.fill.take().map_or(Ok(()), Fill::finish)
    }

    /// Sets owners, modes and times of directories, deepest first.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.settle()?;
        for (path, attributes) in self.directories.iter().rev() {
            let what = || format!("cannot finish directory `{}`", path.display());
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let fd = root_fd::open(&self.root, path, flags).context(what)?;
            attributes.set(fd.as_fd()).context(what)?;
        }
        Ok(())
    }

    /// Makes a directory that has no entry (yet) what it is to be in the end.
    pub(crate) fn imply_as(&mut self, path: PathBuf, attributes: Attributes) {
        self.directories.entry(path).or_insert(attributes);
    }

    /// Forgets a directory that was removed, with all in it.
    pub(crate) fn forget(&mut self, path: &Path) {
        self.directories.retain(|known, _| !known.starts_with(path));
    }

    fn file(&mut self, parent: BorrowedFd<'_>, mut entry: Entry<'_, '_>) -> Result<()> {
        let name = entry.path.file_name().unwrap_or_default();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        // The set-user-ID bit is only set after the owner.
        let first = entry.mode & 0o777;
        let made = rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(first));
        let file = new(made)?;
        let attributes = self.attributes(&mut entry, Some(first & self.unmasked));
        let path = std::mem::take(&mut entry.path);
        entry.keep(&path);
        entry.path = path;
        match &mut self.fill {
            Some(fill) => fill.file(file, entry, attributes),
            None => Err(Error::new(Kind::Failed, "unpacking has already ended")),
        }
    }

    /// Returns the metadata of an entry whose mode is this one by now.
    fn attributes(&self, entry: &mut Entry<'_, '_>, mode: Option<u32>) -> Attributes {
        let owner = (entry.uid, entry.gid);
        Attributes {
            owner: (self.privileged && self.owner != owner).then_some(owner),
            mode: (mode != Some(entry.mode)).then_some(entry.mode),
            mtime: entry.mtime,
            extended: std::mem::take(&mut entry.attributes),
        }
    }

    /// Creates a device or fifo. A tree is only ever mounted `nodev`, so
    /// ordinary users can do without devices.
    fn node(
        &self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        entry: &Entry<'_, '_>,
        kind: FileType,
        (major, minor): (u32, u32),
    ) -> Result<()> {
        let what = || CANNOT_WRITE;
        if !self.privileged && kind != FileType::Fifo {
            return Ok(());
        }
        let mode = Mode::from_raw_mode(entry.mode);
        let device = rustix::fs::makedev(major, minor);
        new(rustix::fs::mknodat(parent, name, kind, mode, device))?;
        self.own(parent, name.as_ref(), entry).context(what)?;
        // The tree is ours alone, so it is still the same node.
        rustix::fs::chmodat(parent, name, mode, AtFlags::empty()).context(what)?;
        set_times(parent, name, entry.mtime).context(what)
    }

    fn own(&self, parent: BorrowedFd<'_>, name: &Path, entry: &Entry<'_, '_>) -> io::Result<()> {
        if self.privileged && self.owner != (entry.uid, entry.gid) {
            let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::chownat(parent, name, Some(uid), Some(gid), flags)?;
        }
        Ok(())
    }
}

impl Tree for Disk {
    type Directory = OwnedFd;

    fn open(&self, path: &Path) -> io::Result<OwnedFd> {
        root_fd::open(&self.root, path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    fn directory(&mut self, parent: &OwnedFd, name: &OsStr) -> rustix::io::Result<()> {
        rustix::fs::mkdirat(parent, name, Mode::RWXU)
    }

    fn imply(&mut self, parent: &OwnedFd, name: &OsStr) -> rustix::io::Result<()> {
        self.directory(parent, name)?;
        let mode = Mode::from_raw_mode(0o755);
        rustix::fs::chmodat(parent, name, mode, AtFlags::empty())
    }

    fn describe(&mut self, mut entry: Entry<'_, '_>) {
        let attributes = self.attributes(&mut entry, None);
        self.directories.insert(entry.path, attributes);
    }

    fn link(
        &mut self,
        above: &OwnedFd,
        file: &OsStr,
        parent: &OwnedFd,
        name: &OsStr,
    ) -> rustix::io::Result<()> {
        rustix::fs::linkat(above, file, parent, name, AtFlags::empty())
    }

    fn make(&mut self, parent: &OwnedFd, entry: Entry<'_, '_>) -> Result<()> {
        let parent = parent.as_fd();
        let name = entry.path.file_name().unwrap_or_default();
        match &entry.kind {
            EntryKind::Directory | EntryKind::HardLink(_) => Ok(()),
            EntryKind::File => self.file(parent, entry),
            EntryKind::Symlink(target) => {
                new(rustix::fs::symlinkat(target, parent, name))?;
                self.own(parent, name.as_ref(), &entry)
                    .and_then(|()| set_times(parent, name, entry.mtime))
                    .context(|| CANNOT_WRITE)
            }
            EntryKind::Character(major, minor) => {
                let device = (*major, *minor);
                self.node(parent, name, &entry, FileType::CharacterDevice, device)
            }
            EntryKind::Block(major, minor) => {
                let device = (*major, *minor);
                self.node(parent, name, &entry, FileType::BlockDevice, device)
            }
            EntryKind::Fifo => self.node(parent, name, &entry, FileType::Fifo, (0, 0)),
        }
    }
}

/// Returns the umask. It can only be read by setting it, which must not happen while
/// another thread creates files.
fn umask() -> Mode {
    static UMASK: OnceLock<Mode> = OnceLock::new();
    *UMASK.get_or_init(|| {
        let umask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
        rustix::process::umask(umask);
        umask
    })
}

fn set_times(parent: BorrowedFd<'_>, name: &OsStr, mtime: (i64, u32)) -> io::Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    Ok(rustix::fs::utimensat(parent, name, &times(mtime), flags)?)
}
