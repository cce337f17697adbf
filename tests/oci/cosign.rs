//! Keys, and signatures of images as cosign makes them: with openssl, in a registry that
//! answers as it is told.

use std::fs;

use super::registry::Answers;
use super::{Layout, MANIFEST, digest};
use crate::host::{self, Scratch, call};

/// The type of what cosign signs, and of bundles.
const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// A pair of keys.
pub(super) struct Keys(pub(super) Scratch);

impl Keys {
    pub(super) fn new() -> Option<Self> {
        host::find_tool("openssl")?;
        let keys = Self(Scratch::new());
        let curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
        keys.openssl(&[&["genpkey", "-out", "key"][..], &curve].concat());
        keys.openssl(&["pkey", "-in", "key", "-pubout", "-out", "pub"]);
        Some(keys)
    }

    pub(super) fn openssl(&self, words: &[&str]) {
        let openssl = host::find_tool("openssl").unwrap();
        call(&openssl).args(words).dir(self.0.path()).run().exits(0);
    }

    pub(super) fn public(&self) -> String {
        self.0.join("pub").display().to_string()
    }

    /// Signs bytes; returns Base64.
    pub(super) fn sign(&self, bytes: &str) -> String {
        self.0.write("in", bytes);
        self.openssl(&["dgst", "-sha256", "-sign", "key", "-out", "sig", "in"]);
        base64(&fs::read(self.0.join("sig")).unwrap())
    }
}

pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let at = |index: usize| u32::from(three.get(index).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            let is_padding = digit > three.len();
            text.push(if is_padding {
                '='
            } else {
                char::from(DIGITS[value as usize])
            });
        }
    }
    text
}

/// The keys of a test, or leaves it.
macro_rules! keys {
    () => {{
        let _ = tool!("openssl");
        Keys::new().unwrap()
    }};
}
pub(super) use keys;

/// What cosign signs.
pub(super) fn payload(name: &str, digest: &str) -> String {
    format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"{name}"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"cosign container image signature"}},"optional":null}}"#
    )
}

/// The digest of what the layout has as its first image.
pub(super) fn named(layout: &Layout) -> String {
    let entry = &layout.entries[0];
    let start = entry.find("sha256:").unwrap();
    entry[start..start + 71].to_owned()
}

pub(super) fn ok(kind: &str, body: &str) -> (String, Vec<u8>) {
    (
        format!("200 OK\r\nContent-Type: {kind}"),
        body.as_bytes().to_vec(),
    )
}

pub(super) fn tag_of(digest: &str) -> String {
    format!("/v2/app/manifests/{}", digest.replace(':', "-"))
}

/// Adds signatures of a manifest or an index: payloads, and what is said to be the
/// signature of each.
pub(super) fn attach(answers: &mut Answers, signed: &str, signatures: &[(String, String)]) {
    let mut layers = Vec::new();
    for (payload, signature) in signatures {
        let blob = digest(payload.as_bytes());
        let size = payload.len();
        layers.push(format!(
            r#"{{"mediaType":"{PAYLOAD}","digest":"{blob}","size":{size},"annotations":{{"dev.cosignproject.cosign/signature":"{signature}"}}}}"#
        ));
        answers.insert(
            format!("/v2/app/blobs/{blob}"),
            ok("application/octet-stream", payload),
        );
    }
    let config = digest(b"{}");
    answers.insert(
        format!("/v2/app/blobs/{config}"),
        ok("application/json", "{}"),
    );
    let config = format!(
        r#"{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":2}}"#
    );
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{config},"layers":[{}]}}"#,
        layers.join(",")
    );
    answers.insert(format!("{}.sig", tag_of(signed)), ok(MANIFEST, &manifest));
}

/// Adds a bundle, in the list that the registry has at this path.
pub(super) fn refer(answers: &mut Answers, list: &str, bundle: &str) {
    let mut blob = |kind: &str, place: &str, body: &str| {
        let digest = digest(body.as_bytes());
        answers.insert(format!("/v2/app/{place}/{digest}"), ok(kind, body));
        format!(r#""digest":"{digest}","size":{}"#, body.len())
    };
    let layer = blob(BUNDLE, "blobs", bundle);
    let empty = blob("application/json", "blobs", "{}");
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","artifactType":"{BUNDLE}","config":{{"mediaType":"application/vnd.oci.empty.v1+json",{empty}}},"layers":[{{"mediaType":"{BUNDLE}",{layer}}}]}}"#
    );
    let manifest = blob(MANIFEST, "manifests", &manifest);
    let index = super::INDEX;
    let all = format!(
        r#"{{"schemaVersion":2,"mediaType":"{index}","manifests":[{{"mediaType":"{MANIFEST}",{manifest},"artifactType":"{BUNDLE}"}}]}}"#
    );
    answers.insert(list.to_owned(), ok(index, &all));
}

/// A bundle with a statement about an image, as cosign 3 signs.
pub(super) fn bundle(keys: &Keys, signed: &str, predicate: &str) -> String {
    let kind = "application/vnd.in-toto+json";
    let hex = signed.strip_prefix("sha256:").unwrap();
    let statement = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"{hex}"}}}}],"predicateType":"{predicate}","predicate":{{}}}}"#
    );
    let whole = format!(
        "DSSEv1 {} {kind} {} {statement}",
        kind.len(),
        statement.len()
    );
    let (signature, payload) = (keys.sign(&whole), base64(statement.as_bytes()));
    format!(
        r#"{{"mediaType":"{BUNDLE}","verificationMaterial":{{"publicKey":{{"hint":"x"}},"tlogEntries":[]}},"dsseEnvelope":{{"payload":"{payload}","payloadType":"{kind}","signatures":[{{"sig":"{signature}","keyid":""}}]}}}}"#
    )
}

pub(super) const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";

/// The fingerprint of a key, as it is shown.
pub(super) fn fingerprint(keys: &Keys) -> String {
    keys.openssl(&[
        "pkey", "-pubin", "-in", "pub", "-outform", "DER", "-out", "der",
    ]);
    digest(&fs::read(keys.0.join("der")).unwrap())
}
