//! Pods that are started again when they have ended.

use std::fs;

use rustix::process::Signal;

use super::{Life, child, child_if_any, kill, until};

/// Says how often it has run, and in which network; ends with 7 before it has run
/// so often, and then when it is asked to.
fn failing(times: u32) -> String {
    format!(
        "echo x >> /runs; n=$(wc -l < /runs); echo $n $(readlink /proc/self/ns/net); \
         [ $n -ge {times} ] || exit 7; trap 'exit 3' TERM; sleep 600 & wait"
    )
}

fn runs(life: &Life, uuid: &str) -> Vec<String> {
    let logs = life.run(&["logs", uuid]).exits(0).stdout;
    logs.lines().map(str::to_owned).collect()
}

fn restarts(life: &Life, uuid: &str) -> u32 {
    let restarts = life.status(uuid, "restarts");
    restarts.map_or(0, |number| number.parse().unwrap())
}

#[test]
fn what_cannot_be_asked_for_is_refused() {
    let life = Life::new();
    for (title, words) in [
        ("no number of restarts", &["--restart=on-failure:x"][..]),
        ("no restart at all", &["--restart=on-failure:0"]),
        ("no kind of restart", &["--restart=sometimes"]),
        (
            "a restart that needs a daemon",
            &["--restart=unless-stopped"],
        ),
        ("a restart on a terminal", &["--restart=always", "-t"]),
    ] {
        life.run(&[&["run"], words, &["PROBE"]].concat())
            .exits(125)
            .says("")
            .complains_as(title);
    }
}

#[test]
fn a_pod_that_never_ran_is_not_started_again() {
    require_root!();
    let life = Life::new();
    for options in [&["--detach"][..], &[], &["--keep"]] {
        let words = [&["run", "--restart=always"], options].concat();
        let words = [&words[..], &["PROBE", "--exec", "/no/such"]].concat();
        life.run(&words)
            .exits(127)
            .says("")
            .complains_as("a program that is not there");
        assert_eq!(life.pods(), [""; 0]);
    }
}

#[test]
fn who_stops_or_kills_a_pod_does_not_see_it_again() {
    require_root!();
    let life = Life::new();
    for (verb, status) in [("stop", "0"), ("kill", "137")] {
        let uuid = life.waiting(&["--restart=always"]);
        life.run(&[verb, &uuid]).exits(0);
        let ran = life.run(&["wait", &uuid]);
        assert_eq!(ran.stdout.trim(), status, "{verb}");
        assert_eq!(life.state(&uuid), "exited");
        assert_eq!(restarts(&life, &uuid), 0);
    }
    let uuid = life.waiting(&["--restart=always"]);
    life.run(&["rm", "--force", &uuid]).exits(0);
    life.run(&["status", &uuid]).exits(1);
    life.leaves_nothing();
}

#[test]
fn a_signal_for_the_command_ends_it_whatever_becomes_of_the_app() {
    require_root!();
    let life = Life::new();
    for signal in [Signal::TERM, Signal::INT] {
        let words = [
            "run",
            "--restart=always",
            "PROBE",
            "--",
            "--trap-exit",
            "15",
            "5",
        ];
        let mut running = life.call(&words).start();
        running.until("it waits", |running| running.said() == "waiting\n");
        running.signal(signal);
        match signal {
            Signal::TERM => running.end().exits(5),
            signal => running.end().dies_of(signal),
        };
        assert_eq!(life.pods(), [""; 0]);
    }
}

#[test]
fn a_pod_that_fails_is_started_again_with_its_files_and_its_network() {
    require_root!();
    let _image = image!("busybox");
    let life = Life::new();
    let uuid = life.detach(&["--restart=on-failure", "BUSYBOX", "--", "-c", &failing(4)]);
    let outer = life.pid(&uuid);
    until("it has run four times", || runs(&life, &uuid).len() == 4);
    let all = runs(&life, &uuid);
    let network = all[0].split_once(' ').unwrap().1;
    let expected: Vec<_> = (1..5).map(|run| format!("{run} {network}")).collect();
    assert_eq!(all, expected);
    assert_eq!(restarts(&life, &uuid), 3);
    assert_eq!(
        (life.pid(&uuid), life.state(&uuid)),
        (outer, "running".into())
    );
    let listed = life.run(&["list"]).exits(0).stdout;
    assert!(listed.contains("running (3 restarts)"), "{listed}");
    let entered = life.run(&["enter", &uuid, "cat", "/runs"]).exits(0);
    assert_eq!(entered.stdout, "x\n".repeat(4));
    // A record of it is kept, and how it ended that time.
    life.run(&["stop", &uuid]).exits(0);
    life.run(&["wait", &uuid]).exits(3);
    assert_eq!(restarts(&life, &uuid), 3);
    assert_eq!(life.status(&uuid, "app-busybox").as_deref(), Some("3"));
    life.leaves_nothing();
}

#[test]
fn who_waits_sees_only_the_last_end() {
    require_root!();
    let _image = image!("busybox");
    let life = Life::new();
    for options in [&[][..], &["--keep"]] {
        let words = [&["run", "--restart=on-failure:2"], options].concat();
        let ran = life.run(&[&words[..], &["BUSYBOX", "--", "-c", &failing(9)]].concat());
        assert_eq!(ran.exits(7).stdout.lines().count(), 3);
    }
    life.leaves_nothing();
    let script = "echo x >> /runs; [ $(wc -l < /runs) -lt 3 ]";
    let uuid = life.detach(&["--restart=on-failure", "BUSYBOX", "--", "-c", script]);
    life.run(&["wait", &uuid]).exits(0).says("0\n");
    let uuid = life.detach(&["--restart=on-failure:2", "BUSYBOX", "--", "-c", &failing(9)]);
    life.run(&["wait", &uuid]).exits(7).says("7\n");
    assert_eq!(restarts(&life, &uuid), 2);
    let json = life
        .run(&["status", "--format=json", &uuid])
        .exits(0)
        .stdout;
    assert!(json.contains(r#""restarts":2"#), "{json}");
}

#[test]
fn a_pod_is_stopped_while_it_pauses_and_has_ended_as_it_had() {
    require_root!();
    let _image = image!("busybox");
    let life = Life::new();
    for verb in [&["stop"][..], &["kill"], &["rm", "--force"]] {
        let uuid = life.detach(&["--restart=always", "BUSYBOX", "--", "-c", "exit 7"]);
        until("the pause is long", || restarts(&life, &uuid) >= 4);
        until("it has ended", || {
            fs::read_to_string(life.dir().join("pods/run").join(&uuid).join("report"))
                .is_ok_and(|report| report.is_empty())
        });
        let collected = life.run(&["gc", "--grace-period=0"]).exits(0).stdout;
        assert!(!collected.contains(&uuid), "{collected}");
        life.run(&[verb, &[&uuid]].concat()).exits(0);
        if verb == ["stop"] {
            life.run(&["wait", &uuid]).exits(7).says("7\n");
            assert_eq!(life.status(&uuid, "app-busybox").as_deref(), Some("7"));
        }
    }
    life.leaves_nothing();
}

#[test]
fn a_pod_whose_main_process_is_killed_runs_again() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&["--restart=on-failure"]);
    let outer = life.pid(&uuid);
    for times in 1..4 {
        // PID 1, and with it the pod, or its app.
        let init = child(outer);
        kill(if times == 2 { init } else { child(init) });
        life.until_it_logs(&uuid, &"waiting\n".repeat(times + 1));
    }
    assert_eq!(restarts(&life, &uuid), 3);
    life.run(&["stop", &uuid]).exits(0);
    life.run(&["wait", &uuid]).exits(0);
    // Nobody is there who could start it again if the outer half is killed.
    let uuid = life.waiting(&["--restart=always"]);
    kill(life.pid(&uuid));
    life.run(&["wait", &uuid]).exits(125);
    life.leaves_nothing();
}

#[test]
fn a_pod_whose_main_process_is_killed_in_a_pause_runs_again() {
    require_root!();
    let _image = image!("busybox");
    let life = Life::new();
    let uuid = life.detach(&["--restart=always", "BUSYBOX", "--", "-c", "exit 7"]);
    until("the pause is long", || restarts(&life, &uuid) >= 4);
    let before = restarts(&life, &uuid);
    let outer = life.pid(&uuid);
    until("it pauses", || child_if_any(outer).map(kill).is_some());
    until("it runs again", || restarts(&life, &uuid) > before + 1);
    life.run(&["rm", "--force", &uuid]).exits(0);
    life.leaves_nothing();
}

#[test]
fn a_pod_of_several_apps_is_started_again_as_a_whole() {
    require_root!();
    let _image = image!("busybox");
    let life = Life::new();
    let script = "echo up; trap 'exit 0' TERM; sleep 600 & wait";
    let words = [
        "--restart=on-failure",
        "BUSYBOX",
        "--name=one",
        "--",
        "-c",
        script,
        "---",
        "BUSYBOX",
        "--name=two",
        "--",
        "-c",
        script,
    ];
    let uuid = life.detach(&words);
    let log = |app: &str| life.run(&["logs", "--app", app, &uuid]).exits(0).stdout;
    until("both are up", || {
        log("one") == "up\n" && log("two") == "up\n"
    });
    let main = life.status(&uuid, "app-two.pid").unwrap();
    kill(rustix::process::Pid::from_raw(main.parse().unwrap()).unwrap());
    until("both are up again", || {
        log("one") == "up\nup\n" && log("two") == "up\nup\n"
    });
    life.run(&["stop", &uuid]).exits(0);
}
