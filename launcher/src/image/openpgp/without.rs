//! A launcher that was built without OpenPGP: there are no keys, and nothing
//! is signed.

use std::convert::Infallible;
use std::time::SystemTime;

use super::{Fingerprint, Signer};
use crate::ground::{Error, Kind, Result};

fn refused() -> Error {
    let error = "this launcher was built without OpenPGP, and cannot check signatures";
    Error::new(Kind::Failed, error)
        .hint("build it with the feature `openpgp`, or say `--insecure-options=image`")
}

/// A key, of which there is none.
#[derive(Debug)]
pub(crate) struct Key(Infallible);

impl Key {
    /// Fails.
    pub(crate) fn parse(_bytes: &[u8]) -> Result<Self> {
        Err(refused())
    }

    /// Cannot be called, like all that follow.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        match self.0 {}
    }

    /// See [`Self::fingerprint`].
    pub(crate) fn users(&self) -> &[String] {
        match self.0 {}
    }

    /// See [`Self::fingerprint`].
    pub(crate) fn created(&self) -> u64 {
        match self.0 {}
    }

    /// See [`Self::fingerprint`].
    pub(crate) fn expires(&self) -> Option<u64> {
        match self.0 {}
    }

    /// See [`Self::fingerprint`].
    pub(crate) fn is_revoked(&self) -> bool {
        match self.0 {}
    }

    /// See [`Self::fingerprint`].
    pub(crate) fn usable(&self, _now: SystemTime) -> Result<()> {
        match self.0 {}
    }

    /// See [`Self::fingerprint`].
    pub(crate) fn armoured(&self) -> Result<Vec<u8>> {
        match self.0 {}
    }
}

/// A check, which cannot begin.
#[derive(Debug)]
pub(crate) struct Check(Infallible);

impl Check {
    /// Fails.
    pub(crate) fn begin(_signature: &[u8]) -> Result<Self> {
        Err(refused())
    }

    /// Cannot be called, like all that follow.
    pub(crate) fn update(&mut self, _bytes: &[u8]) {
        match self.0 {}
    }

    /// See [`Self::update`].
    pub(crate) fn issuers(&self) -> Vec<String> {
        match self.0 {}
    }

    /// See [`Self::update`].
    pub(crate) fn finish(self, _keys: &[Key], _now: SystemTime) -> Result<Signer> {
        match self.0 {}
    }
}
