//! A pod directory that this process owns: one that it is making, or is about
//! to run.

use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{Access, AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::runtime::{status, teardown};
use crate::spec::pod::PodSpec;
use crate::state::directory::{self, PRIVATE, REPORT, UNDO, append, make, open};
use crate::state::records::{self, CREATED, Created, PREPARED};
use crate::state::{find, lock};
use appc::types::{AcName, Uuid};
use error::{Context as _, Error, Result};
use image::store::staging;
use sys::dirs::{Dirs, Part, State};

/// The directory of a pod that is being made or about to run, with its lock.
/// Dropping this removes the directory. Starting a pod replaces the process
/// (execve(2)) without dropping it, so the directory is removed only on
/// failure.
pub struct PodDirectory<'a> {
    dirs: &'a Dirs,
    uuid: Uuid,
    state: State,
    fd: OwnedFd,
    /// The directory that the pod writes to, if that is outside of its own.
    scratch: Option<OwnedFd>,
    kept: bool,
}

/// The UUID of a new pod.
#[derive(Clone, Copy, Debug)]
pub enum Id {
    /// No other pod has it: 122 of its bits are random.
    Random(Uuid),
    /// Somebody has chosen it, and another pod may have it.
    Chosen(Uuid),
}

impl Id {
    /// Returns the UUID.
    pub const fn uuid(self) -> Uuid {
        match self {
            Self::Random(uuid) | Self::Chosen(uuid) => uuid,
        }
    }
}

/// The file in a scratch directory that names the layers below it.
pub(crate) const LAYERS: &str = "layers";

/// The states in which a UUID is taken.
const TAKEN: [State; 4] = [State::Prepare, State::Prepared, State::Run, State::Exited];

impl<'a> PodDirectory<'a> {
    /// Makes the directory of a new pod in a state, and takes its lock.
    ///
    /// # Errors
    ///
    /// Fails if a pod has this UUID, or one that has not exited has this name;
    /// or if the disk refuses.
    pub fn create(dirs: &'a Dirs, id: Id, state: State, name: Option<AcName>) -> Result<Self> {
        let uuid = id.uuid();
        let what = || format!("cannot create the directory of pod `{uuid}`");
        let embryo = dirs.pods(State::Embryo)?;
        rustix::fs::flock(&embryo, FlockOperation::LockShared).context(what)?;
        // If two want the same name, the second looks after the first is done.
        let mut all = None;
        if let Some(name) = &name {
            let all = all.insert(dirs.names()?);
            rustix::fs::flock(all, FlockOperation::LockExclusive).context(what)?;
            find::check_free(dirs, name)?;
        }
        let fd = publish(dirs, &embryo, id, state, name)?;
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

    /// Takes a prepared pod in order to run it. If several processes try, only
    /// one succeeds.
    ///
    /// # Errors
    ///
    /// Fails if the pod is not prepared, or another process takes it at this
    /// moment.
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

    /// Takes over a pod, and its lock, from another process of ours that has
    /// made it.
    ///
    /// # Errors
    ///
    /// Fails if the descriptor is not the directory of that pod.
    pub fn adopt(dirs: &'a Dirs, uuid: Uuid, fd: OwnedFd) -> Result<Self> {
        let what = || format!("cannot take over pod `{uuid}`");
        let run = dirs.pods(State::Run)?;
        match lock::is_there(&run, uuid.to_string(), &fd).context(what)? {
            true => Ok(Self::new(dirs, uuid, State::Run, fd)),
            false => Err(Error::invalid(what())),
        }
    }

    /// Leaves the pod and its lock to the process that has taken it over.
    pub fn leave(mut self) {
        self.kept = true;
    }

    /// Publishes a pod that was being prepared, for [`Self::take_prepared`].
    pub fn keep_prepared(mut self) -> Result<()> {
        let what = || format!("cannot keep pod `{}`", self.uuid);
        let name = self.uuid.to_string();
        let prepared = self.dirs.pods(State::Prepared)?;
        if let Some(record) = status::record(&self.fd, self.uuid, None)? {
            self.write(PREPARED, record.as_bytes())?;
        }
        // A prepared pod has to survive this process, and perhaps a power
        // failure.
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

    /// Locks the pod's scratch directory, if it has one, and records there
    /// which layers are in use: gc removes none of it as long as the lock is
    /// held.
    ///
    /// # Errors
    ///
    /// Fails if the disk refuses.
    pub fn hold_scratch(&mut self, spec: &PodSpec) -> Result<()> {
        if self.scratch.is_some() || !directory::is_scratch(self.dirs.path(), &spec.directory) {
            return Ok(());
        }
        let what = || format!("cannot create the files of pod `{}`", self.uuid);
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

    /// Returns the descriptor that locks the scratch directory.
    pub fn scratch(&self) -> Option<BorrowedFd<'_>> {
        self.scratch.as_ref().map(|scratch| scratch.as_fd())
    }

    /// Makes the directory of an app, for files that have to be there before
    /// the plan runs.
    pub fn make_app(&self, name: &str) -> Result<OwnedFd> {
        let what = || format!("cannot create the directory of app `{name}`");
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

    /// Writes a file in the directory.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        std::fs::File::from(self.make(name)?)
            .write_all(content)
            .context(|| format!("cannot write `{name}` of pod `{}`", self.uuid))
    }

    /// Replaces a file in the directory: whoever reads it finds the old one or the
    /// new one.
    pub fn replace(&self, name: &str, content: &[u8]) -> Result<()> {
        let replaced = directory::replace(&self.fd, name, content);
        replaced.context(|| format!("cannot replace `{name}` of pod `{}`", self.uuid))
    }

    /// Lets stage1-init remove the pod by itself.
    pub(crate) fn let_undo(&self) -> Result<()> {
        self.make(UNDO).map(drop)
    }

    /// Makes a file in the directory; it must not exist.
    fn make(&self, name: &str) -> Result<OwnedFd> {
        make(&self.fd, name).context(|| format!("cannot create `{name}` of pod `{}`", self.uuid))
    }

    /// Opens a file in the directory for appending; makes it if it does not
    /// exist.
    pub fn append(&self, name: &str) -> Result<OwnedFd> {
        append(&self.fd, name).context(|| format!("cannot create `{name}` of pod `{}`", self.uuid))
    }

    /// Makes the file for the report, and opens it for reading.
    pub fn report(&self) -> Result<std::fs::File> {
        let what = || format!("cannot create `report` of pod `{}`", self.uuid);
        let flags = OFlags::CREATE | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat(&self.fd, REPORT, flags, mode).context(what)?;
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
            // If this fails, gc collects the pod later: nobody holds its lock.
            let _ = teardown::remove(self.dirs, self.state, self.uuid);
        }
    }
}

/// Makes a locked directory in `pods/embryo` and moves it, still locked, to the
/// directory of the pod's state.
fn publish(
    dirs: &Dirs,
    embryo: &OwnedFd,
    id: Id,
    state: State,
    name: Option<AcName>,
) -> Result<OwnedFd> {
    let uuid = id.uuid();
    let what = || format!("cannot create the directory of pod `{uuid}`");
    let taken = || Error::invalid(format!("pod `{uuid}` already exists"));
    let (base, target) = (
        dirs.pods_base()?,
        Part::Pods(state).path().join(uuid.to_string()),
    );
    let others: Vec<OwnedFd> = match id {
        Id::Random(_) => Vec::new(),
        Id::Chosen(_) => {
            let places = dirs.places();
            let others = places
                .iter()
                .flat_map(|place| TAKEN.map(|state| place.find(Part::Pods(state)).transpose()));
            others.flatten().collect::<Result<_>>()?
        }
    };
    let called = uuid.to_string();
    // Whoever makes this directory owns the UUID.
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
        let publish = || rustix::fs::renameat_with(embryo, &called, base, &target, only_new);
        match publish() {
            // The first pod in this state.
            Err(Errno::NOENT) if dirs.make(Part::Pods(state)).is_ok() => publish()?,
            published => published?,
        }
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
