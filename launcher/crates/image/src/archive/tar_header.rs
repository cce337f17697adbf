//! Writes the headers of a tar, as [`crate::archive::tar_reader`] and [`crate::archive::pax`] read
//! them. Pure.
//!
//! Fields that fit are in the fixed header; everything else is in an extended
//! header before it: long paths, large numbers, fractions of seconds, extended
//! attributes. Long names that are not UTF-8 are written as GNU tar does, which
//! every reader takes as bytes.
//!
//! Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended
//! Header"; tar(5) of libarchive for `SCHILY.xattr.`; the GNU tar manual,
//! "Storing Sparse Files" and "Basic Tar Format".

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use crate::archive::fixed_header::BLOCK;
use crate::archive::walk::EntryKind;

/// The metadata of an entry, without its type.
#[derive(Clone, Debug)]
pub struct Attributes {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Modification time, in seconds since 1970 and nanoseconds.
    pub mtime: (i64, u32),
    /// Extended attributes.
    pub extended: BTreeMap<OsString, Vec<u8>>,
}

/// The size of an entry's content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Size in the tar, in bytes.
    pub(crate) stored: u64,
    /// Size of the file, if the content begins with a map of its holes.
    pub(crate) sparse: Option<u64>,
}

/// Names of extended headers. Readers that do not support these unpack them as
/// files of these names.
const EXTENDED: &[u8] = b"././@PaxHeader";
const LONG: &[u8] = b"././@LongLink";

/// Returns the headers of an entry: an extended one if needed, and the fixed
/// one.
pub(crate) fn headers(
    path: &[u8],
    kind: &EntryKind,
    attributes: &Attributes,
    extent: Extent,
) -> Vec<u8> {
    let mut records = Records::default();
    let mut header = Header::new(kind);
    match extent.sparse {
        // Readers without support for sparse files take the map for content, so
        // the file gets another name.
        Some(size) => {
            records.add("GNU.sparse.major", b"1");
            records.add("GNU.sparse.minor", b"0");
            records.add("GNU.sparse.name", path);
            records.add("GNU.sparse.realsize", size.to_string().as_bytes());
            header.text(0..100, b"GNUSparseFile");
        }
        None => header.name(0..100, path, ("path", b'L'), &mut records),
    }
    header.octal(100..108, u64::from(attributes.mode & 0o7777));
    header.number(108..116, attributes.uid.into(), "uid", &mut records);
    header.number(116..124, attributes.gid.into(), "gid", &mut records);
    header.number(124..136, extent.stored, "size", &mut records);
    header.time(attributes.mtime, &mut records);
    match kind {
        EntryKind::Symlink(target) => {
            let target = target.as_os_str().as_bytes();
            header.name(157..257, target, ("linkpath", b'K'), &mut records);
        }
        EntryKind::HardLink(first) => {
            let first = first.as_os_str().as_bytes();
            header.name(157..257, first, ("linkpath", b'K'), &mut records);
        }
        EntryKind::Character(major, minor) | EntryKind::Block(major, minor) => {
            header.octal(329..337, u64::from(*major));
            header.octal(337..345, u64::from(*minor));
        }
        EntryKind::File | EntryKind::Directory | EntryKind::Fifo => {}
    }
    for (name, value) in &attributes.extended {
        let key = [b"SCHILY.xattr.", name.as_bytes()].concat();
        records.add_bytes(&key, value);
    }
    [records.members(), header.finish()].concat()
}

/// Returns the number of zeros that pad this many bytes to a block.
pub(crate) fn padding(size: u64) -> usize {
    let left = size.next_multiple_of(BLOCK as u64) - size;
    usize::try_from(left).unwrap_or(0)
}

/// A fixed header that is being built.
struct Header([u8; BLOCK]);

impl Header {
    fn new(kind: &EntryKind) -> Self {
        Self::of(match kind {
            EntryKind::File => b'0',
            EntryKind::HardLink(_) => b'1',
            EntryKind::Symlink(_) => b'2',
            EntryKind::Character(..) => b'3',
            EntryKind::Block(..) => b'4',
            EntryKind::Directory => b'5',
            EntryKind::Fifo => b'6',
        })
    }

    fn of(kind: u8) -> Self {
        let mut header = Self([0; BLOCK]);
        header.0[156] = kind;
        header.text(257..265, b"ustar\x0000");
        header
    }

    fn text(&mut self, place: std::ops::Range<usize>, text: &[u8]) {
        let field = &mut self.0[place];
        let length = text.len().min(field.len());
        field[..length].copy_from_slice(&text[..length]);
    }

    /// Writes a name. If it does not fit, only its start is written here,
    /// and all of it in an extended record with this key or a member of
    /// this type.
    fn name(
        &mut self,
        place: std::ops::Range<usize>,
        name: &[u8],
        (key, kind): (&str, u8),
        records: &mut Records,
    ) {
        if name.len() > place.len() {
            records.add_name(key, kind, name);
        }
        self.text(place, name);
    }

    /// Writes an octal number with leading zeros and a final NUL.
    fn octal(&mut self, place: std::ops::Range<usize>, number: u64) {
        let digits = place.len() - 1;
        self.text(place, format!("{number:0digits$o}").as_bytes());
    }

    /// Writes a number. If it does not fit, the largest possible is written
    /// here, and the number in an extended record.
    fn number(
        &mut self,
        place: std::ops::Range<usize>,
        number: u64,
        key: &str,
        records: &mut Records,
    ) {
        let most = (1 << (3 * (place.len() - 1))) - 1;
        if number > most {
            records.add(key, number.to_string().as_bytes());
        }
        self.octal(place, number.min(most));
    }

    /// Writes a time. If it does not fit, all of it is in an extended
    /// record.
    fn time(&mut self, (seconds, nanoseconds): (i64, u32), records: &mut Records) {
        const MOST: u64 = 0o777_7777_7777;
        let whole = u64::try_from(seconds).unwrap_or(0).min(MOST);
        if i64::try_from(whole) != Ok(seconds) || nanoseconds > 0 {
            records.add("mtime", decimal(seconds, nanoseconds).as_bytes());
        }
        self.octal(136..148, whole);
    }

    /// Adds the checksum, for which its own field counts as blanks.
    fn finish(mut self) -> Vec<u8> {
        self.text(148..156, b"        ");
        let sum: u64 = self.0.iter().map(|&byte| u64::from(byte)).sum();
        self.text(148..156, format!("{sum:06o}\0 ").as_bytes());
        self.0.into()
    }
}

/// Formats seconds since 1970, which may be negative.
fn decimal(seconds: i64, nanoseconds: u32) -> String {
    let (sign, whole, fraction) = match (seconds < 0, nanoseconds) {
        (false, fraction) => ("", seconds.unsigned_abs(), fraction),
        (true, 0) => ("-", seconds.unsigned_abs(), 0),
        (true, part) => ("-", seconds.unsigned_abs() - 1, 1_000_000_000 - part),
    };
    match fraction {
        0 => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction:09}"),
    }
}

/// What does not fit into the fixed header and comes before it.
#[derive(Default)]
struct Records {
    /// Names that are not UTF-8, each as a member.
    names: Vec<u8>,
    /// Records of an extended header.
    text: Vec<u8>,
}

impl Records {
    /// Adds a long name. Extended headers require UTF-8; readers reject or
    /// warn about anything else, each in its own way.
    fn add_name(&mut self, key: &str, kind: u8, name: &[u8]) {
        match std::str::from_utf8(name) {
            Ok(_) => self.add(key, name),
            Err(_) => {
                let name = [name, b"\0"].concat();
                self.names.extend(before(kind, LONG, &name));
            }
        }
    }

    fn add(&mut self, key: &str, value: &[u8]) {
        self.add_bytes(key.as_bytes(), value);
    }

    /// Adds `LENGTH KEY=VALUE
    /// `, where the length is that of the whole record.
    fn add_bytes(&mut self, key: &[u8], value: &[u8]) {
        let rest = key.len() + value.len() + " =\n".len();
        let mut length = rest;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        self.text.extend_from_slice(format!("{length} ").as_bytes());
        self.text.extend_from_slice(key);
        self.text.push(b'=');
        self.text.extend_from_slice(value);
        self.text.push(b'\n');
    }

    /// Returns the members with all this; empty if there is nothing to add.
    fn members(self) -> Vec<u8> {
        let mut members = self.names;
        if !self.text.is_empty() {
            members.extend(before(b'x', EXTENDED, &self.text));
        }
        members
    }
}

/// Returns a member that describes the next one.
fn before(kind: u8, name: &[u8], content: &[u8]) -> Vec<u8> {
    let size = content.len() as u64;
    let mut header = Header::of(kind);
    header.text(0..100, name);
    header.octal(100..108, 0o644);
    for place in [108..116, 116..124, 136..148] {
        header.octal(place, 0);
    }
    header.octal(124..136, size);
    let mut member = header.finish();
    member.extend_from_slice(content);
    member.resize(member.len() + padding(size), 0);
    member
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::archive::pax::Pax;

    #[test]
    fn the_length_of_a_record_counts_its_own_digits() {
        // 9 + 1 digit is 10, 98 + 2 are 100, and so on.
        for length in (0..120).chain(985..1005).chain(9985..10_005) {
            let value = vec![b'v'; length + 1];
            let mut records = Records::default();
            records.add("path", &value);
            let pax = Pax::parse(&records.text).unwrap();
            assert_eq!(pax.path, Some(value), "{length}");
        }
    }

    #[test]
    fn times_are_written_as_they_are_read() {
        for (seconds, nanoseconds, text) in [
            (0, 0, "0"),
            (1, 500_000_000, "1.500000000"),
            (7, 1, "7.000000001"),
            (-1, 0, "-1"),
            (-1, 999_999_999, "-0.000000001"),
            (-2, 750_000_000, "-1.250000000"),
            (i64::MIN + 1, 0, "-9223372036854775807"),
        ] {
            assert_eq!(decimal(seconds, nanoseconds), text);
            let mut records = Records::default();
            records.add("mtime", text.as_bytes());
            let pax = Pax::parse(&records.text).unwrap();
            assert_eq!(pax.mtime, Some((seconds, nanoseconds)), "{text}");
        }
    }
}
