//! Reads PAX extended headers, which override the fixed header of the next
//! member. Pure.
//!
//! Tar readers disagree on malformed headers, and an archive that is checked as
//! one thing and unpacked as another is an attack (CVE-2025-62518). So nothing
//! is guessed: a record that is malformed is an error, and so is one that
//! changes what is unpacked and is empty, duplicate, or for all members. Records
//! that change nothing here may say what they like.
//!
//! Source: POSIX.1-2017, pax, "pax Extended Header"; tar(5) of libarchive for
//! `SCHILY.xattr.`; the GNU tar manual, "Storing Sparse Files".

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use crate::archive::holes::PIECES;
use crate::archive::sparse::{self, Sparse, decimal as number};
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
    /// What it says of a sparse file.
    pub(crate) sparse: Option<Sparse>,
}

impl Pax {
    /// Parses the header of one member.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let all = records(bytes)?;
        let records = used(&all)?;
        let text = |key: &str| records.get(key.as_bytes()).copied();
        let sparse = sparse(&all, &text)?;
        let mut attributes = BTreeMap::new();
        for (key, value) in &records {
            if let Some(name) = key.strip_prefix(ATTRIBUTE) {
                attributes.insert(OsString::from_vec(name.to_vec()), value.to_vec());
            }
        }
        let decimal = |key: &str| match text(key).map(number) {
            Some(None) => Err(malformed(&format!("its `{key}` is not a number"))),
            found => Ok(found.flatten()),
        };
        // The name of a sparse file is separate, so that readers without
        // support for them do not mistake the map for content.
        let path = match &sparse {
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

    /// Checks a global header. Readers disagree on whether the fields that
    /// change what is unpacked apply, and for how long.
    pub(crate) fn check_global(bytes: &[u8]) -> Result<()> {
        match records(bytes)?.iter().find(|(key, _)| is_used(key)) {
            None => Ok(()),
            Some((key, _)) => Err(Error::invalid(format!(
                "its tar has a global PAX header with `{}`",
                String::from_utf8_lossy(key).escape_debug()
            ))),
        }
    }
}

/// A key and its value, which may be any bytes.
type Record<'a> = (&'a [u8], &'a [u8]);

/// The start of all keys of sparse files.
const SPARSE: &[u8] = b"GNU.sparse.";

/// The start of the keys of extended attributes.
const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";

/// Whether a record can change what is unpacked.
fn is_used(key: &[u8]) -> bool {
    let fields = ["path", "linkpath", "size", "uid", "gid", "mtime"];
    fields.iter().any(|field| field.as_bytes() == key)
        || key.starts_with(ATTRIBUTE)
        || key.starts_with(SPARSE)
}

/// Returns the records that can change what is unpacked; each may be there once.
fn used<'a>(all: &[Record<'a>]) -> Result<BTreeMap<&'a [u8], &'a [u8]>> {
    let mut records = BTreeMap::new();
    for &(key, value) in all.iter().filter(|(key, _)| is_used(key)) {
        let name = String::from_utf8_lossy(key).escape_debug().to_string();
        if value.is_empty() && !key.starts_with(ATTRIBUTE) {
            return Err(malformed(&format!("its `{name}` is empty")));
        }
        // In the first format, these are a list.
        let listed = [OFFSET.as_bytes(), LENGTH.as_bytes()].contains(&key);
        if records.insert(key, value).is_some() && !listed {
            return Err(malformed(&format!("its `{name}` is given twice")));
        }
    }
    Ok(records)
}

const OFFSET: &str = "GNU.sparse.offset";
const LENGTH: &str = "GNU.sparse.numbytes";

/// Reads what is said of a sparse file, in one of the three formats that GNU tar
/// has had: a pair of records for each piece (0.0), all in one record (0.1), or a
/// map in the content (1.0).
fn sparse<'a>(
    all: &[Record<'a>],
    text: &dyn Fn(&str) -> Option<&'a [u8]>,
) -> Result<Option<Sparse>> {
    if !all.iter().any(|(key, _)| key.starts_with(SPARSE)) {
        return Ok(None);
    }
    let version = (text("GNU.sparse.major"), text("GNU.sparse.minor"));
    let in_content = match version {
        (Some(b"1"), Some(b"0")) => true,
        (None, None) | (Some(b"0"), Some(b"0" | b"1")) => false,
        _ => return Err(Error::invalid("its sparse format is not supported")),
    };
    let size = match in_content {
        true => text("GNU.sparse.realsize"),
        false => text("GNU.sparse.size"),
    };
    let size = size.and_then(number);
    let size = size.ok_or_else(|| malformed("it has no size"))?;
    let map = match in_content {
        true => None,
        false => Some(map(all, text)?),
    };
    Ok(Some(Sparse { size, map }))
}

/// Reads the map of a sparse file from the records.
fn map<'a>(all: &[Record<'a>], text: &dyn Fn(&str) -> Option<&'a [u8]>) -> Result<Vec<(u64, u64)>> {
    let numbers: Option<Vec<u64>> = match text("GNU.sparse.map") {
        Some(list) => list.split(|&byte| byte == b',').map(number).collect(),
        None => {
            let mut numbers = Vec::new();
            for (key, value) in all {
                let expected = if numbers.len() % 2 == 0 {
                    OFFSET
                } else {
                    LENGTH
                };
                if *key == expected.as_bytes() {
                    numbers.push(number(value).ok_or_else(sparse::broken)?);
                } else if *key == OFFSET.as_bytes() || *key == LENGTH.as_bytes() {
                    return Err(sparse::broken());
                }
            }
            Some(numbers)
        }
    };
    let numbers = numbers.filter(|numbers| numbers.len() % 2 == 0);
    let numbers = numbers.ok_or_else(sparse::broken)?;
    let map: Vec<_> = numbers
        .chunks_exact(2)
        .map(|pair| (pair[0], pair[1]))
        .collect();
    let announced = text("GNU.sparse.numblocks").and_then(number);
    if map.len() > PIECES {
        return Err(sparse::too_many());
    }
    match announced == Some(map.len() as u64) {
        true => Ok(map),
        false => Err(sparse::broken()),
    }
}

/// Splits a header into records `LENGTH KEY=VALUE
/// `, where the length is that of the whole record. Values may contain any
/// bytes.
fn records(mut bytes: &[u8]) -> Result<Vec<Record<'_>>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (key, value, rest) = record(bytes).ok_or_else(|| malformed("a record is broken"))?;
        bytes = rest;
        records.push((key, value));
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

/// Parses seconds with a fraction; negative before 1970.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let mut parts = text.splitn(2, |&byte| byte == b'.');
    let seconds = i64::try_from(number(parts.next()?)?).ok()?;
    let mut nanoseconds = 0;
    if let Some(fraction) = parts.next().filter(|digits| !digits.is_empty()) {
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
            ("1.", Some((1, 0))),
            (".", None),
            ("--1", None),
            ("9223372036854775808", None),
        ] {
            assert_eq!(time(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn what_changes_nothing_here_may_say_what_it_likes() {
        let text = b"9 uname=\n9 gname=\n9 atime=\n13 comment=a\n13 comment=b\n17 X.y=no number\n";
        assert_eq!(Pax::parse(text).unwrap(), Pax::default());
        Pax::check_global(text).unwrap();
    }

    #[test]
    fn what_changes_what_is_unpacked_is_not_global() {
        for (header, key) in [
            (&b"10 path=a\n"[..], "path"),
            (b"11 mtime=1\n", "mtime"),
            (b"27 SCHILY.xattr.user.x=yes\n", "SCHILY.xattr.user.x"),
            (b"22 GNU.sparse.major=1\n", "GNU.sparse.major"),
        ] {
            let error = Pax::check_global(header).unwrap_err();
            let expected = format!("its tar has a global PAX header with `{key}`");
            assert_eq!(error.to_string(), expected);
        }
    }

    /// What is said of a sparse file of these keys.
    fn sparse(records: &[(&str, &str)]) -> Result<Option<Sparse>> {
        let records: Vec<_> = records
            .iter()
            .map(|(key, value)| (key.as_bytes(), value.as_bytes()))
            .collect();
        let used = used(&records)?;
        super::sparse(&records, &|key| used.get(key.as_bytes()).copied())
    }

    #[test]
    fn sparse_files_are_described_in_three_ways() {
        let size = ("GNU.sparse.size", "4096");
        let two = ("GNU.sparse.numblocks", "2");
        let map = Some(vec![(512, 1024), (2048, 7)]);
        for records in [
            &[
                size,
                two,
                (OFFSET, "512"),
                (LENGTH, "1024"),
                (OFFSET, "2048"),
                (LENGTH, "7"),
            ][..],
            &[size, two, ("GNU.sparse.map", "512,1024,2048,7")],
        ] {
            let found = sparse(records).unwrap().unwrap();
            assert_eq!((found.size, &found.map), (4096, &map), "{records:?}");
        }
        let in_content = sparse(&[
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.realsize", "4096"),
        ]);
        let expected = Sparse {
            size: 4096,
            map: None,
        };
        assert_eq!(in_content.unwrap(), Some(expected));
    }

    #[test]
    fn maps_that_are_no_pairs_are_broken() {
        let size = ("GNU.sparse.size", "4096");
        let one = ("GNU.sparse.numblocks", "1");
        for records in [
            &[size, one][..],
            &[size, one, (OFFSET, "1")],
            &[size, one, (LENGTH, "1"), (OFFSET, "1")],
            &[size, one, (OFFSET, "1"), (OFFSET, "1")],
            &[size, one, (OFFSET, "1"), (LENGTH, "-1")],
            &[size, one, ("GNU.sparse.map", "1,2,3,4")],
            &[size, one, ("GNU.sparse.map", "1,2,")],
            &[size, one, ("GNU.sparse.map", "1,x")],
            &[size, ("GNU.sparse.map", "1,2")],
        ] {
            let error = sparse(records).unwrap_err().to_string();
            let expected = "its tar is malformed: the map of a sparse file is broken";
            assert_eq!(error, expected, "{records:?}");
        }
    }
}
