//! Version numbers of the specification, in the form of Semantic Versioning
//! 2.0.0.

use std::fmt;

use error::quote::quoted;
use error::{Error, Result};

/// A version. Versions compare by precedence, and then by their build metadata.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(semver::Version);

impl Version {
    /// Parses `MAJOR.MINOR.PATCH[-PRERELEASE][+BUILD]`. The numbers must be
    /// below 2^63, as in other implementations.
    pub fn parse(text: &str) -> Result<Self> {
        let small = |number| i64::try_from(number).is_ok();
        semver::Version::parse(text)
            .ok()
            .filter(|read| small(read.major) && small(read.minor) && small(read.patch))
            .map(Self)
            .ok_or_else(|| {
                Error::invalid(format!(
                    "{} is not a valid version: expected `MAJOR.MINOR.PATCH` (Semantic Versioning 2.0.0)",
                    quoted(text)
                ))
            })
    }

    /// Returns the number that changes when compatibility breaks.
    pub fn major(&self) -> u64 {
        self.0.major
    }

    /// Tells whether this is 0.0.0, with or without a pre-release or build.
    pub fn is_zero(&self) -> bool {
        self.numbers() == [0, 0, 0]
    }

    /// Tells whether this was released before `major.minor.patch`.
    pub(crate) fn is_before(&self, numbers: [u64; 3]) -> bool {
        self.numbers() < numbers || (self.numbers() == numbers && !self.0.pre.is_empty())
    }

    /// Tells whether this was released after `major.minor.patch`.
    pub(crate) fn is_after(&self, numbers: [u64; 3]) -> bool {
        self.numbers() > numbers
    }

    fn numbers(&self) -> [u64; 3] {
        [self.0.major, self.0.minor, self.0.patch]
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_semantic_version_is_refused() {
        for text in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "v1.2.3",
            " 1.2.3",
            "1.2.3 ",
            "-1.2.3",
            "1.2.-3",
            "+1.2.3",
            "01.2.3",
            "1.02.3",
            "1.2.3-",
            "1.2.3+",
            "1.2.3-a_b!",
            "1.2.3-rc+b+c",
            "1.2.3-01",
            "1.2.3-a..b",
            "1.2.3+a..b",
            "1.2.x",
            "1..3",
            "9223372036854775808.0.0",
            "1.2.3\n",
        ] {
            assert!(Version::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn semantic_versions_survive_the_round_trip() {
        for text in [
            "1.0.0",
            "3.2.1",
            "3.2.1-foo",
            "1.2.3-alpha+git",
            "0.8.11+git",
            "1.2.3-0.a-b.01a+001",
            "9223372036854775807.0.0",
        ] {
            assert_eq!(Version::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_prerelease_comes_before_its_release() {
        let at = [0, 8, 11];
        for (text, before, after) in [
            ("0.8.10", true, false),
            ("0.8.11-rc1", true, false),
            ("0.8.11", false, false),
            ("0.8.11+git", false, false),
            ("0.8.12-rc1", false, true),
            ("1.0.0", false, true),
        ] {
            let version = Version::parse(text).unwrap();
            assert_eq!(
                (version.is_before(at), version.is_after(at)),
                (before, after)
            );
        }
    }

    #[test]
    fn versions_are_compared_by_number() {
        let versions = ["0.9.0", "0.10.0-rc.9", "0.10.0-rc.10", "0.10.0", "0.10.0+1"];
        let versions = versions.map(|text| Version::parse(text).unwrap());
        assert!(versions.is_sorted_by(|one, other| one < other));
    }
}
