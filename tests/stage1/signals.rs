//! Signals, stops and the death of the outer half.

use std::fs;
use std::io::Write as _;

use rustix::process::Signal;

use super::{init, init_sh};
use crate::host::{self, Running, Scratch};

const SHELL: &str = "app a process env PATH=/bin:/usr/bin";

fn status_of(pid: u32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

pub(super) fn children_of(pid: u32) -> Vec<u32> {
    let children =
        fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

fn kill(running: &Running, number: i32) {
    let target = running.pid().to_string();
    host::call(std::path::Path::new("/bin/kill"))
        .args([format!("-{number}"), target])
        .run()
        .exits(0);
}

#[test]
fn a_signal_that_comes_before_the_app_is_there_is_not_lost() {
    let scratch = Scratch::new();
    let fifo = scratch.join("fifo");
    host::call(std::path::Path::new("/usr/bin/mkfifo"))
        .arg(&fifo)
        .run()
        .exits(0);
    let mut running = super::init_with(&format!("9<{}", fifo.display()), "--plan-fd 9").start();
    // Now it waits in reading its plan.
    let mut plan = fs::File::create(&fifo).unwrap();
    let all_blocked = |running: &Running| {
        status_of(running.pid(), "SigBlk").is_some_and(|set| set.starts_with("ffffffff"))
    };
    running.until("blocks signals", all_blocked);
    running.signal(Signal::TERM);
    for word in super::words("plan 1 app a process main 2 /bin/sleep 1000") {
        plan.write_all(word.as_bytes()).unwrap();
        plan.write_all(b"\0").unwrap();
    }
    drop(plan);
    running.end().exits(143);
}

#[test]
fn a_signal_for_the_pod_reaches_the_app() {
    require_root!();
    for plan in ["plan 1", "plan 1 unshare pid"] {
        for (signal, number) in [
            ("HUP", 1),
            ("INT", 2),
            ("USR1", 10),
            ("TERM", 15),
            ("WINCH", 28),
        ] {
            let script = format!(
                "trap 'echo got {signal}; exit 42' {number}; echo here; while :; do sleep 0.02; done"
            );
            let mut running = init_sh(&format!("{plan} {SHELL}"), &script).start();
            running.until_it_says("here");
            kill(&running, number);
            running
                .end()
                .exits(42)
                .says(&format!("here\ngot {signal}\n"));
        }
    }
}

#[test]
fn real_time_signals_reach_the_app() {
    require_root!();
    for number in [34, 40, 64] {
        let mut running = init_sh(
            &format!("plan 1 unshare pid {SHELL}"),
            "echo here; exec sleep 1000",
        )
        .start();
        running.until_it_says("here");
        running.until("is the program", |running| {
            let inner = children_of(running.pid());
            let app = inner
                .first()
                .map(|&inner| children_of(inner))
                .unwrap_or_default();
            app.first().is_some_and(|app| {
                fs::read_to_string(format!("/proc/{app}/comm")).is_ok_and(|name| name == "sleep\n")
            })
        });
        kill(&running, number);
        running.end().exits(128 + number);
    }
}

#[test]
fn many_signals_are_all_passed_on() {
    // Real-time signals queue: as many must come out as went in.
    let python = tool!("python3");
    let script = "import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [40, 50])
print('here', flush=True)
count = 0
while signal.sigwait([40, 50]) == 40: count += 1
print(count)";
    let plan = "plan 1 app a process env PATH=/usr/bin:/bin main 3";
    let mut running = init(plan).arg(python).args(["-c", script]).start();
    running.until_it_says("here");
    for number in [40, 40, 40, 40, 40, 50] {
        kill(&running, number);
    }
    running.end().exits(0).says("here\n5\n");
}

#[test]
fn a_stop_stops_the_app_and_the_outer_half_and_both_go_on() {
    require_root!();
    for plan in ["plan 1", "plan 1 unshare pid"] {
        let mut running = init_sh(
            &format!("{plan} {SHELL}"),
            "trap 'echo on; exit 3' CONT; echo here; while :; do sleep 0.02; done",
        )
        .start();
        running.until_it_says("here");
        running.signal(Signal::TSTP);
        let stopped = |pid| status_of(pid, "State").is_some_and(|state| state.starts_with('T'));
        running.until("stops", move |running| stopped(running.pid()));
        running.until("stops its app", move |running| {
            let inner = children_of(running.pid());
            let all: Vec<u32> = inner
                .iter()
                .copied()
                .chain(inner.iter().flat_map(|&pid| children_of(pid)))
                .collect();
            all.into_iter().any(stopped)
        });
        running.signal(Signal::CONT);
        running.end().exits(3).says("here\non\n");
    }
}

#[test]
fn the_death_of_the_outer_half_is_the_pods() {
    require_root!();
    let mut running = init_sh(
        &format!("plan 1 unshare pid {SHELL}"),
        "trap '' HUP TERM; echo here; while :; do sleep 0.02; done",
    )
    .start();
    running.until_it_says("here");
    let inner = children_of(running.pid());
    let apps = children_of(inner[0]);
    assert!(!apps.is_empty());
    running.signal(Signal::KILL);
    // The pipes end only when every process of the pod has.
    running.end();
    // Closing its streams is not yet the end of a process, and whoever inherits
    // it may leave it unreaped.
    let gone = |&pid: &u32| {
        (0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            status_of(pid, "State").is_none_or(|state| state.starts_with(['Z', 'X']))
        })
    };
    assert!(inner.iter().chain(&apps).all(gone));
}

#[test]
fn the_death_of_the_parent_is_the_pods_if_the_plan_says_so() {
    require_root!();
    let script = format!(
        "\"$0\" plan 1 die-with-parent unshare pid {SHELL} main 2 /bin/sleep 1000 & echo $!; read line"
    );
    let scratch = Scratch::new();
    let fifo = scratch.join("fifo");
    host::call(std::path::Path::new("/usr/bin/mkfifo"))
        .arg(&fifo)
        .run()
        .exits(0);
    let script = format!("exec <>{}; {script}", fifo.display());
    let mut running = host::call(std::path::Path::new("/bin/sh"))
        .args(["-c", &script])
        .arg(host::stage1())
        .start();
    running.until("has a pod", |running| {
        let init = children_of(running.pid());
        let inner = init
            .first()
            .map(|&pid| children_of(pid))
            .unwrap_or_default();
        inner
            .first()
            .is_some_and(|&pid| !children_of(pid).is_empty())
    });
    running.signal(Signal::KILL);
    // Its pipes are the pod's as well, so this would wait for ever.
    running.end();
}

#[test]
fn while_nothing_happens_nobody_wakes() {
    require_root!();
    // Both halves sleep in rt_sigtimedwait(2), whose third argument is the time
    // after which it would wake by itself: none.
    let script = "while :; do
            set -- $(cat /proc/1/syscall); [ $# -gt 5 ] && [ $2 != 0x0 ] && [ $4 = 0x0 ] && break
        done; echo here; sleep 1000";
    let root = super::Root::new();
    let mut running = root.pod("", script).start();
    running.until_it_says("here");
    let call = fs::read_to_string(format!("/proc/{}/syscall", running.pid())).unwrap();
    let inner = children_of(running.pid());
    assert_eq!(inner.len(), 1);
    let inners = fs::read_to_string(format!("/proc/{}/syscall", inner[0])).unwrap();
    let words = |call: &str| call.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let (call, inners) = (words(&call), words(&inners));
    assert_eq!((&call[0], &call[3]), (&inners[0], &inners[3]));
    assert_eq!(call[3], "0x0");
    running.signal(Signal::KILL);
    running.end();
}
