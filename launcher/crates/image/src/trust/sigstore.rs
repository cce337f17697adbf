//! Keys of sigstore's cosign: ECDSA on the curve P-256 with SHA-256. The only module
//! that knows the p256 crate.

#[cfg(feature = "openpgp")]
mod key;
#[cfg(not(feature = "openpgp"))]
#[path = "sigstore/without.rs"]
mod key;

pub(crate) use self::key::Key;

use crate::digest::Digest;
use oci::signature::Payload;

/// Something that is signed, to be checked before it is read.
#[cfg_attr(
    not(feature = "openpgp"),
    expect(dead_code, reason = "there is no key to check it with")
)]
pub(crate) struct Envelope {
    /// The hash of the bytes that are signed, with SHA-256.
    pub(crate) hash: Digest,
    /// The signatures, in DER; one by the right key is enough.
    pub(crate) signatures: Vec<Vec<u8>>,
    /// What they say.
    pub(crate) payload: Payload,
}
