//! Makes layers into the root of an app: an overlay where the kernel can stack
//! them as they are, else a tree of its own, rendered once and kept.
//!
//! ```text
//! trees/KEY/rootfs/    the rendered tree; nobody writes to it again
//! trees/KEY/layers     the image IDs that it was made of, one a line, lowest first
//! ```
//!
//! The key is the SHA-512 of all that decides the tree: the images, their
//! order, and what remains of each. So it never has to be checked for being
//! out of date, and two images that need the same tree share it.
//!
//! # Invariants
//!
//! 1. A rendered tree appears by one rename(2), after all of it has reached
//!    the disk; what is interrupted is rubbish in `tmp/`.
//! 2. An overlay shows what rendering would give. That is why a whitelist, or
//!    a directory that an archive only implies, needs rendering: an overlay
//!    hides nothing of a layer, and lets the upper directory's attributes win.

use std::collections::BTreeSet;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, RenameFlags};
use rustix::io::Errno;

use crate::resolve::dependencies::{self, Images, Layer};
use appc::digest::{Hasher, ImageId, hexadecimal};
use appc::manifest::ImageManifest;
use appc::manifest::image::Dependency;
use error::{Context as _, Error, Kind, Result};
use image::store::images::{Image, Store};
use image::store::staging::Staging;
use sys::dirs::Dirs;
use sys::root_fd::lay_over;

/// Most layers of an overlay. Their paths have to fit into one page of mount
/// options (mount(2)): 4096 bytes, and some 190 of them for a path.
pub(crate) const MAX_OVERLAY: usize = 16;

/// First in what is hashed to a key: another way to render needs another number.
const VERSION: &[u8] = b"nosecone tree 1\n";

/// How a root is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// Of the trees of these images as they are, lowest first.
    Overlay(Vec<ImageId>),
    /// Of a tree that has to be rendered.
    Rendered(Rendering),
}

/// A tree to be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rendering {
    /// Lowest first.
    layers: Vec<Layer>,
}

/// What rendering has to know of an image's tree.
pub struct Source {
    /// Where it is.
    pub rootfs: PathBuf,
    /// The directories that its archive has no entry for.
    pub implicit: BTreeSet<PathBuf>,
}

/// Returns the directories that the root of an image is made of, topmost
/// first. All its dependencies are in the store already.
///
/// # Errors
///
/// A dependency is not there, or the tree of them is refused; see
/// [`dependencies::layers`]. What the disk refuses.
pub fn directories(store: &Store<'_>, dirs: &Dirs, id: &ImageId) -> Result<Vec<PathBuf>> {
    let layers = dependencies::layers(id, store)?;
    let rootfs = |id: &ImageId| Ok(stored(store, id)?.rootfs_path());
    match decide(layers, &|id| Ok(!store.implicit(id)?.is_empty()))? {
        Base::Overlay(ids) => ids.iter().rev().map(rootfs).collect(),
        Base::Rendered(rendering) => {
            let source = |id: &ImageId| {
                Ok(Source {
                    rootfs: rootfs(id)?,
                    implicit: store.implicit(id)?,
                })
            };
            loop {
                let path = rendering.ensure(dirs, &source)?;
                // It may have been removed before it could be held.
                if store.hold_tree(&rendering.key())? {
                    return Ok(vec![path]);
                }
            }
        }
    }
}

fn stored(store: &Store<'_>, id: &ImageId) -> Result<Image> {
    let absent = || Error::new(Kind::NotFound, format!("there is no image `{id}`"));
    if !store.hold(id)? {
        return Err(absent());
    }
    store.image(id)?.ok_or_else(absent)
}

impl Images for Store<'_> {
    fn resolve(&self, dependency: &Dependency) -> Result<ImageId> {
        let name = &dependency.image_name;
        self.find(name, &dependency.labels)?.ok_or_else(|| {
            let labels = dependency.labels.iter();
            let labels: String = labels
                .map(|label| format!(",{}={}", label.name, label.value))
                .collect();
            Error::new(
                Kind::NotFound,
                format!("there is no image `{name}{labels}`"),
            )
        })
    }

    fn manifest(&self, id: &ImageId) -> Result<ImageManifest> {
        Ok(stored(self, id)?.manifest().clone())
    }
}

/// Decides how the root of layers is made. `implies` tells whether an image has
/// directories that its archive has no entry for.
pub(crate) fn decide(
    layers: Vec<Layer>,
    implies: &dyn Fn(&ImageId) -> Result<bool>,
) -> Result<Base> {
    let whole = layers.iter().all(|layer| layer.keep.is_everything());
    let mut stacks = whole && layers.len() <= MAX_OVERLAY;
    // Nothing is below the lowest one whose attributes it could hide.
    for layer in layers.iter().skip(1) {
        stacks = stacks && !implies(&layer.image)?;
    }
    Ok(match stacks {
        true => Base::Overlay(layers.iter().map(|layer| layer.image).collect()),
        false => Base::Rendered(Rendering { layers }),
    })
}

impl Rendering {
    /// Returns what names the tree.
    pub(crate) fn key(&self) -> String {
        let mut hasher = Hasher::new();
        hasher.update(VERSION);
        for layer in &self.layers {
            hasher.update(layer.image.as_bytes());
            for list in layer.keep.lists() {
                match list {
                    None => hasher.update(b"all\n"),
                    Some(paths) => hash_paths(&mut hasher, paths),
                }
            }
        }
        hexadecimal(hasher.finish().as_bytes())
    }

    /// Returns where the rendered tree is, or would be.
    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        dir.join("trees").join(self.key()).join("rootfs")
    }

    /// Returns the path of the rendered tree, and sees to it that it is there.
    ///
    /// # Errors
    ///
    /// What `source` says; the disk's refusals. Nothing is left behind.
    pub(crate) fn ensure(
        &self,
        dirs: &Dirs,
        source: &dyn Fn(&ImageId) -> Result<Source>,
    ) -> Result<PathBuf> {
        let what = || "cannot render the files of the image and its dependencies";
        let trees = dirs.trees()?;
        let key = self.key();
        let path = self.path(dirs.path());
        match rustix::fs::accessat(&trees, &key, Access::EXISTS, AtFlags::empty()) {
            Ok(()) => return Ok(path),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno).context(what),
        }
        let staging = Staging::make(dirs)?;
        self.render(&staging, source).context(what)?;
        rustix::fs::syncfs(staging.fd()).context(what)?;
        let (from, name) = (staging.parent(), staging.name());
        match rustix::fs::renameat_with(from, name, &trees, &key, RenameFlags::NOREPLACE) {
            // Somebody else rendered the same tree meanwhile.
            Ok(()) | Err(Errno::EXIST | Errno::NOTEMPTY) => {}
            Err(errno) => return Err(errno).context(what),
        }
        rustix::fs::fsync(&trees).context(what)?;
        Ok(path)
    }

    fn render(&self, staging: &Staging, source: &dyn Fn(&ImageId) -> Result<Source>) -> Result<()> {
        let rootfs = staging.directory("rootfs")?;
        let mut ids = String::new();
        for layer in &self.layers {
            let source = source(&layer.image)?;
            lay_over(&source.rootfs, rootfs.as_fd(), &|path, directory| {
                take(layer, &source.implicit, path, directory)
            })
            .context(|| format!("cannot copy image `{}`", layer.image.short()))?;
            ids.push_str(&format!("{}\n", layer.image));
        }
        staging.write("layers", ids.as_bytes()).map(drop)
    }
}

fn take(layer: &Layer, implicit: &BTreeSet<PathBuf>, path: &Path, directory: bool) -> bool {
    let implied = directory && implicit.contains(path);
    !implied && layer.keep.keeps(path, directory)
}

/// Hashes a list so that no two lists look alike: a path cannot hold a NUL.
fn hash_paths(hasher: &mut Hasher, paths: &BTreeSet<String>) {
    hasher.update(format!("{}\n", paths.len()).as_bytes());
    for path in paths {
        hasher.update(path.as_bytes());
        hasher.update(b"\0");
    }
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
