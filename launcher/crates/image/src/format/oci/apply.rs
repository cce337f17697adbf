//! Unpacks a layer of an OCI image to a tree of its own, such that an overlay
//! shows the image when it is on top of the trees of the layers below.
//!
//! What a layer takes away becomes the marks of an overlay. Where an archive only
//! implies something (a directory without an entry, a link in a path, a hard link
//! to a file that it does not have), the layers below are looked at. Then the tree
//! depends on them.
//!
//! Source: the OCI image specification, layer.md, "Applying Changesets".
//!
//! # Invariants
//!
//! 1. Names are created by calls that follow no link and replace nothing: what is
//!    replaced was removed before, by name.
//! 2. What a layer takes away is taken from the layers below only, wherever in
//!    the archive the mark is.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, OFlags, Stat};
use rustix::io::Errno;

use crate::archive::disk::Disk;
use crate::archive::extract::Tree as _;
use crate::archive::file_writer::{Attributes, CANNOT_WRITE, is_kept};
use crate::archive::replaced::Shelf;
use crate::archive::unpack::{Made, Unpack};
use crate::archive::walk::{Entry, EntryKind};
use crate::format::oci::below::Below;
use error::quote::escaped;
use error::{Context as _, Error, Result};
use oci::whiteout::{Mark, mark};
use sys::links::{self, Step};
use sys::overlay::{hide_below, is_whiteout, whiteout};
use sys::root_fd::{Keep, Transfer};
use sys::{attributes, root_fd};

/// A layer that is being unpacked.
pub(crate) struct Apply<'b> {
    disk: Disk,
    /// The layers below.
    below: &'b Below<'b>,
    shelf: Shelf,
    /// The last directory used, its name without links, and it.
    last: Option<(PathBuf, PathBuf, OwnedFd)>,
    /// The directories that hide what is below them.
    opaque: BTreeSet<PathBuf>,
    /// The names that hard links made.
    links: BTreeSet<PathBuf>,
    /// The hard links to what is not here yet.
    waiting: Vec<(PathBuf, PathBuf)>,
    /// Whether the root has an entry.
    has_root: bool,
    /// Whether the layers below were looked at.
    depends: bool,
    /// The devices that are left out.
    left_out: Vec<PathBuf>,
}

/// What this layer has under a name.
enum Here {
    Nothing,
    Whiteout,
    Directory,
    Link(OsString),
    Other,
}

impl<'b> Apply<'b> {
    /// Starts with an empty tree. `layer` is the directory of the layer.
    pub(crate) fn new(disk: Disk, layer: OwnedFd, below: &'b Below<'b>) -> Self {
        Self {
            disk,
            below,
            shelf: Shelf::new(layer),
            last: None,
            opaque: BTreeSet::new(),
            links: BTreeSet::new(),
            waiting: Vec::new(),
            has_root: false,
            depends: false,
            left_out: Vec::new(),
        }
    }

    fn put(&mut self, mut entry: Entry<'_, '_>) -> Result<()> {
        let (Some(above), Some(name)) = (entry.path.parent(), entry.path.file_name()) else {
            self.has_root = true;
            self.disk.describe(entry);
            return Ok(());
        };
        let (named, name) = (above.to_owned(), name.to_owned());
        let (above, parent) = self.parent(&named)?;
        let path = above.join(&name);
        let put = match &entry.kind {
            EntryKind::HardLink(target) => {
                let target = target.clone();
                self.link(&path, &parent, &name, &target)
            }
            // In an overlay, it would hide files of other layers.
            EntryKind::Character(0, 0) => {
                self.left_out.push(path);
                Ok(())
            }
            EntryKind::Directory => {
                self.directory(&path, &parent, &name)?;
                entry.path.clone_from(&path);
                self.disk.describe(entry);
                Ok(())
            }
            _ => {
                self.make_room(&path, &parent, &name)?;
                entry.path.clone_from(&path);
                self.disk.make(&parent, entry)
            }
        };
        self.last = Some((named, above, parent));
        put
    }

    /// Makes a directory, unless there is one. It hides what is below if it takes
    /// the place of something else.
    fn directory(&mut self, path: &Path, parent: &OwnedFd, name: &OsStr) -> Result<()> {
        let what = || CANNOT_WRITE;
        let here = look(parent, name).context(what)?;
        if matches!(here, Here::Directory) {
            return Ok(());
        }
        self.make_room(path, parent, name)?;
        self.disk.directory(parent, name).context(what)?;
        match here {
            Here::Nothing => Ok(()),
            _ => self.hide(path),
        }
    }

    /// Removes what this layer has under a name.
    fn make_room(&mut self, path: &Path, parent: &OwnedFd, name: &OsStr) -> Result<()> {
        let what = || CANNOT_WRITE;
        match look(parent, name).context(what)? {
            Here::Nothing => Ok(()),
            Here::Whiteout => rustix::fs::unlinkat(parent, name, AtFlags::empty()).context(what),
            here => {
                let links = &self.links;
                let is_link = |path: &Path| links.contains(path);
                self.shelf
                    .clear(parent, name, path, &is_link)
                    .context(what)?;
                self.links.retain(|known| !known.starts_with(path));
                if let Here::Directory = here {
                    self.disk.forget(path);
                    self.opaque.retain(|known| !known.starts_with(path));
                }
                Ok(())
            }
        }
    }

    /// Marks a directory of this layer as one that hides what is below it.
    fn hide(&mut self, path: &Path) -> Result<()> {
        let what = || format!("cannot hide what is below `{}`", shown(path));
        let directory = self.disk.open(path).context(what)?;
        hide_below(directory).context(what)?;
        self.opaque.insert(path.to_owned());
        Ok(())
    }

    /// Takes away what the layers below have at a path.
    fn remove(&mut self, path: &Path) -> Result<()> {
        let Some((above, name)) = self.reached(path)? else {
            return Ok(());
        };
        let (above, parent) = self.parent(&above)?;
        match look(&parent, &name).context(|| CANNOT_WRITE)? {
            Here::Nothing => whiteout(&parent, &name).context(|| CANNOT_WRITE),
            Here::Directory => self.hide(&above.join(name)),
            Here::Whiteout | Here::Link(_) | Here::Other => Ok(()),
        }
    }

    /// Takes away what the layers below have in a directory.
    fn empty(&mut self, path: &Path) -> Result<()> {
        if path.as_os_str().is_empty() {
            self.opaque.insert(PathBuf::new());
            return Ok(());
        }
        let Some((above, name)) = self.reached(path)? else {
            return Ok(());
        };
        let (above, parent) = self.parent(&above)?;
        let path = above.join(&name);
        match look(&parent, &name).context(|| CANNOT_WRITE)? {
            Here::Directory => self.hide(&path),
            Here::Nothing => match self.seen_below(&path)? {
                Some((fd, status)) if is_directory(&status) => {
                    self.imply(&path, Some((&fd, &status)))?;
                    self.hide(&path)
                }
                _ => Ok(()),
            },
            Here::Whiteout | Here::Link(_) | Here::Other => Ok(()),
        }
    }

    /// Returns the directory of a path, without links, and its name there; `None`
    /// if there is no such directory, here or below.
    fn reached(&mut self, path: &Path) -> Result<Option<(PathBuf, OsString)>> {
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(None);
        };
        let above = self.resolve(above, false)?;
        Ok(above.map(|above| (above, name.to_owned())))
    }

    /// Makes a hard link, or notes that its target is not here yet. If the target
    /// is itself a link, that is linked, not followed.
    fn link(&mut self, path: &Path, parent: &OwnedFd, name: &OsStr, target: &Path) -> Result<()> {
        let there = self.target(target)?;
        match there {
            Some((at, ..)) if at == path => Ok(()),
            Some((_, above, file)) => self.link_to(path, parent, name, &above, &file),
            None => {
                self.waiting.push((path.to_owned(), target.to_owned()));
                Ok(())
            }
        }
    }

    fn link_to(
        &mut self,
        path: &Path,
        parent: &OwnedFd,
        name: &OsStr,
        above: &OwnedFd,
        file: &OsStr,
    ) -> Result<()> {
        self.make_room(path, parent, name)?;
        rustix::fs::linkat(above, file, parent, name, AtFlags::empty()).context(|| CANNOT_WRITE)?;
        self.links.insert(path.to_owned());
        Ok(())
    }

    /// Finds the target of a hard link in this layer: its path without links, its
    /// directory and its name.
    fn target(&mut self, target: &Path) -> Result<Option<(PathBuf, OwnedFd, OsString)>> {
        let Some((above, name)) = self.reached(target)? else {
            return Ok(None);
        };
        let Ok(parent) = self.disk.open(&above) else {
            return Ok(None);
        };
        let fault = |what: &str| {
            let target = shown(target);
            Err(Error::invalid(format!(
                "the hard link points to `{target}`, {what}"
            )))
        };
        match look(&parent, &name).context(|| CANNOT_WRITE)? {
            Here::Nothing => Ok(None),
            Here::Whiteout => fault("which the layer removes"),
            Here::Directory => fault("a directory"),
            Here::Link(_) | Here::Other => Ok(Some((above.join(&name), parent, name))),
        }
    }

    /// Makes the hard links whose targets were not here: by now they are, or they
    /// are copied from the layers below.
    fn finish_links(&mut self) -> Result<()> {
        for (path, target) in std::mem::take(&mut self.waiting) {
            let place = |error: Error| error.at(format!("entry `{}`", shown(&path)));
            if self.target(&target).map_err(place)?.is_none() {
                self.copy_up(&target).map_err(place)?;
            }
            let (Some((_, above, file)), Some(name)) =
                (self.target(&target).map_err(place)?, path.file_name())
            else {
                return Err(place(missing(&target)));
            };
            let (_, parent) = self.parent(path.parent().unwrap_or(Path::new("")))?;
            self.link_to(&path, &parent, name, &above, &file)
                .map_err(place)?;
        }
        Ok(())
    }

    /// Copies a file of the layers below to this one.
    fn copy_up(&mut self, target: &Path) -> Result<()> {
        let Some((above, name)) = self.reached(target)? else {
            return Err(missing(target));
        };
        let path = above.join(&name);
        match self.seen_below(&path)? {
            None => return Err(missing(target)),
            Some((_, status)) if is_directory(&status) => {
                let target = shown(target);
                let what = format!("the hard link points to `{target}`, a directory");
                return Err(Error::invalid(what));
            }
            Some(_) => {}
        }
        let source = self
            .below
            .stack()?
            .directory_of(&path)?
            .ok_or_else(|| missing(target))?;
        let (_, parent) = self.parent(&above)?;
        let note = &mut |_| {};
        Transfer::into(parent, Keep::All, note).entry(&source, &name, &name)?;
        self.links.insert(path);
        Ok(())
    }

    /// Hides everything below the root: overlayfs heeds no mark of the root itself.
    fn finish_root(&mut self) -> Result<()> {
        if !self.opaque.remove(Path::new("")) {
            return Ok(());
        }
        self.depends = true;
        let root = self.disk.open(Path::new("")).context(|| CANNOT_WRITE)?;
        for name in self.below.stack()?.names(Path::new(""))? {
            match look(&root, &name).context(|| CANNOT_WRITE)? {
                Here::Nothing => whiteout(&root, &name).context(|| CANNOT_WRITE)?,
                Here::Directory => self.hide(Path::new(&name))?,
                Here::Whiteout | Here::Link(_) | Here::Other => {}
            }
        }
        Ok(())
    }

    /// Opens the directory of an entry, and returns its path without links. Missing
    /// directories are made.
    fn parent(&mut self, path: &Path) -> Result<(PathBuf, OwnedFd)> {
        if let Some((last, real, directory)) = self.last.take()
            && last.as_os_str() == path.as_os_str()
        {
            return Ok((real, directory));
        }
        let what = || format!("cannot open its directory `{}`", shown(path));
        let real = self.resolve(path, true)?;
        let real = real.ok_or_else(|| {
            let path = shown(path);
            Error::invalid(format!("its directory `{path}` is a link to nowhere"))
        })?;
        let directory = self.disk.open(&real).context(what)?;
        Ok((real, directory))
    }

    /// Resolves the path of a directory to one without links, in this layer and
    /// those below. With `make`, it is made here, and takes the place of what is no
    /// directory.
    fn resolve(&mut self, path: &Path, make: bool) -> Result<Option<PathBuf>> {
        let found = links::follow(path.as_os_str(), None, |way: &[PathBuf], name, _| {
            let above = way.last().cloned().unwrap_or_default();
            if name == "." {
                return Ok(Step::To(above));
            }
            let path = above.join(name);
            let parent = match self.disk.open(&above) {
                Ok(parent) => Some(parent),
                Err(error) if !make && root_fd::is_absent(&error) => None,
                Err(error) => return Err(error).context(|| CANNOT_WRITE).map_err(Some),
            };
            let here = match &parent {
                Some(parent) => look(parent, name).context(|| CANNOT_WRITE).map_err(Some)?,
                None => Here::Nothing,
            };
            match (here, parent) {
                (Here::Directory, _) => return Ok(Step::To(path)),
                (Here::Link(target), _) => return Ok(Step::Link(target)),
                (Here::Whiteout | Here::Other, _) if !make => return Err(None),
                (Here::Whiteout | Here::Other, Some(parent)) => {
                    self.directory(&path, &parent, name).map_err(Some)?;
                    self.imply(&path, None).map_err(Some)?;
                    return Ok(Step::To(path));
                }
                _ => {}
            }
            match self.seen_below(&path).map_err(Some)? {
                Some((fd, status)) if is_directory(&status) => {
                    if make {
                        self.imply(&path, Some((&fd, &status))).map_err(Some)?;
                    }
                }
                Some((fd, status)) if is_link(&status) => {
                    let target = rustix::fs::readlinkat(&fd, c"", Vec::new());
                    let target = target.context(|| CANNOT_WRITE).map_err(Some)?;
                    return Ok(Step::Link(OsString::from_vec(target.into_bytes())));
                }
                _ if make => self.imply(&path, None).map_err(Some)?,
                _ => return Err(None),
            }
            Ok(Step::To(path))
        });
        match found {
            Ok(path) => Ok(Some(path)),
            Err(None) => Ok(None),
            Err(Some(error)) => Err(error),
        }
    }

    /// Returns what the layers below show at a path without links.
    fn seen_below(&mut self, path: &Path) -> Result<Option<(OwnedFd, Stat)>> {
        self.depends = true;
        if path
            .ancestors()
            .skip(1)
            .any(|above| self.opaque.contains(above))
        {
            return Ok(None);
        }
        let found = self.below.stack()?.topmost(path)?;
        Ok(found.map(|(_, fd, status)| (fd, status)))
    }

    /// Makes a directory that has no entry, with what the one below it has.
    fn imply(&mut self, path: &Path, like: Option<(&OwnedFd, &Stat)>) -> Result<()> {
        let what = || format!("cannot make its directory `{}`", shown(path));
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(());
        };
        let parent = self.disk.open(above).context(what)?;
        match self.disk.directory(&parent, name) {
            Err(Errno::EXIST) => {}
            made => made.context(what)?,
        }
        let attributes = match like {
            None => plain(),
            Some((fd, status)) => same(fd, status).context(what)?,
        };
        self.disk.imply_as(path.to_owned(), attributes);
        Ok(())
    }
}

impl Unpack for Apply<'_> {
    fn entry(&mut self, entry: Entry<'_, '_>) -> Result<()> {
        match mark(&entry.path)? {
            Mark::Entry => self.put(entry),
            Mark::Remove(path) => self.remove(&path),
            Mark::Opaque(path) => self.empty(&path),
            Mark::Leftover => Ok(()),
        }
    }

    fn settle(&mut self) -> Result<()> {
        self.disk.settle()
    }

    fn finish(mut self) -> Result<Made> {
        self.finish_links()?;
        self.finish_root()?;
        // All other directories have what those below have, or nobody says it.
        let mut implicit = BTreeSet::new();
        if !self.has_root {
            self.disk.imply_as(PathBuf::new(), plain());
            implicit.insert(".".into());
        }
        self.shelf.finish().context(|| CANNOT_WRITE)?;
        self.disk.finish()?;
        Ok(Made {
            implicit,
            depends: self.depends,
            left_out: self.left_out,
        })
    }
}

/// What a directory has that nobody says anything of.
fn plain() -> Attributes {
    Attributes {
        owner: Some((0, 0)).filter(|_| sys::host::may_set_owners()),
        mode: Some(0o755),
        mtime: (0, 0),
        extended: std::collections::BTreeMap::new(),
    }
}

/// Returns what a directory of another layer has.
fn same(fd: &OwnedFd, status: &Stat) -> std::io::Result<Attributes> {
    let directory = root_fd::open(fd, Path::new(""), OFlags::RDONLY | OFlags::DIRECTORY)?;
    let names = attributes::names(&directory)?.into_iter();
    let extended = names.filter(|name| is_kept(name)).map(|name| {
        let value = attributes::value(&directory, &name)?;
        Ok((name, value))
    });
    Ok(Attributes {
        owner: Some((status.st_uid, status.st_gid)).filter(|_| sys::host::may_set_owners()),
        mode: Some(status.st_mode & 0o7777),
        mtime: (
            status.st_mtime,
            u32::try_from(status.st_mtime_nsec).unwrap_or(0),
        ),
        extended: extended.collect::<std::io::Result<_>>()?,
    })
}

fn look(parent: &OwnedFd, name: &OsStr) -> rustix::io::Result<Here> {
    let status = match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(Here::Nothing),
        status => status?,
    };
    Ok(match FileType::from_raw_mode(status.st_mode) {
        FileType::Directory => Here::Directory,
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(parent, name, Vec::new())?;
            Here::Link(OsString::from_vec(target.into_bytes()))
        }
        _ if is_whiteout(&status) => Here::Whiteout,
        _ => Here::Other,
    })
}

fn is_directory(status: &Stat) -> bool {
    FileType::from_raw_mode(status.st_mode).is_dir()
}

fn is_link(status: &Stat) -> bool {
    FileType::from_raw_mode(status.st_mode).is_symlink()
}

fn shown(path: &Path) -> String {
    escaped(&path.to_string_lossy())
}

fn missing(target: &Path) -> Error {
    let target = shown(target);
    Error::invalid(format!(
        "the hard link points to `{target}`, which no layer has"
    ))
}
