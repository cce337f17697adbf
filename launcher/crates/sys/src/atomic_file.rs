//! A file that is written out of sight, and appears when all of it is written:
//! nobody ever finds half of it, and of what fails or is killed nothing is left.

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
    /// The name that it has meanwhile, where the file system knows no files
    /// without one.
    meanwhile: Option<OsString>,
}

impl AtomicFile {
    /// Begins a file that is to appear at this path. `replace` says that it
    /// may take the place of another one.
    ///
    /// # Errors
    ///
    /// Something is there that is not to be replaced, or is no regular file;
    /// nothing can be made there.
    pub fn create(path: &Path, replace: bool) -> Result<Self> {
        let what = || cannot_write(path);
        let Some(name) = path.file_name() else {
            return Err(Error::invalid(format!("{}: it has no name", what())));
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

    /// Returns the file, to be written to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Lets the file appear, after all of it has reached the disk.
    ///
    /// # Errors
    ///
    /// Something has appeared there meanwhile that is not to be replaced; the
    /// disk's refusals.
    pub fn publish(mut self) -> Result<()> {
        let path = self.path.clone();
        let what = || cannot_write(&path);
        self.file.sync_all().context(what)?;
        check(&path, &self.directory, &self.name, self.replace)?;
        let published = match (self.meanwhile.take(), self.replace) {
            (None, false) => self.link(&self.name),
            // What has no name cannot take the place of what has one.
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
            // Not every file system can look and rename at once.
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
            // What cannot be removed cannot be helped.
            let _ = rustix::fs::unlinkat(&self.directory, meanwhile, AtFlags::empty());
        }
    }
}

/// Makes a file without a name, or with one that nobody else has thought of.
fn make(directory: &OwnedFd) -> rustix::io::Result<(File, Option<OsString>)> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
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

/// Refuses what must not be replaced.
fn check(path: &Path, directory: &OwnedFd, name: &OsStr, replace: bool) -> Result<()> {
    let what = || cannot_write(path);
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno).context(what),
        Ok(_) if !replace => Err(exists(path)),
        Ok(status) if FileType::from_raw_mode(status.st_mode).is_file() => Ok(()),
        // Neither a device nor a link is what somebody meant to lose.
        Ok(_) => Err(Error::invalid(format!("{}: it is no regular file", what()))),
    }
}

fn exists(path: &Path) -> Error {
    let what = format!("{}: it exists already", cannot_write(path));
    Error::invalid(what).hint("`--overwrite` replaces it")
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write `{}`", path.display())
}
