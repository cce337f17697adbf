//! Proof that somebody vouches for an image.
//!
//! The store takes nothing but a [`Verified`], and only this file makes one:
//! an image that was not verified cannot be stored.

use std::fs::File;

/// An archive that may be stored.
#[derive(Debug)]
pub(crate) struct Verified {
    /// The archive.
    pub(super) file: File,
    /// What messages call it: a path or an address.
    pub(super) name: String,
}

impl Verified {
    /// The operator named this very file on the command line, and so vouches for it.
    pub(crate) const fn by_operator(file: File, name: String) -> Self {
        Self { file, name }
    }
}
