//! What unpacks to disk, whatever the rules of the format are.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::archive::disk::Disk;
use crate::archive::extract::Extract;
use crate::archive::walk::Entry;
use error::Result;

/// What makes a tree on disk of the entries of an archive.
pub(crate) trait Unpack {
    /// Unpacks one entry.
    ///
    /// # Errors
    ///
    /// The entry is refused; errors of the disk.
    fn entry(&mut self, entry: Entry<'_, '_>) -> Result<()>;

    /// Waits until all files are written. Call it after the last entry.
    ///
    /// # Errors
    ///
    /// A file could not be written. If an entry failed, this may be the actual
    /// cause.
    fn settle(&mut self) -> Result<()>;

    /// Completes the tree.
    ///
    /// # Errors
    ///
    /// Errors of the disk.
    fn finish(self) -> Result<Made>;
}

/// What is to be known of a tree besides its files.
#[derive(Default)]
pub(crate) struct Made {
    /// The directories that have no entry; `.` is the root.
    pub(crate) implicit: BTreeSet<PathBuf>,
    /// Whether it would be another tree on top of other layers.
    pub(crate) depends: bool,
    /// The devices that were left out, since an overlay would take them for whiteouts.
    pub(crate) left_out: Vec<PathBuf>,
}

impl Unpack for Extract<Disk> {
    fn entry(&mut self, entry: Entry<'_, '_>) -> Result<()> {
        Extract::entry(self, entry)
    }

    fn settle(&mut self) -> Result<()> {
        self.tree.settle()
    }

    fn finish(self) -> Result<Made> {
        let (disk, implicit) = self.done();
        disk.finish()?;
        Ok(Made {
            implicit,
            depends: false,
            left_out: Vec::new(),
        })
    }
}
