//! What became of each bound that was asked for: nothing is dropped silently.

use std::fmt;

use crate::resolve::settings::Setting;
use appc::manifest::isolator::Isolator;
use error::{Error, Result};

/// What became of a bound that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What asks for it: "isolator `resource/cpu`".
    bound: String,
    subject: String,
    pub(crate) fate: Fate,
}

/// Whether a bound is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// To the letter.
    Enforced,
    /// In another way, for this reason.
    Modified(String),
    /// Not at all, for this reason.
    Ignored(String),
}

impl Entry {
    pub(crate) fn of_isolator(isolator: &Isolator, subject: &str, fate: Fate) -> Self {
        Self {
            bound: format!("isolator `{}`", isolator.name),
            subject: subject.to_owned(),
            fate,
        }
    }

    pub(crate) fn of_option(setting: &Setting, subject: &str, fate: Fate) -> Self {
        Self {
            bound: format!("option `{}`", setting.option()),
            subject: subject.to_owned(),
            fate,
        }
    }

    /// Tells whether it is of one of these isolators or options.
    pub(crate) fn is_of(&self, names: &[&str]) -> bool {
        let quoted = |name: &&str| self.bound.ends_with(&format!(" `{name}`"));
        names.iter().any(quoted)
    }

    /// Tells whether the bound is in force as it was written.
    pub fn is_enforced(&self) -> bool {
        self.fate == Fate::Enforced
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} is ", self.bound, self.subject)?;
        match &self.fate {
            Fate::Enforced => f.write_str("enforced"),
            Fate::Modified(reason) => write!(f, "modified: {reason}"),
            Fate::Ignored(reason) => write!(f, "ignored: {reason}"),
        }
    }
}

/// Refuses a pod of which an isolator is not in force as it was written.
///
/// # Errors
///
/// The first entry that says so.
pub fn require_all<'a>(report: impl IntoIterator<Item = &'a Entry>) -> Result<()> {
    match report.into_iter().find(|entry| !entry.is_enforced()) {
        None => Ok(()),
        Some(entry) => {
            Err(Error::invalid(entry.to_string())
                .hint("without `--strict` the pod runs all the same"))
        }
    }
}
