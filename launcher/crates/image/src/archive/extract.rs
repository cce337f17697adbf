//! Unpacks the entries of an archive below a private directory.
//!
//! No path of the archive is resolved on the host: parents are opened inside
//! the root, and names are created in them by calls that follow no link and
//! replace nothing. Whatever an archive contains, it can only add to the tree.
//!
//! # Invariants
//!
//! 1. No entry changes what another has created, except that directories get
//!    entries. So no link can put one file in place of another, and each file
//!    of the tree has the content of exactly one entry.
//! 2. Until the end, directories are writable and belong to the caller alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use crate::archive::file_writer::{Attributes, CANNOT_WRITE, Fill, times};
use crate::archive::walk::{Entry, EntryKind};
use error::{Context as _, Error, Kind, Result};
use sys::root_fd;

/// An archive that is being unpacked.
pub struct Extract<'a> {
    root: BorrowedFd<'a>,
    /// Whether the caller is root, who can change owners and create
    /// devices.
    privileged: bool,
    /// The owner of new files, unless it is changed.
    owner: (u32, u32),
    /// The permission bits that the umask leaves.
    unmasked: u32,
    /// Writes the files, until all are written.
    fill: Option<Fill>,
    /// The last directory used: entries come directory by directory.
    parent: Option<Parent>,
    /// The metadata of directories, set when nothing more is created in
    /// them.
    directories: BTreeMap<PathBuf, Attributes>,
    /// Directories that had to be created and have no entry.
    implicit: BTreeSet<PathBuf>,
}

/// A directory that entries are created in.
struct Parent {
    path: PathBuf,
    fd: OwnedFd,
}

impl<'a> Extract<'a> {
    /// Prepares to unpack below `root`, an empty directory of ours.
    ///
    /// # Errors
    ///
    /// The directory cannot be examined, or the thread cannot be started.
    pub fn new(root: BorrowedFd<'a>) -> Result<Self> {
        let status = rustix::fs::fstat(root).context(|| "cannot examine the directory")?;
        // The umask can only be read by setting it.
        let umask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
        rustix::process::umask(umask);
        // With a default ACL, the umask does not count.
        let list = c"system.posix_acl_default";
        let listed = rustix::fs::fgetxattr(root, list, &mut [0_u8; 0][..]).is_ok();
        Ok(Self {
            root,
            privileged: sys::host::may_set_owners(),
            // New files may inherit the group of their directory, and so
            // may those in new directories, whose owner is only set at the
            // end.
            owner: (status.st_uid, status.st_gid),
            unmasked: if listed { 0 } else { 0o777 & !umask.bits() },
            fill: Some(Fill::start()?),
            parent: None,
            directories: BTreeMap::new(),
            implicit: BTreeSet::new(),
        })
    }

    /// Unpacks one entry.
    ///
    /// # Errors
    ///
    /// The file system refuses; the target of a hard link does not exist;
    /// links make the path that of another entry.
    pub fn entry(&mut self, mut entry: Entry<'_, '_>) -> Result<()> {
        let (Some(above), Some(name)) = (entry.path.parent(), entry.path.file_name()) else {
            let attributes = self.attributes(&mut entry, None);
            self.directories.insert(entry.path, attributes);
            return Ok(());
        };
        let parent = self.parent(above)?;
        if entry.kind == EntryKind::Directory {
            let made = rustix::fs::mkdirat(&parent.fd, name, Mode::RWXU);
            let known = self.implicit.remove(&entry.path);
            if !(known && made == Err(Errno::EXIST)) {
                new(made)?;
            }
            let attributes = self.attributes(&mut entry, None);
            self.directories.insert(entry.path, attributes);
        } else {
            self.make(parent.fd.as_fd(), entry)?;
        }
        self.parent = Some(parent);
        Ok(())
    }

    /// Waits until all files are complete. Call it after the last entry.
    ///
    /// # Errors
    ///
    /// A file could not be written. If [`Extract::entry`] failed, this may
    /// be the actual cause.
    pub fn settle(&mut self) -> Result<()> {
        self.fill.take().map_or(Ok(()), Fill::finish)
    }

    /// Sets owners, modes and times of directories, deepest first. Returns
    /// the directories without an entry.
    pub fn finish(mut self) -> Result<BTreeSet<PathBuf>> {
        self.settle()?;
        for (path, attributes) in self.directories.iter().rev() {
            let what = || format!("cannot finish directory `{}`", path.display());
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let fd = root_fd::open(self.root, path, flags).context(what)?;
            attributes.set(fd.as_fd()).context(what)?;
        }
        Ok(self.implicit)
    }

    /// Opens the parent of an entry inside the root, and creates missing
    /// directories.
    fn parent(&mut self, path: &Path) -> Result<Parent> {
        if let Some(last) = self.parent.take()
            && last.path.as_os_str() == path.as_os_str()
        {
            return Ok(last);
        }
        let what = || format!("cannot open its directory `{}`", path.display());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let fd = match root_fd::open(self.root, path, flags) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let above = self.parent(path.parent().unwrap_or(Path::new("")))?;
                if let Some(name) = path.file_name() {
                    // It exists, so it is a dangling link.
                    rustix::fs::mkdirat(&above.fd, name, Mode::RWXU).context(what)?;
                    let mode = Mode::from_raw_mode(0o755);
                    rustix::fs::chmodat(&above.fd, name, mode, AtFlags::empty()).context(what)?;
                    self.implicit.insert(path.to_owned());
                }
                root_fd::open(self.root, path, flags)
            }
            opened => opened,
        };
        Ok(Parent {
            path: path.to_owned(),
            fd: fd.context(what)?,
        })
    }

    fn make(&mut self, parent: BorrowedFd<'_>, entry: Entry<'_, '_>) -> Result<()> {
        let name = entry.path.file_name().unwrap_or_default();
        match &entry.kind {
            EntryKind::Directory => Ok(()),
            EntryKind::File => self.file(parent, entry),
            EntryKind::Symlink(target) => {
                new(rustix::fs::symlinkat(target, parent, name))?;
                self.own(parent, name.as_ref(), &entry)
                    .and_then(|()| set_times(parent, name, entry.mtime))
                    .context(|| CANNOT_WRITE)
            }
            EntryKind::HardLink(target) => self.link(parent, name, target),
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

    fn file(&mut self, parent: BorrowedFd<'_>, mut entry: Entry<'_, '_>) -> Result<()> {
        let name = entry.path.file_name().unwrap_or_default();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        // The set-user-ID bit is only set after the owner.
        let first = entry.mode & 0o777;
        let made = rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(first));
        let file = new(made)?;
        let attributes = self.attributes(&mut entry, Some(first & self.unmasked));
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

    /// Creates a hard link to a file of this image; if the target is itself
    /// a link, that is linked, not followed.
    fn link(&self, parent: BorrowedFd<'_>, name: &OsStr, target: &Path) -> Result<()> {
        let missing = || format!("the hard link points to `{}`", target.display());
        let above = target.parent().unwrap_or(Path::new(""));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let above = root_fd::open(self.root, above, flags).context(missing)?;
        let file = target.file_name().unwrap_or_default();
        match rustix::fs::linkat(&above, file, parent, name, AtFlags::empty()) {
            Err(Errno::EXIST) => Err(taken()),
            // link(2): the target is a directory.
            Err(Errno::PERM) => Err(Error::invalid(format!("{}, a directory", missing()))),
            linked => linked.context(missing),
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
        if (kind, major, minor) == (FileType::CharacterDevice, 0, 0) {
            // In an overlay, it would hide files of other layers.
            return Err(Error::invalid(
                "it is a whiteout, which is not allowed in images",
            ));
        }
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

/// Rejects a path that exists. No path has two entries, so links must have made
/// it the path of another entry.
fn new<T>(made: rustix::io::Result<T>) -> Result<T> {
    match made {
        Err(Errno::EXIST) => Err(taken()),
        made => made.context(|| CANNOT_WRITE),
    }
}

fn taken() -> Error {
    Error::invalid("another entry has the same path through a link")
}

fn set_times(parent: BorrowedFd<'_>, name: &OsStr, mtime: (i64, u32)) -> io::Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    Ok(rustix::fs::utimensat(parent, name, &times(mtime), flags)?)
}
