//! Which archives were stored before: small files beside the names.
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

/// A file in `names/` that holds the ID of an archive, or nothing yet.
pub(crate) struct Known(File);

impl Known {
    /// Opens what is remembered about an archive, if it was stored before.
    pub(crate) fn of(dirs: &Dirs, file: &File, name: &str) -> Result<Self> {
        let what = || format!("cannot examine image `{name}`");
        let status = file.metadata().context(what)?;
        if !status.is_file() {
            return Err(Error::invalid(format!(
                "image `{name}` is not a regular file"
            )));
        }
        // Whoever changes a file changes its ctime, which nobody can set.
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
        let file = rustix::fs::openat(dirs.names()?, &name, flags, mode).context(what)?;
        Ok(Self(File::from(file)))
    }

    /// Returns the ID, if it was written.
    pub(crate) fn read(&self) -> Result<Option<Digest>> {
        let mut text = [0; 256];
        let count = rustix::io::pread(&self.0, &mut text, 0)
            .context(|| "cannot read the index of archives")?;
        // What a crash left of it is as good as nothing.
        let text = std::str::from_utf8(&text[..count]).unwrap_or_default();
        Ok(text
            .strip_suffix('\n')
            .and_then(|id| Digest::parse(id).ok()))
    }

    /// Waits until nobody else stores the archive.
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
