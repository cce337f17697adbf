//! Plans, reports, and what is executed in the end.

use std::fs;

use super::{Root, init, init_sh, init_with};
use crate::golden::Cases;
use crate::host::Scratch;

/// The words of a plan, as a file has them.
fn file(text: &str) -> Vec<u8> {
    super::words(text)
        .iter()
        .flat_map(|word| [word.as_bytes(), b"\0"].concat())
        .collect()
}

#[test]
fn nothing_is_done_before_the_whole_plan_is_understood() {
    let scratch = Scratch::new();
    let made = scratch.join("made");
    let plan = format!(
        "plan 1 touch {} 0644 0 0 app a process main 1 /bin/true",
        made.display()
    );
    init(&format!("{plan} umask 9"))
        .run()
        .exits(125)
        .complains_as("nothing is done before the whole plan is understood");
    assert!(!made.exists());
    init(&plan).run().exits(0);
    assert!(made.exists());
}

#[test]
fn a_word_that_is_no_directive_is_named_by_its_place() {
    let mut cases = Cases::default();
    for plan in [
        "plan",
        "plan 1 app a process frobnicate",
        "plan 1 app a process main 2 x",
        "plan 1 unshare mnt,pdi app a process main 1 x",
        "plan 1 app a process groups 3 0 one 2 main 1 x",
        "plan 1 app a process main 1 x app b process main 1 x app a process main 1 x",
    ] {
        let ran = init(plan).run().exits(125).says("");
        cases.add(plan, &ran.told());
    }
    cases.as_written("a word that is no directive");
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused_in_one_line() {
    let mut cases = Cases::default();
    for line in [
        "",
        "--",
        "--frob",
        "--report-fd",
        "--report-fd 77 -- true",
        "--report-fd 1 --frob",
        "-e 256 true",
        "-e x true",
        "-e",
        "-g",
        "-g plan 1 app a process main 1 x",
        "--plan-fd -1",
        "--plan-fd 0 more",
        "--plan-fd 0 -- more",
        "--finally-fd 0",
    ] {
        let ran = init(line).run().exits(125).says("");
        cases.add(line, &ran.told());
    }
    cases.as_written("a command line that makes no sense");
}

#[test]
fn a_plan_is_the_same_in_arguments_and_on_a_descriptor() {
    let plan = "plan 1 app a process env X=y main 2 /usr/bin/env env";
    let directly = init(plan).run();
    let piped = init("--plan-fd 0").input(file(plan)).run();
    assert_eq!(directly.exits(0).stdout, "X=y\n");
    assert_eq!(piped.exits(0).stdout, "X=y\n");
}

#[test]
fn help_names_every_directive() {
    let help = init("--help").run().exits(0).complains("");
    let help = help.says_as("help").stdout;
    for word in [
        "die-with-parent",
        "unshare NAMESPACE,...",
        "mount TYPE SOURCE TARGET FLAGS DATA",
        "seccomp FD",
        "init",
    ] {
        assert!(
            help.lines().any(|line| line.trim() == word),
            "{word}\n{help}"
        );
    }
    init("--version").run().exits(0).says("stage1-init 0.1.0\n");
}

#[test]
fn a_report_says_ready_and_how_each_app_ended() {
    let scratch = Scratch::new();
    let report = scratch.join("report");
    let plan = "--report-fd 9 plan 1 app one process main 1 /bin/true app two process env PATH=/bin:/usr/bin main 3 /bin/sh -c";
    init_with(&format!("9>>{}", report.display()), plan)
        .arg(format!(
            "until grep -q exited.one {}; do sleep 0.01; done; exit 3",
            report.display()
        ))
        .run()
        .exits(3)
        .complains("");
    let report = fs::read_to_string(report).unwrap();
    // Outside of a pid namespace they are any numbers.
    let known = |line: &&str| !line.starts_with("started ");
    let lines: Vec<&str> = report.lines().filter(known).collect();
    assert_eq!(lines, ["ready", "exited one 0", "exited two 768"]);
    assert_eq!(report.matches("started ").count(), 2, "{report}");
}

#[test]
fn a_report_says_what_failed_and_then_standard_error_does_not() {
    let scratch = Scratch::new();
    let report = scratch.join("report");
    let redirection = format!("9>>{}", report.display());
    for (plan, status, line) in [
        (
            "root /nonexistent app a process main 1 /bin/true",
            125,
            "failed 0 2\n",
        ),
        (
            "app a process umask 022 main 1 /nonexistent",
            127,
            "failed 3 2\n",
        ),
        (
            "app a process workdir /nonexistent main 1 /bin/true",
            125,
            "failed 2 2\n",
        ),
        ("app a process main 1 /etc/passwd", 126, "failed 2 13\n"),
    ] {
        let _ = fs::remove_file(&report);
        init_with(&redirection, &format!("--report-fd 9 plan 1 {plan}"))
            .run()
            .exits(status)
            .complains("");
        assert_eq!(fs::read_to_string(&report).unwrap(), line, "{plan}");
    }
}

#[test]
fn in_the_end_a_program_gets_the_status_as_its_last_word() {
    require_root!();
    let scratch = Scratch::new();
    let shell = "--plan-fd 0 --finally-fd 9 -- sh -c";
    for (plan, says) in [
        (
            "plan 1 unshare pid app a process main 3 /bin/sh -c kill${IFS}-9${IFS}$$",
            "over 137\n",
        ),
        ("plan 1 app a process main 1 /bin/false", "over 1\n"),
        ("plan 1 app a process main 1 /nonexistent", "over 127\n"),
        (
            "plan 1 unshare pid,mnt root /nonexistent app a process main 1 /x",
            "over 125\n",
        ),
        ("plan 1 nonsense", "over 125\n"),
    ] {
        let path = scratch.write("plan", file(plan));
        let ran = init_with(&format!("9</bin/busybox <{}", path.display()), shell)
            .args(["echo $1 $2", "sh", "over"])
            .run()
            .exits(0);
        assert_eq!(ran.stdout, says, "{plan}");
    }
}

#[test]
fn what_is_executed_in_the_end_has_the_environment_that_was_inherited() {
    let path = Scratch::new();
    let plan = path.write("plan", file("plan 1 app a process main 1 /bin/true"));
    init_with(
        &format!("9</bin/busybox <{}", plan.display()),
        "--plan-fd 0 --finally-fd 9 -- sh -c",
    )
    .args(["echo $WHO; exit $0"])
    .env("WHO", "me")
    .run()
    .exits(0)
    .says("me\n");
}

#[test]
fn pods_may_have_several_apps_each_with_its_own_root() {
    require_root!();
    let (one, two) = (Root::new(), Root::new());
    fs::write(one.path().join("etc/name"), "one\n").unwrap();
    fs::write(two.path().join("etc/name"), "two\n").unwrap();
    let app = |name: &str, root: &Root| {
        let root = root.path();
        let root = root.display();
        format!(
            "app {name} unshare mnt bind {root} {root} '' root {root} mount proc proc /proc '' '' pivot process env PATH=/bin"
        )
    };
    let plan = format!(
        "plan 1 unshare mnt,pid,ipc,uts propagation rprivate / hostname pod {} main 3 sh -c hostname>/tmp/ran {}",
        app("one", &one),
        app("two", &two)
    );
    init_sh(&plan, "cat /etc/name; ls -d /proc/1")
        .run()
        .exits(0)
        .says("two\n/proc/1\n");
    assert_eq!(
        fs::read_to_string(one.path().join("tmp/ran")).unwrap(),
        "pod\n"
    );
}

#[test]
fn the_words_of_finally_are_not_to_be_seen_in_the_pod() {
    require_root!();
    let root = Root::new();
    let mut plan = file(&format!(
        "{} pivot process env PATH=/bin main 3 sh -c",
        root.plan()
    ));
    plan.extend(b"tr '\\0' ' ' </proc/1/cmdline | sed 's/^[^ ]* //; s/ *$//'; echo\0");
    let plan = root.scratch.write("plan", plan);
    init_with(
        &format!("6<{} 7</bin/echo", plan.display()),
        "--plan-fd 6 --finally-fd 7 -- echo /path/of/the/host",
    )
    .run()
    .exits(0)
    .says("--plan-fd 6 --finally-fd 7 --\n/path/of/the/host 0\n");
}

#[test]
fn a_held_descriptor_is_still_open_in_the_program_of_finally() {
    let scratch = Scratch::new();
    let plan = scratch.write("plan", file("plan 1 app a process main 1 /bin/true"));
    init_with(
        &format!(
            "5</dev/null 6<{} 7</bin/readlink 8</dev/null",
            plan.display()
        ),
        "--plan-fd 6 --hold-fd 5 --finally-fd 7 -- readlink /proc/self/fd/5 /proc/self/fd/8",
    )
    .run()
    .exits(1)
    .says("/dev/null\n");
}
