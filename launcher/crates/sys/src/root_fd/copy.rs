//! Copies a directory tree, for hosts without overlayfs.

use std::collections::HashMap;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, Uid,
    XattrFlags,
};
use rustix::io::Errno;

use crate::attributes;
use crate::overlay::{is_mark, is_whiteout};

/// Copies the directory `source` into `target` under this name, with owners,
/// modes, times, extended attributes, devices, hard links and holes. If the file
/// system can share blocks between files (`FICLONE`), no content is copied. The
/// marks of an overlay are left out.
///
/// The source is one of ours, and nobody writes to it while it is copied.
pub fn copy_tree(source: &Path, target: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let source = rustix::fs::openat(CWD, source, flags, Mode::empty())?;
    let name = std::ffi::CString::new(name)?;
    let mut copy = Copy {
        linked: HashMap::new(),
        root: rustix::fs::openat(target, c".", flags, Mode::empty())?,
    };
    copy.directory(source, target, &name, Path::new(""))
}

struct Copy {
    /// Where files with several names were copied to, by device and inode.
    linked: HashMap<(u64, u64), std::path::PathBuf>,
    /// The directory that those paths are relative to.
    root: OwnedFd,
}

impl Copy {
    fn directory(
        &mut self,
        source: OwnedFd,
        parent: BorrowedFd<'_>,
        name: &CStr,
        above: &Path,
    ) -> io::Result<()> {
        let status = rustix::fs::fstat(&source)?;
        rustix::fs::mkdirat(parent, name, Mode::RWXU)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(parent, name, flags, Mode::empty())?;
        let path = above.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
        for entry in Dir::read_from(&source)? {
            let entry = entry?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                self.entry(&source, &made, name, &path)?;
            }
        }
        dress(&source, &made, &status, Keep::All)
    }

    fn entry(
        &mut self,
        source: &OwnedFd,
        target: &OwnedFd,
        name: &CStr,
        above: &Path,
    ) -> io::Result<()> {
        let status = rustix::fs::statat(source, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(status.st_mode);
        if kind.is_dir() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let below = rustix::fs::openat(source, name, flags, Mode::empty())?;
            return self.directory(below, target.as_fd(), name, above);
        }
        if is_whiteout(&status) {
            return Ok(());
        }
        let path = above.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
        if status.st_nlink > 1 {
            let inode = (status.st_dev, status.st_ino);
            if let Some(first) = self.linked.get(&inode) {
                return Ok(rustix::fs::linkat(
                    &self.root,
                    first,
                    target,
                    name,
                    AtFlags::empty(),
                )?);
            }
            self.linked.insert(inode, path);
        }
        leaf(source, target, name, &status)
    }
}

/// Copies anything but a directory to a new name.
pub(crate) fn leaf(
    source: &OwnedFd,
    target: &OwnedFd,
    name: &CStr,
    status: &Stat,
) -> io::Result<()> {
    let kind = FileType::from_raw_mode(status.st_mode);
    if kind.is_file() {
        return file(source, target, name, status);
    }
    if kind.is_symlink() {
        let leads = rustix::fs::readlinkat(source, name, Vec::new())?;
        rustix::fs::symlinkat(leads.as_c_str(), target, name)?;
    } else {
        let mode = Mode::from_raw_mode(status.st_mode);
        rustix::fs::mknodat(target, name, kind, mode, status.st_rdev)?;
    }
    dress_link(target.as_fd(), name, status, Keep::All)
}

/// Does what [`dress`] does, for what cannot be opened.
pub(crate) fn dress_link(
    target: BorrowedFd<'_>,
    name: &CStr,
    status: &Stat,
    keep: Keep,
) -> io::Result<()> {
    let (uid, gid) = owner(status);
    rustix::fs::chownat(target, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    if !FileType::from_raw_mode(status.st_mode).is_symlink() {
        rustix::fs::chmodat(target, name, keep.mode(status), AtFlags::empty())?;
    }
    rustix::fs::utimensat(target, name, &times(status), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

fn file(source: &OwnedFd, target: &OwnedFd, name: &CStr, status: &Stat) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let from = rustix::fs::openat(source, name, flags, Mode::empty())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let to = rustix::fs::openat(target, name, flags, Mode::RUSR | Mode::WUSR)?;
    content(&from, &to)?;
    dress(&from, &to, status, Keep::All)
}

/// Copies the content of a file, or shares it.
pub(crate) fn content(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => Ok(()),
        Err(_) => data(&from.try_clone()?.into(), &to.try_clone()?.into()),
    }
}

/// Copies the content of a file, and leaves its holes as holes (lseek(2)).
fn data(mut from: &File, mut to: &File) -> io::Result<()> {
    let size = from.metadata()?.len();
    let mut end = 0;
    while end < size {
        let start = match rustix::fs::seek(from, SeekFrom::Data(end)) {
            Err(Errno::NXIO) => break,
            // Not every file system knows holes.
            Err(Errno::INVAL) => end,
            start => start?,
        };
        end = match rustix::fs::seek(from, SeekFrom::Hole(start)) {
            Err(Errno::INVAL | Errno::NXIO) => size,
            end => end?,
        };
        from.seek(io::SeekFrom::Start(start))?;
        to.seek(io::SeekFrom::Start(start))?;
        // std uses copy_file_range(2) where it works, else sendfile(2) or a
        // buffer.
        io::copy(&mut from.take(end - start), &mut to)?;
    }
    if size == 0 {
        // A file of procfs does not say how long it is.
        return io::copy(&mut from.take(UNKNOWN), &mut to).map(drop);
    }
    // Up to the end of a hole at the end.
    to.set_len(size)
}

/// The most that is copied of a file that does not say how long it is.
const UNKNOWN: u64 = 64 << 20;

/// What a copy has of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of it, except the marks of an overlay.
    All,
    /// Nothing that gives whoever executes it more rights.
    Safe,
}

impl Keep {
    fn mode(self, status: &Stat) -> Mode {
        match (self, FileType::from_raw_mode(status.st_mode)) {
            (Self::Safe, FileType::RegularFile) => Mode::from_raw_mode(status.st_mode & 0o1777),
            _ => permissions(status),
        }
    }

    fn has(self, attribute: &OsStr) -> bool {
        match self {
            Self::All => !is_mark(attribute),
            Self::Safe => attribute.as_bytes().starts_with(b"user."),
        }
    }
}

/// Sets everything that a file or directory has besides its content, in an
/// order in which nothing undoes what was set before: chown(2) clears the
/// set-user-ID bit and the file's capabilities, and setting an attribute
/// changes no time of the content.
pub(crate) fn dress(from: &OwnedFd, to: &OwnedFd, status: &Stat, keep: Keep) -> io::Result<()> {
    let (uid, gid) = owner(status);
    rustix::fs::fchown(to, uid, gid)?;
    attributes(from, to, keep)?;
    rustix::fs::fchmod(to, keep.mode(status))?;
    Ok(rustix::fs::futimens(to, &times(status))?)
}

fn attributes(from: &OwnedFd, to: &OwnedFd, keep: Keep) -> io::Result<()> {
    let names = attributes::names(from)?.into_iter();
    for name in names.filter(|name| keep.has(name)) {
        let value = attributes::value(from, &name)?;
        rustix::fs::fsetxattr(to, &name, &value, XattrFlags::empty()).map_err(|errno| {
            let (name, cause) = (name.display(), io::Error::from(errno));
            io::Error::other(format!("cannot set attribute `{name}`: {cause}"))
        })?;
    }
    Ok(())
}

fn owner(status: &Stat) -> (Option<Uid>, Option<Gid>) {
    (
        Some(Uid::from_raw(status.st_uid)),
        Some(Gid::from_raw(status.st_gid)),
    )
}

fn permissions(status: &Stat) -> Mode {
    Mode::from_raw_mode(status.st_mode & 0o7777)
}

/// Returns when a file was last accessed and modified.
pub(crate) fn times(status: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or(0),
    };
    Timestamps {
        last_access: time(status.st_atime, status.st_atime_nsec),
        last_modification: time(status.st_mtime, status.st_mtime_nsec),
    }
}
