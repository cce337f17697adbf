//! Copies one tree over another: the roots of pods that cannot or must not be
//! overlays.
//!
//! Later trees replace what is there. Two directories are merged; anything else
//! is removed completely before it is replaced, so that nothing is ever written
//! through a link of a lower tree (App Container Image, "Filesystem Setup"). The
//! marks of an overlay take away what is there, and are not copied.
//!
//! # Invariants
//!
//! 1. Only directory descriptors and single names are used, so no path leads
//!    out of the two trees or from one into the other.
//! 2. A directory that is left out but contains something that is copied keeps
//!    its attributes and times; a new one belongs to root and has mode 0755.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use crate::overlay::{is_opaque, is_whiteout};
use crate::root_fd::copy::{Keep, copy_tree, dress, leaf, times};
use crate::root_fd::linked::{Linked, link};
use crate::root_fd::open::open;
use crate::root_fd::remove::remove_name;

/// The flags that directories are opened with.
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Copies the tree `upper` over what is in `target`. `take` decides for every
/// path, relative to the root (whose own path is empty), whether it is copied;
/// its second argument tells whether the path is a directory. The entries of a
/// directory are asked for even if it is left out itself.
///
/// The upper tree is one of ours, and nobody writes to it meanwhile.
pub fn lay_over(
    upper: &Path,
    target: BorrowedFd<'_>,
    take: &dyn Fn(&Path, bool) -> bool,
) -> io::Result<()> {
    let source = rustix::fs::openat(CWD, upper, DIRECTORY, Mode::empty())?;
    let target = rustix::fs::openat(target, c".", DIRECTORY, Mode::empty())?;
    let taken = take(Path::new(""), true);
    let mut laying = Laying {
        take,
        linked: Linked::default(),
        levels: vec![Level {
            name: CString::default(),
            before: Some(rustix::fs::fstat(&target)?),
            target: Some(target),
        }],
    };
    laying.below(&source, Path::new(""))?;
    laying.leave(&source, taken)
}

/// Copies trees of ours, topmost first, over one another into a new directory
/// of this name in `target`.
pub fn copy_layers(layers: &[PathBuf], target: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let mut layers = layers.iter().rev();
    let Some(lowest) = layers.next() else {
        return Ok(());
    };
    copy_tree(lowest, target, name)?;
    let copy = open(target, Path::new(name), DIRECTORY)?;
    for layer in layers {
        lay_over(layer, copy.as_fd(), &|_, _| true)?;
    }
    Ok(())
}

/// Gives a directory that was copied from layers its owner and mode: the topmost
/// layer need not have those of the root. Its times stay.
pub fn own(parent: impl AsFd, name: &str, (uid, gid, mode): (u32, u32, u32)) -> io::Result<()> {
    let directory = open(parent, Path::new(name), DIRECTORY)?;
    let status = rustix::fs::fstat(&directory)?;
    if (status.st_uid, status.st_gid) != (uid, gid) {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        rustix::fs::fchown(&directory, Some(uid), Some(gid))?;
    }
    Ok(rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode))?)
}

struct Laying<'a> {
    take: &'a dyn Fn(&Path, bool) -> bool,
    linked: Linked,
    /// The directories from the root to the current one.
    levels: Vec<Level>,
}

/// A directory of the target. It is created when something is put into it.
struct Level {
    name: CString,
    target: Option<OwnedFd>,
    /// Its status before, if it existed.
    before: Option<Stat>,
}

impl Laying<'_> {
    /// Copies everything in a directory.
    fn below(&mut self, source: &OwnedFd, path: &Path) -> io::Result<()> {
        for entry in Dir::read_from(source)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let path = path.join(OsStr::from_bytes(name.to_bytes()));
            let status = rustix::fs::statat(source, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let directory = FileType::from_raw_mode(status.st_mode).is_dir();
            let taken = (self.take)(&path, directory);
            if directory {
                self.directory(source, name, &path, taken)?;
            } else if taken {
                self.other(source, name, path, &status)?;
            }
        }
        Ok(())
    }

    fn directory(
        &mut self,
        parent: &OwnedFd,
        name: &CStr,
        path: &Path,
        taken: bool,
    ) -> io::Result<()> {
        let source = rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())?;
        self.levels.push(Level {
            name: name.to_owned(),
            target: None,
            before: None,
        });
        if is_opaque(&source) {
            self.clear()?;
        }
        if taken {
            self.target()?;
        }
        self.below(&source, path)?;
        self.leave(&source, taken)
    }

    /// Sets the attributes of the innermost directory, and leaves it.
    fn leave(&mut self, source: &OwnedFd, taken: bool) -> io::Result<()> {
        let Some(Level { target, before, .. }) = self.levels.pop() else {
            return Ok(());
        };
        match (target, before) {
            (Some(target), _) if taken => {
                dress(source, &target, &rustix::fs::fstat(source)?, Keep::All)
            }
            // Its times have changed with its content.
            (Some(target), Some(before)) => Ok(rustix::fs::futimens(&target, &times(&before))?),
            _ => Ok(()),
        }
    }

    /// Copies anything but a directory, and replaces whatever is there.
    fn other(
        &mut self,
        source: &OwnedFd,
        name: &CStr,
        path: PathBuf,
        status: &Stat,
    ) -> io::Result<()> {
        let first = self.linked.first(status);
        let target = self.target()?;
        remove_name(target.as_fd(), name)?;
        if is_whiteout(status) {
            return Ok(());
        }
        if let Some(first) = first {
            let target = target.try_clone()?;
            return link(self.top()?, &first, target, name);
        }
        leaf(source, target, name, status)?;
        self.linked.note(status, &path);
        Ok(())
    }

    /// Returns the outermost directory of the target.
    fn top(&self) -> io::Result<&OwnedFd> {
        let top = self.levels.first().and_then(|top| top.target.as_ref());
        top.ok_or_else(|| Errno::NOENT.into())
    }

    /// Removes what the target has in place of the innermost directory, which is
    /// not open yet.
    fn clear(&mut self) -> io::Result<()> {
        let Some(level) = self.levels.pop() else {
            return Ok(());
        };
        let removed = self
            .target()
            .and_then(|above| remove_name(above.as_fd(), &level.name));
        self.levels.push(level);
        removed
    }

    /// Returns the innermost directory of the target. Creates it and those
    /// above it if nothing was put into them yet.
    fn target(&mut self) -> io::Result<&OwnedFd> {
        let mut above: Option<&OwnedFd> = None;
        for level in &mut self.levels {
            if let (None, Some(above)) = (&level.target, above) {
                let (fd, before) = enter(above.as_fd(), &level.name)?;
                (level.target, level.before) = (Some(fd), before);
            }
            above = level.target.as_ref();
        }
        above.ok_or_else(|| Errno::NOENT.into())
    }
}

/// Opens a directory and returns its status; creates it if there is none, and
/// replaces whatever else is there.
fn enter(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<(OwnedFd, Option<Stat>)> {
    match rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()) {
        Ok(fd) => {
            let before = rustix::fs::fstat(&fd)?;
            return Ok((fd, Some(before)));
        }
        Err(Errno::NOENT) => {}
        Err(Errno::NOTDIR | Errno::LOOP) => remove_name(parent, name)?,
        Err(errno) => return Err(errno.into()),
    }
    rustix::fs::mkdirat(parent, name, Mode::RWXU)?;
    let fd = rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())?;
    rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o755))?;
    Ok((fd, None))
}

#[cfg(test)]
#[path = "lay_tests.rs"]
mod tests;
