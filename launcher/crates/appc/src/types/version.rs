//! Version numbers of the specification, as Semantic Versioning 2.0.0 has them.

use std::fmt;

use error::quote::quoted;
use error::{Error, Result};

/// A version: three numbers, and what may stand behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    numbers: [u64; 3],
    prerelease: bool,
    text: String,
}

impl Version {
    /// Takes `MAJOR.MINOR.PATCH[-PRERELEASE][+BUILD]`.
    pub fn parse(text: &str) -> Result<Self> {
        let fault = || {
            Error::invalid(format!(
                "{} is not a version: `MAJOR.MINOR.PATCH` is wanted, as in Semantic Versioning 2.0.0",
                quoted(text)
            ))
        };
        let (rest, build) = split(text, '+');
        let (core, prerelease) = split(rest, '-');
        let mut numbers = core.split('.').map(number);
        let mut next = || numbers.next().flatten().ok_or_else(fault);
        let numbers_read = [next()?, next()?, next()?];
        let more = numbers.next().is_some();
        if more || !build.is_none_or(is_build) || !prerelease.is_none_or(is_prerelease) {
            return Err(fault());
        }
        Ok(Self {
            numbers: numbers_read,
            prerelease: prerelease.is_some(),
            text: text.to_owned(),
        })
    }

    /// Returns the number that changes when compatibility breaks.
    pub fn major(&self) -> u64 {
        self.numbers[0]
    }

    /// Tells whether this is 0.0.0, with whatever behind it.
    pub fn is_zero(&self) -> bool {
        self.numbers == [0, 0, 0]
    }

    /// Returns what later versions have more of, as far as that can be told
    /// without comparing pre-releases by their parts.
    pub fn rank(&self) -> ([u64; 3], bool, &str) {
        (self.numbers, !self.prerelease, &self.text)
    }

    /// Tells whether this was released before `major.minor.patch`.
    pub(crate) fn is_before(&self, numbers: [u64; 3]) -> bool {
        self.numbers < numbers || (self.numbers == numbers && self.prerelease)
    }

    /// Tells whether this was released after `major.minor.patch`.
    pub(crate) fn is_after(&self, numbers: [u64; 3]) -> bool {
        self.numbers > numbers
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn split(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.split_once(separator) {
        Some((head, tail)) => (head, Some(tail)),
        None => (text, None),
    }
}

/// Reads digits without leading zeros.
fn number(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    if !canonical || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse()
        .ok()
        .filter(|&number| number <= i64::MAX as u64)
}

fn is_build(text: &str) -> bool {
    text.split('.').all(is_identifier)
}

/// As build metadata, but a numeric identifier has no leading zeros.
fn is_prerelease(text: &str) -> bool {
    text.split('.').all(|part| {
        let numeric = part.bytes().all(|byte| byte.is_ascii_digit());
        is_identifier(part) && !(numeric && part.len() > 1 && part.starts_with('0'))
    })
}

fn is_identifier(part: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !part.is_empty() && part.bytes().all(allowed)
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
}
