//! What policies accept and refuse.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::trust::signatures::Unsigned;
use oci::policy::Scheme;
use oci::reference::{Reference, ShortNames};

/// A key, and its fingerprint: the SHA-256 of its DER.
const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhFlhTyKmZmRUHRX6BxSecZupTUAp
yPQGeDhRyFde6I7OAlwZeDm7tC4cqJDCSJbAVdYsbW9HqzMGMNqXj89PVw==
-----END PUBLIC KEY-----
";

fn place(image: &str) -> Place {
    Place::registry(&Reference::parse(image, &ShortNames::default()).unwrap())
}

fn policy(requirements: &str) -> Policy {
    let text = format!(r#"{{"default":[{requirements}]}}"#);
    Policy {
        file: Some(("/p".into(), format::Policy::read(text.as_bytes()).unwrap())),
        locks: Locks::default(),
        waived: false,
    }
}

/// Writes a key into a file of one test's own.
fn key(test: &str) -> (PathBuf, String) {
    let path = std::env::temp_dir().join(format!("nosecone-policy-{}-{test}", std::process::id()));
    std::fs::write(&path, KEY).unwrap();
    let fingerprint = sigstore::Key::parse(KEY.as_bytes()).unwrap();
    (path, fingerprint.fingerprint().to_owned())
}

fn admit(policy: &Policy, image: &str) -> Result<Admitted> {
    let digest = Digest::parse(&format!("sha256:{}", "0".repeat(64))).unwrap();
    let grounds = (Grounds::Registry, "registry a.example".to_owned());
    policy.admit(&place(image), Some(&digest), grounds, &Unsigned)
}

#[test]
fn what_is_rejected_or_not_signed_is_refused_and_the_part_is_named() {
    let (path, _) = key("refused");
    let signed = format!(
        r#"{{"type":"sigstoreSigned","keyPath":"{}"}}"#,
        path.display()
    );
    for (requirements, expected) in [
        (r#"{"type":"reject"}"#, "`default`: it rejects all of them"),
        (
            &format!(r#"{{"type":"insecureAcceptAnything"}},{signed}"#),
            "`default`: it has no signature for `sigstoreSigned`",
        ),
        (
            &format!(r#"{signed},{{"type":"reject"}}"#),
            "`default`: it rejects all of them",
        ),
        (
            r#"{"type":"sigstoreSigned","keyPath":"/nowhere"}"#,
            "`default`: cannot use key `/nowhere`",
        ),
        (
            r#"{"type":"sigstoreSigned","keyData":"eA=="}"#,
            "it is not a public key in PEM",
        ),
        (
            r#"{"type":"signedBy","keyType":"GPGKeys","keyData":"eA=="}"#,
            "the key is not OpenPGP data",
        ),
    ] {
        let policy = policy(requirements);
        let error = admit(&policy, "alpine").unwrap_err().to_string();
        assert!(error.contains(expected), "{requirements}\n{error}");
        assert!(error.contains("policy `/p`"), "{error}");
        let known = Admitted {
            place: place("alpine").to_string(),
            ..Admitted::default()
        };
        policy.holds(&known).unwrap_err();
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn without_a_policy_an_image_is_accepted_and_that_is_said() {
    let none = Policy {
        file: None,
        locks: Locks::default(),
        waived: false,
    };
    let admitted = admit(&none, "alpine").unwrap();
    assert_eq!(admitted.grounds, Grounds::Registry);
    assert_eq!(admitted.by, "registry a.example; there is no policy");
    // As Debian's podman brings it.
    let accepted = admit(&policy(r#"{"type":"insecureAcceptAnything"}"#), "alpine").unwrap();
    assert_eq!(accepted.by, "registry a.example; `default` of /p");
}

#[test]
fn what_is_waived_is_remembered_as_that_and_only_if_something_was() {
    let mut rejects = policy(r#"{"type":"reject"}"#);
    rejects.waived = true;
    let admitted = admit(&rejects, "alpine").unwrap();
    assert_eq!((admitted.grounds, &*admitted.by), (Grounds::Waived, NOBODY));
    rejects.holds(&admitted).unwrap();
    rejects.waived = false;
    rejects.holds(&admitted).unwrap_err();
    let mut accepts = policy(r#"{"type":"insecureAcceptAnything"}"#);
    accepts.waived = true;
    assert_eq!(
        admit(&accepts, "alpine").unwrap().grounds,
        Grounds::Registry
    );
}

#[test]
fn what_is_stored_is_measured_by_the_policy_of_today() {
    let (path, fingerprint) = key("stored");
    let requirement = |identity: &str| {
        let path = path.display();
        format!(
            r#"{{"type":"sigstoreSigned","keyPath":"{path}","signedIdentity":{{"type":"{identity}"}}}}"#
        )
    };
    let known = |scheme, key: &str, name: &str| Admitted {
        place: "docker://docker.io/library/alpine:3".to_owned(),
        signatures: vec![Signature {
            scheme,
            key: key.to_owned(),
            name: Some(name.to_owned()),
        }],
        ..Admitted::default()
    };
    let name = "docker.io/library/alpine";
    let repository = policy(&requirement("matchRepository"));
    repository
        .holds(&known(Scheme::Sigstore, &fingerprint, name))
        .unwrap();
    for other in [
        known(Scheme::Sigstore, "sha256:0", name),
        known(Scheme::OpenPgp, &fingerprint, name),
        known(Scheme::Sigstore, &fingerprint, "docker.io/library/busybox"),
        Admitted::default(),
    ] {
        repository.holds(&other).unwrap_err();
    }
    let exact = policy(&requirement("matchExact"));
    exact
        .holds(&known(Scheme::Sigstore, &fingerprint, name))
        .unwrap_err();
    exact
        .holds(&known(
            Scheme::Sigstore,
            &fingerprint,
            "docker.io/library/alpine:3",
        ))
        .unwrap();
    std::fs::remove_file(path).unwrap();
}

#[test]
fn our_files_come_before_podmans_and_one_that_was_named_is_the_only_one() {
    let set = |name: &str| match name {
        "HOME" => Some("/home/me".into()),
        _ => None,
    };
    let found: Vec<_> = files(&set).into_iter().map(|(path, _)| path).collect();
    let expected = [
        "/home/me/.config/nosecone/policy.json",
        "/etc/nosecone/policy.json",
        "/home/me/.config/containers/policy.json",
        "/etc/containers/policy.json",
    ];
    assert_eq!(found, expected.map(Path::new));
    let named = |name: &str| (name == VARIABLE).then(|| "/p".into());
    assert_eq!(files(&named), [(PathBuf::from("/p"), true)]);
}
