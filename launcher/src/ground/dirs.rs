//! Every directory that Nose Cone owns, and where they are.
//!
//! ```text
//! DIR/                      --dir, or $XDG_DATA_HOME/nosecone for ordinary users
//! ├── downloads/            beginnings of archives, until the rest is fetched
//! ├── images/ID/            manifest, rootfs/, record: complete if it exists
//! ├── names/                indexes of images: by name, by file
//! ├── pods/STATE/UUID/      embryo, prepare, prepared, run, exited, garbage
//! ├── trees/KEY/            rootfs/, layers: rendered of several images
//! ├── trustedkeys/          who may sign images, by the name of the image
//! └── tmp/                  staging; what nobody has locked is rubbish
//! ```
//!
//! All of it belongs to one user and is closed to everybody else: images have
//! set-user-ID programs in them that only pods shall see (CVE-2021-21284 is
//! about less).

use std::env;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::error::{Context as _, Error, Kind, Result};

/// Where root keeps images and pods.
const SYSTEM: &str = "/var/lib/nosecone";

/// States of a pod that are directories of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Being made.
    Embryo,
    /// Being filled, if it is locked.
    Prepare,
    /// Ready to run.
    Prepared,
    /// Running, if it is locked.
    Run,
    /// Over, and kept.
    Exited,
    /// Being removed.
    Garbage,
}

impl State {
    /// All of them, in the order of a life: who looks into them in this order
    /// does not miss a pod that moves on meanwhile.
    pub(crate) const ALL: [Self; 6] = [
        Self::Embryo,
        Self::Prepare,
        Self::Prepared,
        Self::Run,
        Self::Exited,
        Self::Garbage,
    ];

    /// Returns the name of its directory.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Embryo => "embryo",
            Self::Prepare => "prepare",
            Self::Prepared => "prepared",
            Self::Run => "run",
            Self::Exited => "exited",
            Self::Garbage => "garbage",
        }
    }
}

/// The directories, opened.
#[derive(Debug)]
pub(crate) struct Dirs {
    path: PathBuf,
    root: OwnedFd,
}

/// Returns where the directories are: what the caller says, or the default.
/// The path is absolute, because it outlives the working directory.
///
/// # Errors
///
/// There is no default, for want of `HOME`; the working directory is gone.
pub(crate) fn location(chosen: Option<PathBuf>) -> Result<PathBuf> {
    let path = match chosen {
        Some(path) => path,
        None if rustix::process::geteuid().is_root() => PathBuf::from(SYSTEM),
        None => data_home()?.join("nosecone"),
    };
    std::path::absolute(&path).context(|| format!("cannot use `{}`", path.display()))
}

/// The XDG Base Directory Specification: a relative path is to be ignored.
fn data_home() -> Result<PathBuf> {
    let absolute = |name| {
        let path = PathBuf::from(env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    absolute("XDG_DATA_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local/share")))
        .ok_or_else(|| {
            Error::new(
                Kind::Failed,
                "the environment has neither XDG_DATA_HOME nor HOME",
            )
            .hint("`--dir DIRECTORY` says where images and pods are kept")
        })
}

impl Dirs {
    /// Opens the directories; makes those that are not there.
    ///
    /// # Errors
    ///
    /// The path is no directory, belongs to somebody else, or others may write to it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let what = || format!("cannot use directory `{}`", path.display());
        match Self::look(path)? {
            Some(dirs) => return Ok(dirs),
            None => std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .context(what)?,
        }
        Self::look(path)?.ok_or_else(|| Error::new(Kind::Failed, what()))
    }

    /// Opens the directories if they are there, and makes nothing.
    ///
    /// # Errors
    ///
    /// As for [`Self::open`].
    pub(crate) fn look(path: &Path) -> Result<Option<Self>> {
        let what = || format!("cannot use directory `{}`", path.display());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(root) => root,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno).context(what),
        };
        let metadata = std::fs::File::from(root.try_clone().context(what)?)
            .metadata()
            .context(what)?;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(Error::invalid(format!(
                "{}: it belongs to another user",
                what()
            )));
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(
                Error::invalid(format!("{}: others may write to it", what()))
                    .hint(format!("`chmod go-w {}`, if nobody did", path.display())),
            );
        }
        let path = path.to_owned();
        Ok(Some(Self { path, root }))
    }

    /// Returns the absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the directory that they are all in, opened.
    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Opens the directory of images.
    pub(crate) fn images(&self) -> Result<OwnedFd> {
        self.sub(&["images"])
    }

    /// Opens the directory of indexes.
    pub(crate) fn names(&self) -> Result<OwnedFd> {
        self.sub(&["names"])
    }

    /// Opens the directory of trees that were rendered of several images.
    pub(crate) fn trees(&self) -> Result<OwnedFd> {
        self.sub(&["trees"])
    }

    /// Opens the directory of keys that may sign images.
    pub(crate) fn trusted_keys(&self) -> Result<OwnedFd> {
        self.sub(&["trustedkeys"])
    }

    /// Opens the directory for what is unfinished.
    pub(crate) fn tmp(&self) -> Result<OwnedFd> {
        self.sub(&["tmp"])
    }

    /// Opens the directory of all pods: in it are directories of states.
    pub(crate) fn all_pods(&self) -> Result<OwnedFd> {
        self.sub(&["pods"])
    }

    /// Opens the directory of pods in a state.
    pub(crate) fn pods(&self, state: State) -> Result<OwnedFd> {
        self.sub(&["pods", state.name()])
    }

    /// Opens a directory below; makes it, closed to others, if it is not there.
    fn sub(&self, names: &[&str]) -> Result<OwnedFd> {
        let what = || format!("cannot use `{}`", self.path.join(names.join("/")).display());
        let mut directory = self.root.try_clone().context(what)?;
        for name in names {
            directory = make(directory.as_fd(), name).context(what)?;
        }
        Ok(directory)
    }
}

fn make(parent: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => {}
        opened => return Ok(opened?),
    }
    match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}
