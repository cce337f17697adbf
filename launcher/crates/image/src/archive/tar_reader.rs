//! Reads the members of a tar archive in order: headers, extended headers, and
//! contents with holes.
//!
//! What GNU tar, libarchive and the reference implementation all read is read
//! here, as they read it. Where readers disagree, nothing is guessed, and the
//! archive is rejected: a scanner must not see other files than are unpacked.
//! Rejected are, with that as the reason:
//!
//! | what                                         | how readers differ               |
//! |----------------------------------------------|----------------------------------|
//! | data behind the end, also behind one zero    | passed over, or members          |
//! | a size, in a PAX record, of what is no file  | content is passed over, or not   |
//! | a size of a hard link in a PAX archive       | the same                         |
//! | a size of a directory that is marked by `/`  | the same                         |
//! | digits behind a NUL byte, letters in numbers | another number, zero, or refused |
//! | a name in both a GNU and a PAX header        | the one or the other             |
//! | two extended headers of a kind in a row      | the last, or both                |
//! | a PAX record that is empty or given twice    | the last, the first, or none     |
//! | the same in a global header                  | for all members, or for none     |
//! | members of other types                       | skipped, or unpacked as files    |
//!
//! Contents are borrowed from the input's buffer.
//!
//! Source: POSIX.1-2017, pax, "ustar Interchange Format"; the GNU tar manual,
//! "Basic Tar Format".

use std::collections::VecDeque;
use std::io::{self, BufRead};
use std::path::Path;

use crate::archive::fixed_header::{self, BLOCK, FixedHeader, malformed};
use crate::archive::holes::{PIECES, Piece};
use crate::archive::pax::Pax;
use crate::archive::sparse::{self, Sparse, TextMap};
use crate::archive::tar_split::Recorder;
use error::{Error, Kind, Result};
use sys::size;

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
    /// The bytes that were read, without what was lent out.
    read: u64,
    /// Where the last member starts.
    start: u64,
    /// Whether it is known where the next member starts.
    follows: bool,
    /// Whether there was a PAX header.
    pax: bool,
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
            read: 0,
            start: 0,
            follows: true,
            pax: false,
        }
    }

    /// Returns where the last member starts, with its extended headers: an
    /// offset in the uncompressed tar.
    pub(crate) fn position(&self) -> u64 {
        self.start
    }

    /// Returns whether an error concerns the last member only, so that the
    /// next one can be read.
    pub(crate) fn can_go_on(&self) -> bool {
        self.follows
    }

    /// Returns the next member; `None` after the last, when the whole input
    /// was read.
    pub(crate) fn next(&mut self) -> Result<Option<Member>> {
        let (mut name, mut link, mut pax) = (None, None, None);
        self.follows = false;
        self.finish_member().map_err(unreadable)?;
        self.start = self.read;
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
            match header.kind() {
                b'L' => {
                    twice(name.is_some())?;
                    name = Some(long(self.extended(&header)?)?);
                }
                b'K' => {
                    twice(link.is_some())?;
                    link = Some(long(self.extended(&header)?)?);
                }
                b'x' => {
                    twice(pax.is_some())?;
                    self.pax = true;
                    pax = Some(Pax::parse(&self.extended(&header)?)?);
                }
                b'g' => {
                    self.pax = true;
                    Pax::check_global(&self.extended(&header)?)?;
                }
                _ => {
                    let mut pax = pax.unwrap_or_default();
                    let name = either(name, pax.path.take(), || header.name())?;
                    let link = either(link, pax.link.take(), || header.link().to_vec())?;
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
        let given = std::mem::take(&mut self.given);
        self.consume(given);
        while let Some(piece) = self.pieces.front_mut() {
            if piece.hole > 0 {
                return Ok(Some(Chunk::Hole(std::mem::take(&mut piece.hole))));
            }
            if piece.data > 0 {
                // Until there is some, the next member cannot be found.
                let follows = std::mem::take(&mut self.follows);
                let buffer = self.input.fill_buf()?;
                if buffer.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.follows = follows;
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
            self.consume(count);
            left -= count as u64;
        }
        Ok(())
    }

    fn consume(&mut self, count: usize) {
        self.input.consume(count);
        self.read += count as u64;
    }

    fn block(&mut self) -> Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        self.input.read_exact(&mut block).map_err(unreadable)?;
        self.read += BLOCK as u64;
        if let Some(recorder) = self.recorder {
            recorder.bytes(&block);
        }
        Ok(block)
    }

    /// Reads a header; after the last one, reads to the end: two blocks of
    /// zeros, one, or none, as programs write it.
    fn header(&mut self) -> Result<Option<FixedHeader>> {
        if self.input.fill_buf().map_err(unreadable)?.is_empty() {
            return Ok(None);
        }
        let header = FixedHeader::new(self.block()?);
        if header.is_zero() {
            return self.end().map(|()| None);
        }
        match header.is_sound() {
            true => Ok(Some(header)),
            false => Err(malformed("the checksum of a header is wrong")),
        }
    }

    /// Reads to the end. Only zeros may follow: bytes that nobody checks have
    /// no place in an image.
    fn end(&mut self) -> Result<()> {
        loop {
            let buffer = self.input.fill_buf().map_err(unreadable)?;
            if buffer.is_empty() {
                return Ok(());
            }
            if buffer.iter().any(|&byte| byte != 0) {
                let what = "there is data after the end of the archive";
                return Err(Error::invalid(what));
            }
            let count = buffer.len();
            if let Some(recorder) = self.recorder {
                recorder.bytes(buffer);
            }
            self.consume(count);
        }
    }

    /// Reads an extended header.
    fn extended(&mut self, header: &FixedHeader) -> Result<Vec<u8>> {
        let size = header.size()?;
        if size > EXTENDED {
            let most = size::spell(EXTENDED);
            let what = format!("an extended header is longer than {most}");
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
        header: &FixedHeader,
        name: Vec<u8>,
        link: Vec<u8>,
        pax: Pax,
    ) -> Result<Member> {
        // The code below relies on all other pieces being multiples of a block.
        const MOST: u64 = u64::MAX >> 1;
        let kind = kind(header.kind(), &name);
        let stored = match kind {
            Some(MemberKind::File) | None => pax.size.map_or_else(|| header.size(), Ok)?,
            Some(kind) => self.no_content(header, kind, &pax)?,
        };
        if stored > MOST {
            return Err(malformed("a size is too large"));
        }
        self.lies_ahead(stored);
        let full = match (&pax.sparse, header.kind()) {
            (None, b'S') => self.old_sparse(header, stored)?,
            (Some(_), b'S') => return Err(malformed("a file is sparse in two ways")),
            (Some(_), _) if kind != Some(MemberKind::File) => {
                return Err(malformed("an entry that is not a file is sparse"));
            }
            (Some(sparse), _) => self.new_sparse(stored, sparse)?,
            (None, _) => stored,
        };
        // Whatever is wrong now concerns this member alone.
        self.follows = true;
        let kind = kind.ok_or_else(|| {
            let name = String::from_utf8_lossy(&name).escape_debug().to_string();
            Error::invalid(format!(
                "entry `{name}` has a type that is not supported in images"
            ))
        })?;
        let device = match kind {
            MemberKind::Character | MemberKind::Block => header.device()?,
            _ => (0, 0),
        };
        let id = |said: Option<u64>, field| match said {
            Some(id) => Ok(i64::try_from(id).unwrap_or(i64::MAX)),
            None => field,
        };
        let mtime = header.mtime()?;
        Ok(Member {
            name,
            kind,
            link,
            device,
            uid: id(pax.uid, header.uid())?,
            gid: id(pax.gid, header.gid())?,
            mode: header.mode()?,
            size: full,
            mtime: pax.mtime.unwrap_or((mtime, 0)),
            pax,
        })
    }

    /// Returns the size of the content of what is not a file: there is none,
    /// whatever size its fixed header has. Some programs write the length of
    /// a link there, or the size of the file that a hard link leads to.
    fn no_content(&self, header: &FixedHeader, kind: MemberKind, pax: &Pax) -> Result<u64> {
        let size = header.size()?;
        let doubtful = match kind {
            MemberKind::HardLink => self.pax,
            MemberKind::Directory => header.kind() != b'5',
            _ => false,
        };
        match pax.size.is_some_and(|size| size > 0) || (doubtful && size > 0) {
            true => Err(malformed("an entry that is not a file has content")),
            false => Ok(0),
        }
    }

    /// Reads the map of a sparse file from its headers, and returns the
    /// size of the file.
    fn old_sparse(&mut self, header: &FixedHeader, stored: u64) -> Result<u64> {
        let size = header.sparse_size()?;
        let mut map = Vec::new();
        let mut more = header.sparse_map(&mut map)?;
        while more {
            more = fixed_header::more_of_map(&self.block()?, &mut map)?;
            if map.len() > PIECES {
                return Err(sparse::too_many());
            }
        }
        self.pieces = sparse::pieces(&map, stored, size)?;
        Ok(size)
    }

    /// Reads the map of a sparse file from its PAX header or the start of its
    /// content, and returns the size of the file.
    fn new_sparse(&mut self, stored: u64, sparse: &Sparse) -> Result<u64> {
        if let Some(map) = &sparse.map {
            self.pieces = sparse::pieces(map, stored, sparse.size)?;
            return Ok(sparse.size);
        }
        let mut text = TextMap::default();
        while !text.is_complete()? {
            if text.length() + BLOCK as u64 > stored {
                return Err(sparse::broken());
            }
            text.add(&self.block()?);
        }
        let data = stored - text.length();
        self.pieces = sparse::pieces(&text.pairs(), data, sparse.size)?;
        Ok(sparse.size)
    }
}

/// Returns the type of a member; `None` if images have no such members.
fn kind(letter: u8, name: &[u8]) -> Option<MemberKind> {
    Some(match letter {
        // The oldest tar formats mark directories only by the end of their
        // name.
        b'0' | b'\0' if name.ends_with(b"/") => MemberKind::Directory,
        b'0' | b'\0' | b'7' | b'S' => MemberKind::File,
        b'1' => MemberKind::HardLink,
        b'2' => MemberKind::Symlink,
        b'3' => MemberKind::Character,
        b'4' => MemberKind::Block,
        b'5' => MemberKind::Directory,
        b'6' => MemberKind::Fifo,
        _ => return None,
    })
}

/// Returns the value that one of three places has; two of them exclude each
/// other.
fn either(
    gnu: Option<Vec<u8>>,
    pax: Option<Vec<u8>>,
    header: impl Fn() -> Vec<u8>,
) -> Result<Vec<u8>> {
    match (gnu, pax) {
        (Some(_), Some(_)) => Err(malformed("a long name is given twice")),
        (Some(name), None) | (None, Some(name)) => Ok(name),
        (None, None) => Ok(header()),
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

fn at_most(length: usize, limit: u64) -> usize {
    usize::try_from(limit).map_or(length, |limit| length.min(limit))
}

/// Describes an error of the stream: bad data, or a failure to read it.
pub(crate) fn unreadable(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidData => error
            .downcast()
            .unwrap_or_else(|error| Error::invalid(error.to_string())),
        io::ErrorKind::UnexpectedEof => too_early(),
        _ => Error::new(Kind::Failed, "cannot read it").because(error),
    }
}

fn too_early() -> Error {
    Error::invalid("the archive is truncated")
}
