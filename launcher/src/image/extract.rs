//! Unpacks the entries of an archive below a directory that nobody else sees.
//!
//! Nothing in here resolves a path of the archive on the host: parents are
//! opened inside the root, names are made in them by calls that follow no
//! link, and what is there already is replaced, never written through.
//! Whatever an archive contains, it can only ever change what is below the root.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags,
};
use rustix::io::Errno;

use super::archive::{Entry, EntryKind};
use crate::ground::{Context as _, Error, Result, beneath};

/// The entries of one archive, being unpacked.
pub(crate) struct Extract<'a> {
    root: BorrowedFd<'a>,
    /// Only root can give files away and make devices.
    privileged: bool,
    /// The directory that was used last: entries come directory by directory.
    parent: Option<(PathBuf, OwnedFd)>,
    /// What directories are to become when nothing is made in them any more.
    directories: BTreeMap<PathBuf, Attributes>,
    /// Directories that had to be made and have no entry.
    implicit: BTreeSet<PathBuf>,
    buffer: Vec<u8>,
}

/// What a directory is to become.
struct Attributes {
    mode: u32,
    mtime: i64,
}

impl<'a> Extract<'a> {
    /// Unpacks below `root`, an empty directory.
    pub(crate) fn new(root: BorrowedFd<'a>) -> Self {
        Self {
            root,
            privileged: rustix::process::geteuid().is_root(),
            parent: None,
            directories: BTreeMap::new(),
            implicit: BTreeSet::new(),
            buffer: vec![0; 128 << 10],
        }
    }

    /// Unpacks one entry.
    ///
    /// # Errors
    ///
    /// What the file system says; a hard link to what is not there.
    pub(crate) fn entry(&mut self, entry: Entry<'_>) -> Result<()> {
        let what = || "cannot write it";
        let attributes = Attributes {
            mode: entry.mode,
            mtime: entry.mtime,
        };
        let Some(name) = entry.path.file_name().map(OsStr::to_owned) else {
            self.own(self.root, Path::new("."), &entry).context(what)?;
            self.directories.insert(PathBuf::new(), attributes);
            return Ok(());
        };
        let path = entry.path.parent().unwrap_or(Path::new("")).to_owned();
        let parent = self.parent(&path)?;
        self.implicit.remove(&entry.path);
        if entry.kind == EntryKind::Directory {
            directory(parent.as_fd(), &name).context(what)?;
            self.own(parent.as_fd(), name.as_ref(), &entry)
                .context(what)?;
            self.directories.insert(entry.path.clone(), attributes);
        } else {
            remove(parent.as_fd(), &name).context(what)?;
            self.make(parent.as_fd(), &name, entry)?;
        }
        self.parent = Some((path, parent));
        Ok(())
    }

    /// Gives the directories their modes and times, the deepest first. Returns
    /// the directories that the archive has no entry for.
    pub(crate) fn finish(self) -> Result<BTreeSet<PathBuf>> {
        for (path, attributes) in self.directories.iter().rev() {
            let what = || format!("cannot finish directory `{}`", path.display());
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            // A later entry may have put a link in its place.
            match beneath::open(self.root, path, flags) {
                Ok(fd) => {
                    rustix::fs::fchmod(&fd, Mode::from_raw_mode(attributes.mode)).context(what)?;
                    rustix::fs::futimens(&fd, &times(attributes.mtime)).context(what)?;
                }
                Err(error) if beneath::is_absent(&error) => {}
                Err(error) => return Err(error).context(what),
            }
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
            directory(above.as_fd(), name).context(what)?;
            let mode = Mode::from_raw_mode(0o755);
            rustix::fs::chmodat(&above, name, mode, AtFlags::empty()).context(what)?;
            self.implicit.insert(path.to_owned());
        }
        beneath::open(self.root, path, flags).context(what)
    }

    fn make(&mut self, parent: BorrowedFd<'_>, name: &OsStr, entry: Entry<'_>) -> Result<()> {
        let what = || "cannot write it";
        match &entry.kind {
            EntryKind::Directory => Ok(()),
            EntryKind::File => self.file(parent, name, entry),
            EntryKind::Symlink(target) => {
                rustix::fs::symlinkat(target, parent, name).context(what)?;
                self.own(parent, name.as_ref(), &entry).context(what)?;
                set_times(parent, name, entry.mtime).context(what)
            }
            EntryKind::HardLink(target) => self.link(parent, name, target),
            EntryKind::Character(major, minor) => self.node(
                parent,
                name,
                &entry,
                FileType::CharacterDevice,
                (*major, *minor),
            ),
            EntryKind::Block(major, minor) => self.node(
                parent,
                name,
                &entry,
                FileType::BlockDevice,
                (*major, *minor),
            ),
            EntryKind::Fifo => self.node(parent, name, &entry, FileType::Fifo, (0, 0)),
        }
    }

    fn file(&mut self, parent: BorrowedFd<'_>, name: &OsStr, entry: Entry<'_>) -> Result<()> {
        let what = || "cannot write it";
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR).context(what)?;
        let mut file = std::fs::File::from(fd);
        let mut left = entry.size;
        while left > 0 {
            let count = entry
                .content
                .read(&mut self.buffer)
                .context(|| "cannot read its content")?;
            if count == 0 {
                return Err(Error::invalid("the archive ends too early"));
            }
            file.write_all(&self.buffer[..count]).context(what)?;
            left = left.saturating_sub(count as u64);
        }
        if self.privileged {
            let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
            rustix::fs::fchown(&file, Some(uid), Some(gid)).context(what)?;
        }
        for (name, value) in attributes(&entry) {
            set_attribute(&file, name, value)?;
        }
        // After chown(2), which clears the set-user-ID bit.
        rustix::fs::fchmod(&file, Mode::from_raw_mode(entry.mode)).context(what)?;
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
        rustix::fs::linkat(&above, file, parent, name, AtFlags::empty()).context(missing)
    }

    /// Makes a device or a fifo. Devices of an image work nowhere, since its
    /// tree is only ever mounted `nodev`, so an ordinary user goes without.
    fn node(
        &self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        entry: &Entry<'_>,
        kind: FileType,
        (major, minor): (u32, u32),
    ) -> Result<()> {
        let what = || "cannot write it";
        if (kind, major, minor) == (FileType::CharacterDevice, 0, 0) {
            // Below an overlay it would hide what other layers have there.
            return Err(Error::invalid("it is a whiteout, which images do not have"));
        }
        if !self.privileged && kind != FileType::Fifo {
            return Ok(());
        }
        let mode = Mode::from_raw_mode(entry.mode);
        let device = rustix::fs::makedev(major, minor);
        rustix::fs::mknodat(parent, name, kind, mode, device).context(what)?;
        self.own(parent, name.as_ref(), entry).context(what)?;
        // Nothing replaced the node since: the tree is ours alone.
        rustix::fs::chmodat(parent, name, mode, AtFlags::empty()).context(what)?;
        set_times(parent, name, entry.mtime).context(what)
    }

    fn own(&self, parent: BorrowedFd<'_>, name: &Path, entry: &Entry<'_>) -> io::Result<()> {
        if self.privileged {
            let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::chownat(parent, name, Some(uid), Some(gid), flags)?;
        }
        Ok(())
    }
}

/// Makes a directory, or keeps the one that is there; a link or file gives way.
fn directory(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
        Err(Errno::EXIST) => {}
        made => return Ok(made?),
    }
    let status = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(status.st_mode).is_dir() {
        return Ok(());
    }
    rustix::fs::unlinkat(parent, name, AtFlags::empty())?;
    Ok(rustix::fs::mkdirat(parent, name, Mode::RWXU)?)
}

/// Removes what an entry replaces; a directory only if it is empty.
fn remove(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => Ok(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?),
        Err(errno) => Err(errno.into()),
    }
}

/// The attributes that mean the same inside and outside a pod. Those of an
/// overlay would make our own mounts show other files (CVE-2023-0386).
fn attributes<'e>(entry: &'e Entry<'_>) -> impl Iterator<Item = (&'e OsString, &'e Vec<u8>)> {
    entry.attributes.iter().filter(|(name, _)| {
        let name = name.as_bytes();
        name == b"security.capability"
            || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
    })
}

fn set_attribute(file: &std::fs::File, name: &OsStr, value: &[u8]) -> Result<()> {
    match rustix::fs::fsetxattr(file, name, value, XattrFlags::empty()) {
        // Not every file system has them, and an ordinary user may not set all.
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => Ok(()),
        Err(errno) => Err(errno).context(|| {
            let name = name.to_string_lossy().into_owned();
            format!("cannot set its attribute `{name}`")
        }),
    }
}

fn set_times(parent: BorrowedFd<'_>, name: &OsStr, mtime: i64) -> io::Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    Ok(rustix::fs::utimensat(parent, name, &times(mtime), flags)?)
}

fn times(mtime: i64) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: mtime,
            tv_nsec: 0,
        },
    }
}
