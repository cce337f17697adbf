//! Policies for images, and signatures of them.

use oci::digest::Digest;
use oci::lookaside::Lookaside;
use oci::policy::place::Place;
use oci::policy::{Policy, Requirement};
use oci::reference::{Reference, ShortNames};
use oci::signature::{self, ATOMIC, Attached, Bundle, COSIGN, Payload};

/// What no document of the corpus is about.
const OTHER: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";

/// Reads the bytes as each document that there is.
///
/// # Panics
///
/// A policy says nothing about an image, a signature is one of everything, or more
/// signatures are looked at than is said.
pub(super) fn documents(bytes: &[u8]) {
    let image = Reference::parse("a.example/b/c:1", &ShortNames::default());
    let image = image.expect("it is a reference");
    let digest = Digest::parse(OTHER).expect("it is a digest");
    if let Ok(policy) = Policy::read(bytes) {
        policed(&policy, &image);
    }
    let mut lookaside = Lookaside::default();
    if lookaside.add(bytes).is_ok() {
        let url = lookaside.url(&image, &digest, "file:///usual");
        assert!(url.contains("b/c@sha256="), "not the image: {url}");
    }
    signatures(bytes, &digest);
    let _ = signature::public_key(bytes);
}

fn policed(policy: &Policy, image: &Reference) {
    let place = Place::registry(image);
    let (requirements, _) = policy.requirements(&place);
    for (which, requirements) in policy
        .all()
        .chain([(policy.requirements(&place).1, requirements)])
    {
        assert!(!requirements.is_empty(), "anything goes: {which:?}");
    }
    for requirement in requirements {
        if let Requirement::Signed(signed) = requirement {
            let other = "other.example/none:0";
            assert!(
                !signed.identity.fits(Some(other), Some(image)),
                "another name is right: {signed:?}"
            );
        }
    }
}

fn signatures(bytes: &[u8], other: &Digest) {
    let mut payloads = vec![
        Payload::InToto(bytes.to_vec()),
        Payload::Simple(bytes.to_vec(), ATOMIC),
        Payload::Simple(bytes.to_vec(), COSIGN),
    ];
    payloads.extend(Bundle::read(bytes).map(|bundle| bundle.payload));
    for payload in payloads {
        let about = payload.read().map(|said| said.is_about(other));
        let is_named = bytes.windows(6).any(|part| part == b"000001");
        // A payload may be encoded in a bundle.
        let is_bundle = !matches!(payload, Payload::Simple(..));
        assert!(
            !about.unwrap_or_default() || is_named || is_bundle,
            "it is about another image"
        );
    }
    let count = |list: error::Result<usize>| list.unwrap_or_default();
    for looked_at in [
        count(signature::attached(bytes).map(|list: Vec<Attached>| list.len())),
        count(signature::referrers(bytes).map(|list| list.len())),
        count(signature::bundles(bytes).map(|list| list.len())),
    ] {
        assert!(looked_at <= signature::MOST, "too many signatures");
    }
}
