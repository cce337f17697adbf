//! An archive without the contents of its files: together with the unpacked
//! tree it gives the archive back, byte for byte.
//!
//! An image ID is a hash of all bytes of a tar, so an image can only be
//! exported, or verified later, if every header and every byte of padding is
//! kept. Of a tar of 140 MB these are 6 MB, nearly all zeros, 200 KB compressed.
//!
//! ```text
//! frame  = gzip of { record }
//! record = 'b' COUNT(8 bytes, little-endian) BYTES      bytes of the tar
//!        | 'f' SIZE(8) COUNT(8) PATH                    content of a file of rootfs/
//! ```

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::OFlags;

use super::deflate::Gzip;
use super::gzip::Gunzip;
use crate::ground::beneath;

/// Where a frame is recorded while its archive is read.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Rc<RefCell<Recording>>);

#[derive(Default)]
struct Recording {
    /// The records so far.
    packed: Gzip,
    /// Bytes of the tar since the last record.
    bytes: Vec<u8>,
    /// Bytes of content that are still to come.
    skip: u64,
}

impl Recorder {
    /// The next `size` bytes of the tar are the content of this file.
    pub(crate) fn content(&self, path: &Path, size: u64) {
        let mut recording = self.0.borrow_mut();
        recording.flush();
        recording.skip = size;
        let path = path.as_os_str().as_bytes();
        let mut record = vec![b'f'];
        record.extend(size.to_le_bytes());
        record.extend((path.len() as u64).to_le_bytes());
        record.extend_from_slice(path);
        recording.put(&record);
    }

    /// These bytes of the tar were read.
    pub(crate) fn read(&self, bytes: &[u8]) {
        let mut recording = self.0.borrow_mut();
        let skipped = recording.skip.min(bytes.len() as u64);
        recording.skip -= skipped;
        let rest = usize::try_from(skipped).unwrap_or(bytes.len());
        recording.bytes.extend_from_slice(&bytes[rest..]);
    }

    /// Returns the frame.
    pub(crate) fn finish(&self) -> Vec<u8> {
        let mut recording = self.0.borrow_mut();
        recording.flush();
        std::mem::take(&mut recording.packed).finish()
    }
}

impl Recording {
    fn flush(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let mut record = vec![b'b'];
        record.extend((bytes.len() as u64).to_le_bytes());
        record.extend_from_slice(&bytes);
        self.put(&record);
        self.bytes = bytes;
        self.bytes.clear();
    }

    fn put(&mut self, record: &[u8]) {
        self.packed.write(record);
    }
}

/// Writes the archive that a frame and a tree came from.
///
/// # Errors
///
/// The frame is damaged, or a file of the tree has not the size that it had.
pub(crate) fn restore(frame: &[u8], rootfs: BorrowedFd<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut frame = Gunzip::new(frame);
    let mut kind = [0];
    while frame.read(&mut kind)? == 1 {
        let count = number(&mut frame)?;
        match kind[0] {
            b'b' => exactly(&mut frame, count, out)?,
            b'f' => {
                let length = number(&mut frame)?;
                let mut path = Vec::new();
                exactly(&mut frame, length, &mut path)?;
                let path = Path::new(OsStr::from_bytes(&path));
                file(rootfs, path, count, out)?;
            }
            _ => return Err(damaged()),
        }
    }
    Ok(())
}

fn file(rootfs: BorrowedFd<'_>, path: &Path, size: u64, out: &mut dyn Write) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let changed = || {
        let what = format!("`{}` is not as it was", path.display());
        io::Error::new(io::ErrorKind::InvalidData, what)
    };
    let fd = beneath::open(rootfs, path, flags).map_err(|_| changed())?;
    let file = std::fs::File::from(fd);
    let status = file.metadata()?;
    if !status.is_file() || status.len() != size {
        return Err(changed());
    }
    exactly(&mut &file, size, out)
}

fn number(reader: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn exactly(reader: &mut impl Read, count: u64, out: &mut dyn Write) -> io::Result<()> {
    match io::copy(&mut reader.take(count), out)? {
        copied if copied == count => Ok(()),
        _ => Err(damaged()),
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the frame is damaged")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;
    use crate::image::archive::{Limits, walk};
    use crate::image::extract::Extract;

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

    #[test]
    fn frame_and_tree_give_the_archive_back_until_a_file_changes() {
        let tar = archive();
        let name = format!("nosecone-frame-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        let root = std::fs::File::open(&path).unwrap();
        let mut extract = Extract::new(root.as_fd());
        let recorder = Recorder::default();
        let mut visit = |entry: crate::image::archive::Entry<'_>| extract.entry(entry);
        walk(
            tar.as_slice(),
            &Limits::default(),
            Some(&recorder),
            &mut visit,
        )
        .unwrap();
        let frame = recorder.finish();
        assert!(frame.len() < 1000, "{}", frame.len());

        let mut back = Vec::new();
        restore(&frame, root.as_fd(), &mut back).unwrap();
        assert!(back == tar);

        std::fs::write(path.join("small"), "some other content").unwrap();
        let error = restore(&frame, root.as_fd(), &mut io::sink()).unwrap_err();
        assert_eq!(error.to_string(), "`small` is not as it was");
        std::fs::remove_dir_all(path).unwrap();
    }
}
