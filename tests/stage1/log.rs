//! What apps write, kept in files.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Root, init_with};
use crate::host::{self, Call};

/// No record is longer, with all that stands before it.
const RECORD: u64 = 5000;

/// A pod whose app has FIFOs as its standard output and error, with a log of
/// files of at most so many bytes.
struct Logged {
    root: Root,
    dir: PathBuf,
}

impl Logged {
    fn new() -> Self {
        let root = Root::new();
        let dir = root.scratch.join("kept");
        fs::create_dir(&dir).unwrap();
        for name in ["out", "err", "attended"] {
            host::call(Path::new("mkfifo"))
                .arg(root.scratch.join(name))
                .run()
                .exits(0);
        }
        Self { root, dir }
    }

    /// Each FIFO is opened twice: who reads is not who writes.
    fn call(&self, size: u32, before: &str, script: &str) -> Call {
        let path = |name| self.root.scratch.join(name).display().to_string();
        let (out, err, attended) = (path("out"), path("err"), path("attended"));
        let redirections = format!(
            "3<>{attended} 4<{attended} 3<&- 5<>{out} 6>{out} 7<>{err} 8>{err} 9<{}",
            self.dir.display()
        );
        let plan = self.root.plan().replacen(
            "plan 1",
            &format!("plan 1 {before} log 5 9 out {size} log 7 9 err {size}"),
            1,
        );
        let plan = format!("{plan} pivot process stdio 0 6 8 env PATH=/bin main 3 sh -c");
        init_with(&redirections, &plan).arg(script)
    }

    /// The records of a file, each with its tag.
    #[track_caller]
    fn records(&self, name: &str) -> Vec<(String, String)> {
        let mut rest = fs::read(self.dir.join(name)).unwrap();
        let mut records = Vec::new();
        while !rest.is_empty() {
            let end = rest.iter().position(|&byte| byte == b'\n').unwrap();
            let head = String::from_utf8(rest[..end].to_vec()).unwrap();
            let [time, tag, length] = head.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{head}");
            };
            let (seconds, nanoseconds) = time.split_once('.').unwrap();
            assert!(seconds.parse::<u64>().unwrap() > 1_700_000_000, "{head}");
            assert!(nanoseconds.len() == 9, "{head}");
            let length: usize = length.parse().unwrap();
            let text = rest[end + 1..end + 1 + length].to_vec();
            records.push((tag.to_owned(), String::from_utf8(text).unwrap()));
            rest.drain(..end + 1 + length);
        }
        records
    }

    fn text(&self, name: &str, tag: &str) -> String {
        let records = self.records(name).into_iter();
        records
            .filter(|(of, _)| of == tag)
            .map(|(_, text)| text)
            .collect()
    }
}

#[test]
fn an_app_does_not_wait_for_a_log_that_cannot_be_written() {
    require_root!();
    let pod = Logged::new();
    let script = "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done; exit 7";
    fs::create_dir(pod.dir.join("log")).unwrap();
    pod.call(1 << 20, "", script).run().exits(7).complains("");
    assert_eq!(host::names(&pod.dir), ["log"]);
}

#[test]
fn what_apps_write_is_kept_with_its_time_and_where_it_went() {
    require_root!();
    let pod = Logged::new();
    let script = "echo one; echo two >&2; sleep 0.1; printf three";
    pod.call(1 << 20, "", script).run().exits(0).says("");
    assert_eq!(pod.text("log", "out"), "one\nthree");
    assert_eq!(pod.text("log", "err"), "two\n");
    assert_eq!(host::names(&pod.dir), ["log"]);
}

#[test]
fn what_is_written_last_is_kept_as_well() {
    require_root!();
    let pod = Logged::new();
    let script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; exit 3";
    pod.call(1 << 20, "", script).run().exits(3);
    let expected: String = (0..2000).map(|i| format!("line {i}\n")).collect();
    assert_eq!(pod.text("log", "out"), expected);
}

#[test]
fn a_log_that_would_be_too_large_makes_room() {
    require_root!();
    let pod = Logged::new();
    let script = "i=0; while [ $i -lt 9000 ]; do echo line $i; i=$((i+1)); done";
    pod.call(20_000, "", script).run().exits(0);
    assert_eq!(host::names(&pod.dir), ["log", "log.1"]);
    for name in ["log", "log.1"] {
        let size = fs::metadata(pod.dir.join(name)).unwrap().len();
        assert!(size <= 20_000, "{name} {size}");
    }
    let kept = pod.text("log.1", "out") + &pod.text("log", "out");
    let whole: String = (0..9000).map(|i| format!("line {i}\n")).collect();
    assert!(whole.ends_with(&kept), "{kept}");
    // Nothing goes before the file that it is in is full. How much of that is
    // what was written depends on how little of it came at a time.
    let full = fs::metadata(pod.dir.join("log.1")).unwrap().len();
    assert!(full > 20_000 - RECORD, "{full}");
}

#[test]
fn a_flood_keeps_no_signal_from_the_app() {
    require_root!();
    let pod = Logged::new();
    let flood = pod.call(8_000, "", "trap 'exit 9' 15; while :; do echo flood; done");
    let mut flood = flood.start();
    let first = pod.dir.join("log.1");
    flood.until("fills its log", |_| first.exists());
    flood.signal(rustix::process::Signal::TERM);
    flood.end().exits(9);
}

#[test]
fn what_somebody_attends_to_is_left_to_them() {
    require_root!();
    let pod = Logged::new();
    let attended = pod.root.scratch.join("attended");
    let script =
        "while [ ! -e /tmp/go ]; do sleep 0.01; done; echo hello; : > /tmp/done; sleep 100";
    let mut running = pod.call(1 << 20, "attended 4", script).start();
    let open = fs::OpenOptions::new().write(true).open(&attended).unwrap();
    fs::write(pod.root.path().join("tmp/go"), "").unwrap();
    let done = pod.root.path().join("tmp/done");
    running.until("has written", |_| done.exists());
    assert_eq!(host::names(&pod.dir), [""; 0]);
    drop(open);
    let log = pod.dir.join("log");
    running.until("has it", |_| {
        fs::metadata(&log).is_ok_and(|file| file.len() > 0)
    });
    assert_eq!(pod.text("log", "out"), "hello\n");
    running.signal(rustix::process::Signal::KILL);
    running.end();
}
