//! `stage1-init`: executes a plan, and is PID 1 of the pod that it creates.
//!
//! `main`, below, is the life of the program. The library of this package says
//! what a plan is. Each file uses only files that come after it in this table:
//!
//! | file | about |
//! |---|---|
//! | `entry` | from the kernel's entry to `main` |
//! | `reap` | PID 1 at work |
//! | `apps` | making the processes of all apps, and starting their programs |
//! | `settle` | what PID 1 gives up before the first app runs |
//! | `execute` | one match over the directives, in their order |
//! | `namespaces` | new namespaces, and what is set for them |
//! | `outer`, `demand`, `log`, `undo` | the process that stays outside: what it waits for, serves, copies, and undoes |
//! | `process`, `capabilities`, `program` | what a process of an app becomes |
//! | `pod`, `app` | what is known of the pod, and of each app |
//! | `files`, `mounts`, `attributes`, `tree`, `beneath` | a root, and what is in it |
//! | `options`, `help` | the command line |
//! | `say` | messages and reports |
//! | `start`, `mem`, `sys`, `arch` | what a libc would do; nearly all that is `unsafe` |
//! | `exit_code` | exit codes |
//!
//! # Invariants
//!
//! 1. Signals are blocked before anything else, and unblocked only in a process
//!    that is about to execute a program, so that none is lost.
//! 2. No descriptor but 0, 1 and 2 survives an execution, unless a plan says so.
//! 3. There is one thread, no heap, no signal handler and no timer. A process
//!    that waits is asleep.
//! 4. A plan is decoded as a whole before its first directive is executed.
//!
//! # Not here
//!
//! Names, defaults and policies are up to whoever writes the plan.

#![no_std]
#![no_main]

#[cfg_attr(target_arch = "x86_64", path = "arch/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "arch/aarch64.rs")]
#[cfg_attr(target_arch = "arm", path = "arch/arm.rs")]
#[cfg_attr(target_arch = "riscv64", path = "arch/riscv64.rs")]
mod arch;
mod entry;
mod mem;
mod start;
mod sys;

mod exit_code;
mod help;
mod options;
mod say;

mod attributes;
mod beneath;
mod files;
mod mounts;
mod tree;

mod app;
mod capabilities;
mod pod;
mod process;
mod program;

mod demand;
mod execute;
mod log;
mod namespaces;
mod outer;
mod undo;

mod apps;
mod reap;
mod settle;

use rustix::fd::AsRawFd;
use rustix::fs::Mode;
use stage1_init::{Decimal, Fault, Plan, WordList, Words};

use crate::app::App;
use crate::options::{Options, Work};
use crate::pod::{Origin, Pod};
use crate::start::Start;

/// Runs the program from start to end.
fn main(start: Start) -> ! {
    // Comes first, so that a signal that arrives now waits, and is not lost.
    let blocked = sys::block(!0);
    sys::default_own_signals();
    if start.is_secure() {
        // The program file was made setuid: a plan would be an order to root.
        sys::exit(exit_code::OURS);
    }
    let parent = rustix::process::getppid();
    open_standard();
    sys::name_self(c"stage1-init");
    let _ = sys::hide();
    let mask = rustix::process::umask(Mode::empty());

    let options = Options::read(start);
    if let Some((call, errno)) = sys::missing(blocked, options.finally.is_some()) {
        say::failed(call, errno);
        sys::exit(exit_code::OURS);
    }
    let origin = Origin {
        start,
        report: options.report,
        finally: options.finally,
        demand: options.demand,
        timer: options.timer,
        foreground: process::foreground_group(),
        parent,
        mask,
        end: options.end,
    };
    match options.work {
        Work::Command { words, group } => {
            close_inherited(options.end, start, None);
            run_command(origin, words, group)
        }
        Work::Plan(bytes, room) => {
            let plan = Plan::decode(bytes);
            close_inherited(options.end, start, plan.ok());
            match plan {
                Ok(plan) => run_plan(origin, plan, room),
                Err(fault) => {
                    refuse(bytes, fault);
                    end(origin, exit_code::OURS)
                }
            }
        }
    }
}

/// Runs a pod, in this process, or in its child if there is a pid namespace.
fn run_plan(origin: Origin, plan: Plan<'_>, room: Option<sys::Room>) -> ! {
    sys::reserve_gate();
    let mut pod = Pod::new(origin, Some(plan), room);
    let status = match pod.set_up() {
        // The outer process, after the pod has ended; or a failure, in either
        // process.
        Some(status) => status,
        None => run_apps(&mut pod),
    };
    pod.go_home();
    if !pod.inner && status < exit_code::OURS && undo::carry_out(plan).is_ok() {
        pod.origin.finally = None;
    }
    end(pod.origin, status)
}

/// Runs a command without a plan, and reaps the orphans that it leaves.
fn run_command(origin: Origin, words: WordList<'_>, group: bool) -> ! {
    let mut pod = Pod::new(origin, None, None);
    let _ = pod.apps.push(App::command(words, group));
    let status = run_apps(&mut pod);
    let success = options::is_success(origin.end, origin.start, status);
    end(origin, if success { 0 } else { status })
}

/// Prints why a plan is invalid.
fn refuse(plan: &[u8], fault: Fault) {
    let mut words = Words::new(plan);
    let _ = words.take(fault.word);
    let why = fault.kind.text();
    say::refused(b"word ", fault.word, words.next(), b") of the plan: ", why);
}

fn run_apps(pod: &mut Pod<'_>) -> u8 {
    // PID 1 gets the orphans anyway.
    let _ = sys::become_subreaper();
    pod.start_apps();
    // From here on nothing may fail: if this process dies, so does the pod.
    reap::until_over(pod)
}

/// Exits. PID 1 of a pod does just that: the rest is up to the outer process.
fn end(origin: Origin, status: u8) -> ! {
    if let Some(group) = origin.foreground {
        process::take_terminal(group);
    }
    if let Some(finally) = origin.finally {
        let word = Decimal::new(u32::from(status));
        let failed = program::execute_finally(finally, origin.start, word.as_c_str());
        say::failed(b"--finally-fd", failed.unwrap_or_else(|errno| errno));
    }
    sys::exit(status)
}

/// Opens standard streams that are missing. Programs expect them, and another
/// descriptor would get the number.
fn open_standard() {
    for fd in [sys::STDIN, sys::STDOUT, sys::STDERR] {
        if sys::descriptor_flags(fd).is_err() {
            let _ = sys::open_lowest(c"/dev/null");
        }
    }
}

/// Closes inherited descriptors that no option and no directive names, and
/// marks the others close-on-exec, so that no program inherits them by
/// accident.
#[allow(unsafe_code, reason = "descriptors are closed by their numbers")]
fn close_inherited(end: usize, start: Start, plan: Option<Plan<'_>>) {
    let first = sys::STDERR.as_raw_fd().unsigned_abs() + 1;
    let mut named = |keep: &mut sys::Keep<'_>| {
        options::each(end, start, &mut |option, number| {
            if option <= options::LOCK && option != options::PLAN {
                keep(number);
            }
        });
        for (_, directive) in plan.map(|plan| plan.directives()).unwrap_or_default() {
            directive.descriptors().iter().copied().for_each(&mut *keep);
        }
    };
    // SAFETY: the program has opened nothing yet but the first three. Of what it
    // inherited, it knows only what an option or a directive names. All that
    // stays, except the plan, which has been read and is not used again.
    unsafe { sys::close_all_but(first, &mut named) };
}
