//! All directories that Nose Cone owns, and where they are.
//!
//! ```text
//! DIR/                      --dir, or $XDG_DATA_HOME/nosecone for ordinary users
//! ├── version               the version of this format; any other is refused
//! ├── downloads/            partial archives, until the rest is fetched
//! ├── images/DIGEST/        manifest, image, record: complete if it exists
//! ├── layers/DIGEST/        rootfs/, frame, record: complete if it exists
//! ├── locks.json            names that are locked to a digest
//! ├── names/                indexes of images: by name, by file, by address
//! ├── pods/STATE/UUID/      embryo, prepare, prepared, run, exited, garbage
//! ├── scratch/UUID/         what pods write that are not remembered; garbage if
//! │                         not locked
//! ├── trustedkeys/          who may sign images, by the name of the image
//! └── tmp/                  staging; garbage if not locked
//! ```
//!
//! Pods that end with their caller are not remembered: their directories are in
//! memory, see `memory`, or with the others if the host has no such place.
//!
//! All directories that cleaning up needs are made in advance, because on a
//! full disk they could not be made. Commands that only read make none.
//!
//! Everything belongs to one user and is inaccessible to all others: images
//! contain set-user-ID programs that only pods should see (CVE-2021-21284 is
//! about less).

use std::env;

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Access, AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::memory::{self, Folder, Missing};
use crate::version;
use error::{Context as _, Error, Kind, Result};

/// The longest path of a data directory, in bytes. The kernel takes 4096
/// (PATH_MAX), and what is in there has longer paths: the root of an app has 300
/// bytes more.
const LONGEST: usize = 3700;

/// The directory for root.
const SYSTEM: &str = "/var/lib/nosecone";

/// The states of a pod that have a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Being made.
    Embryo,
    /// Being filled, if it is locked.
    Prepare,
    /// Prepared, ready to run.
    Prepared,
    /// Running, if it is locked.
    Run,
    /// Has exited, and is kept.
    Exited,
    /// Being removed.
    Garbage,
}

impl State {
    /// All states, in the order of a pod's life: looking into them in this
    /// order never misses a pod that moves on meanwhile.
    pub const ALL: [Self; 6] = [
        Self::Embryo,
        Self::Prepare,
        Self::Prepared,
        Self::Run,
        Self::Exited,
        Self::Garbage,
    ];

    /// Returns the name of its directory.
    pub const fn name(self) -> &'static str {
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

/// One of our directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Images.
    Images,
    /// Indexes of images.
    Names,
    /// Unpacked layers.
    Layers,
    /// Blobs of OCI images, as they were received.
    Blobs,
    /// The scratch directories of pods that are not remembered.
    Scratch,
    /// Keys that may sign images.
    TrustedKeys,
    /// Unfinished files.
    Tmp,
    /// The parent of the directories of pods by state.
    AllPods,
    /// Pods in a state.
    Pods(State),
}

impl Part {
    /// All of them, parents first.
    const ALL: [Self; 14] = [
        Self::Images,
        Self::Names,
        Self::Layers,
        Self::Blobs,
        Self::Scratch,
        Self::TrustedKeys,
        Self::Tmp,
        Self::AllPods,
        Self::Pods(State::Embryo),
        Self::Pods(State::Prepare),
        Self::Pods(State::Prepared),
        Self::Pods(State::Run),
        Self::Pods(State::Exited),
        Self::LAST,
    ];

    /// The last of them.
    const LAST: Self = Self::Pods(State::Garbage);

    /// Returns its path below the directory that contains all others.
    pub fn path(self) -> PathBuf {
        match self {
            Self::Images => "images".into(),
            Self::Names => "names".into(),
            Self::Layers => "layers".into(),
            Self::Blobs => "blobs".into(),
            Self::Scratch => "scratch".into(),
            Self::TrustedKeys => "trustedkeys".into(),
            Self::Tmp => "tmp".into(),
            Self::AllPods => "pods".into(),
            Self::Pods(state) => Path::new("pods").join(state.name()),
        }
    }
}

/// The open directories, with the pods of one place: those that are remembered,
/// or those that are not.
#[derive(Clone, Debug)]
pub struct Dirs {
    path: PathBuf,
    /// The directory that contains all others, if it exists.
    root: Option<Arc<OwnedFd>>,
    /// Where the pods are, if not in there.
    memory: Option<Arc<Folder>>,
}

/// Returns where the directories are: the caller's choice, or the default. The
/// path is made absolute, so that it stays valid when the working directory
/// changes.
///
/// # Errors
///
/// Fails if there is no default, because `HOME` is not set, or if the working
/// directory does not exist.
pub fn location(chosen: Option<PathBuf>) -> Result<PathBuf> {
    let path = match chosen {
        Some(path) => path,
        None if rustix::process::geteuid().is_root() => PathBuf::from(SYSTEM),
        None => data_home()?.join("nosecone"),
    };
    std::path::absolute(&path).context(|| format!("cannot use `{}`", path.display()))
}

/// According to the XDG Base Directory Specification, a relative path is to be
/// ignored.
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
            .hint("use `--dir DIRECTORY` to set where images and pods are stored")
        })
}

impl Dirs {
    /// Opens the directories; makes those that do not exist.
    ///
    /// # Errors
    ///
    /// Fails if the path is not a directory, belongs to another user, or is
    /// writable by others; if its format is of another version; or if the disk
    /// refuses.
    pub fn open(path: &Path) -> Result<Self> {
        let (mut dirs, mut has_version) = Self::examine(path)?;
        if dirs.root.is_none() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .context(|| cannot_use(path))?;
            (dirs, has_version) = Self::examine(path)?;
        }
        let write = (Access::WRITE_OK, AtFlags::EACCESS);
        if rustix::fs::accessat(dirs.root()?, ".", write.0, write.1) == Err(Errno::ROFS) {
            let what = format!("{}: its file system is read-only", cannot_use(path));
            return Err(Error::new(Kind::Failed, what)
                .hint("choose another with `--dir`, or remount it writable"));
        }
        // The version comes first, before anything in that format.
        if !has_version {
            version::write(dirs.root()?, path)?;
        }
        // They are made in order, so that the last one stands for all. One that
        // somebody has removed is made when it is needed.
        if !dirs.has(Part::LAST) {
            for part in Part::ALL {
                dirs.make(part)?;
            }
        }
        Ok(dirs)
    }

    /// Opens the directories that exist, and makes none.
    ///
    /// # Errors
    ///
    /// Fails if the path is not a directory, belongs to another user, or is
    /// writable by others; or if its format is of another version.
    pub fn look(path: &Path) -> Result<Self> {
        Self::examine(path).map(|(dirs, _)| dirs)
    }

    /// Does what [`Self::look`] does; returns also whether there is a version.
    fn examine(path: &Path) -> Result<(Self, bool)> {
        let what = || cannot_use(path);
        if path.as_os_str().len() > LONGEST {
            let fault = format!("{}: its path is longer than {LONGEST} bytes", what());
            return Err(Error::invalid(fault).hint("choose another with `--dir`"));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(root) => root,
            Err(Errno::NOENT) => {
                let none = Self {
                    path: path.to_owned(),
                    root: None,
                    memory: None,
                };
                return Ok((none, false));
            }
            Err(errno) => return Err(errno).context(what),
        };
        let status = rustix::fs::fstat(&root).context(what)?;
        if status.st_uid != rustix::process::geteuid().as_raw() {
            return Err(Error::invalid(format!(
                "{}: it belongs to another user",
                what()
            )));
        }
        if status.st_mode & 0o022 != 0 {
            return Err(
                Error::invalid(format!("{}: other users can write to it", what())).hint(format!(
                    "if nobody has tampered with it, run `chmod go-w {}`",
                    path.display()
                )),
            );
        }
        let has_version = version::check(root.as_fd(), path)?;
        let dirs = Self {
            path: path.to_owned(),
            root: Some(Arc::new(root)),
            memory: None,
        };
        Ok((dirs, has_version))
    }

    /// Opens the directories by a descriptor that this process inherited from one
    /// that had checked them, wherever they are by now. Without procfs, they are
    /// looked for at their path.
    ///
    /// # Errors
    ///
    /// The descriptor is not a directory. As for [`Self::look`].
    pub fn inherited(number: u32, path: &Path) -> Result<Self> {
        let link = format!("/proc/self/fd/{number}");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = match rustix::fs::open(&link, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Self::look(path),
            root => root.context(|| cannot_use(path))?,
        };
        Ok(Self {
            path: std::fs::read_link(&link).unwrap_or_else(|_| path.to_owned()),
            root: Some(Arc::new(root)),
            memory: None,
        })
    }

    /// Returns the absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns these directories once for each place of pods that exists: first
    /// that of remembered pods, then that of the others.
    pub fn places(&self) -> Vec<Self> {
        let remembered = Self {
            memory: None,
            ..self.clone()
        };
        let memory = remembered.with_memory(Missing::Ignore);
        std::iter::once(remembered).chain(memory).collect()
    }

    /// Returns these directories with the pods that are not remembered, and
    /// makes their place in memory; if the host has no such place, they are
    /// with the others.
    pub fn make_in_memory(&self) -> Self {
        self.with_memory(Missing::Make)
            .unwrap_or_else(|| self.clone())
    }

    fn with_memory(&self, missing: Missing) -> Option<Self> {
        let folder = memory::folder(self.root.as_ref()?.as_fd(), missing)?;
        Some(Self {
            memory: Some(Arc::new(folder)),
            ..self.clone()
        })
    }

    /// Returns whether these are the pods that are not remembered.
    pub fn are_in_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// Returns whether pods that are not remembered would be in memory.
    pub fn would_be_in_memory() -> bool {
        memory::is_there()
    }

    /// Returns the path of the directories of pods.
    pub fn pods_path(&self) -> PathBuf {
        let base = self.memory.as_ref().map(|folder| &folder.path);
        base.unwrap_or(&self.path).join("pods")
    }

    /// Returns the parent of a part, if it exists.
    fn base(&self, part: Part) -> Option<BorrowedFd<'_>> {
        match (part, &self.memory) {
            (Part::AllPods | Part::Pods(_), Some(folder)) => Some(folder.fd.as_fd()),
            _ => self.root.as_ref().map(|root| root.as_fd()),
        }
    }

    /// Returns the open directory that contains all others.
    ///
    /// # Errors
    ///
    /// Fails if it does not exist.
    pub fn root(&self) -> Result<BorrowedFd<'_>> {
        let root = self.root.as_ref().ok_or(Errno::NOENT);
        let root = root.context(|| cannot_use(&self.path))?;
        Ok(root.as_fd())
    }

    /// Returns the open directory below which those of pods are, at the paths of
    /// their parts.
    ///
    /// # Errors
    ///
    /// Fails if it does not exist.
    pub fn pods_base(&self) -> Result<BorrowedFd<'_>> {
        let base = self.base(Part::AllPods).ok_or(Errno::NOENT);
        base.context(|| cannot_use(&self.path))
    }

    /// Returns whether a directory exists.
    fn has(&self, part: Part) -> bool {
        let there = |base| {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::accessat(base, part.path(), Access::EXISTS, flags).is_ok()
        };
        self.base(part).is_some_and(there)
    }

    /// Opens a directory, if it exists.
    pub fn find(&self, part: Part) -> Result<Option<OwnedFd>> {
        let Some(base) = self.base(part) else {
            return Ok(None);
        };
        match open(base, &part.path()) {
            Ok(directory) => Ok(Some(directory)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno).context(|| cannot_use(&self.path.join(part.path()))),
        }
    }

    /// Opens a directory; if it does not exist, makes it, inaccessible to
    /// others.
    pub fn make(&self, part: Part) -> Result<OwnedFd> {
        if let Some(directory) = self.find(part)? {
            return Ok(directory);
        }
        let path = part.path();
        let base = self.base(part).ok_or(Errno::NOENT);
        let base = base.context(|| cannot_use(&self.path))?;
        if let Part::Pods(_) = part {
            self.make(Part::AllPods)?;
        }
        match rustix::fs::mkdirat(base, &path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => open(base, &path),
            Err(errno) => Err(errno),
        }
        .context(|| cannot_use(&self.path.join(path)))
    }

    /// Opens the directory of indexes.
    pub fn names(&self) -> Result<OwnedFd> {
        self.make(Part::Names)
    }

    /// Opens the directory of unfinished files.
    pub fn tmp(&self) -> Result<OwnedFd> {
        self.make(Part::Tmp)
    }

    /// Opens the parent of the directories of pods by state.
    pub fn all_pods(&self) -> Result<OwnedFd> {
        self.make(Part::AllPods)
    }

    /// Opens the directory of pods in a state.
    pub fn pods(&self, state: State) -> Result<OwnedFd> {
        self.make(Part::Pods(state))
    }
}

fn cannot_use(path: &Path) -> String {
    format!("cannot use directory `{}`", path.display())
}

/// Opens a path of one or two of our own names.
fn open(parent: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, path, flags, Mode::empty())
}
