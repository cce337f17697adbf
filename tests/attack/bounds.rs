//! Capabilities, system calls, parameters of the kernel.

use std::fs;

use super::case;
use crate::golden::Cases;
use crate::host::{self, Scratch, launcher};
use crate::isolators::pod_manifest;
use crate::life::Life;

// A value with a second parameter in it, or a key with a way out
// (CVE-2022-0811, "cr8escape").
#[test]
fn parameters_of_the_host_are_out_of_reach() {
    require_root!();
    case(
        "R6",
        "no parameter of the host can be set by an isolator",
        || {
            let file = "/proc/sys/kernel/core_pattern";
            let before = fs::read_to_string(file).unwrap();
            let scratch = Scratch::new();
            let mut cases = Cases::default();
            for key in [
                "kernel.core_pattern",
                "net.//.kernel.core_pattern",
                "kernel.shm_rmid_forced=1+kernel.core_pattern",
            ] {
                let isolators = format!(
                    r#"[{{"name": "os/unix/sysctl", "value": {{"{key}": "|/bin/evil"}}}}]"#
                );
                let manifest = pod_manifest(&scratch, &isolators, file);
                let run = launcher(&scratch.join("dir")).args(["run", "--pod-manifest"]);
                let ran = run.arg(manifest).run().exits(0).says(&before);
                cases.add(key, &ran.told());
                assert_eq!(fs::read_to_string(file).unwrap(), before);
            }
            cases.as_written("parameters that are out of reach");
        },
    );
}

// Lengths that overflow where they are passed on: of names, arguments, and
// variables (CVE-2021-43784 did so in a message to the kernel).
#[test]
fn nothing_is_too_long_to_be_passed_on_whole_or_refused() {
    require_root!();
    case(
        "R5",
        "whatever is too long is refused, and the rest passed on whole",
        || {
            let scratch = Scratch::new();
            let run = |options: &[String], words: &[&str]| {
                let call = launcher(&scratch.join("dir")).arg("run").args(options);
                call.arg(host::image("probe")).arg("--").args(words).run()
            };
            let said = |ran: host::Ran| {
                assert!(matches!(ran.exited(), Some(0 | 125 | 126)), "{ran:?}");
                assert!(ran.succeeded() || !ran.stderr.is_empty(), "{ran:?}");
                ran
            };
            for length in [65_535, 65_536, 131_000] {
                let long = "x".repeat(length);
                run(&[], &["--stdout", &long])
                    .exits(0)
                    .says(&format!("{long}\n"));
                let set = format!("--set-env=A={long}");
                let ran = run(&[set], &["--report-only", "environment"]).exits(0);
                assert!(ran.stdout.contains(&format!("environment A={long}\n")));
            }
            let many: Vec<_> = (0..5000)
                .map(|number| format!("--set-env=A{number}=x"))
                .collect();
            let ran = said(run(&many, &["--report-only", "environment"]));
            let count = ran
                .stdout
                .lines()
                .filter(|line| line.starts_with("environment A"));
            assert!(!ran.succeeded() || count.count() >= 5000);
            let path = format!("/{}", "d/".repeat(35_000));
            let volume = format!("--volume=v,kind=host,source={path}");
            said(run(&[volume, "--volume=w,kind=empty".to_owned()], &[]));
            let hostname = format!("--hostname={}", "h".repeat(70_000));
            said(run(&[hostname], &[])).exits(125);
            let plan = "plan 1 hostname ".to_owned() + &"h".repeat(200_000);
            let plan = scratch.write("plan", plan);
            let ran = launcher(&scratch.join("dir"))
                .args(["run", "--plan"])
                .arg(plan)
                .run();
            said(ran).exits(125);
        },
    );
}

// Groups of processes in which an app can write: `release_agent` is executed by
// the host (CVE-2022-0492), and limits can be taken away (CVE-2023-25809).
#[test]
fn no_file_of_a_group_can_be_written_to() {
    require_root!();
    case("R8", "no file of a group can be written to", || {
        let _ = image!("busybox");
        let life = Life::new();
        let script = "find /sys/fs/cgroup -type d -exec mkdir {}/made \\; 2>/dev/null
            find /sys/fs/cgroup -name made
            for file in $(find /sys/fs/cgroup -name cgroup.procs -o -name release_agent \
                -o -name '*.max' -o -name '*limit*' -o -name devices.allow); do
                (echo 1 > $file) 2>/dev/null && echo written: $file
            done
            grep ' /sys' /proc/self/mounts | grep -v ' ro,' | grep -v tmpfs; true";
        for options in [&[][..], &["--memory=64Mi"]] {
            let words = [&["run", "BUSYBOX"], options, &["--", "-c", script]].concat();
            life.run(&words).exits(0).says("");
        }
    });
}

/// What an app of root's may do of all that the probe tries.
const ALLOWED: [&str; 3] = ["af-packet", "chroot", "mknod"];

// Calls by which bugs of the kernel were reached from containers: new user
// namespaces and what they allow (CVE-2022-0185), AF_ALG (CVE-2026-31431), AF_VSOCK,
// io_uring, bpf, userfaultfd, keyrings; and those that always lead out.
#[test]
fn no_call_is_allowed_that_has_led_out_of_containers() {
    require_root!();
    case(
        "R19",
        "no call is allowed that has led out of containers",
        || {
            for options in [&[][..], &["--user=1000", "--group=1000"]] {
                let scratch = Scratch::new();
                let call = launcher(&scratch.join("dir")).arg("run");
                let call = call.arg(host::image("probe")).args(options);
                let said = call.args(["--", "--try-all"]).run().exits(0).stdout;
                assert!(said.lines().count() > 25, "{said}");
                for line in said.lines().filter(|line| line.ends_with(": ok")) {
                    let tried = line.strip_prefix("try ").unwrap().trim_end_matches(": ok");
                    assert!(options.is_empty() && ALLOWED.contains(&tried), "{said}");
                }
            }
        },
    );
}
