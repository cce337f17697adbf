//! What became of each isolator, each option that limits an app, and whatever
//! else an app asks for: nothing is dropped silently.

use std::fmt;

use crate::resolve::settings::Setting;
use appc::manifest::isolator::Isolator;
use error::{Error, Result};

/// What became of an isolator or option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name: "isolator `resource/cpu`".
    bound: String,
    subject: String,
    pub(crate) outcome: Outcome,
}

/// Whether an isolator or option is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As requested.
    Enforced,
    /// Differently, for this reason.
    Modified(String),
    /// Not at all, for this reason.
    Ignored(String),
}

impl Entry {
    pub(crate) fn of_isolator(isolator: &Isolator, subject: &str, outcome: Outcome) -> Self {
        Self {
            bound: format!("isolator `{}`", isolator.name),
            subject: subject.to_owned(),
            outcome,
        }
    }

    pub(crate) fn of_option(setting: &Setting, subject: &str, outcome: Outcome) -> Self {
        Self {
            bound: format!("option `{}`", setting.option()),
            subject: subject.to_owned(),
            outcome,
        }
    }

    /// What else an app asks for and does not get.
    pub(crate) fn unsupported(what: String, subject: &str, reason: &str) -> Self {
        Self {
            bound: what,
            subject: subject.to_owned(),
            outcome: Outcome::Ignored(reason.to_owned()),
        }
    }

    /// Returns whether it is about one of these isolators or options.
    pub(crate) fn is_of(&self, names: &[&str]) -> bool {
        let quoted = |name: &&str| self.bound.ends_with(&format!(" `{name}`"));
        names.iter().any(quoted)
    }

    /// Returns whether it is in force as requested.
    pub fn is_enforced(&self) -> bool {
        self.outcome == Outcome::Enforced
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} is ", self.bound, self.subject)?;
        match &self.outcome {
            Outcome::Enforced => f.write_str("enforced"),
            Outcome::Modified(reason) => write!(f, "modified: {reason}"),
            Outcome::Ignored(reason) => write!(f, "ignored: {reason}"),
        }
    }
}

/// Refuses a pod if an isolator is not in force as requested.
///
/// # Errors
///
/// Fails with the first such entry.
pub fn require_all<'a>(report: impl IntoIterator<Item = &'a Entry>) -> Result<()> {
    match report.into_iter().find(|entry| !entry.is_enforced()) {
        None => Ok(()),
        Some(entry) => {
            Err(Error::invalid(entry.to_string()).hint("without `--strict` the pod runs anyway"))
        }
    }
}
