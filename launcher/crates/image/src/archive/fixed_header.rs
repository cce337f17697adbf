//! The fixed header of a member of a tar: a block with fields at fixed places.
//! Pure.
//!
//! Its formats differ in what is behind the target of a link: nothing in the
//! first one (Unix V7), the rest of a long name in POSIX and star, a map of
//! holes in GNU tar.
//!
//! The only file that knows the tar crate, of which the layouts of headers are
//! used: its readers of numbers know no sign, and take letters for zero.
//!
//! Source: POSIX.1-2017, pax, "ustar Interchange Format"; the GNU tar manual,
//! "Basic Tar Format"; tar(5) of libarchive.

use error::{Error, Result};
use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

/// The block size of a tar.
pub(crate) const BLOCK: usize = 512;

/// A fixed header, or a block of zeros, which is the end of a tar.
#[derive(Clone)]
pub(crate) struct FixedHeader(Header);

impl FixedHeader {
    /// Takes a block as it is; see [`FixedHeader::is_sound`].
    pub(crate) fn new(block: [u8; BLOCK]) -> Self {
        let mut header = Header::new_old();
        *header.as_mut_bytes() = block;
        Self(header)
    }

    /// Whether the block is no header, but part of the end.
    pub(crate) fn is_zero(&self) -> bool {
        self.0.as_bytes().iter().all(|&byte| byte == 0)
    }

    /// Whether the checksum is right. Old programs added signed bytes.
    pub(crate) fn is_sound(&self) -> bool {
        // The field itself counts as blanks.
        let block = self.0.as_bytes();
        let bytes = || block[..148].iter().chain(&block[156..]);
        let blanks = 8 * i64::from(b' ');
        let unsigned = bytes().map(|&byte| i64::from(byte)).sum::<i64>() + blanks;
        let signed = bytes()
            .map(|&byte| i64::from(byte.cast_signed()))
            .sum::<i64>()
            + blanks;
        number(&self.0.as_old().cksum).is_ok_and(|sum| sum == unsigned || sum == signed)
    }

    /// The type of the member, as a letter or digit.
    pub(crate) fn kind(&self) -> u8 {
        self.0.as_old().linkflag[0]
    }

    /// The name, in which POSIX allows one more slash than there is room for.
    pub(crate) fn name(&self) -> Vec<u8> {
        let name = text(&self.0.as_old().name);
        let header = self.of_one_version();
        let prefix = match header.as_ustar() {
            // In the format of star, times follow.
            Some(fields) if fields.pad.ends_with(b"tar\0") => text(&fields.prefix[..131]),
            Some(fields) => text(&fields.prefix),
            None => b"",
        };
        match prefix {
            b"" => name.to_vec(),
            prefix => [prefix, b"/", name].concat(),
        }
    }

    /// The target of a link.
    pub(crate) fn link(&self) -> &[u8] {
        text(&self.0.as_old().linkname)
    }

    /// The permission bits.
    pub(crate) fn mode(&self) -> Result<i64> {
        number(&self.0.as_old().mode)
    }

    /// The user.
    pub(crate) fn uid(&self) -> Result<i64> {
        number(&self.0.as_old().uid)
    }

    /// The group.
    pub(crate) fn gid(&self) -> Result<i64> {
        number(&self.0.as_old().gid)
    }

    /// The size of the content, in bytes.
    pub(crate) fn size(&self) -> Result<u64> {
        unsigned(&self.0.as_old().size)
    }

    /// The modification time, in seconds since 1970.
    pub(crate) fn mtime(&self) -> Result<i64> {
        number(&self.0.as_old().mtime)
    }

    /// Major and minor number of a device; the first format has none.
    pub(crate) fn device(&self) -> Result<(i64, i64)> {
        let header = self.of_one_version();
        let fields = header
            .as_ustar()
            .map(|fields| (&fields.dev_major, &fields.dev_minor));
        let in_gnu = || {
            let fields = header.as_gnu()?;
            Some((&fields.dev_major, &fields.dev_minor))
        };
        match fields.or_else(in_gnu) {
            Some((major, minor)) => Ok((number(major)?, number(minor)?)),
            None => Ok((0, 0)),
        }
    }

    /// The size of a sparse file in the format of GNU tar, with its holes.
    pub(crate) fn sparse_size(&self) -> Result<u64> {
        let what = "a file is sparse in a format without sparse files";
        let fields = self.0.as_gnu().ok_or_else(|| malformed(what))?;
        unsigned(&fields.realsize)
    }

    /// Adds the start of the map of a sparse file; returns whether it goes on
    /// in the next block.
    pub(crate) fn sparse_map(&self, map: &mut Vec<(u64, u64)>) -> Result<bool> {
        let Some(fields) = self.0.as_gnu() else {
            return Ok(false);
        };
        add(&fields.sparse, map)?;
        Ok(fields.isextended[0] != 0)
    }

    /// Returns the header as if it were of the one version of POSIX that there
    /// is: some programs write another.
    fn of_one_version(&self) -> Header {
        let mut header = self.0.clone();
        let bytes = header.as_mut_bytes();
        if bytes[257..].starts_with(b"ustar\0") {
            bytes[263..265].copy_from_slice(b"00");
        }
        header
    }
}

/// Adds a block that continues the map of a sparse file; returns whether it
/// goes on in the next one.
pub(crate) fn more_of_map(block: &[u8; BLOCK], map: &mut Vec<(u64, u64)>) -> Result<bool> {
    let mut more = GnuExtSparseHeader::new();
    *more.as_mut_bytes() = *block;
    add(&more.sparse, map)?;
    Ok(more.isextended[0] != 0)
}

/// Adds pieces of an offset and a length.
fn add(pieces: &[GnuSparseHeader], map: &mut Vec<(u64, u64)>) -> Result<()> {
    // Unused ones are NUL bytes.
    for piece in pieces.iter().filter(|piece| piece.offset[0] != 0) {
        map.push((unsigned(&piece.offset)?, unsigned(&piece.numbytes)?));
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
            header.0.as_mut_bytes()[5] ^= 1;
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
