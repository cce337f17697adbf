//! What the main job costs, in system calls. It is a budget like that of size: no
//! clock is asked, and it holds on a busy machine.

use std::collections::BTreeMap;
use std::fs;

use crate::host::{self, Scratch, call, launcher};

/// The most system calls of `launcher run` of a stored image, of all processes
/// together, from the first execve(2) to the last exit.
const BUDGET: usize = 810;

#[test]
fn a_stored_image_is_run_within_the_budget_of_system_calls() {
    require_root!();
    let strace = tool!("strace");
    let scratch = Scratch::new();
    let (dir, log) = (scratch.join("dir"), scratch.join("log"));
    let insecure = "--insecure-options=image";
    let fetch = launcher(&dir).args(["fetch", insecure]);
    fetch.arg(host::image("hello")).run().exits(0);
    let run = ["run", insecure, "nosecone.net/example/hello"];
    // The first one makes the host's secret.
    launcher(&dir).args(run).run().exits(0);
    let traced = call(&strace).args(["-f", "-o"]).arg(&log);
    let traced = traced.arg(host::program()).arg("--dir").arg(&dir);
    traced.args(run).run().exits(0);
    let made = made(&fs::read_to_string(&log).unwrap());
    let sum: usize = made.values().sum();
    assert!(
        sum <= BUDGET,
        "{sum} system calls are more than {BUDGET}:\n{}",
        told(&made)
    );
}

/// Tells who makes how many calls, a line each, the most frequent first.
fn told(made: &BTreeMap<(Whose, String), usize>) -> String {
    let mut told = String::new();
    for whose in [Whose::Launcher, Whose::Init, Whose::App, Whose::Undo] {
        let own = made.iter().filter(|((by, _), _)| *by == whose);
        let mut own: Vec<_> = own.map(|((_, name), count)| (*count, name)).collect();
        own.sort_by(|one, other| other.cmp(one));
        let sum: usize = own.iter().map(|(count, _)| count).sum();
        told.push_str(&format!("{whose:?}: {sum}"));
        for (count, name) in own {
            told.push_str(&format!(", {count} {name}"));
        }
        told.push('\n');
    }
    told
}

/// Who makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    /// The launcher, before it becomes stage1-init.
    Launcher,
    /// stage1-init, both halves.
    Init,
    /// The app.
    App,
    /// The launcher that stage1-init becomes in the end.
    Undo,
}

impl Whose {
    /// Returns who the same process is after execve(2).
    fn next(self, first: bool) -> Self {
        match (self, first) {
            (Self::Launcher, _) => Self::Init,
            (Self::Init, false) => Self::App,
            _ => Self::Undo,
        }
    }
}

/// Counts the calls in a log of strace, by whom and by name.
fn made(log: &str) -> BTreeMap<(Whose, String), usize> {
    let mut processes: BTreeMap<&str, Whose> = BTreeMap::new();
    let mut first = None;
    let mut made = BTreeMap::new();
    for line in log.lines() {
        let (process, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        let is_first = *first.get_or_insert(process) == process;
        let Some((name, rest)) = call.split_once('(').filter(|_| !call.starts_with('<')) else {
            continue;
        };
        let begun = processes.len();
        let whose = processes.entry(process).or_insert(match begun {
            0 => Whose::Launcher,
            _ => Whose::Init,
        });
        // The standard library of a debug build asks before each close(2).
        let asks = cfg!(debug_assertions) && rest.contains("F_GETFD");
        if !asks || matches!(whose, Whose::Init | Whose::App) {
            *made.entry((*whose, name.to_owned())).or_default() += 1;
        }
        let executes = name.starts_with("execve") && made.len() > 1;
        if executes && !rest.contains(" = -1 ") {
            *whose = whose.next(is_first);
        }
    }
    made
}

#[test]
fn calls_are_counted_by_whom() {
    let log = "1 execve(\"launcher\") = 0\n\
               1 close(3) = 0\n\
               1 execve(\"init\") = 0\n\
               2 setns(4) = 0\n\
               1 wait4(-1,  <unfinished ...>\n\
               2 execveat(-1, \"\") = -1 ENOENT (No such file or directory)\n\
               2 execve(\"/app\") = 0\n\
               2 write(1) = 1\n\
               2 +++ exited with 0 +++\n\
               1 <... wait4 resumed>) = 2\n\
               1 execveat(5, \"\") = 0\n\
               1 unlinkat(3) = 0\n";
    let made = made(log);
    let of = |whose| {
        let names = made.keys().filter(|(by, _)| *by == whose);
        names.map(|(_, name)| name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(of(Whose::Launcher), ["close", "execve"]);
    assert_eq!(of(Whose::Init), ["execve", "execveat", "setns", "wait4"]);
    assert_eq!(of(Whose::App), ["write"]);
    assert_eq!(of(Whose::Undo), ["unlinkat"]);
}

#[test]
fn the_phases_of_a_run_are_told_in_their_order_if_that_is_asked_for() {
    require_root!();
    let scratch = Scratch::new();
    let run = ["--timing", "run"];
    let run = launcher(&scratch.join("dir")).args(run);
    let ran = run
        .arg(host::image("probe"))
        .args(["--", "--stdout", "app"]);
    let ran = ran.run().exits(0).says("app\n");
    let phases = ran.stderr.lines().map(|line| {
        let phase = line.strip_prefix("launcher: timing: ").unwrap();
        let (name, took) = phase.split_once(' ').unwrap();
        let took: f64 = took.trim().strip_suffix(" ms").unwrap().parse().unwrap();
        assert!(took > 0.0, "{line}");
        name
    });
    let phases: Vec<&str> = phases.collect();
    let all = [
        "parse",
        "open",
        "resolve",
        "compose",
        "namespaces",
        "mounts",
        "app",
        "undo",
    ];
    assert_eq!(phases, all);
}
