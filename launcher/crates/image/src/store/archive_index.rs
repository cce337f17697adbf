//! The index of archive files: which image an archive became when it was
//! stored.
//!
//! ```text
//! names/file-...     the ID of an archive; what names it is what the file system says of it
//! ```

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::digest::Digest;
use error::{Context as _, Error, Result};
use sys::dirs::Dirs;

/// An entry of the index: a file in `names/` that holds the ID of an archive,
/// or nothing yet.
pub(crate) struct ArchiveEntry(File);

impl ArchiveEntry {
    /// Opens the entry of an archive.
    pub(crate) fn of(dirs: &Dirs, file: &File, name: &str) -> Result<Self> {
        let what = || format!("cannot examine image `{name}`");
        let status = file.metadata().context(what)?;
        if !status.is_file() {
            return Err(Error::invalid(format!(
                "image `{name}` is not a regular file"
            )));
        }
        // Changing a file changes its ctime, which cannot be set.
        let name = format!(
            "file-{:x}-{:x}-{:x}-{:x}.{:x}-{:x}.{:x}",
            status.dev(),
            status.ino(),
            status.size(),
            status.mtime(),
            status.mtime_nsec(),
            status.ctime(),
            status.ctime_nsec(),
        );
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat(dirs.names()?, &name, flags, mode)
            .context(|| "cannot write the index of archives")?;
        Ok(Self(File::from(file)))
    }

    /// Returns the ID, if it has been written.
    pub(crate) fn read(&self) -> Result<Option<Digest>> {
        let mut text = [0; 256];
        let count = rustix::io::pread(&self.0, &mut text, 0)
            .context(|| "cannot read the index of archives")?;
        // If a crash left only part of it, it counts as empty.
        let text = std::str::from_utf8(&text[..count]).unwrap_or_default();
        Ok(text
            .strip_suffix('\n')
            .and_then(|id| Digest::parse(id).ok()))
    }

    /// Waits until no other process is storing the archive.
    pub(crate) fn lock(&self) -> Result<()> {
        rustix::fs::flock(&self.0, FlockOperation::LockExclusive)
            .context(|| "cannot wait for another process that is storing the image")
    }

    /// Writes the ID.
    pub(crate) fn write(&self, id: &Digest) -> Result<()> {
        rustix::io::pwrite(&self.0, format!("{id}\n").as_bytes(), 0)
            .map(|_| ())
            .context(|| "cannot write the index of archives")
    }
}
