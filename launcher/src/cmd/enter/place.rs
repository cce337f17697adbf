//! The destination of a command: a running pod, one of its apps, and their
//! processes.

use std::os::fd::OwnedFd;

use rustix::fs::Stat;
use rustix::io::Errno;
use stage1_init::Namespaces;

use crate::cmd::selector;
use crate::cmd::status::running;
use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};
use pod::runtime::inherited::Inherited;
use pod::runtime::pause;
use pod::runtime::pod_process::{self, MainProgram, PodProcess};
use pod::spec::pod::{AppSpec, Namespace, PodSpec};
use pod::state::directory::{self, REPORT, SPEC, read_in};
use pod::state::lock;
use pod::state::records::{Process, STARTED, Started};
use sys::dirs::{Dirs, State};
use sys::host;
use sys::pty;

/// A running pod, and what its directory says about it.
pub(super) struct Running {
    /// Its directory.
    pub(super) directory: OwnedFd,
    /// The process that holds its lock.
    process: Process,
    /// What runs in it.
    pub(super) spec: PodSpec,
}

/// The processes of an app: its own, and the init of its pod.
pub(super) struct Place {
    init: PodProcess,
    process: PodProcess,
}

impl Running {
    pub(super) fn find(dirs: &Dirs, uuid: Uuid) -> Result<Self> {
        let over = || Error::invalid(format!("cannot enter pod `{uuid}`: it has exited"));
        let what = || format!("cannot enter pod `{uuid}`");
        let directory = directory::open_in(dirs, State::Run, uuid)?;
        let held = directory.as_ref().map_or(Ok(false), lock::is_held);
        let directory = directory.filter(|_| held == Ok(true));
        let started = directory.as_ref().map(|pod| read_in(pod, STARTED));
        let started = started.transpose().context(what)?.flatten();
        let started = started.and_then(|record| Started::read(&record));
        let (Some(directory), Some(started)) = (directory, started) else {
            return match running(dirs, uuid, "enter")? {
                // It has begun to run in the meantime.
                Some(_) => Self::find(dirs, uuid),
                None => Err(over()),
            };
        };
        host::require_proc().context(what)?;
        let spec = read_in(&directory, SPEC).context(what)?.ok_or_else(over)?;
        Ok(Self {
            spec: PodSpec::read(&spec)
                .context(|| format!("cannot read `{SPEC}` of pod `{uuid}`"))?,
            directory,
            process: started.process,
        })
    }

    pub(super) fn cannot(&self) -> String {
        format!("cannot enter pod `{}`", self.spec.id)
    }

    fn over(&self) -> Error {
        Error::invalid(format!("{}: it has exited", self.cannot()))
    }

    /// Chooses an app by name, or the only one.
    pub(super) fn choose(&self, name: Option<&str>) -> Result<&AppSpec> {
        let apps = &self.spec.apps;
        let names: Vec<String> = apps.iter().map(|app| app.name.clone()).collect();
        selector::app(self.spec.id, &names, name).map(|at| &apps[at])
    }

    /// Finds the init of the pod.
    pub(super) fn init(&self) -> Result<PodProcess> {
        let outer = match pod_process::outer(&self.process)? {
            Some(outer) => outer,
            None if lock::is_held(&self.directory).context(|| self.cannot())? => {
                let unseen = format!(
                    "{}: its process is not visible in this PID namespace",
                    self.cannot()
                );
                return Err(Error::new(Kind::Failed, unseen));
            }
            None => return Err(self.over()),
        };
        match self.spec.processes != Namespace::Host {
            true => pod_process::init(&outer)?.ok_or_else(|| self.over()),
            false => Ok(outer),
        }
    }

    /// Checks that the pod is not exiting right now.
    pub(super) fn check_init(&self) -> Result<()> {
        match self.init()?.is_ending().context(|| self.cannot())? {
            true => Err(self.over()),
            false => Ok(()),
        }
    }

    /// Finds the process of an app.
    pub(super) fn locate(&self, app: &str) -> Result<Place> {
        let number = self.told(app)?;
        let init = self.init()?;
        if pause::is_frozen(&init).context(|| self.cannot())? {
            // The command would be frozen as well, and its caller would wait
            // for it.
            return Err(Error::invalid(format!("{}: it is paused", self.cannot()))
                .hint("`launcher resume` resumes it"));
        }
        match pod_process::main_process(&init, number)? {
            Some(process) => Ok(Place { init, process }),
            None => Err(self.ended(app)),
        }
    }

    /// Reads the PID of an app in the pod's own PID namespace.
    fn told(&self, app: &str) -> Result<u32> {
        let what = || format!("cannot read `report` of pod `{}`", self.spec.id);
        let report = read_in(&self.directory, REPORT).context(what)?;
        match pod_process::main_program(&report.unwrap_or_default(), app) {
            MainProgram::Running(number) => Ok(number),
            MainProgram::Ended => Err(self.ended(app)),
            MainProgram::NotStarted => Err(Error::invalid(format!(
                "cannot enter app `{app}` of pod `{}`: it has not started yet",
                self.spec.id
            ))),
        }
    }

    fn ended(&self, app: &str) -> Error {
        Error::invalid(format!(
            "cannot enter app `{app}` of pod `{}`: it has exited",
            self.spec.id
        ))
    }

    /// Checks that the app's process is still the same. If its PID may have
    /// been reused, the report says that the app has exited.
    pub(super) fn check(&self, app: &str, place: &Place) -> Result<()> {
        self.told(app)?;
        match place.process.is_child_of(&place.init)? && !place.process.is_ending()? {
            true => place.check_user(self),
            false => Err(self.ended(app)),
        }
    }
}

impl Place {
    /// Opens a namespace, if this process is in another one. Those that the
    /// apps share are taken from the init, which no app can move. The PID
    /// namespace is joined in any case, for a process that stays outside.
    pub(super) fn namespace(
        &self,
        pod: &Running,
        name: &str,
        kind: Namespaces,
    ) -> Result<Option<OwnedFd>> {
        let (member, needed) = match kind {
            Namespaces::MNT => (&self.process, false),
            Namespaces::PID => (&self.init, true),
            _ => (&self.init, false),
        };
        let own = own_namespace(pod, name)?;
        let there = member.namespace(name).context(|| pod.cannot())?;
        match (there, own) {
            // The kernel does not support this kind of namespace.
            (None, None) => Ok(None),
            (None, Some(_)) => Err(pod.over()),
            (Some(there), own) => {
                let same = own.is_some_and(|own| is_same(&own, &there));
                Ok((needed || !same).then_some(there))
            }
        }
    }

    /// Refuses an app that has created a user namespace: it controls its
    /// mounts, and a command could have more rights than it has. Leaving a user
    /// namespace is impossible, so checking once, after its mounts are open, is
    /// enough.
    fn check_user(&self, pod: &Running) -> Result<()> {
        let own = own_namespace(pod, "user")?;
        for (member, whose) in [(&self.init, "the pod"), (&self.process, "the app")] {
            let theirs = member.namespace("user").context(|| pod.cannot())?;
            let same = match (&own, &theirs) {
                (Some(own), Some(theirs)) => is_same(own, theirs),
                (None, None) => true,
                (_, None) => return Err(pod.over()),
                (None, Some(_)) => false,
            };
            if !same {
                return Err(Error::invalid(format!(
                    "{}: {whose} has a user namespace of its own",
                    pod.cannot()
                )));
            }
        }
        Ok(())
    }

    /// Creates a pseudoterminal, in the app's own devpts if it has one.
    pub(super) fn terminal(&self) -> Result<OwnedFd> {
        let root = self.process.root().map_err(std::io::Error::from);
        match root.and_then(pty::open_below) {
            Ok(master) => Ok(master),
            // One of the host's has no name in the pod, but works all the same.
            Err(_) => pty::open(),
        }
    }

    /// Reads what the init inherited from the command that ran the pod.
    pub(super) fn inherited(&self, pod: &Running) -> Result<Inherited> {
        let read = Inherited::read(|name| self.init.read(name)).context(|| pod.cannot())?;
        read.ok_or_else(|| pod.over())
    }

    /// Reads the app's cgroups.
    pub(super) fn groups(&self, pod: &Running) -> Result<String> {
        let read = self.process.read("cgroup").context(|| pod.cannot())?;
        read.ok_or_else(|| pod.over())
    }
}

fn own_namespace(pod: &Running, name: &str) -> Result<Option<Stat>> {
    match rustix::fs::stat(format!("/proc/self/ns/{name}")) {
        Err(Errno::NOENT) => Ok(None),
        found => found.map(Some).context(|| pod.cannot()),
    }
}

fn is_same(own: &Stat, other: &OwnedFd) -> bool {
    let other = rustix::fs::fstat(other);
    other.is_ok_and(|other| (own.st_dev, own.st_ino) == (other.st_dev, other.st_ino))
}
