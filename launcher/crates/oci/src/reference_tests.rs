//! References that are refused, and what the others mean.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

fn parse(text: &str) -> Result<Reference> {
    Reference::parse(text, &ShortNames::default())
}

fn full(text: &str) -> String {
    parse(text).unwrap().to_string()
}

fn fault(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn digest(byte: &str) -> String {
    format!("sha256:{}", byte.repeat(32))
}

#[test]
fn what_is_no_reference_is_refused() {
    let long_path = format!("a/{}", "b".repeat(254));
    let long_tag = format!("a:{}", "b".repeat(129));
    for text in [
        "",
        ":tag",
        "@",
        "a:",
        "a@",
        "a:b:c",
        "a:-b",
        "a:.b",
        "a:b c",
        "a@sha256:0c",
        "a@b@c",
        "/a",
        "a/",
        "a//b",
        "a b",
        "-a",
        "a-",
        "a._b",
        "a..b",
        "a___b",
        "a_-b",
        "é",
        "a/é",
        "ex ample.com/a",
        "example..com/a",
        "-example.com/a",
        "example.com:/a",
        "example.com:0/a",
        "example.com:65536/a",
        "example.com:http/a",
        "example.com/",
        "exam_ple.com/a",
        "[::1/a",
        "[::g]/a",
        "::1/a",
        "https://example.com/a",
        "docker://a",
        &long_path,
        &long_tag,
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn upper_case_and_ids_are_refused_in_a_sentence() {
    for (text, why) in [
        ("Alpine", "repository `Alpine` is not in lower case"),
        ("Org/a", "repository `Org/a` is not in lower case"),
        ("example.com/a/B:1", "repository `a/B` is not in lower case"),
        (
            &"0c".repeat(32),
            "it is the ID of an image, not a name\nhint: write an ID as `sha256:ID`",
        ),
    ] {
        let said = format!("`{text}` is not a valid image reference: {why}");
        assert_eq!(fault(text), said);
    }
    let error = fault("a@md5:0c");
    assert!(
        error.ends_with("is made with `md5`; supported are `sha256` and `sha512`"),
        "{error}"
    );
}

#[test]
fn a_name_without_a_registry_is_refused_where_that_is_the_rule() {
    for text in ["alpine", "library/alpine:3", "localhost:5000"] {
        let error = Reference::parse(text, &ShortNames::Refuse)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("it does not name a registry\nhint: "),
            "{error}"
        );
    }
    let named = Reference::parse("docker.io/alpine", &ShortNames::Refuse).unwrap();
    assert_eq!(named.to_string(), "docker.io/library/alpine:latest");
}

#[test]
fn what_is_left_out_is_completed() {
    for (text, expected) in [
        ("alpine", "docker.io/library/alpine:latest"),
        ("alpine:3.20", "docker.io/library/alpine:3.20"),
        ("library/alpine", "docker.io/library/alpine:latest"),
        ("grafana/loki", "docker.io/grafana/loki:latest"),
        ("docker.io/alpine", "docker.io/library/alpine:latest"),
        ("index.docker.io/a/b:c", "docker.io/a/b:c"),
        // Without a slash, it is a repository with a tag.
        ("localhost:5000", "docker.io/library/localhost:5000"),
        ("localhost/a", "localhost/a:latest"),
        ("localhost:5000/a:b", "localhost:5000/a:b"),
        ("example.com/a/b/c", "example.com/a/b/c:latest"),
        ("LocalHost/a", "localhost/a:latest"),
        ("EXAMPLE.com/a", "example.com/a:latest"),
        ("127.0.0.1:80/a", "127.0.0.1:80/a:latest"),
        ("[::1]/a", "[::1]/a:latest"),
        ("[2001:db8::1]:5000/a:b", "[2001:db8::1]:5000/a:b"),
        (
            "a--b/c__d/e.f/g_h:_1.2-X",
            "docker.io/a--b/c__d/e.f/g_h:_1.2-X",
        ),
    ] {
        assert_eq!(full(text), expected, "{text}");
        // What is complete stays as it is.
        assert_eq!(full(expected), expected);
    }
}

#[test]
fn a_digest_counts_and_the_tag_beside_it_is_kept() {
    let wanted = digest("0c");
    let by_digest = parse(&format!("alpine@{wanted}")).unwrap();
    assert_eq!(by_digest.tag(), None);
    assert_eq!(by_digest.wanted(), wanted);
    let text = format!("example.com:5000/a:3@{wanted}");
    let both = parse(&text).unwrap();
    assert_eq!(both.to_string(), text);
    assert_eq!(
        (both.registry(), both.repository()),
        ("example.com:5000", "a")
    );
    assert_eq!(both.tag(), Some("3"));
    assert_eq!(
        both.digest().map(ToString::to_string).as_deref(),
        Some(&*wanted)
    );
    assert_eq!(both.wanted(), wanted);
    let tagged = parse("example.com:5000/a:3").unwrap();
    assert_eq!(tagged.wanted(), "3");
    assert_eq!(tagged.pinned(Digest::parse(&wanted).unwrap()), both);
}

#[test]
fn short_names_can_mean_another_registry() {
    let short = ShortNames::In("registry.example:5000".to_owned());
    for (text, expected) in [
        ("alpine", "registry.example:5000/alpine:latest"),
        ("a/b:c", "registry.example:5000/a/b:c"),
        ("docker.io/alpine", "docker.io/library/alpine:latest"),
    ] {
        assert_eq!(
            Reference::parse(text, &short).unwrap().to_string(),
            expected
        );
    }
}

#[test]
fn the_familiar_form_means_the_same() {
    for (text, familiar) in [
        ("docker.io/library/alpine", "alpine:latest"),
        ("docker.io/grafana/loki:3", "grafana/loki:3"),
        ("example.com/library/a", "example.com/library/a:latest"),
        ("docker.io/library/a/b:c", "library/a/b:c"),
    ] {
        let reference = parse(text).unwrap();
        assert_eq!(reference.familiar(), familiar);
        assert_eq!(parse(familiar).unwrap(), reference);
    }
}

#[test]
fn docker_hub_answers_elsewhere() {
    assert_eq!(parse("alpine").unwrap().host(), "registry-1.docker.io");
    assert_eq!(parse("ghcr.io/a").unwrap().host(), "ghcr.io");
}
