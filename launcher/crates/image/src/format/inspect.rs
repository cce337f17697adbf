//! Reads an archive without unpacking it: its manifest, and what a plan needs
//! to know about its files. Changes nothing and needs no privileges.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::path::PathBuf;

use crate::archive::stream;
use crate::archive::walk::{Entry, EntryKind, Limits};
use crate::digest::Digest;
use crate::format::aci;
use crate::store::rootfs::{Rootfs, Status};
use appc::manifest::{Checked, ImageManifest};
use error::{Context as _, Result};
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
pub fn survey(file: File, name: &str) -> Result<Survey> {
    read(file).context(|| format!("image `{name}` is not valid"))
}

/// Reads a whole archive, and returns only its manifest. The caller names the
/// file in messages.
///
/// # Errors
///
/// As for [`survey`].
pub fn check(file: File) -> Result<Checked<ImageManifest>> {
    Ok(read(file)?.manifest)
}

fn read(file: File) -> Result<Survey> {
    let mut index = Index::default();
    let (manifest, id) = stream::through(file, aci::ALGORITHM, |tar| {
        let manifest = aci::walk(tar, &Limits::default(), None, &mut |entry| index.add(entry))?;
        ImageManifest::parse(&manifest)
    })?;
    Ok(Survey {
        id,
        manifest,
        index,
    })
}

/// The paths of an archive. Only the contents of the tables of users and groups
/// are kept.
#[derive(Default)]
pub struct Index {
    nodes: BTreeMap<PathBuf, Node>,
}

struct Node {
    status: Status,
    kind: EntryKind,
    content: Option<Vec<u8>>,
}

/// The files that users and groups are looked up in.
const TABLES: [&str; 2] = ["passwd", "group"];
const TABLE_LIMIT: u64 = 4 << 20;

impl Index {
    fn add(&mut self, mut entry: Entry<'_, '_>) -> Result<()> {
        let is_table = TABLES.iter().any(|table| entry.path.ends_with(table));
        let mut content = None;
        if is_table && entry.kind == EntryKind::File && entry.size <= TABLE_LIMIT {
            content = Some(entry.whole_content()?);
        }
        let status = Status {
            directory: entry.kind == EntryKind::Directory,
            uid: entry.uid,
            gid: entry.gid,
            mode: entry.mode,
        };
        let node = Node {
            status,
            kind: entry.kind,
            content,
        };
        self.nodes.insert(entry.path, node);
        Ok(())
    }

    /// Returns whether some directory has no entry of its own.
    pub fn implies(&self) -> bool {
        let parents = self.nodes.keys().filter_map(|path| path.parent());
        parents
            .filter(|parent| !parent.as_os_str().is_empty())
            .any(|parent| !self.nodes.contains_key(parent))
    }

    /// Resolves a path inside the tree, as the kernel would.
    fn find(&self, path: &str) -> Option<&Node> {
        self.nodes.get(&self.follow(path)?)
    }

    /// Resolves a path inside the tree, as the kernel would, to one without
    /// links.
    fn follow(&self, path: &str) -> Option<PathBuf> {
        let found = links::follow(OsStr::new(path), (), |way: &[PathBuf], name, last| {
            let mut here = way.last().cloned().unwrap_or_default();
            if name == "." {
                return Ok(Step::To(here));
            }
            here.push(name);
            match &self.nodes.get(&here).ok_or(())?.kind {
                EntryKind::Symlink(target) => Ok(Step::Link(target.into())),
                EntryKind::HardLink(target) if last => Ok(Step::To(target.clone())),
                EntryKind::Directory => Ok(Step::To(here)),
                _ if last => Ok(Step::To(here)),
                _ => Err(()),
            }
        });
        found.ok()
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
        let above = self.follow(above);
        Ok(above.is_some_and(|above| self.nodes.contains_key(&above.join(name))))
    }

    fn is_empty(&self, path: &str) -> Result<bool> {
        let Some(directory) = self.follow(path) else {
            return Ok(true);
        };
        Ok(!self
            .nodes
            .keys()
            .any(|path| path.parent() == Some(&directory)))
    }
}
