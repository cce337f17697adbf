//! OCI images that are stored.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::format::oci::import::{CLAIMED, claimed};
use crate::format::oci::{FORMAT, unpacked};
use crate::store::images::Store;
use crate::store::names;
use crate::trust::admitted::Admitted;
use crate::trust::policy::Policy;
use crate::trust::verify::Grounds;
use error::{Context as _, Error, Result};
use oci::config::ImageConfig;
use oci::policy::place::Place;
use oci::reference::{Reference, ShortNames};

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
            // One that lacks a layer is fetched again.
            if self.contains(&id)? && self.is_complete(&id)? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Decides whether a stored image may be run under a name.
    ///
    /// # Errors
    ///
    /// The policy does not accept it.
    pub fn may_run(&self, id: &Digest, place: &Place, policy: &Policy) -> Result<()> {
        let place = place.to_string();
        let known = self.record(id)?.admitted;
        let is_it = |known: &Admitted| known.place == place || known.grounds == Grounds::Built;
        let known = known.into_iter().find(is_it);
        policy.holds(&known.unwrap_or(Admitted {
            place,
            ..Admitted::default()
        }))
    }

    /// Decides whether a stored image may be run that was asked for by its ID: under
    /// one of the names that it was let in by. Images of other formats have other
    /// rules.
    ///
    /// # Errors
    ///
    /// The policy accepts it under none of them, or cannot be read.
    pub fn may_be_run<'p>(
        &self,
        id: &Digest,
        policy: &dyn Fn() -> Result<&'p Policy>,
    ) -> Result<()> {
        if !self.is_oci(id)? {
            return Ok(());
        }
        let policy = policy()?;
        let record = self.record(id)?;
        let mut refused = match record.admitted.is_empty() {
            true => {
                return policy.holds(&Admitted {
                    place: record.from,
                    ..Admitted::default()
                });
            }
            false => None,
        };
        for known in &record.admitted {
            match policy.holds(known) {
                Ok(()) => return Ok(()),
                Err(error) => refused = Some(error),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    fn is_complete(&self, id: &Digest) -> Result<bool> {
        let mut layers = self.layers(id)?.into_iter();
        layers.try_fold(true, |all, layer| Ok(all && self.has_layer(&layer)?))
    }

    /// Returns the names of all OCI images, as people type them: of each image those
    /// that stand for it now.
    ///
    /// # Errors
    ///
    /// The index of names cannot be read.
    pub fn names(&self) -> Result<BTreeMap<Digest, Vec<String>>> {
        let mut names: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
        for (name, ids) in names::all(self.dirs)? {
            // What stands for a manifest is no name.
            if let Some(id) = ids.last()
                && Digest::parse(&name).is_err()
            {
                let name = name.strip_prefix(CLAIMED).unwrap_or(&name);
                names.entry(*id).or_default().push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Gives an OCI image another name, which it takes from whatever has it.
    ///
    /// # Errors
    ///
    /// It is another image; errors of the disk.
    pub fn tag(&self, id: &Digest, name: &Reference) -> Result<()> {
        let fault = |why| {
            Err(Error::invalid(format!(
                "cannot tag image `{}`: {why}",
                id.short()
            )))
        };
        if !self.is_oci(id)? {
            return fault("an App Container image has the name in its manifest");
        }
        if name.digest().is_some() {
            return fault("a name with a digest belongs to the image with that digest");
        }
        names::add(self.dirs, &name.to_string(), id)
    }

    /// Removes a name of an OCI image, unless it is the only one or `text` is another
    /// thing. Returns the name.
    ///
    /// # Errors
    ///
    /// The index of names cannot be read or written.
    pub fn untag(&self, id: &Digest, text: &str) -> Result<Option<String>> {
        if self.beginning(text)?.is_some() || !self.is_oci(id)? {
            return Ok(None);
        }
        let Some(name) = self.spelled(text, id)? else {
            return Ok(None);
        };
        if self.names()?.get(id).is_none_or(|names| names.len() < 2) {
            return Ok(None);
        }
        names::remove(self.dirs, &name)?;
        Ok(Some(text.to_owned()))
    }

    /// Returns how the name that was typed for an image is spelled in the index.
    fn spelled(&self, text: &str, id: &Digest) -> Result<Option<String>> {
        for name in spellings(text) {
            if names::find(self.dirs, &name)?.last() == Some(id) {
                return Ok(Some(name));
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

/// Returns what a name that is typed may be in the index of names: itself, the whole
/// reference, or one that only the image claims to have.
pub(crate) fn spellings(text: &str) -> Vec<String> {
    let whole = Reference::parse(text, &ShortNames::default()).ok();
    let whole = whole.map(|whole| whole.to_string());
    let mut all = vec![text.to_owned()];
    all.extend(whole.filter(|whole| whole != text));
    all.push(claimed(text));
    all
}
