//! Replaces keys in builds without signatures: there are none.

use std::convert::Infallible;

use crate::trust::sigstore::Envelope;
use error::{Error, Kind, Result};

/// A key; there are none.
pub(crate) struct Key(Infallible);

impl Key {
    /// Always fails.
    pub(crate) fn parse(_pem: &[u8]) -> Result<Self> {
        let error = "this launcher was built without keys, and cannot check signatures";
        Err(Error::new(Kind::Failed, error)
            .hint("build it with the feature `openpgp`, or use `--insecure-options=image`"))
    }

    /// Cannot be called, like the following.
    pub(crate) fn fingerprint(&self) -> &str {
        match self.0 {}
    }

    /// See [`Self::fingerprint`].
    pub(crate) fn has_signed(&self, _envelope: &Envelope) -> bool {
        match self.0 {}
    }
}
