//! A command and its app, side by side: what the probe sees and can do in each
//! must be the same, whoever calls (rkt's CVE-2019-10144, 10145 and 10147).

use super::{Groups, WAITING};
use crate::claims;
use crate::host;
use crate::life::Life;

/// What the probe reports of itself and of nobody else: its number and its
/// parent's, its words, the serial number of its keyring, who else is there.
const ITS_OWN: [&str; 8] = [
    "argument",
    "keyring",
    "parent",
    "pid",
    "pid-in-namespaces",
    "process",
    "process-group",
    "session",
];

/// The lines of a report that must be the same.
fn comparable(report: &str) -> String {
    let mut lines = Vec::new();
    for line in report.lines().filter(|line| *line != "waiting") {
        match line.split(' ').collect::<Vec<_>>()[..] {
            [field, ..] if ITS_OWN.contains(&field) => {}
            // Where they lead is the caller's business, and no more than three.
            ["fd", number, ..] => lines.push(format!("fd {number}")),
            _ => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

/// All that the probe can tell.
const ALL: [&str; 2] = ["--report", "--try-all"];

/// A caller as unlike the pod's as it can be, but for its rights.
const STRANGE: &str = "\
    umask 077
    ulimit -S -n 200
    ulimit -S -c 17
    ulimit -S -s 4096
    trap '' PIPE INT USR1
    echo 500 > /proc/self/oom_score_adj
    exec 3</etc 4<. 5>/dev/null 6</etc/passwd 9<&0
    [ -z \"$BASH\" ] || exec 99</etc 100</etc/passwd 101>/dev/null
    cd /proc/self
    renice -n 5 -p $$ >/dev/null 2>&1
    taskset -p 1 $$ >/dev/null 2>&1";

/// Runs a pod of which one app tells all and the others wait, enters that app
/// in each way, and compares.
#[track_caller]
pub(crate) fn compare(before: &[&str], apps: &[&[&str]], app: &str, at: usize) {
    let life = Life::new();
    let mut words = before.to_vec();
    for (number, options) in apps.iter().enumerate() {
        words.extend((number > 0).then_some("---"));
        words.push("PROBE");
        words.extend(*options);
        words.push("--");
        words.extend(if number == at { &ALL[..] } else { &[] });
        words.extend(&WAITING[1..]);
    }
    let uuid = life.detach(&words);
    super::super::until("all apps wait", || {
        let said = life.run(&["logs", &uuid]).stdout;
        said.lines().filter(|line| *line == "waiting").count() == apps.len()
    });
    let expected = comparable(&life.run(&["logs", &uuid]).exits(0).stdout);
    assert!(expected.lines().count() > 60, "{expected}");
    let app = format!("--app={app}");
    let words = [&[&app, &uuid, "/probe"], &ALL[..]].concat();
    let plain = life.enter(&words).exits(0).complains("").stdout;
    claims::same("a command", &comparable(&plain), &expected);
    let groups = Groups::new(&uuid);
    let strange = life
        .enter_after(&format!("{STRANGE}\n{}", groups.entering()), &words)
        .env("SECRET", "of the host")
        .env("PATH", "/bin:/usr/bin:/of/the/host")
        .run();
    let strange = strange.exits(0).complains("").stdout;
    claims::same("a stranger's command", &comparable(&strange), &expected);
    // It leads a session and a group of its own.
    let value = |field: &str| {
        let mut lines = strange.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(known, _)| *known == field).unwrap().1
    };
    assert_eq!(value("pid"), value("session"));
    assert_eq!(value("pid"), value("process-group"));
    life.run(&["stop", &uuid]).exits(0);
    life.leaves_nothing();
}

#[test]
fn a_command_of_another_user_is_what_its_app_is() {
    require_root!();
    let user = ["--user", "1000", "--group", "1001"];
    compare(&[], &[&user], "probe", 0);
    let groups = [
        &user[..],
        &["--supplementary-gids", "7,8", "--no-new-privileges"],
    ]
    .concat();
    compare(&[], &[&groups], "probe", 0);
}

#[test]
fn a_command_has_the_rights_that_were_left_to_its_app() {
    require_root!();
    for options in [
        &["--caps-retain", "CAP_KILL"][..],
        &["--caps-remove", "CAP_CHOWN,CAP_SYS_CHROOT,CAP_MKNOD"],
        &[
            "--caps-retain",
            "CAP_SETPCAP,CAP_NET_RAW,CAP_SYS_TTY_CONFIG",
        ],
        &[
            "--seccomp",
            "mode=remove,errno=EBUSY,chroot,mknod,bpf,socket",
        ],
        &["--no-new-privileges", "--readonly-rootfs"],
        &["--oom-score-adj", "300"],
        &["--ulimit", "nofile=100:200", "--ulimit", "stack=1048576"],
        &["--cap-drop", "all", "--cap-add", "kill,chown"],
    ] {
        compare(&[], &[options], "probe", 0);
    }
}

#[test]
fn a_command_has_the_surroundings_of_its_app() {
    require_root!();
    let pod = [
        "--hostname=web",
        "--set-env=A=1",
        "--volume=data,kind=empty,uid=5",
        "--shm-size=1Mi",
        "--sysctl=net.core.somaxconn=99",
    ];
    let app = [
        "--environment=B=2",
        "--working-dir=/tmp",
        "--mount",
        "volume=data,target=/data",
    ];
    compare(&pod, &[&app], "probe", 0);
    compare(&["--no-overlay"], &[&[]], "probe", 0);
}

#[test]
fn a_command_is_within_the_limits_of_its_app() {
    require_root!();
    let words = [
        host::image("probe").display().to_string(),
        "--memory=64Mi".into(),
    ];
    let words = words.each_ref().map(String::as_str);
    let uuid = "5f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a01";
    if crate::isolators::limits::groups(uuid, &words).is_empty() {
        skip!("needs cgroups with the controller memory");
    }
    compare(&[], &[&["--memory=64Mi"]], "probe", 0);
    let two: [&[&str]; 2] = [&["--name=one"], &["--name=two", "--memory=32Mi"]];
    compare(&[], &two, "one", 0);
    compare(&[], &two, "two", 1);
}

#[test]
fn a_command_in_one_of_several_apps_has_nothing_of_the_others() {
    require_root!();
    let apps: [&[&str]; 3] = [
        &["--name=one", "--environment=ONE=1"],
        &["--name=two", "--user=5", "--group=6", "--readonly-rootfs"],
        &["--name=three", "--caps-retain=CAP_KILL"],
    ];
    for (at, name) in ["one", "two", "three"].iter().enumerate() {
        compare(&[], &apps, name, at);
    }
}
