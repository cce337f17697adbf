//! What an app's processes are, may and inherit.

use std::fs;

use super::{Root, init, init_sh, init_with};
use crate::host::Scratch;
use crate::{claims, host};

const APP: &str = "plan 1 app a process env PATH=/bin:/usr/bin";

/// The capability sets of an app: inheritable, permitted, effective, bounding, ambient.
fn capabilities(process: &str) -> Vec<u64> {
    let ran = init(&format!(
        "{APP} {process} main 3 grep ^Cap /proc/self/status"
    ))
    .run()
    .exits(0);
    ran.stdout
        .lines()
        .map(|line| u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn nothing_is_inheritable_even_where_it_was() {
    require_root!();
    let setpriv = tool!("setpriv");
    let ran = host::call(&setpriv)
        .args(["--inh-caps=+chown,+kill", "--"])
        .arg(host::stage1())
        .args(super::words(&format!(
            "{APP} main 3 grep ^CapInh /proc/self/status"
        )))
        .run();
    assert_eq!(ran.stdout, "CapInh:\t0000000000000000\n");
}

#[test]
fn capabilities_are_exactly_those_said() {
    require_root!();
    let (chown, bind, kill) = (1 << 0, 1 << 10, 1 << 5);
    assert_eq!(
        capabilities("bounding chown,kill capabilities chown"),
        [0, chown | kill, chown | kill, chown | kill, 0]
    );
    assert_eq!(capabilities("bounding '' capabilities ''"), [0; 5]);
    assert_eq!(
        capabilities("bounding chown,net_bind_service gid 5 uid 5 capabilities chown"),
        [0, 0, 0, chown | bind, 0]
    );
    assert_eq!(
        capabilities(
            "bounding chown,net_bind_service gid 5 uid 5 capabilities net_bind_service ambient net_bind_service"
        ),
        [bind, bind, bind, chown | bind, bind]
    );
    let all = capabilities("bounding all capabilities all");
    assert_eq!(all, capabilities(""));
}

#[test]
fn ids_and_groups_are_exactly_those_said() {
    require_root!();
    let ids = "grep -E '^(Uid|Gid|Groups)' /proc/self/status | tr '\\t' ' '";
    init_sh(&format!("{APP} groups 2 7 8 gid 5 uid 6"), ids)
        .run()
        .exits(0)
        .says("Uid: 6 6 6 6\nGid: 5 5 5 5\nGroups: 7 8 \n");
    init_sh(&format!("{APP} groups 0 gid 4294967294 uid 1"), ids)
        .run()
        .exits(0)
        .says("Uid: 1 1 1 1\nGid: 4294967294 4294967294 4294967294 4294967294\nGroups:  \n");
    init_sh(&format!("{APP} uid 6 groups 0"), "")
        .run()
        .exits(125)
        .complains_as("ids and groups are exactly those said");
}

#[test]
fn the_environment_is_what_is_said_and_nothing_else() {
    init("plan 1 app a process env A=1 env B= env C=x main 2 /usr/bin/env -u_")
        .env("HOST", "x")
        .run()
        .exits(0)
        .says("A=1\nB=\nC=x\n");
    init("plan 1 app a process main 1 /usr/bin/env")
        .env("HOST", "x")
        .run()
        .exits(0)
        .says("");
}

#[test]
fn only_the_standard_descriptors_are_open() {
    for plan in [
        APP.to_owned(),
        format!(
            "{} unshare pid app a process env PATH=/bin:/usr/bin",
            "plan 1"
        ),
    ] {
        if plan.contains("unshare") && !rustix::process::geteuid().is_root() {
            continue;
        }
        // ls has the directory open itself.
        init_with("7</dev/null 8</ 9>/dev/null", &plan)
            .args(["main", "2", "ls", "/proc/self/fd"])
            .run()
            .exits(0)
            .says("0\n1\n2\n3\n");
    }
}

#[test]
fn missing_standard_descriptors_are_the_null_device() {
    let ran = init_with("<&- 2>&-", APP)
        .args([
            "main",
            "3",
            "sh",
            "-c",
            "readlink /proc/self/fd/0 /proc/self/fd/2",
        ])
        .run();
    ran.exits(0).says("/dev/null\n/dev/null\n");
}

#[test]
fn streams_can_be_exchanged_and_others_used() {
    let scratch = host::Scratch::new();
    let (one, two) = (scratch.join("one"), scratch.join("two"));
    let plan = format!("{APP} stdio 7 9 8");
    init_with(
        &format!("7</etc/passwd 8>{} 9>{}", one.display(), two.display()),
        &plan,
    )
    .args(["main", "3", "sh", "-c", "head -c4; echo error >&2"])
    .run()
    .exits(0);
    assert_eq!(std::fs::read_to_string(two).unwrap(), "root");
    assert_eq!(std::fs::read_to_string(one).unwrap(), "error\n");
    let exchanged = init_with("", &format!("{APP} stdio 0 2 1"))
        .args(["main", "3", "sh", "-c", "echo out; echo error >&2"])
        .run();
    assert_eq!(
        (exchanged.stdout.as_str(), exchanged.stderr.as_str()),
        ("error\n", "out\n")
    );
}

#[test]
fn limits_mask_and_privileges_are_those_said() {
    require_root!();
    let script = "umask; ulimit -Sn; ulimit -Hn; ulimit -c; grep NoNewPrivs /proc/self/status | tr '\\t' ' '; cat /proc/self/oom_score_adj";
    init_sh(&format!("{APP} umask 0027 rlimit nofile 64 128 rlimit core 0 unlimited no-new-privs oom-score-adj 123"), script)
        .run()
        .exits(0)
        .says("0027\n64\n128\n0\nNoNewPrivs: 1\n123\n");
}

#[test]
fn the_working_directory_is_inside_the_root() {
    require_root!();
    let root = Root::new();
    root.pod("", "pwd").run().exits(0).says("/\n");
    let plan = |path: &str| format!("{} pivot process env PATH=/bin workdir {path}", root.plan());
    init_sh(&plan("/tmp"), "pwd").run().exits(0).says("/tmp\n");
    // A directory of the host, through a descriptor (CVE-2024-21626).
    let plan = format!("--hold-fd 7 {}", plan("/proc/self/fd/7"));
    init_with("7</etc", &plan)
        .args(["main", "1", "true"])
        .run()
        .exits(125)
        .complains_as("the working directory is inside the root");
}

#[test]
fn a_session_is_the_apps_own() {
    let script = "read a b c d pgrp session rest < /proc/self/stat; [ $pgrp = $$ ] && [ $session = $$ ] && echo leader";
    init_sh(&format!("{APP} session"), script)
        .run()
        .exits(0)
        .says("leader\n");
    init_sh(APP, script).run().exits(1);
    init_sh(
        &format!("{APP} foreground"),
        "read a b c d pgrp rest < /proc/self/stat; [ $pgrp = $$ ] && echo group",
    )
    .run()
    .exits(0)
    .says("group\n");
}

#[test]
fn a_terminal_can_be_the_apps() {
    let python = tool!("python3");
    // The other side of the terminal is this script's.
    let script = "import os,pty,sys
master, slave = pty.openpty()
os.set_inheritable(slave, True)
pid = os.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1]] + sys.argv[2].split() + ['terminal', str(slave), 'main', '3', '/bin/sh', '-c',
        'test -t 0 && test -t 2 && : < /dev/tty && echo has a terminal'])
os.close(slave)
print(os.read(master, 99).decode().strip())
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))";
    host::call(&python)
        .args(["-c", script])
        .arg(host::stage1())
        .arg(APP)
        .run()
        .exits(0)
        .says("has a terminal\n0\n");
}

#[test]
fn the_network_and_the_host_name_are_the_pods() {
    require_root!();
    let ran = init_sh(
        "plan 1 unshare net,uts,ipc,pid hostname pod domainname yp loopback sysctl net.ipv4.ip_forward 1 sysctl kernel.shm_rmid_forced 1 app a process env PATH=/bin:/usr/bin",
        "uname -n; cat /proc/sys/kernel/domainname /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced; grep -c : /proc/self/net/dev; busybox ip addr show lo | grep -c 'UP\\|127.0.0.1'",
    )
    .run()
    .exits(0);
    claims::same("the pod", &ran.stdout, "pod\nyp\n1\n1\n1\n2\n");
}

#[test]
fn clocks_are_shifted_in_a_time_namespace() {
    require_root!();
    if !std::path::Path::new("/proc/self/ns/time").exists() {
        skip!("needs time namespaces (Linux 5.6)");
    }
    let plan = "plan 1 unshare time clock-offset boottime 1000000000 clock-offset monotonic 5 unshare pid app a process env PATH=/bin:/usr/bin";
    init_sh(
        plan,
        "read up rest < /proc/uptime; [ ${up%.*} -gt 1000000000 ] && echo later",
    )
    .run()
    .exits(0)
    .says("later\n");
}

#[test]
fn a_namespace_can_be_joined() {
    require_root!();
    let mut pod = init_sh(
        "plan 1 unshare pid,uts,net hostname joined app a process env PATH=/bin:/usr/bin",
        "echo here; sleep 1000",
    )
    .start();
    pod.until_it_says("here");
    let children =
        std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", pod.pid())).unwrap();
    let inner = children.trim();
    let redirections =
        format!("7</proc/{inner}/ns/uts 8</proc/{inner}/ns/pid 9</proc/{inner}/ns/net");
    init_with(&redirections, "plan 1 join uts 7 join net 9 join pid 8 app b process env PATH=/bin:/usr/bin main 3 sh -c")
        .arg(format!("uname -n; [ $(readlink /proc/{inner}/ns/net) = $(readlink /proc/self/ns/net) ] && echo same; [ $PPID -lt 20 ] && exit 8"))
        .run()
        .exits(8)
        .says("joined\nsame\n");
    pod.signal(rustix::process::Signal::TERM);
    pod.end().exits(143);
}

#[test]
fn whoever_has_joined_and_is_stopped_keeps_nobody_from_ending() {
    require_root!();
    let plan = "plan 1 unshare pid app a process env PATH=/bin:/usr/bin";
    let mut pod = init_sh(plan, "echo here; sleep 1000").start();
    pod.until_it_says("here");
    let inner = super::signals::children_of(pod.pid())[0];
    let joined = "plan 1 join pid 8 app b process env PATH=/bin:/usr/bin main 3 sh -c";
    let mut joined = init_with(&format!("8</proc/{inner}/ns/pid"), joined)
        .arg("echo up; sleep 1000")
        .start();
    joined.until_it_says("up");
    joined.signal(rustix::process::Signal::STOP);
    // PID 1 does not end before all that is in its namespace is buried.
    pod.signal(rustix::process::Signal::TERM);
    pod.end().exits(143);
    joined.signal(rustix::process::Signal::CONT);
    joined.end().exits(137);
}

#[test]
fn the_last_program_is_executed_in_the_mounts_that_were_there_first() {
    require_root!();
    let mut pod = init_sh(
        "plan 1 unshare mnt,pid app a process env PATH=/bin:/usr/bin",
        "echo here; sleep 1000",
    )
    .start();
    pod.until_it_says("here");
    let inner = super::signals::children_of(pod.pid())[0];
    let mounts = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).unwrap();
    let (theirs, ours) = (mounts(&inner.to_string()), mounts("self"));
    let redirections = format!("6</bin/sh 7</proc/{inner}/ns/mnt 8</proc/{inner}/ns/pid");
    let rest = "app b process env PATH=/bin:/usr/bin main 2 readlink /proc/self/ns/mnt";
    for (joins, status, said) in [
        (
            "join mnt 7 join pid 8",
            0,
            format!("{}\n", theirs.display()),
        ),
        ("join mnt 7", 0, format!("{}\n", theirs.display())),
        // Also where there are no processes to be joined.
        ("join mnt 7 join pid 7", 125, String::new()),
    ] {
        let plan: Vec<u8> = super::words(&format!("plan 1 {joins} {rest}"))
            .iter()
            .flat_map(|word| format!("{word}\0").into_bytes())
            .collect();
        let scratch = Scratch::new();
        let plan = scratch.write("plan", plan);
        let redirections = format!("{redirections} 5<{}", plan.display());
        init_with(&redirections, "--plan-fd 5 --finally-fd 6 -- sh -c")
            .arg("echo $1; readlink /proc/self/ns/mnt")
            .arg("sh")
            .run()
            .exits(0)
            .says(&format!("{said}{status}\n{}\n", ours.display()));
    }
    pod.signal(rustix::process::Signal::TERM);
    pod.end().exits(143);
}

#[test]
fn what_nobody_named_is_closed_and_what_was_named_stays() {
    require_root!();
    let open = |pid: u32| -> Vec<u32> {
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let number = |name: std::ffi::OsString| name.to_str().unwrap().parse().unwrap();
        entries.map(name).map(number).collect()
    };
    let scratch = Scratch::new();
    let plan = scratch.write("plan", b"plan\x001\x00unshare\0pid\0app\0a\0process\0stdio\x000\x001\x005\0main\x003\0/bin/sh\0-c\0echo up; exec sleep 60\0");
    let mut running = init_with(
        &format!(
            "3</etc 4</etc 5>&2 6<{} 7</etc 8</etc 9>/dev/null",
            plan.display()
        ),
        "--report-fd 9 --plan-fd 6 --hold-fd 8 --lock-fd 4",
    )
    .start();
    running.until_it_says("up");
    let outer = running.pid();
    let there = open(outer);
    for named in [4, 5, 8, 9] {
        assert!(there.contains(&named), "{named} is not among {there:?}");
    }
    // What is open besides has its number from the kernel, so look at files.
    let leads = |fd: &u32| fs::read_link(format!("/proc/{outer}/fd/{fd}")).unwrap();
    let directories = there.iter().map(leads).filter(|path| path.ends_with("etc"));
    assert_eq!(directories.count(), 2, "{there:?}");
    assert!(!there.iter().map(leads).any(|path| path == plan));
    // PID 1 of the pod keeps its lock, and what leads to the outer half.
    let inner = super::signals::children_of(outer)[0];
    let leads = |fd: u32| fs::read_link(format!("/proc/{inner}/fd/{fd}")).unwrap();
    // It hears that the app was executed when that may have written already.
    running.until("the pipes of the app are closed", |_| {
        open(inner).len() == 2
    });
    let [voice, lock] = open(inner).try_into().unwrap();
    assert_eq!((voice, lock), (2, 4));
    assert!(leads(voice).to_string_lossy().starts_with("pipe:"));
    assert_eq!(leads(lock), std::path::Path::new("/etc"));
    running.signal(rustix::process::Signal::TERM);
    running.end().exits(143);
}

#[test]
fn directives_behind_a_filter_still_reach_procfs() {
    require_root!();
    let scratch = Scratch::new();
    let filter = scratch.join("filter");
    // One instruction, SECCOMP_RET_ALLOW.
    fs::write(&filter, [6, 0, 0, 0, 0, 0, 0xff, 0x7f]).unwrap();
    init_with(
        &format!("4<{}", filter.display()),
        "plan 1 unshare mnt,pid app a process no-new-privs seccomp 4 oom-score-adj 0 \
         main 1 /bin/true post-stop 1 /bin/true",
    )
    .run()
    .exits(0);
}
