//! Pausing pods: all their processes are in a group that is frozen.
//!
//! A pod whose own groups can be frozen uses those. Any other pod gets a group
//! when it is first paused, and keeps it until the end. The record `freezer`
//! names the group before it is made, so that whoever cleans up the pod removes
//! it, no matter who was killed in between. A version 2 group is used if
//! possible, otherwise one of the version 1 controller `freezer`.
//!
//! # Invariants
//!
//! 1. The group is frozen first; then the processes move into it, PID 1 before
//!    all others, until none is outside. A process in the group can no longer
//!    fork, and a process that PID 1 no longer reaps does not vanish unseen.
//! 2. Only the kernel knows whether a pod is paused, from the group that PID 1
//!    and the apps are in.
//! 3. Pausing, resuming and ending a pod each require its `PauseLock`, so that no
//!    group is made that whoever ends the pod does not know of.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::cgroup::freezer::Freezer;
use crate::cgroup::oom::OomKills;
use crate::cgroup::{self, Hierarchy, membership, record};
use crate::runtime::pod_process::{self, PodProcess};
use crate::runtime::procfs;
use crate::runtime::snapshot::{self, Entry, Snapshot};
use crate::state::directory::{self, REPORT, UNDO, read_in};
use crate::state::lock;
use crate::state::records::{Process, STARTED, Started};
use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};
use sys::dirs::{Dirs, Part, State};
use sys::small_file;

/// The record of the groups that were made to pause a pod: one path per line.
const RECORD: &str = "freezer";

/// How long processes may take to freeze or thaw.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The result of pausing or resuming a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The state was changed.
    Done,
    /// The pod was in that state already.
    Already,
    /// The pod has exited.
    Exited,
}

/// The right to freeze, thaw or end a pod in `pods/run`: a lock on the record
/// of its start.
pub(crate) struct PauseLock {
    uuid: Uuid,
    pod: OwnedFd,
    /// The record of its start, if it was started.
    lock: Option<OwnedFd>,
}

impl PauseLock {
    /// Waits for the lock and takes it; `None` if the pod no longer exists.
    pub(crate) fn take(dirs: &Dirs, uuid: Uuid) -> Result<Option<Self>> {
        let what = || format!("cannot lock pod `{uuid}`");
        let Some(pod) = directory::open_in(dirs, State::Run, uuid)? else {
            return Ok(None);
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = match rustix::fs::openat(&pod, STARTED, flags, Mode::empty()) {
            Ok(lock) => {
                let exclusive = FlockOperation::LockExclusive;
                while let Err(errno) = rustix::fs::flock(&lock, exclusive) {
                    if errno != Errno::INTR {
                        return Err(errno).context(what);
                    }
                }
                Some(lock)
            }
            // A pod that never started is never paused.
            Err(Errno::NOENT) => None,
            Err(errno) => return Err(errno).context(what),
        };
        let path = Part::Pods(State::Run).path().join(uuid.to_string());
        let there = lock::is_there(dirs.pods_base()?, path, &pod);
        Ok(there.context(what)?.then_some(Self { uuid, pod, lock }))
    }

    /// Returns the pod's directory.
    pub(crate) fn pod(&self) -> BorrowedFd<'_> {
        self.pod.as_fd()
    }

    /// Returns the pod's UUID.
    pub(crate) const fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// Reads the record of the pod's start; `None` if it never started.
    pub(crate) fn started(&self) -> io::Result<Option<Vec<u8>>> {
        let read = |record| small_file::read(record, usize::MAX);
        self.lock.as_ref().map(read).transpose()
    }

    /// Removes the groups of the pod, which has exited, and keeps in its report
    /// how often memory had run out. Processes that are still in them are
    /// killed.
    pub(crate) fn remove_groups(&self) -> Result<()> {
        for top in self.recorded()? {
            cgroup::remove(&top)?;
        }
        let Some(groups) = self.groups()? else {
            return Ok(());
        };
        let kills = OomKills::of(groups.tops());
        if !kills.is_none() {
            let report = directory::append(&self.pod, REPORT);
            // The groups have to go even if the disk is full.
            let _ = report.map(|report| rustix::io::write(report, kills.text().as_bytes()));
        }
        groups.remove()
    }

    /// Returns the groups that the pod was started with.
    fn groups(&self) -> Result<Option<cgroup::Groups>> {
        let what = || format!("cannot read the cgroups of pod `{}`", self.uuid);
        let text = read_in(&self.pod, record::FILE).context(what)?;
        let read = |text: Vec<u8>| record::read(&String::from_utf8_lossy(&text), self.uuid);
        text.map(read).transpose()
    }

    /// Returns the groups that were made since. An incomplete last line is
    /// ignored: its group was not made.
    fn recorded(&self) -> Result<Vec<PathBuf>> {
        let what = || format!("cannot read the cgroups of pod `{}`", self.uuid);
        let text = read_in(&self.pod, RECORD).context(what)?;
        Ok(recorded(&text.unwrap_or_default(), self.uuid))
    }

    /// Keeps stage1-init from removing the pod by itself, as it does not know of
    /// groups; returns whether it has not begun yet. The file that allows it
    /// becomes the record of the groups.
    fn keep_from_undoing(&self) -> Result<bool> {
        let what = || format!("cannot pause pod `{}`", self.uuid);
        match rustix::fs::renameat(&self.pod, UNDO, &self.pod, RECORD) {
            Ok(()) => return Ok(true),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno).context(what),
        }
        let started = self.started().context(what)?;
        let started = started.and_then(|record| Started::read(&record));
        let taken = read_in(&self.pod, RECORD).context(what)?.is_some();
        Ok(taken || !started.is_some_and(|started| started.undone))
    }

    /// Returns all its groups that can be frozen.
    fn freezers(&self) -> Result<Vec<Freezer>> {
        let own = self.groups()?;
        let own = own.iter().flat_map(cgroup::Groups::tops).cloned();
        let tops = self.recorded()?.into_iter().chain(own);
        tops.filter_map(|top| look(&top).transpose()).collect()
    }

    /// Finds or makes the group to freeze.
    fn freezer(&self, hierarchies: &[Hierarchy]) -> Result<Freezer> {
        let what = || format!("cannot pause pod `{}`", self.uuid);
        // If one group is frozen already, freezing another has no effect.
        let asked = |one: &Freezer| one.is_asked().unwrap_or(false);
        let found = self.freezers()?.into_iter();
        if let Some(found) = found.min_by_key(|one| !asked(one)) {
            return Ok(found);
        }
        let mut refused = None;
        for hierarchy in cgroup::freezing(hierarchies) {
            match self.make(hierarchy) {
                Ok(freezer) => return Ok(freezer),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(match refused {
            Some(error) => Error::new(Kind::Failed, what()).because(error),
            None => {
                let lacks = "no mounted cgroup hierarchy can freeze processes";
                Error::new(Kind::Failed, format!("{}: {lacks}", what())).hint(
                    "mount version 2, or version 1 with the controller `freezer`, \
                     or use a kernel with CONFIG_CGROUP_FREEZER",
                )
            }
        })
    }

    fn make(&self, hierarchy: &Hierarchy) -> Result<Freezer> {
        if hierarchy.read_only {
            let mount = hierarchy.base.display();
            let what = format!("`{mount}` is mounted read-only");
            return Err(Error::new(Kind::Failed, what));
        }
        let group = cgroup::place(hierarchy, self.uuid);
        let known = self.recorded()?.contains(&group);
        if !known {
            self.record(&group)?;
        }
        cgroup::make_one(&group, known)?;
        let freezer = look(&group).and_then(|freezer| {
            let mount = hierarchy.base.display();
            let what = format!("groups below `{mount}` cannot be frozen");
            let hint = "in version 2 this requires Linux 5.2";
            freezer.ok_or_else(|| Error::new(Kind::Failed, what).hint(hint))
        });
        if freezer.is_err() {
            // It cannot be used, and is empty.
            let _ = cgroup::remove(&group);
        }
        freezer
    }

    fn record(&self, group: &Path) -> Result<()> {
        let what = || format!("cannot write `{RECORD}` of pod `{}`", self.uuid);
        let file = directory::append(&self.pod, RECORD).context(what)?;
        let line = format!("{}\n", group.display());
        let length = rustix::io::write(file, line.as_bytes()).context(what)?;
        match length == line.len() {
            true => Ok(()),
            false => Err(Errno::NOSPC).context(what),
        }
    }
}

fn recorded(text: &[u8], uuid: Uuid) -> Vec<PathBuf> {
    let text = String::from_utf8_lossy(text);
    let lines = text.split_inclusive('\n');
    let whole = lines.filter_map(|line| line.strip_suffix('\n').map(PathBuf::from));
    // A path that is not a group of this pod was not written by us.
    let ours = |path: &PathBuf| path.is_absolute() && cgroup::top(path, uuid) == Some(path);
    whole.filter(ours).collect()
}

/// Pauses a running pod; `outer` is the outer half of its init.
///
/// # Errors
///
/// Fails if this host cannot freeze its processes, or they do not freeze in
/// time.
pub fn pause(dirs: &Dirs, uuid: Uuid, outer: &Process) -> Result<Outcome> {
    let Some(turn) = PauseLock::take(dirs, uuid)? else {
        return Ok(Outcome::Exited);
    };
    if !turn.keep_from_undoing()? {
        return Ok(Outcome::Exited);
    }
    let freezer = turn.freezer(&cgroup::discover())?;
    let before = freezer.is_asked().unwrap_or(false);
    let paused = freeze(&freezer, outer, Instant::now() + PATIENCE);
    if !before && !matches!(paused, Ok(Outcome::Done)) {
        // A pod is never left half paused.
        let _ = freezer.thaw();
    }
    paused.map_err(|error| {
        Error::new(error.kind(), format!("cannot pause pod `{uuid}`")).because(error)
    })
}

fn freeze(freezer: &Freezer, outer: &Process, deadline: Instant) -> Result<Outcome> {
    let group = freezer.group().display();
    let what = || format!("cannot freeze the cgroup `{group}`");
    let before = freezer.is_frozen().context(what)?;
    freezer.freeze().context(what)?;
    let moved = match gather(freezer, outer, deadline)? {
        Some(moved) => moved,
        None => return Ok(Outcome::Exited),
    };
    if !freezer.until(true, deadline).context(what)? {
        let hint = "a process that waits for a disk or a network file system cannot be \
                    frozen until it gets an answer";
        return Err(Error::new(Kind::Failed, "its processes did not freeze in time").hint(hint));
    }
    Ok(match before && !moved {
        true => Outcome::Already,
        false => Outcome::Done,
    })
}

/// Moves all processes of a pod into a frozen group; returns whether any had to
/// be moved. `None` if the pod has exited.
///
/// A process outside of the group can fork and exit before it is looked at. The
/// child's parent is then PID 1, which is frozen and reaps nobody: so the child
/// is still listed, dead or alive, and was not listed before. Two looks that
/// find the same processes, none of them outside, have found all.
fn gather(freezer: &Freezer, outer: &Process, deadline: Instant) -> Result<Option<bool>> {
    let Some(outer) = pod_process::outer(outer)? else {
        return Ok(None);
    };
    let Some(init) = pod_process::init(&outer)? else {
        let what = "it has no PID 1 of its own";
        let hint = "it is starting or ending, or its plan creates no PID namespace";
        return Err(Error::new(Kind::Failed, what).hint(hint));
    };
    let mut moved = false;
    let mut before: Option<BTreeSet<Entry>> = None;
    loop {
        let processes = Snapshot::take()?;
        let all = processes.of_pod(&init);
        if !init.is_child_of(&outer)? {
            return Ok(None);
        }
        let group = freezer.group().display();
        let members = freezer
            .members()
            .context(|| format!("cannot read the cgroup `{group}`"))?;
        let outside = all.iter().filter(|one| one.alive);
        let outside = outside
            .map(|one| one.pid)
            .filter(|pid| !members.contains(pid));
        let mut outside: Vec<u32> = outside.collect();
        if outside.is_empty() && before.as_ref() == Some(&all) {
            return Ok(Some(moved));
        }
        outside.sort_by_key(|&pid| pid != init.number());
        for pid in outside {
            freezer
                .admit(pid)
                .context(|| format!("cannot move process {pid} into the cgroup `{group}`"))?;
            moved = true;
        }
        if Instant::now() >= deadline {
            let what = "it starts processes faster than they can be frozen";
            return Err(Error::new(Kind::Failed, what));
        }
        before = Some(all);
    }
}

/// Resumes a pod.
///
/// # Errors
///
/// Fails if the pod is frozen from outside, by a group that is not its own.
pub fn resume(dirs: &Dirs, uuid: Uuid) -> Result<Outcome> {
    let Some(turn) = PauseLock::take(dirs, uuid)? else {
        return Ok(Outcome::Exited);
    };
    let mut outcome = Outcome::Already;
    for freezer in turn.freezers()? {
        let deadline = Instant::now() + PATIENCE;
        if thaw(&freezer, deadline).context(|| format!("cannot resume pod `{uuid}`"))? {
            outcome = Outcome::Done;
        }
    }
    Ok(outcome)
}

/// Thaws a group; returns whether it was frozen.
fn thaw(freezer: &Freezer, deadline: Instant) -> Result<bool> {
    let group = freezer.group().display();
    let what = || format!("cannot thaw the cgroup `{group}`");
    let asked = freezer.is_asked().context(what)?;
    if asked {
        freezer.thaw().context(what)?;
    }
    match freezer.until(false, deadline).context(what)? {
        true => Ok(asked),
        false => Err(Error::new(Kind::Failed, what())
            .because(Error::new(Kind::Failed, "a group above it is frozen"))),
    }
}

/// Returns whether a pod was asked to pause.
pub fn is_asked(dirs: &Dirs, uuid: Uuid) -> Result<bool> {
    let Some(turn) = PauseLock::take(dirs, uuid)? else {
        return Ok(false);
    };
    for freezer in turn.freezers()? {
        if freezer
            .is_asked()
            .context(|| format!("cannot determine whether pod `{uuid}` is paused"))?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Kills all processes of a pod if it is paused, so that none of them runs on
/// before it dies. Does nothing if the pod is not frozen.
pub fn kill(dirs: &Dirs, uuid: Uuid) -> Result<()> {
    let Some(turn) = PauseLock::take(dirs, uuid)? else {
        return Ok(());
    };
    for freezer in turn.freezers()? {
        if freezer.is_asked().unwrap_or(false) {
            freezer
                .kill()
                .and_then(|()| freezer.thaw())
                .context(|| format!("cannot kill paused pod `{uuid}`"))?;
        }
    }
    Ok(())
}

/// Thaws a pod that is being killed: its outer half was killed while it was
/// paused, and in version 1 frozen processes do not die. Returns whether that
/// was necessary.
pub(crate) fn thaw_dying(dirs: &Dirs, uuid: Uuid) -> Result<bool> {
    let Some(turn) = PauseLock::take(dirs, uuid)? else {
        return Ok(false);
    };
    let what = || format!("cannot thaw pod `{uuid}`, which is ending");
    let killed = |pid: &u32| procfs::is_being_killed(&snapshot::file(*pid, "status"));
    let mut thawed = false;
    for freezer in turn.freezers()? {
        let dying = |members: BTreeSet<u32>| members.iter().any(killed);
        if freezer.is_asked().context(what)? && freezer.members().map(dying).context(what)? {
            freezer.thaw().context(what)?;
            thawed = true;
        }
    }
    Ok(thawed)
}

/// Returns whether a process is in a frozen group.
pub fn is_frozen(process: &PodProcess) -> Result<bool> {
    let what = || "cannot read the mounted file systems";
    let mounts = small_file::list("/proc/self/mountinfo").context(what)?;
    let theirs = process.read("cgroup")?.unwrap_or_default();
    for group in membership::freezable(&mounts, &theirs) {
        let Some(freezer) = look(&group)? else {
            continue;
        };
        match freezer.is_frozen() {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            // The group was removed in the meantime, so the process is no
            // longer in it.
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error).context(|| cannot_look(&group)),
        }
    }
    Ok(false)
}

/// Returns the group, if it exists and can be frozen.
fn look(group: &Path) -> Result<Option<Freezer>> {
    Freezer::of(group).context(|| cannot_look(group))
}

fn cannot_look(group: &Path) -> String {
    format!("cannot read the state of the cgroup `{}`", group.display())
}

/// Returns whether an error means that the group was removed: the kernel
/// reports ENODEV for its open files.
fn is_gone(error: &io::Error) -> bool {
    let gone = [Errno::NOENT, Errno::NODEV].map(Errno::raw_os_error);
    error
        .raw_os_error()
        .is_some_and(|errno| gone.contains(&errno))
}

#[cfg(test)]
#[path = "pause_tests.rs"]
mod tests;
