//! Where a command goes: a pod that runs, an app of it, and their processes.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
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
use pod::state::directory::{self, read_in};
use pod::state::lock;
use pod::state::records::Process;
use sys::dirs::{Dirs, State};
use sys::pty;

/// A pod that runs, and what its directory says of it.
pub(super) struct Running {
    /// Its directory.
    pub(super) directory: OwnedFd,
    /// Which process holds its lock.
    process: Process,
    /// What runs in it.
    pub(super) spec: PodSpec,
}

/// Where an app is: its process, and the init of its pod.
pub(super) struct Place {
    init: PodProcess,
    process: PodProcess,
}

impl Running {
    pub(super) fn find(dirs: &Dirs, uuid: Uuid) -> Result<Self> {
        let over = || Error::invalid(format!("cannot enter pod `{uuid}`: it has exited"));
        let status = running(dirs, uuid, "enter")?.ok_or_else(over)?;
        let directory = directory::open_in(dirs, State::Run, uuid)?.ok_or_else(over)?;
        Ok(Self {
            spec: directory::spec(dirs, State::Run, uuid)?,
            directory,
            process: status.started.ok_or_else(over)?.process,
        })
    }

    pub(super) fn cannot(&self) -> String {
        format!("cannot enter pod `{}`", self.spec.id)
    }

    fn over(&self) -> Error {
        Error::invalid(format!("{}: it has exited", self.cannot()))
    }

    /// Chooses an app by its name, or the only one.
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

    /// Checks that the pod does not end at this moment.
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
            // Who comes in would stand still as well, and its caller with it.
            return Err(Error::invalid(format!("{}: it is paused", self.cannot()))
                .hint("`launcher resume` resumes it"));
        }
        match pod_process::main_process(&init, number)? {
            Some(process) => Ok(Place { init, process }),
            None => Err(self.ended(app)),
        }
    }

    /// Reads by which number the pod knows the process of an app.
    fn told(&self, app: &str) -> Result<u32> {
        let what = || format!("cannot read `report` of pod `{}`", self.spec.id);
        let report = read_in(&self.directory, "report").context(what)?;
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

    /// Checks that an app still is in its place. A number that was free for
    /// another is not believed then: the report says that its app has ended.
    pub(super) fn check(&self, app: &str, place: &Place) -> Result<()> {
        self.told(app)?;
        match place.process.is_child_of(&place.init)? && !place.process.is_ending()? {
            true => place.check_user(self),
            false => Err(self.ended(app)),
        }
    }
}

impl Place {
    /// Opens a namespace, if this process is in another. What the app shares
    /// with the other apps is the init's, which no app can move; that of the
    /// processes is joined in any case, for a process that stays outside.
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
            // A kernel that has none of the kind.
            (None, None) => Ok(None),
            (None, Some(_)) => Err(pod.over()),
            (Some(there), own) => {
                let same = own.is_some_and(|own| is_same(&own, &there));
                Ok((needed || !same).then_some(there))
            }
        }
    }

    /// Refuses an app that has made itself root of something: its mounts are
    /// what it likes, and a command can have more rights than it has. There is
    /// no way back for it, so that this is looked at when its mounts are open.
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

    /// Makes a pair of terminals, of the app's own if it has such.
    pub(super) fn terminal(&self) -> Result<OwnedFd> {
        let root = self.process.root().map_err(std::io::Error::from);
        match root.and_then(pty::open_below) {
            Ok(master) => Ok(master),
            // One of the host's has no name there, and is a terminal all the same.
            Err(_) => pty::open(),
        }
    }

    /// Reads what the init has from whoever ran the pod.
    pub(super) fn inherited(&self, pod: &Running) -> Result<Inherited> {
        let read = Inherited::read(|name| self.init.read(name)).context(|| pod.cannot())?;
        read.ok_or_else(|| pod.over())
    }

    /// Reads which cgroups the app is in.
    pub(super) fn groups(&self, pod: &Running) -> Result<String> {
        let read = self.process.read("cgroup").context(|| pod.cannot())?;
        read.ok_or_else(|| pod.over())
    }
}

fn own_namespace(pod: &Running, name: &str) -> Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    match rustix::fs::open(format!("/proc/self/ns/{name}"), flags, Mode::empty()) {
        Err(Errno::NOENT) => Ok(None),
        opened => opened.map(Some).context(|| pod.cannot()),
    }
}

fn is_same(one: &OwnedFd, other: &OwnedFd) -> bool {
    let identity = |fd| rustix::fs::fstat(fd).map(|status| (status.st_dev, status.st_ino));
    identity(one).is_ok_and(|one| identity(other) == Ok(one))
}
