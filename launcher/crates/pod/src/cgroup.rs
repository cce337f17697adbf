//! Groups of processes that share limits (cgroups(7)).
//!
//! Only a pod that has limits gets any: joining a group waits for the kernel,
//! often for milliseconds. In each hierarchy that has a controller the limits
//! need:
//!
//! ```text
//! BASE/nosecone-UUID          the pod: its limits, or those of its only app
//! BASE/nosecone-UUID/APP      an app that has limits of its own
//! BASE/nosecone-UUID/init.    version 2, if any app has its own group: everything
//!                             else, because a group whose children have
//!                             controllers may not contain processes
//! ```
//!
//! There is no parent group for all pods: nobody would know when to remove it,
//! and as long as it exists, whoever made BASE cannot remove BASE.
//!
//! A paused pod has a group, too: see [`crate::runtime::pause`].
//!
//! If a requested limit cannot be set, the pod does not start, and the error
//! says what the host lacks. Nothing runs without the limits it was given.

mod files;
pub mod freezer;
mod hierarchy;
pub mod membership;
pub mod oom;
mod program;
pub mod record;
mod settings;
pub mod usage;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::cgroup::files::{INIT, put};
use crate::cgroup::freezer::Freezer;
use crate::cgroup::settings::{Controller, Setting, Version};
use crate::spec::limits::{Limits, Rule};
use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};
use sys::bpf;

pub use crate::cgroup::hierarchy::{Hierarchy, discover};

/// What this host offers for limits. Discovered on first use, since most pods
/// have no limits.
#[derive(Debug, Default)]
pub struct Cgroups {
    hierarchies: OnceCell<Vec<Hierarchy>>,
    disks: OnceCell<Vec<String>>,
}

impl Cgroups {
    fn hierarchies(&self) -> &[Hierarchy] {
        self.hierarchies.get_or_init(discover)
    }

    fn disks(&self) -> &[String] {
        self.disks.get_or_init(settings::disks)
    }

    /// Returns whether groups can count processes. With `unasked`, only if that
    /// takes no change to existing groups and cannot be expected to fail.
    pub(crate) fn count_processes(&self, unasked: bool) -> bool {
        hierarchy::counts_processes(self.hierarchies(), unasked)
    }
}

/// The prefix of our groups' names.
const OURS: &str = "nosecone-";

/// The groups of a pod, as they will be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    steps: Vec<Step>,
    /// The groups that the pod's first process joins: one in each hierarchy.
    pub pod: Vec<PathBuf>,
    /// The groups that the processes of each app move to, in the order of the
    /// apps.
    pub apps: Vec<Vec<PathBuf>>,
    tops: Vec<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Make a directory.
    Make(PathBuf),
    /// Enable controllers for the children of a version 2 group.
    Enable(PathBuf, Vec<Controller>),
    /// Write to a file of a group.
    Write(PathBuf, Setting),
    /// Restrict a version 2 group to these devices.
    Devices(PathBuf, Vec<Rule>),
}

/// Groups that exist. Dropping this removes them. Starting a pod replaces the
/// process without dropping it, so the groups are removed only on failure.
pub struct Made<'a>(Vec<&'a Path>);

impl Drop for Made<'_> {
    fn drop(&mut self) {
        for top in &self.0 {
            // What cannot be removed now is collected with the pod.
            let _ = remove(top);
        }
    }
}

/// Decides which groups a pod gets. `apps` are the apps' names and limits, each
/// within those of the pod.
///
/// # Errors
///
/// Fails if no hierarchy can enforce a limit, or the one that can is read-only.
pub(crate) fn arrange(
    cgroups: &Cgroups,
    uuid: Uuid,
    pod: &Limits,
    apps: &[(&str, &Limits)],
) -> Result<Groups> {
    let hierarchies = cgroups.hierarchies();
    let mut groups = Groups {
        apps: vec![Vec::new(); apps.len()],
        ..Groups::default()
    };
    let whole = match apps {
        [(_, only)] => within(only, pod),
        _ => pod.clone(),
    };
    let parts: &[(&str, &Limits)] = if apps.len() > 1 { apps } else { &[] };
    let mut used: BTreeMap<PathBuf, (&Hierarchy, Vec<Controller>)> = BTreeMap::new();
    for limits in parts.iter().map(|&(_, limits)| limits).chain([&whole]) {
        for controller in settings::controllers(limits) {
            let hierarchy = usable(hierarchies, controller)?;
            let (_, controllers) = used
                .entry(hierarchy.base.clone())
                .or_insert_with(|| (hierarchy, Vec::new()));
            if !controllers.contains(&controller) {
                controllers.push(controller);
            }
        }
    }
    for (hierarchy, controllers) in used.values() {
        let place = Placement {
            hierarchy,
            controllers,
            disks: cgroups.disks(),
        };
        place.arrange(uuid, &whole, parts, &mut groups);
    }
    Ok(groups)
}

/// The limits of an app, with those of its pod where it has none.
fn within(app: &Limits, pod: &Limits) -> Limits {
    Limits {
        cpu: app.cpu.or(pod.cpu),
        cpu_shares: app.cpu_shares.or(pod.cpu_shares),
        memory: app.memory.or(pod.memory),
        memory_request: app.memory_request.or(pod.memory_request),
        block_bandwidth: app.block_bandwidth.or(pod.block_bandwidth),
        block_operations: app.block_operations.or(pod.block_operations),
        network_bandwidth: None,
        processes: app.processes.or(pod.processes),
        devices: app.devices.clone().or_else(|| pod.devices.clone()),
    }
}

fn usable(hierarchies: &[Hierarchy], controller: Controller) -> Result<&Hierarchy> {
    let what = format!("cannot limit {}", controller.noun());
    let Some(found) = hierarchy::find(hierarchies, controller) else {
        let (one, two) = (controller.word(Version::One), controller.word(Version::Two));
        let name = match one == two {
            true => format!("`{one}`"),
            false => format!("`{two}` (`{one}` in version 1)"),
        };
        return Err(Error::new(
            Kind::Failed,
            format!("{what}: no mounted cgroup hierarchy has the controller {name}"),
        )
        .hint(format!(
            "mount one, or use a kernel with {}",
            controller.options()
        )));
    };
    if found.read_only {
        return Err(Error::new(
            Kind::Failed,
            format!("{what}: `{}` is mounted read-only", found.base.display()),
        ));
    }
    Ok(found)
}

/// One hierarchy, and the controllers of it that are used.
struct Placement<'a> {
    hierarchy: &'a Hierarchy,
    controllers: &'a [Controller],
    disks: &'a [String],
}

impl Placement<'_> {
    fn arrange(&self, uuid: Uuid, whole: &Limits, parts: &[(&str, &Limits)], groups: &mut Groups) {
        let top = place(self.hierarchy, uuid);
        let parts: Vec<_> = parts
            .iter()
            .enumerate()
            .filter(|(_, (_, limits))| self.concerns(limits))
            .collect();
        let steps = &mut groups.steps;
        // In version 2, devices are restricted by programs, which need no
        // controller.
        let mut handed_down = self.controllers.to_vec();
        handed_down.retain(|&controller| controller != Controller::Devices);
        let enable = |steps: &mut Vec<Step>, group: &Path| {
            if self.hierarchy.version == Version::Two && !handed_down.is_empty() {
                steps.push(Step::Enable(group.to_owned(), handed_down.clone()));
            }
        };
        enable(steps, &self.hierarchy.base);
        steps.push(Step::Make(top.clone()));
        if self.hierarchy.version == Version::One && self.controllers.contains(&Controller::Memory)
        {
            // Before Linux 5.11, a group limits those below it only if told to.
            steps.push(Step::Write(
                top.clone(),
                Setting {
                    controller: Controller::Memory,
                    file: "memory.use_hierarchy".into(),
                    value: "1".to_owned(),
                    optional: true,
                },
            ));
        }
        steps.extend(self.writes(&top, whole));
        let shared = match self.hierarchy.version {
            Version::Two if !parts.is_empty() => {
                enable(steps, &top);
                let init = top.join(INIT);
                steps.push(Step::Make(init.clone()));
                init
            }
            _ => top.clone(),
        };
        groups.pod.push(shared);
        for (at, (name, limits)) in parts {
            let group = top.join(name);
            steps.push(Step::Make(group.clone()));
            steps.extend(self.writes(&group, limits));
            if let Some(app) = groups.apps.get_mut(at) {
                app.push(group);
            }
        }
        groups.tops.push(top);
    }

    fn concerns(&self, limits: &Limits) -> bool {
        settings::controllers(limits).any(|one| self.controllers.contains(&one))
    }

    fn writes(&self, group: &Path, limits: &Limits) -> Vec<Step> {
        let mut steps = self.files(group, limits);
        if self.hierarchy.version == Version::Two
            && self.controllers.contains(&Controller::Devices)
            && let Some(rules) = &limits.devices
        {
            steps.push(Step::Devices(group.to_owned(), rules.clone()));
        }
        steps
    }

    fn files(&self, group: &Path, limits: &Limits) -> Vec<Step> {
        settings::controllers(limits)
            .filter(|controller| self.controllers.contains(controller))
            .flat_map(|controller| {
                settings::settings(self.hierarchy.version, controller, limits, self.disks)
            })
            .map(|setting| Step::Write(group.to_owned(), setting))
            .collect()
    }
}

/// Returns the hierarchies whose groups can be frozen, best first.
pub(crate) fn freezing(hierarchies: &[Hierarchy]) -> impl Iterator<Item = &Hierarchy> {
    let of = |version| hierarchies.iter().filter(move |one| one.version == version);
    let all = of(Version::Two).chain(of(Version::One));
    all.filter(|hierarchy| hierarchy.freezes())
}

impl Groups {
    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Returns the pod's own groups, which contain all others.
    pub(crate) fn tops(&self) -> &[PathBuf] {
        &self.tops
    }

    /// Removes the groups.
    ///
    /// # Errors
    ///
    /// As for [`remove`], after trying all of them.
    pub fn remove(&self) -> Result<()> {
        let removed: Vec<_> = self.tops.iter().map(|top| remove(top)).collect();
        removed.into_iter().collect()
    }

    /// Makes the groups.
    ///
    /// # Errors
    ///
    /// Fails if the kernel refuses, or if another pod with this UUID has the
    /// groups. What was made up to then is removed.
    pub fn make(&self) -> Result<Made<'_>> {
        let mut made = Made(Vec::new());
        for step in &self.steps {
            match step {
                Step::Make(path) if self.tops.contains(path) => {
                    make_top(path)?;
                    made.0.push(path);
                }
                Step::Make(path) => make_if_not_there(path)?,
                Step::Enable(path, controllers) => enable(path, controllers)?,
                Step::Write(path, setting) => write(path, setting)?,
                Step::Devices(path, rules) => bound_devices(path, rules)?,
            }
        }
        Ok(made)
    }
}

/// Returns the path of a pod's group in a hierarchy.
pub fn place(hierarchy: &Hierarchy, uuid: Uuid) -> PathBuf {
    hierarchy.base.join(name(uuid))
}

fn name(uuid: Uuid) -> String {
    format!("{OURS}{uuid}")
}

/// Makes the group of a running pod, at its [`place`]. `known`: the group may
/// exist already and belongs to this pod.
///
/// # Errors
///
/// Fails if the kernel refuses, or if the group belongs to another pod with
/// this UUID.
pub(crate) fn make_one(group: &Path, known: bool) -> Result<()> {
    match known {
        true => make_if_not_there(group),
        false => make_top(group),
    }
}

fn make_if_not_there(path: &Path) -> Result<()> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result.context(|| cannot_make(path)),
    }
}

/// Makes the group of a pod. If a pod with this UUID was killed from outside
/// and left its group behind, that group is removed first, unless a process
/// runs in it.
fn make_top(path: &Path) -> Result<()> {
    let what = || cannot_make(path);
    match std::fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        result => return result.context(what),
    }
    match remove_once(path) {
        Err(Errno::BUSY) => {
            return Err(Error::invalid(what())
                .because(Error::invalid("another pod with this UUID is running")));
        }
        removed => removed.context(what)?,
    }
    std::fs::create_dir(path).context(what)
}

fn cannot_make(path: &Path) -> String {
    format!("cannot create the cgroup `{}`", path.display())
}

fn enable(path: &Path, controllers: &[Controller]) -> Result<()> {
    let words: Vec<_> = controllers
        .iter()
        .map(|controller| format!("+{}", controller.word(Version::Two)))
        .collect();
    let what = || {
        format!(
            "cannot enable the controllers {} below the cgroup `{}`",
            words.join(" "),
            path.display()
        )
    };
    match put(&path.join("cgroup.subtree_control"), &words.join(" ")) {
        // A group that contains processes cannot enable controllers for its
        // children, unless it is the root.
        Err(error) if error.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => {
            let error = Error::new(Kind::Failed, what()).because(error);
            Err(error
                .hint("it contains processes; only the root cgroup may have both, so mount that"))
        }
        result => result.context(what),
    }
}

fn write(group: &Path, setting: &Setting) -> Result<()> {
    let path = group.join(&*setting.file);
    let what = || {
        let (noun, path) = (setting.controller.noun(), path.display());
        format!(
            "cannot limit {noun}: cannot write `{}` into `{path}`",
            setting.value
        )
    };
    match put(&path, &setting.value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match setting.optional {
            true => Ok(()),
            false => Err(Error::new(Kind::Failed, what())
                .because(error)
                .hint(format!("the kernel needs {}", setting.controller.options()))),
        },
        result => result.context(what),
    }
}

fn bound_devices(group: &Path, rules: &[Rule]) -> Result<()> {
    let what = || {
        format!(
            "cannot restrict the devices of the cgroup `{}`",
            group.display()
        )
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(group, flags, Mode::empty()).context(what)?;
    bpf::bound_devices(directory.as_fd(), &program::compile(rules))
        .context(what)
        .map_err(|error| error.hint("the kernel needs CONFIG_CGROUP_BPF"))
}

/// Opens the file that a process writes to in order to join a group.
pub fn open_procs(group: &Path) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::open(group.join("cgroup.procs"), flags, Mode::empty())
        .context(|| format!("cannot open the cgroup `{}`", group.display()))
}

/// Returns the pod's group that contains the group of one of its processes;
/// `None` if that is not ours.
pub fn top(group: &Path, uuid: Uuid) -> Option<&Path> {
    let name = name(uuid);
    group
        .ancestors()
        .find(|path| path.file_name() == Some(name.as_ref()))
}

/// How often removal is retried, and how long to wait in between: the kernel
/// takes a moment to notice that a group's last process is gone.
const TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// How many attempts before the remaining processes are killed. A command that
/// was run in the pod from outside ends with the pod, but gets time to print a
/// message.
const PATIENCE: usize = 10;

/// Removes a group and everything below it. Processes that do not leave it are
/// killed.
///
/// # Errors
///
/// Fails if it still contains processes, or the kernel refuses.
pub fn remove(top: &Path) -> Result<()> {
    let what = || format!("cannot remove the cgroup `{}`", top.display());
    let mut last = Errno::BUSY;
    for attempt in 0..TRIES {
        match remove_once(top) {
            Ok(()) => return Ok(()),
            Err(Errno::BUSY) => {}
            Err(errno) => {
                last = errno;
                break;
            }
        }
        // In version 1, SIGKILL has no effect on a frozen process until it is
        // thawed.
        if let Ok(Some(freezer)) = Freezer::of(top) {
            let _ = freezer.thaw();
        }
        if attempt >= PATIENCE && put(&top.join("cgroup.kill"), "1").is_err() {
            // Version 1, or Linux before 5.14. If this fails, the processes are
            // still there and the next attempt sees them.
            let _ = freezer::kill(top);
        }
        std::thread::sleep(PAUSE);
    }
    Err(last).context(what)
}

fn remove_once(top: &Path) -> rustix::io::Result<()> {
    let (Some(parent), Some(name)) = (top.parent(), top.file_name()) else {
        return Ok(());
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = match rustix::fs::open(parent, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    let name = CString::new(name.as_encoded_bytes()).map_err(|_| Errno::INVAL)?;
    remove_below(parent.as_fd(), &name)
}

fn remove_below(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<()> {
    let unlink = || match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        result => result,
    };
    match unlink() {
        // It has children, or contains processes.
        Err(Errno::BUSY) => {}
        result => return result,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type() == FileType::Directory && name != c"." && name != c".." {
            remove_below(directory.as_fd(), name)?;
        }
    }
    unlink()
}

#[cfg(test)]
#[path = "cgroup/tests.rs"]
mod tests;
