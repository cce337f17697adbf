//! Copies a directory tree, for hosts without overlayfs.

use std::collections::HashMap;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

/// Copies the directory `source` into `target` under this name, with owners,
/// modes, times, extended attributes, devices and hard links. If the file
/// system can share blocks between files (`FICLONE`), no content is copied.
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
        use std::os::unix::ffi::OsStrExt as _;
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
        attributes(&source, &made)?;
        finish(&made, &status)
    }

    fn entry(
        &mut self,
        source: &OwnedFd,
        target: &OwnedFd,
        name: &CStr,
        above: &Path,
    ) -> io::Result<()> {
        use std::os::unix::ffi::OsStrExt as _;
        let status = rustix::fs::statat(source, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(status.st_mode);
        if kind.is_dir() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let below = rustix::fs::openat(source, name, flags, Mode::empty())?;
            return self.directory(below, target.as_fd(), name, above);
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
    let (uid, gid) = owner(status);
    rustix::fs::chownat(target, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    if !kind.is_symlink() {
        rustix::fs::chmodat(target, name, permissions(status), AtFlags::empty())?;
    }
    rustix::fs::utimensat(target, name, &times(status), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

fn file(source: &OwnedFd, target: &OwnedFd, name: &CStr, status: &Stat) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let from = rustix::fs::openat(source, name, flags, Mode::empty())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let to = rustix::fs::openat(target, name, flags, Mode::RUSR | Mode::WUSR)?;
    if rustix::fs::ioctl_ficlone(&to, &from).is_err() {
        // std uses copy_file_range(2) where it works, else sendfile(2) or a
        // buffer.
        let (mut from, mut to) = (
            std::fs::File::from(from.try_clone()?),
            std::fs::File::from(to.try_clone()?),
        );
        io::copy(&mut from, &mut to)?;
    }
    attributes(&from, &to)?;
    finish(&to, status)
}

/// Sets a file's owner, mode and times, in an order in which none undoes
/// another: chown(2) clears the set-user-ID bit.
pub(crate) fn finish(fd: &OwnedFd, status: &Stat) -> io::Result<()> {
    let (uid, gid) = owner(status);
    rustix::fs::fchown(fd, uid, gid)?;
    rustix::fs::fchmod(fd, permissions(status))?;
    Ok(rustix::fs::futimens(fd, &times(status))?)
}

/// Copies extended attributes.
pub(crate) fn attributes(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    let mut names = vec![0; 64 << 10];
    let length = match rustix::fs::flistxattr(from, names.as_mut_slice()) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(()),
        length => length?,
    };
    for name in names[..length].split_inclusive(|&byte| byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        let mut value = vec![0; 64 << 10];
        let length = rustix::fs::fgetxattr(from, name, value.as_mut_slice())?;
        rustix::fs::fsetxattr(to, name, &value[..length], XattrFlags::empty())?;
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
