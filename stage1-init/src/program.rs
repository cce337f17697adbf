//! Executes a program: its words, its environment, and where it is found.

use core::ffi::CStr;

use rustix::io::{Errno, Result};
use stage1_init::{Directive, WordList};

use crate::apps::{App, Steps};
use crate::beneath::Path;
use crate::start::Start;
use crate::sys::{self, Strings};

/// Where a program is searched for if the environment does not say.
const DEFAULT_PATH: &[u8] = b":/bin:/usr/bin";

/// Executes an app's program; returns only if that fails.
#[inline(never)]
pub(crate) fn execute(words: WordList<'_>, app: &App<'_>, start: Start) -> Errno {
    let environment = match app.steps {
        Some(Steps::Command(_)) => inherited(start),
        _ => planned(app),
    };
    let argv = strings(words.len(), || words.iter());
    let (argv, environment, file) = match (argv, environment, words.iter().next()) {
        (Ok(argv), Ok(environment), Some(file)) => (argv, environment, file),
        (Err(errno), ..) | (_, Err(errno), _) => return errno,
        (.., None) => return Errno::NOENT,
    };
    if file.to_bytes().contains(&b'/') {
        return sys::execve(file, &argv, &environment);
    }
    let path = match app.steps {
        Some(Steps::Command(_)) => variables(start).find_map(path_of),
        _ => pairs(app).find_map(path_of),
    };
    search(file, path.unwrap_or(DEFAULT_PATH), &argv, &environment)
}

/// As execvp(3), but a file of unknown format is not handed to a shell.
#[inline(never)]
fn search(file: &CStr, path: &[u8], argv: &Strings<'_>, environment: &Strings<'_>) -> Errno {
    if file.is_empty() {
        return Errno::NOENT;
    }
    let mut denied = None;
    for directory in path.split(|&byte| byte == b':') {
        let mut candidate = Path::new();
        let separator: &[u8] = if directory.is_empty() { b"" } else { b"/" };
        let joined = [directory, separator, file.to_bytes()]
            .iter()
            .try_for_each(|part| candidate.push(part));
        if joined.is_err() {
            continue;
        }
        match sys::execve(candidate.as_c_str(), argv, environment) {
            Errno::ACCESS => denied = Some(Errno::ACCESS),
            Errno::NOENT | Errno::NOTDIR | Errno::STALE | Errno::NODEV | Errno::TIMEDOUT => {}
            errno => return errno,
        }
    }
    denied.unwrap_or(Errno::NOENT)
}

/// Executes a program that is open, with the environment as it was inherited
/// and one word more: what `finally` does. Returns only if that fails.
pub(crate) fn execute_finally(
    finally: crate::options::Finally,
    start: Start,
    status: &CStr,
) -> Errno {
    let words = || (finally.first_word..).map_while(|at| start.argument(at));
    let (Ok(argv), Ok(environment)) = (
        strings(words().count() + 1, || words().chain([status])),
        inherited(start),
    ) else {
        return Errno::NOMEM;
    };
    sys::fexecve(finally.program, &argv, &environment)
}

fn inherited(start: Start) -> Result<Strings<'static>> {
    strings(variables(start).count(), || variables(start))
}

fn planned<'a>(app: &App<'a>) -> Result<Strings<'a>> {
    strings(pairs(app).count(), || pairs(app))
}

fn variables(start: Start) -> impl Iterator<Item = &'static CStr> {
    (0..).map_while(move |at| start.variable(at))
}

fn pairs<'a>(app: &App<'a>) -> impl Iterator<Item = &'a CStr> + use<'a> {
    app.directives()
        .filter_map(|(_, directive)| match directive {
            Directive::Env { pair } => Some(pair),
            _ => None,
        })
}

fn path_of(pair: &CStr) -> Option<&[u8]> {
    pair.to_bytes().strip_prefix(b"PATH=")
}

#[inline(never)]
fn strings<'a, I: Iterator<Item = &'a CStr>>(
    count: usize,
    all: impl Fn() -> I,
) -> Result<Strings<'a>> {
    let mut strings = Strings::new(count)?;
    for string in all() {
        strings.push(string)?;
    }
    Ok(strings)
}
