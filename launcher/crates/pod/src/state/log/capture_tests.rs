//! Which lines a plan gets, and what they name.

use super::*;
use crate::state::log::Size;

fn plan(lines: &[&str]) -> Plan {
    Plan::read(format!("plan 1\n{}\n", lines.join("\n")).as_bytes()).unwrap()
}

fn log(place: Place) -> Log {
    let size = Size::default();
    Log { place, size }
}

fn lines(plan: &Plan) -> Vec<String> {
    let text = plan.text();
    let line = |line: &str| {
        line.split(" #")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    text.lines().skip(1).map(line).collect()
}

/// The lines that are put into a plan of these.
fn captured(of: &[&str]) -> Vec<String> {
    lines(&capture(&plan(of), log(Place::Disk)).plan)
}

const TWO: [&str; 12] = [
    "unshare mnt,pid",
    "join net 99",
    "app one",
    "process",
    "uid 7",
    "gid 8",
    "seccomp 107",
    "main 1 /a",
    "app two",
    "process",
    "join-cgroup 5",
    "main 1 /b",
];

#[test]
fn each_app_has_two_pipes_and_a_directory_beyond_all_that_the_plan_names() {
    let captured = capture(&plan(&TWO), log(Place::Memory));
    let expected = [
        &[
            "log 109 108 out 1048576",
            "log 111 108 err 1048576",
            "log 114 113 out 1048576",
            "log 116 113 err 1048576",
        ][..],
        &TWO[..4],
        &["stdio 0 110 112"],
        &TWO[4..10],
        &["stdio 0 115 117"],
        &TWO[10..],
    ];
    assert_eq!(lines(&captured.plan), expected.concat());
    let users: Vec<User> = captured.apps.iter().map(|app| app.user).collect();
    let (uid, gid) = (Some(7), Some(8));
    assert_eq!(users, [User { uid, gid }, User::default()]);
    // What it names is what stage1-init gets, each once.
    assert_eq!(highest(&captured.plan), 117);
}

#[test]
fn a_plan_whose_log_is_kept_nowhere_stays_as_it_is() {
    let captured = capture(&plan(&TWO), log(Place::Nowhere));
    assert_eq!(captured.plan, plan(&TWO));
    assert!(captured.apps.is_empty());
}

#[test]
fn the_reasons_stay() {
    let with = plan(&[
        "unshare pid # default",
        "app a # image x",
        "process",
        "main 1 /a # y",
    ]);
    let text = capture(&with, log(Place::Disk)).plan.text();
    let reasons: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once("# "))
        .collect();
    let reasons: Vec<_> = reasons.into_iter().map(|(_, reason)| reason).collect();
    let expected = [
        "option --detach: what app `a` writes",
        "option --detach: what app `a` writes",
        "default",
        "image x",
        "option --detach: into its log",
        "y",
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn where_a_plan_says_where_an_app_writes_it_does() {
    for own in ["stdio 0 5 6", "terminal 5"] {
        let mut lines = TWO.to_vec();
        lines.insert(5, own);
        let captured = captured(&lines);
        let ours = captured
            .iter()
            .filter(|line| !lines.contains(&line.as_str()));
        let ours: Vec<_> = ours.collect();
        let two = [
            "log 109 108 out 1048576",
            "log 111 108 err 1048576",
            "stdio 0 110 112",
        ];
        assert_eq!(ours, two, "{own}");
    }
}

#[test]
fn nothing_is_captured_where_nobody_could_read_it() {
    for (first, is_read) in [
        ("unshare pid", true),
        ("join net,pid 5", true),
        ("unshare mnt", false),
        ("loopback", false),
    ] {
        let of = [first, "app a", "process", "main 1 /a"];
        let same = captured(&of) == of;
        assert_eq!(same, !is_read, "{first}");
    }
}

#[test]
fn no_app_has_the_directory_of_another() {
    let app = |name: &'static str| [name, "process", "main 1 /a"];
    let of = [
        &["unshare pid"][..],
        &app("app a"),
        &app("app .."),
        &app("app a"),
        &app("app ."),
    ];
    let captured = capture(&plan(&of.concat()), log(Place::Disk));
    let apps = captured
        .apps
        .iter()
        .map(|app| (app.name.as_str(), app.directory));
    assert_eq!(apps.collect::<Vec<_>>(), [("a", 101), ("a", 101)]);
}

#[test]
fn users_are_those_of_the_host() {
    let of = [
        "uid-map 0 1000 1",
        "uid-map 1 100000 10",
        "gid-map 0 1000 1",
        "unshare user,pid",
        "app a",
        "process",
        "uid 3",
        "gid 3",
        "main 1 /a",
    ];
    let captured = capture(&plan(&of), log(Place::Disk));
    let user = captured.apps[0].user;
    let (uid, gid) = (Some(100_002), None);
    assert_eq!(user, User { uid, gid });
}

#[test]
fn what_is_written_on_the_terminal_is_read_while_nobody_attends() {
    let of = [
        "unshare pid",
        "app a",
        "process",
        "terminal 98",
        "main 1 /a",
    ];
    let expected = [&["attended 96", "log 97 101 tty 1048576"][..], &of].concat();
    assert_eq!(captured(&of), expected);
    // Somebody must read it, or the app would wait: in what is no directory
    // nothing is kept.
    let expected = [&["attended 96", "log 97 96 tty 1048576"][..], &of].concat();
    let nowhere = capture(&plan(&of), log(Place::Nowhere));
    assert_eq!(lines(&nowhere.plan), expected);
    // Another terminal is that of who wrote the plan.
    let other = ["unshare pid", "app a", "process", "terminal 9", "main 1 /a"];
    assert_eq!(captured(&other), other);
}

#[test]
fn a_pod_that_nobody_hears_writes_nowhere() {
    let (silent, null) = silence(&plan(&TWO));
    let expected = [
        &TWO[..4],
        &["stdio 108 108 108"],
        &TWO[4..10],
        &["stdio 108 108 108"],
        &TWO[10..],
    ];
    assert_eq!(lines(&silent), expected.concat());
    assert_eq!(null, 108);
}
