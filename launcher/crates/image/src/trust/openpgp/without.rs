//! Replaces OpenPGP in builds without it: there are no keys and no signatures.

use std::convert::Infallible;

use crate::trust::openpgp::{Fingerprint, Signer};
use error::{Error, Kind, Result};

fn refused() -> Error {
    let error = "this launcher was built without OpenPGP, and cannot check signatures";
    Error::new(Kind::Failed, error)
        .hint("build it with the feature `openpgp`, or use `--insecure-options=image`")
}

/// A key; there are none.
#[derive(Debug)]
pub struct Key(Infallible);

impl Key {
    /// Always fails.
    pub fn parse(_bytes: &[u8]) -> Result<Self> {
        Err(refused())
    }

    /// Always fails.
    pub(crate) fn all(_bytes: &[u8]) -> Result<Vec<Self>> {
        Err(refused())
    }

    /// Cannot be called, like the following.
    pub fn fingerprint(&self) -> Fingerprint {
        match self.0 {}
    }

    /// See [`Self::fingerprint`].
    pub fn users(&self) -> &[String] {
        match self.0 {}
    }

    /// See [`Self::fingerprint`].
    pub fn created(&self) -> u64 {
        match self.0 {}
    }

    /// See [`Self::fingerprint`].
    pub fn expires(&self) -> Option<u64> {
        match self.0 {}
    }

    /// See [`Self::fingerprint`].
    pub fn is_revoked(&self) -> bool {
        match self.0 {}
    }

    /// See [`Self::fingerprint`].
    pub fn usable(&self, _now: u64) -> Result<()> {
        match self.0 {}
    }

    /// See [`Self::fingerprint`].
    pub(crate) fn armoured(&self) -> Result<Vec<u8>> {
        match self.0 {}
    }
}

/// Always fails.
pub(crate) fn open(_message: &[u8]) -> Result<(Vec<u8>, Check)> {
    Err(refused())
}

/// A check, which cannot be started.
#[derive(Debug)]
pub struct Check(Infallible);

impl Check {
    /// Always fails.
    pub fn begin(_signature: &[u8]) -> Result<Self> {
        Err(refused())
    }

    /// Cannot be called, like the following.
    pub fn update(&mut self, _bytes: &[u8]) {
        match self.0 {}
    }

    /// See [`Self::update`].
    pub fn finish(self, _keys: &[Key], _now: u64) -> Result<Signer> {
        match self.0 {}
    }
}
