//! What fails, and what is said of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{Root, init, init_sh};
use crate::golden::Cases;
use crate::host::{self, Scratch};

#[test]
fn what_cannot_be_carried_out_is_named_with_its_reason() {
    require_root!();
    let mut cases = Cases::default();
    for plan in [
        "unshare mnt mount nofs x /tmp '' ''",
        "unshare mnt mount tmpfs t /nonexistent '' ''",
        "unshare mnt mount tmpfs t /tmp '' frob=1",
        "unshare mnt root /tmp pivot",
        "pivot",
        "cgroup /tmp unshare pid",
        "cgroup /tmp unshare uts",
        "join net 99",
        "join net 0",
        "sysctl no.such 1",
        "bind fd:99 /tmp ''",
    ] {
        let ran = init(&format!("plan 1 {plan} app a process main 1 /bin/true")).run();
        cases.add(plan, &ran.exits(125).says("").told());
    }
    cases.as_written("what cannot be carried out");
}

#[test]
fn a_process_that_cannot_begin_says_what_it_could_not_do() {
    require_root!();
    let mut cases = Cases::default();
    for (process, status) in [
        ("stdio 0 99 2", 125),
        ("terminal 1", 125),
        ("workdir relative", 125),
        ("rlimit nofile 2 1", 125),
        ("main 1 /bin", 126),
    ] {
        let plan = if process.starts_with("main") {
            process.to_owned()
        } else {
            format!("{process} main 1 /bin/true")
        };
        let ran = init(&format!("plan 1 app a process {plan}")).run();
        cases.add(process, &ran.exits(status).told());
    }
    cases.as_written("a process that cannot begin");
}

#[test]
fn a_program_is_searched_for_as_execvp_does() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.join("one")).unwrap();
    fs::create_dir_all(scratch.join("two")).unwrap();
    let (one, two) = (
        scratch.write("one/tool", "#!/bin/sh\necho one"),
        scratch.write("two/tool", "#!/bin/sh\necho two"),
    );
    let path = format!(
        "env PATH={0}/none:{0}/one:{0}/two",
        scratch.path().display()
    );
    fs::set_permissions(&two, fs::Permissions::from_mode(0o755)).unwrap();
    let call = || init(&format!("plan 1 app a process {path} main 1 tool")).run();
    // Found first, but not executable: the search goes on.
    call().exits(0).says("two\n");
    fs::remove_file(&two).unwrap();
    call().exits(126);
    fs::remove_file(&one).unwrap();
    call().exits(127);
    let plain = scratch.write("one/tool", "echo no format");
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o755)).unwrap();
    call()
        .exits(126)
        .complains_as("a program is searched for as execvp does");
    init("plan 1 app a process main 1 true").run().exits(0);
}

#[test]
fn a_setuid_copy_refuses_to_run() {
    require_root!();
    let scratch = Scratch::new();
    let copy = host::public_copy(&scratch, &host::stage1(), "init");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755)).unwrap();
    host::call(&copy)
        .args(["--", "id", "-u"])
        .user(1234)
        .run()
        .exits(125)
        .says("");
}

#[test]
fn a_failure_inside_leaves_no_process_behind() {
    require_root!();
    let root = Root::new();
    let plan = format!("{} mount nofs x /tmp '' '' pivot process", root.plan());
    // That the streams are at their end shows that nobody has them.
    init_sh(&plan, "true")
        .run()
        .exits(125)
        .complains_as("a failure inside leaves no process behind");
}

#[test]
fn overlong_options_of_a_mount_are_refused_not_cut() {
    require_root!();
    let plan = format!(
        "plan 1 unshare mnt mount tmpfs t /tmp '' {} app a process main 1 /bin/true",
        "size=1m,".repeat(600)
    );
    init(&plan)
        .run()
        .exits(125)
        .complains_as("overlong options of a mount are refused not cut");
}

#[test]
fn nobody_of_the_pod_can_look_into_pid_1() {
    require_root!();
    let root = Root::new();
    let plan = format!(
        "{} pivot process bounding '' gid 5 uid 5 capabilities '' env PATH=/bin",
        root.plan()
    );
    init_sh(
        &plan,
        "ls /proc/1/fd 2>&1 | grep -o denied; readlink /proc/1/root; cat /proc/1/environ",
    )
    .run()
    .exits(1)
    .says("denied\n");
}
