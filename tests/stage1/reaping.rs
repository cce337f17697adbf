//! Children, orphans and how they end.

use std::fs;

use super::{Root, init, init_sh, init_with};
use crate::host::Scratch;

#[test]
fn ten_thousand_orphans_are_reaped() {
    require_root!();
    // Each orphan's parent ends first, so that PID 1 inherits it.
    let script = "i=0; while [ $i -lt 10000 ]; do (true &); i=$((i+1)); done
        while ls -d /proc/[0-9]* | grep -c . | grep -qv '^[45]$'; do sleep 0.05; done; echo none left";
    Root::new()
        .pod("", script)
        .run()
        .exits(0)
        .says("none left\n");
}

#[test]
fn without_a_pid_namespace_orphans_are_reaped_as_well() {
    let script = "(sleep 0.1 &); p=$(cat /proc/$PPID/task/*/children | wc -w); until [ $(cat /proc/$PPID/task/*/children | wc -w) = 1 ]; do sleep 0.02; done; echo $((p > 0))";
    init_sh("plan 1 app a process env PATH=/bin:/usr/bin", script)
        .run()
        .exits(0)
        .says("1\n");
}

#[test]
fn the_status_is_the_apps_own() {
    for code in [0, 1, 42, 124, 255] {
        init_sh("plan 1 app a process", &format!("exit {code}"))
            .run()
            .exits(code);
    }
    for (signal, code) in [("KILL", 137), ("TERM", 143), ("SEGV", 139), ("USR1", 138)] {
        init_sh("plan 1 app a process", &format!("kill -{signal} $$"))
            .run()
            .exits(code);
    }
}

#[test]
fn the_status_comes_out_of_a_pid_namespace() {
    require_root!();
    for (script, code) in [("exit 0", 0), ("exit 77", 77), ("kill -9 $$", 137)] {
        init_sh("plan 1 unshare pid app a process", script)
            .run()
            .exits(code);
    }
}

#[test]
fn the_pod_ends_when_all_apps_have() {
    let scratch = Scratch::new();
    let slow = format!("sleep 0.1; echo slow >> {}", scratch.join("log").display());
    init("plan 1 app quick process env PATH=/bin:/usr/bin main 1 true app slow process env PATH=/bin:/usr/bin")
        .args(["main", "3", "sh", "-c", &slow])
        .run()
        .exits(0);
    assert_eq!(fs::read_to_string(scratch.join("log")).unwrap(), "slow\n");
}

#[test]
fn an_app_that_fails_takes_the_others_along() {
    let polite = "trap 'exit 0' TERM; while :; do sleep 0.02; done";
    init("plan 1 app polite process env PATH=/bin:/usr/bin main 3 sh -c")
        .arg(polite)
        .args(super::words(
            "app failing process env PATH=/bin:/usr/bin main 3 sh -c",
        ))
        .arg("exit 5")
        .run()
        .exits(5);
}

#[test]
fn who_does_not_end_in_time_is_killed() {
    let deaf = "trap '' TERM; while :; do sleep 0.02; done";
    init("plan 1 grace 1 app deaf process env PATH=/bin:/usr/bin main 3 sh -c")
        .arg(deaf)
        .args(super::words("app failing process main 3 /bin/sh -c"))
        .arg("exit 6")
        .run()
        .exits(6);
}

#[test]
fn one_that_was_stopped_hears_of_the_end() {
    let stopped = "kill -STOP $$; exit 0";
    init("plan 1 app stopped process main 3 /bin/sh -c")
        .arg(stopped)
        .args(super::words(
            "app failing process env PATH=/bin:/usr/bin main 3 sh -c",
        ))
        .arg("sleep 0.1; exit 7")
        .run()
        .exits(7);
}

#[test]
fn the_main_program_waits_for_a_pre_start_that_succeeds() {
    init("plan 1 app a process pre-start 3 /bin/sh -c")
        .args([
            "sleep 0.1; echo before",
            "main",
            "3",
            "/bin/sh",
            "-c",
            "echo main",
        ])
        .args(super::words("post-stop 3 /bin/sh -c"))
        .arg("echo after")
        .run()
        .exits(0)
        .says("before\nmain\nafter\n");
}

#[test]
fn after_a_pre_start_that_fails_nothing_runs() {
    init("plan 1 app a process pre-start 3 /bin/sh -c")
        .args(["exit 4", "main", "3", "/bin/sh", "-c", "echo main"])
        .args(super::words("post-stop 3 /bin/sh -c"))
        .arg("echo after")
        .run()
        .exits(4)
        .says("")
        .complains_as("after a pre start that fails nothing runs");
}

#[test]
fn post_stop_runs_however_the_main_program_ended() {
    for (script, code) in [("exit 3", 3), ("kill -9 $$", 137)] {
        init("plan 1 app a process main 3 /bin/sh -c")
            .args([
                script,
                "post-stop",
                "3",
                "/bin/sh",
                "-c",
                "echo after; exit 9",
            ])
            .run()
            .exits(code)
            .says("after\n");
    }
}

#[test]
fn ready_is_said_when_every_first_program_runs() {
    let scratch = Scratch::new();
    let report = scratch.join("report");
    let redirection = format!("9>>{}", report.display());
    let plan =
        "--report-fd 9 plan 1 app a process main 2 /bin/sleep 0 app b process main 1 /nonexistent";
    init_with(&redirection, plan).run().exits(127);
    let report = fs::read_to_string(report).unwrap();
    assert!(!report.contains("ready"), "{report}");
    assert!(report.contains("failed 5 2\n"), "{report}");
    assert!(!report.contains("exited b"), "{report}");
}
