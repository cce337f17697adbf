//! Finds stored images by what people call them: the beginning of an ID, or a
//! name, a version and labels, as `image list` shows them.
//!
//! Of several images of a name, the one with the highest version is meant,
//! whenever it was stored; of several with that version, the one that was stored
//! last.

use std::cmp::Ordering;

use crate::digest::Digest;
use crate::format::oci::stored::spellings;
use crate::store::images::{Store, no_image};
use crate::store::names;
use appc::reference::Name;
use appc::types::{AcIdentifier, Labels, compare_versions};
use error::{Error, Result};

/// The hint for [`Store::doubt`].
pub const WAIVE: &str = "use its ID, or `--insecure-options=image` to use the stored image";

impl Store<'_> {
    /// Returns the image for an argument: a unique prefix of an ID, with or
    /// without the algorithm, or `name[:version][,label=value...]`.
    ///
    /// # Errors
    ///
    /// No image is found, or several are.
    pub fn named(&self, text: &str) -> Result<Digest> {
        if text.is_empty() {
            return Err(Error::invalid("the name of the image is empty"));
        }
        if let Some(id) = self.beginning(text)? {
            return Ok(id);
        }
        if let Some(id) = self.oci_named(text)? {
            return Ok(id);
        }
        let name = Name::parse(text).map_err(|_| no_image(text))?;
        let found = match self.search(&name.name, &name.labels, &|_| Ok(true)) {
            // One that is damaged can still be examined and removed.
            Err(_) if name.labels.iter().next().is_none() => {
                names::find(self.dirs, name.name.as_str())?.pop()
            }
            found => found?,
        };
        found.ok_or_else(|| no_image(text))
    }

    /// Returns the OCI image of a name, also of one that only it claims to have.
    fn oci_named(&self, text: &str) -> Result<Option<Digest>> {
        for name in spellings(text) {
            for id in names::find(self.dirs, &name)?.into_iter().rev() {
                if self.is_oci(&id)? {
                    return Ok(Some(id));
                }
            }
        }
        Ok(None)
    }

    /// Returns the image with the highest version that has this name and all
    /// these labels. It must be trusted to have this name, unless that check is
    /// turned off.
    pub fn find(&self, name: &AcIdentifier, labels: &Labels) -> Result<Option<Digest>> {
        self.search(name, labels, &|id| self.answers(id))
    }

    /// If there is a stored image with this name that is not trusted to have
    /// it, returns why.
    pub fn doubt(&self, name: &AcIdentifier, labels: &Labels) -> Result<Option<String>> {
        let Some(id) = self.search(name, labels, &|_| Ok(true))? else {
            return Ok(None);
        };
        let (id, from) = (id.short(), self.record(&id)?.from);
        let what = "it was neither signed nor provided under this name";
        Ok(Some(format!("`{id}`, from `{from}`, but {what}")))
    }

    fn search(
        &self,
        name: &AcIdentifier,
        labels: &Labels,
        answers: &dyn Fn(&Digest) -> Result<bool>,
    ) -> Result<Option<Digest>> {
        let mut best: Option<(Digest, Option<String>)> = None;
        let mut bad = None;
        for id in names::find(self.dirs, name.as_str())? {
            let image = match self.aci(&id) {
                Ok(Some(image)) => image,
                Ok(None) => continue,
                // It must not hide the others.
                Err(error) => {
                    bad = Some(error);
                    continue;
                }
            };
            let manifest = image.manifest();
            if manifest.name != *name || manifest.labels.lacks(labels).is_some() || !answers(&id)? {
                continue;
            }
            let version = manifest.labels.get("version");
            let lower = best.as_ref().is_some_and(|(_, best)| {
                compare_versions(version, best.as_deref()) == Ordering::Less
            });
            if !lower {
                best = Some((id, version.map(str::to_owned)));
            }
        }
        match (best, bad) {
            (Some((id, _)), _) => Ok(Some(id)),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }
}
