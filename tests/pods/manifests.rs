//! Pod manifests that somebody wrote, run as they are.

use super::Pods;
use crate::claims;
use crate::golden::Cases;
use crate::host;

/// Stores the probe, and returns its ID.
fn stored(pods: &Pods) -> String {
    pods.run(&["PROBE", "--", "--stdout", ""]).run().exits(0);
    let images = std::fs::read_dir(pods.dir().join("images")).unwrap();
    let names = images.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.last().unwrap()
}

/// Writes a manifest with these apps and volumes.
fn manifest(pods: &Pods, apps: &str, more: &str) {
    let apps = apps.replace(
        "IMAGE",
        &format!(r#""image": {{"id": "{}"}}"#, stored(pods)),
    );
    pods.0.write(
        "pod.json",
        format!(r#"{{"acVersion": "0.8.11", "acKind": "PodManifest", "apps": [{apps}]{more}}}"#),
    );
}

fn run(pods: &Pods, options: &[&str]) -> host::Ran {
    let words = [options, &["--pod-manifest", "HERE/pod.json"]].concat();
    pods.run(&words).run()
}

const REPORT: &str = r#""exec": ["/probe", "--report-only", "FIELD"], "user": "0", "group": "0""#;

#[test]
fn a_manifest_that_cannot_be_run_is_refused() {
    require_root!();
    let pods = Pods::new();
    let none = format!("sha512-{}", "0".repeat(128));
    let file = pods.0.join("pod.json");
    let mut cases = Cases::default();
    for apps in [
        "",
        r#"{"name": "a", "image": {"id": "NONE", "name": "example.com/x"}}"#,
        r#"{"name": "a", "image": {"name": "example.com/x"}}"#,
        r#"{"name": "a", "image": {"name": "nosecone.net/example/probe", "labels": [{"name": "version", "value": "2"}]}}"#,
        r#"{"name": "a", IMAGE, "mounts": [{"volume": "v", "path": "/v"}]}"#,
        r#"{"name": "a", IMAGE, "app": {"exec": [], "user": "0", "group": "0"}}"#,
        r#"{"name": "a", IMAGE, "app": {"exec": ["/x"], "user": "web", "group": "0"}}"#,
    ] {
        manifest(&pods, &apps.replace("NONE", &none), "");
        let ran = run(&pods, &[]).exits(125).says("");
        let ran = ran.naming("NONE", &none).naming("FILE", &file);
        cases.add(format!("the apps [{apps}]"), &ran.told());
    }
    cases.as_written("a manifest that cannot be run is refused");
}

#[test]
fn an_app_of_a_manifest_stands_for_the_images_as_a_whole() {
    require_root!();
    let pods = Pods::new();
    for (app, has) in [
        (String::new(), true),
        (
            format!(r#", "app": {{{}}}"#, REPORT.replace("FIELD", "environment")),
            false,
        ),
    ] {
        manifest(&pods, &format!(r#"{{"name": "a", IMAGE{app}}}"#), "");
        let ran = run(&pods, &[]).exits(0).complains("");
        claims::has_line(&ran.stdout, "environment AC_APP_NAME=a");
        let line = "environment PROBE=from the image";
        assert_eq!(ran.stdout.lines().any(|each| each == line), has);
    }
}

#[test]
fn an_image_is_found_by_its_name_where_its_id_is_left_out() {
    require_root!();
    let pods = Pods::new();
    let labels = r#""labels": [{"name": "version", "value": "1.0.0"}]"#;
    let image = format!(r#""image": {{"name": "nosecone.net/example/probe", {labels}}}"#);
    manifest(&pods, &format!(r#"{{"name": "a", {image}}}"#), "");
    let ran = run(&pods, &["--insecure-options=image"]);
    let ran = ran.exits(0).complains("");
    claims::has_line(&ran.stdout, "environment AC_APP_NAME=a");
}

#[test]
fn words_arrive_as_they_were_written() {
    require_root!();
    let pods = Pods::new();
    for word in [r"a 'b'", r#"\"c\""#, r"d\ne", r"\u00fc $f \\"] {
        let app = format!(
            r#"{{"name": "a", IMAGE, "app": {{"exec": ["/probe", "--stdout", "{word}"], "user": "0", "group": "0"}}}}"#
        );
        manifest(&pods, &app, "");
        let plain = word
            .replace(r"\n", "\n")
            .replace(r#"\""#, "\"")
            .replace(r"\u00fc", "ü")
            .replace(r"\\", r"\");
        run(&pods, &[])
            .exits(0)
            .complains("")
            .says(&format!("{plain}\n"));
    }
}

#[test]
fn apps_of_a_manifest_share_its_volumes_and_some_only_read() {
    require_root!();
    let pods = Pods::new();
    let app = |name: &str, words: &str, more: &str| {
        let words: Vec<_> = words.split(' ').collect();
        format!(
            r#"{{"name": "{name}", IMAGE, "app": {{"exec": {words:?}, "user": "0", "group": "0"
                {more}, "mounts": [{{"volume": "v", "path": "/v"}}]}}"#
        )
    };
    let point = r#", "mountPoints": [{"name": "x", "path": "/v", "readOnly": true}]}"#;
    let apps = [
        app(
            "writer",
            "/probe --write-file /v/file text --write-file /new x",
            r#"}, "readOnlyRootFS": true"#,
        ),
        app(
            "reader",
            "/probe --sleep 1 --read-file /v/file --write-file /v/file x",
            point,
        ),
    ];
    let volumes =
        r#", "volumes": [{"name": "v", "kind": "empty", "mode": "0755", "uid": 0, "gid": 0}]"#;
    manifest(&pods, &apps.join(", "), volumes);
    run(&pods, &[])
        .exits(0)
        .complains("")
        .says("write /v/file: ok\nwrite /new: EROFS\ntextwrite /v/file: EROFS\n");
}

#[test]
fn volumes_can_still_be_given_on_the_command_line() {
    require_root!();
    let pods = Pods::new();
    manifest(
        &pods,
        r#"{"name": "a", IMAGE, "app": {"exec": ["/probe", "--list", "/v"], "user": "0", "group": "0"},
            "mounts": [{"volume": "v", "path": "/v"}]}"#,
        "",
    );
    run(&pods, &["--volume", "v,kind=empty"])
        .exits(0)
        .says("")
        .complains_as("volumes can still be given on the command line");
}

#[test]
fn a_volume_of_an_app_overrides_the_pods_of_its_name() {
    require_root!();
    let pods = Pods::new();
    pods.make(&[("own/mine", ""), ("pods/theirs", "")]);
    let here = pods.0.path().display().to_string();
    let own = format!(
        r#"{{"name": "a", IMAGE, "app": {{"exec": ["/probe", "--list", "/v"], "user": "0", "group": "0"}},
            "mounts": [{{"volume": "v", "path": "/v",
                "appVolume": {{"name": "v", "kind": "host", "source": "{here}/own"}}}}]}},
            {{"name": "b", IMAGE, "app": {{"exec": ["/probe", "--sleep", "1", "--list", "/v"], "user": "0", "group": "0"}},
            "mounts": [{{"volume": "v", "path": "/v"}}]}}"#
    );
    let volumes =
        format!(r#", "volumes": [{{"name": "v", "kind": "host", "source": "{here}/pods"}}]"#);
    manifest(&pods, &own, &volumes);
    run(&pods, &[])
        .exits(0)
        .complains("")
        .says("mine\ntheirs\n");
}

#[test]
fn what_a_manifest_asks_for_in_vain_is_said() {
    require_root!();
    let pods = Pods::new();
    let app = format!(
        r#"{{"name": "a", IMAGE, "app": {{{}}}}}"#,
        REPORT.replace("FIELD", "pid")
    );
    let more = r#", "volumes": [{"name": "v", "kind": "empty"}],
        "ports": [{"name": "web", "hostPort": 8080}]"#;
    manifest(&pods, &app, more);
    run(&pods, &[])
        .exits(0)
        .complains_as("what a manifest asks for in vain is said");
}

#[test]
fn a_plan_of_a_manifest_needs_its_images_in_the_store() {
    require_root!();
    let pods = Pods::new();
    manifest(&pods, r#"{"name": "a", IMAGE}"#, "");
    let words = ["plan", "--pod-manifest", "HERE/pod.json"];
    let plan = pods.call(&words).run().exits(0).complains("").stdout;
    claims::has_line(
        &plan,
        &format!("{:<47} # image nosecone.net/example/probe", "app a"),
    );
    std::fs::remove_dir_all(pods.dir()).unwrap();
    pods.call(&words)
        .run()
        .exits(1)
        .naming("DIR", pods.dir())
        .complains_as("a plan of a manifest needs its images in the store");
    assert!(!pods.dir().exists());
}
