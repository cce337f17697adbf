//! Root file systems that are unpacked in directories: one, or several that
//! will be combined by an overlay, whose marks hide what is below.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::store::rootfs::{Rootfs, Status};
use error::{Context as _, Result};
use sys::links::{self, Step};
use sys::overlay::{is_opaque, is_whiteout};
use sys::root_fd;

/// An open tree.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
}

impl Tree {
    /// Opens a tree in a directory of ours.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .context(|| format!("cannot open `{}`", path.display()))?;
        Ok(Self { root })
    }
}

impl Rootfs for Tree {
    fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        root_fd::read(&self.root, Path::new(path), limit)
            .context(|| format!("cannot read `/{path}` in the image"))
    }

    fn status(&self, path: &str) -> Result<Option<Status>> {
        let what = || format!("cannot examine `/{path}` in the image");
        let found = match path {
            "" => rustix::fs::fstat(&self.root).map_err(Into::into),
            path => root_fd::open(&self.root, Path::new(path), OFlags::PATH)
                .and_then(|fd| Ok(rustix::fs::fstat(fd)?)),
        };
        let status = match found {
            Err(error) if root_fd::is_absent(&error) => return Ok(None),
            found => found.context(what)?,
        };
        Ok(Some(Status {
            directory: FileType::from_raw_mode(status.st_mode).is_dir(),
            uid: status.st_uid,
            gid: status.st_gid,
            mode: status.st_mode & 0o7777,
        }))
    }

    fn has(&self, path: &str) -> Result<bool> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        match root_fd::open(&self.root, Path::new(path), flags) {
            Ok(_) => Ok(true),
            Err(error) if root_fd::is_absent(&error) => Ok(false),
            Err(error) => Err(error).context(|| format!("cannot examine `/{path}` in the image")),
        }
    }

    fn is_empty(&self, path: &str) -> Result<bool> {
        let what = || format!("cannot list `/{path}` in the image");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let directory = match root_fd::open(&self.root, Path::new(path), flags) {
            Ok(directory) => directory,
            Err(error) if root_fd::is_absent(&error) => return Ok(true),
            Err(error) => return Err(error).context(what),
        };
        for entry in rustix::fs::Dir::new(directory).context(what)? {
            if !matches!(entry.context(what)?.file_name().to_bytes(), b"." | b"..") {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Trees stacked on one another, topmost first.
#[derive(Debug)]
pub struct Stack {
    trees: Vec<Tree>,
    /// The tree whose root directory has the attributes of the root.
    top: usize,
    /// The files that were read, such as the table of users.
    read: RefCell<BTreeMap<String, Option<Vec<u8>>>>,
}

impl Stack {
    /// Opens trees in directories of ours, topmost first.
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        let trees = paths.iter().map(|path| Tree::open(path));
        Ok(Self {
            trees: trees.collect::<Result<_>>()?,
            top: 0,
            read: RefCell::default(),
        })
    }

    /// Takes the attributes of the root from this tree.
    #[must_use]
    pub fn with_top(self, top: usize) -> Self {
        Self { top, ..self }
    }

    /// Finds the tree that has a path, and resolves the path to one without
    /// links: a link in one tree can lead into another.
    fn find(&self, path: &str) -> Result<Option<(&Tree, PathBuf)>> {
        let what = || format!("cannot examine `/{path}` in the image");
        // Without an error, there is nothing.
        let found = links::follow(
            OsStr::new(path),
            None,
            |way: &[(_, PathBuf)], name, last| {
                let mut here = way.last().map_or(PathBuf::new(), |(_, here)| here.clone());
                if name != "." {
                    here.push(name);
                }
                let found = self.topmost(&here).map_err(Some)?;
                let (tree, fd, status) = found.ok_or(None)?;
                let kind = FileType::from_raw_mode(status.st_mode);
                if kind.is_symlink() {
                    let target = rustix::fs::readlinkat(&fd, c"", Vec::new());
                    let target = target.context(what).map_err(Some)?;
                    return Ok(Step::Link(OsString::from_vec(target.into_bytes())));
                }
                match last || kind.is_dir() {
                    true => Ok(Step::To((tree, here))),
                    false => Err(None),
                }
            },
        );
        match found {
            Ok(found) => Ok(Some(found)),
            Err(None) => Ok(None),
            Err(Some(error)) => Err(error),
        }
    }

    /// Returns what a path shows that has no links but at its end, which is not
    /// followed.
    pub(crate) fn topmost(&self, path: &Path) -> Result<Option<(&Tree, OwnedFd, Stat)>> {
        let mut found = None;
        self.each(path, &mut |tree, fd, status| {
            found = Some((tree, fd, status));
            Ok(false)
        })?;
        Ok(found)
    }

    /// Opens the directory that has what [`Self::topmost`] finds.
    pub(crate) fn directory_of(&self, path: &Path) -> Result<Option<OwnedFd>> {
        let Some((tree, ..)) = self.topmost(path)? else {
            return Ok(None);
        };
        let above = path.parent().unwrap_or(Path::new(""));
        let opened = root_fd::open(&tree.root, above, OFlags::RDONLY | OFlags::DIRECTORY);
        let what = || format!("cannot open `/{}` in the image", above.display());
        opened.context(what).map(Some)
    }

    /// Returns the names that are visible in a directory whose path has no links;
    /// none if it is not a directory.
    pub(crate) fn names(&self, path: &Path) -> Result<BTreeSet<OsString>> {
        let what = || format!("cannot list `/{}` in the image", path.display());
        let mut names: BTreeMap<OsString, bool> = BTreeMap::new();
        self.each(path, &mut |_, fd, status| {
            if !FileType::from_raw_mode(status.st_mode).is_dir() {
                return Ok(false);
            }
            for entry in Dir::new(readable(&fd).context(what)?).context(what)? {
                let entry = entry.context(what)?;
                let name = OsStr::from_bytes(entry.file_name().to_bytes());
                if name == "." || name == ".." || names.contains_key(name) {
                    continue;
                }
                let shown = entry.file_type() != FileType::CharacterDevice || {
                    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
                    let path = Path::new(".").join(name);
                    let fd = readable(&fd).context(what)?;
                    !is_whiteout(&rustix::fs::statat(fd, path, flags).context(what)?)
                };
                names.insert(name.to_owned(), shown);
            }
            Ok(true)
        })?;
        let shown = names.into_iter().filter(|(_, shown)| *shown);
        Ok(shown.map(|(name, _)| name).collect())
    }

    /// Passes what the trees have at a path, topmost first, to `take`: a file, or
    /// the directories that are merged, until it says that this is enough.
    fn each<'s>(
        &'s self,
        path: &Path,
        take: &mut dyn FnMut(&'s Tree, OwnedFd, Stat) -> Result<bool>,
    ) -> Result<()> {
        let what = || format!("cannot examine `/{}` in the image", path.display());
        for tree in &self.trees {
            let mut here = readable(&tree.root).context(what)?;
            let mut hides = is_opaque(&here);
            let mut names = path.iter().peekable();
            if names.peek().is_none() {
                let status = rustix::fs::fstat(&here).context(what)?;
                if !take(tree, here, status)? {
                    return Ok(());
                }
                continue;
            }
            while let Some(name) = names.next() {
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let found = match rustix::fs::openat(&here, name, flags, Mode::empty()) {
                    Err(Errno::NOENT) => break,
                    found => found.context(what)?,
                };
                let status = rustix::fs::fstat(&found).context(what)?;
                let is_directory = FileType::from_raw_mode(status.st_mode).is_dir();
                let last = names.peek().is_none();
                // Anything but a directory hides what is below it.
                if is_whiteout(&status) || !(last || is_directory) {
                    return Ok(());
                }
                hides |= !is_directory;
                if is_directory {
                    here = readable(&found).context(what)?;
                    hides |= is_opaque(&here);
                }
                if last && !take(tree, found, status)? {
                    return Ok(());
                }
            }
            if hides {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Opens a directory that is open as a place only.
fn readable(directory: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(directory, c".", flags, Mode::empty())
}

impl Rootfs for Stack {
    fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        if let Some(content) = self.read.borrow().get(path) {
            return Ok(content.clone());
        }
        let content = match &self.trees[..] {
            // The kernel follows the links of one tree.
            [tree] => tree.read(path, limit)?,
            _ => match self.find(path)? {
                Some((tree, path)) => tree.read(&path.to_string_lossy(), limit)?,
                None => None,
            },
        };
        let mut read = self.read.borrow_mut();
        read.insert(path.to_owned(), content.clone());
        Ok(content)
    }

    fn status(&self, path: &str) -> Result<Option<Status>> {
        if let [tree] = &self.trees[..] {
            return tree.status(path);
        }
        if path.is_empty() {
            let top = self.trees.get(self.top);
            return top.map_or(Ok(None), |top| top.status(path));
        }
        match self.find(path)? {
            Some((tree, path)) => tree.status(&path.to_string_lossy()),
            None => Ok(None),
        }
    }

    fn has(&self, path: &str) -> Result<bool> {
        if let [tree] = &self.trees[..] {
            return tree.has(path);
        }
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some((_, above)) = self.find(above)? else {
            return Ok(false);
        };
        Ok(self.topmost(&above.join(name))?.is_some())
    }

    fn is_empty(&self, path: &str) -> Result<bool> {
        let Some((_, path)) = self.find(path)? else {
            return Ok(true);
        };
        Ok(self.names(&path)?.is_empty())
    }

    fn real(&self, path: &str) -> Result<Option<PathBuf>> {
        Ok(self.find(path)?.map(|(_, path)| path))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn links_lead_from_one_tree_into_another_and_never_out() {
        let name = format!("nosecone-stack-{}", std::process::id());
        let root = std::env::temp_dir().join(name);
        let (upper, lower) = (root.join("upper"), root.join("lower"));
        std::fs::create_dir_all(upper.join("etc")).unwrap();
        std::fs::create_dir_all(lower.join("etc")).unwrap();
        std::fs::create_dir_all(lower.join("usr/etc")).unwrap();
        std::fs::write(upper.join("etc/both"), "upper").unwrap();
        std::fs::write(lower.join("etc/both"), "lower").unwrap();
        std::fs::write(lower.join("etc/only"), "lower").unwrap();
        std::fs::write(lower.join("usr/etc/far"), "far").unwrap();
        let link = |target: &str, path: &str| {
            std::os::unix::fs::symlink(target, upper.join(path)).unwrap();
        };
        link("/usr/etc/far", "etc/link");
        link("../../../etc/only", "etc/up");
        link("loop", "etc/loop");
        link("/etc/passwd", "etc/host");
        let stack = Stack::open(&[upper, lower]).unwrap();
        for (path, content) in [
            ("etc/both", Some("upper")),
            ("etc/only", Some("lower")),
            ("etc/link", Some("far")),
            ("etc/up", Some("lower")),
            ("usr/../etc/both", Some("upper")),
            ("etc/loop", None),
            ("etc/host", None),
            ("etc/both/x", None),
            ("etc", None),
        ] {
            let found = stack.read(path, 100).unwrap();
            assert_eq!(found.as_deref(), content.map(str::as_bytes), "{path}");
        }
        assert!(stack.status("usr").unwrap().unwrap().directory);
        assert!(stack.status("").unwrap().unwrap().directory);
        assert!(stack.status("var").unwrap().is_none());
        for (path, there) in [
            ("etc/host", true),
            ("etc/loop", true),
            ("usr/etc/far", true),
            ("etc/link/x", false),
            ("var/x", false),
        ] {
            assert_eq!(stack.has(path).unwrap(), there, "{path}");
        }
        for (path, empty) in [
            ("etc", false),
            ("usr", false),
            ("usr/etc/far", true),
            ("var", true),
        ] {
            assert_eq!(stack.is_empty(path).unwrap(), empty, "{path}");
        }
        std::fs::remove_dir_all(root).unwrap();
    }
}
