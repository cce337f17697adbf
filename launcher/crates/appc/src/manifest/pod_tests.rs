//! Pod manifests: what is refused, what is noted, what is read.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::manifest::tests::{refused, some_id, warnings};

/// A pod manifest with these apps and more fields.
fn pod(apps: &str, fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { "," };
    format!(r#"{{"acVersion":"0.8.11","acKind":"PodManifest","apps":[{apps}]{comma}{fields}}}"#)
}

/// An app with more fields.
fn app(name: &str, fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { "," };
    let id = some_id();
    format!(r#"{{"name":"{name}","image":{{"id":"{id}"}}{comma}{fields}}}"#)
}

fn read(text: &str) -> PodManifest {
    PodManifest::parse(text.as_bytes())
        .unwrap_or_else(|error| panic!("{error}"))
        .value
}

#[test]
fn pods_that_break_a_rule_are_refused() {
    for (text, expected) in [
        (
            r#"{"acKind":"PodManifest","apps":[]}"#.into(),
            "field `acVersion` is missing",
        ),
        (
            r#"{"acKind":"PodManifest","acVersion":"0.8.11"}"#.into(),
            "field `apps` is missing",
        ),
        (pod("{}", ""), "field `apps[0].name` is missing"),
        (
            pod(r#"{"name":"a"}"#, ""),
            "field `apps[0].image` is missing",
        ),
        (
            pod(r#"{"name":"a","image":{"name":"b"}}"#, ""),
            "field `apps[0].image.id` is missing",
        ),
        (
            pod(r#"{"name":"a","image":{"id":"sha512-abc"}}"#, ""),
            "field `apps[0].image.id`: `sha512-abc` is not an image ID: it does not have 128 hexadecimal digits",
        ),
        (
            pod(
                &[app("foo", ""), app("bar", ""), app("foo", "")].join(","),
                "",
            ),
            "field `apps`: `foo` is given twice",
        ),
        (
            pod(
                "",
                r#""volumes":[{"name":"v","kind":"empty"},{"name":"v","kind":"host","source":"/a"}]"#,
            ),
            "field `volumes`: `v` is given twice",
        ),
        (
            pod("", r#""annotations":[{"name":"a"},{"name":"a"}]"#),
            "field `annotations`: annotation `a` is given twice",
        ),
    ] {
        assert_eq!(refused(&text), expected);
    }
    refused(&pod(&app("example.com/a", ""), ""));
    refused(&pod(&app("a", r#""app":{}"#), ""));
    refused(&pod(&app("a", r#""readOnlyRootFS":"true""#), ""));
}

#[test]
fn mounts_that_break_a_rule_are_refused() {
    for mounts in [
        r#"[{"path":"/a"}]"#,
        r#"[{"volume":"v"}]"#,
        r#"[{"volume":"","path":"/a"}]"#,
        r#"[{"volume":"v","path":"a"}]"#,
        r#"[{"volume":"v","path":"/a"},{"volume":"w","path":"//a/"}]"#,
        r#"[{"volume":"v","path":"/a","appVolume":{"name":"v"}}]"#,
        r#"[{"volume":"v","path":"/a","appVolume":{"kind":"empty"}}]"#,
    ] {
        let mounts = format!(r#""mounts":{mounts}"#);
        refused(&pod(
            &app("a", &mounts),
            r#""volumes":[{"name":"v","kind":"empty"}]"#,
        ));
    }
}

#[test]
fn volumes_that_break_a_rule_are_refused() {
    for volume in [
        r##"{"name":"#foobar","kind":"empty"}"##,
        r#"{"kind":"empty"}"#,
        r#"{"name":"v"}"#,
        r#"{"name":"v","kind":"tmpfs"}"#,
        r#"{"name":"v","kind":"host"}"#,
        r#"{"name":"v","kind":"host","source":"tmp"}"#,
        r#"{"name":"v","kind":"host","source":"/tmp","uid":0}"#,
        r#"{"name":"v","kind":"host","source":"/tmp","gid":0}"#,
        r#"{"name":"v","kind":"host","source":"/tmp","mode":"0755"}"#,
        r#"{"name":"v","kind":"host","source":"/tmp","recursive":"MAYBE"}"#,
        r#"{"name":"v","kind":"host","source":"/tmp","readOnly":1}"#,
        r#"{"name":"v","kind":"empty","source":"/tmp"}"#,
        r#"{"name":"v","kind":"empty","recursive":true}"#,
        r#"{"name":"v","kind":"empty","mode":755}"#,
        r#"{"name":"v","kind":"empty","mode":"rwx"}"#,
        r#"{"name":"v","kind":"empty","mode":""}"#,
        r#"{"name":"v","kind":"empty","mode":"+755"}"#,
        r#"{"name":"v","kind":"empty","mode":"99999"}"#,
        r#"{"name":"v","kind":"empty","mode":"10000"}"#,
        r#"{"name":"v","kind":"empty","uid":-1}"#,
        r#"{"name":"v","kind":"empty","gid":4294967295}"#,
    ] {
        refused(&pod("", &format!(r#""volumes":[{volume}]"#)));
    }
}

#[test]
fn ports_that_break_a_rule_are_refused() {
    for port in [
        r#"{"name":"web"}"#,
        r#"{"hostPort":80}"#,
        r#"{"name":"web","hostPort":0}"#,
        r#"{"name":"web","hostPort":99999}"#,
        r#"{"name":"web","hostPort":80,"hostIP":"localhost"}"#,
        r#"{"name":"web","hostPort":80,"hostIP":"1.2.3"}"#,
        r#"{"name":"web","hostPort":80,"podPort":{"name":"web"}}"#,
    ] {
        refused(&pod("", &format!(r#""ports":[{port}]"#)));
    }
    let port =
        r#""app":{"user":"0","group":"0","ports":[{"name":"web","protocol":"tcp","port":80}]}"#;
    assert_eq!(
        refused(&pod(&format!("{},{}", app("a", port), app("b", port)), "")),
        "two apps of the pod have a port `web`"
    );
}

#[test]
fn an_ipv6_address_is_kept_and_noted() {
    let text = pod(
        &app("a", ""),
        r#""ports":[{"name":"web","hostPort":80,"hostIP":"::1"}]"#,
    );
    assert!(read(&text).ports[0].host_ip.unwrap().is_ipv6());
    assert_eq!(
        warnings(&text),
        [
            "field `ports[0].hostIP`: `::1` is an IPv6 address; the specification requires an IPv4 address"
        ]
    );
}

#[test]
fn a_volume_that_is_not_there_is_noted() {
    let mounts = r#""mounts":[{"volume":"v","path":"/a"},{"volume":"w","path":"/b"},
        {"volume":"x","path":"/c","appVolume":{"name":"x","kind":"empty"}}]"#;
    let text = pod(
        &app("web", mounts),
        r#""volumes":[{"name":"w","kind":"empty"}]"#,
    );
    assert_eq!(
        warnings(&text),
        ["app `web` mounts volume `v`, which the pod does not have"]
    );
}

#[test]
fn defaults_are_those_of_the_specification() {
    let manifest = read(&pod(
        &app("a", ""),
        r#""volumes":[{"name":"e","kind":"empty"},{"name":"h","kind":"host","source":"/tmp"}]"#,
    ));
    assert!(!manifest.apps[0].read_only_rootfs && manifest.apps[0].app.is_none());
    let volume = |name| manifest.volume(&AcName::parse(name).unwrap()).unwrap();
    let empty = VolumeKind::Empty {
        mode: 0o755,
        uid: 0,
        gid: 0,
    };
    assert_eq!((&volume("e").kind, volume("e").read_only), (&empty, None));
    let host = VolumeKind::Host {
        source: "/tmp".into(),
        recursive: None,
    };
    assert_eq!(volume("h").kind, host);
}

#[test]
fn pod_manifests_survive_the_round_trip() {
    let id = some_id();
    for text in [
        pod("", ""),
        pod(&app("a", ""), ""),
        format!(
            r#"{{"acVersion":"0.8.11","acKind":"PodManifest","apps":[{{"name":"a","image":{{"name":"example.com/a","id":"{id}","labels":[{{"name":"version","value":"1"}}]}},"app":{{"exec":["/a"],"user":"0","group":"0"}},"readOnlyRootFS":true,"mounts":[{{"volume":"v","path":"/v"}},{{"volume":"w","path":"/w","appVolume":{{"name":"w","kind":"empty","mode":"1777","uid":1,"gid":2,"readOnly":true}}}}],"annotations":[{{"name":"x","value":"y"}}]}}],"volumes":[{{"name":"v","kind":"host","source":"/s","recursive":false,"readOnly":false}}],"isolators":[{{"name":"resource/memory","value":{{"limit":"1G"}}}}],"annotations":[{{"name":"a","value":"b"}}],"ports":[{{"name":"web","hostPort":80,"hostIP":"127.0.0.1","podPort":{{"name":"web","protocol":"tcp","port":8080,"count":1,"socketActivated":false}}}}],"userAnnotations":{{"k":"v"}},"userLabels":{{"l":"w"}}}}"#
        ),
    ] {
        assert_eq!(read(&text).to_json().to_string(), text);
    }
}
