//! The command line.

use core::ffi::CStr;

use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use stage1_init::{MAX_PLAN, WordList};

use crate::say;
use crate::start::Start;
use crate::sys::{self, Array};

/// What is to be done.
pub(crate) enum Work {
    /// A plan, not decoded yet.
    Plan(&'static [u8]),
    /// No plan: this command, as a child of a good init.
    Command(WordList<'static>),
    Help,
    Version,
}

/// What is executed when all is over: an open program, and where its words are.
#[derive(Clone, Copy)]
pub(crate) struct Finally {
    pub(crate) program: BorrowedFd<'static>,
    pub(crate) first_word: usize,
}

/// The command line, read and checked.
pub(crate) struct Options {
    pub(crate) work: Work,
    pub(crate) report: Option<BorrowedFd<'static>>,
    pub(crate) finally: Option<Finally>,
}

/// What is wrong with a command line: the word, and why.
pub(crate) struct Unusable(pub(crate) &'static CStr, pub(crate) &'static [u8]);

impl Options {
    pub(crate) fn read(start: Start) -> Result<Self, Unusable> {
        let (mut report, mut plan, mut program) = (None, None, None);
        let mut index = 1;
        let work = loop {
            let Some(word) = start.argument(index) else {
                break None;
            };
            match word.to_bytes() {
                b"--help" => break Some(Work::Help),
                b"--version" => break Some(Work::Version),
                b"--report-fd" => report = Some(descriptor(start, index, word)?),
                b"--plan-fd" => plan = Some(descriptor(start, index, word)?),
                b"--finally-fd" => program = Some(descriptor(start, index, word)?),
                b"plan" if plan.is_none() && program.is_none() => {
                    let bytes = start
                        .arguments_from(index)
                        .ok_or(Unusable(word, b"arguments too long"))?;
                    break Some(Work::Plan(bytes));
                }
                b"--" => {
                    index += 1;
                    break None;
                }
                _ => {
                    return Err(Unusable(
                        word,
                        b"no such option; --help tells what there is",
                    ));
                }
            }
            index += 2;
        };
        let words = start.arguments_from(index).and_then(WordList::new);
        let (work, finally) = match (work, plan, program) {
            (Some(work), ..) => (work, None),
            (None, Some(plan), None) if start.argument(index).is_none() => {
                (Work::Plan(read(plan)?), None)
            }
            (None, Some(plan), Some(program)) if start.argument(index).is_some() => (
                Work::Plan(read(plan)?),
                Some(Finally {
                    program,
                    first_word: index,
                }),
            ),
            (None, None, None) => match words {
                Some(words) if !words.is_empty() => (Work::Command(words), None),
                _ => {
                    return Err(Unusable(
                        c"no plan and no command",
                        b"--help tells what there is",
                    ));
                }
            },
            _ => {
                return Err(Unusable(
                    c"--finally-fd",
                    b"it takes a plan, `--` and words",
                ));
            }
        };
        Ok(Self {
            work,
            report,
            finally,
        })
    }
}

fn descriptor(
    start: Start,
    index: usize,
    option: &'static CStr,
) -> Result<BorrowedFd<'static>, Unusable> {
    let word = start
        .argument(index + 1)
        .ok_or(Unusable(option, b"a descriptor must follow"))?;
    let number = say::read_decimal(word.to_bytes());
    let fd = number.ok_or(Errno::BADF).and_then(sys::inherited);
    fd.map_err(|_| Unusable(option, b"no such descriptor is open"))
}

/// Reads a plan to its end, one byte more than allowed so that one too long is
/// seen to be so.
fn read(plan: BorrowedFd<'_>) -> Result<&'static [u8], Unusable> {
    let unreadable = |_| Unusable(c"--plan-fd", b"the plan cannot be read");
    let mut bytes = Array::new(MAX_PLAN + 1).map_err(unreadable)?;
    bytes.read_all(plan).map_err(unreadable)?;
    Ok(bytes.leak())
}
