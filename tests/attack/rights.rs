//! Rights that an image gives itself, processes and memory without end.

use std::fs;
use std::path::PathBuf;

use super::case;
use crate::aci::{Aci, manifest};
use crate::host::{self, Call, Scratch, launcher};

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
        ran.exits(0).says(KEPT_BACK).complains(
            "launcher: isolator `os/linux/capabilities-retain-set` of app `sample` is modified: \
             `CAP_SYS_ADMIN`, `CAP_SYS_PTRACE`, `CAP_SYS_MODULE`, `CAP_NET_ADMIN` are beyond the \
             default; `--allow-isolators` grants it\n\
             launcher: isolator `os/linux/seccomp-retain-set` of app `sample` is modified: \
             `@appc.io/all` is beyond the default; `--allow-isolators` grants it\n",
        );
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
            let refused = strict.exits(125).says("").stderr;
            assert!(
                refused.contains("`--allow-isolators` grants it"),
                "{refused}"
            );
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
             try af-alg: EPERM\ntry tiocsti: EPERM\n",
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
