//! Where signatures of an image come from.

use crate::trust::sigstore::Envelope;
use error::Result;
use oci::digest::Digest;

/// Takes a signature, or why one cannot be read; returns whether it was the one that
/// is needed, so that no other is looked for.
pub(crate) type Take<'t, T> = &'t mut dyn FnMut(Result<T>) -> bool;

/// What has signatures. Nobody relies on what it says: every signature is checked.
pub(crate) trait Signatures {
    /// Passes on signatures of simple signing: messages of OpenPGP.
    ///
    /// # Errors
    ///
    /// It cannot be found out whether there are any.
    fn simple(&self, digest: &Digest, take: Take<'_, Vec<u8>>) -> Result<()>;

    /// Passes on signatures of cosign.
    ///
    /// # Errors
    ///
    /// It cannot be found out whether there are any.
    fn sigstore(&self, digest: &Digest, take: Take<'_, Envelope>) -> Result<()>;
}

/// What has none.
pub(crate) struct Unsigned;

impl Signatures for Unsigned {
    fn simple(&self, _: &Digest, _: Take<'_, Vec<u8>>) -> Result<()> {
        Ok(())
    }

    fn sigstore(&self, _: &Digest, _: Take<'_, Envelope>) -> Result<()> {
        Ok(())
    }
}
