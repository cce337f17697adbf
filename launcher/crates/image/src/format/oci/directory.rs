//! Images that leave as a directory with an OCI layout, which may have others
//! already. An image is there when it is in the list, which is written last.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::digest::Digest;
use crate::format::oci::files::{Directory, Files as _};
use crate::format::oci::layout::{self, Layout, place};
use crate::format::oci::outgoing::{Content, Destination, Form, Outgoing, Parts};
use error::{Context as _, Error, Result};
use oci::manifest::{Descriptor, LIMIT};
use sys::atomic_file::AtomicFile;
use sys::root_fd;

impl Outgoing<'_> {
    /// Writes the image to a directory, in which it has this name. Returns the digest
    /// of its manifest. What the user should know is passed to `note`.
    ///
    /// # Errors
    ///
    /// The directory has something else; what is stored is not what its ID says;
    /// errors of the disk. A directory that was not there is not left behind.
    pub fn layout(&self, path: &Path, name: &str, note: &mut dyn FnMut(String)) -> Result<Digest> {
        let what = || cannot_write(path);
        let mut directory = LayoutDirectory::open(path, name).context(what)?;
        let sent = self.send(&mut directory, note).context(what);
        if sent.is_err() && directory.is_new {
            directory.discard();
        }
        sent
    }
}

struct LayoutDirectory<'a> {
    path: &'a Path,
    name: &'a str,
    is_new: bool,
}

impl<'a> LayoutDirectory<'a> {
    fn open(path: &'a Path, name: &'a str) -> Result<Self> {
        let is_new = make(path).context(|| cannot_write(path))?;
        let directory = Self { path, name, is_new };
        if is_new {
            return Ok(directory);
        }
        let files = Directory::open(path)?;
        let is_empty = || std::fs::read_dir(path).is_ok_and(|mut all| all.next().is_none());
        match files.has(layout::MARKER) {
            true => Layout::new(files).map(|_| directory),
            false if is_empty() => Ok(directory),
            false => {
                let shown = path.display();
                Err(Error::invalid(format!("`{shown}` has other files")))
            }
        }
    }

    /// Writes a file, which appears when it is complete.
    fn write(&self, path: &Path, content: &mut dyn io::Read) -> Result<()> {
        let path = self.path.join(path);
        let file = AtomicFile::create(&path, true)?;
        io::copy(content, &mut file.file()).context(|| cannot_write(&path))?;
        file.file().flush().context(|| cannot_write(&path))?;
        file.publish()
    }

    /// Removes everything.
    fn discard(&self) {
        let parent = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if let (Ok(parent), Some(name)) = (
            rustix::fs::openat(CWD, parent, flags, Mode::empty()),
            self.path.file_name().and_then(|name| name.to_str()),
        ) {
            // What cannot be removed does no harm.
            let _ = root_fd::remove_tree(std::os::fd::AsFd::as_fd(&parent), name);
        }
    }
}

impl Destination for LayoutDirectory<'_> {
    fn form(&self) -> Form {
        Form::Kept
    }

    fn has(&mut self, blob: &Descriptor) -> Result<bool> {
        let status = rustix::fs::statat(
            CWD,
            self.path.join(place(blob)),
            rustix::fs::AtFlags::empty(),
        );
        Ok(status.is_ok_and(|status| u64::try_from(status.st_size) == Ok(blob.size)))
    }

    fn put(&mut self, blob: &Descriptor, content: Content) -> Result<()> {
        if self.has(blob)? {
            return Ok(());
        }
        let place = place(blob);
        let mut above = PathBuf::new();
        for part in place.parent().into_iter().flatten() {
            above.push(part);
            let above = self.path.join(&above);
            make(&above).context(|| cannot_write(&above))?;
        }
        let mut content = content.read().context(|| "cannot read it")?;
        self.write(&place, &mut content)
    }

    fn finish(&mut self, image: &Parts) -> Result<()> {
        self.put(&image.manifest, Content::Bytes(image.bytes.clone()))?;
        self.write(Path::new(layout::MARKER), &mut &*layout::VERSION)?;
        let files = Directory::open(self.path)?;
        let before = match files.has(layout::INDEX) {
            true => Some(files.read(layout::INDEX, LIMIT)?),
            false => None,
        };
        let index = layout::with(before.as_deref(), &image.manifest, self.name)?;
        self.write(Path::new(layout::INDEX), &mut &*index)
    }
}

/// Makes a directory, and returns whether it was not there.
fn make(path: &Path) -> rustix::io::Result<bool> {
    match rustix::fs::mkdirat(CWD, path, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => Ok(false),
        made => made.map(|()| true),
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write `{}`", path.display())
}
