//! Composes the plan of a pod: one pure function that decides what is done, and
//! in which order.
//!
//! Most of a runner's security is in this order, so it is defined in one place,
//! here, and `launcher plan` shows it:
//!
//! 1. Namespaces, the pod's host name, and its loopback interface.
//! 2. The pod's empty volumes, in its directory on the host, and the memory
//!    that its apps share.
//! 3. For each app, its root; then fresh kernel file systems, before anything
//!    of the image is looked at; then devices, masks, and write protection.
//!    Then the few files that an image may leave to us, and the mount points of
//!    volumes: all are made before the first volume is mounted, so that no link
//!    in an image can make them appear in a volume, and so on the host. Then
//!    the volumes; then the root is made read-only, if it is to be; then it
//!    becomes `/`, and the host is out of reach.
//! 4. What each process does to itself, from the harmless to the irrevocable: a
//!    process must still have a capability to drop others.
//! 5. What PID 1 keeps when the first app starts, because an app that may trace
//!    can do everything that PID 1 can. Where apps have their own mount
//!    namespaces PID 1 still has the host's, and gets an empty root.
//!
//! Not here: facts about the host ([`Host`], [`Cgroups`]), facts about the
//! image (`resolve`), and execution (`stage1-init`).

mod again;
mod notify;
pub(crate) mod process;
mod root;
mod sockets;
mod volumes;

use std::borrow::Cow;
use std::ffi::CStr;
use std::path::PathBuf;

use stage1_init::{
    AppName, Capabilities, CapabilitySet, Directive, MountFlags, Namespaces, Propagation,
};

pub use crate::plan::compose::root::fits_overlay;
pub(crate) use crate::plan::compose::root::{made_files, made_places};

use crate::cgroup::{self, Cgroups, Groups};
use crate::plan::compose::process::AppInputs;
use crate::plan::descriptors::{INIT_FILTER, Labels, NETWORK, NeededDescriptor};
use crate::plan::directives::{Plan, directory, operand, path};
use crate::plan::streams::{self, Streams};
use crate::seccomp;
use crate::spec::limits::Limits;
use crate::spec::pod::{AppSpec, Namespace, PodSpec};
use crate::spec::process::{CapabilityBound, ProcessSpec, SeccompPolicy, Sourced};
use error::{Error, Result};
use sys::host::{Host, LOW_PORTS, PING, Root};

/// A plan, and what it needs to be executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Composed {
    /// The plan.
    pub plan: Plan,
    /// The descriptors that it names by labels.
    pub needed: Vec<NeededDescriptor>,
    /// The cgroups that it names.
    pub groups: Groups,
}

/// How long the other apps may take to end after one has failed, in seconds.
const GRACE: u32 = 10;

/// The upper limit of process numbers: of the PID namespace in which it is
/// written, or, before [`OWN_PID_MAX_SINCE`], of the machine.
pub(crate) const PID_MAX: &CStr = c"kernel.pid_max";

/// The first kernel in which each PID namespace has its own `kernel.pid_max`
/// (commit 7863dcc72d0f); in earlier ones it is global.
pub const OWN_PID_MAX_SINCE: (u32, u32) = (6, 14);

/// The smallest value the kernel accepts for it: numbers up to 300 are reserved
/// for daemons.
const LEAST_PID_MAX: u64 = 301;

/// Composes the plan.
///
/// # Errors
///
/// Fails if a name or word contains a NUL byte, or no cgroup can enforce a
/// limit.
pub fn compose(
    pod: &PodSpec,
    host: &Host,
    cgroups: &Cgroups,
    streams: Streams,
) -> Result<Composed> {
    let mut labels = Labels::after(0);
    let mut needed = Vec::new();
    match &pod.network {
        Namespace::New => needed.push(NeededDescriptor::Network),
        Namespace::Joined(joined) => needed.push(NeededDescriptor::Joined(joined.value.clone())),
        Namespace::Planned | Namespace::Host => {}
    }
    if pod.names_pods() {
        needed.push(NeededDescriptor::Hosts);
    }
    let (limits, highest_pid) = processes(pod, host, cgroups);
    let groups = groups(pod, &limits, cgroups)?;
    let given = pod.apps.iter().enumerate().map(|(at, app)| {
        let groups = groups.apps.get(at).into_iter().flatten();
        give(&app.process, groups, host, &mut labels, &mut needed)
    });
    let mut given: Vec<AppInputs> = given.collect::<Result<_>>()?;
    needed.push(init_filter());
    if let Some(app) = pod.terminal_app() {
        let (uid, gid) = (app.process.uid.value, app.process.gid.value);
        needed.push(NeededDescriptor::Terminal(streams::owner(pod, uid, gid)));
    }
    let mut plan = Plan::default();
    let detached = matches!(streams, Streams::Logged(_));
    again::wait(&mut plan, pod, &mut needed);
    sockets::wait(
        &mut plan,
        pod,
        &mut given,
        detached,
        &mut labels,
        &mut needed,
    );
    notify::give(pod, &mut given, &mut needed);
    let streams = streams::compose(pod, streams, &mut labels, &mut needed, &mut plan);
    let shared = pod.apps.len() > 1;
    if shared {
        let seconds = GRACE;
        plan.push(
            Directive::Grace { seconds },
            "default: time for the other apps to end when one has failed",
        );
    }
    namespaces(&mut plan, pod, host, &groups, highest_pid)?;
    volumes::make(&mut plan, pod)?;
    if shared {
        root::share_memory(&mut plan, pod)?;
    }
    root::prepare(&mut plan, pod)?;
    for ((app, given), streams) in pod.apps.iter().zip(&given).zip(streams) {
        begin(&mut plan, pod, app)?;
        root::mount(&mut plan, pod, app, host)?;
        root::furnish(&mut plan, pod, app, host)?;
        root::complete(&mut plan, pod, app)?;
        root::keep_open(&mut plan, pod, app)?;
        volumes::mount(&mut plan, app)?;
        root::close(&mut plan, app);
        leave(&mut plan, host, "puts the host's file systems out of reach");
        process::compose(&mut plan, &app.process, given, streams, host)?;
    }
    plan.push(Directive::Init {}, "");
    if shared {
        empty_root(&mut plan, pod, host)?;
    }
    bound_init(&mut plan);
    Ok(Composed {
        plan,
        needed,
        groups,
    })
}

/// Decides how the pod's processes are limited: returns its limits, and the
/// `kernel.pid_max` of its PID namespace. A pod with only the default limit
/// should not have to wait for it: joining a group takes milliseconds, setting
/// the maximum none. A limit that was asked for is set on a group, which is
/// exact.
fn processes(pod: &PodSpec, host: &Host, cgroups: &Cgroups) -> (Limits, Option<Sourced<u64>>) {
    let limits = |processes| Limits {
        processes,
        ..pod.limits.clone()
    };
    let Some(most) = pod.limits.processes else {
        return (limits(None), None);
    };
    let own = host.kernel >= OWN_PID_MAX_SINCE && most >= LEAST_PID_MAX;
    let by_default = pod.processes_by_default;
    let numbered = |reason| (limits(None), Some(Sourced::new(most, reason)));
    if own && by_default {
        return numbered("default: a pod without a process limit could exhaust the host");
    }
    match cgroups.count_processes(by_default) {
        true => (limits(Some(most)), None),
        false if own => numbered("fallback: no controller limits the number of processes"),
        false if by_default => (limits(None), None),
        // It was asked for, so it is an error if nothing can enforce it.
        false => (limits(Some(most)), None),
    }
}

/// Returns the groups of a pod with limits; none for one without.
fn groups(pod: &PodSpec, limits: &Limits, cgroups: &Cgroups) -> Result<Groups> {
    if limits.is_empty() && pod.apps.iter().all(|app| app.limits.is_empty()) {
        return Ok(Groups::default());
    }
    let apps = pod.apps.iter().map(|app| (&*app.name, &app.limits));
    let apps: Vec<_> = apps.collect();
    cgroup::arrange(cgroups, pod.id, limits, &apps)
}

/// Assigns labels to what the processes of an app are given.
pub(crate) fn give<'g>(
    process: &ProcessSpec,
    groups: impl Iterator<Item = &'g PathBuf>,
    host: &Host,
    labels: &mut Labels,
    needed: &mut Vec<NeededDescriptor>,
) -> Result<AppInputs> {
    let filter = match (
        &process.rights.seccomp.value,
        process.rights.capabilities.value,
    ) {
        (SeccompPolicy::Descriptor(_), _) => None,
        (policy, bound) => {
            let capabilities = match bound {
                CapabilityBound::Only(set) => set,
                CapabilityBound::All => Capabilities::WORDS
                    .iter()
                    .fold(Capabilities::EMPTY, |all, (_, one)| all.with(*one)),
            };
            let waits = process.pre_start.is_some() || process.post_stop.is_some();
            seccomp::decide(policy, capabilities, host.kernel, waits)?.program
        }
    };
    let filter = filter.map(|program| {
        let label = labels.filter(&program);
        let one = NeededDescriptor::Filter(label, program.bytes.clone());
        // All apps with the default filter share one.
        if !needed.contains(&one) {
            needed.push(one);
        }
        (label, program)
    });
    let groups = groups.map(|group| {
        let label = labels.next();
        needed.push(NeededDescriptor::Group(label, group.clone()));
        label
    });
    Ok(AppInputs {
        groups: groups.collect(),
        filter,
        command: None,
        limits: Vec::new(),
        sockets: Vec::new(),
        variables: Vec::new(),
    })
}

/// Returns the filter of PID 1.
pub(crate) const fn init_filter() -> NeededDescriptor {
    NeededDescriptor::Filter(INIT_FILTER, Cow::Borrowed(seccomp::INIT))
}

fn namespaces(
    plan: &mut Plan,
    pod: &PodSpec,
    host: &Host,
    groups: &Groups,
    highest_pid: Option<Sourced<u64>>,
) -> Result<()> {
    let namespaces = Namespaces::MNT
        .with(Namespaces::PID)
        .with(Namespaces::IPC)
        .with(Namespaces::UTS)
        .with(Namespaces::CGROUP);
    for group in &groups.pod {
        let path = &path(group)?;
        plan.push(Directive::Cgroup { path }, "limits of the pod");
    }
    plan.push(
        Directive::Unshare { namespaces },
        "default: shared by the apps, separate from the host",
    );
    let own_network = pod.network == Namespace::New;
    let why = match &pod.network {
        Namespace::New => Some("default: private network, with the metadata service"),
        Namespace::Joined(Sourced { reason, .. }) => Some(reason.as_str()),
        Namespace::Planned | Namespace::Host => None,
    };
    if let Some(why) = why {
        let (namespaces, fd) = (Namespaces::NET, NETWORK);
        plan.push(Directive::Join { namespaces, fd }, why);
    }
    let name = operand("the host name", pod.hostname.value.as_str())?;
    plan.push(
        Directive::Hostname { name: &name },
        pod.hostname.reason.as_str(),
    );
    if own_network {
        plan.push(
            Directive::Loopback {},
            "default: every pod has a loopback interface",
        );
    }
    if let Some(Sourced { value, reason }) = highest_pid {
        let (key, value) = (PID_MAX, &operand("a number", value.to_string())?);
        plan.push(Directive::Sysctl { key, value }, reason);
    }
    for (key, value, reason) in unprivileged(pod, host) {
        let (key, value) = (&operand("a kernel parameter", key)?, value);
        plan.push(Directive::Sysctl { key, value }, reason);
    }
    for (key, Sourced { value, reason }) in &pod.parameters {
        let value = &operand(&format!("the kernel parameter `{key}`"), value.as_str())?;
        let key = &operand("a kernel parameter", key.as_str())?;
        plan.push(Directive::Sysctl { key, value }, reason.as_str());
    }
    plan.push(
        Directive::Propagation {
            kind: Propagation::RecPrivate,
            target: c"/",
        },
        "mounts of the pod do not propagate to the host",
    );
    Ok(())
}

/// Returns what everybody may do in the pod's own network, which harms nobody
/// outside of it: use any port, and ping.
fn unprivileged<'a>(
    pod: &'a PodSpec,
    host: &'a Host,
) -> impl Iterator<Item = (&'static str, &'static CStr, &'static str)> + 'a {
    const PARAMETERS: [(&str, &CStr, &str); 2] = [
        (
            LOW_PORTS,
            c"0",
            "default: everybody may use low ports of the pod",
        ),
        (PING, c"0 2147483647", "default: everybody may ping"),
    ];
    PARAMETERS.into_iter().filter(|(key, ..)| {
        let chosen = pod.parameters.iter().any(|(chosen, _)| chosen == key);
        pod.network == Namespace::New && host.unprivileged.contains(key) && !chosen
    })
}

fn begin(plan: &mut Plan, pod: &PodSpec, app: &AppSpec) -> Result<()> {
    let name = operand("the name of an app", app.name.as_str())?;
    let word = AppName::new(&name)
        .ok_or_else(|| Error::invalid(format!("`{}` is not a valid app name", app.name)))?;
    plan.push(Directive::App { name: word }, app.reason.as_str());
    if pod.apps.len() > 1 {
        plan.push(
            Directive::Unshare {
                namespaces: Namespaces::MNT,
            },
            "each app has its own mounts",
        );
    }
    Ok(())
}

/// Gives PID 1 an empty root, so that it sees nothing of the host either.
fn empty_root(plan: &mut Plan, pod: &PodSpec, host: &Host) -> Result<()> {
    const REASON: &str = "puts the host's file systems out of PID 1's reach";
    let place = path(&pod.directory.join("init"))?;
    directory(plan, &place, 0o700, "in the pod's directory");
    plan.push(
        Directive::Mount {
            kind: c"tmpfs",
            source: c"tmpfs",
            target: &place,
            flags: MountFlags::RO
                .with(MountFlags::NOSUID)
                .with(MountFlags::NODEV)
                .with(MountFlags::NOEXEC),
            data: c"size=4k,nr_inodes=2,mode=555",
        },
        "",
    );
    plan.push(Directive::Root { path: &place }, "");
    leave(plan, host, REASON);
    Ok(())
}

/// Makes the root `/`. The host's own must be detached for that, or be covered
/// where that is impossible: it is the kernel's first file system, so no `..`
/// leads from above to anything below.
fn leave(plan: &mut Plan, host: &Host, reason: &str) {
    match host.root {
        Root::First => plan.push(
            Directive::MoveRoot {},
            format!("{reason}; the host's root is an initramfs, which cannot be detached"),
        ),
        Root::Mount | Root::Directory => plan.push(Directive::Pivot {}, reason),
    }
}

/// Restricts PID 1 to sending signals to the apps.
pub(crate) fn bound_init(plan: &mut Plan) {
    let set = CapabilitySet::Only(Capabilities::KILL);
    let reason = "PID 1 only sends signals to the apps";
    plan.push(Directive::Bounding { set }, reason);
    plan.push(Directive::Capabilities { set }, reason);
    plan.push(Directive::NoNewPrivs {}, "PID 1 executes no programs");
    plan.push(
        Directive::Seccomp { fd: INIT_FILTER },
        "PID 1 makes few calls from now on",
    );
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
