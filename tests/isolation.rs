//! What an app can neither see nor do. The app is root in its pod, which is
//! the harder case, unless a test says otherwise.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::aci::{Aci, manifest};
use crate::claims;
use crate::host::{self, Scratch, call, pod, probed};

// --- the host's processes, names and files ---

#[test]
fn cannot_see_host_processes() {
    require_root!();
    // Its init and itself.
    let seen = probed(&["--report-only", "process"]);
    let pids: Vec<_> = seen
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    assert_eq!(pids.len(), 2, "{seen}");
    assert_eq!(pids.first(), Some(&"1"), "{seen}");
    assert!(seen.lines().last().unwrap().ends_with(" probe"), "{seen}");
}

#[test]
fn cannot_see_another_pods_processes() {
    require_root!();
    let scratch = Scratch::new();
    let probe = host::image("probe");
    let words = ["--trap-exit", "15", "0"];
    let mut other = pod(&scratch.join("dir"), &probe, &words).start();
    other.until_it_says("waiting");
    let ran = pod(&scratch.join("dir"), &probe, &["--report-only", "process"]).run();
    assert_eq!(ran.exits(0).stdout.lines().count(), 2);
    other.signal(Signal::TERM);
    other.end().exits(0);
}

#[test]
fn shares_no_namespace_with_the_host() {
    require_root!();
    let words = ["--report-only", "namespace"];
    let host = call(&host::probe()).args(words).run().exits(0).stdout;
    let pod = probed(&words);
    for kind in ["mnt", "pid", "ipc", "uts", "net", "cgroup"] {
        let of = |report: &str| -> String {
            let start = format!("namespace {kind}:[");
            let line = report.lines().find(|line| line.starts_with(&start));
            line.unwrap_or_else(|| panic!("no {start} in\n{report}"))
                .to_owned()
        };
        assert_ne!(of(&host), of(&pod));
    }
}

#[test]
fn cannot_see_the_hosts_files_or_mounts() {
    require_root!();
    let scratch = Scratch::new();
    let secret = scratch.write("secret", "of the host");
    let path = secret.to_str().unwrap();
    claims::same(
        "reading a file of the host",
        &probed(&["--read-file", path, "--list", "/"]),
        &format!("read {path}: ENOENT\ndev\netc\nprobe\nproc\nsys\ntmp\n"),
    );
    // Every mount is one of the plan's. Its own overlay tells where its layers
    // are (mount options), but of the host's mounts there is no line.
    for line in probed(&["--report-only", "mount"]).lines() {
        let target = line.split(' ').nth(1).unwrap();
        assert!(
            target == "/"
                || ["/proc", "/sys", "/dev", "/tmp"]
                    .iter()
                    .any(|top| target.starts_with(top)),
            "{line}"
        );
    }
}

#[test]
fn cannot_leave_its_root_through_its_init() {
    require_root!();
    // PID 1 has more rights than the app, so the app may not look into it.
    let refused = |path: &str, said: &str| {
        assert!(
            ["EACCES", "EPERM"]
                .iter()
                .any(|refusal| said.ends_with(&format!("{path}: {refusal}\n"))),
            "{said}"
        );
    };
    for path in ["/proc/1/root/", "/proc/1/cwd/", "/proc/1/map_files/"] {
        refused(path, &probed(&["--list", path]));
    }
    // The numbers of its descriptors can be seen, not what is behind them.
    let numbers = probed(&["--list", "/proc/1/fd"]);
    claims::has_line(&numbers, "2");
    for number in numbers.lines() {
        let path = format!("/proc/1/fd/{number}");
        let said = probed(&["--read-file", &path]);
        // While an app starts, PID 1 has a pipe more than in another pod.
        let gone = said.ends_with(&format!("{path}: ENOENT\n"));
        if !gone || number == "2" {
            refused(&path, &said);
        }
    }
}

#[test]
fn has_a_network_of_its_own() {
    require_root!();
    claims::same(
        "interfaces",
        &probed(&["--report-only", "interface"]),
        "interface lo\n",
    );
}

#[test]
fn has_a_keyring_of_its_own() {
    require_root!();
    let words = ["--report-only", "keyring"];
    let host = call(&host::probe()).args(words).run().exits(0).stdout;
    let pod = probed(&words);
    assert!(pod.starts_with("keyring "), "{pod}");
    assert_ne!(host, pod);
}

// --- rights ---

#[test]
fn has_no_capabilities_beyond_the_default() {
    require_root!();
    // The fourteen of the specification.
    const DEFAULT: &str = "00000000a80425fb";
    for (set, expected) in [
        ("inheritable", "0000000000000000"),
        ("ambient", "0000000000000000"),
        ("bounding", DEFAULT),
        ("permitted", DEFAULT),
        ("effective", DEFAULT),
    ] {
        claims::same(
            set,
            &probed(&["--report-only", set]),
            &format!("{set} {expected}\n"),
        );
    }
}

#[test]
fn an_ordinary_user_has_no_capabilities_at_all() {
    require_root!();
    let scratch = Scratch::new();
    let probe = fs::read(host::probe()).unwrap();
    let app =
        r#"{"exec": ["/probe"], "user": "1000", "group": "1001", "supplementaryGIDs": [7, 8]}"#;
    let image = Aci::new(&manifest(app))
        .file("rootfs/probe", 0o755, probe)
        .bytes();
    let image = scratch.write("user.aci", image);
    let said = |field: &str| {
        let ran = pod(&scratch.join("dir"), &image, &["--report-only", field]).run();
        ran.exits(0).complains("").stdout
    };
    for set in ["inheritable", "ambient", "permitted", "effective"] {
        claims::same(set, &said(set), &format!("{set} 0000000000000000\n"));
    }
    claims::same("ids", &said("uid"), "uid 1000,1000,1000,1000\n");
    claims::same("ids", &said("gid"), "gid 1001,1001,1001,1001\n");
    claims::same("ids", &said("groups"), "groups 7,8\n");
    let ran = pod(
        &scratch.join("dir"),
        &image,
        &[
            "--write-file",
            "/new",
            "x",
            "--try",
            "mknod",
            "--try",
            "chroot",
            "--try",
            "af-packet",
        ],
    );
    ran.run()
        .exits(0)
        .says("write /new: EACCES\ntry mknod: EPERM\ntry chroot: EPERM\ntry af-packet: EPERM\n");
}

#[test]
fn cannot_do_what_would_change_the_host() {
    require_root!();
    // What an outcome may be: the kernel has several words for no.
    for (attempt, refusals) in [
        ("mount", &["EPERM"][..]),
        ("mount-proc", &["EPERM"]),
        ("umount", &["EPERM"]),
        ("remount-proc-sys", &["EPERM"]),
        ("remount-sys", &["EPERM"]),
        ("pivot-root", &["EPERM"]),
        ("unshare-mnt", &["EPERM"]),
        ("setns", &["EPERM", "EACCES"]),
        ("sethostname", &["EPERM"]),
        ("clock", &["EPERM"]),
        ("reboot", &["EPERM"]),
        ("kexec", &["EPERM", "ENOSYS"]),
        ("init-module", &["EPERM", "ENOSYS"]),
        ("swapon", &["EPERM", "ENOSYS"]),
        ("handle", &["EPERM"]),
        ("ptrace", &["EPERM"]),
        ("sysctl", &["EROFS"]),
        ("sysrq", &["EROFS", "ENOENT"]),
        ("disk", &["EACCES", "EPERM"]),
    ] {
        let said = probed(&["--try", attempt]);
        assert!(
            refusals
                .iter()
                .any(|refusal| said == format!("try {attempt}: {refusal}\n")),
            "expected one of {refusals:?}, got {said}"
        );
    }
}

#[test]
fn cannot_write_what_belongs_to_the_kernel() {
    require_root!();
    for path in [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/hostname",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/vm/swappiness",
        "/proc/irq/default_smp_affinity",
        "/sys/kernel/uevent_helper",
        "/sys/class/net/lo/mtu",
    ] {
        let said = probed(&["--open-to-write", path]);
        assert!(
            ["EROFS", "EACCES", "ENOENT"]
                .iter()
                .any(|refusal| said == format!("open {path}: {refusal}\n")),
            "{said}"
        );
    }
}

#[test]
fn cannot_read_what_tells_about_the_host() {
    require_root!();
    for path in [
        "/proc/kcore",
        "/proc/keys",
        "/proc/kallsyms",
        "/proc/timer_list",
        "/proc/interrupts",
        "/proc/sched_debug",
    ] {
        // Nothing to read, or nothing there.
        let said = probed(&["--read-file", path]);
        assert!(
            said.is_empty() || said == format!("read {path}: ENOENT\n"),
            "{path}: {said}"
        );
    }
    for path in [
        "/proc/acpi",
        "/proc/scsi",
        "/sys/firmware",
        "/sys/devices/virtual/powercap",
    ] {
        let said = probed(&["--list", path]);
        assert!(
            said.is_empty() || said == format!("list {path}: ENOENT\n"),
            "{path}: {said}"
        );
    }
}

// --- what is inherited ---

#[test]
fn inherits_only_that_its_caller_ignores_signals() {
    require_root!();
    let scratch = Scratch::new();
    let ran = call(Path::new("sh"))
        .args([
            "-c",
            "trap '' HUP INT QUIT TERM USR1 PIPE; exec \"$@\"",
            "sh",
        ])
        .arg(host::program())
        .arg("--dir")
        .arg(scratch.join("dir"))
        .arg("run")
        .arg(host::image("probe"))
        .args([
            "--",
            "--report-only",
            "blocked-signals",
            "--report-only",
            "ignored-signals",
        ])
        .run()
        .exits(0);
    // SIGPIPE, bit 13, is ignored by Rust's own start-up in the probe.
    ran.says("blocked-signals 0000000000000000\nignored-signals 0000000000005207\n");
}

#[test]
fn has_no_hold_on_the_callers_terminal() {
    require_root!();
    claims::same(
        "/dev/tty",
        &probed(&["--report-only", "terminal"]),
        "terminal ENXIO\n",
    );
    let ids = probed(&["--report-only", "pid", "--report-only", "session"]);
    let numbers: Vec<_> = ids
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    assert_eq!(
        numbers.first(),
        numbers.last(),
        "a session of its own: {ids}"
    );
}

// --- images that aim at the host ---
