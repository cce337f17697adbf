//! What composing a plan needs to know about a root file system, whether it is
//! in the store or in an archive that has not been unpacked.

use std::path::PathBuf;

use error::Result;

/// A read-only view of a root file system. Paths are relative to the root;
/// links in them are followed, and cannot lead out of it.
pub trait Rootfs {
    /// Returns the first bytes of a regular file, at most `limit`, or `None` if
    /// it does not exist.
    fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>>;

    /// Returns the status of a path, or `None` if it does not exist. The empty
    /// path is the root itself.
    fn status(&self, path: &str) -> Result<Option<Status>>;

    /// Returns whether a path exists, even as a dangling link.
    fn has(&self, path: &str) -> Result<bool>;

    /// Returns whether a directory is empty; also true if it does not exist or
    /// is not a directory.
    fn is_empty(&self, path: &str) -> Result<bool>;

    /// Returns the path without links of what exists, relative to the root. `None`
    /// if nothing does, or only an archive that is not unpacked has it.
    fn real(&self, path: &str) -> Result<Option<PathBuf>> {
        let _ = path;
        Ok(None)
    }
}

/// The status of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whether it is a directory.
    pub directory: bool,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its permission bits, at most `0o7777`.
    pub mode: u32,
}
