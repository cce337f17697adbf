//! Composes the plan of a pod: one pure function that decides what is done,
//! and in which order.
//!
//! The order is most of the security of a runner, so it is written down once,
//! here, and `launcher plan` shows it:
//!
//! 1. Namespaces, and the pod's host name and loopback interface.
//! 2. The pod's empty volumes, in its directory on the host, and the memory
//!    that several apps share.
//! 3. For each app its root; then fresh kernel file systems of ours, before
//!    anything of the image is looked at; then devices, masks, write
//!    protection. Then the few files that an image may leave to us, and the
//!    targets of volumes: all are made before the first volume is mounted, so
//!    that no link of an image makes them appear in a volume, and so on the
//!    host. Then the volumes; then the root is closed to writing, if it is to
//!    be; then it becomes `/` and the host is out of reach.
//! 4. What each process does to itself, from the harmless to the irrevocable:
//!    capabilities can only be dropped by who still has them.
//! 5. What PID 1 is left with before the first app runs, for an app that may
//!    trace can do all that PID 1 can. Where apps have mounts of their own it
//!    still has the host's, and gets an empty root.
//!
//! Not here: what is on the host ([`Host`]), what is in the image
//! ([`Rootfs`](image::store::rootfs::Rootfs)), and carrying it out (`stage1-init`).

pub(crate) mod process;
mod root;
mod volumes;

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use stage1_init::{
    AppName, Capabilities, CapabilitySet, Directive, Mode, MountFlags, Namespaces, Propagation,
};

use crate::cgroup::Groups;
use crate::plan::descriptors::{DEFAULT_FILTER, Descriptors, NETWORK, OfApp};
use crate::plan::text::{Plan, operand};
use crate::resolve::devices::Device;
use crate::resolve::identity::Identity;
use crate::resolve::isolators::{Entry, Rights};
use crate::resolve::merge::Reasons;
use crate::resolve::volume::{Empty, Mounted};
use crate::spec::request::Sourced;
use crate::spec::tmpfs::Tmpfs;
use appc::manifest::PodManifest;
use appc::manifest::app::{App, Variable};
use error::{Error, Result};
use sys::host::Host;

/// A pod in which nothing is left open; see [`reify`](crate::resolve::reify).
pub struct Pod {
    /// Its directory on the host when it runs, absolute.
    pub directory: PathBuf,
    /// Host name of the pod.
    pub hostname: Sourced<String>,
    /// Its apps; at least one.
    pub apps: Vec<PodApp>,
    /// Its empty volumes.
    pub volumes: Vec<Empty>,
    /// Groups of its processes, with their limits.
    pub groups: Groups,
    /// What the plan names by numbers.
    pub descriptors: Descriptors,
    /// The end of the numbers of its processes.
    pub highest_pid: Option<Sourced<u64>>,
    /// Kernel parameters of its namespaces.
    pub parameters: BTreeMap<String, String>,
    /// What became of each isolator.
    pub isolators: Vec<Entry>,
    /// What the caller should know.
    pub notes: Vec<String>,
    /// The same as a pod manifest.
    pub manifest: PodManifest,
}

/// An app of a pod.
pub struct PodApp {
    /// Its name in the pod.
    pub name: String,
    /// What it runs: the app section, with the options applied.
    pub app: App,
    /// Where that comes from.
    pub reasons: Reasons,
    /// All variables of its environment.
    pub variables: Vec<Sourced<Variable>>,
    /// Its root file system.
    pub root: Root,
    /// Who it runs as.
    pub identity: Identity,
    /// What it may do.
    pub rights: Rights,
    /// Devices of the host that it may use.
    pub devices: Vec<Device>,
    /// Its volumes, none over another.
    pub mounted: Vec<Mounted>,
    /// File systems in memory of its own.
    pub tmpfs: Vec<Tmpfs>,
    /// Which of the optional files of the standard environment its image does
    /// not have.
    pub lacks: Vec<&'static str>,
    /// The file of its time zone on the host.
    pub zone: Option<PathBuf>,
    /// Its processes take over the terminal on standard input.
    pub interactive: bool,
}

/// How an app comes by a root file system that it can write.
pub struct Root {
    /// Root directories of the layers, topmost first.
    pub layers: Vec<PathBuf>,
    /// Owner and mode of the image's root directory, which the app sees as its /.
    pub top: (u32, u32, u32),
    /// The layers are copied into the pod, rather than laid over one another.
    pub copied: bool,
    /// The app cannot write to it, and why not.
    pub read_only: Option<&'static str>,
}

/// How long apps may take to end after one of them failed, in seconds.
const GRACE: u32 = 10;

/// The end of the numbers of processes: of the pid namespace in which it is
/// written, or, before [`OWN_PID_MAX_SINCE`](crate::resolve::reify::OWN_PID_MAX_SINCE), of
/// the machine.
pub const PID_MAX: &CStr = c"kernel.pid_max";

/// Composes the plan.
///
/// # Errors
///
/// An operand that cannot be one: a NUL byte in a name or a word.
pub fn compose(pod: &Pod, host: &Host) -> Result<Plan> {
    let mut plan = Plan::default();
    let shared = pod.apps.len() > 1;
    if shared {
        let seconds = GRACE;
        plan.push(
            Directive::Grace { seconds },
            "default: for the other apps, when one has failed",
        );
    }
    namespaces(&mut plan, pod)?;
    volumes::make(&mut plan, pod)?;
    if shared {
        root::share_memory(&mut plan, pod)?;
    }
    let none = OfApp::default();
    for (at, app) in pod.apps.iter().enumerate() {
        begin(&mut plan, pod, app)?;
        root::mount(&mut plan, pod, app, host)?;
        root::furnish(&mut plan, pod, app, host)?;
        root::complete(&mut plan, pod, app)?;
        volumes::mount(&mut plan, app)?;
        root::close(&mut plan, app);
        plan.push(
            Directive::Pivot {},
            "the host's file systems go out of reach",
        );
        let descriptors = pod.descriptors.apps.get(at).unwrap_or(&none);
        process::compose(&mut plan, app, descriptors, host)?;
    }
    plan.push(Directive::Init {}, "");
    if shared {
        empty_root(&mut plan, pod)?;
    }
    bound_init(&mut plan);
    Ok(plan)
}

fn namespaces(plan: &mut Plan, pod: &Pod) -> Result<()> {
    let namespaces = Namespaces::MNT
        .with(Namespaces::PID)
        .with(Namespaces::IPC)
        .with(Namespaces::UTS)
        .with(Namespaces::CGROUP);
    for group in &pod.groups.pod {
        let path = &path(group)?;
        plan.push(Directive::Cgroup { path }, "the limits of the isolators");
    }
    plan.push(
        Directive::Unshare { namespaces },
        "default: shared by the apps, apart from the host",
    );
    plan.push(
        Directive::Join {
            namespaces: Namespaces::NET,
            fd: NETWORK,
        },
        "default: a network of its own, in which the metadata service listens",
    );
    let name = operand("the host name", pod.hostname.value.as_str())?;
    plan.push(
        Directive::Hostname { name: &name },
        pod.hostname.reason.as_str(),
    );
    plan.push(
        Directive::Loopback {},
        "default: every pod has a loopback interface",
    );
    if let Some(Sourced { value, reason }) = &pod.highest_pid {
        let (key, value) = (PID_MAX, &operand("a number", value.to_string())?);
        plan.push(Directive::Sysctl { key, value }, reason.as_str());
    }
    for (key, value) in &pod.parameters {
        let value = &operand(&format!("the kernel parameter `{key}`"), value.as_str())?;
        let key = &operand("a kernel parameter", key.as_str())?;
        plan.push(Directive::Sysctl { key, value }, "isolator os/unix/sysctl");
    }
    plan.push(
        Directive::Propagation {
            kind: Propagation::RecPrivate,
            target: c"/",
        },
        "no mount of the pod reaches the host",
    );
    Ok(())
}

fn begin(plan: &mut Plan, pod: &Pod, app: &PodApp) -> Result<()> {
    let name = operand("the name of an app", app.name.as_str())?;
    let word = AppName::new(&name)
        .ok_or_else(|| Error::invalid(format!("`{}` cannot be the name of an app", app.name)))?;
    plan.push(Directive::App { name: word }, app.reasons.section.as_str());
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

/// PID 1 keeps nothing of the host in sight, either.
fn empty_root(plan: &mut Plan, pod: &Pod) -> Result<()> {
    const REASON: &str = "the host's file systems go out of PID 1's reach";
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
    plan.push(Directive::Pivot {}, REASON);
    Ok(())
}

/// PID 1 sends signals to the apps and does nothing else to anybody.
fn bound_init(plan: &mut Plan) {
    let set = CapabilitySet::Only(Capabilities::KILL);
    let reason = "PID 1 only sends signals to the apps";
    plan.push(Directive::Bounding { set }, reason);
    plan.push(Directive::Capabilities { set }, reason);
    plan.push(Directive::NoNewPrivs {}, "PID 1 executes nothing");
    let fd = DEFAULT_FILTER;
    plan.push(Directive::Seccomp { fd }, "PID 1: the default");
}

/// A directory of root's, with those above it.
fn directory(plan: &mut Plan, path: &CString, mode: u32, reason: &str) {
    plan.push(
        Directive::Dir {
            path,
            mode: Mode(mode),
            uid: 0,
            gid: 0,
        },
        reason,
    );
}

fn path(path: &Path) -> Result<CString> {
    operand("a path", path.as_os_str().as_bytes())
}
