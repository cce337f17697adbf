//! Pods of several apps: what they share, what they do not, and how they end.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Pods;
use crate::claims;

// --- what one app has no part in ---

#[test]
fn an_app_sees_neither_the_files_nor_the_mounts_of_another() {
    require_root!();
    let pods = Pods::new();
    let words = [
        "PROBE",
        "--name",
        "a",
        "--",
        "--write-file",
        "/tmp/a",
        "x",
        "--write-file",
        "/a",
        "x",
        "---",
        "PROBE",
        "--name",
        "b",
        "--",
        "--sleep",
        "1",
        "--read-file",
        "/a",
        "--read-file",
        "/tmp/a",
    ];
    let ran = pods.run(&words).run().exits(0).complains("");
    for line in ["write /a: ok", "read /a: ENOENT", "read /tmp/a: ENOENT"] {
        claims::has_line(&ran.stdout, line);
    }
}

#[test]
fn nobody_reaches_the_host_through_the_init() {
    require_root!();
    let pods = Pods::new();
    let script = "ls /proc/1/root/ 2>/dev/null | wc -l; ls /proc/1/cwd/ 2>/dev/null | wc -l; \
                  cut -d ' ' -f 5- /proc/1/mountinfo";
    let _ = image!("busybox");
    let words = [
        "BUSYBOX", "--", "-c", "sleep 1", "---", "BUSYBOX", "--name", "b",
    ];
    let words = [&words[..], &["--", "-c", script]].concat();
    // Its root is empty, and nothing else is mounted for it.
    pods.run(&words).run().exits(0).says(
        "0\n0\n/ ro,nosuid,nodev,noexec,relatime - tmpfs tmpfs ro,size=4k,nr_inodes=2,mode=555\n",
    );
}

#[test]
fn an_app_may_not_trace_or_signal_the_init() {
    require_root!();
    let pods = Pods::new();
    let _ = image!("busybox");
    let words = [
        "BUSYBOX",
        "--",
        "-c",
        "kill -9 1; kill -TERM 1; sleep 0.1; echo still here",
    ];
    let words = [
        &words[..],
        &["---", "BUSYBOX", "--name", "b", "--", "-c", "sleep 0.2"],
    ]
    .concat();
    let ran = pods.run(&words).run().exits(143);
    // A signal to the init is one to the apps; it is not killed itself.
    assert!(!ran.stdout.contains("still"), "{}", ran.stdout);
}

// --- what they share ---

#[test]
fn apps_share_processes_names_and_network_and_have_roots_of_their_own() {
    require_root!();
    let pods = Pods::new();
    let report = |name: &str, delay: &str| {
        pods_words(&[
            "PROBE",
            "--name",
            name,
            "--",
            "--sleep",
            delay,
            "--report-only",
            "namespace",
        ])
    };
    let words = [
        &report("a", "0")[..],
        &["---".to_owned()],
        &report("b", "1"),
    ]
    .concat();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ran = pods.run(&words).run().exits(0).complains("");
    for kind in ["ipc", "net", "pid", "uts", "cgroup", "mnt"] {
        let start = format!("namespace {kind}:[");
        let mut of: Vec<_> = ran
            .stdout
            .lines()
            .filter(|line| line.starts_with(&start))
            .collect();
        of.sort_unstable();
        of.dedup();
        let expected = if kind == "mnt" { 2 } else { 1 };
        assert_eq!(of.len(), expected, "{kind}\n{}", ran.stdout);
    }
}

fn pods_words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn apps_talk_over_loopback_and_share_a_volume() {
    require_root!();
    let _ = image!("busybox");
    let pods = Pods::new();
    let server = "echo served > /srv/index.html; \
                  httpd -f -p 127.0.0.1:8080 -h /srv & \
                  until test -e /srv/done; do sleep 0.05; done; cat /srv/done";
    let client = "until wget -q -O /tmp/page http://localhost:8080/ 2>/dev/null; do sleep 0.05; done; \
                  cat /tmp/page; hostname; echo done > /data/new; mv /data/new /data/done";
    pods.run(&[
        "--hostname",
        "both",
        "--volume",
        "data,kind=empty",
        "BUSYBOX",
        "--name",
        "server",
        "--mount",
        "volume=data,target=/srv",
        "--",
        "-c",
        server,
        "---",
        "BUSYBOX",
        "--name",
        "client",
        "--mount",
        "volume=data,target=data",
        "--",
        "-c",
        client,
    ])
    .run()
    .exits(0)
    .complains("")
    .says("served\nboth\ndone\n");
}

#[test]
fn apps_share_memory() {
    require_root!();
    let pods = Pods::new();
    pods.run(&[
        "PROBE",
        "--",
        "--write-file",
        "/dev/shm/a",
        "shared",
        "---",
        "PROBE",
        "--name",
        "b",
        "--",
        "--sleep",
        "1",
        "--read-file",
        "/dev/shm/a",
    ])
    .run()
    .exits(0)
    .complains("")
    .says("write /dev/shm/a: ok\nshared");
}

#[test]
fn each_app_knows_its_own_name() {
    require_root!();
    let pods = Pods::new();
    let ran = pods
        .run(&[
            "PROBE",
            "--",
            "--report-only",
            "environment",
            "---",
            "PROBE",
            "--name",
            "other",
            "--",
            "--report-only",
            "environment",
        ])
        .run()
        .exits(0);
    for line in [
        "environment AC_APP_NAME=probe",
        "environment AC_APP_NAME=other",
    ] {
        claims::has_line(&ran.stdout, line);
    }
}

#[test]
fn the_directory_of_pods_may_be_behind_a_link() {
    require_root!();
    let pods = Pods::new();
    pods.make(&[("far/", "")]);
    std::os::unix::fs::symlink("far", pods.dir()).unwrap();
    for options in [&[][..], &["--no-overlay"]] {
        let words = [
            "--volume",
            "v,kind=empty",
            "PROBE",
            "--mount",
            "volume=v,target=/v",
            "---",
            "PROBE",
            "--name",
            "b",
            "--mount",
            "volume=v,target=/v",
            "--",
            "--write-file",
            "/v/x",
            "x",
        ];
        let ran = pods.run(&[options, &words].concat()).run().exits(0);
        claims::has_line(&ran.complains("").stdout, "write /v/x: ok");
    }
}

// --- how they end ---

#[test]
fn the_first_app_that_fails_decides() {
    require_root!();
    let pods = Pods::new();
    for (codes, status) in [
        (&["0", "0", "0"][..], 0),
        (&["0", "5"], 5),
        (&["3", "0", "0"], 3),
    ] {
        let mut words = Vec::new();
        for (index, code) in codes.iter().enumerate() {
            if index > 0 {
                words.push("---");
            }
            let name = ["a", "b", "c"][index];
            let delay = if *code == "0" { "0" } else { "1" };
            words.extend(["PROBE", "--name", name, "--", "--stdout", name]);
            words.extend(["--sleep", delay, "--exit-code", code]);
        }
        let ran = pods.run(&words).run().exits(status).complains("");
        assert_eq!(ran.stdout.lines().count(), codes.len(), "{}", ran.stdout);
    }
}

#[test]
fn when_one_fails_the_others_are_asked_to_end() {
    require_root!();
    let pods = Pods::new();
    let started = Instant::now();
    pods.run(&[
        "PROBE",
        "--name",
        "a",
        "--",
        "--trap-exit",
        "15",
        "9",
        "---",
        "PROBE",
        "--name",
        "b",
        "--",
        "--sleep",
        "600",
        "---",
        "PROBE",
        "--name",
        "c",
        "--",
        "--sleep",
        "1",
        "--exit-code",
        "5",
    ])
    .run()
    .exits(5)
    .says("waiting\n");
    assert!(started.elapsed() < Duration::from_secs(9));
}

#[test]
fn an_app_that_cannot_be_started_ends_the_pod() {
    require_root!();
    let pods = Pods::new();
    pods.run(&[
        "PROBE", "--name", "a", "--", "--sleep", "600", "---", "PROBE", "--name", "b", "--exec",
        "/none",
    ])
    .run()
    .exits(127)
    .complains_as("an app that cannot be started ends the pod");
}

#[test]
fn a_signal_reaches_all_apps() {
    require_root!();
    let pods = Pods::new();
    let mut running = pods
        .run(&[
            "PROBE",
            "--name",
            "a",
            "--",
            "--trap-exit",
            "15",
            "0",
            "---",
            "PROBE",
            "--name",
            "b",
            "--",
            "--trap-exit",
            "15",
            "0",
        ])
        .start();
    running.until("both are waiting", |running| {
        running.said() == "waiting\nwaiting\n"
    });
    running.signal(Signal::TERM);
    running.end().exits(0).complains("");
}
