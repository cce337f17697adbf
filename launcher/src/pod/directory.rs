//! A pod on disk: a directory, named by the pod's UUID, and its lock.
//!
//! Which directory it is in and whether its lock is held is all the state a
//! pod has, so none of it can be stale:
//!
//! ```text
//! pods/embryo/UUID     being made; without a lock, rubbish
//! pods/prepare/UUID    locked: being prepared. Not locked: that was cut short
//! pods/prepared/UUID   can be run, once
//! pods/run/UUID        locked: running. Not locked: its host or its init was killed
//! pods/garbage/UUID    being removed
//! ```
//!
//! ```text
//! UUID/pod             the pod manifest, nothing in it left open
//! UUID/plan            what is executed, with reasons
//! UUID/filter-NUMBER   filters of system calls that the plan names
//! UUID/groups          cgroups to be made, and removed in the end
//! UUID/report          what stage1-init said of it
//! UUID/apps/NAME/      rootfs (where it is mounted), upper (its changes), work
//! UUID/volumes/NAME/   the pod's empty volumes
//! ```
//!
//! The lock is a flock(2) on the directory itself. It moves with the directory,
//! is inherited by `stage1-init`, and the kernel releases it when the last
//! process of the pod is gone, however that came about.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::ground::dirs::{Dirs, State};
use crate::ground::{Context as _, Error, Kind, Result, beneath};
use crate::words::quote::quoted;
use crate::words::types::Uuid;

/// What may be in a directory: only its owner looks into it.
const PRIVATE: Mode = Mode::RWXU;

/// The directory of a pod that is being made or about to run, and its lock. It
/// is removed when it goes out of scope: whoever starts the pod is replaced by
/// its init (execve(2)) and never leaves that scope, so only a failure does.
pub(crate) struct PodDirectory<'a> {
    dirs: &'a Dirs,
    uuid: Uuid,
    fd: OwnedFd,
    kept: bool,
}

/// The states in which a UUID is taken.
const TAKEN: [State; 3] = [State::Prepare, State::Prepared, State::Run];

impl<'a> PodDirectory<'a> {
    /// Makes the directory of a new pod in a state, and takes its lock.
    ///
    /// # Errors
    ///
    /// A pod with this UUID is there already; the disk's refusals.
    pub(crate) fn create(dirs: &'a Dirs, uuid: Uuid, state: State) -> Result<Self> {
        let what = || format!("cannot make the directory of pod `{uuid}`");
        let taken = || Error::invalid(format!("pod `{uuid}` exists already"));
        let embryo = dirs.pods(State::Embryo)?;
        let name = uuid.to_string();
        let target = dirs.pods(state)?;
        let others = TAKEN.iter().map(|&state| dirs.pods(state));
        let others: Vec<OwnedFd> = others.collect::<Result<_>>()?;
        // Whoever has made this directory is alone with the UUID.
        match rustix::fs::mkdirat(&embryo, &name, PRIVATE) {
            Err(Errno::EXIST) => return Err(taken()),
            made => made.context(what)?,
        }
        let published = open(embryo.as_fd(), &name).and_then(|fd| {
            lock(&fd)?;
            for other in &others {
                let found = rustix::fs::accessat(other, &name, Access::EXISTS, AtFlags::empty());
                if found.is_ok() {
                    return Err(Errno::EXIST);
                }
            }
            let only_new = RenameFlags::NOREPLACE;
            rustix::fs::renameat_with(&embryo, &name, &target, &name, only_new)?;
            Ok(fd)
        });
        match published {
            Ok(fd) => Ok(Self {
                dirs,
                uuid,
                fd,
                kept: false,
            }),
            Err(errno) => {
                let _ = rustix::fs::unlinkat(&embryo, &name, AtFlags::REMOVEDIR);
                match errno {
                    Errno::EXIST => Err(taken()),
                    _ => Err(errno).context(what),
                }
            }
        }
    }

    /// Takes a prepared pod to run it: of two who want it, one gets it.
    ///
    /// # Errors
    ///
    /// It is not prepared, or somebody else takes it at this moment.
    pub(crate) fn take_prepared(dirs: &'a Dirs, uuid: Uuid) -> Result<Self> {
        let what = || format!("cannot run pod `{uuid}`");
        let name = uuid.to_string();
        let (from, to) = (dirs.pods(State::Prepared)?, dirs.pods(State::Run)?);
        let fd = open(from.as_fd(), &name).context(what)?;
        match lock(&fd) {
            Err(Errno::WOULDBLOCK) => {
                return Err(Error::invalid(format!("{}: it is in use", what())));
            }
            locked => locked.context(what)?,
        }
        rustix::fs::renameat_with(&from, &name, &to, &name, RenameFlags::NOREPLACE)
            .context(what)?;
        Ok(Self {
            dirs,
            uuid,
            fd,
            kept: false,
        })
    }

    /// Keeps a pod that was being prepared, for [`Self::take_prepared`].
    pub(crate) fn keep_prepared(mut self) -> Result<()> {
        let what = || format!("cannot keep pod `{}`", self.uuid);
        let name = self.uuid.to_string();
        let prepared = self.dirs.pods(State::Prepared)?;
        // What is prepared outlives this process, and then perhaps the power.
        rustix::fs::syncfs(&self.fd).context(what)?;
        rustix::fs::renameat_with(
            self.dirs.pods(State::Prepare)?,
            &name,
            &prepared,
            &name,
            RenameFlags::NOREPLACE,
        )
        .context(what)?;
        self.kept = true;
        rustix::fs::fsync(&prepared).context(|| format!("cannot keep pod `{name}`"))
    }

    /// Returns the UUID of the pod.
    pub(crate) const fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// Makes the directory of an app, for what is put there before the plan runs.
    pub(crate) fn make_app(&self, name: &str) -> Result<OwnedFd> {
        let what = || format!("cannot make the directory of app `{name}`");
        let mut directory = self.fd.as_fd().try_clone_to_owned().context(what)?;
        for name in ["apps", name] {
            match rustix::fs::mkdirat(&directory, name, PRIVATE) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno).context(what),
            }
            directory = open(directory.as_fd(), name).context(what)?;
        }
        Ok(directory)
    }

    /// Writes a file into the directory.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        std::fs::File::from(self.make(name)?)
            .write_all(content)
            .context(|| format!("cannot write `{name}` of pod `{}`", self.uuid))
    }

    /// Makes an empty file in the directory.
    pub(crate) fn make(&self, name: &str) -> Result<OwnedFd> {
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)
            .context(|| format!("cannot make `{name}` of pod `{}`", self.uuid))
    }

    /// Returns the descriptor of the directory, which holds the lock.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for PodDirectory<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now is collected later: nothing holds its lock.
            let _ = remove(self.dirs, self.uuid);
        }
    }
}

/// Returns where the directory of a running pod is on the host.
pub(crate) fn path(dir: &Path, uuid: Uuid) -> PathBuf {
    dir.join("pods/run").join(uuid.to_string())
}

/// Reads a file of a pod that may not have it.
pub(crate) fn find(dirs: &Dirs, uuid: Uuid, name: &str) -> Result<Option<Vec<u8>>> {
    let pod = open(dirs.pods(State::Run)?.as_fd(), &uuid.to_string());
    let there =
        pod.and_then(|pod| rustix::fs::accessat(&pod, name, Access::EXISTS, AtFlags::empty()));
    match there {
        Err(Errno::NOENT) => Ok(None),
        _ => read(dirs, State::Run, uuid, name).map(Some),
    }
}

/// Reads a file of a pod in a state.
pub(crate) fn read(dirs: &Dirs, state: State, uuid: Uuid, name: &str) -> Result<Vec<u8>> {
    let what = || format!("cannot read `{name}` of pod `{uuid}`");
    let pod = open(dirs.pods(state)?.as_fd(), &uuid.to_string()).context(what)?;
    let file = rustix::fs::openat(
        &pod,
        name,
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .context(what)?;
    let mut content = Vec::new();
    std::fs::File::from(file)
        .read_to_end(&mut content)
        .context(what)?;
    Ok(content)
}

/// Removes the directory of a pod that is over: first out of sight, by one
/// rename, then file by file. A second call finishes what was interrupted.
pub(crate) fn remove(dirs: &Dirs, uuid: Uuid) -> Result<()> {
    let what = || format!("cannot remove pod `{uuid}`");
    let garbage = dirs.pods(State::Garbage)?;
    let name = uuid.to_string();
    for state in [State::Embryo, State::Prepare, State::Run] {
        match rustix::fs::renameat(dirs.pods(state)?, &name, &garbage, &name) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno).context(what),
        }
    }
    beneath::remove_tree(garbage.as_fd(), &name).context(what)
}

/// Finds a prepared pod by any unique beginning of its UUID.
///
/// # Errors
///
/// None begins so, or several do.
pub(crate) fn find_prepared(dirs: &Dirs, text: &str) -> Result<Uuid> {
    let what = || "cannot list the prepared pods";
    let plain = |text: &str| text.replace('-', "").to_ascii_lowercase();
    let wanted = plain(text);
    let mut found = Vec::new();
    for entry in rustix::fs::Dir::new(dirs.pods(State::Prepared)?).context(what)? {
        let name = entry
            .context(what)?
            .file_name()
            .to_string_lossy()
            .into_owned();
        if !wanted.is_empty() && plain(&name).starts_with(&wanted) {
            found.extend(Uuid::parse(&name).ok());
        }
    }
    match found[..] {
        [uuid] => Ok(uuid),
        [] => Err(Error::new(
            Kind::NotFound,
            format!("there is no prepared pod {}", quoted(text)),
        )
        .hint("`launcher prepare` prints the UUID of the pod that it makes")),
        _ => Err(
            Error::invalid(format!("several prepared pods begin with {}", quoted(text)))
                .hint("give more digits"),
        ),
    }
}

fn lock(fd: &OwnedFd) -> rustix::io::Result<()> {
    rustix::fs::flock(fd, FlockOperation::NonBlockingLockExclusive)
}

fn open(parent: BorrowedFd<'_>, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}
