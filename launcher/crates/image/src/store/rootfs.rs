//! What composing a plan asks of a root file system, wherever that is: in the
//! store, or still in an archive that nobody has unpacked.

use error::Result;

/// A root file system that can be asked, not changed. Paths are relative to
/// the root; links in them are followed, and cannot lead out of it.
pub trait Rootfs {
    /// Returns the first bytes of a regular file, at most `limit`, or `None`
    /// if there is none.
    fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>>;

    /// Returns what is known of whatever has this path, or `None` if nothing
    /// has. The empty path is the root itself.
    fn status(&self, path: &str) -> Result<Option<Status>>;

    /// Tells whether something has this path, if only a link that leads nowhere.
    fn has(&self, path: &str) -> Result<bool>;

    /// Tells whether nothing is in the directory that has this path. What is
    /// no directory, or not there, has nothing in it.
    fn is_empty(&self, path: &str) -> Result<bool>;
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// It is a directory.
    pub directory: bool,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its permission bits, at most `0o7777`.
    pub mode: u32,
}
