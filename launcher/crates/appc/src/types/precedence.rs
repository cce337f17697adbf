//! Which of two versions of an image is the higher one.
//!
//! The label `version` is free text (App Container Image, "labels"), so every
//! two texts compare, and what is a semantic version compares as one: numbers by
//! value, a pre-release before its release, build metadata not at all (Semantic
//! Versioning 2.0.0, item 11). Missing numbers are zeros, a leading `v` does not
//! count, and a word such as `latest` comes before any number.

use std::cmp::Ordering;

/// Compares two versions; an image without one is below all others. Equal says
/// that neither is higher, not that the texts are the same.
pub fn compare_versions(one: Option<&str>, other: Option<&str>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => compare(one, other),
        (one, other) => one.is_some().cmp(&other.is_some()),
    }
}

fn compare(one: &str, other: &str) -> Ordering {
    let ((one, before), (other, other_before)) = (split(one), split(other));
    let released = || match (before, other_before) {
        (Some(one), Some(other)) => prereleases(one, other),
        (one, other) => one.is_none().cmp(&other.is_none()),
    };
    releases(one, other).then_with(released)
}

/// Splits a version into its release and its pre-release.
fn split(version: &str) -> (&str, Option<&str>) {
    let (version, _build) = version.split_once('+').unwrap_or((version, ""));
    let plain = version.strip_prefix('v').filter(|rest| is_numbered(rest));
    match plain.unwrap_or(version).split_once('-') {
        Some((release, before)) => (release, Some(before)),
        None => (plain.unwrap_or(version), None),
    }
}

fn is_numbered(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}

fn releases(one: &str, other: &str) -> Ordering {
    let (mut ones, mut others) = (one.split('.'), other.split('.'));
    loop {
        let (one, other) = (ones.next(), others.next());
        if one.is_none() && other.is_none() {
            return Ordering::Equal;
        }
        let (one, other) = (one.unwrap_or("0"), other.unwrap_or("0"));
        let compared = match (is_numbered(one), is_numbered(other)) {
            (true, true) => numbered(one, other),
            (false, false) => one.cmp(other),
            (one, other) => one.cmp(&other),
        };
        if compared.is_ne() {
            return compared;
        }
    }
}

/// Numbers come before words, and more parts after fewer.
fn prereleases(one: &str, other: &str) -> Ordering {
    let (mut ones, mut others) = (one.split('.'), other.split('.'));
    loop {
        let compared = match (ones.next(), others.next()) {
            (None, None) => return Ordering::Equal,
            (Some(one), Some(other)) => match (is_number(one), is_number(other)) {
                (true, true) => numbered(one, other),
                (false, false) => one.cmp(other),
                (one, other) => other.cmp(&one),
            },
            (one, other) => one.is_some().cmp(&other.is_some()),
        };
        if compared.is_ne() {
            return compared;
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Compares texts that begin with numbers of any length, and then what follows.
fn numbered(one: &str, other: &str) -> Ordering {
    let ((one, rest), (other, other_rest)) = (parts(one), parts(other));
    let values = one.len().cmp(&other.len()).then_with(|| one.cmp(other));
    values.then_with(|| rest.cmp(other_rest))
}

/// Splits a text into the number that it begins with, without leading zeros, and
/// the rest.
fn parts(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    (number.trim_start_matches('0'), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_the_order_of_their_releases() {
        let versions = [
            None,
            Some(""),
            Some("edge"),
            Some("latest"),
            Some("0"),
            Some("0.9"),
            Some("0.10.0"),
            Some("1.0.0-1"),
            Some("1.0.0-alpha"),
            Some("1.0.0-alpha.1"),
            Some("1.0.0-alpha.beta"),
            Some("1.0.0-rc.2"),
            Some("1.0.0-rc.10"),
            Some("1.0.0"),
            Some("1.0.1"),
            Some("v1.1"),
            Some("1.1.0.1"),
            Some("1.1a"),
            Some("1.2"),
            Some("2"),
            Some("20240101"),
            Some("123456789012345678901234567890"),
        ];
        let mut sorted = versions;
        sorted.reverse();
        sorted.sort_by(|one, other| compare_versions(*one, *other));
        assert_eq!(sorted, versions);
    }

    #[test]
    fn spellings_of_one_version_are_equal() {
        for (one, other) in [
            ("1", "1.0.0"),
            ("v1.2", "1.2"),
            ("1.0.0+a", "1.0.0+b"),
            ("1.01", "1.1"),
            ("latest", "latest"),
        ] {
            assert_eq!(compare(one, other), Ordering::Equal, "{one} {other}");
            assert_eq!(compare(other, one), Ordering::Equal, "{one} {other}");
        }
    }
}
