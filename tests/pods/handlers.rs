//! Event handlers: they run as the app does, before it and after it.

use super::Pods;
use crate::aci::{Aci, manifest};
use crate::host;

/// An image of the probe with these handlers, run as user 7 and group 8.
fn probe(pods: &Pods, pre_start: &str, post_stop: &str) {
    let handlers: Vec<_> = [("pre-start", pre_start), ("post-stop", post_stop)]
        .iter()
        .filter(|(_, words)| !words.is_empty())
        .map(|(name, words)| {
            let words: Vec<_> = words.split(' ').collect();
            format!(r#"{{"name": "{name}", "exec": {words:?}}}"#)
        })
        .collect();
    let app = format!(
        r#"{{"exec": ["/probe"], "user": "7", "group": "8", "supplementaryGIDs": [9],
            "workingDirectory": "/work", "environment": [{{"name": "A", "value": "1"}}],
            "eventHandlers": [{}]}}"#,
        handlers.join(", ")
    );
    let bytes = Aci::new(&manifest(&app))
        .file("rootfs/probe", 0o755, std::fs::read(host::probe()).unwrap())
        .dir("rootfs/work")
        .bytes();
    pods.0.write("app.aci", bytes);
}

#[test]
fn an_app_whose_pre_start_handler_fails_is_not_started() {
    require_root!();
    let pods = Pods::new();
    probe(
        &pods,
        "/probe --stdout before --exit-code 4",
        "/probe --stdout after",
    );
    pods.run(&["HERE/app.aci", "--", "--stdout", "main"])
        .run()
        .exits(4)
        .says("before\n")
        .complains_as("an app whose pre start handler fails is not started");
}

#[test]
fn a_handler_that_is_not_there_is_named() {
    require_root!();
    let pods = Pods::new();
    probe(&pods, "/none", "");
    pods.run(&["HERE/app.aci"])
        .run()
        .exits(127)
        .says("")
        .complains_as("a handler that is not there is named");
}

#[test]
fn a_handler_that_fails_stops_the_other_apps() {
    require_root!();
    let pods = Pods::new();
    probe(&pods, "/probe --exit-code 4", "");
    pods.run(&[
        "PROBE",
        "--",
        "--trap-exit",
        "15",
        "0",
        "---",
        "HERE/app.aci",
    ])
    .run()
    .exits(4);
}

#[test]
fn handlers_run_as_their_app_does() {
    require_root!();
    let pods = Pods::new();
    let fields = [
        "uid",
        "gid",
        "groups",
        "directory",
        "effective",
        "bounding",
        "environment",
    ];
    let words: Vec<_> = fields
        .iter()
        .flat_map(|field| ["--report-only", field])
        .collect();
    let report = format!("/probe {}", words.join(" "));
    probe(&pods, &report, &report);
    let ran = pods
        .run(&[&["HERE/app.aci", "--"][..], &words].concat())
        .run()
        .exits(0)
        .complains("");
    let lines: Vec<_> = ran.stdout.lines().collect();
    let third = lines.len() / 3;
    assert_eq!(lines[..third], lines[third..2 * third]);
    assert_eq!(lines[..third], lines[2 * third..]);
    assert_eq!(lines[0], "uid 7,7,7,7");
    assert_eq!(lines[1], "gid 8,8,8,8");
    assert_eq!(lines[2], "groups 9");
    assert_eq!(lines[3], "directory /work");
}

#[test]
fn the_post_stop_handler_runs_however_the_app_ended() {
    require_root!();
    let pods = Pods::new();
    probe(&pods, "", "/probe --stdout after --exit-code 9");
    for (words, status) in [
        (["--exit-code", "0"], 0),
        (["--exit-code", "3"], 3),
        (["--kill", "9"], 137),
    ] {
        pods.run(&[&["HERE/app.aci", "--"][..], &words].concat())
            .run()
            .exits(status)
            .says("after\n")
            .complains("");
    }
}
