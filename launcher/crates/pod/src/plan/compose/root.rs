//! The root of an app: its image's files, the kernel file systems, and what the
//! specification promises every app on Linux.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};

use stage1_init::{Directive, Mode, MountFlags, NodeKind};

use crate::plan::compose::notify;
use crate::plan::descriptors::{self, TERMINAL};
use crate::plan::directives::{Plan, directory, operand, path};
use crate::plan::overlay::{self, Overlay};
use crate::spec::defaults::{
    self, BELOW_DEV, DEV, DEVICES, Fixture, KERNEL, LINKS, MASKED, RESOLVER, SHM, TMP,
};
use crate::spec::mounts::Place;
use crate::spec::pod::{AppSpec, PodSpec, Root};
use crate::spec::process::Stdio;
use error::Result;
use sys::host::Host;

/// The reason of whatever the specification promises.
const PROMISED: &str = "standard environment";

/// Mount flags of the root.
const FLAGS: MountFlags = MountFlags::NODEV;

/// Makes the directory of the apps, before those in it: then no directive has to
/// look for what is there.
pub(crate) fn prepare(plan: &mut Plan, pod: &PodSpec) -> Result<()> {
    let mounted = |app: &AppSpec| app.root.as_ref().is_some_and(|root| !root.copied);
    if pod.apps.iter().any(mounted) {
        let apps = &path(&pod.directory.join("apps"))?;
        directory(plan, apps, 0o755, "in the pod's directory");
    }
    Ok(())
}

/// Mounts the app's root in the pod's directory.
pub(crate) fn mount(plan: &mut Plan, pod: &PodSpec, app: &AppSpec, host: &Host) -> Result<()> {
    let Some(root) = &app.root else {
        return Ok(());
    };
    let place = pod.directory.join("apps").join(&app.name);
    let rootfs = path(&place.join("rootfs"))?;
    let (uid, gid, mode) = root.top;
    let target = &path(&place)?;
    if !root.copied {
        let mode = if root.memory.is_some() { 0o700 } else { 0o755 };
        directory(plan, target, mode, "in the pod's directory");
    }
    if let Some(size) = root.memory {
        plan.push(
            Directive::Mount {
                kind: c"tmpfs",
                source: c"tmpfs",
                target,
                flags: FLAGS,
                data: &operand("a size", format!("mode=700,size={size}"))?,
            },
            "option --writable=memory: the pod's changes",
        );
    }
    let mut make = |name: &str, mode, uid, gid| -> Result<()> {
        let path = path(&place.join(name))?;
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
    if root.copied {
        plan.push(
            Directive::Bind {
                source: &rootfs,
                target: &rootfs,
                flags: FLAGS,
            },
            "fallback: the image's files were copied, since overlayfs cannot be used",
        );
    } else {
        make("rootfs", 0o755, 0, 0)?;
        make("upper", mode, uid, gid)?;
        make("work", 0o700, 0, 0)?;
        let first = pod.apps.iter().take_while(|other| other.name != app.name);
        let first = first.flat_map(|other| &other.root);
        let first = first.map(|root| root.layers.len()).sum();
        let (overlay, links) = overlay_of(pod, root, &place, host).links(first);
        link_layers(plan, pod, first, &links)?;
        let data = operand("a path of the overlay", overlay.options())?;
        plan.push(
            Directive::Mount {
                kind: c"overlay",
                source: c"overlay",
                target: &rootfs,
                flags: FLAGS,
                data: &data,
            },
            "the image's files, with the pod's changes on top",
        );
    }
    plan.push(
        Directive::Root { path: &rootfs },
        "resolves all further paths inside, whatever the image's links are",
    );
    Ok(())
}

/// Makes links to layers, which are the short names that their overlay uses.
fn link_layers(plan: &mut Plan, pod: &PodSpec, first: usize, links: &[PathBuf]) -> Result<()> {
    let place = pod.directory.join(overlay::LINKS);
    if !links.is_empty() {
        directory(plan, &path(&place)?, 0o755, "in the pod's directory");
    }
    for (number, layer) in (first..).zip(links) {
        plan.push(
            Directive::Symlink {
                target: &path(layer)?,
                path: &path(&place.join(number.to_string()))?,
            },
            "a short name of a layer: the paths of all are too long for a mount",
        );
    }
    Ok(())
}

/// Tells whether the paths of an app's layers and changes fit into the options
/// of one mount.
pub fn fits_overlay(pod: &PodSpec, app: &AppSpec, host: &Host) -> bool {
    let place = pod.directory.join("apps").join(&app.name);
    app.root
        .as_ref()
        .is_none_or(|root| overlay_of(pod, root, &place, host).links(0).0.fits())
}

fn overlay_of(pod: &PodSpec, root: &Root, place: &Path, host: &Host) -> Overlay {
    Overlay {
        layers: root
            .layers
            .iter()
            .map(|layer| layer.to_path_buf())
            .collect(),
        upper: place.join("upper"),
        work: place.join("work"),
        // The pod is thrown away, so nothing has to reach the disk.
        // The kernel does not mount the changes of a volatile overlay once more.
        volatile: root.memory.is_none()
            && host.kernel >= overlay::VOLATILE_SINCE
            && pod.restarted_by().is_none(),
        // After the pod has exited, its files can be read and exported without
        // mounting the overlay.
        plain: host.kernel >= overlay::PLAIN_SINCE,
    }
}

/// Mounts and makes what the specification promises every app on Linux, and
/// hides what no app should see.
pub(crate) fn furnish(plan: &mut Plan, pod: &PodSpec, app: &AppSpec, host: &Host) -> Result<()> {
    for fixture in &KERNEL {
        fix(plan, fixture, PROMISED)?;
    }
    devices(plan, pod, app, host)?;
    if lacks(app, TMP.target) && !app.tmpfs.iter().any(|one| one.target == TMP.target) {
        fix(plan, &TMP, "standard environment: the image has no /tmp")?;
    }
    plan.push(
        Directive::ReadonlyEntries { target: c"/proc" },
        "changes there would affect the host",
    );
    for target in MASKED {
        let target = &operand("a path", target)?;
        plan.push(
            Directive::Mask { target },
            "reveals information about the host, or could harm it",
        );
    }
    for cpu in &host.throttles {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle");
        let target = &operand("a path", path)?;
        plan.push(Directive::Mask { target }, "reveals what other programs do");
    }
    Ok(())
}

/// Makes the shared memory file system that all apps of a pod have as /dev/shm:
/// they share an IPC namespace and expect to find each other there.
pub(crate) fn share_memory(plan: &mut Plan, pod: &PodSpec) -> Result<()> {
    let place = path(&pod.directory.join("shm"))?;
    let kind = operand("a file system", SHM.kind)?;
    directory(plan, &place, 0o700, "in the pod's directory");
    plan.push(
        Directive::Mount {
            kind: &kind,
            source: &kind,
            target: &place,
            flags: SHM.flags,
            data: &shm_data(pod)?,
        },
        match pod.shm_size {
            None => "default: shared by the apps, separate from the host",
            Some(_) => "option --shm-size: shared by the apps, separate from the host",
        },
    );
    Ok(())
}

/// Returns the mount options of the shared memory.
fn shm_data(pod: &PodSpec) -> Result<CString> {
    let data = match pod.shm_size {
        None => SHM.data.to_owned(),
        Some(size) => format!("mode=1777,size={size}"),
    };
    operand("mount options", data)
}

fn devices(plan: &mut Plan, pod: &PodSpec, app: &AppSpec, host: &Host) -> Result<()> {
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
                "console" => "standard environment: the null device instead of the host's console",
                _ => PROMISED,
            },
        );
    }
    if app.process.stdio == Stdio::Terminal {
        // Programs look for the name of their terminal in /dev, and find this
        // one.
        plan.push(
            Directive::Bind {
                source: &operand("a descriptor", format!("fd:{TERMINAL}"))?,
                target: c"/dev/console",
                flags: MountFlags::NOFOLLOW.with(MountFlags::RO),
            },
            "option --interactive: the pod's own terminal",
        );
    }
    notify::place(plan, pod)?;
    for device in &app.devices {
        let reason = "option --device";
        let place = Path::new(&device.path);
        if let Some(above) = place.parent().filter(|above| *above != Path::new("/dev")) {
            directory(plan, &path(above)?, 0o755, reason);
        }
        plan.push(
            Directive::Node {
                path: &path(place)?,
                kind: device.kind,
                major: device.major,
                minor: device.minor,
                mode: Mode(device.mode),
                uid: device.uid,
                gid: device.gid,
            },
            reason,
        );
    }
    for (target, link) in LINKS {
        let target = &operand("a link", target)?;
        let path = &operand("a link", link)?;
        plan.push(Directive::Symlink { target, path }, PROMISED);
    }
    for fixture in &BELOW_DEV {
        if fixture.target == SHM.target && pod.apps.len() > 1 {
            let target = operand("a path", fixture.target)?;
            directory(plan, &target, fixture.mode, "");
            plan.push(
                Directive::Bind {
                    source: &path(&pod.directory.join("shm"))?,
                    target: &target,
                    flags: MountFlags::EMPTY,
                },
                PROMISED,
            );
        } else if fixture.target == SHM.target && pod.shm_size.is_some() {
            let data = shm_data(pod)?;
            fix_with(plan, fixture, &data, "option --shm-size")?;
        } else if fixture.kind != "mqueue" || host.mqueue {
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
        "no other devices can be opened",
    );
    Ok(())
}

fn fix(plan: &mut Plan, fixture: &Fixture, reason: &str) -> Result<()> {
    fix_with(
        plan,
        fixture,
        &operand("mount options", fixture.data)?,
        reason,
    )
}

/// As [`fix`], with other options of the file system.
fn fix_with(plan: &mut Plan, fixture: &Fixture, data: &CStr, reason: &str) -> Result<()> {
    let target = operand("a path", fixture.target)?;
    let kind = operand("a file system", fixture.kind)?;
    directory(plan, &target, fixture.mode, "");
    plan.push(
        Directive::Mount {
            kind: &kind,
            source: &kind,
            target: &target,
            flags: fixture.flags,
            data,
        },
        reason,
    );
    Ok(())
}

/// A file that is made in the root of an app.
pub(crate) struct MadeFile {
    /// Its path in the root of the app.
    pub path: &'static str,
    /// Its content.
    pub content: String,
    reason: String,
}

/// Returns the files in /etc that an image may leave to its executor, and those
/// that options ask for.
pub(crate) fn made_files(pod: &PodSpec, app: &AppSpec) -> Vec<MadeFile> {
    let hostname = pod.hostname.value.as_str();
    let mut files = Vec::new();
    let mut add = |path, content, reason| {
        files.push(MadeFile {
            path,
            content,
            reason,
        });
    };
    let usual = |path: &str| format!("standard environment: the image has no {path}");
    for (path, named) in [(HOSTS, &pod.hosts), (RESOLVER, &pod.resolver)] {
        match named {
            Some(file) if file.replaces || lacks(app, path) => {
                add(path, file.content.clone(), file.reason.clone());
            }
            None if path == HOSTS && lacks(app, path) => {
                add(path, pod.own_hosts(), usual(path));
            }
            _ => {}
        }
    }
    if lacks(app, HOSTNAME) {
        add(HOSTNAME, format!("{hostname}\n"), usual(HOSTNAME));
    }
    if app.zone.is_some() {
        // In most images /etc/localtime is a link into the time zone database,
        // which must not be changed: an empty file replaces it, and the zone is
        // mounted on that file.
        files.push(MadeFile {
            path: ZONE,
            content: String::new(),
            reason: "option --timezone".to_owned(),
        });
    }
    files
}

/// Returns what may be made in the root of an app besides [`made_files`]: mount
/// points, the directories above them, and links.
pub(crate) fn made_places(app: &AppSpec) -> BTreeSet<&Path> {
    let fixtures = KERNEL.iter().chain([&DEV, &TMP]);
    let fixtures = fixtures.map(|fixture| fixture.target);
    let asked = Place::all(&app.mounts, &app.tmpfs);
    let asked = asked.into_iter().map(Place::target);
    let makes = app.makes.iter().map(|one| one.value.as_str());
    let all = fixtures
        .chain(["/etc/mtab", ZONE])
        .chain(asked)
        .chain(makes);
    all.flat_map(|path| Path::new(path).ancestors()).collect()
}

/// The files with names of hosts, and with the pod's own.
const HOSTS: &str = "/etc/hosts";
const HOSTNAME: &str = "/etc/hostname";

/// The file of the time zone.
const ZONE: &str = "/etc/localtime";

/// Makes these files.
pub(crate) fn complete(plan: &mut Plan, pod: &PodSpec, app: &AppSpec) -> Result<()> {
    let files = made_files(pod, app);
    let mtab = lacks(app, "/etc/mtab");
    if !files.is_empty() || mtab {
        directory(plan, &operand("a path", "/etc")?, 0o755, "");
    }
    for file in files.iter().filter(|file| file.path != ZONE) {
        make(plan, file)?;
        if file.path == HOSTS && pod.names_pods() {
            let source = format!("fd:{}", descriptors::HOSTS);
            let reason = "the names of other pods on the bridge";
            cover(plan, &operand("a descriptor", source)?, HOSTS, reason)?;
        }
    }
    if mtab {
        plan.push(
            Directive::Symlink {
                target: &operand("a link", defaults::MTAB)?,
                path: c"/etc/mtab",
            },
            "standard environment: the image has no /etc/mtab",
        );
    }
    for one in &app.makes {
        let place = operand("a path", one.value.as_str())?;
        directory(plan, &place, 0o755, one.reason.as_str());
    }
    if let (Some(zone), Some(file)) = (&app.zone, files.iter().find(|file| file.path == ZONE)) {
        make(plan, file)?;
        cover(plan, &path(zone)?, ZONE, "option --timezone")?;
    }
    Ok(())
}

/// Mounts a file of the host on one of an app, read-only.
fn cover(plan: &mut Plan, source: &CStr, target: &str, reason: &str) -> Result<()> {
    plan.push(
        Directive::Bind {
            source,
            target: &operand("a path", target)?,
            flags: MountFlags::RO
                .with(MountFlags::NOSUID)
                .with(MountFlags::NODEV)
                .with(MountFlags::NOEXEC)
                .with(MountFlags::PINNED),
        },
        reason,
    );
    Ok(())
}

/// Returns whether the image lacks an optional file of the standard
/// environment.
fn lacks(app: &AppSpec, path: &str) -> bool {
    app.lacks.iter().any(|lacked| lacked == path)
}

fn make(plan: &mut Plan, file: &MadeFile) -> Result<()> {
    plan.push(
        Directive::File {
            path: &operand("a path", file.path)?,
            mode: Mode(0o644),
            uid: 0,
            gid: 0,
            content: &operand("the content of a file", file.content.as_str())?,
        },
        file.reason.as_str(),
    );
    Ok(())
}

/// Makes mounts of the directories that can be written to although the root is
/// about to be read-only. They stay part of it: nothing is copied before the app
/// writes there.
pub(crate) fn keep_open(plan: &mut Plan, pod: &PodSpec, app: &AppSpec) -> Result<()> {
    let rootfs = pod.directory.join("apps").join(&app.name).join("rootfs");
    for one in &app.writable {
        let inside = one.value.trim_start_matches('/');
        plan.push(
            Directive::Bind {
                source: &path(&rootfs.join(inside))?,
                target: &operand("a path", one.value.as_str())?,
                flags: FLAGS.with(MountFlags::NOFOLLOW).with(MountFlags::PINNED),
            },
            format!("{}: its volume stays writable", one.reason),
        );
    }
    Ok(())
}

/// Makes the root read-only, if it is to be. This does not affect what is
/// mounted below it: our own /tmp and /dev/shm, and volumes.
pub(crate) fn close(plan: &mut Plan, app: &AppSpec) {
    if let Some(reason) = app.root.as_ref().and_then(|root| root.read_only.as_deref()) {
        plan.push(
            Directive::Remount {
                target: c"/",
                flags: FLAGS.with(MountFlags::RO),
            },
            reason,
        );
    }
}
