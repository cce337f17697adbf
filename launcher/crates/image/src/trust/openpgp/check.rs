//! Checks detached signatures of a file that is streamed.

use std::fmt;

use pgp::packet::{Packet, Signature, SignatureConfig, SignatureType, SignatureVersionSpecific};

use crate::trust::openpgp::critical::unknown_critical;
use crate::trust::openpgp::key::{Key, Part, is_weak};
use crate::trust::openpgp::{SIGNATURE_LIMIT, Signer, packets};
use appc::types::spell_day;
use error::{Error, Kind, Result};
use sys::size;

/// Most signatures that are checked for one file: each hashes it completely.
const SIGNATURES: usize = 8;

/// How far a signer's clock may be ahead of ours, in seconds.
const SKEW: u64 = 300;

/// A check in progress.
pub struct Check {
    candidates: Vec<Candidate>,
}

/// A signature, and the hash of the file for it.
struct Candidate {
    signature: Signature,
    /// The hash, or why the signature cannot count.
    hashing: Result<Hashing>,
}

/// Hashes a piece of the file or, with `None`, returns the digest. It is a
/// closure because the type of rPGP's hashers belongs to another crate.
type Hashing = Box<dyn FnMut(Option<&[u8]>) -> Result<Vec<u8>> + Send>;

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Check").field(&self.issuers()).finish()
    }
}

impl Check {
    /// Parses detached signatures of one file, with or without ASCII
    /// armour.
    ///
    /// # Errors
    ///
    /// The text is too large, broken, or not a signature.
    pub fn begin(signature: &[u8]) -> Result<Self> {
        if signature.len() > SIGNATURE_LIMIT {
            return Err(Error::invalid(format!(
                "the signature is larger than {}",
                size::spell(SIGNATURE_LIMIT as u64)
            )));
        }
        let mut signatures = Vec::new();
        for packet in packets::read("the signature", signature)? {
            let Packet::Signature(signature) = packet else {
                return Err(Error::invalid("it is OpenPGP data, but not a signature")
                    .hint("`gpg --armor --detach-sign FILE` makes a signature"));
            };
            signatures.push(signature);
        }
        Self::of(signatures)
    }

    /// Starts a check with the signatures of one file.
    ///
    /// # Errors
    ///
    /// There is none, or there are too many.
    pub(crate) fn of(signatures: Vec<Signature>) -> Result<Self> {
        let candidates = signatures.into_iter().map(|signature| Candidate {
            hashing: hashing(&signature),
            signature,
        });
        let candidates: Vec<Candidate> = candidates.collect();
        match candidates.len() {
            0 => Err(Error::invalid(
                "the signature uses an unsupported version of OpenPGP",
            )),
            1..=SIGNATURES => Ok(Self { candidates }),
            several => Err(Error::invalid(format!(
                "there are {several} signatures; at most {SIGNATURES} are allowed"
            ))),
        }
    }

    /// Hashes the next piece of the file, as it is distributed.
    pub fn update(&mut self, bytes: &[u8]) {
        for candidate in &mut self.candidates {
            if let Ok(hashing) = &mut candidate.hashing
                && let Err(error) = hashing(Some(bytes))
            {
                candidate.hashing = Err(error);
            }
        }
    }

    /// Returns the issuers that the signatures claim: fingerprints or key
    /// IDs. Anybody can claim them.
    fn issuers(&self) -> Vec<String> {
        let signatures = self.candidates.iter().map(|one| &one.signature);
        let mut issuers: Vec<String> = signatures.map(issuer).collect();
        issuers.dedup();
        issuers
    }

    /// Ends the check. One good signature by one of the keys is enough.
    ///
    /// # Errors
    ///
    /// A signature by one of the keys is bad. If none is by one of them,
    /// the kind is [`Kind::NotFound`].
    pub fn finish(self, keys: &[Key], now: u64) -> Result<Signer> {
        let unknown = unknown(&self.issuers());
        let mut fault = None;
        for candidate in self.candidates {
            let Candidate { signature, hashing } = candidate;
            let digest = hashing.and_then(|mut hashing| hashing(None));
            for (key, part) in makers(&signature, keys) {
                match good(&signature, &digest, key, part, now) {
                    Ok(()) => return Ok(signer(key)),
                    Err(error) => fault = fault.or(Some(error)),
                }
            }
        }
        Err(fault.unwrap_or(unknown))
    }
}

/// Returns the keys that may have made a signature. Two keys can have the same
/// key ID.
fn makers<'a>(signature: &Signature, keys: &'a [Key]) -> Vec<(&'a Key, &'a Part)> {
    let parts = keys
        .iter()
        .flat_map(|key| key.parts().iter().map(move |part| (key, part)));
    parts
        .filter(|(_, part)| part.may_have_made(signature))
        .collect()
}

/// Verifies a signature cryptographically, before anything in it is believed.
fn good(
    signature: &Signature,
    digest: &Result<Vec<u8>>,
    key: &Key,
    part: &Part,
    now: u64,
) -> Result<()> {
    let what = format!("the signature by key `{}`", part.fingerprint());
    let refuse = |why: String| Error::invalid(format!("{what} {why}"));
    let digest = match digest {
        Ok(digest) => digest,
        Err(error) => return Err(refuse(error.to_string())),
    };
    if !matches(signature, part, digest) {
        return Err(refuse("does not match this file".into())
            .hint("the file or the signature was changed, or they are of different versions"));
    }
    let Some(made) = signature.created().map(|time| u64::from(time.as_secs())) else {
        return Err(refuse("has no creation time".into()));
    };
    if made > now.saturating_add(SKEW) {
        let day = spell_day(made);
        return Err(refuse(format!("was made on {day}, which is in the future"))
            .hint("is the clock of this host right?"));
    }
    if made < part.created {
        return Err(refuse("is older than the key".into()));
    }
    let length = signature.signature_expiration_time();
    let length = length.map_or(0, |length| u64::from(length.as_secs()));
    if length > 0 && made + length <= now {
        return Err(refuse(format!("expired on {}", spell_day(made + length))));
    }
    key.vouches(part, now)
}

/// Verifies a signature by this part of a key over this digest.
fn matches(signature: &Signature, part: &Part, digest: &[u8]) -> bool {
    let (Some(config), Some(made)) = (signature.config(), signature.signature()) else {
        return false;
    };
    // Signatures of version 6 require keys of version 6 (RFC 9580, 5.2).
    let is_v6 = matches!(config.version_specific, SignatureVersionSpecific::V6 { .. });
    is_v6 == part.is_v6()
        && signature
            .signed_hash_value()
            .is_some_and(|start| digest.starts_with(&start))
        && part.made(config.hash_alg, digest, made)
}

/// Starts the hash for a signature.
///
/// # Errors
///
/// Why the signature cannot count, as the end of a sentence about it.
fn hashing(signature: &Signature) -> Result<Hashing> {
    let unknown = || Error::invalid("uses an unsupported version of OpenPGP");
    let config: SignatureConfig = signature.config().ok_or_else(unknown)?.clone();
    if config.typ != SignatureType::Binary {
        return Err(Error::invalid("is not a signature of a file"));
    }
    if is_weak(signature) {
        return Err(Error::invalid(format!(
            "uses the outdated hash {}, and can be forged",
            config.hash_alg
        )));
    }
    if let Some(what) = unknown_critical(signature) {
        let why = format!("has a critical property that is not known here: {what}");
        return Err(Error::invalid(why));
    }
    let mut hasher = config.hash_alg.new_hasher().map_err(|_| unknown())?;
    match &config.version_specific {
        SignatureVersionSpecific::V4 => {}
        // The salt comes first. Its length depends on the hash.
        SignatureVersionSpecific::V6 { salt } if config.hash_alg.salt_len() == Some(salt.len()) => {
            hasher.update(salt);
        }
        _ => return Err(unknown()),
    }
    Ok(Box::new(move |piece| {
        let Some(piece) = piece else {
            // The signature's own fields come last (RFC 9580, 5.2.4).
            let end = config
                .hash_signature_data(&mut hasher)
                .and_then(|length| config.trailer(length))
                .map_err(|_| Error::invalid("has properties that are not valid"))?;
            hasher.update(&end);
            return Ok(hasher.finalize_reset().into_vec());
        };
        hasher.update(piece);
        Ok(Vec::new())
    }))
}

/// Returns the issuer that a signature claims.
fn issuer(signature: &Signature) -> String {
    match (
        signature.issuer_fingerprint().first(),
        signature.issuer_key_id().first(),
    ) {
        (Some(fingerprint), _) => fingerprint.to_string(),
        (None, Some(id)) => id.to_string(),
        (None, None) => "unknown".to_owned(),
    }
}

fn unknown(issuers: &[String]) -> Error {
    let issuers = issuers.join("` and `");
    Error::new(
        Kind::NotFound,
        format!("it is signed by key `{issuers}`, which is not trusted"),
    )
}

fn signer(key: &Key) -> Signer {
    Signer {
        fingerprint: key.fingerprint(),
        user: key.users().first().cloned(),
    }
}
