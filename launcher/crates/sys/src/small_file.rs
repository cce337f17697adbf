//! Reads small files whole, in as few system calls as possible.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::path::Arg;

/// How many bytes are asked for at first: few of our files are longer.
const FIRST: usize = 8 << 10;

/// Reads a file from its current position, at most `limit` bytes.
///
/// It must be one that ends where a read returns less than was asked for: a
/// regular file (read(2)), or a file of procfs that is a single record, such as
/// `stat`. Lists in procfs, such as `mountinfo`, are read a page at a time.
pub fn read(file: impl AsFd, limit: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    while content.len() < limit {
        let asked = content.len().max(FIRST).min(limit - content.len());
        content.reserve_exact(asked);
        let room = content.capacity() - content.len();
        match rustix::io::read(&file, spare_capacity(&mut content)) {
            Ok(count) if count < room => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    content.truncate(limit);
    Ok(content)
}

/// Reads a file from its current position to its end. It may be a list in procfs,
/// such as `mountinfo`, of which each read returns a page at most.
pub fn read_list(file: impl AsFd) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        content.reserve(FIRST);
        match rustix::io::read(&file, spare_capacity(&mut content)) {
            Ok(0) => return Ok(content),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Opens a file in a directory that only we write to, without following links,
/// and reads it; `None` if it does not exist.
pub fn find(directory: impl AsFd, path: impl Arg, limit: usize) -> io::Result<Option<Vec<u8>>> {
    // Without O_NONBLOCK, opening a fifo would block.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(directory, path, flags, Mode::empty()) {
        Ok(file) => read(file, limit).map(Some),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Opens a file of procfs or sysfs that is a single record, and reads it.
pub fn text(path: &str) -> io::Result<String> {
    utf8(read(open(path)?, usize::MAX)?)
}

/// Opens a file of procfs that is a list, and reads it.
pub fn list(path: &str) -> io::Result<String> {
    utf8(read_list(open(path)?)?)
}

fn open(path: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
}

fn utf8(content: Vec<u8>) -> io::Result<String> {
    String::from_utf8(content).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn files_of_any_length_are_read_up_to_the_limit() {
        let path = std::env::temp_dir().join(format!("nosecone-small-{}", std::process::id()));
        for length in [0, 1, FIRST - 1, FIRST, FIRST + 1, 2 * FIRST, 5 * FIRST + 7] {
            let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            std::fs::write(&path, &bytes).unwrap();
            let file = std::fs::File::open(&path).unwrap();
            assert_eq!(read_list(file).unwrap(), bytes, "{length}");
            for limit in [0, 1, FIRST, length, length + 1, usize::MAX] {
                let file = std::fs::File::open(&path).unwrap();
                let expected = &bytes[..length.min(limit)];
                assert_eq!(read(&file, limit).unwrap(), expected, "{length} {limit}");
            }
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_record_of_procfs_is_read_whole() {
        let stat = text("/proc/self/stat").unwrap();
        assert!(stat.ends_with('\n'), "{stat}");
        let mounts = list("/proc/self/mountinfo").unwrap();
        assert_eq!(
            mounts,
            std::fs::read_to_string("/proc/self/mountinfo").unwrap()
        );
        let error = text("/proc/self/none").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
