//! What works where newer system calls are missing.

use std::fs;
use std::path::PathBuf;

use super::{Root, words};
use crate::host::{self, Call, Scratch};

const CLONE3: u32 = 435;
const CLOSE_RANGE: u32 = 436;
const OPENAT2: u32 = 437;
const MOUNT_SETATTR: u32 = 442;
const ALL: [u32; 4] = [CLONE3, CLOSE_RANGE, OPENAT2, MOUNT_SETATTR];

const ENOSYS: u32 = 38;
const EPERM: u32 = 1;

/// Writes a filter that denies these system calls: `struct sock_filter`s.
fn filter(scratch: &Scratch, denied: &[u32], errno: u32) -> PathBuf {
    let mut bytes = Vec::new();
    let mut push = |code: u16, if_true: u8, if_false: u8, value: u32| {
        bytes.extend(code.to_ne_bytes());
        bytes.extend([if_true, if_false]);
        bytes.extend(value.to_ne_bytes());
    };
    push(0x20, 0, 0, 0); // load the number of the call
    for number in denied {
        push(0x15, 0, 1, *number); // unless it is this one, skip one
        push(0x06, 0, 0, 0x0005_0000 | errno); // refuse
    }
    push(0x06, 0, 0, 0x7fff_0000); // allow
    scratch.write("filter", bytes)
}

/// stage1-init with these words, run by stage1-init where calls are denied.
fn without(scratch: &Scratch, denied: &[u32], errno: u32, inner: &[String], script: &str) -> Call {
    let filter = filter(scratch, denied, errno);
    let count = inner.len() + 2;
    let plan = format!("plan 1 app a process env PATH=/bin:/usr/bin seccomp 9 main {count}");
    super::init_with(&format!("9<{}", filter.display()), &plan)
        .arg(host::stage1())
        .args(inner)
        .arg(script)
}

#[test]
fn the_filter_denies_what_it_should() {
    require_root!();
    let python = tool!("python3");
    let scratch = Scratch::new();
    let filter = filter(&scratch, &ALL, ENOSYS);
    let script = "import ctypes; c = ctypes.CDLL(None, use_errno=True)
for n in 435, 436, 437, 442: print(c.syscall(n, 0, 0, 0, 0, 0), ctypes.get_errno())";
    super::init_with(
        &format!("9<{}", filter.display()),
        "plan 1 app a process env PATH=/bin:/usr/bin seccomp 9 main 3",
    )
    .arg(python)
    .args(["-c", script])
    .run()
    .exits(0)
    .says(&"-1 38\n".repeat(4));
}

#[test]
fn a_whole_pod_works_without_any_newer_call() {
    require_root!();
    for (denied, errno) in [
        (&ALL[..], ENOSYS),
        (&ALL[..], EPERM),
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
        without(&root.scratch, denied, errno, &words(&plan), &script).run().exits(0).says(
            "2\nread-only\n/ rw\n/proc rw,nosuid,nodev,noexec\n/tmp rw,nosuid\n/tmp/x/y rw,nosuid\n\
             /etc/deep/er ro,nosuid\n/tmp ro,nosuid\n/tmp/x/y ro,nosuid\n/etc/key rw\n0 1 2 3 ",
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
        without(&root.scratch, &ALL, ENOSYS, &words(&plan), script)
            .run()
            .exits(0)
            .says("1\n");
    }
    let root = Root::new();
    root.link("loop", "loop");
    for (target, complaint) in [
        ("/loop ''", "Too many levels of symbolic links"),
        ("/bin/sh nofollow", "Too many levels of symbolic links"),
        ("/etc/none/x ''", "No such file or directory"),
        ("/bin/busybox/x ''", "Not a directory"),
    ] {
        let plan = format!(
            "{} mount tmpfs t {target} '' pivot process main 3 sh -c",
            root.plan()
        );
        let name = target.split(' ').next().unwrap();
        without(&root.scratch, &ALL, ENOSYS, &words(&plan), "true")
            .run()
            .exits(125)
            .complains(&format!(
                "stage1-init: directive 6 (mount {name}): {complaint}\n"
            ));
    }
}

#[test]
fn descriptors_are_closed_without_the_call_that_closes_many() {
    require_root!();
    let scratch = Scratch::new();
    let plan = words("plan 1 app a process env PATH=/bin:/usr/bin main 3 /bin/sh -c");
    without(
        &scratch,
        &[CLOSE_RANGE],
        ENOSYS,
        &plan,
        "ls /proc/self/fd | wc -l",
    )
    .run()
    .exits(0)
    .says("4\n");
}
