//! Whatever is killed halfway: what is listed is true, and one `gc` leaves
//! nothing.
//!
//! strace(1) kills the launcher, or the init that it becomes, at the first
//! calls of each kind that change something or decide something.

use std::fs;
use std::path::Path;

use super::Life;
use crate::host::{self, call};

const CALLS: &[&str] = &[
    "flock",
    "mkdirat",
    "renameat",
    "renameat2",
    "unlinkat",
    "openat2",
    "write",
    "fsync",
    "execve,execveat",
    "setsid",
    "clone3",
    "pidfd_open",
    "memfd_create",
    "poll",
];

/// Kills `launcher WORDS` at the first calls of each kind. Before each time
/// `begin` makes what it needs, and returns the word that stands for POD.
#[track_caller]
fn sweep(begin: impl Fn(&Life) -> String, words: &[&str]) {
    let strace = match host::find_tool("strace") {
        Some(strace) => strace,
        None => skip!("needs `strace`; see `cargo xtask setup`"),
    };
    let life = Life::new();
    let probe = host::image("probe").display().to_string();
    let mut killed = 0;
    for calls in CALLS {
        for number in 1..=3 {
            let pod = begin(&life);
            let fault = format!("inject={calls}:signal=KILL:when={number}");
            let word = |word: &&str| match *word {
                "PROBE" => probe.clone(),
                "POD" => pod.clone(),
                word => word.to_owned(),
            };
            let ran = with_fault(&strace, &life, &fault)
                .args(words.iter().map(word))
                .run();
            killed += usize::from(ran.exited() != Some(0));
            let told = life.run(&["list", "--no-legend"]).exits(0).complains("");
            // Whoever ran it waited for all of it to end.
            assert!(!told.stdout.contains("running"), "{fault}: {}", told.stdout);
            life.leaves_nothing();
        }
    }
    assert!(killed > 4, "only {killed} of them were hit");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(
        !mounts.contains(life.0.path().to_str().unwrap()),
        "{mounts}"
    );
}

fn with_fault(strace: &Path, life: &Life, fault: &str) -> host::Call {
    call(strace)
        .args(["-f", "-qq", "-o"])
        .arg(life.0.join("strace.log"))
        .args(["-e", fault])
        .arg(host::program())
        .arg("--dir")
        .arg(life.dir())
}

fn nothing(_: &Life) -> String {
    String::new()
}

fn prepared(life: &Life) -> String {
    let uuid = life.run(&["prepare", "PROBE"]).exits(0).stdout;
    uuid.trim_end().to_owned()
}

fn over(life: &Life) -> String {
    let words = [
        "run",
        "--keep",
        "--uuid-file-save",
        "uuid",
        "PROBE",
        "--",
        "--exit-code",
        "0",
    ];
    life.call(&words).dir(life.0.path()).run().exits(0);
    fs::read_to_string(life.0.join("uuid"))
        .unwrap()
        .trim_end()
        .to_owned()
}

#[test]
fn a_run_can_be_killed_at_any_time() {
    require_root!();
    sweep(
        nothing,
        &["run", "--keep", "PROBE", "--", "--exit-code", "0"],
    );
    sweep(
        nothing,
        &["run", "--name", "web", "PROBE", "--", "--exit-code", "0"],
    );
}

#[test]
fn who_detaches_and_what_is_detached_can_be_killed_at_any_time() {
    require_root!();
    sweep(
        nothing,
        &["run", "--detach", "PROBE", "--", "--exit-code", "0"],
    );
    sweep(prepared, &["run-prepared", "--detach", "--rm", "POD"]);
}

#[test]
fn a_removal_can_be_killed_at_any_time() {
    require_root!();
    sweep(prepared, &["rm", "POD"]);
    sweep(over, &["rm", "POD"]);
}

#[test]
fn a_collection_can_be_killed_at_any_time() {
    require_root!();
    sweep(over, &["gc", "--grace-period=0"]);
    sweep(prepared, &["gc", "--expire-prepared=0"]);
}

#[test]
fn who_stops_a_pod_can_be_killed_and_somebody_else_stops_it() {
    require_root!();
    let strace = tool!("strace");
    for calls in ["pidfd_open", "pidfd_send_signal", "poll", "flock"] {
        let life = Life::new();
        let uuid = life.waiting(&[]);
        let fault = format!("inject={calls}:signal=KILL:when=1");
        let _ = with_fault(&strace, &life, &fault)
            .args(["stop", &uuid])
            .run();
        life.run(&["stop", &uuid]).exits(0);
        assert_eq!(life.state(&uuid), "exited", "{fault}");
        life.leaves_nothing();
    }
}
