//! When a pod that has ended is started once more.

use serde::{Deserialize, Serialize};

/// What its end has to be like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// It is not started again.
    #[default]
    No,
    /// Its status is not 0; at most this often, if there is a limit.
    OnFailure(Option<u32>),
    /// Whatever it is like.
    Always,
}

impl Restart {
    /// Returns whether it is the one if nobody says otherwise.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether a pod is started again that has ended with a status, and
    /// was started again so often.
    pub const fn wants(self, status: u8, count: u32) -> bool {
        match self {
            Self::No => false,
            Self::OnFailure(None) => status != 0,
            Self::OnFailure(Some(most)) => status != 0 && count < most,
            Self::Always => true,
        }
    }
}

/// In the words of `--restart`.
impl std::fmt::Display for Restart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::No => write!(f, "no"),
            Self::OnFailure(None) => write!(f, "on-failure"),
            Self::OnFailure(Some(most)) => write!(f, "on-failure:{most}"),
            Self::Always => write!(f, "always"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_is_no_failure_and_a_limit_is_one() {
        for (restart, status, count, wants) in [
            (Restart::No, 1, 0, false),
            (Restart::OnFailure(None), 0, 0, false),
            (Restart::OnFailure(None), 137, 9999, true),
            (Restart::OnFailure(Some(2)), 1, 2, false),
            (Restart::OnFailure(Some(2)), 0, 0, false),
            (Restart::OnFailure(Some(2)), 1, 1, true),
            (Restart::Always, 0, 9999, true),
        ] {
            assert_eq!(restart.wants(status, count), wants, "{restart} {status}");
        }
    }
}
