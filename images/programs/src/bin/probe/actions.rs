//! What the words of the command line do.

use std::io::{self, Write};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;
use std::{fs, process, thread};

use crate::{errno, report, sys, tries, watch};

/// Carries out one action; its operands are taken from `words`.
pub(crate) fn run(word: &str, words: &mut impl Iterator<Item = String>) -> Result<(), String> {
    let mut operand = || words.next().ok_or_else(|| format!("`{word}` wants more"));
    match word {
        "--report" => report::print(""),
        "--report-only" => report::print(&operand()?),
        "--try" => tries::one(&operand()?)?,
        "--try-all" => tries::all(),
        "--read-file" => read(&operand()?),
        "--write-file" => write(&operand()?, &operand()?),
        "--open-to-write" => open_to_write(&operand()?),
        "--list" => list(&operand()?),
        "--stdin" => copy()?,
        "--stdout" => println!("{}", operand()?),
        "--stderr" => eprintln!("{}", operand()?),
        "--sleep" => thread::sleep(Duration::from_secs(number(&operand()?)?)),
        "--fork-bomb" => fork_bomb(),
        "--spawn-orphans" => spawn_orphans(number(&operand()?)?)?,
        "--watch" => watch::watch(&operand()?),
        "--wait-no-zombies" => wait_no_zombies(),
        "--trap-exit" => trap_exit(number(&operand()?)?, number(&operand()?)?)?,
        "--kill" => sys::kill_self(number(&operand()?)?),
        "--refuse" => refuse(&operand()?, number(&operand()?)?)?,
        "--execute" => return Err(execute(&mut Command::new(operand()?), words)),
        "--execute-as" => {
            let user = number(&operand()?)?;
            return Err(execute(Command::new(operand()?).uid(user).gid(user), words));
        }
        "--exit-code" => process::exit(number(&operand()?)?),
        _ => return Err(format!("no action `{word}`")),
    }
    Ok(())
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is no number that can stand here"))
}

fn read(path: &str) {
    match fs::read(path) {
        Ok(content) => {
            // A reader that has gone away is the reader's business.
            let _ = io::stdout().write_all(&content);
        }
        Err(error) => println!("read {path}: {}", errno::of(&error)),
    }
}

fn write(path: &str, text: &str) {
    match fs::write(path, text) {
        Ok(()) => println!("write {path}: ok"),
        Err(error) => println!("write {path}: {}", errno::of(&error)),
    }
}

/// Writes nothing: where this is possible, that is bad enough.
fn open_to_write(path: &str) {
    match fs::OpenOptions::new().write(true).open(path) {
        Ok(_) => println!("open {path}: ok"),
        Err(error) => println!("open {path}: {}", errno::of(&error)),
    }
}

fn list(dir: &str) {
    let entries = || {
        fs::read_dir(dir)?
            .map(|entry| Ok(entry?.file_name()))
            .collect()
    };
    let entries: io::Result<Vec<_>> = entries();
    match entries {
        Ok(mut names) => {
            names.sort();
            for name in names {
                println!("{}", name.display());
            }
        }
        Err(error) => println!("list {dir}: {}", errno::of(&error)),
    }
}

fn copy() -> Result<(), String> {
    io::copy(&mut io::stdin(), &mut io::stdout())
        .map(|_| ())
        .map_err(|error| format!("cannot copy standard input: {error}"))
}

/// No more than a host can bear that has no limit for its pods.
fn fork_bomb() {
    const MOST: u32 = 8192;
    let mut made = 0;
    let end = loop {
        match sys::spawn_idle() {
            Ok(()) if made < MOST => made += 1,
            Ok(()) => break "none".to_owned(),
            Err(error) => break errno::of(&error),
        }
    };
    println!("children {made}: {end}");
}

/// Each orphan outlives its parent for a moment, so that it is PID 1's to reap.
fn spawn_orphans(count: u32) -> Result<(), String> {
    for _ in 0..count {
        sys::spawn_orphan().map_err(|error| format!("cannot fork: {}", errno::of(&error)))?;
    }
    println!("orphans {count}");
    Ok(())
}

fn wait_no_zombies() {
    while report::zombies() > 0 {
        thread::sleep(Duration::from_millis(5));
    }
    println!("zombies 0");
}

/// The calls are numbers, with commas between.
fn refuse(calls: &str, errno: u32) -> Result<(), String> {
    let calls: Result<Vec<_>, _> = calls.split(',').map(number).collect();
    sys::refuse(&calls?, errno).map_err(|error| format!("cannot refuse: {error}"))
}

/// Becomes another program, with all the words that are left; comes back only
/// with what went wrong.
fn execute(command: &mut Command, words: &mut impl Iterator<Item = String>) -> String {
    let error = command.args(words).exec();
    format!(
        "cannot execute `{}`: {error}",
        command.get_program().display()
    )
}

fn trap_exit(signal: i32, code: i32) -> Result<(), String> {
    sys::block(signal);
    println!("waiting");
    io::stdout()
        .flush()
        .map_err(|error| format!("cannot write: {error}"))?;
    sys::wait_for(signal);
    process::exit(code)
}
