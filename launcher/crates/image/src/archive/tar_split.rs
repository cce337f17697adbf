//! An archive without the contents of its files (a "frame"). Together with the
//! unpacked tree, it gives back the archive, byte for byte.
//!
//! An image ID is a hash of the whole tar, so exporting or verifying an image
//! needs every header and every byte of padding. For a tar of 140 MB, these are
//! 6 MB, nearly all zeros, or 200 KB compressed.
//!
//! ```text
//! frame  = gzip of { record }
//! record = 'b' COUNT(8 bytes, little-endian) BYTES      bytes of the tar
//!        | 'z' COUNT(8)                                 so many zeros of the tar
//!        | 'f' SIZE(8) COUNT(8) PATH                    content of a file of rootfs/
//!        | 's' SIZE(8) COUNT(8) PIECES(8) { HOLE(8) DATA(8) } PATH
//!                                                       content of a sparse one, without
//!                                                       its holes
//! ```

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, SeekFrom};
use rustix::io::Errno;

use crate::archive::deflate::Gzip;
use crate::archive::gzip::Gunzip;
use crate::archive::holes::Piece;
use crate::archive::replaced::Replaced;
use sys::root_fd;

/// Records a frame while its archive is read.
pub struct Recorder(RefCell<Recording>);

struct Recording {
    /// The compressed records.
    packed: Gzip<File>,
    /// Why the frame could not be written.
    failure: Option<io::Error>,
    /// Records to compress: many at a time are faster.
    records: Vec<u8>,
    /// Bytes of the tar since the last record.
    bytes: Vec<u8>,
    /// Zeros after them.
    zeros: u64,
}

/// Largest size of a record and of the records to compress, in bytes.
const RECORD: usize = 64 << 10;

/// Zeros are counted in runs of this length. Most of a tar's headers and
/// padding are zeros, which then need not be copied and compressed.
const RUN: usize = 32;

/// Most zeros in a record, so that a damaged frame cannot give zeros forever.
const ZEROS: u64 = 1 << 20;

impl Recorder {
    /// Starts a frame in this file.
    pub(crate) fn new(out: File) -> io::Result<Self> {
        Ok(Self(RefCell::new(Recording {
            packed: Gzip::new(out)?,
            failure: None,
            records: Vec::new(),
            bytes: Vec::new(),
            zeros: 0,
        })))
    }

    /// Records that the next bytes of the tar are the content of this file:
    /// its pieces without their holes.
    pub(crate) fn content(&self, path: &Path, pieces: &[Piece]) {
        let mut recording = self.0.borrow_mut();
        recording.flush();
        let path = path.as_os_str().as_bytes();
        let record = &mut recording.records;
        match pieces {
            [Piece { hole: 0, data }] => {
                record.push(b'f');
                record.extend(data.to_le_bytes());
                record.extend((path.len() as u64).to_le_bytes());
            }
            pieces => {
                record.push(b's');
                let size: u64 = pieces.iter().map(|piece| piece.hole + piece.data).sum();
                record.extend(size.to_le_bytes());
                record.extend((path.len() as u64).to_le_bytes());
                record.extend((pieces.len() as u64).to_le_bytes());
                for piece in pieces {
                    record.extend(piece.hole.to_le_bytes());
                    record.extend(piece.data.to_le_bytes());
                }
            }
        }
        record.extend_from_slice(path);
    }

    /// Records bytes of the tar that are not in a file.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        let mut recording = self.0.borrow_mut();
        let runs = bytes.rchunks(RUN);
        let zeros = runs.take_while(|run| [0; RUN].starts_with(run));
        let (bytes, zeros) = bytes.split_at(bytes.len() - zeros.map(<[u8]>::len).sum::<usize>());
        if !bytes.is_empty() {
            if recording.zeros > 0 || recording.bytes.len() > RECORD {
                recording.flush();
            }
            recording.bytes.extend_from_slice(bytes);
        }
        recording.zeros += zeros.len() as u64;
    }

    /// Writes the rest of the frame.
    ///
    /// # Errors
    ///
    /// Any part of the frame could not be written.
    pub(crate) fn finish(self) -> io::Result<()> {
        let mut recording = self.0.into_inner();
        recording.flush();
        recording.pack();
        match recording.failure {
            Some(failure) => Err(failure),
            None => recording.packed.finish(),
        }
    }
}

impl Recording {
    /// Makes records of the bytes and zeros so far.
    fn flush(&mut self) {
        if !self.bytes.is_empty() {
            self.records.push(b'b');
            self.records.extend((self.bytes.len() as u64).to_le_bytes());
            self.records.append(&mut self.bytes);
        }
        while self.zeros > 0 {
            let zeros = self.zeros.min(ZEROS);
            self.records.push(b'z');
            self.records.extend(zeros.to_le_bytes());
            self.zeros -= zeros;
        }
        if self.records.len() > RECORD {
            self.pack();
        }
    }

    fn pack(&mut self) {
        if self.failure.is_none() {
            self.failure = self.packed.write(&self.records).err();
        }
        self.records.clear();
    }
}

/// Reads the archive back from its frame and tree. Reading fails if the frame is
/// damaged, or a file of the tree is not what it has to be for its part of the
/// archive; that its content is another one is for the reader to find out.
pub(crate) struct Restored {
    frame: BufReader<Gunzip<Cursor<Vec<u8>>>>,
    rootfs: OwnedFd,
    replaced: Replaced,
    rest: Rest,
}

/// What is left of a record.
enum Rest {
    Bytes(u64),
    Zeros(u64),
    Content(Content),
}

/// What is left of the content of a file.
struct Content {
    path: PathBuf,
    file: File,
    pieces: VecDeque<Piece>,
}

impl Restored {
    /// Starts at the first byte.
    pub(crate) fn new(frame: Vec<u8>, rootfs: OwnedFd, replaced: Replaced) -> Self {
        Self {
            frame: BufReader::new(Gunzip::new(Cursor::new(frame))),
            rootfs,
            replaced,
            rest: Rest::Zeros(0),
        }
    }

    /// Begins the next record; tells whether there is one.
    fn next(&mut self) -> io::Result<bool> {
        let mut kind = [0];
        if self.frame.read(&mut kind)? == 0 {
            return Ok(false);
        }
        let size = number(&mut self.frame)?;
        self.rest = match kind[0] {
            b'b' => Rest::Bytes(size),
            b'z' if size <= ZEROS => Rest::Zeros(size),
            b'f' => Rest::Content(self.content(size, false)?),
            b's' => Rest::Content(self.content(size, true)?),
            _ => return Err(damaged()),
        };
        Ok(true)
    }

    /// Opens the file that a record names.
    fn content(&mut self, size: u64, sparse: bool) -> io::Result<Content> {
        let length = number(&mut self.frame)?;
        let pieces = match sparse {
            true => pieces(&mut self.frame)?,
            false => VecDeque::from([Piece {
                hole: 0,
                data: size,
            }]),
        };
        let mut path = Vec::new();
        (&mut self.frame).take(length).read_to_end(&mut path)?;
        if path.len() as u64 != length {
            return Err(damaged());
        }
        let path = PathBuf::from(OsString::from_vec(path));
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let opened = match self.replaced.next(&path, flags) {
            Ok(None) => root_fd::open(&self.rootfs, &path, flags),
            Ok(Some(replaced)) => Ok(replaced),
            Err(error) => Err(error),
        };
        let fd = opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => differs(&path, "is missing"),
            _ => changed(&path),
        })?;
        let file = File::from(fd);
        let status = file.metadata()?;
        if !status.is_file() || status.len() != size {
            return Err(changed(&path));
        }
        Ok(Content { path, file, pieces })
    }
}

impl Read for Restored {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = match &mut self.rest {
                Rest::Bytes(0) | Rest::Zeros(0) => 0,
                Rest::Bytes(left) => {
                    let count = (&mut self.frame).take(*left).read(buffer)?;
                    *left -= count as u64;
                    match count {
                        0 if !buffer.is_empty() => return Err(damaged()),
                        count => count,
                    }
                }
                Rest::Zeros(left) => {
                    let count = io::repeat(0).take(*left).read(buffer)?;
                    *left -= count as u64;
                    count
                }
                Rest::Content(content) => content.read(buffer)?,
            };
            if count > 0 || buffer.is_empty() || !self.next()? {
                return Ok(count);
            }
        }
    }
}

impl Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(piece) = self.pieces.front_mut() {
            if piece.hole > 0 {
                let end = self.file.stream_position()?.saturating_add(piece.hole);
                if !skip_zeros(&self.file, end)? {
                    return Err(differs(&self.path, "has other contents"));
                }
                piece.hole = 0;
            }
            if piece.data > 0 {
                let count = (&self.file).take(piece.data).read(buffer)?;
                if count == 0 {
                    return Err(changed(&self.path));
                }
                piece.data -= count as u64;
                return Ok(count);
            }
            self.pieces.pop_front();
        }
        Ok(0)
    }
}

fn pieces(frame: &mut impl Read) -> io::Result<VecDeque<Piece>> {
    let mut pieces = VecDeque::new();
    for _ in 0..number(frame)? {
        pieces.push_back(Piece {
            hole: number(frame)?,
            data: number(frame)?,
        });
    }
    Ok(pieces)
}

fn changed(path: &Path) -> io::Error {
    differs(path, "has another size or kind")
}

fn differs(path: &Path, how: &str) -> io::Error {
    let what = format!("`/{}` {how}", path.display());
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Skips to an offset of a file; tells whether there are only zeros before it.
fn skip_zeros(mut file: &File, end: u64) -> io::Result<bool> {
    let start = file.stream_position()?;
    // Holes need not be read.
    let data = match rustix::fs::seek(file, SeekFrom::Data(start)) {
        Ok(data) => data.min(end),
        Err(Errno::NXIO) => end,
        Err(Errno::INVAL) => start,
        Err(errno) => return Err(errno.into()),
    };
    file.seek(io::SeekFrom::Start(data))?;
    let mut buffer = [0; 16 << 10];
    let mut left = end.saturating_sub(data);
    while left > 0 {
        let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = file.read(&mut buffer[..most])?;
        if count == 0 || buffer[..count].iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
        left -= count as u64;
    }
    Ok(true)
}

fn number(reader: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the frame is damaged")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::archive::disk::Disk;
    use crate::archive::extract::Extract;
    use crate::archive::walk::{Entry, Limits};
    use crate::format::aci::walk;

    fn archive() -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |name: &str, kind, content: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(0o755);
            header.set_mtime(1);
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, content).unwrap();
        };
        use tar::EntryType as Type;
        add("rootfs", Type::Directory, b"");
        add("rootfs/empty", Type::Regular, b"");
        add("rootfs/small", Type::Regular, b"some content");
        add(
            &format!("rootfs/{}", "long".repeat(60)),
            Type::Regular,
            &[7; 5000],
        );
        add("manifest", Type::Regular, b"{}");
        tar.into_inner().unwrap()
    }

    fn restore(frame: &[u8], root: &File) -> io::Result<Vec<u8>> {
        let root = root.try_clone().unwrap().into();
        let mut back = Vec::new();
        Restored::new(frame.to_vec(), root, Replaced::default()).read_to_end(&mut back)?;
        Ok(back)
    }

    /// Creates a file and reads it back.
    fn frame() -> (File, impl FnOnce() -> Vec<u8>) {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let file = File::from(rustix::fs::memfd_create("frame", flags).unwrap());
        let mut again = file.try_clone().unwrap();
        let read = move || {
            let mut frame = Vec::new();
            again.rewind().unwrap();
            again.read_to_end(&mut frame).unwrap();
            frame
        };
        (file, read)
    }

    #[test]
    fn frame_and_tree_give_the_archive_back_until_a_file_changes() {
        let tar = archive();
        let name = format!("nosecone-frame-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        let root = File::open(&path).unwrap();
        let mut extract = Extract::new(Disk::new(root.try_clone().unwrap().into()).unwrap());
        let (file, frame) = frame();
        let recorder = Recorder::new(file).unwrap();
        let mut visit = |entry: Entry<'_, '_>| extract.entry(entry);
        walk(
            &mut tar.as_slice(),
            &Limits::default(),
            Some(&recorder),
            &mut visit,
        )
        .unwrap();
        extract.tree.settle().unwrap();
        recorder.finish().unwrap();
        let frame = frame();
        assert!(frame.len() < 1000, "{}", frame.len());

        let back = restore(&frame, &root).unwrap();
        assert!(back == tar);

        std::fs::write(path.join("small"), "some other content").unwrap();
        let error = restore(&frame, &root).unwrap_err();
        assert_eq!(error.to_string(), "`/small` has another size or kind");
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn zeros_are_counted_and_no_frame_gives_them_for_ever() {
        let root = File::open("/").unwrap();
        let tar = [vec![1; 100], vec![0; 3 << 20], vec![2], vec![0; 31]].concat();
        let (file, frame) = frame();
        let recorder = Recorder::new(file).unwrap();
        for piece in tar.chunks(100_000) {
            recorder.bytes(piece);
        }
        recorder.finish().unwrap();
        let frame = frame();
        assert!(frame.len() < 1000, "{}", frame.len());
        let back = restore(&frame, &root).unwrap();
        assert!(back == tar);

        let mut endless = Vec::new();
        let mut gzip = Gzip::new(&mut endless).unwrap();
        gzip.write(b"z").unwrap();
        gzip.write(&u64::MAX.to_le_bytes()).unwrap();
        gzip.finish().unwrap();
        let error = restore(&endless, &root).unwrap_err();
        assert_eq!(error.to_string(), "the frame is damaged");
    }
}
