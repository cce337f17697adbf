//! The fixed header of a member of a tar: a block with fields at fixed places.
//! Pure.
//!
//! Its formats differ in what is behind the target of a link: nothing in the
//! first one (Unix V7), the rest of a long name in POSIX and star, a map of
//! holes in GNU tar.
//!
//! Source: POSIX.1-2017, pax, "ustar Interchange Format"; the GNU tar manual,
//! "Basic Tar Format"; tar(5) of libarchive.

use error::{Error, Result};

/// The block size of a tar.
pub(crate) const BLOCK: usize = 512;

/// Pieces of a sparse file that have room in one block, and in each that
/// follows it.
const MAP: (usize, usize) = (4, 21);

/// A fixed header, or a block of zeros, which is the end of a tar.
#[derive(Clone)]
pub(crate) struct FixedHeader([u8; BLOCK]);

impl FixedHeader {
    /// Takes a block as it is; see [`FixedHeader::is_sound`].
    pub(crate) const fn new(block: [u8; BLOCK]) -> Self {
        Self(block)
    }

    /// Whether the block is no header, but part of the end.
    pub(crate) fn is_zero(&self) -> bool {
        self.0.iter().all(|&byte| byte == 0)
    }

    /// Whether the checksum is right. Old programs added signed bytes.
    pub(crate) fn is_sound(&self) -> bool {
        // The field itself counts as blanks.
        let bytes = || self.0[..148].iter().chain(&self.0[156..]);
        let blanks = 8 * i64::from(b' ');
        let unsigned = bytes().map(|&byte| i64::from(byte)).sum::<i64>() + blanks;
        let signed = bytes()
            .map(|&byte| i64::from(byte.cast_signed()))
            .sum::<i64>()
            + blanks;
        number(&self.0[148..156]).is_ok_and(|sum| sum == unsigned || sum == signed)
    }

    /// The type of the member, as a letter or digit.
    pub(crate) const fn kind(&self) -> u8 {
        self.0[156]
    }

    /// The name, in which POSIX allows one more slash than there is room for.
    pub(crate) fn name(&self) -> Vec<u8> {
        let name = text(&self.0[..100]);
        let prefix = match (&self.0[257..263], &self.0[508..]) {
            (b"ustar\0", b"tar\0") => text(&self.0[345..476]),
            (b"ustar\0", _) => text(&self.0[345..500]),
            _ => b"",
        };
        match prefix {
            b"" => name.to_vec(),
            prefix => [prefix, b"/", name].concat(),
        }
    }

    /// The target of a link.
    pub(crate) fn link(&self) -> &[u8] {
        text(&self.0[157..257])
    }

    /// The permission bits.
    pub(crate) fn mode(&self) -> Result<i64> {
        number(&self.0[100..108])
    }

    /// The user.
    pub(crate) fn uid(&self) -> Result<i64> {
        number(&self.0[108..116])
    }

    /// The group.
    pub(crate) fn gid(&self) -> Result<i64> {
        number(&self.0[116..124])
    }

    /// The size of the content, in bytes.
    pub(crate) fn size(&self) -> Result<u64> {
        unsigned(&self.0[124..136])
    }

    /// The modification time, in seconds since 1970.
    pub(crate) fn mtime(&self) -> Result<i64> {
        number(&self.0[136..148])
    }

    /// Major and minor number of a device; the first format has none.
    pub(crate) fn device(&self) -> Result<(i64, i64)> {
        match &self.0[257..262] {
            b"ustar" => Ok((number(&self.0[329..337])?, number(&self.0[337..345])?)),
            _ => Ok((0, 0)),
        }
    }

    /// The size of a sparse file in the format of GNU tar, with its holes.
    pub(crate) fn sparse_size(&self) -> Result<u64> {
        match &self.0[257..265] {
            b"ustar  \0" => unsigned(&self.0[483..495]),
            _ => Err(malformed(
                "a file is sparse in a format without sparse files",
            )),
        }
    }

    /// Adds the start of the map of a sparse file; returns whether it goes on
    /// in the next block.
    pub(crate) fn sparse_map(&self, map: &mut Vec<(u64, u64)>) -> Result<bool> {
        add(&self.0[386..], MAP.0, map)?;
        Ok(self.0[482] != 0)
    }

    /// Does the same for a block that continues a map.
    pub(crate) fn more_of_map(&self, map: &mut Vec<(u64, u64)>) -> Result<bool> {
        add(&self.0, MAP.1, map)?;
        Ok(self.0[504] != 0)
    }
}

/// Adds pairs of an offset and a length.
fn add(fields: &[u8], count: usize, map: &mut Vec<(u64, u64)>) -> Result<()> {
    for pair in fields.chunks_exact(24).take(count) {
        let (offset, length) = pair.split_at(12);
        // Unused ones are NUL bytes.
        if offset[0] != 0 {
            map.push((unsigned(offset)?, unsigned(length)?));
        }
    }
    Ok(())
}

/// Returns text that ends at a NUL byte or with its field.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or(field)
}

fn unsigned(field: &[u8]) -> Result<u64> {
    u64::try_from(number(field)?).map_err(|_| malformed("a number is negative"))
}

/// Reads a number: octal digits or, if the highest bit is set, two's
/// complement. An empty field is zero.
fn number(field: &[u8]) -> Result<i64> {
    let broken = || malformed("a number in a header is not valid");
    let first = field.first().copied().unwrap_or(0);
    if first & 0x80 != 0 {
        let sign = if first & 0x40 != 0 { !0x7f } else { 0 };
        let start = i128::from(first & 0x7f) | sign;
        let rest = field.iter().skip(1);
        let value = rest.fold(start, |value, &byte| value << 8 | i128::from(byte));
        return i64::try_from(value).map_err(|_| broken());
    }
    // Digits behind a NUL are a number to GNU tar and nothing to libarchive.
    if first == 0 && field.iter().any(u8::is_ascii_digit) {
        return Err(broken());
    }
    text(field)
        .trim_ascii()
        .iter()
        .try_fold(0_i64, |value, &byte| match byte {
            b'0'..=b'7' => Ok(value << 3 | i64::from(byte - b'0')),
            _ => Err(broken()),
        })
}

/// Says what is wrong with a tar, as such.
pub(crate) fn malformed(what: &str) -> Error {
    Error::invalid(format!("its tar is malformed: {what}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::ops::Range;

    use super::*;

    /// A header with these fields, and a checksum of signed or unsigned bytes.
    fn header(fields: &[(Range<usize>, &[u8])], signed: bool) -> FixedHeader {
        let mut block = [0; BLOCK];
        for (place, field) in fields {
            block[place.start..place.start + field.len()].copy_from_slice(field);
        }
        block[148..156].fill(b' ');
        let value = |byte: u8| match signed {
            true => i64::from(byte.cast_signed()),
            false => i64::from(byte),
        };
        let sum: i64 = block.iter().map(|&byte| value(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        FixedHeader::new(block)
    }

    #[test]
    fn checksums_are_of_bytes_with_or_without_a_sign() {
        let name: &[u8] = "caf\u{e9}".as_bytes();
        for signed in [false, true] {
            let mut header = header(&[(0..100, name)], signed);
            assert!(header.is_sound());
            header.0[5] ^= 1;
            assert!(!header.is_sound());
        }
    }

    #[test]
    fn names_are_as_long_as_their_format_allows() {
        for (magic, last, expected) in [
            (&b""[..], &b""[..], &b"name"[..]),
            (b"ustar\x0000", b"", b"above/name"),
            // Some programs write another version.
            (b"ustar\0\0\0", b"", b"above/name"),
            (b"ustar  \0", b"", b"name"),
            (b"ustar\x0000", b"tar\0", b"above/name"),
        ] {
            let fields = [
                (0..100, &b"name"[..]),
                (257..265, magic),
                (345..500, b"above"),
                // In the format of star, a time.
                (
                    476..500,
                    if last.is_empty() {
                        b""
                    } else {
                        b"14000000000 "
                    },
                ),
                (508..512, last),
            ];
            assert_eq!(header(&fields, false).name(), expected);
        }
    }

    #[test]
    fn numbers_are_octal_or_binary() {
        for (field, expected) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"    644 ", Some(0o644)),
            (b"644\0junk", Some(0o644)),
            (b"        ", Some(0)),
            (&[0; 8], Some(0)),
            (&[0x80, 0, 0, 0, 0, 0, 1, 0], Some(256)),
            (&[0xff; 8], Some(-1)),
            (b"\x000000644", None),
            (b"-0000644", None),
            (b"0000684\0", None),
            (b"0x000644", None),
        ] {
            assert_eq!(number(field).ok(), expected, "{field:?}");
        }
    }
}
