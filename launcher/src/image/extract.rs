//! Unpacks the entries of an archive below a directory that nobody else sees.
//!
//! Nothing in here resolves a path of the archive on the host: parents are
//! opened inside the root, and names are made in them by calls that follow no
//! link and replace nothing. Whatever an archive contains, it can only ever
//! add to what is below the root.
//!
//! # Invariants
//!
//! 1. Nothing that an entry made is changed by another one, except that a
//!    directory gets entries. So no link can put one file in place of another,
//!    and each file of the tree is the content of exactly one entry.
//! 2. Until the end, directories are the owner's alone and may be written to.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags,
};
use rustix::io::Errno;

use super::archive::{Entry, EntryKind};
use super::members::Chunk;
use crate::ground::{Context as _, Error, Result, beneath};

/// The entries of one archive, being unpacked.
pub(crate) struct Extract<'a> {
    root: BorrowedFd<'a>,
    /// Only root can give files away and make devices.
    privileged: bool,
    /// Who owns what is made, unless it is given away.
    owner: (u32, u32),
    /// The permission bits that what is made gets, of those asked for.
    unmasked: u32,
    /// The directory that was used last: entries come directory by directory.
    parent: Option<(PathBuf, OwnedFd)>,
    /// What directories are to become when nothing is made in them any more.
    directories: BTreeMap<PathBuf, Attributes>,
    /// Directories that had to be made and have no entry.
    implicit: BTreeSet<PathBuf>,
}

/// What a directory is to become.
struct Attributes {
    owner: (u32, u32),
    mode: u32,
    mtime: (i64, u32),
    extended: Vec<(OsString, Vec<u8>)>,
}

impl<'a> Extract<'a> {
    /// Unpacks below `root`, an empty directory of ours.
    ///
    /// # Errors
    ///
    /// The directory cannot be looked at.
    pub(crate) fn new(root: BorrowedFd<'a>) -> Result<Self> {
        let status = rustix::fs::fstat(root).context(|| "cannot look at the directory")?;
        // Only setting it tells what it was.
        let umask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
        rustix::process::umask(umask);
        // Where there is one the umask does not count.
        let list = c"system.posix_acl_default";
        let listed = rustix::fs::fgetxattr(root, list, &mut [0_u8; 0][..]).is_ok();
        Ok(Self {
            root,
            privileged: rustix::process::geteuid().is_root(),
            // What is made in a directory can inherit its group, and in the
            // ones below, which are given away last, it does as well.
            owner: (status.st_uid, status.st_gid),
            unmasked: if listed { 0 } else { 0o777 & !umask.bits() },
            parent: None,
            directories: BTreeMap::new(),
            implicit: BTreeSet::new(),
        })
    }

    /// Unpacks one entry.
    ///
    /// # Errors
    ///
    /// What the file system says; a hard link to what is not there; links made
    /// its path that of another entry.
    pub(crate) fn entry(&mut self, mut entry: Entry<'_, '_>) -> Result<()> {
        let Some(name) = entry.path.file_name().map(OsStr::to_owned) else {
            self.directories.insert(PathBuf::new(), later(&mut entry));
            return Ok(());
        };
        let path = entry.path.parent().unwrap_or(Path::new("")).to_owned();
        let parent = self.parent(&path)?;
        if entry.kind == EntryKind::Directory {
            let made = rustix::fs::mkdirat(&parent, &name, Mode::RWXU);
            let known = self.implicit.remove(&entry.path);
            if !(known && made == Err(Errno::EXIST)) {
                new(made)?;
            }
            let attributes = later(&mut entry);
            self.directories.insert(entry.path, attributes);
        } else {
            self.make(parent.as_fd(), &name, &mut entry)?;
        }
        self.parent = Some((path, parent));
        Ok(())
    }

    /// Gives the directories their owners, modes and times, the deepest first. Returns
    /// the directories that the archive has no entry for.
    pub(crate) fn finish(self) -> Result<BTreeSet<PathBuf>> {
        for (path, attributes) in self.directories.iter().rev() {
            let what = || format!("cannot finish directory `{}`", path.display());
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let fd = beneath::open(self.root, path, flags).context(what)?;
            if self.privileged && self.owner != attributes.owner {
                let (uid, gid) = attributes.owner;
                let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
                rustix::fs::fchown(&fd, Some(uid), Some(gid)).context(what)?;
            }
            for (name, value) in &attributes.extended {
                set_attribute(fd.as_fd(), name, value).context(what)?;
            }
            rustix::fs::fchmod(&fd, Mode::from_raw_mode(attributes.mode)).context(what)?;
            rustix::fs::futimens(&fd, &times(attributes.mtime)).context(what)?;
        }
        Ok(self.implicit)
    }

    /// Opens the directory that an entry belongs in, inside the root; makes
    /// it, and those above it, if no entry did.
    fn parent(&mut self, path: &Path) -> Result<OwnedFd> {
        if let Some((last, fd)) = self.parent.take()
            && last == path
        {
            return Ok(fd);
        }
        let what = || format!("cannot open its directory `{}`", path.display());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        match beneath::open(self.root, path, flags) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened.context(what),
        }
        let above = self.parent(path.parent().unwrap_or(Path::new("")))?;
        if let Some(name) = path.file_name() {
            // If it is there, it is a link that leads nowhere.
            rustix::fs::mkdirat(&above, name, Mode::RWXU).context(what)?;
            let mode = Mode::from_raw_mode(0o755);
            rustix::fs::chmodat(&above, name, mode, AtFlags::empty()).context(what)?;
            self.implicit.insert(path.to_owned());
        }
        beneath::open(self.root, path, flags).context(what)
    }

    fn make(&self, parent: BorrowedFd<'_>, name: &OsStr, entry: &mut Entry<'_, '_>) -> Result<()> {
        match &entry.kind {
            EntryKind::Directory => Ok(()),
            EntryKind::File => self.file(parent, name, entry),
            EntryKind::Symlink(target) => {
                new(rustix::fs::symlinkat(target, parent, name))?;
                self.own(parent, name.as_ref(), entry)
                    .and_then(|()| set_times(parent, name, entry.mtime))
                    .context(|| CANNOT_WRITE)
            }
            EntryKind::HardLink(target) => self.link(parent, name, target),
            EntryKind::Character(major, minor) => {
                let device = (*major, *minor);
                self.node(parent, name, entry, FileType::CharacterDevice, device)
            }
            EntryKind::Block(major, minor) => {
                let device = (*major, *minor);
                self.node(parent, name, entry, FileType::BlockDevice, device)
            }
            EntryKind::Fifo => self.node(parent, name, entry, FileType::Fifo, (0, 0)),
        }
    }

    fn file(&self, parent: BorrowedFd<'_>, name: &OsStr, entry: &mut Entry<'_, '_>) -> Result<()> {
        let what = || CANNOT_WRITE;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let gives_away = self.privileged && self.owner != (entry.uid, entry.gid);
        // A set-user-ID program is none before it has its owner.
        let first = entry.mode & 0o777;
        let made = rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(first));
        let file = new(made)?;
        write(file.as_fd(), entry)?;
        if gives_away {
            let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
            rustix::fs::fchown(&file, Some(uid), Some(gid)).context(what)?;
        }
        for (name, value) in &entry.attributes {
            set_attribute(file.as_fd(), name, value)?;
        }
        // After chown(2), which clears the set-user-ID bit.
        if entry.mode != first & self.unmasked {
            rustix::fs::fchmod(&file, Mode::from_raw_mode(entry.mode)).context(what)?;
        }
        rustix::fs::futimens(&file, &times(entry.mtime)).context(what)
    }

    /// Makes another name of a file of this image; a link at its end is linked
    /// itself, not followed.
    fn link(&self, parent: BorrowedFd<'_>, name: &OsStr, target: &Path) -> Result<()> {
        let missing = || format!("the hard link leads to `{}`", target.display());
        let above = target.parent().unwrap_or(Path::new(""));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let above = beneath::open(self.root, above, flags).context(missing)?;
        let file = target.file_name().unwrap_or_default();
        match rustix::fs::linkat(&above, file, parent, name, AtFlags::empty()) {
            Err(Errno::EXIST) => Err(taken()),
            // link(2): it is a directory.
            Err(Errno::PERM) => Err(Error::invalid(format!("{}, a directory", missing()))),
            linked => linked.context(missing),
        }
    }

    /// Makes a device or a fifo. Devices of an image work nowhere, since its
    /// tree is only ever mounted `nodev`, so an ordinary user goes without.
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
            // Below an overlay it would hide what other layers have there.
            return Err(Error::invalid("it is a whiteout, which images do not have"));
        }
        if !self.privileged && kind != FileType::Fifo {
            return Ok(());
        }
        let mode = Mode::from_raw_mode(entry.mode);
        let device = rustix::fs::makedev(major, minor);
        new(rustix::fs::mknodat(parent, name, kind, mode, device))?;
        self.own(parent, name.as_ref(), entry).context(what)?;
        // Nothing replaced the node since: the tree is ours alone.
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

const CANNOT_WRITE: &str = "cannot write it";

/// Takes what a directory is to become.
fn later(entry: &mut Entry<'_, '_>) -> Attributes {
    Attributes {
        owner: (entry.uid, entry.gid),
        mode: entry.mode,
        mtime: entry.mtime,
        extended: std::mem::take(&mut entry.attributes).into_iter().collect(),
    }
}

/// Refuses what exists already: the path of no entry stands twice, so links
/// must have made one of two.
fn new<T>(made: rustix::io::Result<T>) -> Result<T> {
    match made {
        Err(Errno::EXIST) => Err(taken()),
        made => made.context(|| CANNOT_WRITE),
    }
}

fn taken() -> Error {
    Error::invalid("another entry has the same path, by way of a link")
}

/// Writes the content of a file; its holes stay holes.
fn write(file: BorrowedFd<'_>, entry: &mut Entry<'_, '_>) -> Result<()> {
    let mut offset = 0_u64;
    let mut hole = false;
    while let Some(chunk) = entry.content()? {
        match chunk {
            Chunk::Hole(zeros) => {
                offset = offset.saturating_add(zeros);
                hole = true;
            }
            Chunk::Bytes(mut bytes) => {
                while !bytes.is_empty() {
                    let count = match rustix::io::pwrite(file, bytes, offset) {
                        Err(Errno::INTR) => 0,
                        written => written.context(|| CANNOT_WRITE)?,
                    };
                    offset = offset.saturating_add(count as u64);
                    bytes = &bytes[count..];
                }
            }
        }
    }
    if hole {
        rustix::fs::ftruncate(file, offset).context(|| CANNOT_WRITE)?;
    }
    Ok(())
}

/// Sets an attribute, if it is one that means the same inside and outside a
/// pod. Those of an overlay would make our own mounts show other files
/// (CVE-2023-0386); labels and signatures are the host's affair.
fn set_attribute(file: BorrowedFd<'_>, name: &OsStr, value: &[u8]) -> Result<()> {
    let bytes = name.as_bytes();
    let ours = bytes == b"security.capability"
        || (bytes.starts_with(b"user.") && !bytes.starts_with(b"user.overlay."));
    if !ours {
        return Ok(());
    }
    match rustix::fs::fsetxattr(file, name, value, XattrFlags::empty()) {
        // Not every file system has them, and an ordinary user may not set all.
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => Ok(()),
        Err(errno) => Err(errno).context(|| {
            let name = name.to_string_lossy().escape_debug().to_string();
            format!("cannot set its attribute `{name}`")
        }),
    }
}

fn set_times(parent: BorrowedFd<'_>, name: &OsStr, mtime: (i64, u32)) -> io::Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    Ok(rustix::fs::utimensat(parent, name, &times(mtime), flags)?)
}

fn times((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds.into(),
        },
    }
}
