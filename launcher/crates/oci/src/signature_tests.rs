//! What is a signature of an image.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

const HEX: &str = "0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d";

fn payload(text: &str) -> Result<Statement> {
    Payload::Simple(text.as_bytes().to_vec(), COSIGN).read()
}

#[test]
fn what_is_critical_and_not_understood_is_refused() {
    let whole = |critical: &str| format!(r#"{{"critical":{{{critical}}},"optional":{{"a":1}}}}"#);
    let good = format!(
        r#""type":"{COSIGN}","image":{{"docker-manifest-digest":"sha256:{HEX}"}},"identity":{{"docker-reference":"a.example/b"}}"#
    );
    let read = payload(&whole(&good)).unwrap();
    assert!(read.is_about(&Digest::parse(&format!("sha256:{HEX}")).unwrap()));
    assert_eq!(read.name.as_deref(), Some("a.example/b"));
    for bad in [
        good.replace(COSIGN, ATOMIC),
        format!(r#"{good},"more":1"#),
        good.replace("docker-manifest-digest", "digest"),
        good.replace(r#""image""#, r#""images""#),
    ] {
        payload(&whole(&bad)).unwrap_err();
    }
    payload(&format!(r#"{{"critical":{{{good}}},"more":{{}}}}"#)).unwrap_err();
    payload("{}").unwrap_err();
}

fn bundle(statement: &str) -> String {
    let payload = crate::base64::encode(statement.as_bytes());
    format!(
        r#"{{"mediaType":"{BUNDLES}","verificationMaterial":{{"publicKey":{{"hint":"x"}}}},"dsseEnvelope":{{"payload":"{payload}","payloadType":"application/vnd.in-toto+json","signatures":[{{"sig":"YQ==","keyid":""}}]}}}}"#
    )
}

#[test]
fn a_statement_about_an_image_does_not_sign_it() {
    let statement = |kind: &str| {
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"{HEX}"}}}}],"predicateType":"{kind}","predicate":{{}}}}"#
        )
    };
    let read = Bundle::read(bundle(&statement(SIGNED)).as_bytes()).unwrap();
    let signed = read.signed.unwrap();
    let text = statement(SIGNED);
    let expected = format!(
        "DSSEv1 28 application/vnd.in-toto+json {} {text}",
        text.len()
    );
    assert_eq!(signed, expected.as_bytes());
    assert_eq!(
        read.payload.read().unwrap().digests,
        [format!("sha256:{HEX}")]
    );
    let other = Bundle::read(bundle(&statement("https://slsa.dev/provenance/v1")).as_bytes());
    let error = other.unwrap().payload.read().unwrap_err().to_string();
    assert!(error.contains("does not sign it"), "{error}");
}

#[test]
fn bundles_of_other_versions_and_more_signatures_than_are_looked_at_are_refused() {
    let text = bundle("{}").replace("v0.3", "v0.4");
    Bundle::read(text.as_bytes()).unwrap_err();
    let layer = format!(
        r#"{{"mediaType":"{PAYLOAD}","digest":"sha256:{HEX}","size":1,"annotations":{{"{SIGNATURE}":"YQ=="}}}}"#
    );
    let manifest = |count| {
        format!(
            r#"{{"layers":[{}]}}"#,
            vec![layer.as_str(); count].join(",")
        )
    };
    assert_eq!(attached(manifest(MOST).as_bytes()).unwrap().len(), MOST);
    attached(manifest(MOST + 1).as_bytes()).unwrap_err();
}

#[test]
fn a_private_key_is_not_taken_for_a_public_one() {
    let pem = |kind: &str| format!("-----BEGIN {kind} KEY-----\nYQ==\n-----END {kind} KEY-----\n");
    assert_eq!(public_key(pem("PUBLIC").as_bytes()).unwrap(), b"a");
    for bad in [
        pem("PRIVATE"),
        pem("EC PRIVATE"),
        pem("PUBLIC").repeat(2),
        pem("RSA PUBLIC"),
        String::new(),
    ] {
        public_key(bad.as_bytes()).unwrap_err();
    }
}

#[test]
fn a_bundle_is_listed_once_beside_what_else_refers_to_its_image() {
    let digest = |digit: char| Digest::parse(&format!("sha256:{}", digit.to_string().repeat(64)));
    let manifest = Descriptor::new(crate::media_type::MANIFEST, digest('a').unwrap(), 7);
    let list = with_referrer(None, &manifest).unwrap().unwrap();
    assert_eq!(referrers(&list).unwrap()[0].digest, manifest.digest);
    assert_eq!(with_referrer(Some(&list), &manifest).unwrap(), None);
    let foreign = r#"{"manifests":[{"mediaType":"a/b","digest":"sha512:c","size":1,"more":[2]}]}"#;
    let list = with_referrer(Some(foreign.as_bytes()), &manifest).unwrap();
    let list = String::from_utf8(list.unwrap()).unwrap();
    assert!(
        list.contains(r#""digest":"sha512:c","size":1,"more":[2]"#),
        "{list}"
    );
    with_referrer(Some(b"[]"), &manifest).unwrap_err();
}
