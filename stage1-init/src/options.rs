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
    /// No plan: run this command, as its init. Signals go to the process that
    /// runs it, or to its whole group.
    Command {
        words: WordList<'static>,
        group: bool,
    },
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
    pub(crate) timer: Option<BorrowedFd<'static>>,
    /// Where the options end on the command line.
    pub(crate) end: usize,
}

impl Options {
    /// Parses the command line; an invalid one ends the process.
    pub(crate) fn read(start: Start) -> Self {
        let mut named = [None; 7];
        let (mut group, mut of_command) = (false, None);
        let mut index = 1;
        let known = loop {
            let known = known(start, index);
            match known {
                Some(GROUP) => group = true,
                Some(SUCCESS) => check_code(start, index),
                Some(option) => match named.get_mut(option) {
                    Some(place) => {
                        let fd = descriptor(start, index);
                        if option == DEMAND {
                            let _ = sys::signal_when_readable(fd);
                        }
                        *place = Some(fd);
                    }
                    None => break known,
                },
                None => break known,
            }
            let option = known.unwrap_or_default();
            if option >= SUCCESS {
                of_command = Some(index);
            }
            index += length(option);
        };
        let [report, plan, program, demand, timer, ..] = named;
        let planned = plan.is_some() || program.is_some();
        let end = index.min(start.count());
        let command = |word: &CStr| !planned && !word.to_bytes().starts_with(b"-");
        let work = match known {
            Some(END) => {
                index += 1;
                None
            }
            Some(HELP) => help::help(),
            Some(VERSION) => help::version(),
            Some(WORDS) if !planned => Some(Work::Plan(words(start, index), None)),
            _ if start.argument(end).is_none_or(command) => None,
            _ => unusable(start, end, b"no such option; see --help"),
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
                Some(words) if !words.is_empty() => Work::Command { words, group },
                _ => senseless(b"no plan and no command; see --help"),
            },
            _ => senseless(b"--finally-fd: it takes a plan, `--` and words"),
        };
        if let (Some(at), Work::Plan(..)) = (of_command, &work) {
            unusable(start, at, b"it takes a command, and this is a plan");
        }
        Self {
            work,
            report,
            finally,
            demand,
            timer,
            end,
        }
    }
}

/// What the command line may have before a command, in the order of the
/// constants below. The first seven take a descriptor. Of each of the first five,
/// the last one given counts; the others, and `-e`, can be repeated, and are
/// looked up where they are needed. The kernel signals for each descriptor of
/// demand.
const KNOWN: &[u8] =
    b"--report-fd,--plan-fd,--finally-fd,--demand-fd,--timer-fd,--hold-fd,--lock-fd,\
    -e,-g,--,--help,--version,plan";

pub(crate) const PLAN: usize = 1;
const DEMAND: usize = 3;
pub(crate) const HOLD: usize = 5;
pub(crate) const LOCK: usize = 6;
/// An exit code of a command that means success.
const SUCCESS: usize = 7;
/// Signals go to the whole process group of a command.
const GROUP: usize = 8;
const END: usize = 9;
const HELP: usize = 10;
const VERSION: usize = 11;
const WORDS: usize = 12;

/// Returns the place of an argument among the words that are known.
fn known(start: Start, index: usize) -> Option<usize> {
    let word = start.argument(index)?.to_bytes();
    KNOWN
        .split(|&byte| byte == b',')
        .position(|known| known == word)
}

/// Returns how many words an option takes, including itself.
fn length(option: usize) -> usize {
    if option == GROUP { 1 } else { 2 }
}

/// Calls `visit` with each option before `end` that takes a number: up to
/// [`LOCK`], that is a descriptor.
#[inline(never)]
pub(crate) fn each(end: usize, start: Start, visit: &mut dyn FnMut(usize, u32)) {
    let mut at = 1;
    while at < end {
        let Some(option) = known(start, at) else {
            return;
        };
        if let Some(number) = number(start, at) {
            visit(option, number);
        }
        at += length(option);
    }
}

/// Tells whether an exit code means success, as an option before `end` says.
pub(crate) fn is_success(end: usize, start: Start, code: u8) -> bool {
    let mut found = false;
    each(end, start, &mut |option, number| {
        found |= option == SUCCESS && number == u32::from(code);
    });
    found
}

/// Reports an argument that is invalid, and ends the process.
#[inline(never)]
fn unusable(start: Start, index: usize, why: &[u8]) -> ! {
    say::refused(b"argument ", index, start.argument(index), b"): ", why);
    sys::exit(exit_code::OURS)
}

/// Reports a command line that is invalid as a whole, and ends the process.
fn senseless(why: &[u8]) -> ! {
    say::line(&[why]);
    sys::exit(exit_code::OURS)
}

/// Returns the words from this one on.
fn words(start: Start, index: usize) -> &'static [u8] {
    match start.arguments_from(index) {
        Some(words) => words,
        None => senseless(b"arguments: they do not lie in a row"),
    }
}

/// Returns the number that follows an option.
fn number(start: Start, index: usize) -> Option<u32> {
    stage1_init::read_number(start.argument(index + 1)?.to_bytes())
}

fn descriptor(start: Start, index: usize) -> BorrowedFd<'static> {
    match number(start, index).map(sys::inherited) {
        Some(Ok(fd)) => fd,
        _ => unusable(
            start,
            index,
            b"the number of an open descriptor must follow",
        ),
    }
}

fn check_code(start: Start, index: usize) {
    if number(start, index).is_none_or(|code| code > 255) {
        unusable(start, index, b"an exit code must follow, 0 to 255");
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
