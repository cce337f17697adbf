//! The error type: a sentence in the user's terms, its cause, and a hint if one
//! is known.
//!
//! Code that knows the noun adds it once, with [`Context`]; nothing adds "error
//! while". Only the launcher's `main` prints errors.

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

    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }
}

/// `what: cause`, then a line `hint: ...` if there is one. Of several hints,
/// the innermost is shown. Text from outside is escaped, so it cannot add
/// lines.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hint = self.0.hint.as_deref();
        let mut cause = self.0.cause.as_deref();
        self.0.sentence(f)?;
        while let Some(error) = cause {
            if let Some(inner) = error.downcast_ref::<Self>() {
                f.write_str(": ")?;
                inner.0.sentence(f)?;
                hint = inner.0.hint.as_deref().or(hint);
                cause = inner.0.cause.as_deref();
            } else {
                write!(f, ": {}", shown(without_number(&error.to_string())))?;
                break;
            }
        }
        match hint {
            Some(hint) => write!(f, "\nhint: {}", shown(hint)),
            None => Ok(()),
        }
    }
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
            let cause = error.into();
            Error::new(cause.kind(), what()).because(cause.0)
        })
    }
}

/// Anything that can be the cause of an error.
pub struct Cause(Box<dyn std::error::Error + Send + Sync>);

impl Cause {
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
    fn a_hint_stands_on_its_own_line_wherever_it_was_given() {
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
