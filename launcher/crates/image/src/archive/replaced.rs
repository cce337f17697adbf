//! The files of a layer that later entries of it have replaced. They are in no
//! tree, but their contents are part of the archive.
//!
//! ```text
//! replaced/0, 1, ...    the files, in the order in which they were replaced
//! replaced/paths        what their paths were: each followed by a NUL byte
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use sys::{root_fd, small_file};

/// Their directory in that of the layer.
const DIRECTORY: &str = "replaced";

/// The list of their paths.
const PATHS: &str = "paths";

/// Most bytes of the list.
const LIMIT: usize = 64 << 20;

const FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Takes the files that are replaced out of the tree.
pub(crate) struct Shelf {
    /// The directory of the layer.
    layer: OwnedFd,
    directory: Option<OwnedFd>,
    paths: Vec<u8>,
    count: usize,
}

impl Shelf {
    /// Starts with none, in the directory of a layer.
    pub(crate) fn new(layer: OwnedFd) -> Self {
        Self {
            layer,
            directory: None,
            paths: Vec::new(),
            count: 0,
        }
    }

    /// Takes a file.
    pub(crate) fn take(&mut self, parent: &OwnedFd, name: &OsStr, path: &Path) -> io::Result<()> {
        let directory = match self.directory.take() {
            Some(directory) => directory,
            None => {
                rustix::fs::mkdirat(&self.layer, DIRECTORY, Mode::RWXU)?;
                rustix::fs::openat(&self.layer, DIRECTORY, FLAGS, Mode::empty())?
            }
        };
        let taken = rustix::fs::renameat(parent, name, &directory, self.count.to_string());
        self.directory = Some(directory);
        taken?;
        self.count += 1;
        self.paths.extend_from_slice(path.as_os_str().as_bytes());
        self.paths.push(0);
        Ok(())
    }

    /// Removes whatever has a name, and takes the files in it. Those that `is_link`
    /// says are only other names of files are not taken.
    pub(crate) fn clear(
        &mut self,
        parent: &OwnedFd,
        name: &OsStr,
        path: &Path,
        is_link: &dyn Fn(&Path) -> bool,
    ) -> io::Result<()> {
        let status = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory => {
                let below = rustix::fs::openat(parent, name, FLAGS, Mode::empty())?;
                for entry in Dir::read_from(&below)? {
                    let entry = entry?;
                    let name = OsStr::from_bytes(entry.file_name().to_bytes());
                    if name != "." && name != ".." {
                        self.clear(&below, name, &path.join(name), is_link)?;
                    }
                }
                rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?;
            }
            FileType::RegularFile if !is_link(path) => self.take(parent, name, path)?,
            _ => rustix::fs::unlinkat(parent, name, AtFlags::empty())?,
        }
        Ok(())
    }

    /// Writes the list.
    pub(crate) fn finish(self) -> io::Result<()> {
        let Some(directory) = self.directory else {
            return Ok(());
        };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let list = rustix::fs::openat(&directory, PATHS, flags, mode)?;
        io::Write::write_all(&mut std::fs::File::from(list), &self.paths)
    }
}

/// The files that were replaced, to be read again.
#[derive(Default)]
pub(crate) struct Replaced {
    directory: Option<OwnedFd>,
    /// The numbers of those with a path, the first one first.
    numbers: BTreeMap<PathBuf, VecDeque<usize>>,
}

impl Replaced {
    /// Opens those of a layer, by its directory.
    pub(crate) fn open(layer: &OwnedFd) -> io::Result<Self> {
        let directory = match rustix::fs::openat(layer, DIRECTORY, FLAGS, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(Self::default()),
            directory => directory?,
        };
        let paths = small_file::find(&directory, PATHS, LIMIT)?.unwrap_or_default();
        let mut numbers: BTreeMap<PathBuf, VecDeque<usize>> = BTreeMap::new();
        let paths = paths.split(|&byte| byte == 0);
        for (number, path) in paths.filter(|path| !path.is_empty()).enumerate() {
            let path = Path::new(OsStr::from_bytes(path)).to_owned();
            numbers.entry(path).or_default().push_back(number);
        }
        Ok(Self {
            directory: Some(directory),
            numbers,
        })
    }

    /// Opens the next file that had this path; `None` if what is in the tree is
    /// next.
    pub(crate) fn next(&mut self, path: &Path, flags: OFlags) -> io::Result<Option<OwnedFd>> {
        let number = self.numbers.get_mut(path).and_then(VecDeque::pop_front);
        let (Some(number), Some(directory)) = (number, &self.directory) else {
            return Ok(None);
        };
        let name = number.to_string();
        root_fd::open(directory.as_fd(), Path::new(&name), flags).map(Some)
    }
}
