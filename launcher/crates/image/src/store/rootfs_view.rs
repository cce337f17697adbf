//! Root file systems that are unpacked in directories: one, or several that
//! will be combined by an overlay.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};

use crate::store::rootfs::{Rootfs, Status};
use error::{Context as _, Result};
use sys::links::{self, Step};
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
    /// The files that were read, such as the table of users.
    read: RefCell<BTreeMap<String, Option<Vec<u8>>>>,
}

impl Stack {
    /// Opens trees in directories of ours, topmost first.
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        let trees = paths.iter().map(|path| Tree::open(path));
        Ok(Self {
            trees: trees.collect::<Result<_>>()?,
            read: RefCell::default(),
        })
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
                let (tree, fd) = self.topmost(&here).map_err(Some)?.ok_or(None)?;
                let status = rustix::fs::fstat(&fd).context(what).map_err(Some)?;
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

    fn topmost(&self, path: &Path) -> Result<Option<(&Tree, OwnedFd)>> {
        for tree in &self.trees {
            match root_fd::open(&tree.root, path, OFlags::PATH | OFlags::NOFOLLOW) {
                Ok(fd) => return Ok(Some((tree, fd))),
                Err(error) if root_fd::is_absent(&error) => {}
                Err(error) => {
                    let what = || format!("cannot examine `/{}` in the image", path.display());
                    return Err(error).context(what);
                }
            }
        }
        Ok(None)
    }
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
        for tree in &self.trees {
            if !tree.is_empty(&path.to_string_lossy())? {
                return Ok(false);
            }
        }
        Ok(true)
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
