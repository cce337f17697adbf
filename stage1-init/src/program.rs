//! Executes a program: its arguments, its environment, and where it is found.

use core::ffi::CStr;

use stage1_init::{Directive, WordList};

use crate::app::App;
use crate::beneath::Path;
use crate::options::{self, Finally};
use crate::start::Start;
use crate::sys::{self, Errno, Result, Strings, Vector};

/// Where to search for a program if the environment has no PATH.
const DEFAULT_PATH: &[u8] = b":/bin:/usr/bin";

/// A program of an app, with everything that execve(2) needs. It is prepared
/// before the process gives up its rights, as a filter may allow no other call.
pub(crate) struct Program<'a> {
    file: &'a CStr,
    argv: Strings<'a>,
    planned: Strings<'a>,
    /// The inherited environment, which replaces the planned one.
    inherited: Option<Vector<'a>>,
}

impl<'a> Program<'a> {
    #[inline(never)]
    pub(crate) fn new(words: WordList<'a>, app: &App<'a>, start: Start) -> Result<Self> {
        let mut argv = Strings::new(words.len())?;
        for word in words.iter() {
            argv.push(word)?;
        }
        Ok(Self {
            file: words.iter().next().unwrap_or(c""),
            argv,
            planned: planned(app)?,
            inherited: app.is_command().then(|| start.environment()),
        })
    }

    /// Executes the program; returns only if that fails.
    #[inline(never)]
    pub(crate) fn execute(&self) -> Errno {
        let argv = self.argv.as_vector();
        let environment = match self.inherited {
            Some(inherited) => inherited,
            None => self.planned.as_vector(),
        };
        let mut components = self.file.to_bytes().split(|&byte| byte == b'/');
        if components.nth(1).is_some() {
            return sys::execve(self.file, argv, environment);
        }
        let path = environment.iter().find_map(path_of);
        search(self.file, path.unwrap_or(DEFAULT_PATH), argv, environment)
    }
}

/// As execvp(3), but a file of unknown format is not passed to a shell.
fn search(file: &CStr, path: &[u8], argv: Vector<'_>, environment: Vector<'_>) -> Errno {
    if file.is_empty() {
        return Errno::NOENT;
    }
    let mut reason = Errno::NOENT;
    for directory in path.split(|&byte| byte == b':') {
        let mut candidate = Path::new();
        let separator: &[u8] = if directory.is_empty() { b"" } else { b"/" };
        let parts = [directory, separator, file.to_bytes()];
        if candidate.append(&parts).is_err() {
            continue;
        }
        match sys::execve(candidate.as_c_str(), argv, environment) {
            Errno::ACCESS => reason = Errno::ACCESS,
            Errno::NOENT | Errno::NOTDIR | Errno::STALE | Errno::NODEV | Errno::TIMEDOUT => {}
            errno => return errno,
        }
    }
    reason
}

/// Executes the program of `--finally-fd`, with the inherited environment and
/// one more word. Returns only if that fails.
pub(crate) fn execute_finally(finally: Finally, start: Start, status: &CStr) -> Result<Errno> {
    let words = (finally.first_word..).map_while(|at| start.argument(at));
    let mut argv = Strings::new(start.count() + 1)?;
    for word in words {
        argv.push(word)?;
    }
    argv.push(status)?;
    keep_held(finally, start);
    Ok(sys::fexecve(
        finally.program,
        argv.as_vector(),
        start.environment(),
    ))
}

/// Keeps the descriptors of `--hold-fd` open, so that a lock is held until the
/// last program has finished.
fn keep_held(finally: Finally, start: Start) {
    options::each(finally.first_word, start, &mut |option, number| {
        if option == options::HOLD
            && let Ok(held) = sys::inherited(number)
        {
            sys::keep_on_exec(held);
        }
    });
}

fn planned<'a>(app: &App<'a>) -> Result<Strings<'a>> {
    let mut environment = Strings::new(app.directives().count())?;
    for (_, directive) in app.directives() {
        if let Directive::Env { pair } = directive {
            environment.push(pair)?;
        }
    }
    Ok(environment)
}

fn path_of(pair: &CStr) -> Option<&[u8]> {
    pair.to_bytes().strip_prefix(b"PATH=")
}
