//! The command line.

use core::ffi::CStr;

use rustix::fd::BorrowedFd;
use stage1_init::{MAX_PLAN, WordList};

use crate::start::Start;
use crate::sys::{self, Array, Errno, Room};
use crate::{exit_code, help, say};

/// What to do.
pub(crate) enum Work {
    /// A plan, not decoded yet.
    Plan(&'static [u8], Option<Room>),
    /// No plan: run this command, as its init.
    Command(WordList<'static>),
}

/// The program to execute when the pod has ended: its descriptor, and the place
/// of its words on the command line.
#[derive(Clone, Copy)]
pub(crate) struct Finally {
    pub(crate) program: BorrowedFd<'static>,
    pub(crate) first_word: usize,
}

/// The command line, parsed.
pub(crate) struct Options {
    pub(crate) work: Work,
    pub(crate) report: Option<BorrowedFd<'static>>,
    pub(crate) finally: Option<Finally>,
    pub(crate) demand: Option<BorrowedFd<'static>>,
    /// Where the options end on the command line.
    pub(crate) end: usize,
}

impl Options {
    /// Parses the command line; an invalid one ends the process.
    pub(crate) fn read(start: Start) -> Self {
        let mut named = [None; 6];
        let mut index = 1;
        while let Some(option) = start.argument(index) {
            let known = OPTIONS.iter().position(|&known| known == option);
            let Some(place) = known.and_then(|at| named.get_mut(at)) else {
                break;
            };
            *place = Some(descriptor(start, index, option));
            index += 2;
        }
        let [report, plan, program, demand, ..] = named;
        let end = index.min(start.count());
        let work = match start.argument(end) {
            None => None,
            Some(word) if word == c"--" => {
                index += 1;
                None
            }
            Some(word) if word == c"--help" => help::help(),
            Some(word) if word == c"--version" => help::version(),
            Some(word) if word == c"plan" && plan.is_none() && program.is_none() => {
                Some(Work::Plan(words(start, index), None))
            }
            Some(word) => unusable(word, b"no such option; --help tells what there is"),
        };
        let finally = program.map(|program| Finally {
            program,
            first_word: index,
        });
        let rest = words(start, index);
        let work = match (work, plan, finally) {
            (Some(work), ..) => work,
            (None, Some(plan), _) if rest.is_empty() == finally.is_none() => read(plan),
            (None, None, None) => match WordList::new(rest) {
                Some(words) if !words.is_empty() => Work::Command(words),
                _ => unusable(c"no plan and no command", b"--help tells what there is"),
            },
            _ => unusable(c"--finally-fd", b"it takes a plan, `--` and words"),
        };
        Self {
            work,
            report,
            finally,
            demand,
            end,
        }
    }
}

/// The options that take a descriptor. Of each of the first four, the last one
/// given counts; the others can be repeated, and are looked up where they are
/// needed.
const OPTIONS: [&CStr; 6] = [
    c"--report-fd",
    PLAN,
    c"--finally-fd",
    c"--demand-fd",
    HOLD,
    LOCK,
];

pub(crate) const PLAN: &CStr = c"--plan-fd";
pub(crate) const HOLD: &CStr = c"--hold-fd";
pub(crate) const LOCK: &CStr = c"--lock-fd";

/// Calls `visit` with each option before `end`, and its descriptor.
#[inline(never)]
pub(crate) fn each(end: usize, start: Start, visit: &mut dyn FnMut(&CStr, u32)) {
    for at in (1..end).step_by(2) {
        let number = start.argument(at + 1).map(CStr::to_bytes);
        if let (Some(option), Some(number)) = (
            start.argument(at),
            number.and_then(stage1_init::read_number),
        ) {
            visit(option, number);
        }
    }
}

/// Reports a word of the command line that is invalid, and ends the process.
fn unusable(word: &CStr, why: &[u8]) -> ! {
    say::line(&[word.to_bytes(), b": ", why]);
    sys::exit(exit_code::OURS)
}

/// Returns the words from this one on.
fn words(start: Start, index: usize) -> &'static [u8] {
    match start.arguments_from(index) {
        Some(words) => words,
        None => unusable(c"arguments", b"they do not lie in a row"),
    }
}

fn descriptor(start: Start, index: usize, option: &CStr) -> BorrowedFd<'static> {
    let Some(word) = start.argument(index + 1) else {
        unusable(option, b"a descriptor must follow");
    };
    let number = stage1_init::read_number(word.to_bytes()).ok_or(Errno::BADF);
    match number.and_then(sys::inherited) {
        Ok(fd) => fd,
        Err(_) => unusable(option, b"no such descriptor is open"),
    }
}

/// Reads a plan to its end, one byte more than allowed, to notice if it is too
/// long.
fn read(plan: BorrowedFd<'_>) -> Work {
    let mut bytes = match Array::new(MAX_PLAN + 1) {
        Ok(bytes) => bytes,
        Err(errno) => unreadable(errno),
    };
    match bytes.read_all(plan) {
        Ok(()) => {
            let (bytes, room) = bytes.leak();
            Work::Plan(bytes, Some(room))
        }
        Err(errno) => unreadable(errno),
    }
}

fn unreadable(errno: Errno) -> ! {
    say::failed(b"--plan-fd", errno);
    sys::exit(exit_code::OURS)
}
