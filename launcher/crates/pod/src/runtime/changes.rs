//! What an app has changed in its root: the root as it is, compared with the
//! layers of its images.
//!
//! Both are read by `overlay_reader`. In an overlay, a file that was changed is
//! another inode; where the images were copied, all contents are compared.

use std::collections::BTreeMap;
use std::ffi::OsString;

use std::path::{Path, PathBuf};

use crate::plan::compose::made_places;
use crate::runtime::overlay_reader::{Kind, Union, Visible};
use crate::spec::pod::AppSpec;
use error::{Context as _, Result};
use image::digest::{Algorithm, Digest, Hasher};
use image::format::pack::shown;

/// How a path differs from the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is not in the images.
    Added,
    /// It was written, or has another kind, owner, mode, time or attribute. The
    /// time of a directory does not count: it changes with the content.
    Changed,
    /// It is in the images only. What was below it is not listed.
    Deleted,
}

/// Lists what differs, by path; that of the root is `/`. What was only made to
/// mount something there does not count.
///
/// # Errors
///
/// Fails if a file cannot be read.
pub fn changes(app: &AppSpec, root: &Union, images: &Union) -> Result<BTreeMap<PathBuf, Change>> {
    let places = made_places(app);
    let copied = !root.is_overlay();
    let mut before = BTreeMap::new();
    images.walk(&mut |found| {
        let path = Path::new("/").join(&found.path);
        before.insert(path, Seen::of(found, copied)?);
        Ok(())
    })?;
    let mut changes = BTreeMap::new();
    root.walk(&mut |found| {
        let path = Path::new("/").join(&found.path);
        let change = match (before.remove(&path), Seen::of(found, copied)?) {
            (None, is) if is.is_bare && places.contains(&*path) => None,
            (None, _) => Some(Change::Added),
            (Some(was), is) => is.differs(&was, copied).then_some(Change::Changed),
        };
        changes.extend(change.map(|change| (path, change)));
        Ok(())
    })?;
    let is_topmost = |path: &&PathBuf| {
        !path
            .parent()
            .is_some_and(|above| before.contains_key(above))
    };
    let gone = before.keys().filter(is_topmost).cloned();
    changes.extend(gone.map(|path| (path, Change::Deleted)));
    Ok(changes)
}

/// Lists how the files of an image differ from those of an older one, by path; that
/// of the root is `/`.
///
/// # Errors
///
/// Fails if a file cannot be read.
pub fn between(old: &Union, new: &Union) -> Result<BTreeMap<PathBuf, Change>> {
    let mut after = BTreeMap::new();
    new.walk(&mut |found| {
        let path = Path::new("/").join(&found.path);
        after.insert(path, Seen::of(found, false)?);
        Ok(())
    })?;
    let (mut changes, mut alike) = (BTreeMap::new(), BTreeMap::new());
    let mut gone: Vec<PathBuf> = Vec::new();
    old.walk(&mut |found| {
        let path = Path::new("/").join(&found.path);
        let file = match &found.kind {
            Kind::File(file) => Some(
                file.try_clone()
                    .context(|| format!("cannot read {}", shown(&found.path)))?,
            ),
            _ => None,
        };
        let relative = found.path.clone();
        let was = Seen::of(found, false)?;
        let Some(is) = after.remove(&path) else {
            if !path
                .parent()
                .is_some_and(|above| gone.iter().any(|gone| gone == above))
            {
                changes.insert(path.clone(), Change::Deleted);
            }
            gone.push(path);
            return Ok(());
        };
        if is.inode == was.inode {
            return Ok(());
        }
        if is.differs(&was, true) {
            changes.insert(path, Change::Changed);
        } else if let Some(file) = file {
            alike.insert(path, digest(file, &relative)?);
        }
        Ok(())
    })?;
    changes.extend(after.into_keys().map(|path| (path, Change::Added)));
    new.walk(&mut |found| {
        let path = Path::new("/").join(&found.path);
        if let Some(was) = alike.get(&path)
            && let Kind::File(file) = found.kind
            && digest(file, &found.path)? != *was
        {
            changes.insert(path, Change::Changed);
        }
        Ok(())
    })?;
    Ok(changes)
}

/// What is compared of a file.
struct Seen {
    inode: (u64, u64),
    /// Mode, user, group, and the number of a device.
    metadata: (u32, u32, u32, u64),
    attributes: BTreeMap<OsString, Vec<u8>>,
    /// When it was modified; `None` for a directory.
    time: Option<(i64, u64)>,
    target: Option<PathBuf>,
    content: Option<Digest>,
    /// It holds nothing by itself: a directory, a link, an empty file.
    is_bare: bool,
}

impl Seen {
    fn of(found: Visible, with_content: bool) -> Result<Self> {
        let status = found.status;
        let is_directory = matches!(found.kind, Kind::Directory);
        let is_bare = match found.kind {
            Kind::Directory | Kind::Symlink(_) => true,
            Kind::File(_) => status.st_size == 0,
            Kind::Node(_) => false,
        };
        let (target, content) = match found.kind {
            Kind::Symlink(target) => (Some(target), None),
            Kind::File(file) if with_content => (None, Some(digest(file, &found.path)?)),
            _ => (None, None),
        };
        Ok(Self {
            inode: (status.st_dev, status.st_ino),
            metadata: (status.st_mode, status.st_uid, status.st_gid, status.st_rdev),
            attributes: found.attributes,
            time: (!is_directory).then_some((status.st_mtime, status.st_mtime_nsec)),
            target,
            content,
            is_bare,
        })
    }

    fn differs(&self, was: &Self, copied: bool) -> bool {
        if self.inode == was.inode {
            return false;
        }
        // Nothing but writing to it makes an overlay copy a file.
        let was_copied_up = !copied && self.time.is_some();
        was_copied_up
            || self.metadata != was.metadata
            || self.attributes != was.attributes
            || self.time != was.time
            || self.target != was.target
            || self.content != was.content
    }
}

fn digest(mut file: impl std::io::Read, path: &Path) -> Result<Digest> {
    let mut hasher = Hasher::new(Algorithm::Sha512);
    let mut piece = vec![0; 128 << 10];
    loop {
        let read = file.read(&mut piece);
        match read.context(|| format!("cannot read {}", shown(path)))? {
            0 => return Ok(hasher.finish()),
            length => hasher.update(&piece[..length]),
        }
    }
}
