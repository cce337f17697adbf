//! Isolators, read back: from inside what an app may do, from the kernel's
//! files what it may use.

use std::fs;
use std::path::{Path, PathBuf};

use crate::aci::{Aci, manifest};
use crate::host::{self, Ran, Scratch, call, launcher};

/// What AppArmor holds an app to.
mod apparmor;
/// What an app may use of the machine.
pub(crate) mod limits;
/// What a filter means for a program of 32 bits.
#[cfg(target_arch = "x86_64")]
mod second;
/// What SELinux holds an app to.
mod selinux;

/// Runs the probe with options of an app.
fn probe(options: &[&str], words: &[&str]) -> Ran {
    let scratch = Scratch::new();
    let call = launcher(&scratch.join("dir")).arg("run");
    let call = call.arg(host::image("probe")).args(options);
    call.arg("--").args(words).run()
}

/// An image of the probe with isolators.
fn image(scratch: &Scratch, isolators: &str) -> PathBuf {
    let app =
        format!(r#"{{"exec": ["/probe"], "user": "0", "group": "0", "isolators": {isolators}}}"#);
    let image = Aci::new(&manifest(&app))
        .file("rootfs/probe", 0o755, fs::read(host::probe()).unwrap())
        .bytes();
    scratch.write("isolated.aci", image)
}

/// Runs an image of the probe with all that its isolators ask for.
fn granted(scratch: &Scratch, image: &Path) -> Ran {
    let run = launcher(&scratch.join("dir")).arg("run").arg(image);
    run.args(["--allow-isolators", "--", "--stdout", "runs"])
        .run()
}

/// Runs an image of the probe that asks for a label, and a command beside its
/// app: both say which label they have, and that it keeps them from a device.
#[track_caller]
fn labelled(uuid: &str, scratch: &Scratch, image: &Path, expected: &str) {
    let dir = scratch.join("dir");
    let words = [
        "--read-file",
        "/proc/self/attr/current",
        "--open-to-write",
        "/dev/full",
    ];
    let run = launcher(&dir).args(["run", "--uuid", uuid]).arg(image);
    let run = run.args(["--allow-isolators", "--"]).args(words);
    let mut running = run.args(["--trap-exit", "15", "0"]).start();
    running.until_it_says("waiting");
    let enter = launcher(&dir).args(["enter", uuid, "/probe"]).args(words);
    enter.run().exits(0).complains("").says(expected);
    running.signal(rustix::process::Signal::TERM);
    let ran = running.end().exits(0).complains("");
    ran.says(&format!("{expected}waiting\n"));
}

// --- system calls ---

#[test]
fn the_default_filter_refuses_what_has_led_out_of_containers() {
    require_root!();
    // With all capabilities it is the filter that refuses, not the kernel.
    let words = ["af-alg", "af-vsock", "io-uring", "keyctl", "tiocsti"]
        .map(|name| ["--try", name])
        .concat();
    probe(
        &["--caps-retain", "CAP_SYS_ADMIN,CAP_SYS_TTY_CONFIG"],
        &words,
    )
    .exits(0)
    .complains("")
    .says(
        "try af-alg: EAFNOSUPPORT\ntry af-vsock: EAFNOSUPPORT\ntry io-uring: EPERM\ntry keyctl: EPERM\n\
             try tiocsti: EPERM\n",
    );
    let words = ["unshare-user", "userfaultfd", "perf", "bpf", "handle"]
        .map(|name| ["--try", name])
        .concat();
    probe(&[], &words).exits(0).says(
        "try unshare-user: EPERM\ntry userfaultfd: EPERM\ntry perf: EPERM\ntry bpf: EPERM\n\
         try handle: EPERM\n",
    );
}

#[test]
fn whoever_an_app_runs_as_it_is_filtered() {
    require_root!();
    for options in [
        &[][..],
        &["--no-new-privileges"],
        &["--user", "1000", "--group", "1000"],
        &["--user", "1000", "--group", "1000", "--no-new-privileges"],
    ] {
        probe(
            options,
            &["--report-only", "seccomp", "--report-only", "ambient"],
        )
        .exits(0)
        .complains("")
        .says("seccomp 2\nambient 0000000000000000\n");
    }
}

#[test]
fn nothing_of_what_installs_the_filter_is_left_to_the_app() {
    require_root!();
    for (options, expected) in [
        (&[][..], "00000000a80425fb"),
        (&["--user", "1000", "--group", "1000"], "0000000000000000"),
        (&["--caps-retain", "CAP_KILL"], "0000000000000020"),
    ] {
        let words = ["--report-only", "permitted", "--report-only", "effective"];
        probe(options, &words)
            .exits(0)
            .says(&format!("permitted {expected}\neffective {expected}\n"));
    }
}

#[test]
fn a_call_that_is_not_retained_kills() {
    require_root!();
    // SIGSYS is 31.
    probe(&["--seccomp", "mode=retain,write"], &["--stdout", "x"])
        .exits(128 + 31)
        .says("");
}

#[test]
fn a_call_that_is_removed_fails_as_it_is_told_to() {
    require_root!();
    let words = ["--try", "chroot", "--try", "mount", "--try", "af-packet"];
    probe(&["--seccomp", "mode=remove,errno=EROFS,chroot"], &words)
        .exits(0)
        .complains("")
        .says("try chroot: EROFS\ntry mount: EPERM\ntry af-packet: ok\n");
}

#[test]
fn the_operators_set_stands_in_the_place_of_the_images() {
    require_root!();
    let scratch = Scratch::new();
    let image = image(
        &scratch,
        r#"[{"name": "os/linux/seccomp-retain-set", "value": {"set": ["read"]}}]"#,
    );
    let run = |options: &[&str]| {
        let call = launcher(&scratch.join("dir")).arg("run").arg(&image);
        call.args(options).args(["--", "--stdout", "runs"]).run()
    };
    run(&[]).exits(128 + 31);
    run(&["--seccomp", "mode=remove,mount"])
        .exits(0)
        .says("runs\n");
}

#[test]
fn a_set_of_everything_is_no_filter() {
    require_root!();
    probe(
        &["--seccomp", "mode=retain,@appc.io/all"],
        &["--report-only", "seccomp"],
    )
    .exits(0)
    .complains("")
    .says("seccomp 0\n");
}

#[test]
fn unknown_names_in_a_manifest_are_told_and_strict_refuses_them() {
    require_root!();
    for (isolator, told, refused) in [
        (
            "seccomp-remove-set",
            "names that are no calls",
            "names that are no calls, with --strict",
        ),
        (
            "capabilities-remove-set",
            "names that are no capabilities",
            "names that are no capabilities, with --strict",
        ),
    ] {
        let scratch = Scratch::new();
        let isolators =
            format!(r#"[{{"name": "os/linux/{isolator}", "value": {{"set": ["ponies"]}}}}]"#);
        let image = image(&scratch, &isolators);
        let run = |options: &[&str]| {
            let call = launcher(&scratch.join("dir")).arg("run").args(options);
            call.arg(&image).args(["--", "--stdout", "runs"]).run()
        };
        run(&[]).exits(0).complains_as(told).says("runs\n");
        run(&["--strict"]).exits(125).says("").complains_as(refused);
    }
}

#[test]
fn a_prepared_pod_has_the_filter_that_was_planned() {
    require_root!();
    let scratch = Scratch::new();
    let dir = scratch.join("dir");
    let uuid = launcher(&dir)
        .arg("prepare")
        .arg(host::image("probe"))
        .args(["--seccomp", "mode=remove,errno=EROFS,chroot"])
        .args(["--", "--try", "chroot"])
        .run()
        .exits(0)
        .stdout;
    launcher(&dir)
        .args(["run-prepared", uuid.trim_end()])
        .run()
        .exits(0)
        .says("try chroot: EROFS\n");
}

#[test]
fn a_filter_of_the_callers_own_is_taken_by_its_number() {
    require_root!();
    let scratch = Scratch::new();
    let dir = scratch.join("dir");
    let image = host::image("probe");
    launcher(&dir).arg("run").arg(&image).run().exits(0);
    let plan = launcher(&dir).arg("plan").arg(&image);
    let plan = plan.args(["--", "--report-only", "seccomp"]).run();
    let plan = plan.exits(0).stdout;
    // Allows everything: BPF_RET with SECCOMP_RET_ALLOW.
    let filter = scratch.write("filter", [6, 0, 0, 0, 0, 0, 0xff, 0x7f]);
    let run = |number: &str| {
        let plan = plan.replace("seccomp 100 ", &format!("seccomp {number} "));
        call(Path::new("sh"))
            .args(["-c", "exec 9<\"$1\"; shift; exec \"$@\"", "sh"])
            .arg(&filter)
            .arg(host::program())
            .arg("--dir")
            .arg(&dir)
            .args(["run", "--plan"])
            .arg(scratch.write("plan", plan))
            .run()
    };
    run("100").exits(0).says("seccomp 2\n");
    run("9").exits(0).says("seccomp 2\n");
    run("70")
        .exits(125)
        .says("")
        .complains_as("a filter of the callers own is taken by its number");
}

// --- capabilities, privileges, scores, parameters ---

#[test]
fn capabilities_are_bounded_by_what_is_retained() {
    require_root!();
    for (options, bounding) in [
        (
            ["--caps-retain", "CAP_KILL,CAP_SYS_ADMIN"],
            "0000000000200020",
        ),
        (
            ["--caps-remove", "CAP_KILL,CAP_SYS_ADMIN"],
            "00000000a80425db",
        ),
    ] {
        probe(
            &options,
            &["--report-only", "bounding", "--report-only", "inheritable"],
        )
        .exits(0)
        .complains("")
        .says(&format!(
            "bounding {bounding}\ninheritable 0000000000000000\n"
        ));
    }
}

#[test]
fn no_new_privileges_is_as_asked() {
    require_root!();
    for user in ["0", "1000"] {
        for (options, expected) in [(&["--no-new-privileges"][..], 1), (&[], 0)] {
            let options = [&["--user", user, "--group", user], options].concat();
            probe(&options, &["--report-only", "no-new-privileges"])
                .exits(0)
                .says(&format!("no-new-privileges {expected}\n"));
        }
    }
}

#[test]
fn how_readily_an_app_is_killed_is_as_asked() {
    require_root!();
    probe(
        &["--oom-score-adj", "99"],
        &["--report-only", "oom-score-adj"],
    )
    .exits(0)
    .complains("")
    .says("oom-score-adj 99\n");
}

/// A pod manifest of the probe that reads a file.
pub(crate) fn pod_manifest(scratch: &Scratch, isolators: &str, path: &str) -> PathBuf {
    let dir = scratch.join("dir");
    launcher(&dir)
        .arg("run")
        .arg(host::image("probe"))
        .run()
        .exits(0);
    let listed = launcher(&dir)
        .args(["image", "list", "--full", "--no-legend"])
        .run();
    let listed = listed.exits(0).stdout;
    let id = listed
        .split_whitespace()
        .find(|word| word.starts_with("sha512-"));
    let text = format!(
        r#"{{"acKind": "PodManifest", "acVersion": "0.8.11", "isolators": {isolators},
            "apps": [{{"name": "probe", "image": {{"id": "{}"}}, "app": {{"exec": ["/probe",
            "--read-file", "{path}"], "user": "0", "group": "0"}}}}]}}"#,
        id.unwrap_or_else(|| panic!("no image in\n{listed}"))
    );
    scratch.write("pod.json", text)
}

#[test]
fn parameters_of_the_kernel_are_the_pods_own() {
    require_root!();
    let file = "/proc/sys/net/core/somaxconn";
    let before = fs::read_to_string(file).unwrap();
    let scratch = Scratch::new();
    let isolators = r#"[{"name": "os/unix/sysctl", "value": {"net.core.somaxconn": "4321"}}]"#;
    let manifest = pod_manifest(&scratch, isolators, file);
    let run = launcher(&scratch.join("dir")).args(["run", "--pod-manifest"]);
    run.arg(manifest)
        .run()
        .exits(0)
        .complains("")
        .says("4321\n");
    assert_eq!(fs::read_to_string(file).unwrap(), before);
}
