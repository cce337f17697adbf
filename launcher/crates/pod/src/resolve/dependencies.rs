//! The tree of an image's dependencies, flattened into layers. Pure: the caller
//! looks images up.
//!
//! The root of an app starts empty. The dependencies are unpacked into it in
//! the order of the manifest, each after its own dependencies, and the image
//! last; later files replace earlier ones (App Container Image, "Dependency
//! Matching" and "Filesystem Setup"):
//!
//! ```text
//! A needs B and C, both need D:      D B D C A      lowest first
//! ```
//!
//! A path whitelist filters the image that has it and everything below that
//! image on the same branch: the D below C is filtered by the lists of D, C and
//! A, the D below B by those of D, B and A. The reference implementation uses
//! only the image's own list and the topmost one, and applies a list to
//! siblings of the image that has it; the specification requires neither.
//!
//! # Invariants
//!
//! 1. The walk ends: no image depends on itself, and the number of visits is
//!    bounded, and so is the depth.
//! 2. No layer is followed by another layer of the same image that keeps the
//!    same files or more: it could add nothing, and overlayfs refuses to mount
//!    a directory twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use appc::manifest::ImageManifest;
use appc::manifest::image::Dependency;
use appc::types::clean;
use error::{Error, Result};
use image::digest::Digest;

/// The maximum number of visits, repeated ones included: in a chain of
/// diamonds, every level doubles the number. Images that were made from those of
/// Docker, layer by layer, are chains of up to 127.
pub(crate) const MAX_VISITS: usize = 256;

/// Paths relative to the root: `etc/passwd`.
type Paths = Rc<BTreeSet<String>>;

/// How the walk looks images up.
pub trait Images {
    /// Finds the image for a dependency that has no image ID.
    fn resolve(&self, dependency: &Dependency) -> Result<Digest>;

    /// Returns the manifest of an image.
    fn manifest(&self, id: &Digest) -> Result<ImageManifest>;
}

/// An image, or a layer of one, in one place of the tree, and what is kept of it
/// there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The image.
    pub image: Digest,
    /// Which of its files are kept.
    pub keep: Keep,
}

/// What is kept of a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// The files, links and devices to keep; `None` is everything. Filtered by
    /// the image's own list and those of all images above it on the branch.
    files: Option<Paths>,
    /// The directories to keep. Filtered by the lists of the images above, but
    /// not by its own: that lists files, and a directory that is left empty
    /// stays.
    directories: Option<Paths>,
}

impl Keep {
    /// Returns whether something with this normalized path is kept. The root
    /// always is. If a directory is not kept but a file in it is, the directory
    /// is made with default attributes.
    pub fn keeps(&self, path: impl AsRef<Path>, directory: bool) -> bool {
        let path = path.as_ref();
        let list = match directory {
            true => &self.directories,
            false => &self.files,
        };
        // A path that is not UTF-8 is on no list.
        let listed = |list: &Paths| path.to_str().is_some_and(|path| list.contains(path));
        path.as_os_str().is_empty() || list.as_ref().is_none_or(listed)
    }

    /// Returns whether no list filters anything out.
    pub(crate) fn is_everything(&self) -> bool {
        self.files.is_none() && self.directories.is_none()
    }

    /// Returns both lists: the paths of files and those of directories.
    pub fn lists(&self) -> [Option<&BTreeSet<String>>; 2] {
        [self.files.as_deref(), self.directories.as_deref()]
    }

    /// Returns whether everything that `other` keeps is kept here, too.
    fn covers(&self, other: &Self) -> bool {
        covers(&self.files, &other.files) && covers(&self.directories, &other.directories)
    }
}

fn covers(wide: &Option<Paths>, narrow: &Option<Paths>) -> bool {
    match (wide, narrow) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wide), Some(narrow)) => narrow.is_subset(wide),
    }
}

/// Returns the layers of an image, lowest first; the last one is the image.
///
/// # Errors
///
/// Fails if an image depends on itself, there are too many dependencies, a
/// dependency does not match what was asked for, or `images` fails.
pub fn layers(top: &Digest, images: &dyn Images) -> Result<Vec<Layer>> {
    let mut walk = Walk {
        images,
        known: BTreeMap::new(),
        branch: Vec::new(),
        visits: 0,
        layers: Vec::new(),
    };
    walk.visit(top, &None)?;
    Ok(without_repeats(walk.layers))
}

/// The state of the walk.
struct Walk<'a> {
    images: &'a dyn Images,
    known: BTreeMap<Digest, Rc<ImageManifest>>,
    /// The images from the top down to the current one.
    branch: Vec<(Digest, String)>,
    visits: usize,
    layers: Vec<Layer>,
}

impl Walk<'_> {
    /// Adds an image and everything below it. `above` is what the lists of the
    /// images above keep.
    fn visit(&mut self, id: &Digest, above: &Option<Paths>) -> Result<()> {
        let manifest = self.manifest(id)?;
        let name = manifest.name.to_string();
        self.enter(id, name)?;
        let own = whitelist(&manifest);
        let files = both(above, &own);
        for dependency in &manifest.dependencies {
            let below = self.find(dependency, &manifest)?;
            self.visit(&below, &files)?;
        }
        self.branch.pop();
        let directories = above.clone();
        self.layers.push(Layer {
            image: *id,
            keep: Keep { files, directories },
        });
        Ok(())
    }

    fn enter(&mut self, id: &Digest, name: String) -> Result<()> {
        let again = self.branch.iter().position(|(above, _)| above == id);
        self.branch.push((*id, name));
        if let Some(start) = again {
            let names: Vec<String> = self.branch[start..]
                .iter()
                .map(|(_, name)| format!("`{name}`"))
                .collect();
            return Err(Error::invalid(format!(
                "an image depends on itself: {}",
                names.join(" needs ")
            )));
        }
        self.visits += 1;
        if self.visits > MAX_VISITS {
            return Err(Error::invalid(format!(
                "the image has more than {MAX_VISITS} dependencies, including repeated ones"
            )));
        }
        Ok(())
    }

    fn manifest(&mut self, id: &Digest) -> Result<Rc<ImageManifest>> {
        if let Some(manifest) = self.known.get(id) {
            return Ok(Rc::clone(manifest));
        }
        let manifest = Rc::new(self.images.manifest(id)?);
        self.known.insert(*id, Rc::clone(&manifest));
        Ok(manifest)
    }

    /// Finds the image of a dependency, and checks that it matches.
    fn find(&mut self, dependency: &Dependency, by: &ImageManifest) -> Result<Digest> {
        let id = match dependency.image_id {
            Some(id) => id.into(),
            None => self.images.resolve(dependency)?,
        };
        let found = self.manifest(&id)?;
        let asked = format!("image `{}` needs `{}`", by.name, dependency.image_name);
        if found.name != dependency.image_name {
            let (name, short) = (&found.name, id.short());
            return Err(Error::invalid(format!(
                "{asked}, but image `{short}` is `{name}`"
            )));
        }
        if let Some(label) = found.labels.lacks(&dependency.labels) {
            let name = &label.name;
            let has = match found.labels.get(name.as_str()) {
                Some(value) => format!("has `{value}`"),
                None => "does not have that label".into(),
            };
            return Err(Error::invalid(format!(
                "{asked} with label `{name}` `{}`, but image `{}` {has}",
                label.value,
                id.short()
            )));
        }
        Ok(id)
    }
}

/// Returns the image's own list. An empty one means none.
fn whitelist(manifest: &ImageManifest) -> Option<Paths> {
    let paths = &manifest.path_whitelist;
    (!paths.is_empty()).then(|| Rc::new(paths.iter().map(|path| clean(path)).collect()))
}

fn both(above: &Option<Paths>, own: &Option<Paths>) -> Option<Paths> {
    match (above, own) {
        (Some(above), Some(own)) => Some(Rc::new(above.intersection(own).cloned().collect())),
        (list, None) | (None, list) => list.clone(),
    }
}

/// Removes layers that a later layer of the same image covers. Whatever the
/// earlier one adds, the later one adds again; whatever it removes, by putting
/// a file where a directory was, the later one removes again.
pub(crate) fn without_repeats(layers: Vec<Layer>) -> Vec<Layer> {
    let mut kept: Vec<Layer> = Vec::new();
    for layer in layers.into_iter().rev() {
        let covered = kept
            .iter()
            .any(|later| later.image == layer.image && later.keep.covers(&layer.keep));
        if !covered {
            kept.push(layer);
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
#[path = "dependencies_tests.rs"]
mod tests;
