//! `launcher cp`: copies files between an app's root file system and the host.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};

use crate::cmd::pod_files::PodFiles;
use crate::cmd::say;
use crate::cmd::selector::PodSelector;
use appc::types::Uuid;
use error::quote::quoted;
use error::{Context as _, Error, Result};
use pod::runtime::app_root;
use sys::dirs::Dirs;
use sys::root_fd::{self, Keep, Transfer};

/// The options.
#[derive(Debug)]
pub(crate) struct Options {
    /// The pod.
    pub(crate) selector: PodSelector,
    /// The app, if it was given.
    pub(crate) app: Option<String>,
    /// What is copied.
    pub(crate) source: Side,
    /// Where to.
    pub(crate) target: Side,
}

/// A path on one of the two sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// A path of the host.
    Host(PathBuf),
    /// A path in the root of the app, absolute.
    App(PathBuf),
}

impl Side {
    fn path(&self) -> &Path {
        let (Self::Host(path) | Self::App(path)) = self;
        path
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = quoted(&self.path().to_string_lossy());
        match self {
            Self::Host(_) => f.write_str(&path),
            Self::App(_) => write!(f, "{path} of the app"),
        }
    }
}

/// Copies.
pub(crate) fn run(dir: &Path, options: &Options) -> Result<()> {
    let dirs = Dirs::look(dir)?;
    let (dirs, uuid) = options.selector.find_one(&dirs)?;
    let Options { source, target, .. } = options;
    let what = || format!("cannot copy {source} to {target}");
    let files = PodFiles::open(&dirs, uuid, options.app.as_deref(), "use the files of")?;
    let root = root(&files, uuid)?;
    let from = Tree::of(source, &root);
    let to = Tree::of(target, &root);
    copy(&from, &to).context(what)
}

/// Opens the root of the app.
fn root(files: &PodFiles, uuid: Uuid) -> Result<OwnedFd> {
    let what = || format!("cannot use the files of pod `{uuid}`");
    let app = files.app();
    if !files.runs {
        return app_root::ended(&files.pod, app).context(what);
    }
    let root = app_root::running(&files.pod, &files.spec, app).context(what)?;
    root.ok_or_else(|| {
        let name = &app.name;
        Error::invalid(format!("{}: app `{name}` does not run", what()))
            .hint("wait until the pod has ended, or until the app has started")
    })
}

/// One side, and where its paths begin.
struct Tree<'a> {
    root: Option<&'a OwnedFd>,
    path: &'a Path,
}

impl<'a> Tree<'a> {
    fn of(side: &'a Side, root: &'a OwnedFd) -> Self {
        match side {
            Side::Host(path) => Self { root: None, path },
            Side::App(path) => {
                let bytes = path.as_os_str().as_bytes();
                // `Path::strip_prefix` would take away a final `/.`.
                let start = bytes.iter().position(|&byte| byte != b'/');
                let below = &bytes[start.unwrap_or(bytes.len())..];
                Self {
                    root: Some(root),
                    path: Path::new(OsStr::from_bytes(below)),
                }
            }
        }
    }

    /// Opens a directory, and follows the links to it.
    fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match self.root {
            Some(root) => root_fd::open(root, path, flags),
            None if path.as_os_str().is_empty() => self.directory(Path::new(".")),
            None => Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?),
        }
    }

    /// Splits the path into an open directory and a name in it; `None` for the
    /// name if the path is that of a directory whose content is meant.
    fn split(&self) -> io::Result<(OwnedFd, Option<&'a OsStr>)> {
        let bytes = self.path.as_os_str().as_bytes();
        let is_content = bytes.is_empty() || bytes == b"." || bytes.ends_with(b"/.");
        match (is_content, self.path.file_name(), self.path.parent()) {
            (false, Some(name), Some(above)) => Ok((self.directory(above)?, Some(name))),
            _ => Ok((self.directory(self.path)?, None)),
        }
    }
}

/// Copies what is at one path to the other, as cp(1) does with `-a`.
fn copy(from: &Tree<'_>, to: &Tree<'_>) -> Result<()> {
    let (source, name) = from.split().context(|| "cannot find it")?;
    let keep = match from.root {
        // Whatever the app has made must not get power on the host.
        Some(_) => Keep::Safe,
        None => Keep::All,
    };
    let mut note = |what| say(&[what]);
    let is_slashed = to.path.as_os_str().as_bytes().ends_with(b"/");
    match (to.directory(to.path), name) {
        (Ok(target), Some(name)) => {
            Transfer::into(target, keep, &mut note).entry(&source, name, name)
        }
        (Ok(target), None) => Transfer::into(target, keep, &mut note).entries(&source),
        (Err(error), name) => {
            let is_directory = name.is_none_or(|name| is_directory(&source, name));
            let new = match to.path.file_name() {
                Some(new) if !is_slashed || is_directory => new,
                _ => return Err(error).context(|| "cannot open the directory to copy to"),
            };
            let above = to.directory(to.path.parent().unwrap_or(Path::new("")));
            let above = above.context(|| "cannot open the directory to copy to")?;
            let (source, name) = match name {
                Some(name) => (source, name.to_owned()),
                None => (source, OsString::from(".")),
            };
            Transfer::into(above, keep, &mut note).entry(&source, &name, new)
        }
    }
}

fn is_directory(parent: &OwnedFd, name: &OsStr) -> bool {
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    let status = rustix::fs::statat(parent, name, flags);
    status.is_ok_and(|status| FileType::from_raw_mode(status.st_mode).is_dir())
}
