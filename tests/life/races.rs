//! Two commands at a time: one of them wins, and both say what is true.
//!
//! Each race is run a few times, or as often as ROUNDS says: `cargo xtask sweep
//! --races`.

use std::thread;
use std::time::Duration;

use super::Life;
use crate::host::{Ran, rounds};

/// How often a race is run, if nobody says.
const FEW: usize = 6;

/// What may be said of a pod that somebody else has removed, or is about to.
const LOST: &str = "what somebody else removes";

/// How many did not have to say one of what stands under a title.
#[track_caller]
fn winners(all: Vec<Ran>, uuid: &str, title: &str) -> usize {
    let mut winners = 0;
    for ran in all {
        match ran.succeeded() {
            true => winners += 1,
            false => ran.naming("UUID", uuid).complains_as_one_of(title),
        }
    }
    winners
}

#[test]
fn stopping_beside_the_end_is_never_an_error_and_loses_no_status() {
    require_root!();
    let life = Life::new();
    for round in 0..rounds(FEW) {
        let uuid = life.waiting(&[]);
        let pid = life.pid(&uuid);
        let stops: Vec<_> = (0..2)
            .map(|_| life.call(&["stop", &uuid]).start())
            .collect();
        thread::sleep(Duration::from_millis(round as u64 % 20));
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        for stop in stops {
            stop.end().exits(0);
        }
        assert_eq!(life.state(&uuid), "exited");
        assert_eq!(life.status(&uuid, "app-probe").as_deref(), Some("0"));
        life.run(&["rm", &uuid]).exits(0);
    }
    life.leaves_nothing();
}

#[test]
fn what_is_over_can_be_removed_while_that_is_written_down() {
    require_root!();
    let strace = tool!("strace");
    let life = Life::new();
    // Half a second in which it is over, and somebody has its lock.
    let running = crate::host::call(&strace)
        .args(["-f", "-qq", "-e", "inject=fsync:delay_exit=500000", "-o"])
        .arg(life.0.join("strace.log"))
        .arg(crate::host::program())
        .arg("--dir")
        .arg(life.dir())
        .args(["run", "--keep", "--name=web"])
        .arg(crate::host::image("probe"))
        .args(["--", "--exit-code", "0"])
        .start();
    super::until("it is over", || {
        life.run(&["list"]).exits(0).stdout.contains("exited")
    });
    life.run(&["rm", "web"]).exits(0).complains("");
    running.end().exits(0);
    assert_eq!(life.pods(), [""; 0]);
}

#[test]
fn killing_beside_the_end_loses_no_status() {
    require_root!();
    let life = Life::new();
    for round in 0..rounds(FEW) {
        let uuid = life.detach(&["PROBE", "--", "--trap-exit", "15", "3"]);
        let pid = life.pid(&uuid);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        thread::sleep(Duration::from_millis(round as u64 % 20));
        let ran = life.run(&["kill", &uuid]).says("");
        let killed_it = ran.succeeded();
        if !killed_it {
            ran.naming("UUID", &uuid)
                .complains_as_one_of("killing what is over");
        }
        let waited = life.run(&["status", "--wait", &uuid]).exited();
        assert_eq!(life.state(&uuid), "exited");
        let status = life.status(&uuid, "status");
        assert_eq!(waited.map(|code| code.to_string()), status);
        // What was killed before it could tell has that status.
        let was_killed = killed_it && status.as_deref() == Some("137");
        assert!(
            was_killed || status == life.status(&uuid, "app-probe"),
            "{status:?}"
        );
        life.run(&["rm", &uuid]).exits(0);
    }
}

#[test]
fn of_many_who_remove_a_pod_one_does() {
    require_root!();
    let life = Life::new();
    for _ in 0..rounds(FEW) {
        let uuid = life.run(&["prepare", "PROBE"]).exits(0).stdout;
        let uuid = uuid.trim_end();
        let removing: Vec<_> = (0..4).map(|_| life.call(&["rm", uuid]).start()).collect();
        let all: Vec<_> = removing.into_iter().map(|one| one.end()).collect();
        assert_eq!(winners(all, uuid, LOST), 1);
        assert_eq!(life.pods(), [""; 0]);
    }
}

#[test]
fn who_removes_a_pod_by_force_beside_a_stop_has_removed_it() {
    require_root!();
    let life = Life::new();
    for round in 0..rounds(FEW) {
        let uuid = life.waiting(&[]);
        let stop = life.call(&["stop", &uuid]).start();
        thread::sleep(Duration::from_millis(round as u64 % 20));
        life.run(&["rm", "--force", &uuid])
            .exits(0)
            .says(&format!("removed {uuid}\n"))
            .complains("");
        assert_eq!(life.pods(), [""; 0]);
        stop.end();
    }
}

#[test]
fn collecting_beside_everything_else_takes_nothing_away() {
    require_root!();
    let life = Life::new();
    life.run(&["image", "list"]).exits(0);
    let collect = || life.call(&["gc", "--grace-period=0"]).start();
    for _ in 0..rounds(FEW) {
        let words = ["PROBE", "--", "--stdout", "ran"];
        let run = life.call(&[&["run"], &words[..]].concat()).start();
        let prepare = life.call(&[&["prepare"], &words[..]].concat()).start();
        let detach = life
            .call(&["run", "--detach", "PROBE", "--", "--sleep", "600"])
            .start();
        let collecting: Vec<_> = (0..3).map(|_| collect()).collect();
        let listing = life.call(&["list"]).start();
        run.end().exits(0).says("ran\n").complains("");
        let prepared = prepare.end().exits(0).complains("").stdout;
        let detached = detach.end().exits(0).complains("").stdout;
        for collecting in collecting {
            collecting.end().exits(0).complains("");
        }
        listing.end().exits(0).complains("");
        life.run(&["run-prepared", prepared.trim_end()])
            .exits(0)
            .says("ran\n")
            .complains("");
        assert_eq!(life.state(detached.trim_end()), "running");
        life.run(&["rm", "--force", detached.trim_end()]).exits(0);
    }
    life.leaves_nothing();
}

#[test]
fn of_many_who_want_one_name_one_gets_it() {
    require_root!();
    let life = Life::new();
    // The image is stored before.
    life.run(&["prepare", "PROBE"]).exits(0);
    let all = |words: &[&str]| -> Vec<Ran> {
        let all: Vec<_> = (0..4).map(|_| life.call(words).start()).collect();
        all.into_iter().map(|one| one.end()).collect()
    };
    for _ in 0..rounds(FEW) {
        for verb in [&["prepare"][..], &["run", "--detach"]] {
            let words = ["--name", "web", "PROBE", "--", "--sleep", "600"];
            let all = all(&[verb, &words].concat());
            let (winners, losers): (Vec<_>, Vec<_>) = all.into_iter().partition(Ran::succeeded);
            let [winner] = &winners[..] else {
                panic!("not one of them has the name: {winners:?}");
            };
            for ran in losers {
                ran.naming("UUID", winner.stdout.trim_end())
                    .complains_as("a name that is taken");
            }
            life.run(&["rm", "--force", "web"]).exits(0).complains("");
        }
    }
    life.leaves_nothing();
}

#[test]
fn of_many_who_run_a_prepared_pod_one_does() {
    require_root!();
    let life = Life::new();
    for _ in 0..rounds(FEW) {
        let uuid = life.run(&["prepare", "PROBE"]).exits(0).stdout;
        let uuid = uuid.trim_end();
        let all: Vec<_> = (0..4)
            .map(|_| life.call(&["run-prepared", uuid]).start())
            .collect();
        let all: Vec<_> = all.into_iter().map(|one| one.end()).collect();
        let title = "what somebody else runs or removes";
        assert_eq!(winners(all, uuid, title), 1);
        assert_eq!(life.pods(), [""; 0]);
    }
}

#[test]
fn whoever_removes_a_pod_beside_a_collection_it_is_gone_once() {
    require_root!();
    let life = Life::new();
    for _ in 0..rounds(FEW) {
        let uuid = life.waiting(&[]);
        life.run(&["stop", &uuid]).exits(0);
        let collect = || life.call(&["gc", "--grace-period=0"]).start();
        let collecting: Vec<_> = (0..2).map(|_| collect()).collect();
        let removing = life.call(&["rm", &uuid]).start();
        let listing = life.call(&["list"]).start();
        let mut said = 0;
        for collecting in collecting {
            let ran = collecting.end().exits(0).complains("");
            said += ran.stdout.lines().count();
        }
        let removed = removing.end();
        said += winners(vec![removed], &uuid, LOST);
        assert_eq!(said, 1);
        listing.end().exits(0).complains("");
        assert_eq!(life.pods(), [""; 0]);
    }
}
