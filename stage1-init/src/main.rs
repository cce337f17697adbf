//! `stage1-init`: carries out a plan, and is PID 1 of the pod that it made.
//!
//! The story is `main`, below. What a plan is, the library of this package
//! says. Where to look for what:
//!
//! | file | about |
//! |---|---|
//! | `options` | the command line |
//! | `execute` | one match over the directives, in their order |
//! | `outer` | namespaces, and the half of the program outside of them |
//! | `mounts`, `attributes`, `files`, `beneath` | roots, and what is in them |
//! | `apps`, `process`, `capabilities`, `program` | the apps, and what their processes become |
//! | `settle` | what PID 1 gives up before the first app runs |
//! | `demand` | a program that is there while somebody wants it |
//! | `log` | what apps write, kept in files |
//! | `reap` | PID 1 at work |
//! | `say` | messages and reports |
//! | `start`, `mem`, `sys`, `arch` | what a libc would be for; all that is `unsafe` |
//!
//! # Invariants
//!
//! 1. Signals are blocked before anything else, and let through again only in
//!    a process that is about to execute a program: none is lost.
//! 2. No descriptor but 0, 1, 2 survives an execution, unless a plan says so.
//! 3. There is one thread, no heap, no handler, no timer; who waits, sleeps.
//! 4. A plan is decoded as a whole before its first directive is carried out.
//!
//! # Not here
//!
//! Names, defaults, policies: whoever writes the plan decides.

#![no_std]
#![no_main]

#[cfg_attr(target_arch = "x86_64", path = "arch/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "arch/aarch64.rs")]
#[cfg_attr(target_arch = "arm", path = "arch/arm.rs")]
#[cfg_attr(target_arch = "riscv64", path = "arch/riscv64.rs")]
mod arch;
mod mem;
mod start;
mod sys;

mod beneath;
mod options;
mod say;

mod attributes;
mod files;
mod mounts;

mod capabilities;
mod demand;
mod log;
mod program;

mod apps;
mod execute;
mod outer;
mod process;
mod reap;
mod settle;

use rustix::fd::AsRawFd;
use rustix::fs::Mode;
use stage1_init::{Fault, Plan, WordList};

use crate::apps::App;
use crate::execute::{Origin, Pod};
use crate::options::{Options, Work};
use crate::start::Start;

/// Exit codes of our own, as container runtimes have them.
const OURS: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// The life of the program.
fn main(start: Start) -> ! {
    // First of all, so that a signal that comes now is not lost but waits.
    let blocked = sys::block(!0);
    sys::default_signals(0);
    if start.is_secure() {
        // Somebody made us setuid: a plan would be an order to root.
        sys::exit(OURS);
    }
    let parent = rustix::process::getppid();
    open_standard();
    let _ = outer::hide();
    let mask = rustix::process::umask(Mode::empty());

    let options = Options::read(start);
    if let Some((call, errno)) = sys::missing(blocked, options.finally.is_some()) {
        say::failed(call, errno);
        sys::exit(OURS);
    }
    let origin = Origin {
        start,
        report: options.report,
        finally: options.finally,
        demand: options.demand,
        foreground: process::foreground_group(),
        parent,
        mask,
        end: options.end,
    };
    match options.work {
        Work::Command(words) => {
            close_inherited(options.end, start, None);
            run_command(origin, words)
        }
        Work::Plan(bytes, room) => {
            let plan = Plan::decode(bytes);
            close_inherited(options.end, start, plan.ok());
            run_plan(origin, plan, room)
        }
    }
}

/// A pod: in this process, or in its child if there is a pid namespace.
fn run_plan(origin: Origin, plan: Result<Plan<'_>, Fault>, room: Option<sys::Room>) -> ! {
    let plan = match plan {
        Ok(plan) => plan,
        Err(fault) => {
            say::fault(fault.word, fault.kind);
            end(origin, OURS);
        }
    };
    if let Some(fd) = origin.demand {
        let _ = sys::signal_when_readable(fd);
    }
    let mut pod = Pod::new(origin, Some(plan), room);
    let status = match pod.set_up() {
        // The outer half, when all is over; or a failure, in either half.
        Some(status) => status,
        None => run_apps(&mut pod),
    };
    pod.go_home();
    end(pod.origin, status)
}

/// No plan: a command, and an init for what it leaves behind.
fn run_command(origin: Origin, words: WordList<'_>) -> ! {
    let mut pod = Pod::new(origin, None, None);
    let _ = pod.apps.push(App::command(words));
    let status = run_apps(&mut pod);
    end(origin, status)
}

fn run_apps(pod: &mut Pod<'_>) -> u8 {
    // As PID 1, orphans come here anyway.
    let _ = sys::prctl(linux_raw_sys::prctl::PR_SET_CHILD_SUBREAPER, 1);
    pod.start_apps();
    // From here on nothing may fail: our death is the pod's.
    reap::until_over(pod)
}

/// PID 1 of a pod simply ends here: its outer half has the last word.
fn end(origin: Origin, status: u8) -> ! {
    if let Some(group) = origin.foreground {
        process::take_terminal(group);
    }
    if let Some(finally) = origin.finally {
        let word = say::Decimal::new(u32::from(status));
        let failed = program::execute_finally(finally, origin.start, word.as_c_str());
        say::failed(b"--finally-fd", failed.unwrap_or_else(|errno| errno));
    }
    sys::exit(status)
}

/// Programs expect the three to be there; opened later, something else would
/// get their numbers.
fn open_standard() {
    for fd in [sys::STDIN, sys::STDOUT, sys::STDERR] {
        if sys::descriptor_flags(fd).is_err() {
            let _ = sys::open_lowest(c"/dev/null");
        }
    }
}

/// Closes what was inherited but is named by no option and no directive, and
/// marks the rest, so that no program gets it by accident.
fn close_inherited(end: usize, start: Start, plan: Option<Plan<'_>>) {
    let first = sys::STDERR.as_raw_fd().unsigned_abs() + 1;
    sys::close_all_but(first, &mut |keep| {
        options::each(end, start, &mut |option, number| {
            if option != options::PLAN {
                keep(number);
            }
        });
        for (_, directive) in plan.map(|plan| plan.directives()).unwrap_or_default() {
            directive.descriptors().iter().copied().for_each(&mut *keep);
        }
    });
}

fn version() -> ! {
    let mut line = say::Line::new(sys::STDOUT);
    line.push(concat!("stage1-init ", env!("CARGO_PKG_VERSION"), "\n").as_bytes());
    line.flush();
    sys::exit(0)
}

fn help() -> ! {
    let mut line = say::Line::new(sys::STDOUT);
    line.push(USAGE);
    // In the order of the vocabulary, which is that of the parts of a plan.
    for (usage, _) in stage1_init::vocabulary() {
        for text in [b"  ", usage, b"\n"] {
            line.push(text);
        }
    }
    line.flush();
    sys::exit(0)
}

const USAGE: &[u8] = b"\
stage1-init carries out a plan, and is PID 1 of its pod.

  stage1-init [OPTION...] plan 1 DIRECTIVE...
  stage1-init [OPTION...] --plan-fd N [--finally-fd N -- WORD...]
  stage1-init -- COMMAND...     no plan: an init for it
  stage1-init --help | --version

Options: --report-fd N, where to report to; --hold-fd N, what stays open outside;
--lock-fd N, what PID 1 keeps open;
--demand-fd N, what --finally-fd serves when it can be read.
A plan is words that each end in a NUL byte, or arguments.
Exit codes: 125 the plan failed, 126 not executable, 127 not found,
128+N died of signal N, else that of the first app that failed, or 0.

The directives:
";
