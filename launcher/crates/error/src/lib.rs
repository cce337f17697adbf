//! The error type: a sentence in the user's terms, its cause, and a hint if one
//! is known.
//!
//! Code that knows the noun adds it once, with [`Context`]; nothing adds "error
//! while". Only the launcher's `cmd::complain` prints errors: as [`Brief`], or
//! whole with `--verbose`.

pub mod quote;

use std::{fmt, io};

use crate::quote::shown;

/// The result of the launcher's fallible functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why Nose Cone failed.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    what: String,
    /// What was tried: one line each, below the sentence.
    tried: Vec<String>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    hint: Option<String>,
}

/// Kinds of errors that callers treat differently. People read the sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The command line is not valid.
    Usage,
    /// What the user gave is not valid: an image, a manifest, a name.
    Invalid,
    /// What was asked for does not exist.
    NotFound,
    /// The host refused or failed.
    Failed,
}

impl Error {
    /// Makes an error from a sentence: lower case, no full stop, names in backticks.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            what: what.into(),
            tried: Vec::new(),
            cause: None,
            hint: None,
        }))
    }

    /// Makes an error of kind [`Kind::Usage`].
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Kind::Usage, what)
    }

    /// Makes an error of kind [`Kind::Invalid`].
    pub fn invalid(what: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, what)
    }

    /// Adds the cause.
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Adds what was tried without success.
    pub fn tried(mut self, lines: Vec<String>) -> Self {
        self.0.tried = lines;
        self
    }

    /// Adds what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Puts a place before the sentence: the line, field or option that is wrong.
    /// It is part of the sentence, not a step of its own.
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.0.what = format!("{place}: {}", self.0.what);
        self
    }

    /// Returns the error as people read it first: its sentence, the last cause
    /// and the hint. [`Display`](fmt::Display) shows the steps between, too.
    pub fn brief(&self) -> Brief<'_> {
        Brief(self)
    }

    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }
}

/// The whole error: its sentence and all causes, joined by `: `, then a line
/// `hint: ...` if there is one. Of several hints, the innermost is shown. Text
/// from outside is escaped, so it cannot add lines.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, |_| true)
    }
}

/// An error without the steps between its sentence and its last cause.
#[derive(Debug)]
pub struct Brief<'a>(&'a Error);

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, |step| !step.tried.is_empty())
    }
}

impl Error {
    /// Writes the error, with those steps in the middle that `keep` chooses.
    fn write(&self, f: &mut fmt::Formatter<'_>, keep: impl Fn(&Inner) -> bool) -> fmt::Result {
        let mut steps = vec![&*self.0];
        let mut cause = self.0.cause.as_deref();
        while let Some(inner) = cause.and_then(|cause| cause.downcast_ref::<Self>()) {
            steps.push(&inner.0);
            cause = inner.0.cause.as_deref();
        }
        // The kernel does not name what failed; the sentence around its words does.
        let last = match cause.is_none_or(is_from_kernel) {
            true => steps.len() - 1,
            false => 0,
        };
        for (at, step) in steps.iter().enumerate() {
            if at == 0 || at == last || keep(step) {
                f.write_str(if at == 0 { "" } else { ": " })?;
                step.sentence(f)?;
            }
        }
        if let Some(cause) = cause {
            write!(f, ": {}", shown(without_number(&cause.to_string())))?;
        }
        let hint = steps.iter().rev().find_map(|step| step.hint.as_deref());
        match hint.or_else(|| cause.and_then(hint_of)) {
            Some(hint) => write!(f, "\nhint: {}", shown(hint)),
            None => Ok(()),
        }
    }
}

fn is_from_kernel(cause: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let cause = cause.downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.raw_os_error().is_some())
}

/// Returns what to do about the kernel's word, wherever it comes from.
fn hint_of(cause: &(dyn std::error::Error + Send + Sync + 'static)) -> Option<&'static str> {
    let cause = cause.downcast_ref::<io::Error>()?;
    let is_too_large = cause.kind() == io::ErrorKind::FileTooLarge;
    is_too_large.then_some("`ulimit -f` shows the maximum size of files")
}

impl Inner {
    fn sentence(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", shown(&self.what))?;
        let mut tried = self.tried.iter();
        tried.try_for_each(|line| write!(f, "\n  {}", shown(line)))
    }
}

impl std::error::Error for Error {}

/// Removes the ` (os error 2)` that std appends.
fn without_number(message: &str) -> &str {
    match message.rfind(" (os error ") {
        Some(start) => &message[..start],
        None => message,
    }
}

/// Adds a sentence to a failure that does not name what it is about.
pub trait Context<T> {
    /// Turns a failure into an [`Error`] with `what` in front and the
    /// failure as the cause.
    fn context<W: Into<String>>(self, what: impl FnOnce() -> W) -> Result<T>;
}

impl<T, E: Into<Cause>> Context<T> for std::result::Result<T, E> {
    fn context<W: Into<String>>(self, what: impl FnOnce() -> W) -> Result<T> {
        self.map_err(|error| {
            let cause: Cause = error.into();
            cause.into_error(what())
        })
    }
}

/// Anything that can be the cause of an error.
pub struct Cause(Box<dyn std::error::Error + Send + Sync>);

impl Cause {
    /// Makes it the cause of an error of its kind.
    fn into_error(self, what: impl Into<String>) -> Error {
        Error::new(self.kind(), what).because(self.0)
    }

    /// The kind of an [`Error`] is kept.
    fn kind(&self) -> Kind {
        if let Some(error) = self.0.downcast_ref::<Error>() {
            return error.kind();
        }
        // What a parser behind `Read` says about the data is not the host's
        // fault.
        match self.0.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::InvalidData) => Kind::Invalid,
            _ => Kind::Failed,
        }
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self(Box::new(error))
    }
}

impl From<rustix::io::Errno> for Cause {
    fn from(error: rustix::io::Errno) -> Self {
        Self(Box::new(io::Error::from(error)))
    }
}

impl From<Error> for Cause {
    fn from(error: Error) -> Self {
        Self(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn the_cause_comes_last_in_the_kernels_words() {
        let error: Result<()> = Err(Errno::NOENT).context(|| "cannot open `/x`");
        let error = error
            .context(|| "cannot read image `a.aci`")
            .expect_err("it failed");
        assert_eq!(
            error.to_string(),
            "cannot read image `a.aci`: cannot open `/x`: No such file or directory"
        );
    }

    fn nested(cause: impl Into<Cause>) -> Error {
        let error: Result<()> = Err(cause.into().into_error("cannot open `/x`"));
        let error = error.context(|| "cannot unpack `x`");
        let error = error.context(|| "cannot store image `a.aci`");
        error.expect_err("it failed")
    }

    #[test]
    fn a_brief_error_leaves_out_the_steps_between() {
        let error = nested(Errno::NOENT);
        assert_eq!(
            error.brief().to_string(),
            "cannot store image `a.aci`: cannot open `/x`: No such file or directory"
        );
        assert_eq!(
            error.to_string(),
            "cannot store image `a.aci`: cannot unpack `x`: cannot open `/x`: \
             No such file or directory"
        );
    }

    #[test]
    fn a_file_that_may_not_become_so_large_is_explained() {
        assert_eq!(
            nested(Errno::FBIG).brief().to_string(),
            "cannot store image `a.aci`: cannot open `/x`: File too large\n\
             hint: `ulimit -f` shows the maximum size of files"
        );
    }

    #[test]
    fn a_brief_error_ends_in_a_cause_that_is_a_sentence_itself() {
        let error = nested(io::Error::other("the server does not respond"));
        assert_eq!(
            error.brief().to_string(),
            "cannot store image `a.aci`: the server does not respond"
        );
        let error = nested(Error::invalid("too large").hint("raise it"));
        assert_eq!(
            error.brief().to_string(),
            "cannot store image `a.aci`: too large\nhint: raise it"
        );
    }

    #[test]
    fn a_brief_error_keeps_what_was_tried_and_where_it_is_wrong() {
        let tried = Error::new(Kind::NotFound, "not found").tried(vec!["here".to_owned()]);
        let error: Result<()> = Err(tried.because(Error::invalid("no name").at("line 3")));
        let error = error.context(|| "cannot run").expect_err("it failed");
        let said = "cannot run: not found\n  here: line 3: no name";
        assert_eq!(error.brief().to_string(), said);
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn no_text_from_outside_drives_a_terminal_or_makes_a_line() {
        let cause = Error::new(Kind::NotFound, "\x1b[2J\nb").tried(vec!["c\n\u{9b}".to_owned()]);
        let cause = cause.because(io::Error::other("\re")).hint("f\ng");
        let error: Result<()> = Err(cause).context(|| "a\nhint: all is well");
        assert_eq!(
            error.expect_err("it failed").to_string(),
            "a\\nhint: all is well: \\u{1b}[2J\\nb\n  c\\n\\u{9b}: \\re\nhint: f\\ng"
        );
    }

    #[test]
    fn a_hint_is_on_a_line_of_its_own_wherever_it_was_given() {
        let inner = Error::invalid("too large").hint("raise it");
        let error: Result<()> = Err(inner).context(|| "cannot unpack");
        let error = error.expect_err("it failed");
        assert_eq!(
            error.to_string(),
            "cannot unpack: too large\nhint: raise it"
        );
        assert_eq!(error.kind(), Kind::Invalid);
    }
}
