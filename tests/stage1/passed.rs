//! Descriptors that are passed to programs, and what can be waited for.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use rustix::process::Signal;

use super::{Root, init_with};
use crate::host::{self, Call, Running};

/// A filter that allows everything: `struct sock_filter` of one instruction.
const ALLOW: [u8; 8] = [0x06, 0, 0, 0, 0, 0, 0xff, 0x7f];

/// A pod with descriptors, whose process part begins so. Files `a` and `b` can be
/// read as 5 and 6, a filter is 7.
fn pod(root: &Root, redirections: &str, process: &str, script: &str) -> Call {
    let file = |name: &str, content: &[u8]| root.scratch.write(name, content);
    let (a, b) = (file("a", b"this is a\n"), file("b", b"this is b\n"));
    let filter = file("filter", &ALLOW);
    let redirections = format!(
        "5<{} 6<{} 7<{} {redirections}",
        a.display(),
        b.display(),
        filter.display()
    );
    let plan = format!("{} pivot process {process} main 3 sh -c", root.plan());
    init_with(&redirections, &plan).arg(script)
}

#[test]
fn what_is_not_passed_is_not_there() {
    require_root!();
    let root = Root::new();
    let script = "echo $(ls /proc/self/fd); cat <&5";
    let list = "3</dev/null 4</dev/null";
    pod(&root, list, "pass 5 3 env PATH=/bin", script)
        .run()
        .exits(1)
        // ls(1) opens the directory as 4.
        .says("0 1 2 3 4\n");
}

#[test]
fn only_an_open_descriptor_can_be_passed_or_replaced() {
    require_root!();
    let root = Root::new();
    for (words, message) in [
        ("pass 99 3", "Bad file descriptor"),
        ("rlimit nofile 4 4 pass 5 9", "Bad file descriptor"),
    ] {
        let refused = pod(&root, "3</dev/null", words, "echo ran").run();
        let refused = refused.exits(125).says("");
        assert!(refused.stderr.contains(message), "{}", refused.stderr);
    }
}

#[test]
fn programs_find_what_is_passed_by_its_number() {
    require_root!();
    let root = Root::new();
    for process in [
        "pass 5 3 pass 6 4",
        // It keeps its number.
        "pass 5 5 pass 6 4 pass 5 3",
        "pass 5 3 pass 6 4 no-new-privs seccomp 7",
        // These wait for their turn under their filter.
        "pass 5 3 pass 6 4 no-new-privs seccomp 7 pre-start 1 true",
        "pass 5 3 pass 6 4 pre-start 1 true",
    ] {
        let list = "3</dev/null 4</dev/null";
        let process = format!("env PATH=/bin {process}");
        pod(&root, list, &process, "cat <&3; cat <&4")
            .run()
            .exits(0)
            .says("this is a\nthis is b\n");
    }
}

#[test]
fn each_app_finds_its_own_by_the_same_number() {
    require_root!();
    let root = Root::new();
    let path = root.path();
    let apart = format!("unshare mnt root {}", path.display());
    let shared = format!("app a root {}", path.display());
    let plan = root.plan().replacen(&shared, &format!("app a {apart}"), 1);
    let second = format!("app b {apart} pivot process env PATH=/bin pass 6 3");
    let words = format!(
        "{plan} pivot process env PATH=/bin pass 5 3 main 3 sh -c cat<&3 {second} main 3 sh -c cat<&3"
    );
    let file = |name: &str| {
        let path = root.scratch.write(name, format!("this is {name}\n"));
        path.display().to_string()
    };
    let redirections = format!("5<{} 6<{} 3</dev/null", file("a"), file("b"));
    let both = init_with(&redirections, &words);
    let ran = both.run().exits(0);
    let mut lines: Vec<_> = ran.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["this is a", "this is b"]);
}

/// A pod that waits for a FIFO, which is 5.
fn waiting(root: &Root) -> Running {
    let fifo = root.scratch.join("fifo");
    host::call(Path::new("mkfifo")).arg(&fifo).run().exits(0);
    let plan = root.plan().replacen("plan 1", "plan 1 await 5", 1);
    let plan = format!("{plan} pivot process pass 5 5 env PATH=/bin main 3 sh -c");
    let redirections = format!("5<>{}", fifo.display());
    let mut pod = init_with(&redirections, &plan)
        .arg("read line <&5; echo got $line")
        .start();
    pod.until("it waits", |pod| {
        let path = format!("/proc/{}/wchan", pod.pid());
        let name = fs::read_to_string(format!("/proc/{}/comm", pod.pid()));
        let place = fs::read_to_string(path).unwrap_or_default();
        name.is_ok_and(|name| name == "stage1-init\n") && place.contains("poll")
    });
    pod
}

fn write(root: &Root, line: &str) {
    let fifo = root.scratch.join("fifo");
    let mut fifo = fs::OpenOptions::new().write(true).open(fifo).unwrap();
    fifo.write_all(line.as_bytes()).unwrap();
}

fn children(pod: &Running) -> usize {
    let path = format!("/proc/{0}/task/{0}/children", pod.pid());
    let children = fs::read_to_string(path).unwrap();
    children.split_whitespace().count()
}

#[test]
fn nothing_begins_before_something_can_be_read() {
    require_root!();
    let root = Root::new();
    let pod = waiting(&root);
    assert_eq!(children(&pod), 0);
    write(&root, "one\n");
    pod.end().exits(0).says("got one\n");
}

#[test]
fn a_plan_that_was_asked_to_end_while_it_waited_does_not_go_on() {
    require_root!();
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let root = Root::new();
        let pod = waiting(&root);
        pod.signal(signal);
        write(&root, "one\n");
        pod.end().exits(code).says("").complains("");
    }
}
