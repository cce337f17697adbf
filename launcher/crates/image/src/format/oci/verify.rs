//! Compares what is stored of an image with its ID: the configuration with it,
//! the tar of each layer with its digest, and the tree of each layer with what
//! unpacking that tar gives.

use crate::archive::disk::Disk;
use crate::archive::unpack::Unpack as _;
use crate::digest::{Digest, Hasher};
use crate::format::differences::{Differences, compare};
use crate::format::oci::apply::Apply;
use crate::format::oci::below::Below;
use crate::format::oci::unpacked;
use crate::store::images::Store;
use crate::store::staging::Staging;
use error::{Context as _, Result};

impl Store<'_> {
    /// Compares everything that is stored of an image with its ID.
    ///
    /// # Errors
    ///
    /// What is stored cannot be read.
    pub(crate) fn verify_oci(&self, id: &Digest) -> Result<Differences> {
        let mut differences = Differences::default();
        let mut hasher = Hasher::new(id.algorithm());
        hasher.update(&self.stored_manifest(id)?);
        if hasher.finish() != *id {
            differences.add("its configuration does not match its ID".to_owned());
            return Ok(differences);
        }
        let Some(image) = self.oci(id)? else {
            return Ok(differences);
        };
        let known = unpacked::layers(&image.config);
        for (number, (layer, known)) in image.layers.iter().zip(&known).enumerate() {
            let below = &image.layers[..number];
            let found = self.verify_layer(layer, &known.diff_id, below);
            let found = found.map_err(|error| error.at(format!("layer {}", number + 1)))?;
            differences.append(found, &format!("layer {}: ", number + 1));
        }
        for blob in self.blobs_of(id)? {
            if !self.is_sound(&blob)? {
                let digest = blob.oci();
                differences.add(format!("blob `{digest}` does not match its digest"));
            }
        }
        Ok(differences)
    }

    /// Returns the layers and blobs of an image that have changed, each once.
    ///
    /// # Errors
    ///
    /// What is stored cannot be read.
    pub fn changed_parts(&self, id: &Digest) -> Result<Vec<Digest>> {
        let mut changed = Vec::new();
        let Some(image) = self.oci(id)? else {
            return Ok(changed);
        };
        let known = unpacked::layers(&image.config);
        for (number, (layer, known)) in image.layers.iter().zip(&known).enumerate() {
            let found = self.verify_layer(layer, &known.diff_id, &image.layers[..number]);
            let is_sound = found.is_ok_and(|found| found.are_none());
            if !is_sound && self.has_layer(layer)? && !changed.contains(layer) {
                changed.push(*layer);
            }
        }
        for blob in self.blobs_of(id)? {
            if !self.is_sound(&blob)? {
                changed.push(blob);
            }
        }
        Ok(changed)
    }

    fn verify_layer(
        &self,
        layer: &Digest,
        diff_id: &Digest,
        below: &[Digest],
    ) -> Result<Differences> {
        let stored = self.stored(layer)?;
        let below = Below::new(|| unpacked::stack(self, below));
        let staging = Staging::make(self.dirs)?;
        let folder = staging.directory("layer")?;
        let anew = folder.directory("rootfs")?;
        let what = || "cannot use a directory";
        let root = anew.fd().try_clone_to_owned().context(what)?;
        let disk = Disk::new(anew.fd().try_clone_to_owned().context(what)?)?;
        let aside = folder.fd().try_clone_to_owned().context(what)?;
        let mut apply = Apply::new(disk, aside, &below);
        let ((), found) = stored.through(diff_id.algorithm(), |tar| {
            unpacked::walk(tar, None, &mut |entry| apply.entry(entry))
        })?;
        apply.settle()?;
        apply.finish()?;
        let mut differences = compare(&stored.rootfs, &root)?;
        if found != *diff_id && differences.are_none() {
            differences.add("its contents do not match its digest".to_owned());
        }
        Ok(differences)
    }
}
