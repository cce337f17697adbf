//! How much room a tree of files takes on its disk.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, OFlags};
use rustix::io::Errno;

use crate::root_fd::open::{is_absent, open};

/// Returns the bytes that a directory below a root takes, with everything in it. A
/// file with several names counts once, and what is removed meanwhile not at all.
/// Other file systems that are mounted there do not count.
///
/// # Errors
///
/// A directory cannot be read.
pub fn usage(root: impl AsFd, path: &Path) -> io::Result<u64> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let top = open(&root, path, flags)?;
    let here = rustix::fs::fstat(&top)?;
    let mut blocks = blocks(&here);
    let mut known = BTreeSet::new();
    let mut ahead = vec![PathBuf::new()];
    while let Some(path) = ahead.pop() {
        let directory = match open(&top, &path, flags) {
            Err(error) if is_absent(&error) => continue,
            directory => directory?,
        };
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let status = match rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                status => status?,
            };
            if status.st_dev != here.st_dev {
                continue;
            }
            let is_directory = FileType::from_raw_mode(status.st_mode).is_dir();
            if is_directory {
                ahead.push(path.join(OsStr::from_bytes(name.to_bytes())));
            } else if status.st_nlink > 1 && !known.insert(status.st_ino) {
                continue;
            }
            blocks += self::blocks(&status);
        }
    }
    Ok(blocks * 512)
}

fn blocks(status: &rustix::fs::Stat) -> u64 {
    u64::try_from(status.st_blocks).unwrap_or(0)
}
