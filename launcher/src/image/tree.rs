//! A root file system that lies unpacked in a directory.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};

use super::rootfs::{Rootfs, Status};
use crate::ground::{Context as _, Result, beneath};

/// The tree, opened.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
}

impl Tree {
    /// Opens the tree in a directory of ours.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .context(|| format!("cannot open `{}`", path.display()))?;
        Ok(Self { root })
    }
}

impl Rootfs for Tree {
    fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        beneath::read(&self.root, Path::new(path), limit)
            .context(|| format!("cannot read `/{path}` of the image"))
    }

    fn status(&self, path: &str) -> Result<Option<Status>> {
        let what = || format!("cannot look at `/{path}` of the image");
        let fd = match beneath::open(&self.root, Path::new(path), OFlags::PATH) {
            Ok(fd) => fd,
            Err(error) if beneath::is_absent(&error) => return Ok(None),
            Err(error) => return Err(error).context(what),
        };
        let status = rustix::fs::fstat(&fd).context(what)?;
        Ok(Some(Status {
            directory: FileType::from_raw_mode(status.st_mode).is_dir(),
            uid: status.st_uid,
            gid: status.st_gid,
            mode: status.st_mode & 0o7777,
        }))
    }
}
