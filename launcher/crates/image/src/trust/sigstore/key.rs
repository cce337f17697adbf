//! Public keys, and what they have signed.

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::ecdsa::{Signature, VerifyingKey};

use crate::digest::{Algorithm, Hasher};
use crate::trust::sigstore::Envelope;
use error::{Error, Result};
use oci::signature::public_key;

/// What comes before the point in the DER of a key on P-256 (RFC 5480, section 2).
const P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A public key.
pub(crate) struct Key {
    key: VerifyingKey,
    fingerprint: String,
}

impl Key {
    /// Parses a key in PEM, as `cosign generate-key-pair` writes it.
    ///
    /// # Errors
    ///
    /// It is not a public key of this kind.
    pub(crate) fn parse(pem: &[u8]) -> Result<Self> {
        let der = public_key(pem)?;
        let other = || Error::invalid("it is not a key for ECDSA on the curve P-256");
        let point = der.strip_prefix(P256).ok_or_else(other)?;
        let key = VerifyingKey::from_sec1_bytes(point).map_err(|_| other())?;
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(&der);
        Ok(Self {
            key,
            fingerprint: hasher.finish().oci(),
        })
    }

    /// Returns what identifies the key: the hash of its DER.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Tells whether it has made one of the signatures.
    pub(crate) fn has_signed(&self, envelope: &Envelope) -> bool {
        let hash = envelope.hash.as_bytes();
        envelope.signatures.iter().any(|signature| {
            let signature = Signature::from_der(signature);
            signature.is_ok_and(|signature| self.key.verify_prehash(hash, &signature).is_ok())
        })
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
