//! Whether apps work: how that is found out, told, and what is done if they do not.

use std::fs;
use std::thread;
use std::time::Duration;

use super::{Life, child, until};

/// An app that waits until it is asked to end.
const WAITS: &str = "echo up; trap 'exit 0' TERM; sleep 600 & wait";

/// A pod of busybox that runs a script and is checked ten times a second.
#[track_caller]
fn checked(life: &Life, pod: &[&str], check: &str, app: &[&str], script: &str) -> String {
    let own = ["--health-interval=100ms", "--health-cmd", check];
    let words = [pod, &["BUSYBOX"], &own, app, &["--", "-c", script]].concat();
    life.detach(&words)
}

/// What is known of the health of its app.
fn health(life: &Life, uuid: &str, key: &str) -> Option<String> {
    life.status(uuid, &format!("app-busybox.health{key}"))
}

#[test]
fn what_cannot_be_checked_is_refused() {
    require_root!();
    let _image = image!("busybox");
    let life = Life::new();
    for (title, pod, app) in [
        ("no time", &[][..], &["--health-interval=soon"][..]),
        ("too short a time", &[], &["--health-timeout=0"]),
        ("no retry at all", &[], &["--health-retries=0"]),
        ("no list of words", &[], &["--health-cmd=[\"true"]),
        ("an interval of no check", &[], &["--health-interval=1s"]),
        (
            "a check and none",
            &[],
            &["--no-healthcheck", "--health-cmd=true"],
        ),
        ("no such reaction", &["--on-unhealthy=cry"], &[]),
        ("a reaction to no check", &["--on-unhealthy=kill"], &[]),
        (
            "a restart on a terminal",
            &["-t", "--on-unhealthy=restart"],
            &["--health-cmd=true"],
        ),
    ] {
        life.run(&[&["run"], pod, &["BUSYBOX"], app].concat())
            .exits(125)
            .says("")
            .complains_as(title);
    }
    assert_eq!(life.pods(), [""; 0]);
}

#[test]
fn a_pod_that_is_not_checked_has_no_timer_and_no_health() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&[]);
    let fds = fs::read_dir(format!("/proc/{}/fd", life.pid(&uuid))).unwrap();
    let links = fds.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
    assert_eq!(
        links
            .filter(|link| link.to_string_lossy().contains("timerfd"))
            .count(),
        0
    );
    assert_eq!(life.status(&uuid, "health"), None);
    life.run(&["status", "--wait-healthy", &uuid])
        .exits(125)
        .naming("UUID", &uuid)
        .complains_as("waiting for the health of what is not checked");
    life.run(&["stop", &uuid]).exits(0);
    life.run(&["status", "--wait-healthy", &uuid])
        .exits(125)
        .naming("UUID", &uuid)
        .complains_as("waiting for the health of a pod that has ended");
}

#[test]
fn a_check_runs_as_the_app_does_and_its_success_is_told() {
    require_root!();
    let _image = image!("busybox");
    let life = Life::new();
    let check = "id -u; grep -c . /proc/self/cgroup >/dev/null; grep CapBnd /proc/self/status; \
        grep Seccomp: /proc/self/status; pwd";
    let own = ["--user=1000", "--working-dir=/tmp", "--cap-drop=all"];
    let uuid = checked(&life, &[], check, &own, WAITS);
    life.run(&["status", "--wait-healthy=1m", &uuid]).exits(0);
    assert_eq!(life.status(&uuid, "health").as_deref(), Some("healthy"));
    assert_eq!(health(&life, &uuid, "").as_deref(), Some("healthy"));
    assert_eq!(health(&life, &uuid, ".failing").as_deref(), Some("0"));
    let entered = life.run(&["enter", &uuid, "sh", "-c", check]).exits(0);
    let json = life
        .run(&["status", "--format=json", &uuid])
        .exits(0)
        .stdout;
    let output = entered.stdout.trim_end();
    let output = output.replace('\n', "\\n").replace('\t', "\\t");
    assert!(output.starts_with("1000") && output.ends_with("/tmp"));
    let expected = format!(r#""exit_code":0,"output":"{output}""#);
    assert!(json.contains(&expected), "{expected}\n{json}");
    let listed = life.run(&["list"]).exits(0).stdout;
    assert!(listed.contains("running (healthy)"), "{listed}");
    life.run(&["stop", &uuid]).exits(0);
    assert_eq!(life.status(&uuid, "health"), None);
    life.leaves_nothing();
}

#[test]
fn what_is_wrong_with_a_check_is_told_and_harms_nobody() {
    require_root!();
    let _image = image!("busybox");
    let life = Life::new();
    let uuid = checked(&life, &[], r#"["/no/such"]"#, &[], WAITS);
    life.run(&["status", "--wait-healthy=1m", &uuid]).exits(1);
    assert_eq!(health(&life, &uuid, ".status").as_deref(), Some("127"));
    let said = health(&life, &uuid, ".output").unwrap();
    let expected = "launcher: cannot execute `/no/such`: No such file or directory";
    assert_eq!(said, expected);
    life.run(&["stop", &uuid]).exits(0);
    for (check, output) in [
        // It never ends, and neither does what it has started.
        (
            "sleep 987 & setsid sleep 987 & sleep 987",
            "the check took longer than 200ms",
        ),
        (
            "while :; do echo x; done",
            "the check took longer than 200ms",
        ),
        (
            "trap '' TERM; while :; do sleep 987; done",
            "the check took longer than 200ms",
        ),
    ] {
        let own = ["--health-timeout=200ms", "--health-retries=2"];
        let uuid = checked(&life, &[], check, &own, WAITS);
        life.run(&["status", "--wait-healthy=1m", &uuid]).exits(1);
        assert_eq!(health(&life, &uuid, ".status").as_deref(), Some("timeout"));
        assert_eq!(health(&life, &uuid, ".output").as_deref(), Some(output));
        // Only what a check of this moment has started is there.
        let count = "ps | grep -c '[s]leep 987'";
        until("nothing is left", || {
            life.run(&["enter", &uuid, "sh", "-c", count]).stdout == "0\n"
        });
        assert_eq!(life.state(&uuid), "running");
        life.run(&["stop", &uuid]).exits(0);
    }
    let much = "i=0; while [ $i -lt 9999 ]; do echo 123456789; i=$((i+1)); done; exit 3";
    let uuid = checked(&life, &[], much, &["--health-retries=1"], WAITS);
    life.run(&["status", "--wait-healthy=1m", &uuid]).exits(1);
    assert_eq!(health(&life, &uuid, ".status").as_deref(), Some("3"));
    let record = life.dir().join("pods/run").join(&uuid).join("health");
    assert!(fs::metadata(record).unwrap().len() < 8192);
    life.run(&["stop", &uuid]).exits(0);
    life.leaves_nothing();
}

#[test]
fn a_paused_pod_is_not_checked() {
    require_root!();
    let _image = image!("busybox");
    let life = Life::new();
    let uuid = checked(&life, &[], "echo x >> /checks", &[], WAITS);
    life.run(&["status", "--wait-healthy=1m", &uuid]).exits(0);
    if !life.run(&["pause", &uuid]).succeeded() {
        skip!("needs cgroups that can be frozen");
    }
    let record = life.dir().join("pods/run").join(&uuid).join("health");
    let last = || {
        fs::read_to_string(&record)
            .unwrap()
            .split("\"last\"")
            .nth(1)
            .map(str::to_owned)
    };
    // One may have been under way.
    thread::sleep(Duration::from_millis(300));
    let before = last();
    thread::sleep(Duration::from_millis(500));
    assert_eq!(last(), before);
    life.run(&["resume", &uuid]).exits(0);
    until("it is checked again", || last() != before);
    assert_eq!(life.status(&uuid, "health").as_deref(), Some("healthy"));
    life.run(&["stop", &uuid]).exits(0);
}

#[test]
fn an_unhealthy_pod_is_killed_if_that_is_wanted() {
    require_root!();
    let _image = image!("busybox");
    let life = Life::new();
    for words in [&["run"][..], &["run", "--keep"]] {
        let own = [
            "--on-unhealthy=kill",
            "BUSYBOX",
            "--health-interval=100ms",
            "--health-cmd=echo it is ill; exit 1",
            "--",
            "-c",
            WAITS,
        ];
        life.run(&[words, &own].concat())
            .exits(137)
            .complains_as("an app that was unhealthy");
    }
    life.leaves_nothing();
}

#[test]
fn an_unhealthy_pod_is_started_again_if_that_is_wanted() {
    require_root!();
    let _image = image!("busybox");
    let life = Life::new();
    // It is ill the first time.
    let script = format!("echo x >> /runs; {WAITS}");
    let check = "[ $(wc -l < /runs) -gt 1 ]";
    let uuid = checked(&life, &["--on-unhealthy=restart"], check, &[], &script);
    let outer = life.pid(&uuid);
    until("it is healthy", || {
        life.status(&uuid, "health").as_deref() == Some("healthy")
    });
    assert_eq!(life.status(&uuid, "restarts").as_deref(), Some("1"));
    assert_eq!(life.pid(&uuid), outer);
    assert_eq!(life.run(&["logs", &uuid]).exits(0).stdout, "up\nup\n");
    // Who stops it does not see it again.
    life.run(&["stop", &uuid]).exits(0);
    life.run(&["wait", &uuid]).exits(0);
    life.leaves_nothing();
}

#[test]
fn a_pod_is_as_healthy_as_the_worst_of_its_apps() {
    require_root!();
    let _image = image!("busybox");
    let life = Life::new();
    let app = |name: &'static str, check: &'static str| {
        [
            "BUSYBOX",
            name,
            "--health-interval=100ms",
            "--health-cmd",
            check,
            "--",
            "-c",
            WAITS,
        ]
    };
    let words = [
        &app("--name=good", "true")[..],
        &["---"],
        &app("--name=bad", "test ! -e /tmp/ill"),
        &["---", "BUSYBOX", "--name=any", "--", "-c", WAITS],
    ];
    let uuid = life.detach(&words.concat());
    life.run(&["status", "--wait-healthy=1m", &uuid]).exits(0);
    let ill = ["enter", "--app=bad", &uuid, "touch", "/tmp/ill"];
    life.run(&ill).exits(0);
    until("it is unhealthy", || {
        life.status(&uuid, "health").as_deref() == Some("unhealthy")
    });
    life.run(&["status", "--wait-healthy", &uuid]).exits(1);
    let app = |name: &str| life.status(&uuid, &format!("app-{name}.health"));
    assert_eq!(app("good").as_deref(), Some("healthy"));
    assert_eq!(app("bad").as_deref(), Some("unhealthy"));
    assert_eq!(app("any"), None);
    life.run(&["stop", &uuid]).exits(0);
    life.leaves_nothing();
}

#[test]
fn nobody_stays_between_two_checks() {
    require_root!();
    let _image = image!("busybox");
    let life = Life::new();
    let words = [
        "BUSYBOX",
        "--health-start-period=1h",
        "--health-start-interval=100ms",
        "--health-interval=1h",
        "--health-cmd=true",
        "--",
        "-c",
        WAITS,
    ];
    let uuid = life.detach(&words);
    life.run(&["status", "--wait-healthy=1m", &uuid]).exits(0);
    let outer = life.pid(&uuid);
    let init = child(outer);
    let children = || {
        let path = format!("/proc/{0}/task/{0}/children", outer.as_raw_nonzero());
        fs::read_to_string(path).unwrap()
    };
    until("only PID 1 is left", || {
        children().trim() == init.as_raw_nonzero().to_string()
    });
    life.run(&["stop", &uuid]).exits(0);
}
