//! Signatures that a registry has beside an image: those of cosign.

use crate::digest::{Algorithm, Hasher};
use crate::fetch::http::Conditions;
use crate::fetch::registry::Registry;
use crate::format::oci::blobs;
use crate::format::oci::outgoing::described;
use crate::trust::signatures::Take;
use crate::trust::sigstore::Envelope;
use error::{Error, Result};
use oci::digest::Digest;
use oci::manifest::{Descriptor, LIMIT};
use oci::media_type::{ACCEPT, MANIFEST};
use oci::signature::{self, Attached, Bundle, COSIGN, Payload};

impl Registry<'_> {
    /// Fetches a list; `None` if there is none.
    pub(super) fn list(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let link = self.link()?;
        let url = format!("{}/{path}", link.base);
        let conditions = Conditions {
            accept: Some(ACCEPT),
            ..Conditions::default()
        };
        let found = link.download(&url, LIMIT as u64, conditions);
        match found.and_then(|download| download.whole()) {
            // Not every registry knows of referrers.
            Err(error) if matches!(error.status(), Some(400 | 404 | 405)) => Ok(None),
            found => Ok(Some(found?)),
        }
    }

    /// Returns the manifests with the signatures of cosign for a manifest or an index,
    /// attached ones first, and their bytes.
    ///
    /// # Errors
    ///
    /// It cannot be found out whether there are any.
    pub(crate) fn signatures(&self, digest: &Digest) -> Result<Vec<(Descriptor, Vec<u8>)>> {
        let mut all = Vec::new();
        if let Some(bytes) = self.attached_list(digest)? {
            all.push((described(MANIFEST, &bytes)?, bytes));
        }
        for manifest in self.bundles(digest)? {
            let bytes = blobs::read(self, &manifest, LIMIT)?;
            all.push((manifest, bytes));
        }
        Ok(all)
    }

    /// Fetches the manifest with the signatures that are attached to an image.
    fn attached_list(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        self.list(&format!("manifests/{}", signature::tag(digest)))
    }

    /// Returns the manifests of bundles that refer to an image.
    fn bundles(&self, digest: &Digest) -> Result<Vec<Descriptor>> {
        let list = match self.list(&format!("referrers/{digest}"))? {
            Some(list) => Some(list),
            None => self.list(&format!("manifests/{}", signature::referrers_tag(digest)))?,
        };
        list.map_or(Ok(Vec::new()), |list| signature::referrers(&list))
    }

    fn attached(&self, attached: &Attached) -> Result<Envelope> {
        let payload = blobs::read(self, &attached.payload, signature::LIMIT);
        let payload = payload.map_err(|error| error.at("a signature"))?;
        Ok(Envelope {
            hash: hash(&payload),
            signatures: vec![attached.signature.clone()],
            payload: Payload::Simple(payload, COSIGN),
        })
    }

    fn bundle(&self, manifest: &Descriptor) -> Result<Envelope> {
        let read = || -> Result<Bundle> {
            let manifest = blobs::read(self, manifest, LIMIT)?;
            let bundles = signature::bundles(&manifest)?;
            let [bundle] = bundles.as_slice() else {
                return Err(Error::invalid("its manifest does not name one bundle"));
            };
            Bundle::read(&blobs::read(self, bundle, signature::LIMIT)?)
        };
        let bundle = read().map_err(|error| error.at("a signature"))?;
        let hash = match (&bundle.signed, &bundle.payload) {
            (Some(signed), _) => hash(signed),
            (None, Payload::Itself(digest)) => digest.into(),
            (None, _) => return Err(Error::invalid("a signature is of nothing")),
        };
        Ok(Envelope {
            hash,
            signatures: bundle.signatures,
            payload: bundle.payload,
        })
    }

    /// Passes on the signatures of cosign for a manifest or an index.
    ///
    /// # Errors
    ///
    /// It cannot be found out whether there are any.
    pub(crate) fn sigstore(&self, digest: &Digest, take: Take<'_, Envelope>) -> Result<()> {
        if let Some(list) = self.attached_list(digest)? {
            for attached in signature::attached(&list)? {
                if take(self.attached(&attached)) {
                    return Ok(());
                }
            }
        }
        for manifest in self.bundles(digest)? {
            if take(self.bundle(&manifest)) {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn hash(bytes: &[u8]) -> crate::digest::Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(bytes);
    hasher.finish()
}
