//! `launcher validate`, side by side with the reference implementation of the
//! specification, `actool validate`: agreement, and each chosen difference by name.

mod archives;

use std::path::Path;

use crate::golden::Cases;
use crate::host::{self, Ran, Scratch, call};

/// An image manifest with more fields.
fn image(fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { ", " };
    format!(
        r#"{{"acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.com/app"{comma}{fields}}}"#
    )
}

/// An image manifest whose app has more fields.
fn app(fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { ", " };
    image(&format!(
        r#""app": {{"user": "0", "group": "0"{comma}{fields}}}"#
    ))
}

/// An image manifest whose app has this isolator.
fn isolator(name: &str, value: &str) -> String {
    app(&format!(
        r#""isolators": [{{"name": "{name}", "value": {value}}}]"#
    ))
}

/// A pod manifest of one app, with more fields.
fn pod(fields: &str) -> String {
    let id = format!("sha512-{}", "0123456789abcdef".repeat(8));
    let comma = if fields.is_empty() { "" } else { ", " };
    format!(
        r#"{{"acKind": "PodManifest", "acVersion": "0.8.11", "apps": [{{"name": "a", "image": {{"id": "{id}"}}}}]{comma}{fields}}}"#
    )
}

fn validate(program: &Path, file: &Path) -> Ran {
    call(program).arg("validate").arg(file).run()
}

/// All that was said of a file.
fn verdict(ran: Ran, file: &Path) -> String {
    let ran = ran.naming("FILE", file);
    ran.output() + &ran.told()
}

/// Compares both programs' verdicts on texts with what is expected of each, and
/// what ours says with what stands under a title.
#[track_caller]
fn compare(title: &str, texts: &[(&str, String)], ours: bool, theirs: bool) {
    let mut cases = Cases::default();
    let scratch = Scratch::new();
    let actool = host::find_tool("actool");
    for (name, text) in texts {
        let file = scratch.write("manifest", text);
        let ran = validate(&host::program(), &file);
        assert_eq!(ran.succeeded(), ours, "{name}: {text}\n{ran:?}");
        cases.add(name, &verdict(ran, &file));
        if let Some(actool) = &actool {
            // It stops with a panic at some faults, which also counts as no.
            let ran = validate(actool, &file);
            assert_eq!(ran.succeeded(), theirs, "{name}: {text}\n{ran:?}");
        }
    }
    cases.as_written(title);
    if actool.is_none() {
        host::skipped("the other half needs `actool`; see `cargo xtask setup`");
    }
}

#[test]
fn both_refuse_manifests_that_break_the_specification() {
    let long = "9".repeat(30);
    compare(
        "both refuse manifests that break the specification",
        &[
            ("no JSON", "asdf".into()),
            ("HTML", "<html></html>".into()),
            ("text behind it", image("") + "x"),
            ("byte order mark", format!("\u{feff}{}", image(""))),
            ("a list", "[]".into()),
            ("no kind", "{}".into()),
            ("kind", image("").replace("ImageManifest", "Foo")),
            (
                "old kind",
                image("").replace("ImageManifest", "AppManifest"),
            ),
            ("version zero", image("").replace("0.8.11", "0.0.0")),
            ("version of two numbers", image("").replace("0.8.11", "0.8")),
            ("version with a v", image("").replace("0.8.11", "v0.8.11")),
            ("name empty", image("").replace("example.com/app", "")),
            (
                "name with capitals",
                image("").replace("example", "Example"),
            ),
            ("name edge", image("").replace("example", "-example")),
            (
                "label called name",
                image(r#""labels": [{"name": "name", "value": "a"}]"#),
            ),
            (
                "label twice",
                image(r#""labels": [{"name": "a", "value": "b"}, {"name": "a", "value": "b"}]"#),
            ),
            (
                "os unknown",
                image(r#""labels": [{"name": "os", "value": "OS/360"}]"#),
            ),
            (
                "arch unknown",
                image(
                    r#""labels": [{"name": "os", "value": "linux"}, {"name": "arch", "value": "arm64"}]"#,
                ),
            ),
            (
                "arch empty",
                image(
                    r#""labels": [{"name": "os", "value": "linux"}, {"name": "arch", "value": ""}]"#,
                ),
            ),
            (
                "annotation twice",
                image(
                    r#""annotations": [{"name": "a", "value": "b"}, {"name": "a", "value": "b"}]"#,
                ),
            ),
            (
                "created",
                image(r#""annotations": [{"name": "created", "value": "yesterday"}]"#),
            ),
            (
                "homepage",
                image(r#""annotations": [{"name": "homepage", "value": "ftp://a"}]"#),
            ),
            (
                "dependency without a name",
                image(r#""dependencies": [{"app": "a"}]"#),
            ),
            (
                "dependency ID",
                image(r#""dependencies": [{"imageName": "a", "imageID": "sha256-00"}]"#),
            ),
            (
                "dependency size",
                image(r#""dependencies": [{"imageName": "a", "size": -1}]"#),
            ),
            ("app without user and group", image(r#""app": {}"#)),
            ("user empty", image(r#""app": {"user": "", "group": "0"}"#)),
            (
                "user a number",
                image(r#""app": {"user": 0, "group": "0"}"#),
            ),
            ("exec text", app(r#""exec": "/bin/sh""#)),
            (
                "handler twice",
                app(
                    r#""eventHandlers": [{"name": "pre-start", "exec": ["/a"]}, {"name": "pre-start", "exec": ["/a"]}]"#,
                ),
            ),
            (
                "handler",
                app(r#""eventHandlers": [{"name": "start", "exec": ["/a"]}]"#),
            ),
            ("working directory", app(r#""workingDirectory": "stuff""#)),
            ("environment an object", app(r#""environment": {"A": "b"}"#)),
            (
                "variable",
                app(r#""environment": [{"name": "0DEBUG", "value": "true"}]"#),
            ),
            (
                "variable twice",
                app(r#""environment": [{"name": "A", "value": "b"}, {"name": "A", "value": "b"}]"#),
            ),
            (
                "mount point name",
                app(r##""mountPoints": [{"name": "#a", "path": "/a"}]"##),
            ),
            (
                "port 0",
                app(r#""ports": [{"name": "a", "protocol": "tcp", "port": 0}]"#),
            ),
            (
                "port 88888",
                app(r#""ports": [{"name": "a", "protocol": "tcp", "port": 88888}]"#),
            ),
            (
                "port 80.0",
                app(r#""ports": [{"name": "a", "protocol": "tcp", "port": 80.0}]"#),
            ),
            (
                "ports beyond the end",
                app(
                    r#""ports": [{"name": "a", "protocol": "tcp", "port": 32456, "count": 45678}]"#,
                ),
            ),
            ("user labels", app(r#""userLabels": {"a": 1}"#)),
            (
                "cpu quantity",
                isolator("resource/cpu", r#"{"limit": "such garbage"}"#),
            ),
            (
                "memory of one K",
                isolator("resource/memory", r#"{"limit": "1K"}"#),
            ),
            (
                "memory default",
                isolator("resource/memory", r#"{"default": true, "limit": "1G"}"#),
            ),
            ("memory null", isolator("resource/memory", "null")),
            (
                "bandwidth default",
                isolator("resource/network-bandwidth", r#"{"limit": "1G"}"#),
            ),
            (
                "bandwidth request",
                isolator(
                    "resource/block-bandwidth",
                    r#"{"default": true, "request": "1G", "limit": "1G"}"#,
                ),
            ),
            (
                "retain nothing",
                isolator("os/linux/capabilities-retain-set", r#"{"set": []}"#),
            ),
            (
                "no new privileges",
                isolator("os/linux/no-new-privileges", r#""true""#),
            ),
            (
                "errno",
                isolator(
                    "os/linux/seccomp-retain-set",
                    r#"{"set": ["chmod"], "errno": "eperm"}"#,
                ),
            ),
            ("shares", isolator("os/linux/cpu-shares", "1")),
            (
                "shares beyond all numbers",
                isolator("os/linux/cpu-shares", &long),
            ),
            ("OOM score", isolator("os/linux/oom-score-adj", "-2500")),
            (
                "SELinux role",
                isolator(
                    "os/linux/selinux-context",
                    r#"{"user": "a", "role": "b:c", "type": "d", "level": "e"}"#,
                ),
            ),
            (
                "volume kind",
                pod(r#""volumes": [{"name": "v", "kind": "tmpfs"}]"#),
            ),
            (
                "volume source",
                pod(r#""volumes": [{"name": "v", "kind": "host", "source": "tmp"}]"#),
            ),
            (
                "volume mode a number",
                pod(r#""volumes": [{"name": "v", "kind": "empty", "mode": 755}]"#),
            ),
            (
                "volume twice",
                pod(
                    r#""volumes": [{"name": "v", "kind": "empty"}, {"name": "v", "kind": "empty"}]"#,
                ),
            ),
            (
                "pod annotation twice",
                pod(r#""annotations": [{"name": "a", "value": "b"}, {"name": "a", "value": "b"}]"#),
            ),
        ],
        false,
        false,
    );
}

#[test]
fn both_accept_manifests_that_keep_the_specification() {
    compare(
        "both accept manifests that keep the specification",
        &[
            ("the least", image("")),
            ("blanks around it", format!("\n {}\n\n", image(""))),
            (
                "version with build data",
                image("").replace("0.8.11", "0.8.11-rc1+git"),
            ),
            ("old version", image("").replace("0.8.11", "0.1.0")),
            ("unknown field", image(r#""comment": "hello""#)),
            (
                "fields in other case",
                image("").replace("acKind", "ACKIND"),
            ),
            ("field twice", image(r#""name": "example.com/other""#)),
            (
                "a home directory in the name",
                image("").replace("com/", "com/~bob/"),
            ),
            (
                "nulls",
                image(r#""labels": null, "app": null, "dependencies": null"#),
            ),
            (
                "arch without os",
                image(r#""labels": [{"name": "arch", "value": ""}]"#),
            ),
            (
                "label without a value",
                image(r#""labels": [{"name": "a"}]"#),
            ),
            (
                "annotations",
                image(
                    r#""annotations": [{"name": "created", "value": "2004-05-14T23:11:14.5-08:00"}, {"name": "homepage", "value": "HTTP://a"}]"#,
                ),
            ),
            ("relative white list", image(r#""pathWhitelist": ["a"]"#)),
            (
                "separators in a row",
                image("").replace("com/app", "com/some--app..old"),
            ),
            (
                "separators in a row, of an app",
                app(
                    r#""mountPoints": [{"name": "a--b", "path": "/a"}], "ports": [{"name": "c---d", "protocol": "tcp", "port": 80}]"#,
                ),
            ),
            (
                "dependency",
                image(r#""dependencies": [{"imageName": "a", "size": 1}]"#),
            ),
            ("app without exec", app("")),
            ("relative exec", app(r#""exec": ["sh"]"#)),
            (
                "groups as the specification writes them",
                app(r#""supplementaryGids": [400]"#),
            ),
            (
                "working directory out of the image",
                app(r#""workingDirectory": "/../x""#),
            ),
            (
                "variable without a value",
                app(r#""environment": [{"name": "DEBUG.0-1"}]"#),
            ),
            (
                "no ports at all",
                app(r#""ports": [{"name": "a", "protocol": "x", "port": 80, "count": 0}]"#),
            ),
            (
                "memory",
                isolator("resource/memory", r#"{"request": " 1G ", "limit": "2Gi"}"#),
            ),
            (
                "cpu as a number",
                isolator("resource/cpu", r#"{"limit": 0.5}"#),
            ),
            (
                "more requested than allowed",
                isolator("resource/cpu", r#"{"request": "2", "limit": "1"}"#),
            ),
            ("memory of nothing", isolator("resource/memory", "{}")),
            (
                "a capability that nobody has",
                isolator(
                    "os/linux/capabilities-retain-set",
                    r#"{"set": ["CAP_PONIES"]}"#,
                ),
            ),
            (
                "sysctl of an app",
                isolator("os/unix/sysctl", r#"{"kernel.hostname": "a"}"#),
            ),
            ("pod", pod("")),
            (
                "volumes",
                pod(
                    r#""volumes": [{"name": "v", "kind": "empty", "mode": "1777"}, {"name": "w", "kind": "host", "source": "/tmp", "recursive": false}]"#,
                ),
            ),
            (
                "unknown isolator of a pod",
                pod(r#""isolators": [{"name": "a/b", "value": {}}]"#),
            ),
        ],
        true,
        true,
    );
}

#[test]
fn what_only_the_specification_refuses_is_refused() {
    compare(
        "what only the specification refuses is refused",
        &[
            // The grammar of names has no doubled separators; `..` is one.
            ("doubled separator", image("").replace("com/", "com//")),
            ("way out in a name", image("").replace("com/", "com/../")),
            // Semantic Versioning 2.0.0.
            ("leading zero", image("").replace("0.8.11", "0.08.11")),
            ("empty prerelease", image("").replace("0.8.11", "0.8.11-")),
            // Compatibility is by major version.
            ("other major version", image("").replace("0.8.11", "1.0.0")),
            // An image ID is a SHA-512.
            (
                "short ID",
                image(r#""dependencies": [{"imageName": "a", "imageID": "sha512-abc"}]"#),
            ),
            (
                "label without a name",
                image(r#""labels": [{"value": "a"}]"#),
            ),
            (
                "annotation without a name",
                image(r#""annotations": [{"value": "a"}]"#),
            ),
            (
                "mount point without a name",
                app(r#""mountPoints": [{"path": "/a"}]"#),
            ),
            (
                "mount point without a path",
                app(r#""mountPoints": [{"name": "a"}]"#),
            ),
            (
                "relative mount point",
                app(r#""mountPoints": [{"name": "a", "path": "a"}]"#),
            ),
            (
                "mount point twice",
                app(r#""mountPoints": [{"name": "a", "path": "/a"}, {"name": "a", "path": "/b"}]"#),
            ),
            ("negative group", app(r#""supplementaryGIDs": [-1]"#)),
            (
                "handler without exec",
                app(r#""eventHandlers": [{"name": "pre-start"}]"#),
            ),
            (
                "port without a name",
                app(r#""ports": [{"protocol": "tcp", "port": 80}]"#),
            ),
            (
                "a count that overflows",
                app(
                    r#""ports": [{"name": "a", "protocol": "tcp", "port": 1, "count": 18446744073709551615}]"#,
                ),
            ),
            (
                "negative limit",
                isolator("resource/memory", r#"{"limit": "-1"}"#),
            ),
            (
                "both capability sets",
                app(
                    r#""isolators": [{"name": "os/linux/capabilities-retain-set", "value": {"set": ["CAP_KILL"]}},
                    {"name": "os/linux/capabilities-remove-set", "value": {"set": ["CAP_KILL"]}}]"#,
                ),
            ),
            // No program can be given one.
            ("NUL in an argument", app(r#""exec": ["/a", "\u0000"]"#)),
            (
                "pod without a version",
                pod("").replace(r#""acVersion": "0.8.11", "#, ""),
            ),
            (
                "pod without apps",
                r#"{"acKind": "PodManifest", "acVersion": "0.8.11"}"#.into(),
            ),
            (
                "pod app without a name",
                pod("").replace(r#""name": "a", "#, ""),
            ),
            (
                "volume mode",
                pod(r#""volumes": [{"name": "v", "kind": "empty", "mode": "rwx"}]"#),
            ),
            (
                "host port",
                pod(r#""ports": [{"name": "a", "hostPort": 99999}]"#),
            ),
        ],
        false,
        true,
    );
}

#[test]
fn what_only_the_reference_implementation_refuses_is_accepted() {
    compare(
        "what only the reference implementation refuses is accepted",
        &[
            // The specification lets executors ignore what they do not know.
            ("unknown isolator", isolator("resource/ponies", "{}")),
            // Younger than the reference implementation that distributions have.
            (
                "AppArmor",
                isolator("os/linux/apparmor-profile", r#"{"profile": "a"}"#),
            ),
        ],
        true,
        false,
    );
}

#[test]
fn every_file_gets_its_line_and_warnings_go_elsewhere() {
    let scratch = Scratch::new();
    let sound = scratch.write("sound", image(""));
    let odd = scratch.write("odd", image(r#""comment": 1"#));
    let bad = scratch.write("bad", image("").replace("example", "Example"));
    let none = scratch.join("none");
    let ran = call(&host::program())
        .arg("validate")
        .args([&sound, &bad, &none, &odd])
        .run();
    ran.exits(1)
        .naming("SOUND", &sound)
        .naming("BAD", &bad)
        .naming("NONE", &none)
        .naming("ODD", &odd)
        .says_as("what is said of every file")
        .complains_as("what is said elsewhere");
}

#[test]
fn all_faults_of_a_manifest_are_told() {
    let mut cases = Cases::default();
    let scratch = Scratch::new();
    for (name, text) in [
        (
            "an image",
            app(
                r#""exec": [1, "/a", 2], "workingDirectory": "x",
                "environment": [{"name": "0A", "value": "b"}, {"name": "A", "value": 1}, {"value": "b"}],
                "isolators": [{"name": "resource/memory", "value": {"limit": "1K"}},
                    {"name": "os/linux/cpu-shares", "value": 1}]"#,
            )
            .replace("example", "Example")
            .replace(r#""group": "0","#, ""),
        ),
        (
            "a pod",
            pod(r#""volumes": [{"name": "v", "kind": "tmpfs"}, {"name": "V", "kind": "empty"}]"#)
                .replace("0.8.11", "v0.8.11"),
        ),
        (
            "an old one",
            image(r#""labels": [{"value": "a"}]"#).replace("0.8.11", "0.1.0"),
        ),
    ] {
        let file = scratch.write("manifest", text);
        let ran = validate(&host::program(), &file).exits(1);
        cases.add(name, &verdict(ran, &file));
    }
    cases.as_written("all faults of a manifest");
}

#[test]
fn without_files_it_is_used_wrongly() {
    let ran = call(&host::program()).arg("validate").run();
    ran.exits(2).complains_as("no files");
}

#[test]
fn a_named_pipe_does_not_hang_it() {
    let scratch = Scratch::new();
    let pipe = scratch.join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).unwrap();
    validate(&host::program(), &pipe)
        .exits(1)
        .naming("PIPE", &pipe)
        .says_as("a named pipe");
}
