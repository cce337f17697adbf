//! Pods that are prepared, and run later.

use std::fs;

use super::Pods;
use crate::claims;
use crate::host::{self, launcher};

const UUID: &str = "abcdef12-4b5a-4978-8796-a5b4c3d2e1f1";

/// What is in the directories of pods.
fn states(pods: &Pods) -> Vec<String> {
    let mut all = Vec::new();
    for state in fs::read_dir(pods.dir().join("pods")).unwrap() {
        let state = state.unwrap();
        for pod in fs::read_dir(state.path()).unwrap() {
            let name = pod.unwrap().file_name();
            all.push(format!(
                "{}/{}",
                state.file_name().display(),
                name.display()
            ));
        }
    }
    all
}

fn prepare(pods: &Pods, words: &[&str]) {
    pods.call(&[&["prepare", "--uuid", UUID], words].concat())
        .run()
        .exits(0)
        .complains("")
        .says(&format!("{UUID}\n"));
}

#[test]
fn a_pod_that_cannot_be_prepared_leaves_nothing() {
    require_root!();
    let pods = Pods::new();
    pods.call(&["prepare", "PROBE", "--user", "web"])
        .run()
        .exits(1)
        .says("");
    // Long after the directory was made.
    pods.call(&["prepare", "--no-overlay", "HERE/none.aci"])
        .run()
        .exits(1);
    assert!(!pods.dir().join("pods").exists() || states(&pods).is_empty());
}

#[test]
fn a_prepared_pod_runs_once_and_leaves_nothing() {
    require_root!();
    let pods = Pods::new();
    for options in [&["PROBE"][..], &["--no-overlay", "PROBE"]] {
        prepare(
            &pods,
            &[options, &["--", "--stdout", "a b", "--exit-code", "3"]].concat(),
        );
        assert_eq!(states(&pods), [format!("prepared/{UUID}")]);
        let run = || pods.call(&["run-prepared", UUID]).run();
        run().exits(3).says("a b\n").complains("");
        assert!(states(&pods).is_empty());
        run()
            .exits(125)
            .complains_as("a prepared pod runs once and leaves nothing");
    }
}

#[test]
fn any_unique_beginning_of_the_uuid_will_do() {
    require_root!();
    let pods = Pods::new();
    prepare(&pods, &["PROBE", "--", "--stdout", "first"]);
    pods.call(&[
        "prepare",
        "--uuid",
        "abce0000-4b5a-4978-8796-a5b4c3d2e1f1",
        "PROBE",
    ])
    .run()
    .exits(0);
    pods.call(&["run-prepared", "abc"])
        .run()
        .exits(125)
        .complains_as("any unique beginning of the uuid will do");
    pods.call(&["run-prepared", "ABCDEF12-4"])
        .run()
        .exits(0)
        .says("first\n");
}

#[test]
fn a_prepared_pod_waits_for_an_image_that_somebody_deleted() {
    require_root!();
    let pods = Pods::new();
    prepare(&pods, &["PROBE", "--", "--stdout", "ran"]);
    let [image] = &host::names(&pods.dir().join("images"))[..] else {
        panic!("one image is stored");
    };
    // Past the launcher, which keeps what a pod needs.
    for part in ["images", "layers"] {
        fs::remove_dir_all(pods.dir().join(part)).unwrap();
    }
    let ran = pods.call(&["run-prepared", UUID]).run().exits(125).says("");
    ran.naming("DIR", pods.dir())
        .naming("IMAGE", image)
        .complains_as("a prepared pod waits for an image that somebody deleted");
    assert_eq!(states(&pods), [format!("prepared/{UUID}")]);
    pods.run(&["PROBE", "--", "--stdout", "again"])
        .run()
        .exits(0);
    pods.call(&["run-prepared", UUID])
        .run()
        .exits(0)
        .says("ran\n");
}

#[test]
fn the_uuid_of_a_prepared_pod_is_taken() {
    require_root!();
    let pods = Pods::new();
    prepare(&pods, &["PROBE"]);
    for (verb, status) in [("prepare", 1), ("run", 125)] {
        pods.call(&[verb, "--uuid", UUID, "PROBE"])
            .run()
            .exits(status)
            .complains_as("the uuid of a prepared pod is taken");
    }
    assert_eq!(states(&pods), [format!("prepared/{UUID}")]);
}

#[test]
fn of_many_who_run_a_prepared_pod_one_does() {
    require_root!();
    let pods = Pods::new();
    prepare(&pods, &["PROBE", "--", "--stdout", "ran"]);
    let running: Vec<_> = (0..8)
        .map(|_| pods.call(&["run-prepared", UUID]).start())
        .collect();
    let said: String = running
        .into_iter()
        .map(|running| running.end().stdout)
        .collect();
    claims::same("what all said", &said, "ran\n");
    assert!(states(&pods).is_empty());
}

/// What the probe reports of its pod, without what no two pods share: the name of
/// PID 1 is the number that the launcher had opened its program by.
fn comparable(report: &str) -> String {
    const DIFFERS: [&str; 4] = ["fd ", "keyring ", "namespace ", "process 1 "];
    let lines = claims::without_token(report);
    let lines = lines
        .lines()
        .filter(|line| !DIFFERS.iter().any(|field| line.starts_with(field)));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn prepared_run_and_planned_pods_are_the_same() {
    require_root!();
    let pods = Pods::new();
    let words = [
        "--volume",
        "v,kind=empty,mode=0700",
        "PROBE",
        "--mount",
        "volume=v,target=/v",
        "--user",
        "7",
        "--",
        "--report",
        "--try-all",
    ];
    let call = |before: &[&str]| {
        let ran = pods.call(&[before, &words].concat()).run();
        ran.exits(0).complains("").stdout
    };
    let read = |state: &str, name: &str| {
        let path = pods.dir().join("pods").join(state).join(UUID).join(name);
        fs::read_to_string(path).unwrap()
    };
    prepare(&pods, &words);
    let [spec, manifest] = ["spec", "manifest"].map(|name| read("prepared", name));
    let ran = pods.call(&["run-prepared", UUID]).run().exits(0);
    let prepared = comparable(&ran.complains("").stdout);
    let run = call(&["run", "--keep", "--uuid", UUID]);
    claims::same("the spec", &read("exited", "spec"), &spec);
    claims::same("the manifest", &read("exited", "manifest"), &manifest);
    claims::same("what was run", &comparable(&run), &prepared);
    pods.call(&["rm", UUID]).run().exits(0);
    pods.0.write("plan", call(&["plan", "--uuid", UUID]));
    let ran = pods.run(&["--plan", "HERE/plan"]).run().exits(0);
    let planned = comparable(&ran.complains("").stdout);
    claims::same("what was planned", &planned, &prepared);
    for line in [
        r#"      "name": "probe","#,
        r#"        "user": "7","#,
        r#"          "volume": "v","#,
        r#"          "path": "/v""#,
        r#"      "kind": "empty","#,
        r#"      "mode": "0700","#,
    ] {
        claims::has_line(&manifest, line);
    }
    // It is a manifest like any other.
    let file = pods.0.write("pod.json", &manifest);
    launcher(&pods.dir())
        .arg("validate")
        .arg(&file)
        .run()
        .exits(0);
    pods.call(&["run", "--pod-manifest", "HERE/pod.json"])
        .run()
        .exits(0)
        .complains("");
}
