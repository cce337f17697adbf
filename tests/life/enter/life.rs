//! Streams, statuses, signals, and the end of the pod.

use rustix::process::Signal;

use super::super::{Life, child, until};
use super::WAITING;
use crate::host;

#[test]
fn a_command_has_the_streams_of_its_caller_and_gives_it_its_status() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&[]);
    let before = life.inside(&uuid);
    life.call(&[
        "enter",
        &uuid,
        "/probe",
        "--stdin",
        "--stderr",
        "talk",
        "--exit-code",
        "3",
    ])
    .input("result")
    .run()
    .exits(3)
    .says("result")
    .complains("talk\n");
    for (signal, status) in [("9", 137), ("15", 143), ("11", 139)] {
        life.enter(&[&uuid, "/probe", "--kill", signal])
            .exits(status)
            .complains("");
    }
    life.enter(&[&uuid, "/none"]).exits(127);
    // Whatever becomes of commands, the pod knows nothing of them.
    assert_eq!(life.inside(&uuid), before);
    life.run(&["logs", &uuid]).exits(0).says("waiting\n");
    life.run(&["stop", &uuid]).exits(0);
    assert_eq!(life.status(&uuid, "app-probe").as_deref(), Some("0"));
    life.leaves_nothing();
}

#[test]
fn signals_reach_the_command_and_not_the_app() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&[]);
    for (signal, number) in [
        (Signal::USR1, "10"),
        (Signal::TERM, "15"),
        (Signal::INT, "2"),
    ] {
        let mut running = life
            .call(&["enter", &uuid, "/probe", "--trap-exit", number, "5"])
            .start();
        running.until_it_says("waiting");
        running.signal(signal);
        running.end().exits(5).complains("");
    }
    let running = life.call(&["enter", &uuid, "/probe", "--stdout", "up", "--sleep", "600"]);
    let mut running = running.start();
    running.until_it_says("up");
    running.signal(Signal::HUP);
    running.end().exits(129).complains("");
    assert_eq!(life.state(&uuid), "running");
    life.run(&["stop", &uuid]).exits(0);
    assert_eq!(life.status(&uuid, "status").as_deref(), Some("0"));
    life.leaves_nothing();
}

#[test]
fn a_command_ends_with_its_pod_and_does_not_keep_it() {
    require_root!();
    let life = Life::new();
    for end in [&["stop"][..], &["kill"], &["rm", "--force"]] {
        let uuid = life.waiting(&[]);
        let mut running = life
            .call(&["enter", &uuid, "/probe", "--stdout", "up", "--sleep", "600"])
            .start();
        running.until_it_says("up");
        life.run(&[end, &[&uuid]].concat()).exits(0).complains("");
        running.end().exits(137).complains("");
        assert!(!life.pods().contains(&format!("run/{uuid}")));
    }
    life.leaves_nothing();
}

#[test]
fn a_command_that_is_stopped_keeps_no_pod_from_ending() {
    require_root!();
    let life = Life::new();
    for options in [&[][..], &["--memory=64Mi"]] {
        let image = host::image("probe").display().to_string();
        let uuid = "6f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a02";
        let words = [&[&image[..]], options, &WAITING].concat();
        if !options.is_empty() && crate::isolators::limits::groups(uuid, &words).is_empty() {
            skip!("needs cgroups with the controller memory");
        }
        let uuid = life.detach(&words);
        life.until_it_logs(&uuid, "waiting\n");
        let mut running = life
            .call(&["enter", &uuid, "/probe", "--stdout", "up", "--sleep", "600"])
            .start();
        running.until_it_says("up");
        running.signal(Signal::STOP);
        life.run(&["stop", &uuid]).exits(0).complains("");
        assert_eq!(life.state(&uuid), "exited");
        assert_eq!(life.status(&uuid, "status").as_deref(), Some("0"));
        running.signal(Signal::CONT);
        let ran = running.end();
        // What is in the cgroup of a pod that is over is killed itself.
        let killed = !options.is_empty() && ran.exited().is_none();
        assert!(ran.exited() == Some(137) || killed, "{ran:?}");
    }
    life.leaves_nothing();
}

#[test]
fn what_a_command_leaves_behind_belongs_to_the_pod() {
    require_root!();
    let life = Life::new();
    let script = "trap 'exit 0' TERM; echo up; while :; do sleep 1; done";
    let uuid = life.detach(&["BUSYBOX", "--name=b", "--", "-c", script]);
    life.until_it_logs(&uuid, "up\n");
    let script = "sleep 4711 </dev/null >/dev/null 2>&1 & echo $!";
    let said = life.enter(&[&uuid, "sh", "-c", script]).exits(0).stdout;
    let left = said.trim_end();
    let shown = || {
        life.enter(&[&uuid, "ps", "-o", "pid,ppid,args"])
            .exits(0)
            .stdout
    };
    let is_there = |text: String| {
        text.lines().any(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            words == [left, "1", "sleep", "4711"]
        })
    };
    // It may not have become `sleep` yet.
    until("it is a child of PID 1", || is_there(shown()));
    // PID 1 asks how it ended.
    life.enter(&[&uuid, "kill", "-9", left]).exits(0);
    until("it is gone", || !shown().contains("4711"));
    let said = life.enter(&[&uuid, "sh", "-c", script]).exits(0).stdout;
    assert_ne!(said.trim_end(), left);
    life.run(&["stop", &uuid]).exits(0);
    assert_eq!(life.status(&uuid, "app-b").as_deref(), Some("0"));
    life.leaves_nothing();
}

#[test]
fn two_small_processes_are_all_that_waits_for_a_command() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&[]);
    let mut running = life
        .call(&["enter", &uuid, "/probe", "--trap-exit", "15", "0"])
        .start();
    running.until_it_says("waiting");
    let outer = rustix::process::Pid::from_raw(i32::try_from(running.pid()).unwrap()).unwrap();
    let inner = child(outer);
    for process in [outer, inner] {
        let exe = std::fs::read_link(format!("/proc/{process}/exe")).unwrap();
        assert_eq!(exe.display().to_string(), "/memfd:stage1-init (deleted)");
        let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap();
        assert_eq!(environment, b"");
    }
    // The one that the pod sees has no way back.
    let mounts = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/mnt")).unwrap();
    assert_ne!(mounts(&inner.to_string()), mounts("self"));
    for entry in std::fs::read_dir(format!("/proc/{inner}/fd")).unwrap() {
        let link = std::fs::read_link(entry.unwrap().path()).unwrap();
        assert_ne!(link, mounts("self"));
    }
    running.signal(Signal::TERM);
    running.end().exits(0);
    life.run(&["stop", &uuid]).exits(0);
    life.leaves_nothing();
}
