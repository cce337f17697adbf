//! Who attends to an app: its signals, its output, and its end.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::Signal;

use super::{Life, until};
use crate::host::{self, Leash};
use crate::seat::{Modes, Seat};
use crate::{claims, refusal};

/// `launcher WORDS` at a terminal.
fn seat(life: &Life, words: &[&str]) -> Seat {
    let dir = life.dir().display().to_string();
    let words = Life::words(words);
    let mut all = vec!["--dir", &dir];
    all.extend(words.iter().map(String::as_str));
    Seat::take(&host::program(), &all)
}

fn kill(seat: &Seat, signal: &str) {
    host::call(std::path::Path::new("/bin/kill"))
        .args([format!("-{signal}"), seat.pid().to_string()])
        .run()
        .exits(0);
}

const COOKED: Modes = Modes::ICANON.union(Modes::ECHO).union(Modes::ISIG);

/// Names what it receives, and ends at TERM.
const RECEIVER: &str =
    "for it in HUP INT QUIT ABRT USR1 ALRM PWR 37; do trap \"echo got $it\" $it; done
trap 'echo bye; exit 9' TERM; echo up; while :; do sleep 0.02; done";

#[track_caller]
fn receives_signals_and_ends(seat: Seat) {
    for signal in ["HUP", "INT", "QUIT", "ABRT", "USR1", "ALRM", "PWR", "37"] {
        kill(&seat, signal);
        seat.until(&format!("got {signal}"));
    }
    kill(&seat, "TERM");
    seat.until("bye");
    until("the terminal is as it was", || {
        seat.modes().contains(COOKED)
    });
    let (status, shown) = seat.end();
    assert_eq!(status, Some(9), "{shown}");
}

#[test]
fn whoever_attends_passes_on_signals_and_ends_as_the_app() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let receiver = ["BUSYBOX", "--", "-c", RECEIVER];
    let uuid = life.detach(&["BUSYBOX", "--", "-c", "sleep 600"]);
    for words in [
        [&["run", "-t"][..], &receiver].concat(),
        [&["run", "--pipe-output"][..], &receiver].concat(),
        vec!["enter", "-t", &uuid, "sh", "-c", RECEIVER],
    ] {
        let seat = seat(&life, &words);
        seat.until("up");
        receives_signals_and_ends(seat);
    }
    let words = [&["--interactive", "--name", "alone"][..], &receiver].concat();
    let alone = life.detach(&words);
    life.until_it_logs(&alone, "up\r\n");
    let seat = seat(&life, &["attach", "alone"]);
    until("it attends", || !seat.modes().intersects(COOKED));
    receives_signals_and_ends(seat);
    life.run(&["rm", "--force", &uuid]).exits(0);
}

#[test]
fn the_end_of_an_app_is_told_that_a_signal_ended() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    for (signal, status) in [("HUP", Some(129)), ("INT", None), ("QUIT", None)] {
        let words = [
            "run", "-t", "PROBE", "--", "--stdout", "up", "--sleep", "600",
        ];
        let seat = seat(&life, &words);
        seat.until("up");
        kill(&seat, signal);
        let (ended, shown) = seat.end();
        assert_eq!(ended, status, "{shown}");
        assert!(!shown.contains("running"), "{shown}");
    }
    assert_eq!(life.pods(), [""; 0]);
    // A pod that nobody keeps leaves no record of its status.
    let mut left = seat(&life, &["run", "-t", "--name", "here", "BUSYBOX"]);
    left.until("# ");
    left.types("\x10\x11");
    assert_eq!(left.end().0, Some(0));
    let mut again = seat(&life, &["attach", "here"]);
    again.types("exit 6\n");
    let (status, shown) = again.end();
    assert_eq!(status, Some(6), "{shown}");
    assert_eq!(life.pods(), [""; 0]);
}

#[test]
fn input_that_is_no_terminal_ends_for_every_program_that_reads_it() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    for (input, expected) in [
        // An interactive shell, which has an editor of its own.
        ("echo a$((1+1))ha\n", "\na2ha\r\n"),
        // Another program reads after it.
        ("sh\necho b$((1+1))\n", "\nb2\r\n"),
        ("", "# "),
    ] {
        let ran = life.call(&["run", "-t", "BUSYBOX"]).input(input).run();
        let ran = ran.exits(0).complains("");
        assert!(ran.stdout.contains(expected), "{ran:?}");
    }
    let uuid = life.detach(&["BUSYBOX", "--", "-c", "sleep 600"]);
    let ran = life.call(&["enter", "-t", &uuid]).input("echo c$((1+1))\n");
    let ran = ran.run().exits(0);
    assert!(ran.stdout.contains("\nc2\r\n"), "{ran:?}");
    life.run(&["rm", "--force", &uuid]).exits(0);
}

/// Runs `launcher WORDS` with a standard output that does not wait for its
/// reader, who reads only when it is full; gives what was read, and the status.
#[track_caller]
fn slowly_read(life: &Life, words: &[&str]) -> (String, Option<i32>) {
    let (reader, writer) = std::io::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    rustix::fs::fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    let full = writer.try_clone().unwrap();
    let mut plain = Command::new(host::program());
    plain.arg("--dir").arg(life.dir()).args(Life::words(words));
    plain.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let child = refusal::command(&plain, None)
        .stdin(Stdio::null())
        .stdout(writer)
        .spawn();
    let mut child = Leash(child.unwrap());
    until("the pipe is full", || {
        let mut polled = [PollFd::new(&full, PollFlags::OUT)];
        poll(&mut polled, Some(&Timespec::default())).unwrap() == 0
    });
    drop(full);
    // Had it not waited, it would be gone.
    assert!(child.0.try_wait().unwrap().is_none(), "{words:?}");
    let mut read = String::new();
    File::from(OwnedFd::from(reader))
        .read_to_string(&mut read)
        .unwrap();
    (read, child.0.wait().unwrap().code())
}

#[test]
fn nothing_is_lost_where_the_reader_is_slow() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let script = "i=0; while [ $i -lt 20000 ]; do echo this is line $i; i=$((i+1)); done; exit 4";
    let lines = |end: &str| -> String {
        (0..20_000)
            .map(|i| format!("this is line {i}{end}"))
            .collect()
    };
    for (options, end) in [(["run", "-t"], "\r\n"), (["run", "--pipe-output"], "\n")] {
        let words = [&options[..], &["BUSYBOX", "--", "-c", script]].concat();
        let (read, status) = slowly_read(&life, &words);
        claims::same(&format!("{options:?}"), &read, &lines(end));
        assert_eq!(status, Some(4));
    }
    life.detach(&["--name", "one", "BUSYBOX", "--", "-c", script]);
    life.run(&["status", "--wait", "one"]).exits(4);
    for words in [&["logs", "one"][..], &["logs", "--follow", "one"]] {
        let (read, status) = slowly_read(&life, words);
        claims::same("the log", &read, &lines("\n"));
        assert_eq!(status, Some(0));
    }
    // The results of other commands.
    let many: Vec<String> = (0..2000)
        .map(|i| format!("--set-env=V{i}={i:040}"))
        .collect();
    let mut words = vec!["plan"];
    words.extend(many.iter().map(String::as_str));
    words.push("BUSYBOX");
    let (read, status) = slowly_read(&life, &words);
    assert_eq!(status, Some(0));
    assert_eq!(read.matches("\nenv V").count(), 2000);
    assert!(read.contains("\nno-new-privs"), "it ends early");
}

#[test]
fn a_reader_who_has_read_enough_is_no_error() {
    require_root!();
    let life = Life::new();
    let [one, other] = ["one", "other"].map(|name| {
        let uuid = life.detach(&["--name", name, "PROBE", "--", "--stdout", "up"]);
        life.run(&["status", "--wait", &uuid]).exits(0);
        uuid
    });
    let unread = |words: &[&str]| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut plain = Command::new(host::program());
        plain.arg("--dir").arg(life.dir()).args(Life::words(words));
        let child = refusal::command(&plain, None)
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn();
        let ended = child.unwrap().wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(0), "{words:?}: {said}");
        assert!(!said.contains("launcher:"), "{words:?}: {said}");
    };
    for words in [
        &["help"][..],
        &["help", "run"],
        &["version"],
        &["list"],
        &["list", "--format=json"],
        &["image", "list"],
        &["status", "one"],
        &["cat-manifest", "one"],
        &["logs", "one"],
        &["logs", "--follow", "--format=json", "one"],
        &["plan", "PROBE"],
        &["validate", "PROBE"],
        &["trust", "list"],
        &["export", "one", "-"],
        &["fetch", "PROBE"],
        // All that was asked for is done.
        &["rm", &one, &other],
    ] {
        unread(words);
    }
    assert_eq!(life.pods(), [""; 0]);
}

/// Returns whether a process has this word on its command line.
fn is_there(word: &str) -> bool {
    let mut lines = host::names(std::path::Path::new("/proc"))
        .into_iter()
        .map(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default());
    lines.any(|line| {
        line.split(|&byte| byte == 0)
            .any(|it| it == word.as_bytes())
    })
}

#[test]
fn a_command_ends_with_whoever_has_entered() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let uuid = life.detach(&["BUSYBOX", "--", "-c", "sleep 600"]);
    // In the meantime, nothing else may end it.
    let script = "trap '' HUP INT TERM; echo up; while :; do sleep 0.02; done";
    for (options, user, word) in [
        (&[][..], "0", "marked-1"),
        (&["-t"], "0", "marked-2"),
        (&[], "1234", "marked-3"),
        (&["-t"], "1234", "marked-4"),
    ] {
        let last = ["--cwd=/", "--user", user, &uuid, "sh", "-c", script, word];
        let words = [&["enter"], options, &last].concat();
        let seat = seat(&life, &words);
        seat.until("up");
        assert!(is_there(word));
        seat.signal(Signal::KILL);
        until("the command has ended", || !is_there(word));
        seat.end();
    }
    assert_eq!(life.state(&uuid), "running");
    life.run(&["rm", "--force", &uuid]).exits(0);
}

#[test]
fn a_command_has_a_terminal_where_its_caller_has_one() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let uuid = life.detach(&["BUSYBOX", "--", "-c", "sleep 600"]);
    let mut shell = seat(&life, &["enter", &uuid]);
    shell.until("# ");
    shell.types("tty; exit 3\n");
    let (status, shown) = shell.end();
    assert_eq!(status, Some(3), "{shown}");
    assert!(shown.contains("/dev/pts/0\r\n"), "{shown}");
    // Output that goes elsewhere is no terminal.
    let ran = life.run(&["enter", &uuid, "sh", "-c", "test -t 1 || echo none"]);
    ran.exits(0).says("none\n");
    life.run(&["rm", "--force", &uuid]).exits(0);
}
