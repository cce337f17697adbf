//! A layer of an image: where it is stored, and how it is unpacked.

use std::io::BufRead;
use std::path::Path;

use crate::archive::tar_split::Recorder;
use crate::archive::walk::{self, Entry, Limits, Naming, Place};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::store::images::Store;
use crate::store::rootfs_view::Stack;
use error::Result;
use oci::config::ImageConfig;

/// A layer, by its digests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer {
    /// The digest of its tar.
    pub(crate) diff_id: Digest,
    /// What identifies it together with all layers below.
    pub(crate) chain_id: Digest,
}

/// Returns the layers of an image, lowest first.
pub(crate) fn layers(config: &ImageConfig) -> Vec<Layer> {
    let chain = config.chain_ids(|text| {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(text);
        let mut hash = [0; 32];
        hash.copy_from_slice(hasher.finish().as_bytes());
        hash
    });
    let diff_ids = config.diff_ids.iter().map(Digest::from);
    let chain_ids = chain.iter().map(Digest::from);
    diff_ids
        .zip(chain_ids)
        .map(|(diff_id, chain_id)| Layer { diff_id, chain_id })
        .collect()
}

impl Layer {
    /// Returns the digest that it is stored under, and holds a lease on it; `None`
    /// if it is not stored. What is stored under its own digest can only be used
    /// above others if it does not depend on those below. Of the lowest layer,
    /// both digests are the same.
    pub(crate) fn stored(&self, store: &Store<'_>) -> Result<Option<Digest>> {
        let lowest = self.diff_id == self.chain_id;
        for id in [self.diff_id, self.chain_id] {
            let fits = lowest || id == self.chain_id || !store.depends(&id)?;
            if fits && store.layers.hold(&id)? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Returns the digest to store it under.
    pub(crate) fn place(&self, depends: bool) -> Digest {
        match depends {
            true => self.chain_id,
            false => self.diff_id,
        }
    }
}

/// Opens these layers, lowest first.
pub(crate) fn stack(store: &Store<'_>, layers: &[Digest]) -> Result<Stack> {
    let trees: Vec<_> = layers.iter().rev().map(|id| store.rootfs(id)).collect();
    Stack::open(&trees)
}

/// Reads the tar of a layer.
///
/// # Errors
///
/// It is not valid, or exceeds a limit; errors of `visit`.
pub(crate) fn walk(
    tar: &mut dyn BufRead,
    recorder: Option<&Recorder>,
    visit: &mut dyn FnMut(Entry<'_, '_>) -> Result<()>,
) -> Result<()> {
    let naming = Naming {
        layout: place,
        lenient: true,
    };
    let refuse = &mut |error, _| Err(error);
    walk::walk(tar, &Limits::default(), naming, recorder, visit, refuse).map(|_| ())
}

/// Everything is part of the root, whose own path is empty.
fn place(path: &Path) -> std::result::Result<Place<'_>, String> {
    Ok(Place::Rootfs(path))
}
