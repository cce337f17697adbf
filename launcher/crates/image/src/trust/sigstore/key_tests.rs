//! Which signatures of a key count.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use oci::signature::{COSIGN, Payload};

/// A key, and what it has signed: made by `openssl genpkey` and `openssl dgst -sign`.
const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhFlhTyKmZmRUHRX6BxSecZupTUAp
yPQGeDhRyFde6I7OAlwZeDm7tC4cqJDCSJbAVdYsbW9HqzMGMNqXj89PVw==
-----END PUBLIC KEY-----
";
const SIGNED: &[u8] = b"what is signed\n";
const SIGNATURE: &str = "MEYCIQDH0NQbJTmPJpAB8Ue02BTsxUA/pWydoW4sxIPIG0bHxQIhAPJa0/ISp9+46vZlgIRO3s3g7cpq7/RYIVV6tnQSYHnO";

/// Decodes it as what is in a key is.
fn signature() -> Vec<u8> {
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{SIGNATURE}\n-----END PUBLIC KEY-----\n");
    public_key(pem.as_bytes()).unwrap()
}

fn envelope(signed: &[u8], signatures: Vec<Vec<u8>>) -> Envelope {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(signed);
    Envelope {
        hash: hasher.finish(),
        signatures,
        payload: Payload::Simple(signed.to_vec(), COSIGN),
    }
}

#[test]
fn only_the_signature_of_these_very_bytes_counts() {
    let key = Key::parse(KEY.as_bytes()).unwrap();
    let good = signature();
    assert!(!key.has_signed(&envelope(b"what is not", vec![good.clone()])));
    assert!(!key.has_signed(&envelope(SIGNED, Vec::new())));
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(!key.has_signed(&envelope(SIGNED, vec![bad])), "{at}");
        let short = good[..at].to_vec();
        assert!(!key.has_signed(&envelope(SIGNED, vec![short])), "{at}");
    }
    assert!(key.has_signed(&envelope(SIGNED, vec![good.clone()])));
    // One of several is enough.
    let several = vec![Vec::new(), vec![0; 1 << 16], good];
    assert!(key.has_signed(&envelope(SIGNED, several)));
}

#[test]
fn a_key_of_another_kind_is_refused() {
    let p384 = "-----BEGIN PUBLIC KEY-----\nMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEoIryuB3Qkn/yScm2gSUoo/CY82tbnP/h+VQYaU5mqYANOjFg0plrtLxDyFHWrBM4Ptz8AMZ2H//rAtJp2G3RlQisjwFwsIzL/cUYZ6OUMbm+Bnoue5HpLTgtm3TGictJ\n-----END PUBLIC KEY-----\n";
    let ed25519 = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEABeAXHskQzr+BTQAcLYB+ZmLkgmnOaPqQkhwuJFoSPwA=\n-----END PUBLIC KEY-----\n";
    for pem in [p384, ed25519] {
        let error = Key::parse(pem.as_bytes()).err().unwrap().to_string();
        assert_eq!(error, "it is not a key for ECDSA on the curve P-256");
    }
    // The point is not on the curve.
    let off = KEY.replace("PVw==", "PVg==");
    assert!(off != KEY && Key::parse(off.as_bytes()).is_err());
}
