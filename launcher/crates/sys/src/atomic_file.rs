//! Files that appear only when they are complete: nobody sees half of one, and
//! nothing is left if writing fails or is killed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use error::{Context as _, Error, Result};

/// A file that has no name yet.
pub struct AtomicFile {
    path: PathBuf,
    directory: OwnedFd,
    name: OsString,
    replace: bool,
    file: File,
    /// Its temporary name, if the file system does not support files
    /// without one.
    meanwhile: Option<OsString>,
}

impl AtomicFile {
    /// Creates a file that will appear at this path. With `replace`, it may
    /// replace an existing one.
    ///
    /// # Errors
    ///
    /// The path exists and must not be replaced, or is not a regular file;
    /// the directory cannot be written to.
    pub fn create(path: &Path, replace: bool) -> Result<Self> {
        let what = || cannot_write(path);
        let Some(name) = path.file_name() else {
            return Err(Error::invalid(format!(
                "{}: the path has no file name",
                what()
            )));
        };
        let above = match path.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, above, flags, Mode::empty()).context(what)?;
        check(path, &directory, name, replace)?;
        let (file, meanwhile) = make(&directory).context(what)?;
        Ok(Self {
            path: path.to_owned(),
            directory,
            name: name.to_owned(),
            replace,
            file,
            meanwhile,
        })
    }

    /// Returns the file, to write to and read back.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Makes the file appear, after it was synced to the disk.
    ///
    /// # Errors
    ///
    /// Another file has appeared at the path and must not be replaced; the
    /// disk is full or fails.
    pub fn publish(mut self) -> Result<()> {
        let path = self.path.clone();
        let what = || cannot_write(&path);
        self.file.sync_all().context(what)?;
        check(&path, &self.directory, &self.name, self.replace)?;
        let published = match (self.meanwhile.take(), self.replace) {
            (None, false) => self.link(&self.name),
            // A file without a name cannot replace another one.
            (None, true) => name().and_then(|name| {
                self.link(&name)?;
                self.rename(name)
            }),
            (Some(meanwhile), _) => self.rename(meanwhile),
        };
        match published {
            Err(Errno::EXIST) => Err(exists(&path)),
            published => published.context(what),
        }
    }

    fn link(&self, name: &OsStr) -> rustix::io::Result<()> {
        let file = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let flags = AtFlags::SYMLINK_FOLLOW;
        rustix::fs::linkat(CWD, file, &self.directory, name, flags)
    }

    fn rename(&mut self, meanwhile: OsString) -> rustix::io::Result<()> {
        let (directory, to) = (&self.directory, &self.name);
        let flags = match self.replace {
            true => RenameFlags::empty(),
            false => RenameFlags::NOREPLACE,
        };
        let renamed = match rustix::fs::renameat_with(directory, &meanwhile, directory, to, flags) {
            // Not every file system supports renaming without replacing.
            Err(Errno::INVAL) => rustix::fs::renameat(directory, &meanwhile, directory, to),
            renamed => renamed,
        };
        if renamed.is_err() {
            self.meanwhile = Some(meanwhile);
        }
        renamed
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(meanwhile) = &self.meanwhile {
            // Nothing more can be done if this fails.
            let _ = rustix::fs::unlinkat(&self.directory, meanwhile, AtFlags::empty());
        }
    }
}

/// Creates a file that has no name and is gone when it is closed.
///
/// # Errors
///
/// The directory cannot be written to.
pub fn unnamed(directory: &OwnedFd) -> rustix::io::Result<File> {
    let (file, name) = make(directory)?;
    if let Some(name) = name {
        rustix::fs::unlinkat(directory, name, AtFlags::empty())?;
    }
    Ok(file)
}

/// Creates a file without a name, or with a random one.
fn make(directory: &OwnedFd) -> rustix::io::Result<(File, Option<OsString>)> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o644);
    match rustix::fs::openat(directory, ".", flags | OFlags::TMPFILE, mode) {
        Err(Errno::OPNOTSUPP | Errno::ISDIR) => {}
        file => return Ok((file?.into(), None)),
    }
    let name = name()?;
    let flags = flags | OFlags::CREATE | OFlags::EXCL;
    let file = rustix::fs::openat(directory, &name, flags, mode)?;
    Ok((file.into(), Some(name)))
}

fn name() -> rustix::io::Result<OsString> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(format!(".unfinished-{:016x}", u64::from_le_bytes(bytes)).into())
}

/// Rejects a path that must not be replaced.
fn check(path: &Path, directory: &OwnedFd, name: &OsStr, replace: bool) -> Result<()> {
    let what = || cannot_write(path);
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno).context(what),
        Ok(_) if !replace => Err(exists(path)),
        Ok(status) if FileType::from_raw_mode(status.st_mode).is_file() => Ok(()),
        // Nobody means to replace a device or a link.
        Ok(_) => Err(Error::invalid(format!(
            "{}: it is not a regular file",
            what()
        ))),
    }
}

fn exists(path: &Path) -> Error {
    let what = format!("{}: it already exists", cannot_write(path));
    Error::invalid(what).hint("`--overwrite` replaces it")
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write `{}`", path.display())
}
