//! Limits and devices, read back from the kernel's files while a pod runs.

use std::fs;
use std::path::{Path, PathBuf};

use super::probe;
use crate::host::{self, Scratch, launcher};
use crate::{cgroups, claims};

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
    ran.complains_as("what every app has of its own");
    let ran = probe(&["--device", "/dev/no-such"], &[]).exits(125);
    ran.complains_as("a device that is not there");
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
fn who_made_the_group_that_the_launcher_runs_in_can_remove_it() {
    require_root!();
    let [mount] = &cgroups::mounts("cgroup", "memory")[..] else {
        skip!("needs the controller memory in cgroups of version 1");
    };
    let group = mount.join(format!("around-{}", std::process::id()));
    fs::create_dir(&group).unwrap();
    let scratch = Scratch::new();
    let script = "echo $$ >\"$0\"/cgroup.procs && exec \"$@\"";
    let run = host::call(Path::new("/bin/sh")).args(["-c", script]);
    let run = run.arg(&group).arg(host::program()).arg("--dir");
    let run = run.arg(scratch.join("dir")).arg("run");
    let run = run.arg(host::image("probe")).args(["--memory", "42Mi"]);
    let ran = run.args(["--", "--exit-code", "3"]).run();
    let removed = fs::remove_dir(&group);
    ran.exits(3).complains("");
    assert!(removed.is_ok(), "{removed:?}: {:?}", host::names(&group));
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
fn the_limit_of_an_app_bounds_its_own_group_and_not_the_pods() {
    const UUID: &str = "1f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a08";
    require_root!();
    let image = host::image("probe");
    let image = image.to_str().unwrap();
    let waiting = ["--", "--trap-exit", "15", "0"];
    let words = [
        &[image, "--name", "a", "--memory", "30Mi"],
        &waiting[..],
        &["---", image, "--name", "b"],
        &waiting[..],
    ]
    .concat();
    let groups = groups(UUID, &words);
    if groups.is_empty() {
        skip!("needs cgroups with the controller memory");
    }
    let scratch = Scratch::new();
    let run = launcher(&scratch.join("dir")).args(["run", "--uuid", UUID]);
    let mut running = run.args(&words).start();
    running.until("both wait", |running| {
        running.said() == "waiting\nwaiting\n"
    });
    let files = ["memory.limit_in_bytes", "memory.max"];
    assert_ne!(limit(&groups, files).as_deref(), Some("31457280"));
    // In version 2 the pod's first process has a group beside those of apps.
    let beside: Vec<PathBuf> = groups
        .iter()
        .flat_map(|group| [group.join("a"), group.with_file_name("a")])
        .collect();
    assert_eq!(limit(&beside, files).as_deref(), Some("31457280"));
    running.signal(rustix::process::Signal::TERM);
    running.end().exits(0).complains("");
    for group in beside.iter().chain(&groups) {
        assert!(!group.exists(), "{group:?}");
    }
}

/// Runs a pod of the probe with isolators, and looks at its groups meanwhile;
/// false if there are none.
fn isolated(uuid: &str, isolators: &str, look: impl Fn(&[PathBuf])) -> bool {
    let scratch = Scratch::new();
    let image = super::image(&scratch, isolators);
    let words = [image.to_str().unwrap(), "--", "--trap-exit", "15", "0"];
    let groups = groups(uuid, &words);
    if groups.is_empty() {
        return false;
    }
    let run = launcher(&scratch.join("dir")).args(["run", "--uuid", uuid]);
    let mut running = run.args(words).start();
    running.until_it_says("waiting");
    look(&groups);
    running.signal(rustix::process::Signal::TERM);
    running.end().exits(0).complains("");
    true
}

#[test]
fn memory_that_an_image_asks_for_is_kept_for_it() {
    const UUID: &str = "1f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a09";
    require_root!();
    let value = r#"{"request": "4Mi", "limit": "42Mi"}"#;
    let isolators = format!(r#"[{{"name": "resource/memory", "value": {value}}}]"#);
    let shown = isolated(UUID, &isolators, |groups| {
        let kept = limit(groups, ["memory.soft_limit_in_bytes", "memory.low"]);
        assert_eq!(kept.as_deref(), Some("4194304"));
        let most = limit(groups, ["memory.limit_in_bytes", "memory.max"]);
        assert_eq!(most.as_deref(), Some("44040192"));
    });
    if !shown {
        skip!("needs cgroups with the controller memory");
    }
}

#[test]
fn every_disk_is_as_slow_as_an_image_asks() {
    const UUID: &str = "1f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a11";
    require_root!();
    let read = |path: PathBuf| fs::read_to_string(path).unwrap().trim().to_owned();
    let all = fs::read_dir("/sys/block").unwrap();
    let all = all.map(|entry| entry.unwrap().path());
    let disks = all.filter(|disk| read(disk.join("size")) != "0");
    let disks: Vec<String> = disks.map(|disk| read(disk.join("dev"))).collect();
    if disks.is_empty() {
        skip!("needs a disk");
    }
    let isolators = r#"[
        {"name": "resource/block-bandwidth", "value": {"default": true, "limit": "2M"}},
        {"name": "resource/block-iops", "value": {"default": true, "limit": "500"}}]"#;
    let shown = isolated(UUID, isolators, |groups| {
        let one = [
            ("blkio.throttle.read_bps_device", "2000000"),
            ("blkio.throttle.write_bps_device", "2000000"),
            ("blkio.throttle.read_iops_device", "500"),
            ("blkio.throttle.write_iops_device", "500"),
        ];
        let two = [("io.max", "rbps=2000000 wbps=2000000 riops=500 wiops=500")];
        let is = |(file, value): &(&str, &str)| {
            let text = limit(groups, [file; 2]).unwrap_or_default();
            let said = |disk| text.lines().any(|line| line == format!("{disk} {value}"));
            disks.iter().all(said)
        };
        assert!(one.iter().all(is) || two.iter().all(is), "{disks:?}");
    });
    if !shown {
        skip!("needs cgroups with the controller io");
    }
}

#[test]
fn without_limits_there_are_no_groups() {
    const UUID: &str = "1f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a07";
    require_root!();
    let image = host::image("probe");
    // Before Linux 6.14 the default limit of processes takes one.
    let words = ["--pids-limit", "unlimited", image.to_str().unwrap()];
    assert!(groups(UUID, &words).is_empty());
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
