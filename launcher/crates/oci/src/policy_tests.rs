//! What is a policy, and what it is about.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::reference::{Reference, ShortNames};

fn image(text: &str) -> Reference {
    Reference::parse(text, &ShortNames::default()).unwrap()
}

fn policy(docker: &str) -> Result<Policy> {
    let text =
        format!(r#"{{"default":[{{"type":"reject"}}],"transports":{{"docker":{{{docker}}}}}}}"#);
    Policy::read(text.as_bytes())
}

fn fault(text: &str) -> String {
    Policy::read(text.as_bytes()).unwrap_err().to_string()
}

const ACCEPT: &str = r#"[{"type":"insecureAcceptAnything"}]"#;

#[test]
fn a_slip_makes_the_whole_policy_invalid_and_names_its_place() {
    for (text, expected) in [
        ("", "the text is empty"),
        ("[]", "expected an object"),
        ("{}", "`default` is missing"),
        (
            r#"{"default":[]}"#,
            "field `default`: it has no requirement",
        ),
        (
            r#"{"default":[{"type":"insecureAcceptAnyThing"}]}"#,
            "field `default[0]`: there is no requirement `insecureAcceptAnyThing`",
        ),
        (
            r#"{"default":[{"type":"reject","extra":1}]}"#,
            "field `default[0]`: there is no field `extra` here",
        ),
        (r#"{"Default":[{"type":"reject"}]}"#, "`default` is missing"),
        (
            r#"{"default":[{"type":"reject"}],"default":[{"type":"insecureAcceptAnything"}]}"#,
            "field `default`: it is there twice",
        ),
        (
            r#"{"default":[{"type":"reject"}],"transport":{}}"#,
            "there is no field `transport` here",
        ),
        (
            r#"{"default":[{"type":"reject"}],"transports":{"docker":{"a.example":[{"type":"reject"}],"a.example":[{"type":"insecureAcceptAnything"}]}}}"#,
            "field `transports.docker.a.example`: it is there twice",
        ),
        (
            r#"{"default":[{"type":"sigstoreSigned"}]}"#,
            "it must have one of `keyPath`",
        ),
        (
            r#"{"default":[{"type":"sigstoreSigned","keyPath":"/a","keyData":"YQ=="}]}"#,
            "it must have one of `keyPath`",
        ),
        (
            r#"{"default":[{"type":"sigstoreSigned","keyPath":"a.pub"}]}"#,
            "`a.pub` is not an absolute path",
        ),
        (
            r#"{"default":[{"type":"sigstoreSigned","keyPaths":[]}]}"#,
            "it names no key",
        ),
        (
            r#"{"default":[{"type":"sigstoreSigned","keyData":"?"}]}"#,
            "it is not Base64",
        ),
        (
            r#"{"default":[{"type":"sigstoreSigned","fulcio":{}}]}"#,
            "signatures are checked with keys alone",
        ),
        (
            r#"{"default":[{"type":"sigstoreSigned","keyPath":"/a","rekorPublicKeyPath":"/b"}]}"#,
            "logs of signatures are not checked",
        ),
        (
            r#"{"default":[{"type":"signedBy","keyPath":"/a"}]}"#,
            "`keyType` is missing",
        ),
        (
            r#"{"default":[{"type":"signedBy","keyType":"GPG","keyPath":"/a"}]}"#,
            "`GPG` is not a kind of key",
        ),
        (
            r#"{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/a","signedIdentity":{"type":"matchRepo"}}]}"#,
            "there is no `signedIdentity` `matchRepo`",
        ),
        (
            r#"{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/a","signedIdentity":{"type":"matchExact","a":1}}]}"#,
            "there is no field `a` here",
        ),
        (
            r#"{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/a","signedIdentity":{"type":"exactReference","dockerReference":"a.example/b"}}]}"#,
            "it has neither tag nor digest",
        ),
        (
            r#"{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/a","signedIdentity":{"type":"exactRepository","dockerRepository":"a.example/b:1"}}]}"#,
            "it has a tag or a digest",
        ),
        (
            r#"{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/a","signedIdentity":{"type":"remapIdentity","prefix":"busybox","signedPrefix":"a.example"}}]}"#,
            "`busybox` is not a prefix",
        ),
    ] {
        let found = fault(text);
        assert!(found.contains(expected), "{text}\n{found}");
    }
}

#[test]
fn a_scope_in_which_no_image_ever_is_is_refused() {
    for (transport, scope) in [
        ("docker", "busybox"),
        ("docker", "library/busybox"),
        ("docker", "a.example/"),
        ("docker", "A.example/b"),
        ("docker", "*.example.com/b"),
        ("docker", "a*.example.com"),
        ("docker", "https://a.example"),
        ("oci", "relative"),
        ("oci", "/"),
        ("oci", "/a/../b"),
        ("dir", "/a/"),
        ("oci-archive", "a.tar"),
        ("docker-archive", "/a.tar"),
    ] {
        let text = format!(
            r#"{{"default":{ACCEPT},"transports":{{"{transport}":{{"{scope}":{ACCEPT}}}}}}}"#
        );
        let found = fault(&text);
        assert!(found.contains(&format!("`{scope}`")), "{found}");
    }
    for scope in [
        "",
        "localhost",
        "a.example",
        "a.example:5000",
        "*.example",
        "docker.io/library",
        "a.example/b/c:1",
        "docker.io/library/alpine:latest",
    ] {
        policy(&format!(r#""{scope}":{ACCEPT}"#)).unwrap();
    }
}

#[test]
fn the_longest_scope_counts_and_no_other() {
    let scopes = [
        "",
        "*.example",
        "*.a.example",
        "a.a.example:5000",
        "a.a.example:5000/b",
        "a.a.example:5000/b/c",
        "a.a.example:5000/b/c:1",
    ];
    let entries: Vec<String> = scopes
        .iter()
        .map(|scope| format!(r#""{scope}":{ACCEPT}"#))
        .collect();
    let all = policy(&entries.join(",")).unwrap();
    let digest = "@sha256:0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d";
    for (name, expected) in [
        ("a.a.example:5000/b/c:1", "docker:a.a.example:5000/b/c:1"),
        ("a.a.example:5000/b/c:2", "docker:a.a.example:5000/b/c"),
        (
            &format!("a.a.example:5000/b/c:1{digest}"),
            "docker:a.a.example:5000/b/c",
        ),
        ("a.a.example:5000/b/cc", "docker:a.a.example:5000/b"),
        ("a.a.example:5000/bb/c", "docker:a.a.example:5000"),
        ("a.a.example/b/c", "docker:*.a.example"),
        ("b.example/c", "docker:*.example"),
        ("alpine", "docker"),
    ] {
        let (_, which) = all.requirements(&Place::registry(&image(name)));
        assert_eq!(which.to_string(), expected, "{name}");
    }
    let (found, which) = all.requirements(&Place::file("oci", "/a/b", Some("1")));
    assert_eq!(
        (found, which.to_string().as_str()),
        (&[Requirement::Reject][..], "default")
    );
}

#[test]
fn files_are_in_the_scopes_of_their_directories() {
    let text = format!(
        r#"{{"default":{ACCEPT},"transports":{{"oci":{{"/a":{ACCEPT},"/a/b":{ACCEPT},"/a/b:1":{ACCEPT}}}}}}}"#
    );
    let all = Policy::read(text.as_bytes()).unwrap();
    for (path, image, expected) in [
        ("/a/b", Some("1"), "oci:/a/b:1"),
        ("/a/b", None, "oci:/a/b"),
        ("/a/c", None, "oci:/a"),
        ("/ab", None, "default"),
    ] {
        let place = Place::file("oci", path, image);
        assert_eq!(all.requirements(&place).1.to_string(), expected);
        assert_eq!(Place::parse(&place.to_string()).unwrap(), place);
    }
    let place = Place::registry(&image("alpine:3"));
    assert_eq!(place.to_string(), "docker://docker.io/library/alpine:3");
    assert_eq!(Place::parse(&place.to_string()).unwrap(), place);
}

#[test]
fn only_the_name_that_is_wanted_counts() {
    let digest = "sha256:0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d";
    let tagged = image("a.example/b:1");
    let pinned = image(&format!("a.example/b@{digest}"));
    let remap = Identity::Remap {
        prefix: "a.example".to_owned(),
        signed: "c.example/d".to_owned(),
    };
    let exact = Identity::ExactReference("x.example/y:1".to_owned());
    let repository = Identity::ExactRepository("x.example/y".to_owned());
    for (identity, image, signed, expected) in [
        (&Identity::Exact, &tagged, Some("a.example/b:1"), true),
        (&Identity::Exact, &tagged, Some("a.example/b:2"), false),
        (&Identity::Exact, &tagged, Some("a.example/b"), false),
        (&Identity::Exact, &pinned, Some("a.example/b:1"), false),
        (
            &Identity::Exact,
            &pinned,
            Some(pinned.to_string().as_str()),
            true,
        ),
        (
            &Identity::RepositoryDigestOrExact,
            &tagged,
            Some("a.example/b:1"),
            true,
        ),
        (
            &Identity::RepositoryDigestOrExact,
            &tagged,
            Some("a.example/b:2"),
            false,
        ),
        (
            &Identity::RepositoryDigestOrExact,
            &tagged,
            Some("a.example/b"),
            false,
        ),
        (
            &Identity::RepositoryDigestOrExact,
            &pinned,
            Some("a.example/b:2"),
            true,
        ),
        (
            &Identity::RepositoryDigestOrExact,
            &pinned,
            Some("a.example/c:2"),
            false,
        ),
        (&Identity::RepositoryDigestOrExact, &tagged, None, false),
        (&Identity::Repository, &tagged, Some("a.example/b"), true),
        (&Identity::Repository, &tagged, Some("a.example/b:7"), true),
        (&Identity::Repository, &tagged, Some("a.example/bb"), false),
        (&Identity::Repository, &tagged, Some("not a name"), false),
        (&exact, &tagged, Some("x.example/y:1"), true),
        (&exact, &tagged, Some("x.example/y:2"), false),
        (&exact, &tagged, Some("a.example/b:1"), false),
        (&repository, &tagged, Some("x.example/y:2"), true),
        (&repository, &tagged, Some("x.example/yy:2"), false),
        (&remap, &tagged, Some("c.example/d/b:1"), true),
        (&remap, &tagged, Some("a.example/b:1"), false),
        (&remap, &tagged, Some("c.example/d/b:2"), false),
        (&Identity::Digest, &tagged, None, true),
    ] {
        let found = identity.fits(signed, Some(image));
        assert_eq!(found, expected, "{identity:?} {image} {signed:?}");
    }
    // What is in a file has no name of its own.
    assert!(!Identity::Repository.fits(Some("a.example/b"), None));
    assert!(repository.fits(Some("x.example/y:1"), None));
}
