//! Rights beyond the default that an operator grants to an image.
//!
//! Most isolators restrict an app, but some can also give it more than it has
//! by default: another capability, a system call, a label. If an image asks for
//! such a right, it gets it only if somebody else grants it: the operator, by
//! an option, or by trusting the key that signed the image. What the operator
//! asks for, by an option or in a pod manifest, needs no grant.
//!
//! CPU weights and memory reservations are not rights in this sense: the
//! specification has images say what they need, and they only divide up what
//! the pod has.

use appc::manifest::isolator::Isolator;
use error::quote::quoted;
use error::{Error, Result};

/// The isolators that can give an app more than the default.
const RAISING: &[&str] = &[
    "os/linux/apparmor-profile",
    "os/linux/capabilities-retain-set",
    "os/linux/oom-score-adj",
    "os/linux/seccomp-retain-set",
    "os/linux/selinux-context",
];

/// How to allow what was withheld.
pub(crate) const HOW: &str = "allow it with `--allow-isolators`";

/// Which isolators of an image may exceed the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Grant {
    /// None.
    #[default]
    Nothing,
    /// Those of these names.
    Only(Vec<&'static str>),
    /// All.
    Everything,
}

impl Grant {
    /// Parses names of isolators, separated by commas.
    ///
    /// # Errors
    ///
    /// Fails if an isolator of that name can never exceed the default.
    pub fn parse(text: &str) -> Result<Self> {
        let names = text.split(',').map(|name| {
            let known = RAISING.iter().find(|known| **known == name);
            known.copied().ok_or_else(|| {
                Error::usage(format!(
                    "isolator {} cannot be allowed: it grants no rights",
                    quoted(name)
                ))
                .hint(format!(
                    "isolators that can be allowed: `{}`",
                    RAISING.join("`, `")
                ))
            })
        });
        names.collect::<Result<_>>().map(Self::Only)
    }

    /// Lifts the restriction from the image's isolators that are granted.
    pub(crate) fn lift(&self, isolators: &mut [Isolator]) {
        for isolator in isolators {
            isolator.bounded &= match self {
                Self::Nothing => true,
                Self::Only(names) => !names.contains(&isolator.name.as_str()),
                Self::Everything => false,
            };
        }
    }
}

/// Returns a sentence about what an image asked for and did not get.
pub(crate) fn beyond(what: &[&str]) -> Option<String> {
    match what {
        [] => None,
        [one] => Some(format!("`{one}` exceeds the default; {HOW}")),
        many => Some(format!("`{}` exceed the default; {HOW}", many.join("`, `"))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn bounded(grant: &Grant) -> [bool; 2] {
        let isolator = |name: &str, value: &str| {
            let value = appc::json::parse(value.as_bytes()).unwrap();
            let mut isolator = Isolator::new(name, value).unwrap();
            isolator.bounded = true;
            isolator
        };
        let mut list = [
            isolator("os/linux/oom-score-adj", "-1"),
            isolator("os/linux/seccomp-retain-set", r#"{"set": ["read"]}"#),
        ];
        grant.lift(&mut list);
        list.map(|isolator| isolator.bounded)
    }

    #[test]
    fn only_granted_isolators_are_unrestricted() {
        assert_eq!(bounded(&Grant::default()), [true, true]);
        let one = Grant::parse("os/linux/oom-score-adj").unwrap();
        assert_eq!(bounded(&one), [false, true]);
        let two = Grant::parse("os/linux/oom-score-adj,os/linux/seccomp-retain-set").unwrap();
        assert_eq!(bounded(&two), [false, false]);
        assert_eq!(bounded(&Grant::Everything), [false, false]);
    }

    #[test]
    fn isolators_that_give_no_rights_cannot_be_granted() {
        for text in [
            "",
            "oom-score-adj",
            "os/linux/oom-score-adj,",
            "resource/memory",
        ] {
            assert!(Grant::parse(text).is_err(), "{text}");
        }
    }
}
