//! Limits and devices, read back from the kernel's files while a pod runs.

use std::fs;
use std::path::PathBuf;

use super::probe;
use crate::claims;
use crate::host::{self, Scratch, launcher};

// --- devices ---

/// A device that root can read and write, and no app has unless it is given.
const DEVICE: &str = "/dev/kmsg";

fn has_device() -> bool {
    fs::OpenOptions::new().write(true).open(DEVICE).is_ok() && fs::File::open(DEVICE).is_ok()
}

#[test]
fn a_device_can_be_used_as_its_option_says() {
    const UUID: &str = "1f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a01";
    require_root!();
    if !has_device() {
        skip!("needs {DEVICE}");
    }
    let words = ["--open-to-write", DEVICE, "--list", DEVICE];
    probe(&[], &words)
        .exits(0)
        .says("open /dev/kmsg: ENOENT\nlist /dev/kmsg: ENOENT\n");
    for access in ["", ":rw", ":rwm"] {
        probe(&["--device", &format!("{DEVICE}{access}")], &words)
            .exits(0)
            .complains("")
            .says("open /dev/kmsg: ok\nlist /dev/kmsg: ENOTDIR\n");
    }
    let image = host::image("probe");
    let read_only = format!("{DEVICE}:r");
    let words = ["--device", &read_only, "--", "--open-to-write", DEVICE];
    if groups(UUID, &[&[image.to_str().unwrap()][..], &words].concat()).is_empty() {
        skip!("needs cgroups that bound devices");
    }
    probe(&words[..2], &words[3..])
        .exits(0)
        .says("open /dev/kmsg: EPERM\n");
    // Its own devices it still has.
    let words = [
        "--open-to-write",
        "/dev/null",
        "--open-to-write",
        "/dev/full",
    ];
    probe(&["--device", &read_only], &words)
        .exits(0)
        .says("open /dev/null: ok\nopen /dev/full: ok\n");
}

#[test]
fn what_is_no_device_is_given_to_nobody() {
    require_root!();
    let ran = probe(&["--device", "/dev/shm"], &[]).exits(125);
    ran.complains("launcher: `--device`: every app has a `/dev/shm` of its own\n");
    let ran = probe(&["--device", "/dev/no-such"], &[]).exits(125);
    ran.complains("launcher: cannot use the device `/dev/no-such`: No such file or directory\n");
}

// --- limits ---

/// The groups of a pod, as its plan names them; none if limits cannot be set here.
pub(crate) fn groups(uuid: &str, words: &[&str]) -> Vec<PathBuf> {
    let scratch = Scratch::new();
    let plan = launcher(&scratch.join("dir"))
        .args(["plan", "--uuid", uuid])
        .args(words)
        .run();
    let lines = plan.stdout.lines();
    lines
        .filter_map(|line| Some(line.strip_prefix("cgroup ")?.split_once(' ')?.0.into()))
        .collect()
}

/// What is in a file of one of the groups, wherever it is: by its names in both
/// versions.
pub(crate) fn limit(groups: &[PathBuf], names: [&str; 2]) -> Option<String> {
    let files = groups
        .iter()
        .flat_map(|group| names.map(|name| group.join(name)));
    let found = files
        .filter_map(|file| fs::read_to_string(file).ok())
        .next();
    found.map(|text| text.trim_end().to_owned())
}

#[test]
fn limits_are_in_the_kernels_files_while_the_pod_runs_and_gone_afterwards() {
    const UUID: &str = "1f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a03";
    require_root!();
    let image = host::image("probe");
    let image = image.to_str().unwrap();
    let options = ["--memory", "42Mi", "--cpu", "900m", "--cpu-shares", "2048"];
    let words = [&[image][..], &options, &["--", "--trap-exit", "15", "7"]].concat();
    let groups = groups(UUID, &words);
    if groups.is_empty() {
        skip!("needs cgroups with the controllers cpu and memory");
    }
    let scratch = Scratch::new();
    let run = launcher(&scratch.join("dir")).args(["run", "--uuid", UUID]);
    let mut running = run.args(&words).start();
    running.until_it_says("waiting");
    let memory = limit(&groups, ["memory.limit_in_bytes", "memory.max"]);
    assert_eq!(memory.as_deref(), Some("44040192"));
    let cpu = limit(&groups, ["cpu.cfs_quota_us", "cpu.max"]).unwrap();
    assert!(["90000", "90000 100000"].contains(&cpu.as_str()), "{cpu}");
    let weight = limit(&groups, ["cpu.shares", "cpu.weight"]).unwrap();
    assert!(["2048", "200"].contains(&weight.as_str()), "{weight}");
    for group in &groups {
        let inside = fs::read_to_string(group.join("cgroup.procs")).unwrap();
        assert_eq!(inside.lines().count(), 2, "{group:?}: {inside}");
    }
    running.signal(rustix::process::Signal::TERM);
    running.end().exits(7).complains("");
    for group in groups {
        assert!(!group.exists(), "{group:?}");
    }
}

#[test]
fn a_pod_that_does_not_start_leaves_no_groups() {
    const UUID: &str = "1f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a04";
    require_root!();
    let image = host::image("probe");
    let words = [
        image.to_str().unwrap(),
        "--memory",
        "42Mi",
        "--exec",
        "/no/such",
    ];
    let groups = groups(UUID, &words);
    if groups.is_empty() {
        skip!("needs cgroups with the controller memory");
    }
    let scratch = Scratch::new();
    let run = launcher(&scratch.join("dir")).args(["run", "--uuid", UUID]);
    run.args(words).run().exits(127);
    for group in groups {
        assert!(!group.exists(), "{group:?}");
    }
}

#[test]
fn an_app_that_takes_more_memory_than_it_may_is_killed() {
    const UUID: &str = "1f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a05";
    require_root!();
    let image = image!("busybox");
    let image = image.to_str().unwrap();
    if groups(UUID, &[image, "--memory", "16Mi"]).is_empty() {
        skip!("needs cgroups with the controller memory");
    }
    let scratch = Scratch::new();
    let script = "x=$(yes 1234567 | head -c 60000000); echo survived";
    launcher(&scratch.join("dir"))
        .args(["run", image, "--exec", "/bin/sh", "--memory", "16Mi"])
        .args(["--", "-c", script])
        .run()
        .exits(128 + 9)
        .says("");
}

#[test]
fn apps_with_limits_of_their_own_are_apart() {
    const UUID: &str = "1f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a06";
    require_root!();
    let image = host::image("probe");
    let image = image.to_str().unwrap();
    let words = [
        image,
        "--name",
        "a",
        "--memory",
        "30Mi",
        "--",
        "--report-only",
        "cgroup",
        "---",
        image,
        "--name",
        "b",
        "--",
        "--report-only",
        "cgroup",
    ];
    let groups = groups(UUID, &words);
    if groups.is_empty() {
        skip!("needs cgroups with the controller memory");
    }
    let scratch = Scratch::new();
    let run = launcher(&scratch.join("dir")).args(["run", "--uuid", UUID]);
    let ran = run.args(words).run().exits(0).complains("");
    // Seen from the pod's own namespace of cgroups: only one is below its root.
    let below = ran
        .stdout
        .lines()
        .filter(|line| line.ends_with(":/a") || line.ends_with("/../a"));
    assert_eq!(below.count(), 1, "{}", ran.stdout);
    for group in groups {
        assert!(!group.exists(), "{group:?}");
    }
}

#[test]
fn without_limits_there_are_no_groups() {
    const UUID: &str = "1f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a07";
    require_root!();
    let image = host::image("probe");
    assert!(groups(UUID, &[image.to_str().unwrap()]).is_empty());
    let words = ["--report-only", "cgroup"];
    // As seen from a namespace of cgroups whose root is where the caller is.
    let seen = host::probed(&words);
    claims::same(
        "groups",
        &seen
            .lines()
            .filter(|line| !line.ends_with(":/"))
            .collect::<String>(),
        "",
    );
}
