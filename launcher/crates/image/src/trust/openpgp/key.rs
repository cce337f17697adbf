//! Public keys and their self-signatures.

use pgp::composed::{ArmorOptions, Deserializable as _, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Packet, PublicKey, PublicSubkey, Signature, SignatureType, SubpacketType};
use pgp::ser::Serialize;
use pgp::types::{
    KeyDetails, KeyVersion, PublicParams, RsaPublicParams, SignatureBytes, Tag, VerifyingKey,
};

use crate::trust::openpgp::critical::unknown_critical;
use crate::trust::openpgp::{Fingerprint, KEY_LIMIT, packets};
use appc::types::spell_day;
use error::{Error, Result};
use sys::size;

/// Shortest RSA key that counts, in bits.
const RSA_BITS: usize = 2048;

/// A public key: a primary key, its subkeys, and what they may do.
#[derive(Debug)]
pub struct Key {
    certificate: SignedPublicKey,
    users: Vec<String>,
    /// The primary key first.
    parts: Vec<Part>,
}

/// The primary key or a subkey.
#[derive(Debug)]
pub(crate) struct Part {
    packet: PartPacket,
    /// Its creation time, in seconds since 1970.
    pub(crate) created: u64,
    expires: Option<u64>,
    revoked: bool,
    /// Why it cannot sign files, at any time.
    unfit: Option<&'static str>,
}

/// Its packet, which verifies signatures.
#[derive(Debug)]
enum PartPacket {
    Primary(PublicKey),
    Sub(PublicSubkey),
}

impl Key {
    /// Parses a file with one key, with or without ASCII armour.
    ///
    /// # Errors
    ///
    /// The file has no key or several, the key is private, too large,
    /// broken, or has no self-signature.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut keys = Self::all(bytes)?;
        match (keys.pop(), keys.len()) {
            (Some(key), 0) => Ok(key),
            (_, others) => Err(Error::invalid(format!("it contains {} keys", others + 1))
                .hint("`gpg --armor --export FINGERPRINT` writes one key")),
        }
    }

    /// Parses a file with one key or several.
    ///
    /// # Errors
    ///
    /// As for [`Self::parse`], but for several keys.
    pub(crate) fn all(bytes: &[u8]) -> Result<Vec<Self>> {
        if bytes.len() > KEY_LIMIT {
            return Err(Error::invalid(format!(
                "the key is larger than {}",
                size::spell(KEY_LIMIT as u64)
            )));
        }
        let packets = packets::read("the key", bytes)?;
        if packets.iter().any(is_private) {
            return Err(packets::private("the key"));
        }
        let is_primary = |packet: &&Packet| matches!(packet, Packet::PublicKey(_));
        let count = packets.iter().filter(is_primary).count();
        if count == 0 {
            return Err(Error::invalid("it contains no key"));
        }
        // A revocation counts wherever it is.
        let revocations: Vec<Signature> = packets.iter().filter_map(revocation).collect();
        let keys = SignedPublicKey::from_packets(packets.into_iter().map(Ok).peekable());
        let disorder = || Error::invalid("its packets are not in a valid order");
        let keys: Vec<Self> = keys
            .map(|key| Self::of(key.map_err(|_| disorder())?, &revocations))
            .collect::<Result<_>>()?;
        match keys.len() == count {
            true => Ok(keys),
            false => Err(disorder()),
        }
    }

    fn of(certificate: SignedPublicKey, revocations: &[Signature]) -> Result<Self> {
        let primary = &certificate.primary_key;
        let (users, selves) = selves(&certificate);
        if selves.is_empty() {
            return Err(Error::invalid(format!(
                "key `{}` has no self-signature",
                primary.fingerprint()
            )));
        }
        let revoked = revocations
            .iter()
            .any(|signature| signature.verify_key(primary).is_ok());
        let mut parts = vec![Part {
            packet: PartPacket::Primary(primary.clone()),
            created: primary.created_at().as_secs().into(),
            expires: selves
                .iter()
                .filter_map(|signature| expiry(primary, signature))
                .min(),
            revoked,
            unfit: weak_params(primary.public_params()).or_else(|| unfit(&selves)),
        }];
        let subkeys = certificate.public_subkeys.iter();
        parts.extend(subkeys.filter_map(|subkey| Part::bound(primary, subkey)));
        Ok(Self {
            certificate,
            users,
            parts,
        })
    }

    /// Returns the fingerprint of the primary key.
    pub fn fingerprint(&self) -> Fingerprint {
        self.primary().fingerprint()
    }

    /// Returns the user IDs, which are untrusted text.
    pub fn users(&self) -> &[String] {
        &self.users
    }

    /// Returns the creation time, in seconds since 1970.
    pub fn created(&self) -> u64 {
        self.primary().created
    }

    /// Returns the expiry time, in seconds since 1970, if any.
    pub fn expires(&self) -> Option<u64> {
        self.primary().expires
    }

    /// Tells whether the key is revoked.
    pub fn is_revoked(&self) -> bool {
        self.primary().revoked
    }

    /// Rejects a key that cannot sign files at this time.
    pub fn usable(&self, now: u64) -> Result<()> {
        self.primary().alive(now)?;
        let mut fault = None;
        for part in &self.parts {
            match self.vouches(part, now) {
                Ok(()) => return Ok(()),
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        fault.map_or(Ok(()), Err)
    }

    /// Rejects a part that cannot sign files at this time.
    pub(crate) fn vouches(&self, part: &Part, now: u64) -> Result<()> {
        self.primary().alive(now)?;
        part.alive(now)?;
        match part.unfit {
            None => Ok(()),
            Some(why) => Err(Error::invalid(format!(
                "key `{}` {why}",
                part.fingerprint()
            ))),
        }
    }

    /// Returns the primary key and its bound subkeys.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Writes the key in ASCII armour.
    pub(crate) fn armoured(&self) -> Result<Vec<u8>> {
        let armoured = self.certificate.to_armored_bytes(ArmorOptions::default());
        armoured.map_err(|fault| {
            Error::invalid(format!("cannot write key `{}`", self.fingerprint()))
                .because(fault.to_string())
        })
    }

    fn primary(&self) -> &Part {
        &self.parts[0]
    }
}

impl Part {
    /// Parses a subkey, which the primary key must have signed.
    fn bound(primary: &PublicKey, subkey: &SignedPublicSubKey) -> Option<Self> {
        let key = &subkey.key;
        let of = |typ| {
            let signatures = subkey.signatures.iter();
            signatures.filter(move |signature| {
                signature.typ() == Some(typ)
                    && signature.verify_subkey_binding(primary, key).is_ok()
            })
        };
        let binding = newest(of(SignatureType::SubkeyBinding))?;
        let agreed = |back: &Signature| {
            !is_weak(back)
                && unknown_critical(back).is_none()
                && back.verify_primary_key_binding(key, primary).is_ok()
        };
        let back = binding.embedded_signature();
        let unfit = weak_params(key.public_params()).or_else(|| match () {
            () if is_weak(binding) => Some(BOUND_BY_WEAK),
            () if unknown_critical(binding).is_some() => Some(BOUND_BY_UNKNOWN),
            () if !binding.key_flags().sign() => Some(SIGNS_NOTHING),
            () if !back.is_some_and(agreed) => Some("has no valid back signature"),
            () => None,
        });
        Some(Self {
            created: key.created_at().as_secs().into(),
            expires: expiry(key, binding),
            revoked: of(SignatureType::SubkeyRevocation).next().is_some(),
            unfit,
            packet: PartPacket::Sub(key.clone()),
        })
    }

    /// Returns the fingerprint of this very part.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint(match &self.packet {
            PartPacket::Primary(key) => key.fingerprint().to_string(),
            PartPacket::Sub(key) => key.fingerprint().to_string(),
        })
    }

    /// Tells whether a signature may be by this part: it says so, or does
    /// not say.
    pub(crate) fn may_have_made(&self, signature: &Signature) -> bool {
        let (id, fingerprint) = match &self.packet {
            PartPacket::Primary(key) => (key.legacy_key_id(), key.fingerprint()),
            PartPacket::Sub(key) => (key.legacy_key_id(), key.fingerprint()),
        };
        let ids = signature.issuer_key_id();
        let fingerprints = signature.issuer_fingerprint();
        ids.is_empty() && fingerprints.is_empty()
            || ids.iter().any(|&one| *one == id || one.is_wildcard())
            || fingerprints.contains(&&fingerprint)
    }

    /// Tells whether it is of version 6 of the format.
    pub(crate) fn is_v6(&self) -> bool {
        let version = match &self.packet {
            PartPacket::Primary(key) => key.version(),
            PartPacket::Sub(key) => key.version(),
        };
        version == KeyVersion::V6
    }

    /// Verifies a signature of a digest.
    pub(crate) fn made(&self, hash: HashAlgorithm, digest: &[u8], made: &SignatureBytes) -> bool {
        match &self.packet {
            PartPacket::Primary(key) => key.verify(hash, digest, made),
            PartPacket::Sub(key) => key.verify(hash, digest, made),
        }
        .is_ok()
    }

    fn alive(&self, now: u64) -> Result<()> {
        let key = self.fingerprint();
        if self.revoked {
            return Err(Error::invalid(format!(
                "key `{key}` was revoked by its owner"
            )));
        }
        match self.expires {
            Some(end) if end <= now => Err(Error::invalid(format!(
                "key `{key}` expired on {}",
                spell_day(end)
            ))
            .hint("its owner may have extended it: trust the updated key")),
            _ => Ok(()),
        }
    }
}

const SIGNS_NOTHING: &str = "is not meant for signing files";
const BOUND_BY_UNKNOWN: &str =
    "is bound by a signature with a critical property that is not known here";
const BOUND_BY_WEAK: &str = "is bound by a signature with an outdated hash, which can be forged";

/// Returns the user IDs with valid self-signatures, and the newest
/// self-signature for each user ID and for the key itself.
fn selves(certificate: &SignedPublicKey) -> (Vec<String>, Vec<&Signature>) {
    let primary = &certificate.primary_key;
    let direct = certificate.details.direct_signatures.iter();
    let mut selves: Vec<&Signature> = newest(direct.filter(|signature| {
        signature.typ() == Some(SignatureType::Key) && signature.verify_key(primary).is_ok()
    }))
    .into_iter()
    .collect();
    let mut users = Vec::new();
    let mut named: Vec<&Signature> = Vec::new();
    for user in &certificate.details.users {
        let own = user.signatures.iter().filter(|signature| {
            signature
                .verify_certification(primary, Tag::UserId, &user.id)
                .is_ok()
        });
        match newest(own) {
            Some(last) if last.typ() != Some(SignatureType::CertRevocation) => {
                users.push(String::from_utf8_lossy(user.id.id()).into_owned());
                named.push(last);
            }
            _ => {}
        }
    }
    // The newest of several user IDs decides: if one was left out when the
    // key was extended, that does not end the key.
    selves.extend(newest(named.into_iter()));
    (users, selves)
}

/// Returns the newest; a revocation wins within the same second.
fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<&'a Signature> {
    signatures.max_by_key(|signature| {
        let revokes = signature.typ() == Some(SignatureType::CertRevocation);
        (signature.created(), revokes)
    })
}

/// Returns why a primary key cannot sign, according to its self-signatures.
fn unfit(selves: &[&Signature]) -> Option<&'static str> {
    // A weak self-signature could be forged.
    if selves.iter().any(|signature| is_weak(signature)) {
        return Some(BOUND_BY_WEAK);
    }
    // An older one would count for more than the owner wants.
    if selves
        .iter()
        .any(|signature| unknown_critical(signature).is_some())
    {
        return Some(BOUND_BY_UNKNOWN);
    }
    let forbids = |signature: &&&Signature| has_flags(signature) && !signature.key_flags().sign();
    let forbidden = selves.iter().any(|signature| forbids(&signature));
    forbidden.then_some(SIGNS_NOTHING)
}

/// Tells whether it has key flags.
fn has_flags(signature: &Signature) -> bool {
    signature.config().is_some_and(|config| {
        let mut kinds = config.hashed_subpackets().map(|packet| packet.typ());
        kinds.any(|kind| kind == SubpacketType::KeyFlags)
    })
}

/// Returns when a self-signature or its key expires, in seconds since 1970.
fn expiry(key: &(impl KeyDetails + Serialize), signature: &Signature) -> Option<u64> {
    let after =
        |start: u32, length: u32| (length > 0).then(|| u64::from(start) + u64::from(length));
    let key_end = signature
        .key_expiration_time()
        .and_then(|length| after(key.created_at().as_secs(), length.as_secs()));
    let own_end = signature.signature_expiration_time().and_then(|length| {
        let made = signature.created()?;
        after(made.as_secs(), length.as_secs())
    });
    key_end.into_iter().chain(own_end).min()
}

/// Tells whether the hash of a signature is weak.
pub(crate) fn is_weak(signature: &Signature) -> bool {
    use HashAlgorithm::{Sha3_256, Sha3_512, Sha224, Sha256, Sha384, Sha512};
    !matches!(
        signature.hash_alg(),
        Some(Sha224 | Sha256 | Sha384 | Sha512 | Sha3_256 | Sha3_512)
    )
}

/// Returns why the key material is too weak, if it is.
fn weak_params(params: &PublicParams) -> Option<&'static str> {
    match params {
        PublicParams::RSA(params) if rsa_bits(params) < RSA_BITS => {
            Some("has fewer than 2048 bits")
        }
        PublicParams::DSA(_) => Some("uses the outdated algorithm DSA"),
        _ => None,
    }
}

/// Returns the bits of a modulus. It comes first in the encoding, after two
/// bytes with its length in bits (RFC 9580, 3.2).
fn rsa_bits(params: &RsaPublicParams) -> usize {
    match params.to_bytes().ok().as_deref() {
        Some([high, low, ..]) => usize::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    }
}

fn is_private(packet: &Packet) -> bool {
    matches!(packet, Packet::SecretKey(_) | Packet::SecretSubkey(_))
}

fn revocation(packet: &Packet) -> Option<Signature> {
    match packet {
        Packet::Signature(signature) if signature.typ() == Some(SignatureType::KeyRevocation) => {
            Some(signature.clone())
        }
        _ => None,
    }
}
