//! Reads the members of a tar archive in order: headers, extended headers, and
//! contents with holes.
//!
//! The only file that knows the tar crate, of which only the header layout is
//! used. The stream itself is read here, because it must be read strictly:
//! where tar readers disagree, nothing is guessed, and the archive is rejected.
//! Contents are borrowed from the input's buffer.
//!
//! Source: POSIX.1-2017, pax, "ustar Interchange Format"; the GNU tar manual,
//! "Basic Tar Format".

use std::collections::VecDeque;
use std::io::{self, BufRead};
use std::path::Path;

use tar::{EntryType, GnuExtSparseHeader, Header};

use crate::archive::holes::{PIECES, Piece};
use crate::archive::pax::Pax;
use crate::archive::tar_split::Recorder;
use error::{Error, Kind, Result};

/// The block size of a tar.
pub(crate) const BLOCK: usize = 512;

/// Largest extended header, in bytes: room for several attributes of 64 KiB,
/// the maximum on Linux.
pub(crate) const EXTENDED: u64 = 1 << 20;

/// A member of a tar, as described by its headers.
pub(crate) struct Member {
    /// Its path, unchecked.
    pub(crate) name: Vec<u8>,
    /// Its type.
    pub(crate) kind: MemberKind,
    /// The target of a link.
    pub(crate) link: Vec<u8>,
    /// Major and minor number of a device.
    pub(crate) device: (i64, i64),
    /// User.
    pub(crate) uid: i64,
    /// Group.
    pub(crate) gid: i64,
    /// Permission bits, and the type in old archives.
    pub(crate) mode: i64,
    /// Size in bytes, including holes.
    pub(crate) size: u64,
    /// Other fields of an extended header.
    pub(crate) pax: Pax,
    /// Modification time, in seconds since 1970 and nanoseconds.
    pub(crate) mtime: (i64, u32),
}

/// The type of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberKind {
    File,
    Directory,
    Symlink,
    HardLink,
    Character,
    Block,
    Fifo,
}

/// The members of a tar.
pub(crate) struct Members<'a> {
    input: &'a mut dyn BufRead,
    recorder: Option<&'a Recorder>,
    /// The rest of this member's content.
    pieces: VecDeque<Piece>,
    /// The padding after the content, in bytes.
    padding: u64,
    /// Bytes of the input's buffer that were lent out and must still be
    /// consumed.
    given: usize,
    /// Whether the content is in a file and need not be recorded.
    kept: bool,
}

/// A part of a member's content.
pub enum Chunk<'a> {
    /// Data.
    Bytes(&'a [u8]),
    /// This many zeros, which are not in the tar.
    Hole(u64),
}

impl<'a> Members<'a> {
    /// Starts before the first member. Everything that is read is recorded,
    /// except contents that are kept in files.
    pub(crate) fn new(input: &'a mut dyn BufRead, recorder: Option<&'a Recorder>) -> Self {
        Self {
            input,
            recorder,
            pieces: VecDeque::new(),
            padding: 0,
            given: 0,
            kept: false,
        }
    }

    /// Returns the next member; `None` after the last, when the whole input
    /// was read.
    pub(crate) fn next(&mut self) -> Result<Option<Member>> {
        let (mut name, mut link, mut pax) = (None, None, None);
        loop {
            self.finish_member().map_err(unreadable)?;
            let Some(header) = self.header()? else {
                if name.is_some() || link.is_some() || pax.is_some() {
                    return Err(malformed("it ends after an extended header"));
                }
                return Ok(None);
            };
            let twice = |said: bool| match said {
                true => Err(malformed(
                    "two consecutive extended headers of the same kind",
                )),
                false => Ok(()),
            };
            match header.entry_type() {
                EntryType::GNULongName => {
                    twice(name.is_some())?;
                    name = Some(long(self.extended(&header)?)?);
                }
                EntryType::GNULongLink => {
                    twice(link.is_some())?;
                    link = Some(long(self.extended(&header)?)?);
                }
                EntryType::XHeader => {
                    twice(pax.is_some())?;
                    pax = Some(Pax::parse(&self.extended(&header)?)?);
                }
                EntryType::XGlobalHeader => Pax::check_global(&self.extended(&header)?)?,
                _ => {
                    let mut pax = pax.unwrap_or_default();
                    let name = either(name, pax.path.take(), &header.path_bytes())?;
                    let in_header = header.link_name_bytes().unwrap_or_default();
                    let link = either(link, pax.link.take(), &in_header)?;
                    return self.member(&header, name, link, pax).map(Some);
                }
            }
        }
    }

    /// Records only the place of this member's content, because it is kept
    /// in the file at `path`. Call it before reading the content.
    pub(crate) fn keep(&mut self, path: &Path) {
        if let Some(recorder) = self.recorder {
            recorder.content(path, self.pieces.make_contiguous());
            self.kept = true;
        }
    }

    /// Returns the pieces of the content that were not read yet.
    pub(crate) fn pieces(&self) -> Vec<Piece> {
        self.pieces.iter().copied().collect()
    }

    /// Returns the next part of the content; `None` at its end.
    pub(crate) fn content(&mut self) -> io::Result<Option<Chunk<'_>>> {
        self.input.consume(std::mem::take(&mut self.given));
        while let Some(piece) = self.pieces.front_mut() {
            if piece.hole > 0 {
                return Ok(Some(Chunk::Hole(std::mem::take(&mut piece.hole))));
            }
            if piece.data > 0 {
                let buffer = self.input.fill_buf()?;
                if buffer.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                let count = at_most(buffer.len(), piece.data);
                piece.data -= count as u64;
                self.given = count;
                let bytes = &buffer[..count];
                if let (Some(recorder), false) = (self.recorder, self.kept) {
                    recorder.bytes(bytes);
                }
                return Ok(Some(Chunk::Bytes(bytes)));
            }
            self.pieces.pop_front();
        }
        Ok(None)
    }

    /// Reads the rest of the content, at most `limit` bytes.
    pub(crate) fn whole_content(&mut self, limit: u64) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        while let Some(chunk) = self.content()? {
            match chunk {
                Chunk::Bytes(bytes) => content.extend_from_slice(bytes),
                Chunk::Hole(zeros) => {
                    let zeros = usize::try_from(zeros.min(limit)).unwrap_or(0);
                    content.resize(content.len() + zeros, 0);
                }
            }
        }
        Ok(content)
    }

    /// Skips the rest of the last member.
    fn finish_member(&mut self) -> io::Result<()> {
        while self.content()?.is_some() {}
        self.kept = false;
        let mut left = std::mem::take(&mut self.padding);
        while left > 0 {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let count = at_most(buffer.len(), left);
            if let Some(recorder) = self.recorder {
                recorder.bytes(&buffer[..count]);
            }
            self.input.consume(count);
            left -= count as u64;
        }
        Ok(())
    }

    fn block(&mut self, block: &mut [u8]) -> Result<()> {
        self.input.read_exact(block).map_err(unreadable)?;
        if let Some(recorder) = self.recorder {
            recorder.bytes(block);
        }
        Ok(())
    }

    /// Reads a header; after the last one, reads to the end.
    fn header(&mut self) -> Result<Option<Header>> {
        let mut header = Header::new_old();
        self.block(header.as_mut_bytes())?;
        let bytes = header.as_bytes();
        if bytes.iter().all(|&byte| byte == 0) {
            return self.end().map(|()| None);
        }
        // The checksum field itself counts as blanks.
        let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>();
        let sum = sum(&bytes[..148]) + 8 * u32::from(b' ') + sum(&bytes[156..]);
        if number(&bytes[148..156])? != i64::from(sum) {
            return Err(malformed("the checksum of a header is wrong"));
        }
        Ok(Some(header))
    }

    /// Reads to the end. A tar ends with two blocks of zeros, and nothing
    /// may follow: bytes that nobody checks have no place in an image.
    fn end(&mut self) -> Result<()> {
        let mut zeros = BLOCK;
        loop {
            let buffer = self.input.fill_buf().map_err(unreadable)?;
            if buffer.is_empty() {
                break;
            }
            if buffer.iter().any(|&byte| byte != 0) {
                let what = "there is data after the end of the archive";
                return Err(Error::invalid(what));
            }
            let count = buffer.len();
            if let Some(recorder) = self.recorder {
                recorder.bytes(buffer);
            }
            zeros = zeros.saturating_add(count);
            self.input.consume(count);
        }
        match zeros >= 2 * BLOCK {
            true => Ok(()),
            false => Err(too_early()),
        }
    }

    /// Reads an extended header.
    fn extended(&mut self, header: &Header) -> Result<Vec<u8>> {
        let size = size(header)?;
        if size > EXTENDED {
            let what = format!("an extended header is longer than {EXTENDED} bytes");
            return Err(malformed(&what));
        }
        self.lies_ahead(size);
        self.whole_content(EXTENDED).map_err(unreadable)
    }

    fn lies_ahead(&mut self, size: u64) {
        self.pieces.clear();
        self.pieces.push_back(Piece {
            hole: 0,
            data: size,
        });
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
    }

    fn member(
        &mut self,
        header: &Header,
        name: Vec<u8>,
        link: Vec<u8>,
        pax: Pax,
    ) -> Result<Member> {
        // The code below relies on all other pieces being multiples of a block.
        const MOST: u64 = u64::MAX >> 1;
        let stored = pax.size.map_or_else(|| size(header), Ok)?;
        let kind = kind(header, &name)?;
        if stored > MOST {
            return Err(malformed("a size is too large"));
        }
        if stored > 0 && kind != MemberKind::File {
            return Err(malformed("an entry that is not a file has content"));
        }
        self.lies_ahead(stored);
        let mut full = stored;
        if header.entry_type() == EntryType::GNUSparse {
            if pax.sparse.is_some() {
                return Err(malformed("a file is sparse in two ways"));
            }
            full = self.old_sparse(header, stored)?;
        } else if let Some(size) = pax.sparse {
            if kind != MemberKind::File {
                return Err(malformed("an entry that is not a file is sparse"));
            }
            self.new_sparse(stored, size)?;
            full = size;
        }
        let fields = header.as_old();
        let mtime = (number(&fields.mtime)?, 0);
        let device = match kind {
            MemberKind::Character | MemberKind::Block => device(header)?,
            _ => (0, 0),
        };
        let id = |said: Option<u64>, field| match said {
            Some(id) => Ok(i64::try_from(id).unwrap_or(i64::MAX)),
            None => number(field),
        };
        Ok(Member {
            name,
            kind,
            link,
            device,
            uid: id(pax.uid, &fields.uid)?,
            gid: id(pax.gid, &fields.gid)?,
            mode: number(&fields.mode)?,
            size: full,
            mtime: pax.mtime.unwrap_or(mtime),
            pax,
        })
    }

    /// Reads the map of a sparse file from its headers, and returns the
    /// size of the file.
    fn old_sparse(&mut self, header: &Header, stored: u64) -> Result<u64> {
        let gnu = header
            .as_gnu()
            .ok_or_else(|| malformed("a file is sparse in a format without sparse files"))?;
        let size = unsigned(&gnu.realsize)?;
        let mut map = Vec::new();
        let add = |map: &mut Vec<(u64, u64)>, sparse: &tar::GnuSparseHeader| {
            // Unused entries are NUL bytes.
            if sparse.offset[0] != 0 {
                map.push((unsigned(&sparse.offset)?, unsigned(&sparse.numbytes)?));
            }
            match map.len() <= PIECES {
                true => Ok(()),
                false => Err(too_many_pieces()),
            }
        };
        for sparse in &gnu.sparse {
            add(&mut map, sparse)?;
        }
        let mut more = gnu.is_extended();
        while more {
            let mut extension = GnuExtSparseHeader::new();
            self.block(extension.as_mut_bytes())?;
            for sparse in &extension.sparse {
                add(&mut map, sparse)?;
            }
            more = extension.is_extended();
        }
        self.pieces = pieces(&map, stored, size)?;
        Ok(size)
    }

    /// Reads the map of a sparse file from the start of its content:
    /// decimal numbers, one on each line, padded with zeros to a block.
    fn new_sparse(&mut self, stored: u64, size: u64) -> Result<()> {
        let mut text = Vec::new();
        let mut numbers = Vec::new();
        let mut count = None;
        let mut start = 0;
        while count.is_none_or(|count| numbers.len() < count) {
            let Some(end) = text[start..].iter().position(|&byte| byte == b'\n') else {
                let mut block = [0; BLOCK];
                if (text.len() + BLOCK) as u64 > stored || text.len() - start > 20 {
                    return Err(malformed("the map of a sparse file is broken"));
                }
                self.block(&mut block)?;
                text.extend_from_slice(&block);
                continue;
            };
            let digits = &text[start..start + end];
            let number: u64 = std::str::from_utf8(digits)
                .ok()
                .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| malformed("the map of a sparse file is broken"))?;
            start += end + 1;
            match count {
                Some(_) => numbers.push(number),
                None => count = usize::try_from(number).ok().and_then(|n| n.checked_mul(2)),
            }
            if count.is_none_or(|count| count > 2 * PIECES) {
                return Err(too_many_pieces());
            }
        }
        let map: Vec<_> = numbers
            .chunks_exact(2)
            .map(|pair| (pair[0], pair[1]))
            .collect();
        let data = stored - text.len() as u64;
        self.pieces = pieces(&map, data, size)?;
        Ok(())
    }
}

/// Makes pieces from a map of offsets and lengths, which must match the size of
/// the file and of the data in the tar.
fn pieces(map: &[(u64, u64)], stored: u64, size: u64) -> Result<VecDeque<Piece>> {
    let broken = || malformed("the map of a sparse file is broken");
    let mut pieces = VecDeque::new();
    let (mut offset, mut data) = (0_u64, 0_u64);
    for &(start, length) in map {
        // Every piece starts at a block: only the last one may be uneven.
        let even = data.is_multiple_of(BLOCK as u64) || length == 0;
        let hole = start.checked_sub(offset).filter(|_| even);
        pieces.push_back(Piece {
            hole: hole.ok_or_else(broken)?,
            data: length,
        });
        offset = start.checked_add(length).ok_or_else(broken)?;
        data = data.checked_add(length).ok_or_else(broken)?;
    }
    let end = size.checked_sub(offset).filter(|_| data == stored);
    pieces.push_back(Piece {
        hole: end.ok_or_else(broken)?,
        data: 0,
    });
    Ok(pieces)
}

fn kind(header: &Header, name: &[u8]) -> Result<MemberKind> {
    Ok(match header.entry_type() {
        // The oldest tar formats mark directories only by the end of their
        // name.
        EntryType::Regular if name.ends_with(b"/") => MemberKind::Directory,
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => MemberKind::File,
        EntryType::Directory => MemberKind::Directory,
        EntryType::Symlink => MemberKind::Symlink,
        EntryType::Link => MemberKind::HardLink,
        EntryType::Char => MemberKind::Character,
        EntryType::Block => MemberKind::Block,
        EntryType::Fifo => MemberKind::Fifo,
        _ => {
            let name = String::from_utf8_lossy(name).escape_debug().to_string();
            return Err(Error::invalid(format!(
                "entry `{name}` has a type that is not supported in images"
            )));
        }
    })
}

fn device(header: &Header) -> Result<(i64, i64)> {
    if let Some(fields) = header.as_gnu() {
        return Ok((number(&fields.dev_major)?, number(&fields.dev_minor)?));
    }
    match header.as_ustar() {
        Some(fields) => Ok((number(&fields.dev_major)?, number(&fields.dev_minor)?)),
        None => Ok((0, 0)),
    }
}

fn size(header: &Header) -> Result<u64> {
    unsigned(&header.as_old().size)
}

/// Returns the value that one of three places has; two of them exclude each
/// other.
fn either(gnu: Option<Vec<u8>>, pax: Option<Vec<u8>>, header: &[u8]) -> Result<Vec<u8>> {
    match (gnu, pax) {
        (Some(_), Some(_)) => Err(malformed("a long name is given twice")),
        (Some(name), None) | (None, Some(name)) => Ok(name),
        (None, None) => Ok(header.to_vec()),
    }
}

/// A long name ends with a NUL byte.
fn long(mut name: Vec<u8>) -> Result<Vec<u8>> {
    while name.last() == Some(&0) {
        name.pop();
    }
    match name.is_empty() {
        true => Err(malformed("a long name is empty")),
        false => Ok(name),
    }
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
    let end = field.iter().position(|&byte| byte == 0);
    let text = field[..end.unwrap_or(field.len())].trim_ascii();
    text.iter().try_fold(0_i64, |value, &byte| match byte {
        b'0'..=b'7' => Ok(value << 3 | i64::from(byte - b'0')),
        _ => Err(broken()),
    })
}

fn at_most(length: usize, limit: u64) -> usize {
    usize::try_from(limit).map_or(length, |limit| length.min(limit))
}

/// Describes an error of the stream: bad data, or a failure to read it.
pub(crate) fn unreadable(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidData => Error::invalid(error.to_string()),
        io::ErrorKind::UnexpectedEof => too_early(),
        _ => Error::new(Kind::Failed, "cannot read it").because(error),
    }
}

fn too_early() -> Error {
    Error::invalid("the archive is truncated")
}

fn too_many_pieces() -> Error {
    malformed(&format!("a sparse file has more than {PIECES} pieces"))
}

fn malformed(what: &str) -> Error {
    Error::invalid(format!("its tar is malformed: {what}"))
}
