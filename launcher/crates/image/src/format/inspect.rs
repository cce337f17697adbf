//! Reads an archive without unpacking it: its manifest, and what a plan needs
//! to know about its files. Changes nothing and needs no privileges. What is
//! wrong with it is found by the code that unpacks it on disk.

use std::collections::{BTreeMap, btree_map};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::archive::extract::{Extract, Tree, new};
use crate::archive::stream::{self, Growth};
use crate::archive::walk::{Entry, EntryKind, Limits, TakeFault};
use crate::digest::Digest;
use crate::format::aci;
use crate::store::rootfs::{Rootfs, Status};
use appc::manifest::{Checked, ImageManifest};
use error::{Context as _, Error, Result};
use sys::links::{self, Step};

/// The contents of an archive.
pub struct Survey {
    /// The hash of its tar.
    pub id: Digest,
    /// Its manifest, and warnings.
    pub manifest: Checked<ImageManifest>,
    /// Its files.
    pub index: Index,
}

/// Reads a whole archive; messages call it `name`.
///
/// # Errors
///
/// Everything that would prevent it from being stored, except errors of the
/// disk.
pub fn survey(file: File, growth: Growth, name: &str) -> Result<Survey> {
    first(file, growth).context(|| format!("image `{name}` is not valid"))
}

/// Reads a whole archive, and returns only its manifest. The caller names the
/// file in messages.
///
/// # Errors
///
/// As for [`survey`].
pub fn manifest(file: File, growth: Growth) -> Result<ImageManifest> {
    Ok(first(file, growth)?.manifest.value)
}

/// A reason why an archive is not stored.
pub struct Fault {
    /// What is wrong.
    pub error: Error,
    /// Where the entry starts that it is about: an offset in the uncompressed
    /// tar.
    pub at: Option<u64>,
}

/// Most faults of an archive that are told.
const FAULTS: usize = 50;

/// Finds what would prevent an archive from being stored, except errors of the
/// disk, and goes on after each fault as long as the next entry can be found.
/// Returns the warnings about its manifest.
///
/// # Errors
///
/// The faults, at least one.
pub fn check(file: File, growth: Growth) -> std::result::Result<Vec<String>, Vec<Fault>> {
    let mut faults = Vec::new();
    let read = read(file, growth, &mut |error, at| {
        if faults.len() == FAULTS {
            return Err(Error::invalid("more faults are not shown"));
        }
        faults.push(Fault { error, at });
        Ok(())
    });
    match read {
        Ok((Some(manifest), ..)) if faults.is_empty() => return Ok(manifest.warnings),
        Ok(_) => {}
        Err(error) => faults.push(Fault { error, at: None }),
    }
    Err(faults)
}

/// Reads an archive up to its first fault.
fn first(file: File, growth: Growth) -> Result<Survey> {
    let (manifest, index, id) = read(file, growth, &mut |error, _| Err(error))?;
    let manifest = manifest.ok_or_else(|| Error::invalid("it has no `manifest`"))?;
    Ok(Survey {
        id,
        manifest,
        index,
    })
}

/// Unpacks an archive in memory. Without a manifest, there was a fault.
fn read(
    file: File,
    growth: Growth,
    fault: TakeFault<'_>,
) -> Result<(Option<Checked<ImageManifest>>, Index, Digest)> {
    let mut extract = Extract::new(Index::default());
    let (manifest, id) = stream::through(file, growth, aci::ALGORITHM, |tar| {
        let visit = &mut |entry: Entry<'_, '_>| extract.entry(entry);
        let text = aci::walk_on(tar, &Limits::default(), None, visit, fault)?;
        let manifest = text.map(|text| ImageManifest::check(&text)).transpose();
        manifest.or_else(|faults| {
            let mut faults = faults.into_iter();
            faults
                .try_for_each(|error| fault(error, None))
                .map(|()| None)
        })
    })?;
    let (mut index, implicit) = extract.done();
    index.implies = !implicit.is_empty();
    Ok((manifest, index, id))
}

/// The tree of an archive in memory, without the contents of its files: only the
/// tables of users, groups and servers are kept.
#[derive(Default)]
pub struct Index {
    nodes: BTreeMap<PathBuf, Node>,
    implies: bool,
}

#[derive(Clone)]
struct Node {
    status: Status,
    kind: EntryKind,
    content: Option<Vec<u8>>,
}

/// The files that users, groups and servers of names are looked up in.
const TABLES: [&str; 3] = ["passwd", "group", "resolv.conf"];
const TABLE_LIMIT: u64 = 4 << 20;

impl Index {
    /// Returns whether some directory has no entry of its own.
    pub fn implies(&self) -> bool {
        self.implies
    }

    /// Adds a directory of which nothing else is known yet.
    fn add_directory(&mut self, path: PathBuf) -> rustix::io::Result<()> {
        let status = Status {
            directory: true,
            uid: 0,
            gid: 0,
            mode: 0o755,
        };
        let node = Node {
            status,
            kind: EntryKind::Directory,
            content: None,
        };
        self.add(path, node)
    }

    fn add(&mut self, path: PathBuf, node: Node) -> rustix::io::Result<()> {
        match self.nodes.entry(path) {
            btree_map::Entry::Occupied(_) => Err(Errno::EXIST),
            btree_map::Entry::Vacant(place) => {
                place.insert(node);
                Ok(())
            }
        }
    }

    /// Resolves a path inside the tree, as the kernel would.
    fn find(&self, path: &str) -> Option<&Node> {
        self.nodes.get(&self.follow(OsStr::new(path)).ok()?)
    }

    /// Resolves a path inside the tree, as the kernel would, to one without
    /// links.
    fn follow(&self, path: &OsStr) -> rustix::io::Result<PathBuf> {
        links::follow(path, Errno::LOOP, |way: &[PathBuf], name, last| {
            let mut here = way.last().cloned().unwrap_or_default();
            if name == "." {
                return Ok(Step::To(here));
            }
            here.push(name);
            match &self.nodes.get(&here).ok_or(Errno::NOENT)?.kind {
                EntryKind::Symlink(target) => Ok(Step::Link(target.into())),
                EntryKind::Directory => Ok(Step::To(here)),
                _ if last => Ok(Step::To(here)),
                _ => Err(Errno::NOTDIR),
            }
        })
    }
}

impl Tree for Index {
    type Directory = PathBuf;

    fn open(&self, path: &Path) -> io::Result<PathBuf> {
        let path = self.follow(path.as_os_str())?;
        let kind = self.nodes.get(&path).map(|node| &node.kind);
        match kind.is_none_or(|kind| *kind == EntryKind::Directory) {
            // The root may have no entry yet.
            true => Ok(path),
            false => Err(Errno::NOTDIR.into()),
        }
    }

    fn directory(&mut self, parent: &PathBuf, name: &OsStr) -> rustix::io::Result<()> {
        self.add_directory(parent.join(name))
    }

    fn imply(&mut self, parent: &PathBuf, name: &OsStr) -> rustix::io::Result<()> {
        self.add_directory(parent.join(name))
    }

    fn describe(&mut self, entry: Entry<'_, '_>) {
        let path = self.follow(entry.path.as_os_str());
        let node = Node {
            status: status(&entry),
            kind: entry.kind,
            content: None,
        };
        if let Ok(path) = path {
            self.nodes.insert(path, node);
        }
    }

    fn link(
        &mut self,
        above: &PathBuf,
        file: &OsStr,
        parent: &PathBuf,
        name: &OsStr,
    ) -> rustix::io::Result<()> {
        let node = self.nodes.get(&above.join(file)).ok_or(Errno::NOENT)?;
        let (node, path) = (node.clone(), parent.join(name));
        match self.nodes.contains_key(&path) {
            false if node.kind == EntryKind::Directory => Err(Errno::PERM),
            _ => self.add(path, node),
        }
    }

    fn make(&mut self, parent: &PathBuf, mut entry: Entry<'_, '_>) -> Result<()> {
        let path = parent.join(entry.path.file_name().unwrap_or_default());
        if self.nodes.contains_key(&path) {
            return new(Err(Errno::EXIST));
        }
        let is_table = TABLES.iter().any(|table| path.ends_with(table));
        let mut content = None;
        if is_table && entry.kind == EntryKind::File && entry.size <= TABLE_LIMIT {
            content = Some(entry.whole_content()?);
        }
        // A fault in it is this entry's.
        while entry.content()?.is_some() {}
        let node = Node {
            status: status(&entry),
            kind: entry.kind,
            content,
        };
        new(self.add(path, node))
    }
}

fn status(entry: &Entry<'_, '_>) -> Status {
    Status {
        directory: entry.kind == EntryKind::Directory,
        uid: entry.uid,
        gid: entry.gid,
        mode: entry.mode,
    }
}

impl Rootfs for Index {
    fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        let content = self.find(path).and_then(|node| node.content.clone());
        Ok(content.map(|mut content| {
            content.truncate(limit);
            content
        }))
    }

    fn status(&self, path: &str) -> Result<Option<Status>> {
        Ok(self.find(path).map(|node| node.status))
    }

    fn has(&self, path: &str) -> Result<bool> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let above = self.follow(OsStr::new(above));
        Ok(above.is_ok_and(|above| self.nodes.contains_key(&above.join(name))))
    }

    fn is_empty(&self, path: &str) -> Result<bool> {
        let Ok(directory) = self.follow(OsStr::new(path)) else {
            return Ok(true);
        };
        Ok(!self
            .nodes
            .keys()
            .any(|path| path.parent() == Some(&directory)))
    }
}
