//! Hits a command at all of its points, one after another, and looks at what
//! is there each time.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::Command;
use super::ground::Ground;
use super::points::{self, Calls, Fault, Point};
use crate::host::{self, Call, Ran, Scratch};

/// At how many points a command is hit if not at all.
const SAMPLE: usize = 14;

/// How long a command may take before it counts as hanging.
const DEADLINE: Duration = Duration::from_secs(60);

/// Sweeps a command, and fails if anything is wrong at any point.
#[track_caller]
pub(super) fn sweep(command: &Command) {
    let strace = match host::find_tool("strace") {
        Some(strace) => strace,
        None => skip!("needs `strace`; see `cargo xtask setup`"),
    };
    if env::var("SWEEP_ONLY").is_ok_and(|word| !command.words.contains(&word)) {
        return;
    }
    let mut sweep = Sweep::begin(strace, command);
    let calls = sweep.watch();
    let (mut points, form) = match command.refused {
        true => (calls.refusals(), "deny"),
        false => (calls.points(), "whole"),
    };
    let possible = points.len();
    if env::var("SWEEP").is_ok_and(|sweep| sweep == form) {
        say(&calls.thinned());
    } else {
        points.retain(Point::decides);
        let step = points.len().div_ceil(SAMPLE);
        points = points.into_iter().step_by(step).collect();
    }
    let (mut hit, mut found) = (0, 0);
    for point in &points {
        let mut outcome = sweep.hit(point);
        if outcome.lost {
            say(&format!(
                "{}: strace lost it, so once more\n",
                command.words
            ));
            sweep = Sweep::begin(sweep.strace, command);
            outcome = sweep.hit(point);
        }
        hit += usize::from(outcome.hit);
        found += outcome.findings.len();
        for finding in &outcome.findings {
            say(&format!(
                "{}: {finding}\n  {}\n",
                command.words,
                sweep.repeat(point)
            ));
        }
        if !outcome.findings.is_empty() {
            sweep = Sweep::begin(sweep.strace, command);
        }
    }
    let of = |fault| points.iter().filter(|point| point.fault == fault).count();
    let (killed, broken, full) = (of(Fault::Kill), of(Fault::Io), of(Fault::Full));
    let (missing, forbidden) = (of(Fault::Missing), of(Fault::Forbidden));
    let summary = format!(
        "{}: {} of {possible} points, {killed} kills, {broken} EIO, {full} ENOSPC, \
         {missing} ENOSYS, {forbidden} EPERM; {hit} were hit\n",
        command.words,
        points.len(),
    );
    if env::var_os("SWEEP").is_some() {
        say(&summary);
    }
    assert!(found == 0, "{found} findings; {summary}");
    // Processes that race with others make a call more or less; most are made.
    assert!(hit * 2 > points.len(), "{summary}");
}

/// Says something past the test runner, which keeps to itself what tests say.
fn say(text: &str) {
    // Where not even that can be said there is nobody to hear it.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// A sweep of a command.
struct Sweep<'a> {
    strace: PathBuf,
    command: &'a Command,
    ground: Ground,
    /// What is left where nothing was wrong.
    expected: BTreeSet<String>,
}

/// What became of a command that was hit.
struct Outcome {
    /// It has come to that point.
    hit: bool,
    /// It does not end because of strace.
    lost: bool,
    /// What is wrong.
    findings: Vec<String>,
}

/// Why a command was not waited for any longer.
#[derive(Debug, PartialEq, Eq)]
struct Hang {
    what: String,
    /// Because of strace.
    lost: bool,
}

impl<'a> Sweep<'a> {
    /// Runs the command once where nothing happens to it.
    #[track_caller]
    fn begin(strace: PathBuf, command: &'a Command) -> Self {
        let mut sweep = Self {
            strace,
            command,
            ground: Ground::new(command.networked),
            expected: BTreeSet::new(),
        };
        sweep.ground.says("fetch --quiet PROBE");
        let it = sweep.before();
        let ran = sweep
            .call(sweep.ground.call(&host::program()), &it)
            .run()
            .exits(0);
        assert!((command.promise)(&sweep.ground, &ran, &it), "{ran:?}");
        sweep.expected = sweep.left(&it).unwrap();
        sweep
    }

    /// Makes what the command needs.
    fn before(&self) -> String {
        if self.command.images {
            let _ = fs::remove_dir_all(self.ground.dir());
        }
        (self.command.before)(&self.ground)
    }

    /// The command, called by a program, or called itself.
    fn call(&self, program: Call, it: &str) -> Call {
        program
            .arg("--dir")
            .arg(self.ground.dir())
            .args(self.ground.words(&self.command.words, it))
            .dir(self.ground.scratch.path())
    }

    /// Looks which calls it makes.
    #[track_caller]
    fn watch(&self) -> Calls {
        let logs = Scratch::new();
        let it = self.before();
        let strace = self
            .ground
            .call(&self.strace)
            .args(["-ff", "-qq", "-o"])
            .arg(logs.join("of"))
            .arg(host::program());
        let (ran, hangs) = self.to_its_end(self.call(strace, &it));
        assert_eq!(hangs, None);
        ran.exits(0);
        self.left(&it).unwrap();
        Calls::read(logs.path())
    }

    /// Hits it at a point, and looks at what is there then.
    fn hit(&self, point: &Point) -> Outcome {
        let it = self.before();
        let log = self.ground.scratch.join("strace.log");
        let strace = self.ground.call(&self.strace);
        let strace = points::strace(strace, &log, point).arg(host::program());
        let (ran, hangs) = self.to_its_end(self.call(strace, &it));
        let log = fs::read_to_string(log).unwrap_or_default();
        let lost = hangs.as_ref().is_some_and(|hang| hang.lost);
        let mut findings: Vec<String> = hangs.into_iter().map(|hang| hang.what).collect();
        let said = !ran.stderr.is_empty() || was_silenced(&log);
        let killed = ran.exited().is_none();
        if !(point.is_fatal() && killed) {
            findings.extend(self.told(&ran, said, point.fault, &it));
        }
        match self.left(&it) {
            Ok(left) if left == self.expected => {}
            Ok(left) => findings.push(format!(
                "left behind: {:?}, gone: {:?}",
                left.difference(&self.expected).collect::<Vec<_>>(),
                self.expected.difference(&left).collect::<Vec<_>>()
            )),
            Err(finding) => findings.push(finding),
        }
        findings.extend(self.ground.kept_by_the_kernel());
        Outcome {
            hit: log.contains("(INJECTED)") || log.contains("+++ killed by SIGKILL"),
            lost,
            findings,
        }
    }

    /// Runs a command to its end, and to that of all that it has left running: a
    /// pod is stopped. Whatever goes on that no pod is listed for hangs.
    fn to_its_end(&self, call: Call) -> (Ran, Option<Hang>) {
        let others = self.running();
        let mut running = call.start();
        let (begun, strace) = (Instant::now(), running.pid());
        let (mut command, mut hangs) = (None, None);
        while !running.has_ended() {
            if begun.elapsed() > DEADLINE {
                hangs = Some(Hang {
                    what: format!("it does not end: {}", family(strace)),
                    lost: stands_still(strace),
                });
                kill_family(strace);
                break;
            }
            command = command.or_else(|| child(strace));
            let over = match command {
                Some(pid) => !Path::new(&format!("/proc/{pid}")).exists(),
                // It was too fast to be seen.
                None => begun.elapsed() > Duration::from_secs(2),
            };
            if over {
                // What strace waits for is a pod, then.
                for uuid in self.running().difference(&others) {
                    let _ = self.ground.run(&format!("stop --time=5s {uuid}"));
                }
            }
            thread::sleep(Duration::from_millis(2));
        }
        (running.end(), hangs)
    }

    /// The pods that run, or stand still.
    fn running(&self) -> BTreeSet<String> {
        let pods = self.ground.list().unwrap_or_default().into_iter();
        let running = pods.filter(|pod| ["running", "paused"].contains(&pod.state.as_str()));
        running.map(|pod| pod.uuid).collect()
    }

    /// What is wrong with what a command says that was hit.
    fn told(&self, ran: &Ran, said: bool, fault: Fault, it: &str) -> Option<String> {
        let finding = match ran.exited() {
            _ if ran.stderr.contains("panicked") => "a bug",
            Some(0) if !(self.command.promise)(&self.ground, ran, it) => {
                "it says that it has done what it has not"
            }
            Some(0) => return None,
            // What was killed needs no word, an app for instance.
            None | Some(137) if fault == Fault::Kill => return None,
            None => "it was killed",
            Some(_) if !said => "it fails without a word",
            Some(_) => return None,
        };
        Some(format!("{finding}: {ran:?}; {:?}", self.ground.list()))
    }

    /// What is left on the disk at last, where all works as it must: the same
    /// command again, too.
    fn left(&self, it: &str) -> Result<BTreeSet<String>, String> {
        self.ground.list()?;
        let again = self.call(self.ground.call(&host::program()), it).run();
        let done = self
            .command
            .done
            .iter()
            .any(|done| again.stderr.contains(&done.replace("IT", it)));
        if !again.succeeded() && !done {
            return Err(format!("the same again does not work: {again:?}"));
        }
        self.ground.holds()?;
        self.ground.collected(self.command.images)
    }

    /// The command line that shows it again.
    fn repeat(&self, point: &Point) -> String {
        let words = self.ground.words(&self.command.words, "IT").join(" ");
        let program = host::program();
        let program = program.display();
        format!("strace -f -o /dev/null -e {point} {program} --dir DIR {words}")
    }
}

/// The child of a process that runs another program than that: strace forks
/// for reasons of its own, too.
fn child(pid: u32) -> Option<u32> {
    let exe = |pid: u32| fs::read_link(format!("/proc/{pid}/exe")).ok();
    let (own, mut children) = (exe(pid), children(pid).into_iter());
    children.find(|&child| exe(child).is_some_and(|exe| Some(exe) != own))
}

/// The children of a process.
fn children(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace();
    children.filter_map(|pid| pid.parse().ok()).collect()
}

/// What a process has started, and what each of them waits for.
fn family(pid: u32) -> String {
    let of = |child: u32| {
        let read = |name| fs::read(format!("/proc/{child}/{name}")).unwrap_or_default();
        let [words, place] = ["cmdline", "wchan"].map(read);
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        let place = String::from_utf8_lossy(&place).into_owned();
        format!("{child} ({words}) in {place}; {}", family(child))
    };
    children(pid).into_iter().map(of).collect()
}

/// Tells whether what was to be said was hit as well, by strace's log: a
/// sentence, or the line that a sentence would have been made of.
fn was_silenced(log: &str) -> bool {
    let pid = |line: &str| line.split(' ').next().map(str::to_owned);
    let mut lines = log.lines();
    while let Some(line) = lines.next() {
        let says = line.contains("write(2, \"launcher: ");
        let reports = line.contains("write(") && line.contains(", \"failed ");
        if !says && !reports {
            continue;
        }
        let end = match line.ends_with("<unfinished ...>") {
            true => lines.clone().find(|next| pid(next) == pid(line)),
            false => Some(line),
        };
        if end.is_some_and(|end| end.contains("(INJECTED)")) {
            return true;
        }
    }
    false
}

/// Tells whether processes wait for nothing but that strace lets them go on, and
/// it does not: it loses sight of some that end together with their PID 1.
fn stands_still(strace: u32) -> bool {
    let waiting = || -> BTreeSet<String> {
        let tracer = format!("TracerPid:\t{strace}");
        let waits = |pid: &String| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let mut lines = status.lines();
            lines.any(|line| line.starts_with("State:\tt")) && lines.any(|line| line == tracer)
        };
        host::names(Path::new("/proc"))
            .into_iter()
            .filter(waits)
            .collect()
    };
    let before = waiting();
    thread::sleep(Duration::from_secs(1));
    before.intersection(&waiting()).next().is_some()
}

fn kill_family(pid: u32) {
    children(pid).into_iter().for_each(kill_family);
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

#[test]
fn only_a_message_that_was_hit_itself_excuses_silence() {
    let write = |pid, end| format!("{pid} write(2, \"launcher: \"..., 20{end}\n");
    let hit = ") = -1 EIO (INJECTED)";
    let other = "7 fsync(3) = -1 EIO (INJECTED)\n";
    assert!(!was_silenced(other));
    assert!(!was_silenced(&(write(8, ") = 20") + other)));
    let resumed = "8 <... write resumed>) = 20\n";
    let apart = write(8, " <unfinished ...>") + other + resumed;
    assert!(!was_silenced(&apart));
    assert!(was_silenced(&write(8, hit)));
    assert!(was_silenced(&apart.replace(") = 20", hit)));
}
