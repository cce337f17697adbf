//! Rights that an image gives itself, processes and memory without end.

use std::fs;
use std::path::PathBuf;

use super::case;
use crate::aci::{Aci, manifest};
use crate::host::{self, Call, Scratch, launcher};
use crate::{cgroups, kernel};

/// An image of the probe with these isolators.
fn image(scratch: &Scratch, isolators: &str) -> PathBuf {
    let app =
        format!(r#"{{"exec": ["/probe"], "user": "0", "group": "0", "isolators": {isolators}}}"#);
    let image = Aci::new(&manifest(&app))
        .file("rootfs/probe", 0o755, fs::read(host::probe()).unwrap())
        .bytes();
    scratch.write("greedy.aci", image)
}

/// Isolators by which an image asks for all capabilities that lead to the host,
/// and for no filter.
const GREEDY: &str = r#"[
    {"name": "os/linux/capabilities-retain-set", "value": {"set":
        ["CAP_KILL", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_MODULE", "CAP_NET_ADMIN"]}},
    {"name": "os/linux/seccomp-retain-set", "value": {"set": ["@appc.io/all"]}}]"#;

/// What an app of it does with that.
const TRIES: &[&str] = &[
    "--report-only",
    "bounding",
    "--report-only",
    "seccomp",
    "--try",
    "mount",
    "--try",
    "unshare-user",
];

/// What it finds if it has no more than the default, of which it wants one.
const KEPT_BACK: &str = "bounding 0000000000000020\nseccomp 2\ntry mount: EPERM\n\
                         try unshare-user: EPERM\n";

/// `launcher run IMAGE OPTIONS -- WORDS`.
fn run(scratch: &Scratch, isolators: &str, options: &[&str], words: &[&str]) -> Call {
    let image = image(scratch, isolators);
    let run = launcher(&scratch.join("dir")).arg("run").arg(image);
    run.args(options).arg("--").args(words)
}

// The manifest of an image is its author's. CVE-2014-6408 is the same kind:
// security options that a Docker image carried were applied to its containers.
#[test]
fn an_image_has_no_capability_and_no_call_that_only_it_asks_for() {
    require_root!();
    case("H3a", "an image does not raise its own rights", || {
        let scratch = Scratch::new();
        let ran = run(&scratch, GREEDY, &[], TRIES).run();
        ran.exits(0)
            .says(KEPT_BACK)
            .complains_as("an image has no capability and no call that only it asks for");
    });
}

// What is prepared is run without another look at the image, and a command in a
// pod has what its plan says.
#[test]
fn an_image_raises_its_rights_by_no_detour() {
    require_root!();
    case(
        "H3b",
        "neither when prepared, nor as a pod manifest's image, nor by strict",
        || {
            let scratch = Scratch::new();
            let dir = scratch.join("dir");
            let image = image(&scratch, GREEDY);
            let prepared = launcher(&dir).arg("prepare").arg(&image).arg("--");
            let uuid = prepared.args(TRIES).run().exits(0).stdout;
            let again = launcher(&dir).args(["run-prepared", uuid.trim_end()]).run();
            again.exits(0).says(KEPT_BACK);
            let strict = launcher(&dir).args(["run", "--strict"]).arg(&image).run();
            let refused = strict.exits(125).says("");
            refused.complains_as("rights that strict refuses");
            // The manifest of a pod that leaves what is run to the image.
            let listed = launcher(&dir).args(["image", "list", "--full", "--no-legend"]);
            let listed = listed.run().exits(0).stdout;
            let id = listed
                .split_whitespace()
                .find(|word| word.starts_with("sha512-"));
            let manifest = format!(
                r#"{{"acKind": "PodManifest", "acVersion": "0.8.11",
                "apps": [{{"name": "greedy", "image": {{"id": "{}"}}}}]}}"#,
                id.unwrap()
            );
            let manifest = scratch.write("pod.json", manifest);
            let run = launcher(&dir).args(["run", "--pod-manifest"]).arg(manifest);
            let ran = run.run().exits(0);
            for line in ["bounding 0000000000000020\n", "seccomp 2\n"] {
                assert!(ran.stdout.contains(line), "{}", ran.stdout);
            }
        },
    );
}

// A set of single calls instead of the group of all: seccomp(2) filters are
// what keeps keyrings, user namespaces and handles of files away.
#[test]
fn a_call_that_the_default_refuses_stays_refused_whatever_an_image_names() {
    require_root!();
    case(
        "H3c",
        "an image names no call that the default refuses",
        || {
            let scratch = Scratch::new();
            let calls = "[\"@nosecone/default\", \"keyctl\", \"unshare\", \"open_by_handle_at\", \
                     \"bpf\", \"socket\", \"ioctl\"]";
            let isolators = format!(
                r#"[{{"name": "os/linux/seccomp-retain-set",
                "value": {{"set": {calls}, "errno": "EUSERS"}}}}]"#
            );
            let names = [
                "keyctl",
                "unshare-user",
                "handle",
                "bpf",
                "af-alg",
                "tiocsti",
            ];
            let words = names.map(|name| ["--try", name]).concat();
            run(&scratch, &isolators, &[], &words).run().exits(0).says(
                "try keyctl: EPERM\ntry unshare-user: EPERM\ntry handle: EPERM\ntry bpf: EPERM\n\
             try af-alg: EAFNOSUPPORT\ntry tiocsti: EPERM\n",
            );
        },
    );
}

// oom_score_adj (proc_pid_oom_score_adj(5)): who has -1000 is never killed, and
// so everybody else is. Without CAP_SYS_RESOURCE the kernel refuses, with it not.
#[test]
fn an_image_is_killed_no_later_than_its_caller() {
    require_root!();
    case(
        "H3d",
        "an image is no less ready to be killed than its caller",
        || {
            let scratch = Scratch::new();
            let callers = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
            let isolators = r#"[{"name": "os/linux/oom-score-adj", "value": -1000}]"#;
            let ran = run(
                &scratch,
                isolators,
                &[],
                &["--report-only", "oom-score-adj"],
            )
            .run();
            ran.exits(0).says(&format!("oom-score-adj {callers}"));
        },
    );
}

#[test]
fn what_is_granted_is_had() {
    require_root!();
    let scratch = Scratch::new();
    let all = "bounding 0000000000291020\nseccomp 0\n";
    let run = |options: &[&str]| run(&scratch, GREEDY, options, &TRIES[..4]).run().exits(0);
    run(&["--allow-isolators"]).says(all).complains("");
    run(&["--allow-isolators=true"]).says(all).complains("");
    let one = ["--allow-isolators=os/linux/capabilities-retain-set"];
    run(&one).says("bounding 0000000000291020\nseccomp 2\n");
    // What the operator asks for needs no grant.
    let own = [
        "--caps-retain=CAP_SYS_ADMIN",
        "--seccomp=mode=retain,@appc.io/all",
    ];
    run(&own)
        .says("bounding 0000000000200000\nseccomp 0\n")
        .complains("");
}

/// How many children a bomb of the probe has made until it could not.
#[track_caller]
fn children(said: &str) -> u32 {
    let count = said.strip_prefix("children ");
    let count = count.and_then(|rest| rest.strip_suffix(": EAGAIN\n")?.parse().ok());
    count.unwrap_or_else(|| panic!("no number of children that could be made: {said}"))
}

// A fork bomb (CAPEC-469): the table of processes is the host's. cgroups(7) has
// a controller for it; since Linux 6.14 pid namespaces have a `pid_max`
// (kernel commit 7863dcc72d0f).
#[test]
fn a_pod_has_no_more_processes_than_it_may() {
    require_root!();
    case("H7a", "a fork bomb ends within its pod", || {
        let scratch = Scratch::new();
        let before = fs::read_to_string("/proc/sys/kernel/pid_max").unwrap();
        let bomb = |options: &[&str]| {
            let run = launcher(&scratch.join("dir")).arg("run").args(options);
            let run = run.arg(host::image("probe"));
            let ran = run.args(["--", "--fork-bomb"]).run().exits(0).complains("");
            children(&ran.stdout)
        };
        if !cgroups::mounts("cgroup", "pids").is_empty() {
            let count = bomb(&["--pids-limit", "40"]);
            assert!((30..40).contains(&count), "{count}");
        }
        if kernel::numbers_end() {
            let count = bomb(&[]);
            assert!((3500..4096).contains(&count), "{count}");
        }
        let after = fs::read_to_string("/proc/sys/kernel/pid_max").unwrap();
        assert_eq!(after, before, "the host's own numbers end elsewhere now");
    });
}

// A command in a pod that is not counted with it is CVE-2019-10147.
#[test]
fn a_command_in_a_pod_is_counted_with_it() {
    const UUID: &str = "1f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7b01";
    require_root!();
    case("H7b", "a fork bomb by `enter` ends within its pod", || {
        let bomb = |options: &[&str]| {
            let scratch = Scratch::new();
            let dir = scratch.join("dir");
            let run = launcher(&dir).args(["run", "--uuid", UUID]).args(options);
            let run = run.arg(host::image("probe"));
            let mut running = run.args(["--", "--trap-exit", "15", "0"]).start();
            running.until_it_says("waiting");
            // That it has started is known a moment later.
            while !launcher(&dir)
                .args(["status", UUID])
                .run()
                .stdout
                .contains(".pid=")
            {}
            let enter = launcher(&dir).args(["enter", UUID, "/probe", "--fork-bomb"]);
            let said = enter.run().exits(0).stdout;
            running.signal(rustix::process::Signal::TERM);
            running.end().exits(0).complains("");
            children(&said)
        };
        if !cgroups::mounts("cgroup", "pids").is_empty() {
            let count = bomb(&["--pids-limit=40"]);
            assert!((30..40).contains(&count), "{count}");
        }
        if kernel::numbers_end() {
            let count = bomb(&[]);
            assert!((3500..4096).contains(&count), "{count}");
        }
    });
}

// tmpfs(5): without a size it may take half of the memory, and two of them all.
#[test]
fn the_memory_that_a_pod_writes_to_has_an_end() {
    require_root!();
    case(
        "H7c",
        "/tmp takes a quarter of the memory at most, or as said",
        || {
            let size = |options: &[&str]| {
                let scratch = Scratch::new();
                let run = launcher(&scratch.join("dir")).arg("run");
                let run = run.arg(host::image("probe")).args(options);
                let ran = run.args(["--", "--read-file", "/proc/self/mounts"]).run();
                let said = ran.exits(0).complains("").stdout;
                let tmp = said.lines().find(|line| line.starts_with("tmpfs /tmp "));
                let size = tmp.and_then(|line| line.split_once("size=")?.1.split_once('k'));
                size.unwrap_or_else(|| panic!("{said}"))
                    .0
                    .parse::<u64>()
                    .unwrap()
            };
            let memory = fs::read_to_string("/proc/meminfo").unwrap();
            let total = memory
                .lines()
                .find_map(|line| line.strip_prefix("MemTotal:"));
            let total: u64 = total
                .unwrap()
                .trim()
                .trim_end_matches(" kB")
                .parse()
                .unwrap();
            assert!(size(&[]).abs_diff(total / 4) < 64, "{} {total}", size(&[]));
            assert_eq!(size(&["--tmpfs=/tmp:size=64Ki"]), 64);
            assert!(size(&["--tmpfs=/tmp:size=10%"]).abs_diff(total / 10) < 64);
        },
    );
}

#[test]
fn memory_that_is_full_takes_no_more() {
    require_root!();
    let scratch = Scratch::new();
    let much = "x".repeat(100_000);
    let run = launcher(&scratch.join("dir")).arg("run");
    let run = run.arg(host::image("probe"));
    let run = run.args([
        "--tmpfs=/data:size=64Ki,mode=0700",
        "--readonly-rootfs",
        "--",
    ]);
    let words = [
        "--write-file",
        "/data/a",
        "x",
        "--write-file",
        "/data/b",
        &much,
    ];
    run.args(words)
        .run()
        .exits(0)
        .complains("")
        .says("write /data/a: ok\nwrite /data/b: ENOSPC\n");
}
