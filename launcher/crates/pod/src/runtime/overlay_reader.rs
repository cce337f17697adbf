//! Reads the content of an overlay without mounting it: layers, and above them
//! the changes that an app has left.
//!
//! In a layer, a character device 0:0 is a whiteout: it hides the name in this
//! layer and those below. A directory above other directories shows the content
//! of all of them, down to the first that is opaque or to something that is not
//! a directory; anything else hides what is below it. The attributes of a
//! directory are those of the topmost one.
//!
//! Source: the kernel's Documentation/filesystems/overlayfs.rst. Our mounts
//! turn off the kernel's other annotations, which say that a directory or
//! content is elsewhere; see [`crate::plan::overlay`].
//!
//! # Invariants
//!
//! 1. Only directory descriptors and paths below them are used, and a link at
//!    the end of a path is never followed: whatever the app left there, or
//!    someone changes in the meantime, no file outside of the layers is read.
//! 2. What the rules above do not cover is an error, never a guess.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use error::{Context as _, Error, Result};
use image::format::pack::{is_kept, shown};
use image::store::rootfs::Status;
use sys::{attributes, root_fd};

/// The open layers of a root.
pub struct Union {
    /// Topmost first.
    layers: Vec<OwnedFd>,
    /// Whether they were part of an overlay, and so may contain its
    /// annotations.
    overlaid: bool,
    /// Files of the topmost layer that are hidden as long as they have this
    /// content: the app did not make them.
    ignored: BTreeMap<PathBuf, Vec<u8>>,
    /// The attributes of the root, if not those of the topmost layer.
    top: Option<Status>,
}

/// A visible file or directory.
pub(crate) struct Visible {
    /// Its path from the root; empty for the root itself.
    pub path: PathBuf,
    /// Its kind.
    pub kind: Kind,
    /// Its status.
    pub status: Stat,
    /// Its extended attributes, as far as images have them.
    pub attributes: BTreeMap<OsString, Vec<u8>>,
    /// Whether it is a directory on which something is mounted, which is not
    /// visited.
    pub mounted: bool,
}

/// The kind of a file.
pub(crate) enum Kind {
    /// A directory.
    Directory,
    /// A regular file, opened.
    File(File),
    /// A symbolic link and its target.
    Symlink(PathBuf),
    /// A device, a fifo or a socket.
    Node(FileType),
}

impl Union {
    /// Opens a union of layers, topmost first.
    pub(crate) fn new(
        layers: Vec<OwnedFd>,
        overlaid: bool,
        ignored: BTreeMap<PathBuf, Vec<u8>>,
    ) -> Self {
        Self {
            layers,
            overlaid,
            ignored,
            top: None,
        }
    }

    /// Sets the attributes of the root.
    pub(crate) fn with_top(self, top: Option<Status>) -> Self {
        Self { top, ..self }
    }

    /// Returns whether the layers were part of an overlay.
    pub(crate) fn is_overlay(&self) -> bool {
        self.overlaid
    }

    /// Visits everything that is visible. A directory comes before its content,
    /// of which everything except directories comes first, sorted by name.
    ///
    /// # Errors
    ///
    /// Fails if the file system or `visit` does, or a layer contains something
    /// unknown.
    pub(crate) fn walk(&self, visit: &mut dyn FnMut(Visible) -> Result<()>) -> Result<()> {
        let all = (0..self.layers.len()).collect();
        let mut ahead: Vec<(PathBuf, Vec<usize>)> = vec![(PathBuf::new(), all)];
        while let Some((path, layers)) = ahead.pop() {
            let mut directories = Vec::new();
            let mut listings = Vec::new();
            for layer in layers {
                let (fd, attributes) = self.open(layer, &path)?;
                let opaque = attributes.opaque;
                let mut found = directory(&path, &fd, attributes)?;
                let top = rustix::fs::fstat(&self.layers[layer]).context(|| cannot_read(&path))?;
                found.mounted = found.status.st_dev != top.st_dev;
                let names = match found.mounted {
                    true => BTreeMap::new(),
                    false => {
                        let listing = self.list(layer, &fd, &path);
                        listing.context(|| cannot_read(&path))?
                    }
                };
                listings.push(Listing { names, opaque });
                if directories.is_empty() {
                    if let Some(top) = self.top.filter(|_| path.as_os_str().is_empty()) {
                        let status = &mut found.status;
                        (status.st_uid, status.st_gid) = (top.uid, top.gid);
                        status.st_mode = status.st_mode & !0o7777 | top.mode;
                    }
                    visit(found)?;
                }
                directories.push((layer, fd));
            }
            let merged = merge(listings);
            for (name, shows) in &merged {
                if let Shows::Other(at) = shows {
                    let parent = directories[*at].1.as_fd();
                    visit(self.other(parent, name, path.join(name))?)?;
                }
            }
            // The last one pushed is the first one visited.
            for (name, shows) in merged.into_iter().rev() {
                if let Shows::Directory { of, .. } = shows {
                    let layers = of.iter().map(|&at| directories[at].0);
                    ahead.push((path.join(name), layers.collect()));
                }
            }
        }
        Ok(())
    }

    /// Opens a directory of a layer.
    fn open(&self, layer: usize, path: &Path) -> Result<(OwnedFd, Attributes)> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let fd = root_fd::open(&self.layers[layer], path, flags);
        let fd = fd.context(|| cannot_read(path))?;
        let attributes = self.attributes(&fd, path)?;
        Ok((fd, attributes))
    }

    fn list(&self, layer: usize, fd: &OwnedFd, path: &Path) -> io::Result<BTreeMap<OsString, Has>> {
        let mut names = BTreeMap::new();
        for entry in Dir::read_from(fd)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let has = self.has(fd, name, entry.file_type())?;
            names.insert(OsStr::from_bytes(name.to_bytes()).to_owned(), has);
        }
        if layer == 0 {
            self.ignore(fd, path, &mut names)?;
        }
        Ok(names)
    }

    /// Determines what a layer has under a name.
    fn has(&self, fd: &OwnedFd, name: &CStr, kind: FileType) -> rustix::io::Result<Has> {
        let asked = || rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW);
        Ok(match kind {
            FileType::Directory => Has::Directory,
            FileType::CharacterDevice | FileType::Unknown => {
                let status = asked()?;
                match FileType::from_raw_mode(status.st_mode) {
                    FileType::Directory => Has::Directory,
                    FileType::CharacterDevice if self.overlaid && status.st_rdev == 0 => {
                        Has::Whiteout
                    }
                    _ => Has::Other,
                }
            }
            _ => Has::Other,
        })
    }

    /// Removes ignored files from a directory of the topmost layer.
    fn ignore(
        &self,
        fd: &OwnedFd,
        path: &Path,
        names: &mut BTreeMap<OsString, Has>,
    ) -> io::Result<()> {
        for (file, content) in &self.ignored {
            let (Some(above), Some(name)) = (file.parent(), file.file_name()) else {
                continue;
            };
            let is_there = above == path && names.get(name) == Some(&Has::Other);
            if is_there && read(fd, name, content.len() + 1)?.as_ref() == Some(content) {
                names.remove(name);
            }
        }
        Ok(())
    }

    /// Opens anything but a directory.
    fn other(&self, parent: BorrowedFd<'_>, name: &OsStr, path: PathBuf) -> Result<Visible> {
        let what = || cannot_read(&path);
        let status = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).context(what)?;
        let kind = match FileType::from_raw_mode(status.st_mode) {
            FileType::RegularFile => return self.file(parent, name, path),
            FileType::Directory => return Err(changed(&path)),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(parent, name, Vec::new()).context(what)?;
                Kind::Symlink(OsString::from_vec(target.into_bytes()).into())
            }
            kind => Kind::Node(kind),
        };
        Ok(Visible {
            path,
            kind,
            status,
            attributes: BTreeMap::new(),
            mounted: false,
        })
    }

    fn file(&self, parent: BorrowedFd<'_>, name: &OsStr, path: PathBuf) -> Result<Visible> {
        let what = || cannot_read(&path);
        let fd = rustix::fs::openat(parent, name, FILE, Mode::empty()).context(what)?;
        let status = rustix::fs::fstat(&fd).context(what)?;
        if !FileType::from_raw_mode(status.st_mode).is_file() {
            return Err(changed(&path));
        }
        let attributes = self.attributes(&fd, &path)?.kept;
        Ok(Visible {
            path,
            kind: Kind::File(fd.into()),
            status,
            attributes,
            mounted: false,
        })
    }

    /// Reads the extended attributes of a file.
    ///
    /// # Errors
    ///
    /// Fails if an attribute says that the content or the directory is
    /// elsewhere, which only an overlay can resolve.
    fn attributes(&self, fd: &OwnedFd, path: &Path) -> Result<Attributes> {
        let what = || cannot_read(path);
        let mut found = Attributes::default();
        for name in attributes::names(fd).context(what)? {
            let value = || attributes::value(fd, &name).context(what);
            if is_kept(&name) {
                let value = value()?;
                found.kept.insert(name, value);
                continue;
            }
            let Some(kind) = name.as_bytes().strip_prefix(b"trusted.overlay.") else {
                continue;
            };
            match kind {
                _ if !self.overlaid => {}
                b"opaque" if value()? == b"y" => found.opaque = true,
                // Where it was copied from, what is in it, flags that tar files
                // do not have; and what another overlay, on top of this one,
                // has written.
                b"origin" | b"impure" | b"protattr" | b"uuid" => {}
                kind if kind.starts_with(b"overlay.") => {}
                _ => {
                    let name = name.to_string_lossy();
                    return Err(Error::invalid(format!(
                        "{}: its attribute `{name}` refers to content elsewhere",
                        what()
                    )));
                }
            }
        }
        Ok(found)
    }
}

/// How files are opened: the name may refer to another file by now, and opening
/// a fifo without O_NONBLOCK would block.
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// Extended attributes.
#[derive(Default)]
struct Attributes {
    /// Those that images have.
    kept: BTreeMap<OsString, Vec<u8>>,
    /// Whether the directory is opaque.
    opaque: bool,
}

fn directory(path: &Path, fd: &OwnedFd, attributes: Attributes) -> Result<Visible> {
    Ok(Visible {
        path: path.to_owned(),
        kind: Kind::Directory,
        status: rustix::fs::fstat(fd).context(|| cannot_read(path))?,
        attributes: attributes.kept,
        mounted: false,
    })
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read {}", shown(path))
}

fn changed(path: &Path) -> Error {
    Error::invalid(format!(
        "{}: it was changed at the same time",
        cannot_read(path)
    ))
}

/// A directory of a layer.
struct Listing {
    names: BTreeMap<OsString, Has>,
    /// Whether it hides the same directory in the layers below.
    opaque: bool,
}

/// What a layer has under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Has {
    Directory,
    Whiteout,
    Other,
}

/// What is visible under a name. Indexes are those of listings; 0 is the
/// topmost.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shows {
    Nothing,
    /// A file in this layer.
    Other(usize),
    /// A directory, merged from these layers.
    Directory {
        of: Vec<usize>,
        /// Whether layers below are merged as well.
        open: bool,
    },
}

/// Merges the directories that layers have under one path, topmost first.
fn merge(listings: Vec<Listing>) -> BTreeMap<OsString, Shows> {
    let mut merged: BTreeMap<OsString, Shows> = BTreeMap::new();
    for (at, Listing { names, opaque }) in listings.into_iter().enumerate() {
        for (name, has) in names {
            match merged.get_mut(&name) {
                None => {
                    let shows = match has {
                        Has::Whiteout => Shows::Nothing,
                        Has::Other => Shows::Other(at),
                        Has::Directory => Shows::Directory {
                            of: vec![at],
                            open: true,
                        },
                    };
                    merged.insert(name, shows);
                }
                Some(Shows::Directory { of, open }) if *open => match has {
                    Has::Directory => of.push(at),
                    Has::Whiteout | Has::Other => *open = false,
                },
                Some(_) => {}
            }
        }
        if opaque {
            break;
        }
    }
    merged
}

/// Reads the start of a file; `None` if it is not a regular file.
fn read(parent: &OwnedFd, name: &OsStr, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match rustix::fs::openat(parent, name, FILE, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP | Errno::NXIO) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut content = Vec::new();
    file.take(limit as u64).read_to_end(&mut content)?;
    Ok(Some(content))
}

#[cfg(test)]
#[path = "overlay_reader_tests.rs"]
mod tests;
