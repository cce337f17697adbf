//! What becomes of pods that nobody watches, and what is told of them.

/// Who attends to an app, and hears of its end.
mod attend;
/// What apps have changed in their files.
mod changed;
/// What `gc` removes, and what it must not.
mod collect;
/// What is copied from pods and into them.
mod copied;
/// Pods that go on without their caller.
mod detached;
/// How pods ended, and who waits for that.
mod ended;
/// Commands in pods that run.
pub(crate) mod enter;
/// Images of what apps left.
pub(crate) mod export;
/// Processes that are killed, and records that lie.
mod faults;
/// Pods that are not remembered: in memory, and gone with their caller.
mod forgotten;
/// Whether apps work, and what is done if they do not.
mod health;
/// How pods are listed.
mod listed;
/// What apps write, and who reads it.
mod logs;
/// Logs that are kept in memory.
mod memory;
/// What can be wrong, and what is said of it.
mod messages;
/// Pods that are paused.
mod paused;
/// Two commands at a time.
mod races;
/// Pods that are started again.
mod restart;
/// What is told to programs.
mod results;
/// How much pods use.
mod stats;
/// Terminals of pods, and who attends to them.
mod terminal;
/// Waiting, stopping, removing.
mod verbs;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::host::{self, Call, Ran, Scratch, launcher};

/// A directory of pods.
pub(crate) struct Life(pub(crate) Scratch);

impl Life {
    pub(crate) fn new() -> Self {
        Self(Scratch::new())
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.0.join("dir")
    }

    /// `launcher WORDS`, where PROBE and BUSYBOX stand for those images.
    pub(crate) fn call(&self, words: &[&str]) -> Call {
        launcher(&self.dir()).args(Self::words(words))
    }

    /// The same under strace(1), which injects a fault: into all calls, or with
    /// `-P PATH` into those that are about a file.
    pub(crate) fn call_by(&self, strace: &Path, fault: &[&str], words: &[&str]) -> Call {
        host::call(strace)
            .args(["-f", "-qq", "-o", "/dev/null", "-e"])
            .args(fault)
            .arg(host::program())
            .arg("--dir")
            .arg(self.dir())
            .args(Self::words(words))
    }

    pub(crate) fn words(words: &[&str]) -> Vec<String> {
        let word = |word: &&str| match *word {
            "PROBE" => host::image("probe").display().to_string(),
            "BUSYBOX" => host::image("busybox").display().to_string(),
            word => word.to_owned(),
        };
        words.iter().map(word).collect()
    }

    /// The same, to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        self.call(words).run()
    }

    /// `launcher run --detach WORDS`; gives the UUID.
    #[track_caller]
    pub(crate) fn detach(&self, words: &[&str]) -> String {
        let ran = self.run(&[&["run", "--detach"], words].concat());
        ran.exits(0).complains("").stdout.trim_end().to_owned()
    }

    /// A pod that ends well when it is asked to, and has said that it waits.
    #[track_caller]
    pub(crate) fn waiting(&self, options: &[&str]) -> String {
        let words = [options, &["PROBE", "--", "--trap-exit", "15", "0"]].concat();
        let uuid = self.detach(&words);
        self.until_it_logs(&uuid, "waiting\n");
        uuid
    }

    /// Tells whether a pod can be limited so here: such a pod can be planned.
    pub(crate) fn limits(&self, options: &[&str]) -> bool {
        let words = [&["plan", "PROBE"], options].concat();
        self.run(&words).succeeded()
    }

    /// A pod that does not care for being asked to end.
    #[track_caller]
    pub(crate) fn stubborn(&self) -> String {
        let script = "trap '' TERM; echo up; sleep 600; sleep 600";
        let uuid = self.detach(&["BUSYBOX", "--", "-c", script]);
        self.until_it_logs(&uuid, "up\n");
        uuid
    }

    #[track_caller]
    pub(crate) fn until_it_logs(&self, uuid: &str, expected: &str) {
        until(&format!("it logs {expected:?}"), || {
            self.run(&["logs", uuid]).exits(0).stdout == expected
        });
    }

    /// What `status` says under a key, if it says that.
    #[track_caller]
    pub(crate) fn status(&self, uuid: &str, key: &str) -> Option<String> {
        let said = self.run(&["status", uuid]).exits(0).complains("").stdout;
        let mut lines = said.lines().filter_map(|line| line.split_once('='));
        let found = lines.find(|(known, _)| *known == key);
        found.map(|(_, value)| value.to_owned())
    }

    #[track_caller]
    pub(crate) fn state(&self, uuid: &str) -> String {
        self.status(uuid, "state").unwrap()
    }

    /// The process that holds the lock of a pod.
    #[track_caller]
    pub(crate) fn pid(&self, uuid: &str) -> Pid {
        let pid = self.status(uuid, "pid").expect("it runs");
        Pid::from_raw(pid.parse().unwrap()).unwrap()
    }

    /// What is in the directories of pods, as STATE/UUID.
    pub(crate) fn pods(&self) -> Vec<String> {
        let mut all = Vec::new();
        for state in fs::read_dir(self.dir().join("pods")).unwrap() {
            let state = state.unwrap();
            for pod in fs::read_dir(state.path()).unwrap() {
                let (state, pod) = (state.file_name(), pod.unwrap().file_name());
                all.push(format!("{}/{}", state.display(), pod.display()));
            }
        }
        all.sort();
        all
    }

    /// Removes all that is over, and checks that this is all.
    #[track_caller]
    pub(crate) fn leaves_nothing(&self) {
        self.run(&["gc", "--grace-period=0", "--expire-prepared=0"])
            .exits(0)
            .complains("");
        assert_eq!(self.pods(), [""; 0]);
        assert_eq!(host::names(&self.dir().join("tmp")), [""; 0]);
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// How often the threads of a process went to sleep.
fn switches(pid: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let status = tasks.map(|task| {
        let path = task.unwrap().path().join("status");
        let status = fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary"));
        line.unwrap().to_owned()
    });
    status.collect()
}

/// Waits until the two threads of a process sleep, and checks that they do for
/// as long as nothing happens.
#[track_caller]
fn sleeps(pid: u32) {
    let pause = |milliseconds| thread::sleep(Duration::from_millis(milliseconds));
    until("it waits", || {
        let before = switches(pid);
        pause(100);
        before.len() == 2 && switches(pid) == before
    });
    let before = switches(pid);
    pause(300);
    assert_eq!(switches(pid), before);
}

/// The only child of a process.
#[track_caller]
pub(crate) fn child(parent: Pid) -> Pid {
    child_if_any(parent).expect("it has a child")
}

/// The only child of a process, if it has one.
pub(crate) fn child_if_any(parent: Pid) -> Option<Pid> {
    let is_it = |stat: &str| {
        let (_, behind) = stat.rsplit_once(") ")?;
        let found = behind.split(' ').nth(1)?.parse() == Ok(parent.as_raw_nonzero().get());
        found.then_some(())
    };
    let mut pids = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        let pid = Pid::from_raw(name.parse().ok()?)?;
        let stat = fs::read_to_string(format!("/proc/{name}/stat")).ok()?;
        is_it(&stat).map(|()| pid)
    });
    pids.next()
}

pub(crate) fn kill(pid: Pid) {
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
}
