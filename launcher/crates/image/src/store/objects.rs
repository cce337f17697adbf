//! Directories named by digest: those of images, and those of layers. If one
//! exists, it is complete and never written to again.
//!
//! # Invariants
//!
//! 1. An object appears by a single rename(2), after all of it has reached the
//!    disk. An interrupted command leaves only garbage in `tmp/`, which the
//!    next command that creates something there removes.
//! 2. An object is stored only once, even if many processes store it at the
//!    same time.

use std::collections::BTreeMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{OFlags, RenameFlags};
use rustix::io::Errno;

use crate::digest::Digest;
use crate::store::lease;
use crate::store::staging::{self, Staging};
use error::{Context as _, Error, Kind, Result};
use sys::dirs::{Dirs, Part};
use sys::{root_fd, small_file};

/// All images, or all layers.
pub(crate) struct Objects<'a> {
    dirs: &'a Dirs,
    part: Part,
    /// What messages call them.
    noun: &'static str,
    /// Leases; closed when this process exits or is replaced.
    held: Mutex<BTreeMap<Digest, OwnedFd>>,
}

impl<'a> Objects<'a> {
    /// Creates a view of a directory.
    pub(crate) fn new(dirs: &'a Dirs, part: Part, noun: &'static str) -> Self {
        Self {
            dirs,
            part,
            noun,
            held: Mutex::default(),
        }
    }

    /// Returns what messages call an object.
    pub(crate) fn name(&self, id: &Digest) -> String {
        format!("{} `{id}`", self.noun)
    }

    /// Opens their directory, which must exist.
    fn directory(&self) -> Result<OwnedFd> {
        let absent = || Error::new(Kind::NotFound, format!("no {}s found", self.noun));
        self.dirs.find(self.part)?.ok_or_else(absent)
    }

    /// Returns the path of an object, and the open directory that it starts at; or
    /// `None` if there are no directories.
    fn place(&self, id: &Digest) -> Option<(BorrowedFd<'_>, PathBuf)> {
        let root = self.dirs.root().ok()?;
        Some((root, self.part.path().join(id.to_string())))
    }

    /// Returns the digests of all objects, sorted.
    pub(crate) fn ids(&self) -> Result<Vec<Digest>> {
        let what = || format!("cannot list the {}s", self.noun);
        let mut ids = Vec::new();
        let Some(directory) = self.dirs.find(self.part)? else {
            return Ok(ids);
        };
        for entry in rustix::fs::Dir::new(directory).context(what)? {
            let entry = entry.context(what)?;
            let id = entry.file_name().to_str().ok().map(Digest::parse);
            ids.extend(id.and_then(Result::ok));
        }
        ids.sort();
        Ok(ids)
    }

    /// Returns whether an object exists.
    pub(crate) fn contains(&self, id: &Digest) -> Result<bool> {
        Ok(self.last_used(id)?.is_some())
    }

    /// Returns when an object was last used, in seconds since 1970; `None` if
    /// it does not exist.
    pub(crate) fn last_used(&self, id: &Digest) -> Result<Option<u64>> {
        let Some((root, path)) = self.place(id) else {
            return Ok(None);
        };
        lease::last_used(root, &path).context(|| format!("cannot examine {}", self.name(id)))
    }

    /// Reads a file of an object.
    pub(crate) fn read(&self, id: &Digest, file: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        let Some((root, path)) = self.place(id) else {
            return Ok(None);
        };
        small_file::find(root, path.join(file), limit)
            .context(|| format!("cannot read `{file}` of {}", self.name(id)))
    }

    /// Opens a directory in an object, or, with the empty path, the object
    /// itself.
    pub(crate) fn open(&self, id: &Digest, path: &str) -> Result<OwnedFd> {
        let path = Path::new(&id.to_string()).join(path);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        root_fd::open(self.directory()?, &path, flags)
            .context(|| format!("cannot open {}", self.name(id)))
    }

    /// Holds a lease on an object for as long as this process uses the store,
    /// and marks it as used. Returns whether it exists.
    pub(crate) fn hold(&self, id: &Digest) -> Result<bool> {
        if self.held().contains_key(id) {
            return Ok(true);
        }
        let lease = self.lease(id)?;
        let is_there = lease.is_some();
        lease.into_iter().for_each(|lease| self.keep(id, lease));
        Ok(is_there)
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Digest, OwnedFd>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a lease on an object for as long as this process uses the store,
    /// and marks it as used.
    pub(crate) fn keep(&self, id: &Digest, lease: OwnedFd) {
        lease::touch(&lease);
        self.held().insert(*id, lease);
    }

    /// Takes a lease on an object without marking it as used.
    pub(crate) fn lease(&self, id: &Digest) -> Result<Option<OwnedFd>> {
        let Some((root, path)) = self.place(id) else {
            return Ok(None);
        };
        lease::hold(root, &path).context(|| format!("cannot use {}", self.name(id)))
    }

    /// Locks an object exclusively; `None` if it is in use.
    pub(crate) fn claim(&self, id: &Digest) -> Result<Option<OwnedFd>> {
        let Some((root, path)) = self.place(id) else {
            return Ok(None);
        };
        lease::claim(root, &path).context(|| format!("cannot remove {}", self.name(id)))
    }

    /// Ends the grace period of an object.
    pub(crate) fn expire(&self, id: &Digest) -> Result<()> {
        lease::expire(self.directory()?, Path::new(&id.to_string()))
            .context(|| format!("cannot remove {}", self.name(id)))
    }

    /// Moves an object to `tmp/`, by a single rename, to be removed by
    /// `discard`.
    pub(crate) fn hide(&self, id: &Digest) -> Result<()> {
        let from = self.directory()?;
        staging::hide(self.dirs, &from, &id.to_string(), &self.aside(id))
    }

    /// Removes what `hide` moved.
    pub(crate) fn discard(&self, id: &Digest) -> Result<()> {
        staging::discard(self.dirs, &self.aside(id))
    }

    /// An image and its layer can have the same digest, so the name must
    /// differ.
    fn aside(&self, id: &Digest) -> String {
        format!("{}-{id}", self.noun)
    }

    /// Publishes what was staged under a name and has reached the disk, unless
    /// it is already published. Returns a lease, and whether it is new.
    pub(crate) fn publish(
        &self,
        staging: &Staging,
        name: &str,
        id: &Digest,
    ) -> Result<(OwnedFd, bool)> {
        let what = || format!("cannot publish {}", self.name(id));
        let directory = self.dirs.make(self.part)?;
        // Before it is published.
        let staged = staging.lease(name).context(what)?;
        loop {
            let (target, flags) = (id.to_string(), RenameFlags::NOREPLACE);
            match rustix::fs::renameat_with(staging.fd(), name, &directory, target, flags) {
                Err(Errno::EXIST | Errno::NOTEMPTY) => {}
                published => {
                    published
                        .and_then(|()| rustix::fs::fsync(&directory))
                        .context(what)?;
                    return Ok((staged, true));
                }
            }
            // If it was removed meanwhile, try again.
            if let Some(lease) = self.lease(id)? {
                return Ok((lease, false));
            }
        }
    }
}
