//! What a program finds when podman runs an image, and when we do. Each difference
//! has its reason, and stands with it in a file.

use std::collections::{BTreeMap, BTreeSet};

use super::peers::Podman;
use super::{Layout, base};
use crate::claims;
use crate::golden;

/// Why we differ, by the first words of a line.
const REASONS: [(&str, &str); 30] = [
    (
        "environment AC_",
        "the standard environment of App Container",
    ),
    ("environment LOGNAME", "set for the account of the user"),
    ("environment SHELL", "set for the account of the user"),
    (
        "environment TERM",
        "set where there is a terminal, as by docker",
    ),
    ("environment USER", "set for the account of the user"),
    ("environment container", "who runs it"),
    ("hostname", "the pod has its UUID for a name"),
    (
        "pid",
        "PID 1 is an init, which reaps orphans and passes on signals",
    ),
    (
        "parent",
        "PID 1 is an init, which reaps orphans and passes on signals",
    ),
    (
        "process-group",
        "PID 1 is an init, which reaps orphans and passes on signals",
    ),
    (
        "session",
        "PID 1 is an init, which reaps orphans and passes on signals",
    ),
    (
        "process ",
        "PID 1 is an init, which reaps orphans and passes on signals",
    ),
    ("groups", "podman repeats the primary group"),
    (
        "bounding",
        "docker's default, with net_raw, mknod and audit_write",
    ),
    ("keyring", "no keyrings, as with docker's filter"),
    ("mounted /sys/fs/cgroup", "the host's cgroups are not shown"),
    (
        "mounted /tmp",
        "the standard environment of App Container, if the image has none",
    ),
    ("mounted /etc", "made in the root, among the pod's changes"),
    ("mounted /run/.containerenv", "podman's own mark"),
    (
        "mounted /dev",
        "nodes of devices are mounts, so that no others can be opened",
    ),
    ("masked", "docker's list, with what newer versions hide"),
    ("try af-packet", "docker's default has net_raw"),
    ("try mknod", "docker's default has mknod"),
    (
        "try af-vsock",
        "a family without namespaces leads to the host",
    ),
    ("try disk", "no node of another device can be opened"),
    ("try io-uring", "refused by both, with another error"),
    ("try keyctl", "no keyrings, as with docker's filter"),
    ("try setns", "PID 1 cannot be examined"),
    ("try tio", "input is not faked, on whatever terminal"),
    (
        "try unshare-user",
        "no new user namespaces, as with docker's filter",
    ),
];

/// The lines of a report that both runs can have in common.
fn facts(report: &str) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    for line in report.lines() {
        let (field, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words: Vec<_> = rest.split(' ').collect();
        let fact = match (field, &words[..]) {
            // Numbers of the kernel, what the caller passed on, and what depends on the
            // version of cgroups.
            ("namespace" | "fd" | "pid-in-namespaces" | "ignored-signals" | "cgroup", _) => {
                continue;
            }
            ("keyring", [serial]) if serial.parse::<u64>().is_ok() => "keyring one".to_owned(),
            ("environment", [word]) if word.starts_with("HOSTNAME=") => {
                "environment HOSTNAME=its name".to_owned()
            }
            ("environment", [word]) if word.starts_with("AC_METADATA_URL=") => {
                "environment AC_METADATA_URL=URL".to_owned()
            }
            ("hostname", [name]) => format!("hostname of {} characters", name.len()),
            ("mount", [place, kind, options, ..]) => mount(place, kind, options),
            _ => line.to_owned(),
        };
        facts.insert(fact);
    }
    facts
}

/// A mount: what is masked, or mounted for programs to use.
fn mount(place: &str, kind: &str, options: &str) -> String {
    let kernels = place.starts_with("/proc/") || place.starts_with("/sys/");
    match kind {
        // Which entries there are is the kernel's business.
        "proc" if place != "/proc" => "entries of /proc are read-only".to_owned(),
        _ if place.starts_with("/sys/fs/cgroup") => "mounted /sys/fs/cgroup".to_owned(),
        "tmpfs" | "devtmpfs" if kernels => format!("masked {place}"),
        _ if place == "/" => "mounted /".to_owned(),
        _ => {
            let ours = ["ro", "rw", "nosuid", "nodev", "noexec"];
            let options = options.split(',').filter(|option| ours.contains(option));
            let options: Vec<_> = options.collect();
            format!("mounted {place} {}", options.join(","))
        }
    }
}

#[test]
fn every_difference_between_podman_and_us_has_a_reason() {
    let podman = Podman::new(tool!("podman"));
    let _ = tool!("runc");
    require_root!();
    let mut layout = Layout::new();
    let layer = base()
        .file(
            "etc/passwd",
            0o644,
            "app:x:1234:1235::/home/app:/bin/false\n",
        )
        .file("etc/group", 0o644, "app:x:1235:\nvideo:x:44:app\n")
        .dir("proc")
        .dir("sys")
        .dir("dev");
    let layer = layout.layer(layer);
    let run = r#"{"User":"app","WorkingDir":"/srv/app","Env":["A=1"],"Entrypoint":["/bin/probe"]}"#;
    layout.image("it", run, &[layer]);
    let id = podman.run(&["pull", "--quiet", &layout.reference("it")]);
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let files = most.unwrap_or(1024).min(1024);
    let limits = [
        format!("--ulimit=nofile={files}:{files}"),
        "--ulimit=nproc=4096:4096".to_owned(),
    ];
    let limits = [&*limits[0], &*limits[1]];
    let mut told = String::new();
    for (title, user, words) in [
        ("as the image says", "app", "--report"),
        ("as root", "0", "--try-all"),
    ] {
        let all = [
            &[
                "--runtime=runc",
                "run",
                "--rm",
                "--net=none",
                "--user",
                user,
            ][..],
            &limits,
            &[&id, words],
        ];
        let theirs = podman.call(&all.concat()).run();
        if !theirs.succeeded() {
            skip!("needs a host on which podman runs containers");
        }
        let call = layout.launch(&["run", "--net=none", &layout.reference("it")]);
        let call = call.args(["--user", user]).args(limits).args(["--", words]);
        let ours = call.run().exits(0);
        let (theirs, ours) = (facts(&theirs.stdout), facts(&ours.stdout));
        let mut all: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let lost = theirs.difference(&ours).map(|line| ("podman", line));
        let own = ours.difference(&theirs).map(|line| ("launcher", line));
        for (whose, line) in lost.chain(own) {
            let reason = REASONS.iter().find(|(start, _)| line.starts_with(start));
            let (_, reason) = reason.unwrap_or_else(|| panic!("no reason for {whose}: {line}"));
            all.entry(reason)
                .or_default()
                .push(format!("  {whose}: {line}\n"));
        }
        told.push_str(&format!("{title}\n"));
        for (reason, lines) in all {
            told.push_str(&format!(" {reason}\n{}", lines.concat()));
        }
    }
    golden::as_written("the differences", "an image run by podman and by us", &told);
    claims::has_line(&told, "  launcher: parent 1");
}
