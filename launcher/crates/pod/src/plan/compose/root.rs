//! The root of an app: its image's files, the file systems of the kernel, and
//! what the specification promises every app on Linux.

use std::path::Path;

use stage1_init::{Directive, Mode, MountFlags, NodeKind};

use crate::plan::compose::{Pod, PodApp, directory, path};
use crate::plan::descriptors::TERMINAL;
use crate::plan::overlay::{self, Overlay};
use crate::plan::text::{Plan, operand};
use crate::spec::defaults::{
    self, BELOW_DEV, DEV, DEVICES, Fixture, KERNEL, LINKS, MASKED, SHM, TMP,
};
use crate::spec::tmpfs::Tmpfs;
use error::Result;
use sys::host::Host;

/// Why something is there that the specification promises.
const PROMISED: &str = "standard environment";

/// Flags of the mount that is the root.
const FLAGS: MountFlags = MountFlags::NODEV;

/// Mounts the app's root where the pod keeps it.
pub(crate) fn mount(plan: &mut Plan, pod: &Pod, app: &PodApp, host: &Host) -> Result<()> {
    let place = pod.directory.join("apps").join(&app.name);
    let rootfs = path(&place.join("rootfs"))?;
    let (uid, gid, mode) = app.root.top;
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
    if app.root.copied {
        plan.push(
            Directive::Bind {
                source: &rootfs,
                target: &rootfs,
                flags: FLAGS,
            },
            "fallback: the image's files were copied here, for want of overlayfs",
        );
    } else {
        make("rootfs", 0o755, 0, 0)?;
        make("upper", mode, uid, gid)?;
        make("work", 0o700, 0, 0)?;
        let data = Overlay {
            layers: app.root.layers.clone(),
            upper: place.join("upper"),
            work: place.join("work"),
            // The pod is thrown away: nothing of it need reach the disk.
            volatile: host.kernel >= overlay::VOLATILE_SINCE,
            // When it is over it can be read, and exported, by who mounts nothing.
            plain: host.kernel >= overlay::PLAIN_SINCE,
        };
        let data = operand("a path of the overlay", data.options())?;
        plan.push(
            Directive::Mount {
                kind: c"overlay",
                source: c"overlay",
                target: &rootfs,
                flags: FLAGS,
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

/// Mounts and makes what the specification promises every app on Linux, and
/// hides what no app should see.
pub(crate) fn furnish(plan: &mut Plan, pod: &Pod, app: &PodApp, host: &Host) -> Result<()> {
    for fixture in &KERNEL {
        fix(plan, fixture, PROMISED)?;
    }
    devices(plan, pod, app, host)?;
    if app.lacks.contains(&TMP.target) && !app.tmpfs.iter().any(|one| one.target() == TMP.target) {
        fix(plan, &TMP, "standard environment: the image has no /tmp")?;
    }
    for tmpfs in &app.tmpfs {
        memory(plan, tmpfs)?;
    }
    plan.push(
        Directive::ReadonlyEntries { target: c"/proc" },
        "what is the kernel's is so for the host, too",
    );
    for target in MASKED {
        let target = &operand("a path", target)?;
        plan.push(
            Directive::Mask { target },
            "tells about the host or harms it",
        );
    }
    for cpu in &host.throttles {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle");
        let target = &operand("a path", path)?;
        plan.push(Directive::Mask { target }, "tells what other programs do");
    }
    Ok(())
}

/// Makes the file system of shared memory that all apps of a pod have as their
/// /dev/shm: with one IPC namespace they expect to find each other there.
pub(crate) fn share_memory(plan: &mut Plan, pod: &Pod) -> Result<()> {
    let place = path(&pod.directory.join("shm"))?;
    let kind = operand("a file system", SHM.kind)?;
    directory(plan, &place, 0o700, "in the pod's directory");
    plan.push(
        Directive::Mount {
            kind: &kind,
            source: &kind,
            target: &place,
            flags: SHM.flags,
            data: &operand("mount options", SHM.data)?,
        },
        "default: shared by the apps, apart from the host",
    );
    Ok(())
}

fn devices(plan: &mut Plan, pod: &Pod, app: &PodApp, host: &Host) -> Result<()> {
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
    if app.interactive {
        // Programs look for the name of their terminal in /dev, and find this one.
        plan.push(
            Directive::Bind {
                source: &operand("a descriptor", format!("fd:{TERMINAL}"))?,
                target: c"/dev/console",
                flags: MountFlags::NOFOLLOW.with(MountFlags::RO),
            },
            "option --interactive: the pod's own terminal",
        );
    }
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
        "no device but those above can be opened",
    );
    Ok(())
}

fn fix(plan: &mut Plan, fixture: &Fixture, reason: &str) -> Result<()> {
    let target = operand("a path", fixture.target)?;
    let kind = operand("a file system", fixture.kind)?;
    directory(plan, &target, fixture.mode, "");
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

/// Mounts a file system in memory that was asked for.
fn memory(plan: &mut Plan, tmpfs: &Tmpfs) -> Result<()> {
    let target = operand("a path", tmpfs.target())?;
    directory(plan, &target, 0o755, "option --tmpfs");
    plan.push(
        Directive::Mount {
            kind: c"tmpfs",
            source: c"tmpfs",
            target: &target,
            flags: TMP.flags.with(MountFlags::NOFOLLOW),
            data: &operand("mount options", tmpfs.data())?,
        },
        "option --tmpfs",
    );
    Ok(())
}

/// Makes the files in /etc that an image may leave to its executor, and those
/// that were asked for.
pub(crate) fn complete(plan: &mut Plan, pod: &Pod, app: &PodApp) -> Result<()> {
    let hostname = pod.hostname.value.as_str();
    let lacks = |path: &str| app.lacks.contains(&path);
    if lacks("/etc/hosts") || lacks("/etc/hostname") || lacks("/etc/mtab") || app.zone.is_some() {
        directory(plan, &operand("a path", "/etc")?, 0o755, "");
    }
    for (name, content) in [
        ("/etc/hosts", defaults::hosts(hostname)),
        ("/etc/hostname", format!("{hostname}\n")),
    ] {
        if lacks(name) {
            let reason = format!("standard environment: the image has no {name}");
            file(plan, name, &content, &reason)?;
        }
    }
    if lacks("/etc/mtab") {
        plan.push(
            Directive::Symlink {
                target: &operand("a link", defaults::MTAB)?,
                path: c"/etc/mtab",
            },
            "standard environment: the image has no /etc/mtab",
        );
    }
    if let Some(zone) = &app.zone {
        // In most images it is a link into a table of zones, which must not be
        // changed: a file takes its place, and the zone is mounted on that.
        file(plan, "/etc/localtime", "", "option --timezone")?;
        plan.push(
            Directive::Bind {
                source: &path(zone)?,
                target: c"/etc/localtime",
                flags: MountFlags::RO
                    .with(MountFlags::NOSUID)
                    .with(MountFlags::NODEV)
                    .with(MountFlags::NOEXEC)
                    .with(MountFlags::PINNED),
            },
            "option --timezone",
        );
    }
    Ok(())
}

fn file(plan: &mut Plan, name: &str, content: &str, reason: &str) -> Result<()> {
    plan.push(
        Directive::File {
            path: &operand("a path", name)?,
            mode: Mode(0o644),
            uid: 0,
            gid: 0,
            content: &operand("the content of a file", content)?,
        },
        reason,
    );
    Ok(())
}

/// Closes the root to writing, if it is to be. What is mounted below it is not
/// concerned: /tmp and /dev/shm of ours, and volumes.
pub(crate) fn close(plan: &mut Plan, app: &PodApp) {
    if let Some(reason) = app.root.read_only {
        plan.push(
            Directive::Remount {
                target: c"/",
                flags: FLAGS.with(MountFlags::RO),
            },
            reason,
        );
    }
}
