//! The files that images are in: those of a directory, or of a tar archive.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};

use crate::archive::decompress::decompress;
use crate::archive::tar_reader::{self, MemberKind, Members};
use crate::archive::walk::{Limits, clean, too_large, too_many};
use error::{Context as _, Error, Result};
use sys::links::{self, Step};
use sys::{root_fd, size};

/// Files by their paths. Links are followed, and lead nowhere else.
pub(crate) trait Files: Sync {
    /// Opens a file; `None` if there is none.
    ///
    /// # Errors
    ///
    /// It cannot be opened.
    fn open(&self, path: &Path) -> Result<Option<Box<dyn Read + Send>>>;

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It is not there, or larger than the limit.
    fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>> {
        let file = self.open(Path::new(path))?;
        let file = file.ok_or_else(|| Error::invalid(format!("it has no file `{path}`")))?;
        let mut content = Vec::new();
        file.take(limit as u64 + 1)
            .read_to_end(&mut content)
            .context(|| format!("cannot read its file `{path}`"))?;
        match content.len() > limit {
            true => {
                let most = size::spell(limit as u64);
                Err(Error::invalid(format!(
                    "its file `{path}` is larger than {most}"
                )))
            }
            false => Ok(content),
        }
    }

    /// Tells whether there is a file.
    fn has(&self, path: &str) -> bool {
        self.open(Path::new(path)).is_ok_and(|file| file.is_some())
    }
}

/// The files of a directory.
pub(crate) struct Directory(OwnedFd);

impl Directory {
    /// Opens a directory.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty());
        root.map(Self)
            .context(|| format!("cannot open `{}`", path.display()))
    }
}

impl Files for Directory {
    fn open(&self, path: &Path) -> Result<Option<Box<dyn Read + Send>>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let what = || format!("cannot open its file `{}`", path.display());
        let file = match root_fd::open(&self.0, path, flags) {
            Err(error) if root_fd::is_absent(&error) => return Ok(None),
            file => File::from(file.context(what)?),
        };
        match file.metadata().context(what)?.is_file() {
            true => Ok(Some(Box::new(file))),
            false => Ok(None),
        }
    }
}

/// The files of a tar archive, which is not unpacked.
pub(crate) struct Archive {
    tar: File,
    /// What has which path. Directories need no entry.
    entries: BTreeMap<PathBuf, Entry>,
}

enum Entry {
    /// A file: where its content starts, and its size.
    File(u64, u64),
    /// A symbolic link.
    Link(OsString),
    /// Another name of a file.
    Same(PathBuf),
}

/// Most files of an archive.
const MOST: usize = 100_000;

/// The largest archive that is decompressed, in bytes.
const LARGEST: u64 = 64 << 30;

impl Archive {
    /// Reads the list of an archive. If it is compressed, it is first decompressed
    /// to `aside`.
    ///
    /// # Errors
    ///
    /// It is not a tar archive.
    pub(crate) fn open(file: File, aside: impl FnOnce() -> Result<File>) -> Result<Self> {
        let what = || "cannot read it";
        let mut magic = [0; 512];
        let length = file.read_at(&mut magic, 0).context(what)?;
        let is_plain = magic[..length].get(257..262) == Some(b"ustar");
        let mut tar = match is_plain {
            true => file,
            false => {
                let mut plain = aside()?;
                let input = decompress(file).map_err(tar_reader::unreadable)?;
                let copied = io::copy(&mut input.take(LARGEST), &mut plain);
                if copied.map_err(tar_reader::unreadable)? == LARGEST {
                    return Err(too_large("content", LARGEST));
                }
                plain
            }
        };
        tar.rewind().context(what)?;
        let entries = list(&tar)?;
        Ok(Self { tar, entries })
    }

    fn find(&self, path: &Path) -> Option<(u64, u64)> {
        let found = links::follow(path.as_os_str(), (), |way: &[PathBuf], name, last| {
            let mut here = way.last().cloned().unwrap_or_default();
            if name == "." {
                return Ok(Step::To(here));
            }
            here.push(name);
            match self.entries.get(&here) {
                Some(Entry::Link(target)) => Ok(Step::Link(target.clone())),
                Some(Entry::Same(other)) if last => Ok(Step::To(other.clone())),
                Some(Entry::File(..)) if !last => Err(()),
                _ => Ok(Step::To(here)),
            }
        });
        match self.entries.get(&found.ok()?) {
            Some(Entry::File(start, size)) => Some((*start, *size)),
            _ => None,
        }
    }

    /// Returns the size of a file; `None` if there is none.
    pub(crate) fn size(&self, path: &Path) -> Option<u64> {
        self.find(path).map(|(_, size)| size)
    }
}

impl Files for Archive {
    fn open(&self, path: &Path) -> Result<Option<Box<dyn Read + Send>>> {
        let Some((start, size)) = self.find(path) else {
            return Ok(None);
        };
        let tar = self.tar.try_clone().context(|| "cannot read it")?;
        Ok(Some(Box::new(Part {
            tar,
            at: start,
            end: start.saturating_add(size),
        })))
    }
}

/// A file of an archive.
struct Part {
    tar: File,
    at: u64,
    end: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let most = left.min(buffer.len());
        let count = self.tar.read_at(&mut buffer[..most], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Reads the list of a tar archive.
fn list(tar: &File) -> Result<BTreeMap<PathBuf, Entry>> {
    let read = Cell::new(0);
    let mut input = Counted {
        input: BufReader::with_capacity(64 << 10, tar),
        read: &read,
    };
    let mut members = Members::new(&mut input, None);
    let limits = Limits::default();
    let mut entries = BTreeMap::new();
    while let Some(member) = members.next()? {
        let path = |name: &[u8]| {
            let slashes = name.iter().take_while(|&&byte| byte == b'/').count();
            clean(&name[slashes..], &limits).map_err(|what| {
                let name = String::from_utf8_lossy(name).escape_debug().to_string();
                Error::invalid(format!("entry `{name}` {what}"))
            })
        };
        let entry = match member.kind {
            MemberKind::File => Entry::File(read.get(), member.size),
            MemberKind::Symlink => Entry::Link(OsString::from_vec(member.link.clone())),
            MemberKind::HardLink => Entry::Same(path(&member.link)?),
            _ => continue,
        };
        entries.insert(path(&member.name)?, entry);
        if entries.len() > MOST {
            return Err(too_many("files", MOST as u64));
        }
    }
    Ok(entries)
}

/// Returns the name of the first member of an archive, if it is one, but for its
/// top directory.
pub(crate) fn first(file: &File) -> Option<OsString> {
    let file = file.try_clone().ok()?;
    let input = decompress(file).ok()?;
    let mut input = BufReader::with_capacity(4096, input);
    let mut members = Members::new(&mut input, None);
    loop {
        let name = members.next().ok()??.name;
        let name = name.strip_prefix(b"./").unwrap_or(&name);
        if !name.is_empty() && name != b"." {
            return Some(OsString::from_vec(name.to_vec()));
        }
    }
}

/// Counts what is read of an archive.
struct Counted<'c, R> {
    input: R,
    read: &'c Cell<u64>,
}

impl<R: BufRead> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counted<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.input.consume(count);
        self.read.set(self.read.get() + count as u64);
    }
}
