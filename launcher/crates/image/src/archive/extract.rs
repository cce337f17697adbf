//! Unpacks the entries of an archive to a tree: one on disk or, to see whether
//! that would work, one in memory. Whatever is wrong with an archive as a whole
//! is found here, so that both find the same.
//!
//! # Invariants
//!
//! 1. No entry changes what another has created, except that directories get
//!    entries. So no link can put one file in place of another, and each file
//!    of the tree has the content of exactly one entry. Whatever an archive
//!    contains, it can only add to the tree.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::archive::file_writer::CANNOT_WRITE;
use crate::archive::walk::{Entry, EntryKind};
use error::{Context as _, Error, Kind, Result};

/// A tree that grows. Its calls fail as those of the kernel do.
pub(crate) trait Tree {
    /// An open directory.
    type Directory;

    /// Opens a directory, inside the root whatever the links of the tree are.
    fn open(&self, path: &Path) -> io::Result<Self::Directory>;

    /// Makes a directory, which [`Tree::describe`] completes.
    fn directory(&mut self, parent: &Self::Directory, name: &OsStr) -> rustix::io::Result<()>;

    /// Makes a directory that may have no entry.
    fn imply(&mut self, parent: &Self::Directory, name: &OsStr) -> rustix::io::Result<()>;

    /// Takes what an entry says of its directory, which is there.
    fn describe(&mut self, entry: Entry<'_, '_>);

    /// Makes another name of `file` in the directory `above`.
    fn link(
        &mut self,
        above: &Self::Directory,
        file: &OsStr,
        parent: &Self::Directory,
        name: &OsStr,
    ) -> rustix::io::Result<()>;

    /// Makes anything else, and takes its content. [`new`] gives the error if
    /// there is something of its name.
    fn make(&mut self, parent: &Self::Directory, entry: Entry<'_, '_>) -> Result<()>;
}

/// An archive that is being unpacked.
pub(crate) struct Extract<T: Tree> {
    /// The tree, without what is not written yet.
    pub(crate) tree: T,
    /// The last directory used: entries come directory by directory.
    parent: Option<(PathBuf, T::Directory)>,
    /// Directories that had to be created and have no entry.
    implicit: BTreeSet<PathBuf>,
}

impl<T: Tree> Extract<T> {
    /// Starts with a tree that is empty.
    pub(crate) fn new(tree: T) -> Self {
        Self {
            tree,
            parent: None,
            implicit: BTreeSet::new(),
        }
    }

    /// Returns the tree, and the directories without an entry.
    pub(crate) fn done(self) -> (T, BTreeSet<PathBuf>) {
        (self.tree, self.implicit)
    }

    /// Unpacks one entry.
    ///
    /// # Errors
    ///
    /// The tree refuses; the target of a hard link does not exist; links make
    /// the path that of another entry.
    pub(crate) fn entry(&mut self, entry: Entry<'_, '_>) -> Result<()> {
        let (Some(above), Some(name)) = (entry.path.parent(), entry.path.file_name()) else {
            self.tree.describe(entry);
            return Ok(());
        };
        let above = above.to_owned();
        let parent = self.parent(&above)?;
        match &entry.kind {
            EntryKind::Directory => {
                let made = self.tree.directory(&parent, name);
                let known = self.implicit.remove(&entry.path);
                if !(known && made == Err(Errno::EXIST)) {
                    new(made)?;
                }
                self.tree.describe(entry);
            }
            EntryKind::HardLink(target) => self.link(&parent, name, target)?,
            // In an overlay, it would hide files of other layers.
            EntryKind::Character(0, 0) => {
                return Err(Error::invalid(
                    "it is a whiteout, which is not allowed in images",
                ));
            }
            _ => self.tree.make(&parent, entry)?,
        }
        self.parent = Some((above, parent));
        Ok(())
    }

    /// Opens the parent of an entry inside the root, and creates missing
    /// directories.
    fn parent(&mut self, path: &Path) -> Result<T::Directory> {
        if let Some((last, directory)) = self.parent.take()
            && last.as_os_str() == path.as_os_str()
        {
            return Ok(directory);
        }
        let what = || format!("cannot open its directory `{}`", path.display());
        let opened = match self.tree.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let above = self.parent(path.parent().unwrap_or(Path::new("")))?;
                if let Some(name) = path.file_name() {
                    match self.tree.imply(&above, name) {
                        Err(Errno::EXIST) => {
                            let path = path.display();
                            let what = format!("its directory `{path}` is a link to nowhere");
                            return Err(Error::invalid(what));
                        }
                        made => made.map_err(|error| refused(error.into(), what()))?,
                    }
                    self.implicit.insert(path.to_owned());
                }
                self.tree.open(path)
            }
            opened => opened,
        };
        opened.map_err(|error| refused(error, what()))
    }

    /// Creates a hard link to a file of this image; if the target is itself
    /// a link, that is linked, not followed.
    fn link(&mut self, parent: &T::Directory, name: &OsStr, target: &Path) -> Result<()> {
        let missing = || format!("the hard link points to `{}`", target.display());
        let above = self.tree.open(target.parent().unwrap_or(Path::new("")));
        let above = above.map_err(|error| refused(error, missing()))?;
        let file = target.file_name().unwrap_or_default();
        match self.tree.link(&above, file, parent, name) {
            Err(Errno::EXIST) => Err(taken()),
            // link(2): the target is a directory.
            Err(Errno::PERM) => Err(Error::invalid(format!("{}, a directory", missing()))),
            linked => linked.map_err(|error| refused(error.into(), missing())),
        }
    }
}

/// Tells what the archive is to blame for from what the disk is.
pub(crate) fn refused(error: io::Error, what: String) -> Error {
    let fault = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP];
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    match errno.is_some_and(|errno| fault.contains(&errno)) {
        true => Error::new(Kind::Invalid, what).because(error),
        false => Error::new(Kind::Failed, what).because(error),
    }
}

/// Rejects a path that exists. No path has two entries, so links must have made
/// it the path of another entry.
pub(crate) fn new<T>(made: rustix::io::Result<T>) -> Result<T> {
    match made {
        Err(Errno::EXIST) => Err(taken()),
        made => made.context(|| CANNOT_WRITE),
    }
}

fn taken() -> Error {
    Error::invalid("another entry has the same path through a link")
}
