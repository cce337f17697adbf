//! Roots: what is mounted, what is not to be seen, where links lead.

use std::fs;

use super::{Root, init_sh, init_with};
use crate::claims;
use crate::golden::Cases;

#[test]
fn a_root_has_nothing_of_the_host() {
    require_root!();
    let root = Root::new();
    let ran = root.pod("", "ls /; ls /proc/self/fd | wc -l; ls -d /proc/[0-9]* | head -1; hostname -f 2>/dev/null; ls /sys").run();
    assert_eq!(
        ran.stdout.lines().take(5).collect::<Vec<_>>(),
        ["bin", "dev", "etc", "proc", "tmp"]
    );
    assert!(!ran.succeeded(), "there is a /sys");
}

#[test]
fn nothing_that_is_mounted_reaches_the_host() {
    require_root!();
    let root = Root::new();
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let ran = root
        .pod("mount tmpfs t /tmp '' ''", "cat /proc/self/mountinfo")
        .run()
        .exits(0);
    let points: Vec<_> = ran
        .stdout
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .collect();
    assert_eq!(points, ["/", "/proc", "/tmp"]);
    let path = root.path().display().to_string();
    let after = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!before.contains(&path) && !after.contains(&path));
}

#[test]
fn links_in_a_root_do_not_lead_mounts_out_of_it() {
    require_root!();
    for target in [
        "/etc",
        "../../../../../../etc",
        "/proc/../../etc",
        "/tmp/../etc/.",
        "chain",
    ] {
        let root = Root::new();
        root.link("/etc", "chain");
        root.link(target, "out");
        fs::write(root.path().join("etc/secret"), "").unwrap();
        // Only the root's own /etc can have been hidden.
        let script = "ls /etc; grep -c ' /etc .*tmpfs' /proc/self/mountinfo";
        root.pod("mount tmpfs t /out '' ''", script)
            .run()
            .exits(0)
            .says("1\n");
    }
}

#[test]
fn files_are_made_inside_the_root_whatever_the_links() {
    require_root!();
    let root = Root::new();
    root.link("/../../../../../../../tmp", "out");
    let setup = "dir /out/a/b 0750 3 4 file /out/a/b/f 0640 5 6 text touch /out/a/b/t 0600 0 0 symlink anywhere /out/a/b/l";
    root.pod(
        setup,
        "cd /tmp/a; stat -c '%n %a %u %g' . b b/f b/t; cat b/f; readlink b/l",
    )
    .run()
    .exits(0)
    .says(". 750 3 4\nb 750 3 4\nb/f 640 5 6\nb/t 600 0 0\ntextanywhere\n");
}

#[test]
fn what_a_link_lacks_is_made_inside_the_root() {
    require_root!();
    for (target, made) in [
        ("/lacking", "/lacking"),
        ("../lacking/deep", "/lacking/deep"),
        ("/../../../lacking/deep/", "/lacking/deep"),
        ("lacking/../below/other", "/etc/below/other"),
        ("second", "/tmp/further/on"),
    ] {
        let root = Root::new();
        root.link(target, "etc/link");
        root.link("/tmp/further/on", "etc/second");
        let setup = "dir /etc/link/below 0750 3 4 mount tmpfs t /etc/link/below '' ''";
        let script =
            format!("stat -c '%a %u %g' {made}; grep -c ' {made}/below ' /proc/self/mountinfo");
        let ran = root.pod(setup, &script).run().exits(0);
        ran.says("750 3 4\n1\n");
    }
    for (target, made) in [
        ("/lacking", "/lacking"),
        ("../lacking/deep", "/lacking/deep"),
        ("/../../../lacking/deep", "/lacking/deep"),
        ("second", "/tmp/further/on"),
    ] {
        let root = Root::new();
        root.link(target, "etc/link");
        root.link("/tmp/further/on", "etc/second");
        let setup = "touch /etc/link 0640 3 4 bind /etc/hostname /etc/link ''";
        let script = format!("grep -c ' {made} ' /proc/self/mountinfo");
        root.pod(setup, &script).run().exits(0).says("1\n");
    }
    let root = Root::new();
    root.link("/etc/loop", "etc/loop");
    for setup in ["touch /etc/loop 0640 3 4", "dir /etc/loop 0750 3 4"] {
        let ran = root.pod(setup, "true").run().exits(125).says("");
        assert!(ran.stderr.contains("Too many levels of symbolic links"));
    }
}

#[test]
fn a_target_that_may_be_no_link_is_refused_if_it_is_one() {
    require_root!();
    let root = Root::new();
    root.link("/etc", "out");
    let mut cases = Cases::default();
    for setup in [
        "mount tmpfs t /out nofollow ''",
        "bind /etc /out nofollow",
        "mask /out",
        "readonly /out",
    ] {
        let ran = root.pod(setup, "true").run().exits(125);
        cases.add(setup, &ran.told());
    }
    cases.as_written("a target that may be no link");
}

#[test]
fn a_source_that_may_be_no_link_is_refused_if_it_is_one() {
    require_root!();
    let root = Root::new();
    let (link, file) = (
        root.scratch.join("link"),
        root.scratch.write("file", "text"),
    );
    std::os::unix::fs::symlink(root.scratch.path(), &link).unwrap();
    let (link, file) = (link.display(), file.display());
    let setup = format!("touch /f 0600 0 0 bind {link}/file /f pinned");
    root.pod(&setup, "true")
        .run()
        .exits(125)
        .complains_as("a source that may be no link");
    let setup = format!("touch /f 0600 0 0 bind {file} /f pinned,ro");
    root.pod(&setup, "cat /f").run().exits(0).says("text");
}

#[test]
fn what_is_optional_or_passed_over_may_be_missing() {
    require_root!();
    let setup = "mount tmpfs t /none optional '' bind /etc /none/at/all optional mask /none readonly /none/x remount /none optional";
    Root::new().pod(setup, "true").run().exits(0).complains("");
    Root::new()
        .pod("bind /etc /none ''", "true")
        .run()
        .exits(125)
        .complains_as("what is optional or passed over may be missing");
}

#[test]
fn a_file_or_link_in_the_way_is_replaced_and_a_directory_is_not() {
    require_root!();
    let root = Root::new();
    root.link("/etc/hosts", "etc/hosts");
    root.pod(
        "file /etc/hosts 0644 0 0 mine",
        "stat -c %F /etc/hosts; cat /etc/hosts",
    )
    .run()
    .exits(0)
    .says("regular file\nmine");
    root.pod("symlink x /etc", "true")
        .run()
        .exits(125)
        .complains_as("a file or link in the way is replaced and a directory is not");
    root.pod(
        "touch /etc/hosts 0600 7 7",
        "stat -c %a:%u /etc/hosts; cat /etc/hosts",
    )
    .run()
    .exits(0)
    .says("644:0\nmine");
}

#[test]
fn a_masked_file_is_empty_and_a_masked_directory_too() {
    require_root!();
    let root = Root::new();
    fs::write(root.path().join("etc/key"), "secret").unwrap();
    fs::write(root.path().join("tmp/key"), "secret").unwrap();
    let script = "cat /etc/key; stat -c %t:%T /etc/key; ls -A /tmp; touch /tmp/x 2>&1";
    root.pod("mask /etc/key mask /tmp", script)
        .run()
        .exits(1)
        .says("1:3\ntouch: /tmp/x: Read-only file system\n");
}

#[test]
fn read_only_reaches_what_is_mounted_below() {
    require_root!();
    let root = Root::new();
    let setup =
        "mount tmpfs t /tmp '' '' dir /tmp/x 0755 0 0 mount tmpfs t /tmp/x '' '' readonly /tmp";
    let script = "for at in /tmp /tmp/x /etc; do touch $at/file 2>/dev/null && echo $at; done";
    root.pod(setup, script).run().exits(0).says("/etc\n");
}

#[test]
fn bound_directories_keep_their_flags_and_get_those_said() {
    require_root!();
    let root = Root::new();
    let source = root.scratch.join("volume");
    fs::create_dir_all(source.join("sub")).unwrap();
    fs::write(source.join("file"), "volume\n").unwrap();
    let flags = "grep -o ' /tmp [a-z,]*' /proc/self/mountinfo";
    let volume = source.display();
    let setup = format!("bind {volume} /tmp ro,nosuid,nodev,noexec");
    let ran = root
        .pod(
            &setup,
            &format!("cat /tmp/file; touch /tmp/x 2>/dev/null; {flags}"),
        )
        .run()
        .exits(0);
    claims::has_line(&ran.stdout, "volume");
    claims::has_line(&ran.stdout, " /tmp ro,nosuid,nodev,noexec,relatime");
    let setup = format!("{setup} remount /tmp nosuid,noatime");
    root.pod(&setup, &format!("touch /tmp/x; {flags}"))
        .run()
        .exits(0)
        .says(" /tmp rw,nosuid,noatime\n");
    assert!(source.join("x").exists());
}

#[test]
fn what_is_below_a_source_comes_along_when_that_is_said() {
    require_root!();
    for (flags, count) in [("''", "0\n"), ("rec", "1\n"), ("rec,ro", "1\n")] {
        let root = Root::new();
        let from = root.scratch.join("from");
        fs::create_dir_all(from.join("sub")).unwrap();
        let from = from.display();
        let setup = format!(
            "{} pivot",
            root.plan().replace(
                " app a ",
                &format!(" mount tmpfs t {from}/sub '' '' touch {from}/sub/there 0644 0 0 app a ")
            )
        );
        let setup = setup.replace(
            " pivot",
            &format!(" bind {from} /tmp {flags} pivot process env PATH=/bin"),
        );
        init_sh(&setup, "ls /tmp/sub | wc -l")
            .run()
            .exits(0)
            .says(count);
    }
}

#[test]
fn a_source_can_be_an_inherited_descriptor() {
    require_root!();
    let root = Root::new();
    let from = root.scratch.write("from", "by descriptor\n");
    let plan = format!(
        "{} touch /etc/f 0644 0 0 bind fd:9 /etc/f ro pivot process env PATH=/bin main 2 cat /etc/f",
        root.plan()
    );
    init_with(&format!("9<{}", from.display()), &plan)
        .run()
        .exits(0)
        .says("by descriptor\n");
    fs::remove_file(root.path().join("etc/f")).unwrap();
    // One that was removed is not there to be bound.
    let command = format!("exec 9<{0}; rm {0}; exec \"$0\" \"$@\"", from.display());
    crate::host::call(std::path::Path::new("/bin/sh"))
        .args(["-c", &command])
        .arg(crate::host::stage1())
        .args(super::words(&plan))
        .run()
        .exits(125);
}

#[test]
fn a_device_node_works_on_a_file_system_without_devices() {
    require_root!();
    let setup =
        "mount tmpfs t /dev '' mode=755 node /dev/null c 1 3 0666 0 5 remount /dev nodev,nosuid,ro";
    Root::new()
        .pod(
            setup,
            "stat -c '%t:%T %a %u:%g' /dev/null; echo x >/dev/null && echo works",
        )
        .run()
        .exits(0)
        .says("1:3 666 0:5\nworks\n");
}

#[test]
fn each_app_can_have_mounts_of_its_own() {
    require_root!();
    let root = Root::new();
    let path = root.path();
    let path = path.display();
    let app = |name: &str| {
        format!(
            "app {name} unshare mnt bind {path} {path} '' root {path} mount proc proc /proc '' '' mount tmpfs t /tmp '' '' pivot process env PATH=/bin"
        )
    };
    let plan = format!(
        "plan 1 unshare mnt,pid propagation rprivate / {} main 3 sh -c",
        app("one")
    );
    super::init(&plan)
        .args(["echo one >/tmp/name; until ls /proc | grep -q ^1$; do :; done; readlink /proc/self/ns/mnt >/etc/one; cat /tmp/name"])
        .args(super::words(&format!("{} main 3 sh -c", app("two"))))
        .args(["ls /tmp; until [ -s /etc/one ]; do sleep 0.02; done; [ $(cat /etc/one) != $(readlink /proc/self/ns/mnt) ]"])
        .run()
        .exits(0)
        .says("one\n");
}

#[test]
fn pid_1_has_no_mounts_of_the_host_where_the_plan_says_so() {
    require_root!();
    let root = Root::new();
    let path = root.path();
    let path = path.display();
    let plan = format!(
        "{} pivot process env PATH=/bin main 3 sh -c",
        root.plan().replace(" app a ", " app a unshare mnt ")
    );
    super::init(&plan)
        .arg("cat /proc/1/mountinfo | wc -l; cat /proc/1/root/etc/host")
        .args(super::words(&format!(
            "init root {path} mount tmpfs t /tmp ro '' pivot file /tmp/x 0644 0 0 x"
        )))
        .run()
        .exits(125)
        .complains_as("pid 1 has no mounts of the host where the plan says so");
    super::init(&plan)
        .arg("cat /proc/1/mountinfo | cut -d' ' -f5")
        .args(super::words(&format!(
            "init root {path} mount tmpfs t /tmp ro '' pivot"
        )))
        .run()
        .exits(0)
        .says("/\n/tmp\n");
}

#[test]
fn a_root_can_be_moved_where_it_cannot_be_pivoted_to() {
    require_root!();
    let root = Root::new();
    let plan = format!("{} move-root process env PATH=/bin", root.plan());
    init_sh(&plan, "ls /; cd ..; ls -d /proc/1")
        .run()
        .exits(0)
        .says("bin\ndev\netc\nproc\ntmp\n/proc/1\n");
}

#[test]
fn an_ordinary_user_has_a_root_with_a_user_namespace() {
    require_root!();
    let root = Root::new();
    let stage1 = crate::host::public_copy(&root.scratch, &crate::host::stage1(), "init");
    let path = root.path();
    let path = path.display();
    let plan = format!(
        "plan 1 uid-map 0 1234 1 setgroups deny gid-map 0 1234 1 unshare user,mnt,pid,uts,net hostname inside loopback \
         app a bind {path} {path} rec root {path} mount proc proc /proc nosuid,nodev,noexec '' \
         mount tmpfs t /dev nosuid mode=755 node /dev/null c 1 3 0666 0 0 file /dev/f 0600 0 0 x pivot \
         process oom-score-adj 500 env PATH=/bin main 3 sh -c"
    );
    crate::host::call(&stage1)
        .args(super::words(&plan))
        .arg("id -u; id -g; hostname; echo x >/dev/null; stat -c %t:%T /dev/null; stat -c %u /dev/f; cat /proc/self/uid_map | tr -s ' '; cat /proc/self/oom_score_adj")
        .user(1234)
        .run()
        .exits(0)
        .says("0\n0\ninside\n1:3\n0\n 0 1234 1\n500\n");
}

#[test]
fn root_can_map_any_ids() {
    require_root!();
    let plan = "plan 1 uid-map 0 100000 1000 uid-map 5000 7 1 gid-map 0 200000 1000 unshare user,pid app a process gid 5 uid 6 env PATH=/bin:/usr/bin";
    init_sh(
        plan,
        "id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '",
    )
    .run()
    .exits(0)
    .says("6\n5\n 0 100000 1000\n 5000 7 1\n 0 200000 1000\n");
    let plan = plan.replace("user,pid", "user");
    init_sh(&plan, "id -u; id -g").run().exits(0).says("6\n5\n");
    init_sh(
        "plan 1 uid-map 0 0 1 uid-map 0 0 1 unshare user,pid app a process",
        "true",
    )
    .run()
    .exits(125)
    .complains_as("root can map any ids");
}
