//! Makes the root of an app from the layers of its image and its dependencies:
//! an overlay where the kernel can stack them as they are, otherwise a layer of
//! its own, which is rendered once and kept.
//!
//! The digest of a rendered layer is the SHA-512 of everything that determines
//! its content: the images, their order, and what is kept of each. So it never
//! gets out of date, and two images with the same content share it.
//!
//! # Invariants
//!
//! 1. An overlay shows what rendering would produce. So a whitelist, or a
//!    directory that an archive only implies, needs rendering: an overlay
//!    cannot hide part of a layer, and uses the attributes of the uppermost
//!    directory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::plan::overlay;
use crate::resolve::dependencies::{self, Images, Keep, Layer, without_repeats};
use appc::manifest::ImageManifest;
use appc::manifest::image::Dependency;
use error::{Context as _, Error, Kind, Result};
use image::digest::{Algorithm, Digest, Hasher};
use image::format::differences::Differences;
use image::store::images::Store;
use image::store::rootfs_view::Stack;
use image::store::staging::Folder;
use sys::root_fd::lay_over;

/// The start of what is hashed. A change in how layers are rendered requires a
/// new number.
const VERSION: &[u8] = b"nosecone layer 1\n";

/// How a root is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// An overlay of these layers as they are, lowest first.
    Overlay(Vec<Digest>),
    /// A layer that has to be rendered.
    Rendered(Rendering),
}

/// A layer to be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendering {
    /// Lowest first.
    layers: Vec<Layer>,
}

/// What rendering needs to know of an image.
pub struct Source {
    /// The directory of its files.
    pub rootfs: PathBuf,
    /// The directories that its archive has no entry for.
    pub implicit: BTreeSet<PathBuf>,
}

/// Returns the directories that make up the root of an image, topmost first.
/// All its dependencies must be in the store. `tell` is called if more layers than
/// an overlay takes have to be merged first.
///
/// # Errors
///
/// Fails if a dependency is not in the store, the dependencies are invalid (see
/// [`dependencies::layers`]), or the disk refuses.
pub fn directories(store: &Store<'_>, id: &Digest, tell: &dyn Fn(String)) -> Result<Vec<PathBuf>> {
    let base = match layers_of_oci(store, id)? {
        Some(layers) => {
            if !store.hold(id)? {
                let what = format!("image `{}` lacks a layer", id.short());
                return Err(Error::invalid(what).hint("remove it, and store it again"));
            }
            decide(layers, &|_| Ok(false))?
        }
        None => {
            let layers = dependencies::layers(id, store)?;
            decide(layers, &|id| Ok(!store.implicit(id)?.is_empty()))?
        }
    };
    match base {
        Base::Overlay(ids) => Ok(ids.iter().rev().map(|id| store.rootfs(id)).collect()),
        Base::Rendered(rendering) => {
            let layers = rendering.layers.len();
            let source = |below: &Digest| {
                // The first that is asked for.
                if layers > overlay::MOST && rendering.layers[0].image == *below {
                    let (image, most) = (id.short(), overlay::MOST);
                    tell(format!(
                        "the {layers} layers of image `{image}` are merged: an overlay takes at most {most}"
                    ));
                }
                source(store, below)
            };
            Ok(vec![rendering.ensure(store, &source)?])
        }
    }
}

/// Returns the layers of an OCI image, lowest first; `None` if it is another image.
/// Their directories have all attributes that they need, but for the root.
pub(crate) fn layers_of_oci(store: &Store<'_>, id: &Digest) -> Result<Option<Vec<Layer>>> {
    let Some(image) = store.oci(id)? else {
        return Ok(None);
    };
    let layers = image.layers.into_iter().map(|image| Layer {
        image,
        keep: Keep::default(),
    });
    Ok(Some(without_repeats(layers.collect())))
}

/// Returns which of the layers of an OCI image, lowest first, has an entry for the
/// root, whose attributes are those of the image: counted from the topmost.
pub(crate) fn top_of_oci(store: &Store<'_>, layers: &[Layer]) -> Result<usize> {
    let mut top = 0;
    for (number, layer) in layers.iter().rev().enumerate() {
        top = number;
        if !store.implicit(&layer.image)?.contains(Path::new(".")) {
            return Ok(top);
        }
    }
    Ok(top)
}

/// Opens the files of an image in these directories, topmost first.
///
/// # Errors
///
/// Errors of the disk.
pub fn open(store: &Store<'_>, id: &Digest, directories: &[PathBuf]) -> Result<Stack> {
    let stack = Stack::open(directories)?;
    match layers_of_oci(store, id)? {
        Some(layers) if layers.len() == directories.len() => {
            Ok(stack.with_top(top_of_oci(store, &layers)?))
        }
        _ => Ok(stack),
    }
}

fn source(store: &Store<'_>, id: &Digest) -> Result<Source> {
    Ok(Source {
        rootfs: store.rootfs(id),
        implicit: store.implicit(id)?,
    })
}

/// Returns how the root of an image is rendered; `None` if it is an overlay of
/// layers as they are. Nothing counts as used.
///
/// # Errors
///
/// As for [`directories`].
pub fn rendering(store: &Store<'_>, id: &Digest) -> Result<Option<Rendering>> {
    let base = match layers_of_oci(store, id)? {
        Some(layers) => decide(layers, &|_| Ok(false))?,
        None => {
            let layers = dependencies::layers(id, &Seen(store))?;
            decide(layers, &|id| Ok(!store.implicit(id)?.is_empty()))?
        }
    };
    match base {
        Base::Overlay(_) => Ok(None),
        Base::Rendered(rendering) => Ok(Some(rendering)),
    }
}

/// The images of a store, to look at.
struct Seen<'a>(&'a Store<'a>);

impl Images for Seen<'_> {
    fn resolve(&self, dependency: &Dependency) -> Result<Digest> {
        self.0.resolve(dependency)
    }

    fn manifest(&self, id: &Digest) -> Result<ImageManifest> {
        let image = self.0.aci(id)?.ok_or_else(|| absent(id))?;
        Ok(image.manifest().clone())
    }
}

fn absent(id: &Digest) -> Error {
    Error::new(Kind::NotFound, format!("image `{id}` not found"))
}

impl Images for Store<'_> {
    fn resolve(&self, dependency: &Dependency) -> Result<Digest> {
        let name = &dependency.image_name;
        self.find(name, &dependency.labels)?.ok_or_else(|| {
            let labels = dependency.labels.iter();
            let labels: String = labels
                .map(|label| format!(",{}={}", label.name, label.value))
                .collect();
            Error::new(Kind::NotFound, format!("image `{name}{labels}` not found"))
        })
    }

    fn manifest(&self, id: &Digest) -> Result<ImageManifest> {
        if !self.hold(id)? {
            return Err(absent(id));
        }
        Seen(self).manifest(id)
    }
}

/// Decides how the root is made from layers. `implies` returns whether an image
/// has directories that its archive has no entry for.
pub(crate) fn decide(
    layers: Vec<Layer>,
    implies: &dyn Fn(&Digest) -> Result<bool>,
) -> Result<Base> {
    let whole = layers.iter().all(|layer| layer.keep.is_everything());
    let mut stacks = whole && layers.len() <= overlay::MOST;
    // The lowest layer has none below it whose attributes it could hide.
    for layer in layers.iter().skip(1) {
        stacks = stacks && !implies(&layer.image)?;
    }
    Ok(match stacks {
        true => Base::Overlay(layers.iter().map(|layer| layer.image).collect()),
        false => Base::Rendered(Rendering { layers }),
    })
}

impl Rendering {
    /// Returns the images that it is rendered from, lowest first.
    pub fn images(&self) -> impl Iterator<Item = &Digest> {
        self.layers.iter().map(|layer| &layer.image)
    }

    /// Compares the stored layer with what its images give now; `None` if it is
    /// not stored.
    ///
    /// # Errors
    ///
    /// Errors of the disk.
    pub fn verify(&self, store: &Store<'_>) -> Result<Option<Differences>> {
        store.verify_rendered(&self.id(), &|rootfs| {
            self.render(rootfs, &|id| source(store, id))
        })
    }

    /// Returns the digest of the layer.
    pub fn id(&self) -> Digest {
        let mut hasher = Hasher::new(Algorithm::Sha512);
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
        hasher.finish()
    }

    /// Renders the layer, unless it exists, and returns its directory.
    ///
    /// # Errors
    ///
    /// Fails if `source` does or the disk refuses. Nothing is left behind.
    pub(crate) fn ensure(
        &self,
        store: &Store<'_>,
        source: &dyn Fn(&Digest) -> Result<Source>,
    ) -> Result<PathBuf> {
        let ids: Vec<Digest> = self.layers.iter().map(|layer| layer.image).collect();
        store
            .rendered(&self.id(), &ids, &|rootfs| self.render(rootfs, source))
            .context(|| "cannot render the files of the image and its dependencies")
    }

    fn render(&self, rootfs: &Folder, source: &dyn Fn(&Digest) -> Result<Source>) -> Result<()> {
        for layer in &self.layers {
            let source = source(&layer.image)?;
            lay_over(&source.rootfs, rootfs.fd(), &|path, directory| {
                take(layer, &source.implicit, path, directory)
            })
            .context(|| format!("cannot copy image `{}`", layer.image.short()))?;
        }
        Ok(())
    }
}

fn take(layer: &Layer, implicit: &BTreeSet<PathBuf>, path: &Path, directory: bool) -> bool {
    let path_there = match path.as_os_str().is_empty() {
        true => Path::new("."),
        false => path,
    };
    let implied = directory && implicit.contains(path_there);
    !implied && layer.keep.keeps(path, directory)
}

/// Hashes a list so that no two lists have the same input: a path cannot
/// contain a NUL.
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
