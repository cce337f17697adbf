//! Pod manifests that somebody wrote, run as they are.

use std::fmt::Write as _;

use super::Said::{Has, Is};
use super::{BOTH, Said, Table};
use crate::host;

/// Words of the probe, other keys of the app, keys of the pod beside its apps;
/// what is said.
struct Row<'t> {
    claim: &'t str,
    words: &'t [&'t str],
    app: &'t str,
    mounts: &'t str,
    volumes: &'t str,
    said: Said<'t>,
}

/// An app as which nobody in particular runs, and nothing is mounted.
const PLAIN: Row<'_> = Row {
    claim: "",
    words: &[],
    app: ROOT,
    mounts: "",
    volumes: "",
    said: Is(""),
};

const ROOT: &str = r#""user": "0", "group": "0""#;
const POINT: &str = r#""user": "0", "group": "0", "mountPoints": [{"name": "v", "path": "/v"}]"#;
const POINT_RO: &str = r#""user": "0", "group": "0",
    "mountPoints": [{"name": "v", "path": "/v", "readOnly": true}]"#;
const MOUNT: &str = r#"{"volume": "v", "path": "/v"}"#;
const EMPTY: &str = r#"{"name": "v", "kind": "empty", "mode": "0755", "uid": 0, "gid": 0}"#;
const HOST: &str = r#"{"name": "v", "kind": "host", "source": "HERE/v"}"#;
const HOST_RO: &str = r#"{"name": "v", "kind": "host", "source": "HERE/v", "readOnly": true}"#;
const HOST_RW: &str = r#"{"name": "v", "kind": "host", "source": "HERE/v", "readOnly": false}"#;
const WRITE: &[&str] = &["--write-file", "/v/new", "x"];
const WRITTEN: Said<'_> = Is("write /v/new: ok\n");
const REFUSED: Said<'_> = Is("write /v/new: EROFS\n");
const WHO: &[&str] = &["--report-only", "uid", "--report-only", "gid"];
const NUMBERS: Said<'_> = Is("uid 1000,1000,1000,1000\ngid 100,100,100,100\n");

/// Rows in which nothing is mounted.
const APPS: &[(&str, &[&str], &str, Said<'_>)] = &[
    (
        "quotes in a word",
        &["--stdout", r#"a "b" 'c'"#],
        ROOT,
        Is("a \"b\" 'c'\n"),
    ),
    (
        "line breaks in a word",
        &["--stdout", "a\nb"],
        ROOT,
        Is("a\nb\n"),
    ),
    ("an empty word", &["--stdout", ""], ROOT, Is("\n")),
    (
        "dollars and backslashes in a word",
        &["--stdout", r"$A \n %s"],
        ROOT,
        Is("$A \\n %s\n"),
    ),
    (
        "a variable",
        &["--report-only", "environment"],
        r#""user": "0", "group": "0", "environment": [{"name": "A", "value": "pod"}]"#,
        Has("environment A=pod"),
    ),
    (
        "where it starts, unless said otherwise",
        &["--report-only", "directory"],
        ROOT,
        Is("directory /\n"),
    ),
    (
        "where it starts",
        &["--report-only", "directory"],
        r#""user": "0", "group": "0", "workingDirectory": "/dir1""#,
        Is("directory /dir1\n"),
    ),
    (
        "numbers of users",
        WHO,
        r#""user": "1000", "group": "100""#,
        NUMBERS,
    ),
    (
        "names of users",
        WHO,
        r#""user": "user1", "group": "group1""#,
        NUMBERS,
    ),
    (
        "files of users",
        WHO,
        r#""user": "/owned", "group": "/owned""#,
        NUMBERS,
    ),
    (
        "other groups",
        &["--report-only", "groups"],
        r#""user": "0", "group": "0", "supplementaryGIDs": [400, 500]"#,
        Is("groups 400,500\n"),
    ),
    (
        "capabilities that are retained",
        &["--report-only", "bounding"],
        r#""user": "0", "group": "0", "isolators": [
            {"name": "os/linux/capabilities-retain-set", "value": {"set": ["CAP_KILL"]}}]"#,
        Is("bounding 0000000000000020\n"),
    ),
    (
        "capabilities that are removed",
        &["--report-only", "bounding"],
        r#""user": "0", "group": "0", "isolators": [
            {"name": "os/linux/capabilities-remove-set", "value": {"set": ["CAP_KILL"]}}]"#,
        Is("bounding 00000000a80425db\n"),
    ),
    (
        "no new privileges",
        &["--report-only", "no-new-privileges"],
        r#""user": "0", "group": "0", "isolators": [
            {"name": "os/linux/no-new-privileges", "value": true}]"#,
        Is("no-new-privileges 1\n"),
    ),
];

/// Rows of one volume: keys of the app, mounts, volume, what writing to it gives.
const VOLUMES: &[(&str, &str, &str, &str, Said<'_>)] = &[
    ("empty", ROOT, MOUNT, EMPTY, WRITTEN),
    ("empty, a point", POINT, MOUNT, EMPTY, WRITTEN),
    ("empty, a point of the name", POINT, "", EMPTY, WRITTEN),
    (
        "empty, a point that is read",
        POINT_RO,
        MOUNT,
        EMPTY,
        REFUSED,
    ),
    ("of the host", ROOT, MOUNT, HOST, WRITTEN),
    ("of the host, a point", POINT, MOUNT, HOST, WRITTEN),
    (
        "of the host, a point that is read",
        POINT_RO,
        MOUNT,
        HOST,
        REFUSED,
    ),
    ("that is read", ROOT, MOUNT, HOST_RO, REFUSED),
    ("that is read, a point", POINT, MOUNT, HOST_RO, REFUSED),
    (
        "that is read, a point too",
        POINT_RO,
        MOUNT,
        HOST_RO,
        REFUSED,
    ),
    ("that is written to", ROOT, MOUNT, HOST_RW, WRITTEN),
    (
        "that is written to, a point",
        POINT,
        MOUNT,
        HOST_RW,
        WRITTEN,
    ),
    (
        "that is written to, a point that is read",
        POINT_RO,
        MOUNT,
        HOST_RW,
        REFUSED,
    ),
];

/// The manifest of a pod with this app as often as there are lists of words.
fn manifest(row: &Row<'_>, words: &[&[&str]]) -> String {
    let mut apps = String::new();
    for (index, words) in words.iter().enumerate() {
        let exec = [&["/probe"], *words].concat();
        let comma = if index > 0 { ", " } else { "" };
        write!(
            apps,
            r#"{comma}{{"name": "app-{index}", "image": {{"name": "example.com/app"}},
                "app": {{"exec": {exec:?}, {}}}, "mounts": [{}]}}"#,
            row.app, row.mounts
        )
        .unwrap();
    }
    let volumes = row.volumes;
    format!(
        r#"{{"acVersion": "0.8.11", "acKind": "PodManifest", "apps": [{apps}],
            "volumes": [{volumes}]}}"#
    )
}

/// A table whose image is in its store.
fn table() -> Table {
    let table = Table::new(&[("app", r#"{"exec": ["/probe"], "user": "0", "group": "0"}"#)]);
    let table = table.file("v/file", "");
    let fetched = host::launcher(&table.scratch.join("dir"))
        .args(["run", &table.filled("HERE/app.aci"), "--", "--stdout", ""])
        .run();
    fetched.exits(0);
    table
}

#[track_caller]
fn check(table: &Table, row: &Row<'_>, words: &[&[&str]]) {
    let text = table.filled(&manifest(row, words));
    table.scratch.write("pod.json", text);
    // Its images are named, and stored as files.
    let line = "--insecure-options=image --pod-manifest HERE/pod.json";
    table.check(BOTH, &[(row.claim, line, 0, row.said, "")]);
}

#[test]
fn apps_are_what_the_manifest_says() {
    require_root!();
    let table = table();
    for &(claim, words, app, said) in APPS {
        let row = Row {
            claim,
            words,
            app,
            said,
            ..PLAIN
        };
        check(&table, &row, &[row.words]);
    }
}

#[test]
fn volumes_are_written_to_unless_anybody_says_otherwise() {
    require_root!();
    let table = table();
    for &(claim, app, mounts, volumes, said) in VOLUMES {
        let row = Row {
            claim,
            words: WRITE,
            app,
            mounts,
            volumes,
            said,
        };
        check(&table, &row, &[row.words]);
    }
    let shared = Row {
        claim: "one writes, the other reads",
        mounts: MOUNT,
        volumes: EMPTY,
        said: Is("write /v/new: ok\nx"),
        ..PLAIN
    };
    check(
        &table,
        &shared,
        &[WRITE, &["--sleep", "1", "--read-file", "/v/new"]],
    );
}

#[test]
fn a_pod_without_apps_is_refused() {
    require_root!();
    let table = table();
    table.scratch.write("pod.json", manifest(&PLAIN, &[]));
    // Its images are named, and stored as files.
    let line = "--insecure-options=image --pod-manifest HERE/pod.json";
    table.check(BOTH, &[("no app", line, 125, Is(""), "no apps")]);
}
