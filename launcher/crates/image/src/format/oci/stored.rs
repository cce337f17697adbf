//! OCI images that are stored.

use crate::digest::Digest;
use crate::format::oci::{FORMAT, unpacked};
use crate::store::images::Store;
use crate::store::names;
use error::{Context as _, Error, Result};
use oci::config::ImageConfig;
use oci::reference::Reference;

/// A stored image.
pub struct OciImage {
    /// Its ID.
    pub id: Digest,
    /// What it is called.
    pub name: String,
    /// Its configuration.
    pub config: ImageConfig,
    /// Its layers, lowest first.
    pub layers: Vec<Digest>,
}

impl Store<'_> {
    /// Returns whether an image is stored, and is one of this format. It need not
    /// be sound.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn is_oci(&self, id: &Digest) -> Result<bool> {
        Ok(self.format(id)?.is_some_and(|format| format == FORMAT))
    }

    /// Returns the stored image that has been fetched from a registry under this
    /// name, or by this digest.
    ///
    /// # Errors
    ///
    /// The index of names cannot be read.
    pub fn of_registry(&self, image: &Reference) -> Result<Option<Digest>> {
        let mut ids = names::find(self.dirs, &image.to_string())?;
        if let Some(digest) = image.digest() {
            ids.extend(names::find(self.dirs, &digest.to_string())?);
        }
        for id in ids.into_iter().rev() {
            if self.contains(&id)? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Returns a stored image of this format; `None` if it is of another, or not
    /// stored.
    ///
    /// # Errors
    ///
    /// It is damaged.
    pub fn oci(&self, id: &Digest) -> Result<Option<OciImage>> {
        let Some(image) = self.image(id)?.filter(|image| image.format == FORMAT) else {
            return Ok(None);
        };
        let what = || format!("cannot read image `{id}`");
        let config = ImageConfig::read(&image.manifest).context(what)?;
        let layers: Vec<Digest> = image.layers.iter().rev().copied().collect();
        let known = unpacked::layers(&config);
        let fit = layers.len() == known.len()
            && layers
                .iter()
                .zip(&known)
                .all(|(id, layer)| *id == layer.diff_id || *id == layer.chain_id);
        if !fit {
            return Err(Error::invalid(format!(
                "{}: its layers are not its own",
                what()
            )));
        }
        let name = self.record(id)?.name;
        Ok(Some(OciImage {
            id: *id,
            name: name.unwrap_or_else(|| id.short()),
            config,
            layers,
        }))
    }
}
