//! What composing a plan asks of a root file system, wherever that is: in the
//! store, or still in an archive that nobody has unpacked.

use crate::ground::Result;

/// A root file system that can be asked, not changed. Paths are relative to
/// the root and cannot lead out of it.
pub(crate) trait Rootfs {
    /// Returns the content of a small regular file, or `None` if there is none.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>>;

    /// Returns the owner of whatever has this path, or `None` if nothing has.
    fn owner(&self, path: &str) -> Result<Option<Owner>>;

    /// Tells whether the path is a directory.
    fn is_dir(&self, path: &str) -> Result<bool>;
}

/// Who a file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Its user.
    pub(crate) uid: u32,
    /// Its group.
    pub(crate) gid: u32,
}
