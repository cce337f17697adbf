//! Makes the archive of an image from a tar of a root file system.
//!
//! It is read as strictly as an image, and in one pass, so it can come from a
//! pipe; nothing is unpacked.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use crate::archive::stream::{self, Growth};
use crate::archive::walk::{self, Entry, Limits, Naming, Place};
use crate::format::aci;
use crate::format::pack::{Attributes, EntryKind, Pack, is_kept, shown};
use error::{Error, Result};

/// Adds all entries of a tar, which may be compressed. `note` is told what is
/// left out.
///
/// # Errors
///
/// The tar is not valid; it is an image already; errors of `pack`.
pub fn tar(
    input: impl Read + Send + 'static,
    growth: Growth,
    pack: &mut Pack<'_>,
    note: &mut dyn FnMut(String),
) -> Result<()> {
    let mut top = Top::default();
    stream::through(input, growth, aci::ALGORITHM, |tar| {
        let add = &mut |entry: Entry<'_, '_>| {
            if !top.begun && !entry.path.as_os_str().is_empty() {
                root(pack)?;
            }
            top.see(&entry.path);
            add(entry, pack, note)
        };
        let refuse = &mut |error, _| Err(error);
        let naming = Naming {
            layout: place,
            lenient: false,
        };
        walk::walk(tar, &Limits::default(), naming, None, add, refuse)
    })?;
    match top {
        Top {
            manifest: true,
            rootfs: true,
            other: false,
            ..
        } => Err(Error::invalid("it is an image already").hint("`launcher fetch` stores images")),
        _ => Ok(()),
    }
}

/// What is at the top of an archive.
#[derive(Default)]
struct Top {
    manifest: bool,
    rootfs: bool,
    other: bool,
    /// Whether there was an entry.
    begun: bool,
}

impl Top {
    fn see(&mut self, path: &Path) {
        self.begun = true;
        match path.iter().next().and_then(|name| name.to_str()) {
            Some("manifest") => self.manifest = true,
            Some("rootfs") => self.rootfs = true,
            _ => self.other |= !path.as_os_str().is_empty(),
        }
    }
}

/// Adds the root of a tar that has no entry for it.
fn root(pack: &mut Pack<'_>) -> Result<()> {
    let attributes = Attributes {
        uid: 0,
        gid: 0,
        mode: 0o755,
        mtime: (0, 0),
        extended: BTreeMap::new(),
    };
    pack.entry(Path::new(""), &EntryKind::Directory, &attributes)
}

/// Everything is part of the root, whose own path is empty.
fn place(path: &Path) -> std::result::Result<Place<'_>, String> {
    Ok(Place::Rootfs(path))
}

fn add(mut entry: Entry<'_, '_>, pack: &mut Pack<'_>, note: &mut dyn FnMut(String)) -> Result<()> {
    let path = std::mem::take(&mut entry.path);
    let mut attributes = Attributes {
        uid: entry.uid,
        gid: entry.gid,
        mode: entry.mode,
        mtime: entry.mtime,
        extended: std::mem::take(&mut entry.attributes),
    };
    attributes.extended.retain(|name, _| is_kept(name));
    match entry.kind {
        EntryKind::File => pack.copy(&path, &attributes, &mut entry),
        EntryKind::Character(0, 0) => {
            note(format!("{} is a device 0:0 and was left out", shown(&path)));
            Ok(())
        }
        ref kind => pack.entry(&path, kind, &attributes),
    }
}
