//! Critical properties of signatures that nobody here knows.
//!
//! Whoever signs can say that a property of the signature must be understood:
//! if it is not, the signature counts for nothing (RFC 9580, sections 5.2.3.7
//! and 5.2.3.24). rPGP looks at some of them only.

use pgp::packet::{Signature, Subpacket, SubpacketData, SubpacketType};

use error::quote::quoted;

/// Returns what a signature says that must be understood, and is not.
pub(crate) fn unknown_critical(signature: &Signature) -> Option<String> {
    let config = signature.config()?;
    // Anybody can change those that are not hashed, but only add to them.
    let mut all = config
        .hashed_subpackets()
        .chain(config.unhashed_subpackets());
    all.find(|packet| packet.is_critical && !is_known(packet.typ()))
        .map(name)
}

/// Tells whether a property is regarded here, or cannot narrow what the
/// signature of a file means.
fn is_known(kind: SubpacketType) -> bool {
    use SubpacketType as Kind;
    matches!(
        kind,
        Kind::SignatureCreationTime
            | Kind::SignatureExpirationTime
            | Kind::KeyExpirationTime
            | Kind::KeyFlags
            | Kind::IssuerKeyId
            | Kind::IssuerFingerprint
            | Kind::EmbeddedSignature
            | Kind::SignersUserID
            | Kind::PrimaryUserId
            | Kind::ExportableCertification
            | Kind::Revocable
            | Kind::RevocationReason
            | Kind::Features
            | Kind::PolicyURI
            | Kind::KeyServerPreferences
            | Kind::PreferredKeyServer
            | Kind::PreferredSymmetricAlgorithms
            | Kind::PreferredHashAlgorithms
            | Kind::PreferredCompressionAlgorithms
            | Kind::PreferredEncryptionModes
            | Kind::PreferredAead
    )
}

fn name(packet: &Subpacket) -> String {
    match &packet.data {
        SubpacketData::Notation(notation) => {
            let name = String::from_utf8_lossy(&notation.name);
            format!("the notation {}", quoted(&name))
        }
        _ => format!("number {}", packet.typ().as_u8(false)),
    }
}
