//! What works where newer system calls are missing.

use std::fs;

use super::{Root, words};
use crate::golden::Cases;
use crate::host::{self, Ran};
use crate::refusal::{self, CLONE3, CLOSE_RANGE, ENOSYS, EPERM, MOUNT_SETATTR, OPENAT2, Refusal};

const ALL: &[u32] = &[CLONE3, CLOSE_RANGE, OPENAT2, MOUNT_SETATTR];

/// stage1-init with these words, where calls are refused.
fn without(calls: &'static [u32], errno: u32, inner: &[String], script: &str) -> Ran {
    let run = || host::call(&host::stage1()).args(inner).arg(script).run();
    refusal::on_a_host(Some(Refusal { calls, errno }), run)
}

#[test]
fn a_whole_pod_works_without_any_newer_call() {
    require_root!();
    for (denied, errno) in [
        (ALL, ENOSYS),
        (ALL, EPERM),
        (&[OPENAT2][..], ENOSYS),
        (&[MOUNT_SETATTR][..], EPERM),
    ] {
        let root = Root::new();
        let from = root.scratch.join("from");
        fs::create_dir_all(from.join("sub")).unwrap();
        root.link("../../../../../..//etc", "out");
        root.link("out/deep/..", "outer");
        fs::create_dir_all(root.path().join("etc/deep/er")).unwrap();
        fs::write(root.path().join("etc/key"), "secret").unwrap();
        let from = from.display();
        let plan = format!(
            "{} mount tmpfs t /tmp nosuid '' dir /tmp/x/y 0755 0 0 mount tmpfs t /tmp/x/y nosuid '' \
             bind {from} /outer/deep/er ro,rec,nosuid readonly /tmp mask /etc/key pivot process env PATH=/bin main 3 sh -c",
            root.plan()
        );
        let script = "echo $$; hostname >/dev/null; touch /tmp/a /tmp/x/y/a /etc/deep/er/sub/a 2>/dev/null || echo read-only
            cut -d' ' -f5,6 /proc/self/mountinfo | sed 's/,relatime//'; ls /proc/self/fd | tr '\\n' ' '";
        let script = script.replace(
            "cut -d' ' -f5,6",
            "sed 's/^[^/]*[/][^ ]* \\([^ ]*\\) \\([^ ]*\\) .*/\\1 \\2/'",
        );
        without(denied, errno, &words(&plan), &script).exits(0).says(
            "2\nread-only\n/ rw\n/proc rw,nosuid,nodev,noexec\n/tmp rw,nosuid\n/tmp/x/y rw,nosuid\n\
             /etc/deep/er ro,nosuid\n/tmp ro,nosuid\n/tmp/x/y ro,nosuid\n/etc/key ro,nosuid,noexec\n0 1 2 3 ",
        );
    }
}

#[test]
fn links_do_not_lead_out_where_they_are_followed_by_hand() {
    require_root!();
    for target in [
        "/etc",
        "../../../../etc",
        "/proc/../../etc",
        "/tmp/../etc/.",
        "chain",
        "//etc//",
    ] {
        let root = Root::new();
        root.link("/etc", "chain");
        root.link(target, "out");
        fs::write(root.path().join("etc/secret"), "").unwrap();
        let plan = format!(
            "{} mount tmpfs t /out '' '' pivot process env PATH=/bin main 3 sh -c",
            root.plan()
        );
        let script = "ls /etc; grep -c ' /etc .*tmpfs' /proc/self/mountinfo";
        without(ALL, ENOSYS, &words(&plan), script)
            .exits(0)
            .says("1\n");
    }
    let root = Root::new();
    root.link("loop", "loop");
    let mut cases = Cases::default();
    for target in [
        "/loop ''",
        "/bin/sh nofollow",
        "/etc/none/x ''",
        "/bin/busybox/x ''",
    ] {
        let plan = format!(
            "{} mount tmpfs t {target} '' pivot process main 3 sh -c",
            root.plan()
        );
        let ran = without(ALL, ENOSYS, &words(&plan), "true").exits(125);
        cases.add(target, &ran.told());
    }
    cases.as_written("links that are followed by hand");
}

#[test]
fn descriptors_are_closed_without_the_call_that_closes_many() {
    require_root!();
    let plan = words("plan 1 app a process env PATH=/bin:/usr/bin main 3 /bin/sh -c");
    without(&[CLOSE_RANGE], ENOSYS, &plan, "ls /proc/self/fd | wc -l")
        .exits(0)
        .says("4\n");
}
