//! Reads PAX extended headers, which override the fixed header of the next
//! member. Pure.
//!
//! Tar readers disagree on malformed headers, and an archive that is checked as
//! one thing and unpacked as another is an attack (CVE-2025-62518). So nothing
//! is guessed: a malformed, empty or duplicate record is an error.
//!
//! Source: POSIX.1-2017, pax, "pax Extended Header"; tar(5) of libarchive for
//! `SCHILY.xattr.`; the GNU tar manual, "Storing Sparse Files".

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use error::{Error, Result};

/// The fields of an extended header; `None` where it has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pax {
    /// The path, of any length.
    pub(crate) path: Option<Vec<u8>>,
    /// The target of a link.
    pub(crate) link: Option<Vec<u8>>,
    /// Size of the content in bytes.
    pub(crate) size: Option<u64>,
    /// User.
    pub(crate) uid: Option<u64>,
    /// Group.
    pub(crate) gid: Option<u64>,
    /// Modification time: seconds since 1970, and nanoseconds.
    pub(crate) mtime: Option<(i64, u32)>,
    /// Extended attributes.
    pub(crate) attributes: BTreeMap<OsString, Vec<u8>>,
    /// The size of a sparse file whose content begins with a map.
    pub(crate) sparse: Option<u64>,
}

impl Pax {
    /// Parses the header of one member.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let records = records(bytes)?;
        let text = |key: &str| records.get(key.as_bytes()).copied();
        let sparse = match (text("GNU.sparse.major"), text("GNU.sparse.minor")) {
            (None, None) if !records.keys().any(|key| key.starts_with(b"GNU.sparse.")) => None,
            (Some(b"1"), Some(b"0")) => {
                let size = text("GNU.sparse.realsize").and_then(number);
                Some(size.ok_or_else(|| malformed("it has no size"))?)
            }
            _ => return Err(Error::invalid("its sparse format is not supported")),
        };
        let mut attributes = BTreeMap::new();
        for (key, value) in &records {
            if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                attributes.insert(OsString::from_vec(name.to_vec()), value.to_vec());
            }
        }
        let decimal = |key: &str| match text(key).map(number) {
            Some(None) => Err(malformed(&format!("its `{key}` is not a number"))),
            found => Ok(found.flatten()),
        };
        // The name of a sparse file is separate, so that readers without
        // support for them do not mistake the map for content.
        let path = match sparse {
            Some(_) => text("GNU.sparse.name").or(text("path")),
            None => text("path"),
        };
        Ok(Self {
            path: path.map(<[u8]>::to_vec),
            link: text("linkpath").map(<[u8]>::to_vec),
            size: decimal("size")?,
            uid: decimal("uid")?,
            gid: decimal("gid")?,
            mtime: match text("mtime").map(time) {
                Some(None) => return Err(malformed("its `mtime` is not a time")),
                found => found.flatten(),
            },
            attributes,
            sparse,
        })
    }

    /// Checks a global header. Only comments are accepted: readers disagree
    /// on whether other fields apply, and for how long.
    pub(crate) fn check_global(bytes: &[u8]) -> Result<()> {
        match records(bytes)?.keys().find(|key| **key != b"comment") {
            None => Ok(()),
            Some(key) => Err(Error::invalid(format!(
                "its tar has a global PAX header with `{}`",
                String::from_utf8_lossy(key).escape_debug()
            ))),
        }
    }
}

/// Splits a header into records `LENGTH KEY=VALUE
/// `, where the length is that of the whole record. Values may contain any
/// bytes.
fn records(mut bytes: &[u8]) -> Result<BTreeMap<&[u8], &[u8]>> {
    let mut records = BTreeMap::new();
    while !bytes.is_empty() {
        let (key, value, rest) = record(bytes).ok_or_else(|| malformed("a record is broken"))?;
        bytes = rest;
        let is_attribute = key.starts_with(b"SCHILY.xattr.");
        let name = String::from_utf8_lossy(key).escape_debug().to_string();
        if value.is_empty() && !is_attribute {
            return Err(malformed(&format!("its `{name}` is empty")));
        }
        if records.insert(key, value).is_some() {
            return Err(malformed(&format!("its `{name}` is given twice")));
        }
    }
    Ok(records)
}

fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = bytes.iter().position(|&byte| byte == b' ')?;
    let length = usize::try_from(number(&bytes[..blank])?).ok()?;
    if length > bytes.len() {
        return None;
    }
    let (record, rest) = bytes.split_at(length);
    let record = record.get(blank + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    (equals > 0).then(|| (&record[..equals], &record[equals + 1..], rest))
}

/// Parses decimal digits only.
fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text)
        .ok()
        .filter(|_| digits)?
        .parse()
        .ok()
}

/// Parses seconds with a fraction; negative before 1970.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let mut parts = text.splitn(2, |&byte| byte == b'.');
    let seconds = i64::try_from(number(parts.next()?)?).ok()?;
    let mut nanoseconds = 0;
    if let Some(fraction) = parts.next() {
        // Digits beyond nanoseconds are ignored.
        let fraction = &fraction[..fraction.len().min(9)];
        let zeros = u32::try_from(9 - fraction.len()).ok()?;
        nanoseconds = u32::try_from(number(fraction)? * 10_u64.pow(zeros)).ok()?;
    }
    Some(match (negative, nanoseconds) {
        (false, _) => (seconds, nanoseconds),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanoseconds),
    })
}

fn malformed(what: &str) -> Error {
    Error::invalid(format!("its PAX header is malformed: {what}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn headers_that_readers_disagree_on_are_refused() {
        for (header, expected) in [
            (&b"x"[..], "a record is broken"),
            (b"8 path=a\n", "a record is broken"),
            (b"11 path=a\n", "a record is broken"),
            (b"10 path=a\n\n", "a record is broken"),
            (b"+10 path=a\n", "a record is broken"),
            (b"010 path=a\n", "a record is broken"),
            (b"10 path=a ", "a record is broken"),
            (b"4 =\n", "a record is broken"),
            (b"99999999999999999999999 path=a\n", "a record is broken"),
            (b"10 path=a\n9 path=b\n", "its `path` is given twice"),
            (b"8 path=\n", "its `path` is empty"),
            (b"10 path=ab\n", "a record is broken"),
            (b"11 size=-1\n", "its `size` is not a number"),
            (b"12 size=0x1\n", "its `size` is not a number"),
            (b"11 size=+1\n", "its `size` is not a number"),
            (
                b"29 size=18446744073709551616\n",
                "its `size` is not a number",
            ),
            (b"12 mtime=1e\n", "its `mtime` is not a time"),
            (b"13 mtime=1.-\n", "its `mtime` is not a time"),
        ] {
            let shown = String::from_utf8_lossy(header).into_owned();
            let error = Pax::parse(header).unwrap_err().to_string();
            let expected = format!("its PAX header is malformed: {expected}");
            assert_eq!(error, expected, "{shown}");
        }
    }

    #[test]
    fn values_are_bytes_and_hide_no_records() {
        let pax = Pax::parse(b"35 SCHILY.xattr.user.x=\n10 path=a\n\n10 path=b\n").unwrap();
        assert_eq!(pax.path.as_deref(), Some(&b"b"[..]));
        let value = pax.attributes.get(std::ffi::OsStr::new("user.x")).unwrap();
        assert_eq!(value, b"\n10 path=a\n");
    }

    #[test]
    fn times_have_fractions_and_may_be_before_1970() {
        for (text, expected) in [
            ("0", Some((0, 0))),
            ("12.5", Some((12, 500_000_000))),
            ("1.0000000019", Some((1, 1))),
            ("-1", Some((-1, 0))),
            ("-1.25", Some((-2, 750_000_000))),
            ("", None),
            (".5", None),
            ("1.", None),
            ("--1", None),
            ("9223372036854775808", None),
        ] {
            assert_eq!(time(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn only_remarks_may_be_global() {
        assert!(Pax::check_global(b"13 comment=x\n").is_ok());
        let error = Pax::check_global(b"10 path=a\n").unwrap_err();
        let expected = "its tar has a global PAX header with `path`";
        assert_eq!(error.to_string(), expected);
    }
}
