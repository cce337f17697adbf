//! A place in memory for what need not survive a reboot: `/run/nosecone`, or
//! `$XDG_RUNTIME_DIR/nosecone` for ordinary users. Each data directory has a
//! folder there, named by its device and inode, so that it is found by whatever
//! path the data directory is called.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{FsWord, Mode, OFlags};
use rustix::io::Errno;

/// The directory for root: Filesystem Hierarchy Standard 3.0, section 3.15.
const SYSTEM: &str = "/run";

/// The name of our directory in it.
const OURS: &str = "nosecone";

/// The `f_type` that statfs(2) reports for tmpfs, and for ramfs, which an
/// initramfs can be.
const IN_MEMORY: [FsWord; 2] = [0x0102_1994, 0x8584_58f6];

/// A data directory's folder in memory.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) fd: OwnedFd,
}

/// What to do if a folder does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Nothing.
    Ignore,
    /// Make it.
    Make,
}

/// Returns whether this host has such a place.
pub(crate) fn is_there() -> bool {
    path().is_some()
}

/// Opens the folder of a data directory; `None` if it does not exist, or the
/// host has no such place that belongs to the caller alone.
pub(crate) fn folder(data: BorrowedFd<'_>, missing: Missing) -> Option<Folder> {
    let path = path()?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = rustix::fs::open(&path, flags, Mode::empty()).ok()?;
    let ours = open(&parent, OURS, missing)?;
    let status = rustix::fs::fstat(data).ok()?;
    let name = format!("{:x}-{:x}", status.st_dev, status.st_ino);
    Some(Folder {
        fd: open(&ours, &name, missing)?,
        path: path.join(OURS).join(name),
    })
}

/// Returns the path of the place, if it is in memory.
fn path() -> Option<PathBuf> {
    let path = match rustix::process::geteuid().is_root() {
        true => PathBuf::from(SYSTEM),
        false => PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?),
    };
    let in_memory =
        rustix::fs::statfs(&path).is_ok_and(|status| IN_MEMORY.contains(&status.f_type));
    (path.is_absolute() && in_memory).then_some(path)
}

/// Opens a directory that belongs to the caller alone.
fn open(parent: impl AsFd, name: &str, missing: Missing) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(&parent, name, flags, Mode::empty());
    let opened = match open() {
        Err(Errno::NOENT) if missing == Missing::Make => {
            match rustix::fs::mkdirat(&parent, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => open(),
                Err(errno) => Err(errno),
            }
        }
        opened => opened,
    };
    let fd = opened.ok()?;
    let status = rustix::fs::fstat(&fd).ok()?;
    let alone = status.st_uid == rustix::process::geteuid().as_raw() && status.st_mode & 0o022 == 0;
    alone.then_some(fd)
}
