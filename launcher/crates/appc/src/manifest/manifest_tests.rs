//! What the two kinds of manifest have in common, and image manifests.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

/// An image ID that no image has.
pub(crate) fn some_id() -> String {
    format!("sha512-{}", "0123456789abcdef".repeat(8))
}

/// An image manifest with more fields.
fn image(fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { "," };
    format!(
        r#"{{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/app"{comma}{fields}}}"#
    )
}

/// An image manifest whose app has more fields.
fn app(fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { "," };
    image(&format!(
        r#""app":{{"user":"0","group":"0"{comma}{fields}}}"#
    ))
}

pub(crate) fn refused(text: &str) -> String {
    match check(text.as_bytes()) {
        Ok(_) => panic!("accepted: {text}"),
        Err(faults) => faults[0].to_string(),
    }
}

pub(crate) fn warnings(text: &str) -> Vec<String> {
    match check(text.as_bytes()) {
        Ok(checked) => checked.warnings,
        Err(faults) => panic!("refused: {text}: {faults:?}"),
    }
}

fn read(text: &str) -> ImageManifest {
    ImageManifest::parse(text.as_bytes()).unwrap().value
}

#[test]
fn what_is_neither_kind_of_manifest_is_refused() {
    for kind in ["Foo", "garbage", "", "imagemanifest", "ImageManifest "] {
        let text = image("").replace("ImageManifest", kind);
        assert_eq!(
            refused(&text),
            format!(
                "field `acKind`: `{kind}` is not a valid kind of manifest: expected `ImageManifest` or `PodManifest`"
            )
        );
    }
    assert_eq!(refused("{}"), "field `acKind` is missing");
    assert_eq!(refused("[]"), "expected an object, found a list");
    assert_eq!(
        refused(r#"{"acKind":3}"#),
        "field `acKind`: expected text, found `3`"
    );
}

#[test]
fn one_kind_is_not_taken_for_the_other() {
    let error = PodManifest::parse(image("").as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "field `acKind`: expected `PodManifest`, found `ImageManifest`"
    );
}

#[test]
fn versions_of_the_specification_that_cannot_be_are_refused() {
    for version in [
        "", "0.0.0", "0.8", "v0.8.11", "01.2.3", "1.0.0", "2.3.4", "0.8.11-",
    ] {
        refused(&image("").replace("0.8.11", version));
    }
    assert_eq!(
        refused(&image("").replace(r#""acVersion":"0.8.11","#, "")),
        "field `acVersion` is missing"
    );
    refused(&image("").replace(r#""0.8.11""#, "0.8"));
}

#[test]
fn a_newer_version_of_the_specification_is_noted() {
    assert_eq!(
        warnings(&image("").replace("0.8.11", "0.9.0")),
        [
            "field `acVersion`: version 0.9.0 of the specification is newer than 0.8.11, which Nose Cone follows"
        ]
    );
    for version in ["0.1.0", "0.8.10", "0.8.11-rc1", "0.8.11+git"] {
        assert!(warnings(&image("").replace("0.8.11", version)).is_empty());
    }
}

#[test]
fn the_least_manifest_is_name_and_version() {
    let manifest = read(&image(""));
    assert_eq!(manifest.name.as_str(), "example.com/app");
    assert!(manifest.app.is_none() && manifest.dependencies.is_empty());
    assert_eq!(
        refused(&image("").replace(r#","name":"example.com/app""#, "")),
        "field `name` is missing"
    );
    assert_eq!(
        refused(&image("").replace(r#""example.com/app""#, "null")),
        "field `name` is missing"
    );
}

#[test]
fn messages_name_the_field_and_the_value() {
    for (text, expected) in [
        (
            image("").replace("example.com/app", "Foo"),
            "field `name`: `Foo` is not an AC Identifier: `F` is not allowed\nhint: `foo` would be valid",
        ),
        (
            app(r#""environment":[{"name":"A"},{"name":"0B"}]"#),
            "field `app.environment[1].name`: `0B` is not a valid variable name: use letters, \
             digits, `_`, `.` and `-`, starting with a letter or `_`",
        ),
        (
            app(r#""exec":"/bin/sh""#),
            "field `app.exec`: expected a list, found `/bin/sh`",
        ),
        (
            app(r#""ports":[{"name":"web","protocol":"tcp","port":88888}]"#),
            "field `app.ports[0].port`: expected a whole number from 1 to 65535, found `88888`",
        ),
        (
            image(r#""app":{"user":0,"group":"0"}"#),
            "field `app.user`: expected text, found `0`",
        ),
    ] {
        assert_eq!(refused(&text), expected);
    }
}

#[test]
fn labels_that_break_a_rule_are_refused() {
    for labels in [
        r#"[{"name":"name","value":"a"}]"#,
        r#"[{"name":"os","value":"linux"},{"name":"os","value":"linux"}]"#,
        r#"[{"name":"os","value":"linux"},{"name":"arch","value":"arm64"}]"#,
        r#"[{"name":"os","value":"OS/360"}]"#,
        r#"[{"name":"os","value":""}]"#,
        r#"[{"name":"os","value":"linux"},{"name":"arch","value":""}]"#,
        r#"[{"value":"a"}]"#,
        r#"[{"name":"UP","value":"a"}]"#,
        r#"[{"name":"version","value":1}]"#,
        r#"{"version":"1"}"#,
    ] {
        refused(&image(&format!(r#""labels":{labels}"#)));
    }
}

#[test]
fn labels_that_keep_the_rules_are_read() {
    let manifest = read(&image(
        r#""labels":[{"name":"arch","value":"vax"},{"name":"version"}]"#,
    ));
    assert_eq!(manifest.labels.get("arch"), Some("vax"));
    assert_eq!(manifest.labels.get("version"), Some(""));
    for labels in ["[]", "null"] {
        assert!(warnings(&image(&format!(r#""labels":{labels}"#))).is_empty());
    }
}

#[test]
fn annotations_that_break_a_rule_are_refused() {
    for annotations in [
        r#"[{"name":"a","value":"1"},{"name":"a","value":"1"}]"#,
        r#"[{"name":"created","value":"garbage"}]"#,
        r#"[{"name":"created","value":1416015188}]"#,
        r#"[{"name":"homepage","value":"not-A$@#URL"}]"#,
        r#"[{"name":"documentation","value":"ftp://example.com"}]"#,
        r#"[{"name":"homepage"}]"#,
        r#"[{"value":"a"}]"#,
        r#"{"a":"b"}"#,
    ] {
        refused(&image(&format!(r#""annotations":{annotations}"#)));
    }
}

#[test]
fn dependencies_that_break_a_rule_are_refused() {
    for dependency in [
        r#"{}"#.to_owned(),
        r#"{"imageName":""}"#.into(),
        r#"{"imageName":"A"}"#.into(),
        r#"{"imageName":"a","imageID":"sha512-abc"}"#.into(),
        r#"{"imageName":"a","imageID":""}"#.into(),
        r#"{"imageName":"a","size":-1}"#.into(),
        r#"{"imageName":"a","size":"1"}"#.into(),
        r#"{"imageName":"a","labels":[{"name":"name","value":"b"}]}"#.into(),
        format!(
            r#"{{"imageName":"a","imageID":"{}"}}"#,
            some_id().to_uppercase()
        ),
    ] {
        refused(&image(&format!(r#""dependencies":[{dependency}]"#)));
    }
}

#[test]
fn dependencies_are_read_in_their_order() {
    let manifest = read(&image(&format!(
        r#""dependencies":[{{"imageName":"b"}},{{"imageName":"a","imageID":"{}","size":7,"labels":[{{"name":"version","value":"1"}}]}},{{"imageName":"c","size":0}}]"#,
        some_id()
    )));
    let [b, a, c] = &manifest.dependencies[..] else {
        panic!("three were written");
    };
    assert_eq!(
        (b.image_name.as_str(), b.image_id, b.size),
        ("b", None, None)
    );
    assert_eq!(
        (a.image_id.unwrap().to_string(), a.size),
        (some_id(), Some(7))
    );
    assert_eq!(a.labels.get("version"), Some("1"));
    assert_eq!(c.size, None);
}

#[test]
fn relative_white_lists_are_noted() {
    let noted = warnings(&image(r#""pathWhitelist":["/a","etc/b"]"#));
    assert_eq!(
        noted,
        ["field `pathWhitelist`: `etc/b` does not start with `/`; a leading `/` is assumed"]
    );
    refused(&image(r#""pathWhitelist":"/a""#));
}

#[test]
fn apps_that_break_a_rule_are_refused() {
    for fields in [
        r#""exec":"/bin/sh""#,
        r#""exec":[1]"#,
        r#""exec":["a\u0000b"]"#,
        r#""supplementaryGIDs":[-1]"#,
        r#""supplementaryGIDs":[4294967295]"#,
        r#""supplementaryGIDs":["1"]"#,
        r#""eventHandlers":[{"name":"pre-start","exec":["/a"]},{"name":"pre-start","exec":["/b"]}]"#,
        r#""eventHandlers":[{"name":"post-stop","exec":["/a"]},{"name":"pre-start","exec":["/a"]},{"name":"post-stop","exec":["/a"]}]"#,
        r#""eventHandlers":[{"name":"start","exec":["/a"]}]"#,
        r#""eventHandlers":[{"name":"pre-start"}]"#,
        r#""eventHandlers":[{"name":"pre-start","exec":[]}]"#,
        r#""eventHandlers":[{"exec":["/a"]}]"#,
        r#""workingDirectory":"stuff""#,
        r#""workingDirectory":"../home/fred""#,
        r#""environment":[{"name":"A","value":"1"},{"name":"A","value":"2"}]"#,
        r#""environment":[{"name":""}]"#,
        r#""environment":[{"value":"x"}]"#,
        r#""environment":[{"name":"0DEBUG"}]"#,
        r#""environment":[{"name":"VERBOSE|DEBUG"}]"#,
        r#""environment":[{"name":".A"}]"#,
        r#""environment":[{"name":"A","value":1}]"#,
        r#""environment":[{"name":"A","value":"a\u0000b"}]"#,
        r#""mountPoints":[{"path":"/a"}]"#,
        r#""mountPoints":[{"name":"a"}]"#,
        r#""mountPoints":[{"name":"a","path":"b"}]"#,
        r#""mountPoints":[{"name":"a","path":""}]"#,
        r##""mountPoints":[{"name":"#a","path":"/a"}]"##,
        r#""mountPoints":[{"name":"a","path":"/a"},{"name":"a","path":"/b"}]"#,
        r#""mountPoints":[{"name":"a","path":"/a"},{"name":"b","path":"/a/."}]"#,
        r#""mountPoints":[{"name":"a","path":"/a","readOnly":"true"}]"#,
        r#""ports":[{"protocol":"tcp","port":80}]"#,
        r#""ports":[{"name":"a","port":80}]"#,
        r#""ports":[{"name":"a","protocol":"tcp"}]"#,
        r#""ports":[{"name":"a","protocol":"tcp","port":0}]"#,
        r#""ports":[{"name":"a","protocol":"tcp","port":"80"}]"#,
        r#""ports":[{"name":"a","protocol":"tcp","port":32456,"count":45678}]"#,
        r#""ports":[{"name":"a","protocol":"tcp","port":1,"count":18446744073709551615}]"#,
        r#""ports":[{"name":"a","protocol":"tcp","port":65535,"count":2}]"#,
        r#""ports":[{"name":"a","protocol":"tcp","port":1},{"name":"a","protocol":"udp","port":1}]"#,
        r#""userAnnotations":{"a":1}"#,
        r#""userLabels":["a"]"#,
    ] {
        refused(&app(fields));
    }
    for text in [
        "{}",
        r#"{"user":"0"}"#,
        r#"{"group":"0"}"#,
        r#"{"user":"","group":"0"}"#,
        r#"{"user":"0","group":""}"#,
        r#"{"user":0,"group":"0"}"#,
        "[]",
    ] {
        refused(&image(&format!(r#""app":{text}"#)));
    }
}

#[test]
fn apps_that_keep_the_rules_are_read() {
    let manifest = read(&app(
        r#""exec":["/app","arg1"],"supplementaryGIDs":[0,4294967294],
        "eventHandlers":[{"name":"post-stop","exec":["b"]},{"name":"pre-start","exec":["a"]}],
        "workingDirectory":"/tmp",
        "environment":[{"name":"_0_DEBUG_0_","value":"$X"},{"name":"DEBUG.0-1"}],
        "mountPoints":[{"name":"data","path":"/data","readOnly":true}],
        "ports":[{"name":"web","protocol":"tcp","port":32456,"count":100},{"name":"old","protocol":"x","port":65535,"count":0,"socketActivated":true}],
        "userAnnotations":{"Any Key":"b"},"userLabels":{}"#,
    ));
    let app = manifest.app.unwrap();
    assert_eq!(app.exec, ["/app", "arg1"]);
    assert_eq!(app.supplementary_gids, [0, u32::MAX - 1]);
    assert_eq!(app.event_handlers[1].name, app::HandlerName::PreStart);
    assert_eq!(app.working_directory.as_deref(), Some("/tmp"));
    assert_eq!(
        (&*app.environment[0].value, &*app.environment[1].value),
        ("$X", "")
    );
    assert!(app.mount_points[0].read_only);
    assert_eq!((app.ports[0].count, app.ports[1].count), (100, 1));
    assert!(!app.ports[0].socket_activated && app.ports[1].socket_activated);
    assert_eq!(app.user_annotations["Any Key"], "b");
}

#[test]
fn an_app_without_a_program_or_a_directory_is_fine() {
    for fields in [
        "",
        r#""exec":null"#,
        r#""exec":[]"#,
        r#""exec":["relative"]"#,
        r#""workingDirectory":"""#,
    ] {
        assert!(warnings(&app(fields)).is_empty());
    }
    assert!(read(&image(r#""app":null"#)).app.is_none());
}

#[test]
fn the_specifications_own_spelling_of_groups_is_read_with_a_warning() {
    let text = app(r#""supplementaryGids":[400]"#);
    assert_eq!(read(&text).app.unwrap().supplementary_gids, [400]);
    assert_eq!(
        warnings(&text),
        [
            "field `app.supplementaryGids` is read as `supplementaryGIDs`; field names are case-sensitive"
        ]
    );
    let app = read(&image(r#""App":{"Exec":["/a"],"User":"0","Group":"0"}"#)).app;
    assert_eq!(app.unwrap().exec, ["/a"]);
}

#[test]
fn manifests_in_the_format_of_version_0_2_are_named_as_such() {
    for (text, sign) in [
        (
            app(r#""environment":{"A":"b"}"#),
            "its `environment` is an object",
        ),
        (
            app(r#""environment":{"A":"b"}"#).replace("0.8.11", "0.2.0"),
            "its `acVersion` is `0.2.0`",
        ),
        (
            image(r#""dependencies":[{"app":"example.com/base"}]"#),
            "its `dependencies` have `app` for `imageName`",
        ),
        (
            r#"{"acKind":"ContainerRuntimeManifest","acVersion":"0.2.0"}"#.into(),
            "its `acKind` is `ContainerRuntimeManifest`",
        ),
        (
            r#"{"acKind":"AppManifest"}"#.into(),
            "its `acKind` is `AppManifest`",
        ),
    ] {
        let error = refused(&text);
        let expected = format!("this manifest is in the format of version 0.2 ({sign}): field `");
        assert!(error.starts_with(&expected), "{error}");
        assert!(
            error.ends_with("rebuild the image with a current tool"),
            "{error}"
        );
    }
}

#[test]
fn an_old_manifest_that_keeps_todays_rules_is_fine() {
    assert!(warnings(&app(r#""exec":["/a"]"#).replace("0.8.11", "0.2.0")).is_empty());
}

#[test]
fn image_manifests_survive_the_round_trip() {
    for text in [
        image(""),
        image(r#""labels":[{"name":"version","value":"1"},{"name":"os","value":"linux"}]"#),
        image(&format!(
            r#""app":{{"exec":["/a"],"eventHandlers":[{{"name":"pre-start","exec":["/b"]}}],"user":"0","group":"1","supplementaryGIDs":[4],"workingDirectory":"/w","environment":[{{"name":"A","value":""}}],"mountPoints":[{{"name":"m","path":"/m"}},{{"name":"n","path":"/n","readOnly":true}}],"ports":[{{"name":"p","protocol":"tcp","port":1,"count":2,"socketActivated":true}}],"isolators":[{{"name":"resource/memory","value":{{"limit":"1024Mi"}}}},{{"name":"x/y","value":[1.5]}}],"userAnnotations":{{"a":"1","b":"2"}},"userLabels":{{"c":"3"}}}},"annotations":[{{"name":"a","value":"b"}}],"dependencies":[{{"imageName":"d"}},{{"imageName":"e","imageID":"{}","labels":[{{"name":"version","value":"2"}}],"size":9}}],"pathWhitelist":["/a","/b/"]"#,
            some_id()
        )),
    ] {
        assert_eq!(read(&text).to_json().to_string(), text);
    }
}
