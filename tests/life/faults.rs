//! Processes that are killed, and records that lie: what is told is true, and
//! nobody else's process is harmed.

use std::fs;
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, Mode, OFlags};

use super::{Life, child, kill};
use crate::golden::Cases;

const UUID: &str = "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0";

#[test]
fn a_pod_whose_outer_init_was_killed_is_over_and_says_no_status() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&[]);
    let inner = child(life.pid(&uuid));
    kill(life.pid(&uuid));
    life.run(&["status", "--wait", &uuid])
        .exits(125)
        .naming("UUID", &uuid)
        .complains_as("waiting for a pod whose end nobody saw");
    assert_eq!(life.state(&uuid), "aborted");
    assert_eq!(life.status(&uuid, "exited").as_deref(), Some("true"));
    for key in ["pid", "status", "app-probe", "ended"] {
        assert_eq!(life.status(&uuid, key), None, "{key}");
    }
    super::until("its apps are gone", || {
        rustix::process::test_kill_process(inner).is_err()
    });
    assert_eq!(life.pods(), [format!("run/{uuid}")]);
    // When it is met first, its grace begins.
    life.run(&["gc"]).exits(0).says("").complains("");
    assert_eq!(life.pods(), [format!("exited/{uuid}")]);
    assert_eq!(life.state(&uuid), "aborted");
    life.leaves_nothing();
}

#[test]
fn the_name_of_a_pod_whose_outer_init_was_killed_is_free() {
    require_root!();
    let life = Life::new();
    let dead = life.waiting(&["--name", "web"]);
    kill(life.pid(&dead));
    life.run(&["status", "--wait", &dead]).exits(125);
    assert_eq!(life.state(&dead), "aborted");
    // It is called so all the same, as long as no other is.
    assert_eq!(life.state("web"), "aborted");
    let uuid = life.waiting(&["--name", "web"]);
    life.run(&["stop", "web"])
        .exits(0)
        .says(&format!("stopped {uuid}\n"))
        .complains("");
    life.leaves_nothing();
}

#[test]
fn a_pod_whose_inner_init_was_killed_before_its_apps_ran_says_so() {
    require_root!();
    let strace = tool!("strace");
    let life = Life::new();
    for options in [&["run", "--keep"][..], &["run", "--detach"]] {
        // What is made in `/dev` of the pod.
        let fault = ["inject=mknodat:signal=KILL:when=1"];
        let words = [options, &["PROBE", "--", "--exit-code", "0"]].concat();
        life.call_by(&strace, &fault, &words)
            .run()
            .exits(137)
            .says("")
            .complains_as("a pod whose inner init was killed before its apps ran says so");
        assert_eq!(life.pods(), [""; 0]);
    }
}

#[test]
fn a_pod_whose_inner_init_was_killed_has_exited() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&[]);
    kill(child(life.pid(&uuid)));
    life.run(&["status", "--wait", &uuid])
        .exits(137)
        .complains("");
    assert_eq!(life.state(&uuid), "exited");
    assert_eq!(life.status(&uuid, "status").as_deref(), Some("137"));
    // The kernel killed it with the init.
    assert_eq!(life.status(&uuid, "app-probe").as_deref(), Some("137"));
    life.leaves_nothing();
}

#[test]
fn a_pod_whose_app_was_killed_has_exited_with_that_signal() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&[]);
    kill(child(child(life.pid(&uuid))));
    life.run(&["status", "--wait", &uuid])
        .exits(137)
        .complains("");
    assert_eq!(life.state(&uuid), "exited");
    assert_eq!(life.status(&uuid, "status").as_deref(), Some("137"));
    assert_eq!(life.status(&uuid, "app-probe").as_deref(), Some("137"));
    life.leaves_nothing();
}

#[test]
fn a_foreground_pod_whose_init_was_killed_is_told_and_collected() {
    require_root!();
    let life = Life::new();
    let mut running = life
        .call(&[
            "run",
            "--uuid",
            UUID,
            "PROBE",
            "--",
            "--trap-exit",
            "15",
            "0",
        ])
        .start();
    running.until_it_says("waiting");
    assert_eq!(life.state(UUID), "running");
    kill(life.pid(UUID));
    let _ = running.end();
    life.run(&["status", "--wait", UUID]).exits(125);
    assert_eq!(life.state(UUID), "aborted");
    life.leaves_nothing();
}

/// A pod in `pods/run` of which the record says that a process runs it.
fn forged(life: &Life, pid: u32, ticks: u64, boot: &str) {
    let pod = life.dir().join("pods/run").join(UUID);
    // Makes the directories.
    life.run(&["prepare", "PROBE"]).exits(0);
    fs::create_dir_all(&pod).unwrap();
    fs::write(
        pod.join("started"),
        format!(r#"{{"time":1,"keep":true,"pid":{pid},"ticks":{ticks},"boot":"{boot}"}}"#),
    )
    .unwrap();
}

/// Lets go of a lock, also where a child that another test has just begun to
/// start has the same descriptor.
fn unlock(lock: &std::os::fd::OwnedFd) {
    rustix::fs::flock(lock, FlockOperation::Unlock).unwrap();
}

fn boot() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    boot.trim().to_owned()
}

fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, behind) = stat.rsplit_once(')').unwrap();
    behind
        .split_ascii_whitespace()
        .nth(19)
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn no_process_is_signalled_that_only_has_the_number() {
    require_root!();
    let mut other = Command::new("sleep")
        .arg("600")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (pid, ticks, boot) = (other.id(), ticks(other.id()), boot());
    for (ticks, boot) in [
        (ticks + 1, boot.as_str()),
        (ticks, "01234567-89ab-cdef-0123-456789abcdef"),
    ] {
        let life = Life::new();
        forged(&life, pid, ticks, boot);
        // Even where somebody has the lock.
        let path = life.dir().join("pods/run").join(UUID);
        let lock = rustix::fs::open(&path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let lock = lock.unwrap();
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
        let mut cases = Cases::default();
        for verb in ["stop", "kill"] {
            let ran = life.run(&[verb, UUID]).exits(1).says("");
            cases.add(verb, &ran.told());
        }
        cases.as_written("a process that cannot be seen");
        unlock(&lock);
        assert_eq!(life.state(UUID), "aborted");
        life.run(&["stop", UUID])
            .exits(0)
            .says("")
            .complains_as("of a pod that is over");
        assert!(other.try_wait().unwrap().is_none(), "it was killed");
    }
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn who_waits_until_it_is_ready_is_woken_by_the_report_or_by_the_end() {
    require_root!();
    for ready in [true, false] {
        let life = Life::new();
        forged(&life, 1, 1, "none");
        let pod = life.dir().join("pods/run").join(UUID);
        let lock = rustix::fs::open(&pod, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let lock = lock.unwrap();
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
        let mut late = life.run(&["status", "--wait-ready=0s", UUID]).exits(1);
        late.stdout.clear();
        late.complains_as("while not all apps run");
        let waiter = life.call(&["status", "--wait-ready", UUID]).start();
        std::thread::sleep(std::time::Duration::from_millis(100));
        if ready {
            fs::write(pod.join("report"), "ready\n").unwrap();
            let ran = waiter.end().exits(0).complains("");
            assert!(ran.stdout.starts_with("state=running\n"), "{}", ran.stdout);
        } else {
            unlock(&lock);
            let ran = waiter.end().exits(1);
            assert!(ran.stdout.starts_with("state=aborted\n"), "{}", ran.stdout);
            ran.complains_as("when not all apps have run");
        }
    }
}

#[test]
fn records_that_were_cut_short_hide_no_pod() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&["--name", "web"]);
    life.run(&["stop", "web"]).exits(0);
    let pod = life.dir().join("pods/exited").join(&uuid);
    for name in ["created", "started", "ended"] {
        fs::write(pod.join(name), "").unwrap();
    }
    life.run(&["list", "--no-legend"])
        .exits(0)
        .says(&format!(
            "{}  probe  nosecone.net/example/probe  aborted  0\n",
            &uuid[..8]
        ))
        .complains("");
    // A spec that is none hides only itself.
    fs::write(pod.join("spec"), "{").unwrap();
    let other = life.waiting(&[]);
    let ran = life.run(&["list", "--no-legend"]).exits(1);
    assert!(ran.stdout.starts_with(&other[..8]), "{}", ran.stdout);
    ran.naming("UUID", &uuid)
        .complains_as("a spec that was cut short");
    life.run(&["stop", &other]).exits(0);
    life.run(&["rm", &uuid]).exits(0).complains("");
    life.leaves_nothing();
}
