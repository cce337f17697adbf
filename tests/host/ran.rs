//! What became of a child, and what is expected of it.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use crate::{claims, golden};

/// What became of a child.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The command line.
    pub(super) shown: String,
    pub(super) status: ExitStatus,
    /// All that it wrote to standard output.
    pub(crate) stdout: String,
    /// All that it wrote to standard error.
    pub(crate) stderr: String,
    /// Values, and the words that stand for them in messages.
    pub(super) names: Vec<(String, String)>,
}

impl Ran {
    /// Fails unless it exited with this status.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert!(
            self.status.code() == Some(code),
            "{}\nexpected exit status {code}, got {:?} (signal {:?})\n--- stdout ---\n{}\n--- stderr ---\n{}\n---",
            self.shown,
            self.status.code(),
            self.status.signal(),
            self.stdout,
            self.stderr
        );
        self
    }

    /// Fails unless this signal ended it.
    #[track_caller]
    pub(crate) fn dies_of(self, signal: rustix::process::Signal) -> Self {
        assert!(
            self.status.signal() == Some(signal.as_raw()),
            "{}\nexpected to die of {signal:?}, but {:?}\n--- stderr ---\n{}\n---",
            self.shown,
            self.status,
            self.stderr
        );
        self
    }

    /// The status with which it exited, if no signal ended it.
    pub(crate) fn exited(&self) -> Option<i32> {
        self.status.code()
    }

    /// Tells whether it exited with 0.
    pub(crate) fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// Fails unless this is all that it wrote to standard output.
    #[track_caller]
    pub(crate) fn says(self, expected: &str) -> Self {
        claims::same(
            &format!("{}\nstandard output", self.shown),
            &self.stdout,
            expected,
        );
        self
    }

    /// Fails unless what stands under this title is all that it wrote to
    /// standard output.
    #[track_caller]
    pub(crate) fn says_as(self, title: &str) -> Self {
        let what = format!("{}\nstandard output", self.shown);
        golden::as_written(&what, title, &self.output());
        self
    }

    /// Fails unless this is all that it wrote to standard error.
    #[track_caller]
    pub(crate) fn complains(self, expected: &str) -> Self {
        claims::same(
            &format!("{}\nstandard error", self.shown),
            &self.stderr,
            expected,
        );
        self
    }

    /// Fails unless what stands under this title is all that it wrote to
    /// standard error.
    #[track_caller]
    pub(crate) fn complains_as(self, title: &str) -> Self {
        let what = format!("{}\nstandard error", self.shown);
        golden::as_written(&what, title, &self.told());
        self
    }

    /// Fails unless it is one of the texts under this title that it wrote to
    /// standard error; which one, is a matter of time.
    #[track_caller]
    pub(crate) fn complains_as_one_of(self, title: &str) {
        let what = format!("{}\nstandard error", self.shown);
        golden::one_of_written(&what, title, &self.told());
    }

    /// Fails unless what it wrote to standard error has the lines under this
    /// title, in this order.
    #[track_caller]
    pub(crate) fn complains_with(self, title: &str) -> Self {
        let what = format!("{}\nstandard error", self.shown);
        golden::has_lines_as_written(&what, title, &self.told());
        self
    }

    /// Leaves out what it wrote to standard error before its first complaint:
    /// how it got on, with sizes and times.
    pub(crate) fn at_last(mut self) -> Self {
        let begin = self.stderr.find("launcher: ").unwrap_or_default();
        self.stderr.replace_range(..begin, "");
        self
    }

    /// Has a word stand, in what is compared with a title, for a value that is
    /// another one each time.
    pub(crate) fn naming(mut self, word: &str, value: impl AsRef<OsStr>) -> Self {
        let value = value.as_ref().to_str().unwrap().to_owned();
        assert!(!value.is_empty(), "{word} stands for nothing");
        self.names.push((value, word.to_owned()));
        self
    }

    /// What it wrote to standard error, with words for values.
    pub(crate) fn told(&self) -> String {
        self.named(&self.stderr)
    }

    /// The same of standard output.
    pub(crate) fn output(&self) -> String {
        self.named(&self.stdout)
    }

    fn named(&self, text: &str) -> String {
        let names = self.names.iter();
        names.fold(text.to_owned(), |text, (value, word)| {
            text.replace(value, word)
        })
    }
}
