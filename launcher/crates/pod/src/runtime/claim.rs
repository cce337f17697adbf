//! A pod that this process has: one that it makes, or is about to run.

use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{Access, AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::runtime::teardown;
use crate::spec::pod::PodSpec;
use crate::state::directory::{self, PRIVATE, append, make, open};
use crate::state::records::{self, CREATED, Created};
use crate::state::{find, lock};
use appc::types::{AcName, Uuid};
use error::{Context as _, Error, Result};
use image::store::staging;
use sys::dirs::{Dirs, Part, State};

/// The directory of a pod that is being made or about to run, and its lock. It
/// is removed when it goes out of scope: whoever starts the pod is replaced by
/// its init (execve(2)) and never leaves that scope, so only a failure does.
pub struct PodDirectory<'a> {
    dirs: &'a Dirs,
    uuid: Uuid,
    state: State,
    fd: OwnedFd,
    /// Where it writes, if that is not in its directory.
    scratch: Option<OwnedFd>,
    kept: bool,
}

/// The file in what a pod writes to that names the layers below it.
const LAYERS: &str = "layers";

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
        let all = dirs.names()?;
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
            scratch: None,
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

    /// Locks what the pod writes to, if that is not in its directory, and says there
    /// which layers it is on: nothing of it is removed as long as this is open.
    ///
    /// # Errors
    ///
    /// What the disk refuses.
    pub fn hold_scratch(&mut self, spec: &PodSpec) -> Result<()> {
        if self.scratch.is_some() || !directory::is_scratch(self.dirs.path(), &spec.directory) {
            return Ok(());
        }
        let what = || format!("cannot make the files of pod `{}`", self.uuid);
        let scratch = staging::scratch(self.dirs, &self.uuid.to_string()).context(what)?;
        let roots = spec.apps.iter().filter_map(|app| app.root.as_ref());
        let layers = roots.flat_map(|root| &root.layers);
        let layers: String = layers
            .map(|layer| format!("{}\n", layer.display()))
            .collect();
        match make(&scratch, LAYERS) {
            Ok(file) => std::fs::File::from(file)
                .write_all(layers.as_bytes())
                .context(what)?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).context(what),
        }
        self.scratch = Some(scratch);
        Ok(())
    }

    /// Returns the descriptor that holds what the pod writes to.
    pub fn scratch(&self) -> Option<BorrowedFd<'_>> {
        self.scratch.as_ref().map(|scratch| scratch.as_fd())
    }

    /// Makes the directory of an app, for what is put there before the plan runs.
    pub fn make_app(&self, name: &str) -> Result<OwnedFd> {
        let what = || format!("cannot make the directory of app `{name}`");
        let files = self.scratch.as_ref().unwrap_or(&self.fd);
        let mut directory = files.try_clone().context(what)?;
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
    let places = dirs.places();
    let others = places
        .iter()
        .flat_map(|place| TAKEN.map(|state| place.find(Part::Pods(state)).transpose()));
    let others: Vec<OwnedFd> = others.flatten().collect::<Result<_>>()?;
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
