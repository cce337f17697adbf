//! A program that is there only while somebody wants it.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use rustix::process::Signal;

use super::{Root, init_with};
use crate::host::{self, Running};

/// Writes what it reads of its standard input to a file, and ends; is killed
/// before that as often as there is a file for it.
const SERVER: &str = "case $1 in \
    demand) for file in $OUT.kill*; do [ ! -e $file ] || \
    { rm $file; echo killed >> $OUT; kill -KILL $$; }; done; read line; echo \"got $line\" >> $OUT;; \
    *) echo \"over $1\" >> $OUT; exit $1;; \
    esac\n";

fn start(root: &Root) -> Running {
    let fifo = root.scratch.join("fifo");
    host::call(Path::new("mkfifo")).arg(&fifo).run().exits(0);
    let server = root.scratch.write("server", SERVER);
    let plan = format!(
        "{} pivot process env PATH=/bin main 2 sleep 100",
        root.plan()
    );
    let words: String = plan
        .split_whitespace()
        .map(|word| format!("{}\0", word.replace("''", "")))
        .collect();
    let plan = root.scratch.write("plan", words);
    let redirections = format!("5<>{} 6<{} 7</bin/sh", fifo.display(), plan.display());
    let options = format!(
        "--plan-fd 6 --demand-fd 5 --finally-fd 7 -- sh {}",
        server.display()
    );
    init_with(&redirections, &options)
        .env("OUT", root.scratch.join("out").to_str().unwrap())
        .start()
}

fn ask(root: &Root, line: &str) {
    let mut fifo = fs::OpenOptions::new()
        .write(true)
        .open(root.scratch.join("fifo"))
        .unwrap();
    fifo.write_all(line.as_bytes()).unwrap();
}

fn said(root: &Root) -> String {
    fs::read_to_string(root.scratch.join("out")).unwrap_or_default()
}

#[test]
fn nobody_serves_before_somebody_asks() {
    require_root!();
    let root = Root::new();
    let mut pod = start(&root);
    let children = |pod: &Running| {
        let path = format!("/proc/{0}/task/{0}/children", pod.pid());
        let children = fs::read_to_string(path).unwrap_or_default();
        children.split_whitespace().count()
    };
    pod.until("PID 1 is there", |pod| children(pod) == 1);
    assert_eq!(said(&root), "");
    pod.signal(Signal::TERM);
    pod.end().exits(143);
    assert_eq!(said(&root), "over 143\n");
}

#[test]
fn who_asks_is_served_each_time_anew() {
    require_root!();
    let root = Root::new();
    let mut pod = start(&root);
    for (line, lines) in [("one\n", "got one\n"), ("two\n", "got one\ngot two\n")] {
        ask(&root, line);
        pod.until("it was served", |_| said(&root) == lines);
    }
    pod.signal(Signal::TERM);
    pod.end().exits(143);
}

#[test]
fn who_asks_is_served_although_the_first_who_should_was_killed() {
    require_root!();
    let root = Root::new();
    root.scratch.write("out.kill", "");
    let mut pod = start(&root);
    ask(&root, "one\n");
    pod.until("it was served", |_| said(&root) == "killed\ngot one\n");
    pod.signal(Signal::TERM);
    pod.end().exits(143);
}

#[test]
fn who_is_always_killed_is_not_begun_for_ever() {
    require_root!();
    let root = Root::new();
    for number in 0..9 {
        root.scratch.write(&format!("out.kill{number}"), "");
    }
    let mut pod = start(&root);
    ask(&root, "one\n");
    pod.until("it was begun twice", |_| said(&root) == "killed\nkilled\n");
    // The next who comes is another occasion, also for the first.
    ask(&root, "two\n");
    pod.until("it was begun twice more", |_| {
        said(&root) == "killed\n".repeat(4)
    });
    pod.signal(Signal::TERM);
    pod.end().exits(143);
    assert_eq!(said(&root), format!("{}over 143\n", "killed\n".repeat(4)));
}

/// A timer as descriptor 5, every tenth of a second.
const TIMER: &str = "import ctypes, os, sys\n\
    libc = ctypes.CDLL(None)\n\
    timer = libc.timerfd_create(1, 0)\n\
    time = (ctypes.c_long * 4)(0, 100000000, 0, 100000000)\n\
    assert timer > 2 and libc.timerfd_settime(timer, 0, time, None) == 0\n\
    os.dup2(timer, 5)\n\
    os.execv(sys.argv[1], sys.argv[1:])\n";

#[test]
fn a_timer_has_somebody_served_although_it_signals_nothing() {
    require_root!();
    let root = Root::new();
    let server = "case $1 in demand) head -c 8 >/dev/null; echo tick >> $OUT;; *) exit $1;; esac";
    let server = root.scratch.write("server", server);
    let plan = root
        .scratch
        .write("plan", "plan\u{0}1\u{0}unshare\u{0}pid,mnt\u{0}app\u{0}a\u{0}process\u{0}env\u{0}PATH=/bin\u{0}main\u{0}2\u{0}sleep\u{0}100\u{0}");
    let timer = root.scratch.write("timer", TIMER);
    let line = format!(
        "exec python3 {} {} --plan-fd 6 --timer-fd 5 --demand-fd 5 --finally-fd 7 -- sh {} 6<{} 7</bin/sh",
        timer.display(),
        host::stage1().display(),
        server.display(),
        plan.display()
    );
    let mut pod = host::call(Path::new("/bin/sh"))
        .args(["-c", &line])
        .env("OUT", root.scratch.join("out").to_str().unwrap())
        .start();
    pod.until("it expired several times", |_| {
        said(&root).lines().count() > 2
    });
    pod.signal(Signal::TERM);
    pod.end().exits(143);
}

#[test]
fn the_last_program_learns_whether_the_pod_was_asked_to_end() {
    require_root!();
    for (signal, pending) in [
        (Some(Signal::TERM), "0000000000004000"),
        (Some(Signal::INT), "0000000000004000"),
        (Some(Signal::HUP), "0000000000000000"),
        (None, "0000000000000000"),
    ] {
        let root = Root::new();
        let last = "while read key value; do case $key in ShdPnd:) echo $value > $OUT;; esac; \
            done < /proc/$$/status";
        let last = root.scratch.write("last", last);
        let app = match signal {
            Some(_) => "sleep\u{0}100",
            None => "sh\u{0}true",
        };
        let words = format!(
            "plan\u{0}1\u{0}unshare\u{0}pid,mnt\u{0}app\u{0}a\u{0}process\u{0}env\u{0}PATH=/bin\u{0}main\u{0}2\u{0}{app}\u{0}"
        );
        let plan = root.scratch.write("plan", words);
        let report = root.scratch.join("report");
        let redirections = format!("5>{} 6<{} 7</bin/sh", report.display(), plan.display());
        let options = format!(
            "--report-fd 5 --plan-fd 6 --finally-fd 7 -- sh {}",
            last.display()
        );
        let mut pod = init_with(&redirections, &options)
            .env("OUT", root.scratch.join("out").to_str().unwrap())
            .start();
        pod.until("the app has started", |_| {
            fs::read_to_string(&report).is_ok_and(|report| report.contains("ready"))
        });
        if let Some(signal) = signal {
            pod.signal(signal);
        }
        pod.end();
        assert_eq!(said(&root).trim(), pending, "{signal:?}");
    }
}
