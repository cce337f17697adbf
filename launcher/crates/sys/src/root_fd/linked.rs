//! Files with several names: each name but the first becomes a link to the copy.

use std::collections::HashMap;
use std::ffi::CStr;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, OFlags, Stat};

use crate::root_fd::open::open;

/// Where they were copied to, below a root, by device and inode.
#[derive(Default)]
pub(super) struct Linked(HashMap<(u64, u64), PathBuf>);

impl Linked {
    /// Returns the path of the copy, if there is one.
    pub(super) fn first(&self, status: &Stat) -> Option<PathBuf> {
        self.0.get(&(status.st_dev, status.st_ino)).cloned()
    }

    /// Records the path of a copy.
    pub(super) fn note(&mut self, status: &Stat, path: &Path) {
        if status.st_nlink > 1 {
            let inode = (status.st_dev, status.st_ino);
            self.0.entry(inode).or_insert_with(|| path.to_owned());
        }
    }
}

/// Links the file at a path below `root` to another name.
pub(super) fn link(
    root: impl AsFd,
    first: &Path,
    target: impl AsFd,
    name: &CStr,
) -> io::Result<()> {
    let above = first.parent().unwrap_or(Path::new(""));
    let above = open(root.as_fd(), above, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let first = first.file_name().unwrap_or_default();
    let linked = rustix::fs::linkat(above, first, target, name, AtFlags::empty());
    Ok(linked?)
}
