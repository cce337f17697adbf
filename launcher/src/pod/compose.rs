//! Composes the plan of a pod: one pure function that decides what is done,
//! and in which order.
//!
//! The order is most of the security of a runner, so it is written down once,
//! here, and `launcher plan` shows it:
//!
//! 1. Namespaces, and the pod's host name and loopback interface.
//! 2. For each app its root; then fresh kernel file systems of ours, before
//!    anything of the image is looked at; then devices, masks, write
//!    protection; then the root becomes `/` and the host is out of reach.
//! 3. What each process does to itself, from the harmless to the irrevocable:
//!    capabilities can only be dropped by who still has them.
//!
//! Not here: what is on the host ([`Host`]), what is in the image
//! ([`Rootfs`](crate::image::rootfs::Rootfs)), and carrying it out (`stage1-init`).

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use stage1_init::{
    AppName, Argv, CapabilitySet, Directive, Groups, Mode, MountFlags, Namespaces, NodeKind,
    Propagation, WordList,
};

use super::identity::Identity;
use super::overlay::{self, Overlay};
use super::plan::{Plan, operand};
use super::standard::{
    self, BELOW_DEV, CAPABILITIES, CONTAINER, DEV, DEVICES, Fixture, KERNEL, LINKS, MASKED,
    READ_ONLY, TMP,
};
use crate::ground::host::Host;
use crate::ground::{Error, Result};
use crate::words::manifest::app::{App, HandlerName};

/// A pod, as far as its plan depends on it.
pub(crate) struct Pod {
    /// Its directory on the host, absolute.
    pub(crate) directory: PathBuf,
    /// Host name of the pod.
    pub(crate) hostname: Sourced<String>,
    /// Its apps; at least one.
    pub(crate) apps: Vec<PodApp>,
}

/// A value, and where it comes from.
pub(crate) struct Sourced<T> {
    /// What.
    pub(crate) value: T,
    /// Why, as the plan will say.
    pub(crate) reason: String,
}

/// An app of a pod.
pub(crate) struct PodApp {
    /// Its name in the pod.
    pub(crate) name: String,
    /// What it runs: the image's app section, with the options applied.
    pub(crate) app: App,
    /// Where the app section comes from, as the plan will say.
    pub(crate) reason: String,
    /// Its root file system.
    pub(crate) root: Root,
    /// Who it runs as.
    pub(crate) identity: Identity,
    /// The image brings a /tmp.
    pub(crate) has_tmp: bool,
    /// Its processes take over the terminal on standard input.
    pub(crate) interactive: bool,
}

/// How an app comes by a root file system that it can write.
pub(crate) struct Root {
    /// Root directories of the layers, topmost first.
    pub(crate) layers: Vec<PathBuf>,
    /// Owner and mode of the image's root directory, which the app sees as its /.
    pub(crate) top: (u32, u32, u32),
    /// The layers are copied into the pod, rather than laid over one another.
    pub(crate) copied: bool,
}

/// Composes the plan.
///
/// # Errors
///
/// An operand that cannot be one: a NUL byte in a name or a word.
pub(crate) fn compose(pod: &Pod, host: &Host) -> Result<Plan> {
    let mut plan = Plan::default();
    compose_pod(&mut plan, pod)?;
    for app in &pod.apps {
        compose_root(&mut plan, pod, app, host)?;
        compose_environment(&mut plan, app, host)?;
        plan.push(
            Directive::Pivot {},
            "the host's file systems go out of reach",
        );
        compose_process(&mut plan, app)?;
    }
    Ok(plan)
}

fn compose_pod(plan: &mut Plan, pod: &Pod) -> Result<()> {
    let namespaces = Namespaces::MNT
        .with(Namespaces::PID)
        .with(Namespaces::IPC)
        .with(Namespaces::UTS)
        .with(Namespaces::NET)
        .with(Namespaces::CGROUP);
    plan.push(
        Directive::Unshare { namespaces },
        "default: shared by the apps, apart from the host",
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
    plan.push(
        Directive::Propagation {
            kind: Propagation::RecPrivate,
            target: c"/",
        },
        "no mount of the pod reaches the host",
    );
    Ok(())
}

/// Mounts the app's root where the pod keeps it.
fn compose_root(plan: &mut Plan, pod: &Pod, app: &PodApp, host: &Host) -> Result<()> {
    let name = operand("the name of an app", app.name.as_str())?;
    let word = AppName::new(&name)
        .ok_or_else(|| Error::invalid(format!("`{}` cannot be the name of an app", app.name)))?;
    plan.push(Directive::App { name: word }, app.reason.as_str());
    if pod.apps.len() > 1 {
        plan.push(
            Directive::Unshare {
                namespaces: Namespaces::MNT,
            },
            "each app has its own mounts",
        );
    }
    let directory = pod.directory.join("apps").join(&app.name);
    let rootfs = path(&directory.join("rootfs"))?;
    let (uid, gid, mode) = app.root.top;
    let mut make = |name: &str, mode, uid, gid| -> Result<()> {
        let path = path(&directory.join(name))?;
        let path = &path;
        let mode = Mode(mode);
        plan.push(
            Directive::Dir {
                path,
                mode,
                uid,
                gid,
            },
            "in the pod's directory",
        );
        Ok(())
    };
    if app.root.copied {
        plan.push(
            Directive::Bind {
                source: &rootfs,
                target: &rootfs,
                flags: MountFlags::NODEV,
            },
            "fallback: the image's files were copied here, for want of overlayfs",
        );
    } else {
        make("rootfs", 0o755, 0, 0)?;
        make("upper", mode, uid, gid)?;
        make("work", 0o700, 0, 0)?;
        let data = Overlay {
            layers: app.root.layers.clone(),
            upper: directory.join("upper"),
            work: directory.join("work"),
            // The pod is thrown away: nothing of it need reach the disk.
            volatile: host.kernel >= overlay::VOLATILE_SINCE,
        };
        let data = operand("a path of the overlay", data.options())?;
        plan.push(
            Directive::Mount {
                kind: c"overlay",
                source: c"overlay",
                target: &rootfs,
                flags: MountFlags::NODEV,
                data: &data,
            },
            "the image's files, with the pod's changes above them",
        );
    }
    plan.push(
        Directive::Root { path: &rootfs },
        "what follows is inside, wherever the image's links lead",
    );
    Ok(())
}

/// Mounts and makes what the specification promises every app on Linux.
fn compose_environment(plan: &mut Plan, app: &PodApp, host: &Host) -> Result<()> {
    const PROMISED: &str = "standard environment";
    for fixture in &KERNEL {
        fix(plan, fixture, PROMISED)?;
    }
    fix(plan, &DEV, PROMISED)?;
    for (name, major, minor) in DEVICES {
        plan.push(
            Directive::Node {
                path: &path(&Path::new("/dev").join(name))?,
                kind: NodeKind::Character,
                major,
                minor,
                mode: Mode(0o666),
                uid: 0,
                gid: 0,
            },
            match name {
                "console" => "standard environment: the null device, not the host's console",
                _ => PROMISED,
            },
        );
    }
    for (target, link) in LINKS {
        let target = &operand("a link", target)?;
        let path = &operand("a link", link)?;
        plan.push(Directive::Symlink { target, path }, PROMISED);
    }
    for fixture in &BELOW_DEV {
        if fixture.kind != "mqueue" || host.mqueue {
            fix(plan, fixture, PROMISED)?;
        }
    }
    plan.push(
        Directive::Remount {
            target: c"/dev",
            flags: DEV
                .flags
                .with(MountFlags::NODEV)
                .without(MountFlags::NOFOLLOW),
        },
        "no device but those above can be opened",
    );
    if !app.has_tmp {
        fix(plan, &TMP, "standard environment: the image has no /tmp")?;
    }
    for target in MASKED {
        let target = &operand("a path", target)?;
        plan.push(
            Directive::Mask { target },
            "tells about the host or harms it",
        );
    }
    for cpu in 0..host.throttles {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle");
        let target = &operand("a path", path)?;
        plan.push(Directive::Mask { target }, "tells what other programs do");
    }
    for target in READ_ONLY {
        let target = &operand("a path", target)?;
        plan.push(Directive::Readonly { target }, "writing changes the host");
    }
    Ok(())
}

fn fix(plan: &mut Plan, fixture: &Fixture, reason: &str) -> Result<()> {
    let target = operand("a path", fixture.target)?;
    let kind = operand("a file system", fixture.kind)?;
    plan.push(
        Directive::Dir {
            path: &target,
            mode: Mode(fixture.mode),
            uid: 0,
            gid: 0,
        },
        "",
    );
    plan.push(
        Directive::Mount {
            kind: &kind,
            source: &kind,
            target: &target,
            flags: fixture.flags,
            data: &operand("mount options", fixture.data)?,
        },
        reason,
    );
    Ok(())
}

/// What each process of the app does to itself.
fn compose_process(plan: &mut Plan, app: &PodApp) -> Result<()> {
    let image = app.reason.as_str();
    plan.push(Directive::Process {}, "");
    plan.push(Directive::Umask { mask: Mode(0o022) }, "default");
    if app.interactive {
        plan.push(Directive::Foreground {}, "option --interactive");
    } else {
        plan.push(
            Directive::Session {},
            "default: no hold on the caller's terminal",
        );
    }
    plan.push(
        Directive::Keyring {},
        "default: keyrings have no namespaces",
    );
    let set = CapabilitySet::Only(CAPABILITIES);
    plan.push(Directive::Bounding { set }, "default of the specification");
    let mut gids = Vec::new();
    for gid in &app.app.supplementary_gids {
        gids.extend_from_slice(format!("{gid}\0").as_bytes());
    }
    if let Some(groups) = WordList::new(&gids).and_then(Groups::new) {
        plan.push(Directive::Groups { groups }, image);
    }
    let Identity { uid, gid } = app.identity;
    plan.push(
        Directive::Gid { gid },
        format!("{image}: group `{}`", app.app.group),
    );
    plan.push(
        Directive::Uid { uid },
        format!("{image}: user `{}`", app.app.user),
    );
    if uid == 0 {
        plan.push(Directive::Capabilities { set }, "root keeps what is left");
    } else {
        let set = CapabilitySet::Only(stage1_init::Capabilities::EMPTY);
        plan.push(Directive::Capabilities { set }, "not root");
    }
    let (directory, reason) = match &app.app.working_directory {
        Some(directory) => (directory.as_str(), image),
        None => ("/", "default"),
    };
    let directory = operand("the working directory", directory)?;
    plan.push(Directive::Workdir { path: &directory }, reason);
    compose_variables(plan, app)?;
    compose_programs(plan, app)
}

/// The environment: defaults, then the image's, then what no image may spoof.
fn compose_variables(plan: &mut Plan, app: &PodApp) -> Result<()> {
    let set_by_image = |name: &str| {
        app.app
            .environment
            .iter()
            .any(|variable| variable.name == name)
    };
    let mut put = |name: &str, value: &str, reason: &str| -> Result<()> {
        let pair = operand(
            &format!("the environment variable `{name}`"),
            format!("{name}={value}"),
        )?;
        plan.push(Directive::Env { pair: &pair }, reason);
        Ok(())
    };
    if !set_by_image("PATH") {
        put("PATH", standard::PATH, "default")?;
    }
    let ours = ["AC_APP_NAME", "container"];
    for variable in &app.app.environment {
        if !ours.contains(&variable.name.as_str()) {
            put(&variable.name, &variable.value, &app.reason)?;
        }
    }
    put("AC_APP_NAME", &app.name, "standard environment")?;
    put("container", CONTAINER, "standard environment")
}

fn compose_programs(plan: &mut Plan, app: &PodApp) -> Result<()> {
    let image = app.reason.as_str();
    let handler = |wanted: HandlerName| {
        app.app
            .event_handlers
            .iter()
            .find(|handler| handler.name == wanted)
    };
    if let Some(handler) = handler(HandlerName::PreStart) {
        let words = words("the pre-start handler", &handler.exec)?;
        if let Some(argv) = WordList::new(&words).map(Argv) {
            plan.push(Directive::PreStart { argv }, image);
        }
    }
    let words_of_main = words("the command", &app.app.exec)?;
    if let Some(argv) = WordList::new(&words_of_main).map(Argv) {
        plan.push(Directive::Main { argv }, image);
    }
    if let Some(handler) = handler(HandlerName::PostStop) {
        let words = words("the post-stop handler", &handler.exec)?;
        if let Some(argv) = WordList::new(&words).map(Argv) {
            plan.push(Directive::PostStop { argv }, image);
        }
    }
    Ok(())
}

/// Terminates each word of a command.
fn words(what: &str, command: &[String]) -> Result<Vec<u8>> {
    if command.is_empty() {
        return Err(Error::invalid(format!("{what} has no words")));
    }
    let mut words = Vec::new();
    for word in command {
        words.extend_from_slice(operand(what, word.as_str())?.as_bytes_with_nul());
    }
    Ok(words)
}

fn path(path: &Path) -> Result<std::ffi::CString> {
    operand("a path", path.as_os_str().as_bytes())
}
