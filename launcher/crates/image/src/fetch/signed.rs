//! A signature as the voucher of an archive that is fetched.

use crate::digest::Digest;
use crate::trust::keyring::Keyring;
use crate::trust::openpgp::Check;
use crate::trust::verify::{Grounds, Voucher};
use appc::manifest::ImageManifest;
use error::{Error, Result};
use sys::progress::Progress;

/// A signature that must be from a trusted key.
pub(crate) struct Signed {
    check: Check,
    keyring: Keyring,
    talk: Progress,
}

impl Signed {
    /// Expects the file of this signature, and tells warnings about keys.
    pub(crate) fn new(check: Check, keyring: Keyring, talk: Progress) -> Self {
        Self {
            check,
            keyring,
            talk,
        }
    }
}

impl Voucher for Signed {
    fn grounds(&self) -> Grounds {
        Grounds::Signed
    }

    fn see(&mut self, bytes: &[u8]) {
        self.check.update(bytes);
    }

    fn speak(self: Box<Self>, _: &Digest, manifest: &ImageManifest) -> Result<String> {
        let talk = self.talk;
        let warn = &mut |error: &Error| talk.warn(error);
        let signer = self.keyring.verify(self.check, &manifest.name, warn)?;
        Ok(match signer.user {
            Some(user) => format!("{} {user}", signer.fingerprint),
            None => signer.fingerprint.to_string(),
        })
    }
}
