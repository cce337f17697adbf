//! A signature as the voucher of an archive that is fetched.

use std::time::Duration;

use crate::digest::Digest;
use crate::fetch::http::{Client, HttpError};
use crate::fetch::web::DOCUMENT;
use crate::trust::keyring::Keyring;
use crate::trust::openpgp::Check;
use crate::trust::verify::{Grounds, Voucher};
use appc::address::Address;
use appc::manifest::ImageManifest;
use error::{Error, Result};
use sys::progress::Progress;

/// How long to wait, each time, for a server that is creating a signature.
const SIGNING: [Duration; 4] = [
    Duration::from_secs(2),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

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

/// Downloads a signature. A server that is still creating it answers with 202.
pub(crate) fn signature(
    web: &Client,
    url: &Address,
    talk: Progress,
) -> std::result::Result<Vec<u8>, HttpError> {
    let mut patience = SIGNING.iter();
    loop {
        match (web.document(url.reveal(), DOCUMENT), patience.next()) {
            (Err(refusal), Some(pause)) if refusal.status() == Some(202) => {
                let seconds = pause.as_secs();
                let next = format!("next attempt in {seconds} seconds");
                talk.say(&format!("Waiting: {url} is not signed yet; {next}"));
                std::thread::sleep(*pause);
            }
            (document, _) => return document,
        }
    }
}

/// Returns the URL of an image's signature, with the same query as the image.
pub(crate) fn signature_of(url: &Address) -> Address {
    let text = url.reveal();
    Address::new(match text.split_once('?') {
        Some((path, query)) => format!("{path}.asc?{query}"),
        None => format!("{text}.asc"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_beside_its_image() {
        for (image, signature) in [
            ("https://a/b.aci", "https://a/b.aci.asc"),
            ("https://a/b?v=1", "https://a/b.asc?v=1"),
        ] {
            assert_eq!(signature_of(&Address::new(image)), Address::new(signature));
        }
    }
}
