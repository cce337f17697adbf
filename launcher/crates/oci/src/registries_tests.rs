//! Tests of what operators say about registries.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

fn toml(text: &str) -> Result<Registries> {
    Registries::read_toml(text.as_bytes(), "/a.conf")
}

fn json(text: &str) -> Result<Registries> {
    Registries::read_json(text.as_bytes(), "/a.json")
}

fn image(text: &str) -> Reference {
    Reference::parse(text, &ShortNames::default()).unwrap()
}

/// The places for an image: `~` before a mirror, `!` before what is not secure.
fn places(registries: &Registries, name: &str) -> Vec<String> {
    let sources = registries.sources(&image(name)).unwrap();
    let shown = |source: &Source| {
        let mirror = if source.is_mirror { "~" } else { "" };
        let insecure = if source.insecure { "!" } else { "" };
        format!("{mirror}{insecure}{}", source.image)
    };
    sources.iter().map(shown).collect()
}

fn names(registries: &Registries, name: &str) -> Vec<String> {
    let named = registries.named(&Asked::parse(name).unwrap()).unwrap();
    named.iter().map(Reference::to_string).collect()
}

const DIGEST: &str = "sha256:0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d0c6d3a2d";

#[test]
fn what_is_not_valid_is_refused_with_its_line() {
    for (text, said) in [
        (
            "[[registry]]\nlocation = \"http://a.example\"",
            "line 2: field `registry[0].location`: `http://a.example` has a scheme",
        ),
        (
            "[[registry]]\nlocation = \"a\"",
            "line 2: field `registry[0].location`: `a` is not the beginning of",
        ),
        (
            "\n[[registry]]\nblocked = true",
            "field `registry[0]`: it has neither `prefix` nor `location`",
        ),
        (
            "[[registry]]\nprefix = \"*.a.example/b\"",
            "line 2: field `registry[0].prefix`: `*.a.example/b` is not a host",
        ),
        (
            "[[registry]]\nprefix = \"a.*.example\"",
            "line 2: field `registry[0].prefix`: ",
        ),
        (
            "[[registry]]\nprefix = \"a.example\"\ninsecure = \"yes\"",
            "line 3: field `registry[0].insecure`: expected `true` or `false`",
        ),
        (
            "[[registry]]\nlocation = \"a.example\"\n[[registry]]\nprefix = \"a.example\"",
            "registry `a.example` is there twice",
        ),
        (
            "[[registry]]\nlocation = \"a.example\"\n[[registry.mirror]]\ninsecure = true",
            "field `registry[0].mirror[0].location` is missing",
        ),
        (
            "[[registry]]\nlocation = \"a.example\"\n[[registry.mirror]]\nlocation = \"b.example\"\npull-from-mirror = \"tags\"",
            "line 5: field `registry[0].mirror[0].pull-from-mirror`: `tags` is not",
        ),
        (
            "[[registry]]\nlocation = \"a.example\"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = \"b.example\"\npull-from-mirror = \"all\"",
            "line 6: field `registry[0].mirror[0].pull-from-mirror`: it contradicts",
        ),
        (
            "[registries.search]\nregistries = [\"a.example\"]",
            "it has a table `registries`, as files of version 1 have",
        ),
        (
            "unqualified-search-registries = [\"a.example\",\n \"b.example/c\"]",
            "line 2: field `unqualified-search-registries[1]`: `b.example/c` is not a registry",
        ),
        (
            "short-name-mode = \"strict\"",
            "line 1: field `short-name-mode`: `strict` is not",
        ),
        (
            "[aliases]\n\"a.example/b\" = \"c.example/d\"",
            "line 2: field `aliases.a.example/b`: `a.example/b` is not a short name",
        ),
        ("[aliases]\na = \"b\"", "line 2: field `aliases.a`: "),
        (
            "[aliases]\na = \"b.example/a:1\"",
            "line 2: field `aliases.a`: `b.example/a:1` has a tag",
        ),
        ("[[registry]\n", "line 1: "),
    ] {
        let error = toml(text).unwrap_err().to_string();
        let without = error
            .split_once(": ")
            .filter(|(line, _)| line.starts_with("line"));
        let without = without.map_or(&*error, |(_, rest)| rest);
        assert!(
            error.starts_with(said) || without.starts_with(said),
            "{error}"
        );
    }
    toml(&" ".repeat(LIMIT + 1)).unwrap_err();
}

#[test]
fn in_our_form_what_nobody_knows_is_refused() {
    for (text, said) in [
        (
            r#"{"short-name": "refuse"}"#,
            "field `short-name` is unknown",
        ),
        (
            r#"{"registry": [{"prefix": "a.example", "bloked": true}]}"#,
            "field `registry[0].bloked` is unknown",
        ),
        (
            r#"{"registry": [{"prefix": "a.example", "mirror": [{"location": "b.example", "tls": false}]}]}"#,
            "field `registry[0].mirror[0].tls` is unknown",
        ),
        (r#"{"short-names": "hub"}"#, "field `short-names`: "),
        (r#"[]"#, "expected an object"),
        ("", "the text is empty"),
    ] {
        let error = json(text).unwrap_err().to_string();
        assert!(error.starts_with(said), "{error}");
    }
    let read = toml("[[registry]]\nprefix = \"a.example\"\nbloked = true").unwrap();
    assert_eq!(
        read.unknown(),
        ["line 3: field `registry[0].bloked` is unknown and ignored"]
    );
}

#[test]
fn what_is_blocked_is_nowhere() {
    let blocked = toml("[[registry]]\nprefix = \"a.example/b\"\nblocked = true\n[[registry]]\nprefix = \"a.example/b/c\"\n[[registry]]\nprefix=\"*.bad.example\"\nblocked = true").unwrap();
    for name in [
        "a.example/b:1",
        "a.example/b/d",
        "x.bad.example/y",
        "x.y.bad.example:5000/z",
    ] {
        blocked.itself(&image(name)).unwrap_err();
        let error = blocked.sources(&image(name)).unwrap_err().to_string();
        assert!(
            error.contains("must not be used: `/a.conf` blocks `"),
            "{error}"
        );
    }
    for name in [
        "a.example/bc",
        "a.example/b/c",
        "a.example:5000/b",
        "bad.example/x",
        "xbad.example/x",
    ] {
        assert_eq!(places(&blocked, name), [image(name).to_string()], "{name}");
        assert_eq!(blocked.itself(&image(name)).unwrap().image, image(name));
    }
}

#[test]
fn mirrors_are_asked_first_and_the_longest_prefix_counts() {
    let text = r#"
        [[registry]]
        prefix = "a.example"
        location = "there.example:5000/all"
        insecure = true
        [[registry.mirror]]
        location = "m.example/cache/"
        [[registry.mirror]]
        location = "N.example:80"
        insecure = true
        pull-from-mirror = "digest-only"
        [[registry.mirror]]
        location = "t.example"
        pull-from-mirror = "tag-only"
        [[registry]]
        location = "a.example/own"
        [[registry]]
        location = "docker.io"
        mirror-by-digest-only = true
        [[registry.mirror]]
        location = "hub.example"
    "#;
    let said = toml(text).unwrap();
    let pinned = format!("a.example/b/c:1@{DIGEST}");
    assert_eq!(
        places(&said, "a.example/b/c:1"),
        [
            "~m.example/cache/b/c:1",
            "~t.example/b/c:1",
            "!there.example:5000/all/b/c:1"
        ]
    );
    assert_eq!(
        places(&said, &pinned),
        [
            format!("~m.example/cache/b/c:1@{DIGEST}"),
            format!("~!n.example:80/b/c:1@{DIGEST}"),
            format!("!there.example:5000/all/b/c:1@{DIGEST}"),
        ]
    );
    assert_eq!(places(&said, "a.example/own:1"), ["a.example/own:1"]);
    assert_eq!(places(&said, "alpine"), ["docker.io/library/alpine:latest"]);
    let pinned = format!("alpine@{DIGEST}");
    assert_eq!(
        places(&said, &pinned),
        [
            format!("~hub.example/library/alpine@{DIGEST}"),
            format!("docker.io/library/alpine@{DIGEST}")
        ]
    );
    assert!(said.is_insecure("a.example") && !said.is_insecure("docker.io"));
    // Both forms say the same.
    let (value, _) = crate::toml::parse(text.as_bytes()).unwrap();
    let ours = json(&value.to_string()).unwrap();
    assert_eq!(places(&ours, "a.example/b"), places(&said, "a.example/b"));
}

#[test]
fn hosts_below_another_are_asked_where_they_are() {
    let said = toml(
        "[[registry]]\nprefix = \"*.a.example\"\n[[registry.mirror]]\nlocation = \"m.example\"",
    )
    .unwrap();
    assert_eq!(
        places(&said, "x.y.a.example:5000/b"),
        ["~m.example/b:latest", "x.y.a.example:5000/b:latest"]
    );
    assert_eq!(places(&said, "a.example/b"), ["a.example/b:latest"]);
}

#[test]
fn a_name_without_a_registry_stands_for_what_is_said_of_it() {
    let nothing = Registries::default();
    assert_eq!(
        names(&nothing, "alpine"),
        ["docker.io/library/alpine:latest"]
    );
    let text = "unqualified-search-registries = [\"a.example\", \"docker.io\"]\n[aliases]\nfedora = \"f.example/fedora\"\n\"x/y\" = \"docker.io/z\"";
    let said = toml(text).unwrap();
    assert_eq!(
        names(&said, "alpine:3"),
        ["a.example/alpine:3", "docker.io/library/alpine:3"]
    );
    assert_eq!(names(&said, "fedora:40"), ["f.example/fedora:40"]);
    assert_eq!(names(&said, "x/y"), ["docker.io/library/z:latest"]);
    assert_eq!(
        names(&said, &format!("fedora@{DIGEST}")),
        [format!("f.example/fedora@{DIGEST}")]
    );
    // What has a registry is what it is.
    assert_eq!(
        names(&said, "b.example/fedora"),
        ["b.example/fedora:latest"]
    );
    let strict = toml(&format!("short-name-mode = \"enforcing\"\n{text}")).unwrap();
    assert_eq!(names(&strict, "fedora"), ["f.example/fedora:latest"]);
    let error = strict.named(&Asked::parse("alpine").unwrap()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it could be in `a.example` or `docker.io`"),
        "{error}"
    );
}

#[test]
fn a_later_file_overrides_an_earlier_one_and_ours_says_all_of_short_names() {
    let mut all = toml("unqualified-search-registries = [\"a.example\"]\n[aliases]\na = \"a.example/a\"\nb = \"a.example/b\"\n[[registry]]\nprefix = \"a.example\"\nblocked = true").unwrap();
    all.add(
        toml("[aliases]\na = \"\"\n[[registry]]\nprefix = \"a.example\"\nlocation = \"c.example\"")
            .unwrap(),
    );
    assert_eq!(places(&all, "a.example/x"), ["c.example/x:latest"]);
    assert_eq!(names(&all, "a"), ["a.example/a:latest"]);
    assert_eq!(names(&all, "b"), ["a.example/b:latest"]);
    let mut refused = all.clone();
    refused
        .add(json(r#"{"short-names": "refuse", "aliases": {"mine": "m.example/mine"}}"#).unwrap());
    for name in ["a", "b", "c/d:1"] {
        let error = refused
            .named(&Asked::parse(name).unwrap())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("does not name a registry: `/a.json` refuses that"),
            "{error}"
        );
    }
    assert_eq!(names(&refused, "mine"), ["m.example/mine:latest"]);
    all.add(json(r#"{"short-names": "s.example:5000"}"#).unwrap());
    assert_eq!(names(&all, "b:1"), ["s.example:5000/b:1"]);
}

#[test]
fn logins_are_where_the_last_file_says() {
    let helper = |name: &str| Keeper::Helper(name.to_owned());
    let mut all = Registries::default();
    assert_eq!(all.keepers(), [Keeper::Files]);
    all.add(toml("credential-helpers = [\"box\", \"containers-auth.json\", \"\"]").unwrap());
    all.add(toml("[aliases]").unwrap());
    assert_eq!(all.keepers(), [helper("box"), Keeper::Files]);
    all.add(json(r#"{"credential-helpers": ["safe"]}"#).unwrap());
    assert_eq!(all.keepers(), [helper("safe")]);
    toml("credential-helpers = [\"../sh\"]").unwrap_err();
}
