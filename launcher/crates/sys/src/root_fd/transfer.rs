//! Copies a file or a tree into a directory that is in use, as cp(1) does:
//! directories are merged, and whatever else is there is replaced at once, by a
//! rename. Nothing is removed to make room.
//!
//! Both sides may change meanwhile, and belong to somebody who means no good. So
//! only single names below open directories are used, and no link is followed.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::root_fd::copy::{Keep, content, dress, dress_link};
use crate::root_fd::linked::{Linked, link};
use error::quote::quoted;
use error::{Context as _, Error, Result};

/// How deep a tree may be.
const DEPTH: usize = 256;

/// A copy that is being made.
pub struct Transfer<'a> {
    keep: Keep,
    note: &'a mut dyn FnMut(String),
    /// The directory that everything is copied to.
    top: OwnedFd,
    /// Where files with several names were copied to, below `top`.
    linked: Linked,
}

impl<'a> Transfer<'a> {
    /// Starts to copy into a directory. What apps could leave for the host (set-
    /// user-ID programs, devices) is kept only with [`Keep::All`], and else
    /// reported to `note`.
    pub fn into(top: OwnedFd, keep: Keep, note: &'a mut dyn FnMut(String)) -> Self {
        Self {
            keep,
            note,
            top,
            linked: Linked::default(),
        }
    }

    /// Copies what has a name in a directory, under a name that may be another.
    ///
    /// # Errors
    ///
    /// Fails if something of another kind is there already; errors of the disk.
    pub fn entry(&mut self, source: &OwnedFd, name: &OsStr, new: &OsStr) -> Result<()> {
        let top = self.top.try_clone().context(|| "cannot use a directory")?;
        self.copy(source, &text(name)?, &top, &text(new)?, Path::new(new), 0)
    }

    /// Copies everything that is in a directory.
    ///
    /// # Errors
    ///
    /// As for [`Self::entry`].
    pub fn entries(&mut self, source: &OwnedFd) -> Result<()> {
        let top = self.top.try_clone().context(|| "cannot use a directory")?;
        self.below(source, &top, Path::new(""), 0)
    }

    fn below(
        &mut self,
        source: &OwnedFd,
        target: &OwnedFd,
        path: &Path,
        depth: usize,
    ) -> Result<()> {
        let what = || cannot(path);
        for entry in Dir::read_from(source).context(what)? {
            let entry = entry.context(what)?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                let path = path.join(OsStr::from_bytes(name.to_bytes()));
                self.copy(source, name, target, name, &path, depth)?;
            }
        }
        Ok(())
    }

    fn copy(
        &mut self,
        source: &OwnedFd,
        name: &CStr,
        target: &OwnedFd,
        new: &CStr,
        path: &Path,
        depth: usize,
    ) -> Result<()> {
        let what = || cannot(path);
        let status = rustix::fs::statat(source, name, AtFlags::SYMLINK_NOFOLLOW).context(what)?;
        match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory if depth == DEPTH => {
                let fault = format!("{}: it is in more than {DEPTH} directories", what());
                Err(Error::invalid(fault))
            }
            FileType::Directory => self.directory(source, name, target, new, path, depth),
            FileType::Socket => {
                (self.note)(format!("{} is a socket, and was left out", shown(path)));
                Ok(())
            }
            FileType::BlockDevice | FileType::CharacterDevice if self.keep == Keep::Safe => {
                (self.note)(format!("{} is a device, and was left out", shown(path)));
                Ok(())
            }
            _ => self.other(source, name, target, new, path, &status),
        }
    }

    fn directory(
        &mut self,
        source: &OwnedFd,
        name: &CStr,
        target: &OwnedFd,
        new: &CStr,
        path: &Path,
        depth: usize,
    ) -> Result<()> {
        let what = || cannot(path);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let source = rustix::fs::openat(source, name, flags, Mode::empty()).context(what)?;
        let is_new = match rustix::fs::mkdirat(target, new, Mode::RWXU) {
            Err(Errno::EXIST) => false,
            made => made.map(|()| true).context(what)?,
        };
        let target = match rustix::fs::openat(target, new, flags, Mode::empty()) {
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let fault = format!("{}: there is something else than a directory", what());
                return Err(Error::invalid(fault));
            }
            opened => opened.context(what)?,
        };
        self.below(&source, &target, path, depth + 1)?;
        match is_new {
            true => {
                let status = rustix::fs::fstat(&source).context(what)?;
                dress(&source, &target, &status, self.keep).context(what)
            }
            // It belongs to whoever made it.
            false => Ok(()),
        }
    }

    /// Copies anything but a directory to a temporary name, and renames it.
    fn other(
        &mut self,
        source: &OwnedFd,
        name: &CStr,
        target: &OwnedFd,
        new: &CStr,
        path: &Path,
        status: &Stat,
    ) -> Result<()> {
        let temporary = format!(".nosecone-{}", std::process::id());
        let temporary = text(OsStr::new(&temporary))?;
        let made = match self.linked.first(status) {
            Some(first) => link(&self.top, &first, target, &temporary),
            None => leaf(source, name, target, &temporary, status, self.keep),
        };
        let renamed = made.and_then(|()| {
            let renamed = rustix::fs::renameat(target, &temporary, target, new);
            renamed.map_err(|errno| match errno {
                Errno::ISDIR => io::Error::other("a directory is there"),
                errno => errno.into(),
            })
        });
        // Two names of one file are renamed into one another without effect.
        let _ = rustix::fs::unlinkat(target, &temporary, AtFlags::empty());
        renamed.context(|| cannot(path))?;
        self.linked.note(status, path);
        Ok(())
    }
}

/// Copies anything but a directory to a new name.
fn leaf(
    source: &OwnedFd,
    name: &CStr,
    target: &OwnedFd,
    new: &CStr,
    status: &Stat,
    keep: Keep,
) -> io::Result<()> {
    let kind = FileType::from_raw_mode(status.st_mode);
    if kind.is_file() {
        // It may be a fifo by now, which would block.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let from = rustix::fs::openat(source, name, flags, Mode::empty())?;
        let status = rustix::fs::fstat(&from)?;
        if !FileType::from_raw_mode(status.st_mode).is_file() {
            return Err(io::Error::other("it was changed at the same time"));
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let to = rustix::fs::openat(target, new, flags, Mode::RUSR | Mode::WUSR)?;
        content(&from, &to)?;
        return dress(&from, &to, &status, keep);
    }
    if kind.is_symlink() {
        let leads = rustix::fs::readlinkat(source, name, Vec::new())?;
        rustix::fs::symlinkat(leads.as_c_str(), target, new)?;
    } else {
        rustix::fs::mknodat(target, new, kind, Mode::RUSR, status.st_rdev)?;
    }
    dress_link(target.as_fd(), new, status, keep)
}

fn text(name: &OsStr) -> Result<CString> {
    let whole = CString::new(name.as_bytes());
    whole.map_err(|_| Error::invalid("a name contains a NUL byte"))
}

fn cannot(path: &Path) -> String {
    match path.as_os_str().is_empty() {
        true => "cannot read the directory".to_owned(),
        false => format!("cannot copy {}", shown(path)),
    }
}

fn shown(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}
