//! Isolation: capabilities, system calls, devices, protected files, limits, users.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::Said::{Is, Lacks};
use super::{BOTH, Case, Table, UUID, expected};
use crate::claims;
use crate::host::{self, launcher};
use crate::isolators::limits::{groups, limit};

/// An app of the probe with an isolator.
fn isolated(name: &str, value: &str) -> String {
    format!(
        r#"{{"exec": ["/probe"], "user": "0", "group": "0",
            "isolators": [{{"name": "{name}", "value": {value}}}]}}"#
    )
}

#[test]
fn an_app_has_the_capabilities_that_it_was_left() {
    require_root!();
    // The numbers are of capabilities(7).
    const ALL_BUT_KILL: &str = "CAP_CHOWN,CAP_DAC_OVERRIDE,CAP_FOWNER,CAP_FSETID,CAP_SETGID,\
        CAP_SETUID,CAP_SETPCAP,CAP_NET_BIND_SERVICE,CAP_NET_RAW,CAP_SYS_CHROOT,CAP_MKNOD,\
        CAP_AUDIT_WRITE,CAP_SETFCAP";
    let all = format!("{ALL_BUT_KILL},CAP_KILL");
    let retain = isolated(
        "os/linux/capabilities-retain-set",
        r#"{"set": ["CAP_KILL"]}"#,
    );
    let remove = isolated(
        "os/linux/capabilities-remove-set",
        r#"{"set": ["CAP_KILL"]}"#,
    );
    let table = Table::new(&[("retain", &retain), ("remove", &remove)]);
    for (claim, line, bounding) in [
        (
            "unless said otherwise, fourteen",
            "PROBE",
            "00000000a80425fb",
        ),
        ("one", "PROBE --caps-retain CAP_KILL", "0000000000000020"),
        (
            "two",
            "PROBE --caps-retain CAP_KILL,CAP_SYS_ADMIN",
            "0000000000200020",
        ),
        (
            "all that there are otherwise",
            &format!("PROBE --caps-retain {all}"),
            "00000000a80425fb",
        ),
        (
            "all that there are otherwise, and one",
            &format!("PROBE --caps-retain {all},CAP_SYS_ADMIN"),
            "00000000a82425fb",
        ),
        (
            "not one",
            "PROBE --caps-remove CAP_KILL",
            "00000000a80425db",
        ),
        (
            "not two",
            "PROBE --caps-remove CAP_KILL,CAP_CHOWN",
            "00000000a80425da",
        ),
        (
            "not one that it would not have",
            "PROBE --caps-remove CAP_SYS_ADMIN",
            "00000000a80425fb",
        ),
        (
            "all but one",
            &format!("PROBE --caps-remove {ALL_BUT_KILL}"),
            "0000000000000020",
        ),
        (
            "none",
            &format!("PROBE --caps-remove {all}"),
            "0000000000000000",
        ),
        ("of the image, one", "retain.aci", "0000000000000020"),
        ("of the image, not one", "remove.aci", "00000000a80425db"),
        (
            "the operator's in the place of the image's",
            "retain.aci --caps-retain CAP_CHOWN",
            "0000000000000001",
        ),
    ] {
        let line = format!("{line} -- --report-only bounding --report-only effective");
        let said = format!("bounding {bounding}\neffective {bounding}\n");
        table.check(BOTH, &[(claim, &line, 0, Is(&said), "")]);
    }
    const CASES: &[Case<'_>] = &[
        (
            "a user who is not root can use none",
            "PROBE --user 1000 --group 1000 -- --report-only effective",
            0,
            Is("effective 0000000000000000\n"),
            "",
        ),
        (
            "but those that the operator names",
            "PROBE --user 1000 --group 1000 --caps-retain CAP_KILL -- --report-only effective",
            0,
            Is("effective 0000000000000020\n"),
            "",
        ),
        (
            "retained or removed, not both",
            "PROBE --caps-retain CAP_KILL --caps-remove CAP_CHOWN",
            125,
            Is(""),
            "capabilities retained and removed",
        ),
    ];
    table.check(BOTH, CASES);
}

#[test]
fn an_app_makes_the_system_calls_that_it_may() {
    require_root!();
    const CASES: &[Case<'_>] = &[
        (
            "unless said otherwise there is a filter",
            "PROBE -- --report-only seccomp --try chroot --try af-alg",
            0,
            Is("seccomp 2\ntry chroot: ok\ntry af-alg: EAFNOSUPPORT\n"),
            "",
        ),
        (
            "everything retained is no filter",
            "PROBE --seccomp mode=retain,@appc.io/all -- --report-only seccomp",
            0,
            Is("seccomp 0\n"),
            "",
        ),
        (
            "nothing removed is the filter that there is anyway",
            "PROBE --seccomp mode=remove,@appc.io/empty -- --report-only seccomp --try af-alg",
            0,
            Is("seccomp 2\ntry af-alg: EAFNOSUPPORT\n"),
            "",
        ),
        (
            "our own group, retained",
            "PROBE --seccomp mode=retain,@nosecone/default -- --stdout runs",
            0,
            Is("runs\n"),
            "",
        ),
        (
            "the group of another runner, and that is said",
            "PROBE --seccomp mode=retain,@rkt/default-whitelist -- --stdout runs",
            0,
            Is("runs\n"),
            "the group of another runner",
        ),
        (
            "the group of Docker, and that is said",
            "PROBE --seccomp mode=retain,@docker/default-whitelist -- --stdout runs",
            0,
            Is("runs\n"),
            "the group of Docker",
        ),
        (
            "groups of what is refused, and that is said",
            "PROBE --seccomp mode=remove,@docker/default-blacklist -- --stdout runs",
            0,
            Is("runs\n"),
            "groups of what is refused",
        ),
        (
            "our own group, retained, kills for the rest",
            "PROBE --seccomp mode=retain,@nosecone/default -- --try keyctl",
            159,
            Is(""),
            "",
        ),
        (
            "our own group, retained, refuses the rest if an error was named",
            "PROBE --seccomp mode=retain,errno=EUSERS,@nosecone/default -- --try keyctl",
            0,
            Is("try keyctl: EUSERS\n"),
            "",
        ),
        (
            "a call that is removed fails as it should",
            "PROBE --seccomp mode=remove,errno=EUSERS,chroot -- --try chroot",
            0,
            Is("try chroot: EUSERS\n"),
            "",
        ),
        (
            "whoever the app runs as",
            "PROBE --user 1000 --group 1000 --seccomp mode=remove,errno=EUSERS,chroot \
             -- --try chroot",
            0,
            Is("try chroot: EUSERS\n"),
            "",
        ),
        (
            "a call that is removed kills, unless an error was named",
            "PROBE --seccomp mode=remove,chroot -- --try chroot",
            159,
            Is(""),
            "",
        ),
        (
            "a call that is not retained kills",
            "PROBE --seccomp mode=retain,read -- --stdout x",
            159,
            Is(""),
            "",
        ),
        (
            "of the image",
            "removes.aci -- --try chroot",
            0,
            Is("try chroot: EUSERS\n"),
            "",
        ),
        (
            "the operator's in the place of the image's",
            "removes.aci --seccomp mode=remove,errno=EDOM,chroot -- --try chroot",
            0,
            Is("try chroot: EDOM\n"),
            "",
        ),
        (
            "capabilities do not take the filter away",
            "PROBE --caps-retain CAP_SYS_ADMIN,CAP_SYS_CHROOT \
             --seccomp mode=remove,errno=EUSERS,chroot -- --try chroot",
            0,
            Is("try chroot: EUSERS\n"),
            "",
        ),
    ];
    let removes = isolated(
        "os/linux/seccomp-remove-set",
        r#"{"set": ["chroot"], "errno": "EUSERS"}"#,
    );
    Table::new(&[("removes", &removes)]).check(BOTH, CASES);
}

#[test]
fn devices_and_protected_files_are_out_of_reach() {
    require_root!();
    let _ = image!("busybox");
    const CASES: &[Case<'_>] = &[
        (
            "nodes can be made, and not opened",
            "BUSYBOX -- -c 'mknod /n c 1 3 && mknod /m c 5 2 && mknod /o c 10 237; \
             for i in n m o; do ( : < /$i ) 2>&1; done'",
            1,
            Is(
                "sh: can't open /n: Permission denied\nsh: can't open /m: Permission denied\n\
                sh: can't open /o: Permission denied\n",
            ),
            "",
        ),
        (
            "every app has its own devices",
            "BUSYBOX -- -c 'cd /dev; stat -c %n:%A:%t,%T null zero full random urandom tty'",
            0,
            Is(
                "null:crw-rw-rw-:1,3\nzero:crw-rw-rw-:1,5\nfull:crw-rw-rw-:1,7\n\
                random:crw-rw-rw-:1,8\nurandom:crw-rw-rw-:1,9\ntty:crw-rw-rw-:5,0\n",
            ),
            "",
        ),
        (
            "everybody can have a pseudo-terminal",
            "BUSYBOX -- -c 'stat -L -c %A:%u:%g /dev/ptmx'",
            0,
            Is("crw-rw-rw-:0:0\n"),
            "",
        ),
        (
            "what changes the machine cannot be opened to be written to, where it is",
            "BUSYBOX -- -c 'cd /proc; for i in sysrq-trigger sys/kernel/core_pattern \
             sys/kernel/modprobe sys/vm/panic_on_oom bus/new /sys/block/new /sys/bus/new \
             /sys/class/new /sys/dev/new /sys/devices/new /sys/kernel/new; do \
             ( : >> $i ) 2> /dev/null && echo $i; done; echo none'",
            0,
            Is("none\n"),
            "",
        ),
        (
            "a parameter of the kernel is on a read-only mount",
            "PROBE -- --open-to-write /proc/sys/kernel/core_pattern --write-file /sys/new x",
            0,
            Is("open /proc/sys/kernel/core_pattern: EROFS\nwrite /sys/new: EROFS\n"),
            "",
        ),
        (
            "what tells of the machine is empty, where it is",
            "BUSYBOX -- -c 'cd /proc; for i in kcore kallsyms kmem mem sched_debug; do \
             head -c 1 $i; done 2> /dev/null; ls -A /sys/firmware 2> /dev/null; echo end'",
            0,
            Is("end\n"),
            "",
        ),
        (
            "a namespace of mounts is its own",
            "PROBE -- --report-only namespace",
            0,
            Lacks("namespace HOST-mnt"),
            "",
        ),
        (
            "a namespace of IPC is its own",
            "PROBE -- --report-only namespace",
            0,
            Lacks("namespace HOST-ipc"),
            "",
        ),
        (
            "a namespace of networks is its own",
            "PROBE -- --report-only namespace",
            0,
            Lacks("namespace HOST-net"),
            "",
        ),
        (
            "of the network there is only loopback",
            "PROBE -- --report-only interface",
            0,
            Is("interface lo\n"),
            "",
        ),
    ];
    Table::new(&[]).check(BOTH, CASES);
}

#[test]
fn a_device_of_the_host_is_there_only_if_it_was_given() {
    require_root!();
    if fs::File::open("/dev/kmsg").is_err() {
        skip!("needs /dev/kmsg");
    }
    const CASES: &[Case<'_>] = &[
        (
            "none was given",
            "PROBE -- --list /dev/kmsg --list /dev/mem",
            0,
            Is("list /dev/kmsg: ENOENT\nlist /dev/mem: ENOENT\n"),
            "",
        ),
        (
            "one was given, and can be used",
            "PROBE --device /dev/kmsg -- --open-to-write /dev/kmsg --list /dev/mem",
            0,
            Is("open /dev/kmsg: ok\nlist /dev/mem: ENOENT\n"),
            "",
        ),
    ];
    Table::new(&[]).check(BOTH, CASES);
}

#[test]
fn limits_are_those_of_the_image_unless_the_operator_sets_them() {
    require_root!();
    let apps = [
        (
            "memory",
            isolated("resource/memory", r#"{"limit": "25Mi"}"#),
        ),
        ("cpu", isolated("resource/cpu", r#"{"limit": "800m"}"#)),
        ("shares", isolated("os/linux/cpu-shares", "12345")),
    ];
    let apps = apps.each_ref().map(|(name, app)| (*name, app.as_str()));
    let table = Table::new(&apps);
    const CASES: &[Case<'_>] = &[(
        "so little memory that nothing could run",
        "memory.aci --memory 42",
        125,
        Is(""),
        "less than a page",
    )];
    table.check(BOTH, CASES);
    // Both versions of cgroups: the file, and what it says.
    for (line, one, two) in [
        (
            "memory.aci",
            ("memory.limit_in_bytes", "26214400"),
            ("memory.max", "26214400"),
        ),
        (
            "memory.aci --memory 42Mi",
            ("memory.limit_in_bytes", "44040192"),
            ("memory.max", "44040192"),
        ),
        (
            "cpu.aci",
            ("cpu.cfs_quota_us", "80000"),
            ("cpu.max", "80000 100000"),
        ),
        (
            "cpu.aci --cpu 900m",
            ("cpu.cfs_quota_us", "90000"),
            ("cpu.max", "90000 100000"),
        ),
        (
            "shares.aci",
            ("cpu.shares", "12345"),
            ("cpu.weight", "1205"),
        ),
        (
            "shares.aci --cpu-shares 2048",
            ("cpu.shares", "2048"),
            ("cpu.weight", "200"),
        ),
    ] {
        let line = line.replace(".aci", "");
        let (name, options) = line.split_once(' ').unwrap_or((&line, ""));
        let image = table.filled(&format!("HERE/{name}.aci"));
        let mut words = vec![image.as_str()];
        words.extend(options.split_whitespace());
        words.extend(["--", "--trap-exit", "15", "7"]);
        let groups = groups(UUID, &words);
        if groups.is_empty() {
            skip!("needs cgroups with the controllers cpu and memory");
        }
        let run = launcher(&table.scratch.join("dir")).args(["run", "--uuid", UUID]);
        let mut running = run.args(&words).start();
        running.until_it_says("waiting");
        let is = |(file, value)| limit(&groups, [file; 2]).is_some_and(|found| found == value);
        assert!(
            is(one) || is(two),
            "{line}: {:?}",
            limit(&groups, [one.0, two.0])
        );
        running.signal(rustix::process::Signal::TERM);
        running.end().exits(7).complains("");
    }
}

#[test]
fn whoever_is_not_root_is_told_so_at_once() {
    require_root!();
    let table = Table::new(&[]).file("launcher", "");
    let program = host::public_copy(&table.scratch, &host::program(), "launcher");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    const PODS: &str = "who cannot run pods";
    const DIRECTORY: &str = "who cannot store images";
    for (words, status, title) in [
        (&["run", "/none.aci"][..], 125, PODS),
        (&["prepare", "/none.aci"], 1, PODS),
        (&["run-prepared", UUID], 125, PODS),
        (&["fetch", "/none.aci"], 1, DIRECTORY),
        // Where nothing is, and nothing can be made, there is nothing to clear up.
        (&["image", "gc"], 0, ""),
    ] {
        let call = host::call(&program)
            .arg("--dir")
            .arg(table.scratch.join("dir"));
        let ran = call.args(words).user(1000).run();
        let ran = ran.exits(status).says("");
        let told = table.anonymous(&ran.stderr);
        claims::same(words[0], &told, &expected(title, &told));
    }
}
