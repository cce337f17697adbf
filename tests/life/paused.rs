//! Pods that are paused: they stand still, can be ended, and leave no group,
//! with cgroups of either version.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Life, child, kill};
use crate::cgroups::{mounts, of_pod};
use crate::host::{self, Call, Ran, call};

/// Which version of cgroups freezes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Version {
    One,
    Two,
}

impl Version {
    /// Those that this host has; fails a test that is run for none of them.
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for (version, mounts) in [(Self::Two, mounts("cgroup2", "")), (Self::One, first())] {
            match mounts.is_empty() {
                true => host::skipped(&format!("needs cgroups of version {version:?} to freeze")),
                false => all.push(version),
            }
        }
        all
    }

    /// `launcher WORDS`, where there is nothing else to freeze with.
    fn call(self, life: &Life, words: &[&str]) -> Call {
        match self {
            Self::Two => life.call(words),
            Self::One => without(life, &mounts("cgroup2", ""), words),
        }
    }

    /// Pauses a pod, and returns its group.
    #[track_caller]
    fn pause(self, life: &Life, uuid: &str) -> PathBuf {
        self.call(life, &["pause", uuid])
            .run()
            .exits(0)
            .complains("")
            .says(&format!("paused {uuid}\n"));
        let groups = of_pod(uuid);
        let file = match self {
            Self::One => "freezer.state",
            Self::Two => "cgroup.freeze",
        };
        let mut groups = groups.into_iter().filter(|group| group.join(file).exists());
        groups.next().expect("it has a group that can be frozen")
    }
}

fn first() -> Vec<PathBuf> {
    mounts("cgroup", "freezer")
}

/// `launcher WORDS`, with a script run before it in a namespace of mounts.
fn after(life: &Life, script: &str, paths: &[PathBuf], words: &[&str]) -> Call {
    let script = format!("for path in \"$@\"; do {script}; done || exit 9; exec $TRACED $LAUNCH");
    let launch = format!(
        "{} --dir {} {}",
        host::program().display(),
        life.dir().display(),
        words.join(" ")
    );
    call(Path::new("/usr/bin/unshare"))
        .args(["--mount", "sh", "-c", &script, "sh"])
        .args(paths)
        .env("LAUNCH", launch)
}

fn without(life: &Life, paths: &[PathBuf], words: &[&str]) -> Call {
    after(life, "umount -l \"$path\"", paths, words)
}

#[track_caller]
fn leaves_no_group(uuid: &str) {
    let groups = of_pod(uuid);
    assert!(groups.is_empty(), "{groups:?}");
}

/// The processes of a pod, by their pid namespace.
fn processes(init: rustix::process::Pid) -> BTreeSet<String> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = namespace(&init.to_string());
    assert!(own.is_some(), "there is no process {init}");
    let names = host::names(Path::new("/proc")).into_iter();
    let alive = |pid: &String| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat
            .rsplit_once(") ")
            .is_none_or(|(_, rest)| rest.starts_with('Z'))
    };
    names
        .filter(|pid| namespace(pid) == own && alive(pid))
        .collect()
}

fn members(group: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn is_frozen(group: &Path) -> bool {
    let read = |name: &str| fs::read_to_string(group.join(name)).unwrap_or_default();
    read("freezer.state") == "FROZEN\n" || read("cgroup.events").contains("frozen 1\n")
}

#[track_caller]
fn log(life: &Life, uuid: &str) -> String {
    life.run(&["logs", uuid]).exits(0).stdout
}

/// A pod whose app runs a script, which has said `up`.
#[track_caller]
fn script(life: &Life, script: &str) -> String {
    let uuid = life.detach(&["BUSYBOX", "--", "-c", script]);
    super::until("it is up", || log(life, &uuid).starts_with("up\n"));
    uuid
}

#[test]
fn what_is_paused_does_nothing_until_it_is_resumed() {
    require_root!();
    let _ = image!("busybox");
    for version in Version::all() {
        let life = Life::new();
        let uuid = script(&life, "echo up; while :; do echo x; done");
        let group = version.pause(&life, &uuid);
        assert!(is_frozen(&group), "{group:?}");
        assert_eq!(life.state(&uuid), "paused");
        let init = child(life.pid(&uuid));
        assert_eq!(processes(init), members(&group));
        assert!(!members(&group).contains(&life.pid(&uuid).to_string()));
        let before = log(&life, &uuid);
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert_eq!(log(&life, &uuid), before);
        life.run(&["enter", &uuid, "true"])
            .exits(125)
            .says("")
            .naming("UUID", &uuid)
            .complains_as("entering what is paused");
        version
            .call(&life, &["pause", &uuid])
            .run()
            .exits(0)
            .says("")
            .naming("UUID", &uuid)
            .complains_as("pausing what is paused");
        life.run(&["resume", &uuid])
            .exits(0)
            .says(&format!("resumed {uuid}\n"))
            .complains("");
        assert_eq!(life.state(&uuid), "running");
        super::until("it goes on", || log(&life, &uuid) != before);
        life.run(&["resume", &uuid])
            .exits(0)
            .says("")
            .naming("UUID", &uuid)
            .complains_as("resuming what is not paused");
        // Again, in the group that it has.
        assert_eq!(version.pause(&life, &uuid), group);
        life.run(&["rm", "--force", &uuid]).exits(0);
        leaves_no_group(&uuid);
        life.leaves_nothing();
    }
}

#[test]
fn who_forks_all_the_time_does_not_get_away() {
    require_root!();
    let _ = image!("busybox");
    // Children that outlive their parents, and children that do not.
    let busy = "echo up; while :; do (true & (sleep 0.01 &)); done & \
                while :; do sleep 0.01; /bin/true; done";
    for version in Version::all() {
        let life = Life::new();
        let uuid = script(&life, busy);
        for _ in 0..5 {
            let group = version.pause(&life, &uuid);
            let init = child(life.pid(&uuid));
            let before = processes(init);
            assert_eq!(before, members(&group));
            assert!(is_frozen(&group), "{group:?}");
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert_eq!(processes(init), before);
            life.run(&["resume", &uuid]).exits(0).complains("");
        }
        life.run(&["kill", &uuid]).exits(0).complains("");
        leaves_no_group(&uuid);
        life.leaves_nothing();
    }
}

#[test]
fn what_is_stopped_goes_on_first_and_what_is_killed_does_not() {
    require_root!();
    let _ = image!("busybox");
    for version in Version::all() {
        let life = Life::new();
        let asked = life.waiting(&[]);
        version.pause(&life, &asked);
        life.run(&["stop", &asked])
            .exits(0)
            .says(&format!("stopped {asked}\n"))
            .complains("");
        assert_eq!(life.status(&asked, "app-probe").as_deref(), Some("0"));
        let deaf = life.stubborn();
        version.pause(&life, &deaf);
        life.run(&["stop", "--time=0", &deaf])
            .exits(0)
            .complains("");
        assert_eq!(life.status(&deaf, "status").as_deref(), Some("137"));
        let killed = script(&life, "echo up; while :; do echo x; done");
        version.pause(&life, &killed);
        let before = log(&life, &killed);
        life.run(&["kill", &killed]).exits(0).says("").complains("");
        assert_eq!(life.status(&killed, "status").as_deref(), Some("137"));
        assert_eq!(log(&life, &killed), before);
        for uuid in [&asked, &deaf, &killed] {
            assert_eq!(life.state(uuid), "exited");
            leaves_no_group(uuid);
        }
        life.leaves_nothing();
    }
}

#[test]
fn another_signal_waits_until_the_pod_goes_on() {
    require_root!();
    for version in Version::all() {
        let life = Life::new();
        let uuid = life.detach(&["PROBE", "--", "--trap-exit", "10", "5"]);
        life.until_it_logs(&uuid, "waiting\n");
        version.pause(&life, &uuid);
        life.run(&["kill", "--signal=USR1", &uuid])
            .exits(0)
            .says("")
            .naming("UUID", &uuid)
            .complains_as("another signal waits until the pod goes on");
        assert_eq!(life.state(&uuid), "paused");
        life.run(&["resume", &uuid]).exits(0);
        life.run(&["status", "--wait", &uuid]).exits(5);
        assert_eq!(life.status(&uuid, "status").as_deref(), Some("5"));
        // Its end, too, gives the group back.
        leaves_no_group(&uuid);
        life.leaves_nothing();
    }
}

#[test]
fn a_paused_pod_whose_outer_init_was_killed_dies_and_is_collected() {
    require_root!();
    for version in Version::all() {
        for words in [
            &["gc", "--grace-period=0"][..],
            &["rm"],
            &["rm", "--force"],
            &["kill"],
        ] {
            let life = Life::new();
            let uuid = life.waiting(&[]);
            version.pause(&life, &uuid);
            let init = child(life.pid(&uuid));
            kill(life.pid(&uuid));
            let mut words = words.to_vec();
            if words[0] != "gc" {
                words.push(&uuid);
            }
            // In version 2 it dies by itself; in the other it is let die.
            super::until("its PID 1 is gone", || {
                let _ = life.run(&words);
                rustix::process::test_kill_process(init).is_err()
            });
            let _ = life.run(&words);
            if words[0] == "kill" {
                life.run(&["gc", "--grace-period=0"]).exits(0).complains("");
            }
            assert_eq!(life.pods(), [""; 0], "{words:?}");
            leaves_no_group(&uuid);
        }
    }
}

#[test]
fn that_a_pod_is_paused_the_kernel_says_and_no_file_of_ours() {
    require_root!();
    for version in Version::all() {
        let life = Life::new();
        let uuid = life.waiting(&[]);
        let group = version.pause(&life, &uuid);
        let (file, thawed, frozen) = match version {
            Version::One => ("freezer.state", "THAWED", "FROZEN"),
            Version::Two => ("cgroup.freeze", "0", "1"),
        };
        fs::write(group.join(file), thawed).unwrap();
        assert_eq!(life.state(&uuid), "running");
        fs::write(group.join(file), frozen).unwrap();
        super::until("it is frozen", || is_frozen(&group));
        assert_eq!(life.state(&uuid), "paused");
        // Without the record nobody would remove the group; its state it has.
        let record = life.dir().join("pods/run").join(&uuid).join("freezer");
        let text = fs::read_to_string(&record).unwrap();
        fs::remove_file(&record).unwrap();
        assert_eq!(life.state(&uuid), "paused");
        fs::write(&record, text).unwrap();
        life.run(&["rm", "--force", &uuid]).exits(0).complains("");
        leaves_no_group(&uuid);
    }
}

#[test]
fn who_pauses_or_resumes_can_be_killed_at_any_time() {
    require_root!();
    let strace = tool!("strace");
    let times = [
        ("flock", &[1, 2, 3][..]),
        ("mkdir", &[1, 2]),
        ("write", &[1, 2, 3, 4]),
        ("readlink", &[1]),
        ("openat", &[6, 12]),
    ];
    let times = times.map(|(calls, numbers)| numbers.iter().map(move |number| (calls, number)));
    for version in Version::all() {
        let mut killed = 0;
        let hidden = match version {
            Version::One => mounts("cgroup2", ""),
            Version::Two => Vec::new(),
        };
        for (calls, number) in times.iter().flat_map(Clone::clone) {
            let life = Life::new();
            let uuid = life.waiting(&[]);
            let fault = format!("inject={calls}:signal=KILL:when={number}");
            let traced = format!("{} -qq -o /dev/null -e {fault}", strace.display());
            let launch = |verb| {
                let launch = without(&life, &hidden, &[verb, &uuid]);
                launch.env("TRACED", &traced).run()
            };
            killed += usize::from(launch("pause").exited() != Some(0));
            life.run(&["list"]).exits(0).complains("");
            let _ = launch("resume");
            life.run(&["resume", &uuid]).exits(0);
            assert_eq!(life.state(&uuid), "running", "{fault}");
            life.run(&["stop", &uuid]).exits(0).complains("");
            assert_eq!(life.status(&uuid, "app-probe").as_deref(), Some("0"));
            leaves_no_group(&uuid);
            life.leaves_nothing();
        }
        assert!(killed > 4, "only {killed} of them were hit");
    }
}

/// `launcher WORDS`, where what a group is frozen by cannot be looked at.
fn hidden(life: &Life, strace: &Path, group: &Path, words: &[&str]) -> Ran {
    let file = group.join("cgroup.freeze");
    let fault = ["inject=statx:error=EIO", "-P", file.to_str().unwrap()];
    life.call_by(strace, &fault, words).run()
}

#[test]
fn a_group_that_cannot_be_looked_at_is_removed_and_another_one_made() {
    require_root!();
    let strace = tool!("strace");
    let ([best], false) = (&mounts("cgroup2", "")[..], first().is_empty()) else {
        skip!("needs cgroups of both versions to freeze");
    };
    let life = Life::new();
    let uuid = life.waiting(&[]);
    let group = best.join(format!("nosecone-{uuid}"));
    hidden(&life, &strace, &group, &["pause", &uuid])
        .exits(0)
        .says(&format!("paused {uuid}\n"));
    assert!(!group.exists());
    life.run(&["pause", &uuid])
        .exits(0)
        .naming("UUID", &uuid)
        .complains_as("pausing what is paused");
    life.run(&["resume", &uuid]).exits(0).complains("");
    assert_eq!(life.state(&uuid), "running");
    life.run(&["stop", &uuid]).exits(0).complains("");
    leaves_no_group(&uuid);
    life.leaves_nothing();
}

#[test]
fn what_cannot_be_looked_at_is_not_called_running() {
    require_root!();
    let strace = tool!("strace");
    let [best, ..] = Version::all()[..] else {
        skip!("needs cgroups that can be frozen");
    };
    let life = Life::new();
    let uuid = life.waiting(&[]);
    let group = best.pause(&life, &uuid);
    for words in [&["resume", &uuid][..], &["status", &uuid], &["list"]] {
        let ran = hidden(&life, &strace, &group, words);
        ran.exits(1)
            .naming("GROUP", &group)
            .complains_as("what cannot be looked at");
    }
    life.run(&["resume", &uuid]).exits(0);
    life.run(&["stop", &uuid]).exits(0);
    life.leaves_nothing();
}

/// Checks what `pause` says of a pod where it cannot be paused.
#[track_caller]
fn refused(ran: Ran, uuid: &str, place: &Path, title: &str) {
    ran.exits(1)
        .says("")
        .naming("PLACE", place)
        .naming("UUID", uuid)
        .complains_as(title);
}

#[test]
fn where_nothing_can_be_frozen_it_is_said_what_is_missing() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&[]);
    let (second, first) = (mounts("cgroup2", ""), first());
    let all = [&second[..], &first].concat();
    let best = all.first().expect("this host has cgroups");
    let words = ["pause", &uuid];
    refused(
        without(&life, &all, &words).run(),
        &uuid,
        best,
        "no hierarchy that can freeze",
    );
    let read_only = "mount -o remount,bind,ro \"$path\"";
    refused(
        after(&life, read_only, &all, &words).run(),
        &uuid,
        best,
        "a hierarchy that is read-only",
    );
    assert_eq!(life.state(&uuid), "running");
    leaves_no_group(&uuid);
    life.run(&["stop", &uuid]).exits(0);
    life.leaves_nothing();
}

#[test]
fn the_group_of_another_pod_is_left_alone() {
    require_root!();
    let [mount] = &mounts("cgroup2", "")[..] else {
        skip!("needs cgroups of version 2 to freeze");
    };
    let life = Life::new();
    let uuid = life.waiting(&[]);
    let group = mount.join(format!("nosecone-{uuid}"));
    fs::create_dir(&group).unwrap();
    let mut other = std::process::Command::new("sleep")
        .arg("600")
        .spawn()
        .unwrap();
    fs::write(group.join("cgroup.procs"), other.id().to_string()).unwrap();
    refused(
        without(&life, &first(), &["pause", &uuid]).run(),
        &uuid,
        &group,
        "a group of another pod",
    );
    assert!(!is_frozen(&group));
    other.kill().unwrap();
    other.wait().unwrap();
    life.run(&["rm", "--force", &uuid]).exits(0).complains("");
    let _ = fs::remove_dir(&group);
}

#[test]
fn groups_that_cannot_be_frozen_are_passed_over() {
    require_root!();
    let second = mounts("cgroup2", "");
    let [mount] = &second[..] else {
        skip!("needs cgroups of version 2");
    };
    let life = Life::new();
    let uuid = life.waiting(&[]);
    // As with an older kernel: what is made there has no such file.
    let old = "mount -t tmpfs none \"$path\"";
    let none = first()
        .iter()
        .map(|path| format!(" && umount -l {}", path.display()))
        .collect::<String>();
    let words = ["pause", &uuid];
    refused(
        after(&life, &format!("{old}{none}"), &second, &words).run(),
        &uuid,
        mount,
        "groups that cannot be frozen",
    );
    if !first().is_empty() {
        after(&life, old, &second, &words)
            .run()
            .exits(0)
            .says(&format!("paused {uuid}\n"));
        assert_eq!(life.state(&uuid), "paused");
    }
    life.run(&["rm", "--force", &uuid]).exits(0).complains("");
    leaves_no_group(&uuid);
}

#[test]
fn a_pod_with_limits_is_paused_as_a_whole() {
    require_root!();
    let _ = image!("busybox");
    let app = |name| {
        [
            "BUSYBOX",
            "--name",
            name,
            "--memory",
            "30Mi",
            "--",
            "-c",
            "sleep 600",
        ]
    };
    let words = [&["run", "--detach"], &app("a")[..], &["---"], &app("b")].concat();
    for version in Version::all() {
        let life = Life::new();
        if !life.limits(&["--memory=30Mi"]) {
            skip!("needs cgroups with the controller memory");
        }
        let uuid = life.run(&words).exits(0).stdout;
        let uuid = uuid.trim_end();
        let group = version.pause(&life, uuid);
        assert_eq!(life.state(uuid), "paused");
        assert_eq!(processes(child(life.pid(uuid))).len(), 3);
        assert!(is_frozen(&group), "{group:?}");
        life.run(&["rm", "--force", uuid]).exits(0).complains("");
        leaves_no_group(uuid);
    }
}
