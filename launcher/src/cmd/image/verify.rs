//! `launcher image verify`: compares images with their IDs, and what was
//! rendered from them with what they give.
//!
//! A rendered layer that differs is removed, unless it is in use: it can be made
//! again at any time, an image cannot.

use std::collections::{BTreeMap, BTreeSet};

use crate::cmd::image::gc::at_once;
use crate::cmd::results::Results;
use appc::json::Object;
use error::{Error, Result};
use image::digest::Digest;
use image::store::images::Store;
use pod::runtime::render::{Rendering, rendering};
use pod::state::gc_roots;
use sys::dirs::Dirs;

/// A verification of several images.
pub(super) struct Verify<'a> {
    dirs: &'a Dirs,
    store: &'a Store<'a>,
    /// The same, where every image is trusted to have its name: a layer may have
    /// been rendered on that condition.
    trusting: Store<'a>,
    /// What is wrong with the images that were compared.
    images: BTreeMap<Digest, Option<String>>,
    /// The rendered layers that were compared.
    layers: BTreeSet<Digest>,
    bad_images: u32,
    bad_layers: u32,
    /// Whether the layers of images that have changed are removed.
    remove: bool,
}

impl<'a> Verify<'a> {
    pub(super) fn new(dirs: &'a Dirs, store: &'a Store<'a>, remove: bool) -> Result<Self> {
        let trusting = Store::open(dirs)?;
        trusting.waive();
        Ok(Self {
            dirs,
            store,
            trusting,
            images: BTreeMap::new(),
            layers: BTreeSet::new(),
            bad_images: 0,
            bad_layers: 0,
            remove,
        })
    }

    /// Compares an image, and the layers that were rendered for it.
    pub(super) fn image(&mut self, id: &Digest, results: &mut Results<'_>) -> Result<()> {
        let fault = self.fault(id);
        let line = match &fault {
            None => format!("{id} OK"),
            Some(fault) => format!("{id} NOT OK: {fault}"),
        };
        self.bad_images += u32::from(fault.is_some());
        let object = Object::new()
            .with("id", id.to_string())
            .with("valid", fault.is_none())
            .with_some("reason", fault);
        results.add(&line, object)?;
        if self.remove && self.store.is_oci(id)? {
            self.remove_changed(id, results)?;
        }
        // Without its dependencies, an image cannot be run, and nothing of it is
        // used.
        let found = [self.store, &self.trusting].map(|store| rendering(store, id));
        for rendering in found.into_iter().flat_map(Result::ok).flatten() {
            if self.layers.insert(rendering.id()) {
                self.layer(id, &rendering, results)?;
            }
        }
        Ok(())
    }

    /// Removes those layers and blobs of an OCI image that have changed.
    fn remove_changed(&self, id: &Digest, results: &mut Results<'_>) -> Result<()> {
        let needs = || gc_roots::read(self.dirs);
        let collect = at_once(self.dirs, self.store, &needs);
        for part in self.store.changed_parts(id)? {
            let removed = collect.remove_changed(&part)?;
            let then = match removed {
                true => "removed, and fetched again with the image",
                false => "kept, because it is in use",
            };
            let object = Object::new()
                .with("id", part.to_string())
                .with("valid", false)
                .with("removed", removed);
            results.add(&format!("{part} NOT OK: {then}"), object)?;
        }
        Ok(())
    }

    /// Returns what is wrong with an image.
    fn fault(&mut self, id: &Digest) -> Option<String> {
        let compare = || match self.store.verify(id) {
            Ok(differences) if differences.are_none() => None,
            Ok(differences) => Some(differences.to_string()),
            Err(error) => Some(error.to_string()),
        };
        self.images.entry(*id).or_insert_with(compare).clone()
    }

    /// Compares a rendered layer, unless it would be with images that have
    /// changed themselves.
    fn layer(
        &mut self,
        image: &Digest,
        rendering: &Rendering,
        results: &mut Results<'_>,
    ) -> Result<()> {
        let sound = |verify: &mut Self| rendering.images().all(|id| verify.fault(id).is_none());
        let layer = rendering.id();
        if !self.store.has_layer(&layer)? || !sound(self) {
            return Ok(());
        }
        let fault = match rendering.verify(self.store) {
            Ok(None) => return Ok(()),
            Ok(Some(differences)) if differences.are_none() => return Ok(()),
            Ok(Some(differences)) => differences.to_string(),
            Err(error) => error.to_string(),
        };
        self.bad_layers += 1;
        let needs = || gc_roots::read(self.dirs);
        let removed = at_once(self.dirs, self.store, &needs).remove_layer(&layer)?;
        let then = match removed {
            true => "removed, and made again when it is needed",
            false => "kept, because it is in use",
        };
        let short = image.short();
        let line = format!("{layer} NOT OK: files rendered for image {short}: {fault}; {then}");
        let object = Object::new()
            .with("id", layer.to_string())
            .with("valid", false)
            .with("rendered_for", image.to_string())
            .with("reason", fault)
            .with("removed", removed);
        results.add(&line, object)
    }

    /// Returns the errors to end with.
    pub(super) fn failures(&self) -> impl Iterator<Item = Error> {
        let counted = |count, one: &str, many: &str| match count {
            0 => None,
            1 => Some(Error::invalid(format!("one {one} since it was stored"))),
            count => Some(Error::invalid(format!(
                "{count} {many} since they were stored"
            ))),
        };
        [
            counted(self.bad_images, "image has changed", "images have changed"),
            counted(
                self.bad_layers,
                "rendered layer has changed",
                "rendered layers have changed",
            ),
        ]
        .into_iter()
        .flatten()
    }
}
