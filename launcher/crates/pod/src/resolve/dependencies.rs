//! The tree of an image's dependencies, flattened into layers. Pure: images
//! are looked up by whoever calls.
//!
//! The root of an app starts empty. Each dependency is unpacked into it in the
//! order of the manifest, the dependencies of each before itself, and last the
//! image; later files replace earlier ones (App Container Image, "Dependency
//! Matching" and "Filesystem Setup"):
//!
//! ```text
//! A needs B and C, both need D:      D B D C A      lowest first
//! ```
//!
//! A path whitelist cuts the image that has it and everything below it on that
//! branch: D of C is cut by the lists of D, C and A, D of B by those of D, B
//! and A. The reference implementation asks only the image's own list and the
//! topmost one, and applies a list to siblings of the image that has it; the
//! specification says neither.
//!
//! # Invariants
//!
//! 1. The walk ends: no image is below itself, and depth and number of layers
//!    are bounded.
//! 2. No layer follows from which an equal or wider one of the same image
//!    comes later: it could add nothing, and overlayfs refuses a directory that
//!    it is given twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use appc::manifest::ImageManifest;
use appc::manifest::image::Dependency;
use appc::types::clean;
use error::{Error, Result};
use image::digest::Digest;

/// How deep dependencies go at most. Images in the wild have three levels.
pub(crate) const MAX_DEPTH: usize = 32;

/// How many images are visited at most, repeated ones counted each time: a
/// chain of diamonds doubles the number with every level.
pub(crate) const MAX_VISITS: usize = 256;

/// Paths from the root, without it: `etc/passwd`.
type Paths = Rc<BTreeSet<String>>;

/// Where the walk asks for images.
pub trait Images {
    /// Finds the image that a dependency means, where it does not say its ID.
    fn resolve(&self, dependency: &Dependency) -> Result<Digest>;

    /// Returns the manifest of an image.
    fn manifest(&self, id: &Digest) -> Result<ImageManifest>;
}

/// An image in its place, and what remains of it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The image.
    pub image: Digest,
    /// What remains of its files.
    pub keep: Keep,
}

/// What remains of a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Its files, links and devices; `None` is everything. Cut by its own list
    /// and those of all images above it on the branch.
    files: Option<Paths>,
    /// Its directories. Those above cut them too, its own list does not: what
    /// it lists are files, and a directory of its own that is left empty stays.
    directories: Option<Paths>,
}

impl Keep {
    /// Tells whether something with this clean path remains. The root does
    /// always. A directory that does not remain is made, with default
    /// attributes, if a file in it does.
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

    /// Tells whether no list cuts.
    pub(crate) fn is_everything(&self) -> bool {
        self.files.is_none() && self.directories.is_none()
    }

    /// Returns both lists: the paths of files and those of directories.
    pub fn lists(&self) -> [Option<&BTreeSet<String>>; 2] {
        [self.files.as_deref(), self.directories.as_deref()]
    }

    /// Tells whether whatever remains of `other` remains here.
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
/// An image depends on itself; there are too many; a dependency is not what
/// was asked for; what `images` says.
pub fn layers(top: &Digest, images: &dyn Images) -> Result<Vec<Layer>> {
    let mut walk = Walk {
        images,
        known: BTreeMap::new(),
        branch: Vec::new(),
        layers: Vec::new(),
    };
    walk.visit(top, &None)?;
    Ok(without_repeats(walk.layers))
}

/// The walk, where it is.
struct Walk<'a> {
    images: &'a dyn Images,
    known: BTreeMap<Digest, Rc<ImageManifest>>,
    /// The images from the top to here.
    branch: Vec<(Digest, String)>,
    layers: Vec<Layer>,
}

impl Walk<'_> {
    /// Adds an image with all that is below it. `above` is what the lists of
    /// the images above leave.
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
        if self.layers.len() > MAX_VISITS {
            return Err(Error::invalid(format!(
                "the image has more than {MAX_VISITS} dependencies, repeated ones counted"
            )));
        }
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
        if self.branch.len() > MAX_DEPTH {
            return Err(Error::invalid(format!(
                "the image has dependencies more than {MAX_DEPTH} levels deep"
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

    /// Finds a dependency's image, and checks that it is what was asked for.
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
                None => "has no such label".into(),
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

/// The image's own list. An empty one says nothing.
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

/// Leaves out what the same image in a later place covers. Whatever the
/// earlier one brings, the later one brings again; whatever it takes away, by
/// putting a file where a directory was, the later one takes away again.
fn without_repeats(layers: Vec<Layer>) -> Vec<Layer> {
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
