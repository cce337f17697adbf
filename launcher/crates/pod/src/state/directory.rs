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
//! pods/exited/UUID     over, and kept until somebody removes it
//! pods/garbage/UUID    being removed
//! ```
//!
//! ```text
//! UUID/pod             the pod manifest, nothing in it left open
//! UUID/plan            what is executed, with reasons
//! UUID/filter-NUMBER   filters of system calls that the plan names
//! UUID/groups          cgroups to be made, and removed in the end
//! UUID/freezer         cgroups that were made to pause it, and removed in the end
//! UUID/lock            empty; what PID 1 of the pod has locked, see `lock`
//! UUID/report          what stage1-init said of it
//! UUID/created, UUID/started, UUID/ended
//!                      when it was, and by whom: see `life`
//! UUID/log/APP/        log and log.1: what an app wrote of a pod that goes on
//!                      without its caller, if it is kept here; see `log`
//! UUID/apps/NAME/      rootfs (where it is mounted), upper (its changes), work
//! UUID/volumes/NAME/   the pod's empty volumes
//! ```
//!
//! The lock is a flock(2) on the directory itself. It moves with the directory,
//! is inherited by `stage1-init`'s outer half and by what that becomes in the
//! end, and the kernel releases it when they are gone, however that came about.
//! The inner half holds a lock of its own; see `lock`.
//! Who makes a pod also has a shared lock on `pods/embryo` until the pod has
//! one of its own; what is there under an exclusive one is rubbish.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::runtime::teardown;
use crate::state::records::{self, CREATED, Created};
use crate::state::{find, lock};
use appc::types::{AcName, Uuid};
use error::{Context as _, Error, Kind, Result};
use sys::dirs::{Dirs, Part, State};

/// What may be in a directory: only its owner looks into it.
const PRIVATE: Mode = Mode::RWXU;

/// The directory of a pod that is being made or about to run, and its lock. It
/// is removed when it goes out of scope: whoever starts the pod is replaced by
/// its init (execve(2)) and never leaves that scope, so only a failure does.
pub struct PodDirectory<'a> {
    dirs: &'a Dirs,
    uuid: Uuid,
    state: State,
    fd: OwnedFd,
    kept: bool,
}

/// The states in which a UUID is taken.
const TAKEN: [State; 4] = [State::Prepare, State::Prepared, State::Run, State::Exited];

impl<'a> PodDirectory<'a> {
    /// Makes the directory of a new pod in a state, and takes its lock.
    ///
    /// # Errors
    ///
    /// A pod with this UUID is there already, or one of this name that is not
    /// over; the disk's refusals.
    pub fn create(dirs: &'a Dirs, uuid: Uuid, state: State, name: Option<AcName>) -> Result<Self> {
        let what = || format!("cannot make the directory of pod `{uuid}`");
        let embryo = dirs.pods(State::Embryo)?;
        rustix::fs::flock(&embryo, FlockOperation::LockShared).context(what)?;
        // Of two that want one name, the second looks when the first is done.
        let all = dirs.all_pods()?;
        if let Some(name) = &name {
            rustix::fs::flock(&all, FlockOperation::LockExclusive).context(what)?;
            find::check_free(dirs, name)?;
        }
        let fd = publish(dirs, &embryo, uuid, state, name)?;
        Ok(Self::new(dirs, uuid, state, fd))
    }

    fn new(dirs: &'a Dirs, uuid: Uuid, state: State, fd: OwnedFd) -> Self {
        Self {
            dirs,
            uuid,
            state,
            fd,
            kept: false,
        }
    }

    /// Takes a prepared pod to run it: of two who want it, one gets it.
    ///
    /// # Errors
    ///
    /// It is not prepared, or somebody else takes it at this moment.
    pub fn take_prepared(dirs: &'a Dirs, uuid: Uuid) -> Result<Self> {
        let what = || format!("cannot run pod `{uuid}`");
        let name = uuid.to_string();
        let (from, to) = (dirs.pods(State::Prepared)?, dirs.pods(State::Run)?);
        let fd = open(from.as_fd(), &name).context(what)?;
        if !lock::take(&fd).context(what)? {
            return Err(Error::invalid(format!("{}: it is in use", what())));
        }
        rustix::fs::renameat_with(&from, &name, &to, &name, RenameFlags::NOREPLACE)
            .context(what)?;
        Ok(Self::new(dirs, uuid, State::Run, fd))
    }

    /// Takes over a pod that another process of ours has made to run, with its lock.
    ///
    /// # Errors
    ///
    /// What was handed over is not the directory of that pod.
    pub fn adopt(dirs: &'a Dirs, uuid: Uuid, fd: OwnedFd) -> Result<Self> {
        let what = || format!("cannot take over pod `{uuid}`");
        let run = dirs.pods(State::Run)?;
        match lock::is_there(&run, &uuid.to_string(), &fd).context(what)? {
            true => Ok(Self::new(dirs, uuid, State::Run, fd)),
            false => Err(Error::invalid(what())),
        }
    }

    /// Leaves the pod, and its lock, to the process that has taken it over.
    pub fn leave(mut self) {
        self.kept = true;
    }

    /// Keeps a pod that was being prepared, for [`Self::take_prepared`].
    pub fn keep_prepared(mut self) -> Result<()> {
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
    pub const fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// Makes the directory of an app, for what is put there before the plan runs.
    pub fn make_app(&self, name: &str) -> Result<OwnedFd> {
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
    pub fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        std::fs::File::from(self.make(name)?)
            .write_all(content)
            .context(|| format!("cannot write `{name}` of pod `{}`", self.uuid))
    }

    /// Makes a file in the directory, which must not be there.
    fn make(&self, name: &str) -> Result<OwnedFd> {
        make(&self.fd, name).context(|| format!("cannot make `{name}` of pod `{}`", self.uuid))
    }

    /// Opens a file of the directory, to append to it; makes it if it is not there.
    pub fn append(&self, name: &str) -> Result<OwnedFd> {
        append(&self.fd, name).context(|| format!("cannot make `{name}` of pod `{}`", self.uuid))
    }

    /// Makes the file for the report, and opens it for reading.
    pub fn report(&self) -> Result<std::fs::File> {
        let what = || format!("cannot make `report` of pod `{}`", self.uuid);
        let flags = OFlags::CREATE | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat(&self.fd, "report", flags, mode).context(what)?;
        Ok(file.into())
    }

    /// Returns the descriptor of the directory, which holds the lock.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for PodDirectory<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now is collected later: nothing holds its lock.
            let _ = teardown::remove(self.dirs, self.state, self.uuid);
        }
    }
}

/// Returns where the directory of a running pod is on the host.
pub fn path(dir: &Path, uuid: Uuid) -> PathBuf {
    dir.join("pods/run").join(uuid.to_string())
}

/// Reads a file of a pod that may not have it.
pub fn find(dirs: &Dirs, uuid: Uuid, name: &str) -> Result<Option<Vec<u8>>> {
    let pod = open(dirs.pods(State::Run)?.as_fd(), &uuid.to_string());
    let there =
        pod.and_then(|pod| rustix::fs::accessat(&pod, name, Access::EXISTS, AtFlags::empty()));
    match there {
        Err(Errno::NOENT) => Ok(None),
        _ => read(dirs, State::Run, uuid, name).map(Some),
    }
}

/// Makes a directory in `pods/embryo`, which is locked, and moves it to where
/// the pod's state is, locked as well.
fn publish(
    dirs: &Dirs,
    embryo: &OwnedFd,
    uuid: Uuid,
    state: State,
    name: Option<AcName>,
) -> Result<OwnedFd> {
    let what = || format!("cannot make the directory of pod `{uuid}`");
    let taken = || Error::invalid(format!("pod `{uuid}` exists already"));
    let target = dirs.pods(state)?;
    let others = TAKEN.iter().map(|&state| dirs.pods(state));
    let others: Vec<OwnedFd> = others.collect::<Result<_>>()?;
    let called = uuid.to_string();
    // Whoever has made this directory is alone with the UUID.
    match rustix::fs::mkdirat(embryo, &called, PRIVATE) {
        Err(Errno::EXIST) => return Err(taken()),
        made => made.context(what)?,
    }
    let published = open(embryo.as_fd(), &called).and_then(|fd| {
        rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive)?;
        for other in &others {
            let found = rustix::fs::accessat(other, &called, Access::EXISTS, AtFlags::empty());
            if found.is_ok() {
                return Err(Errno::EXIST);
            }
        }
        let time = records::now();
        let record = Created { time, name }.text();
        rustix::io::write(make(&fd, CREATED)?, record.as_bytes())?;
        let only_new = RenameFlags::NOREPLACE;
        rustix::fs::renameat_with(embryo, &called, &target, &called, only_new)?;
        Ok(fd)
    });
    published.or_else(|errno| {
        let _ = sys::root_fd::remove_tree(embryo.as_fd(), &called);
        match errno {
            Errno::EXIST => Err(taken()),
            _ => Err(errno).context(what),
        }
    })
}

/// Opens the directory of a pod in a state, if it is there.
pub fn open_in(dirs: &Dirs, state: State, uuid: Uuid) -> Result<Option<OwnedFd>> {
    let Some(pods) = dirs.find(Part::Pods(state))? else {
        return Ok(None);
    };
    lock::open(pods, &uuid.to_string())
        .context(|| format!("cannot open the directory of pod `{uuid}`"))
}

/// Reads a file in the directory of a pod; `None` if there is none.
pub fn read_in(pod: impl AsFd, name: &str) -> std::io::Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(pod, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let mut content = Vec::new();
    std::fs::File::from(file).read_to_end(&mut content)?;
    Ok(Some(content))
}

/// Reads a file of a pod in a state.
pub fn read(dirs: &Dirs, state: State, uuid: Uuid, name: &str) -> Result<Vec<u8>> {
    let what = || format!("cannot read `{name}` of pod `{uuid}`");
    let pod = open(dirs.pods(state)?.as_fd(), &uuid.to_string()).context(what)?;
    let content = read_in(&pod, name).context(what)?;
    content.ok_or_else(|| {
        Error::new(Kind::NotFound, what()).because(std::io::Error::from(Errno::NOENT))
    })
}

fn make(directory: impl AsFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR)
}

/// Opens a file in the directory of a pod, to append to it; makes it if it is
/// not there.
pub fn append(directory: impl AsFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::APPEND;
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR)
}

fn open(parent: BorrowedFd<'_>, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}
