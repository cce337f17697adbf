//! The volumes of a pod, and the tmpfs mounts of its apps: empty volumes are made
//! once, on the host, and each app mounts the volumes it uses.
//!
//! A volume that is mounted in another one has its mount point there: in an empty
//! one it is made, on the host, while nobody else knows that; in one of the host it
//! has to be there. So no mount point is ever made through a volume. A tmpfs has
//! its mount point in the same way; what is mounted in a tmpfs has its mount point
//! made there, as long as only the pod knows it.

use std::path::Path;

use stage1_init::{Directive, Mode, MountFlags};

use crate::plan::directives::{Plan, directory, operand, path};
use crate::spec::defaults::TMP;
use crate::spec::mounts::{Mounted, Place, Tmpfs};
use crate::spec::pod::{AppSpec, PodSpec};
use error::Result;

/// Makes the empty volumes in the pod's directory.
pub(crate) fn make(plan: &mut Plan, pod: &PodSpec) -> Result<()> {
    if pod.volumes.is_empty() {
        return Ok(());
    }
    let above = path(&pod.directory.join("volumes"))?;
    directory(plan, &above, 0o700, "in the pod's directory");
    for volume in &pod.volumes {
        plan.push(
            Directive::Dir {
                path: &path(&volume.path)?,
                mode: Mode(volume.mode),
                uid: volume.uid,
                gid: volume.gid,
            },
            volume.reason.as_str(),
        );
    }
    for app in &pod.apps {
        let all = Place::all(&app.mounts, &app.tmpfs);
        for place in &all {
            if let Some(Place::Volume(above)) = place.around(&all).pop()
                && above.ours
            {
                target(plan, &above.place_of(*place), place.is_directory())?;
            }
        }
    }
    Ok(())
}

/// Mounts what was asked for in an app: each tmpfs, which is empty, so that
/// mount points can be made in it; the volumes, after all mount points that the
/// image lacks; what is in any of these.
pub(crate) fn mount(plan: &mut Plan, app: &AppSpec) -> Result<()> {
    let all = Place::all(&app.mounts, &app.tmpfs);
    let point = |plan: &mut Plan, place: Place<'_>| {
        target(plan, Path::new(place.target()), place.is_directory())
    };
    let inside = |place: &Place<'_>| !place.around(&all).is_empty();
    let (inner, outer): (Vec<Place<'_>>, Vec<Place<'_>>) = all.iter().partition(|one| inside(one));
    for &place in &outer {
        if let Place::Memory(tmpfs) = place {
            point(plan, place)?;
            memory(plan, tmpfs, &all)?;
        }
    }
    let volumes = || app.mounts.iter().map(Place::Volume);
    for place in volumes().filter(|one| !inside(one)) {
        point(plan, place)?;
    }
    for place in volumes().filter(|one| !inside(one)) {
        if let Place::Volume(volume) = place {
            bind(plan, volume, &all)?;
        }
    }
    for place in inner {
        if let Some(Place::Memory(_)) = place.around(&all).pop() {
            point(plan, place)?;
        }
        match place {
            Place::Volume(volume) => bind(plan, volume, &all)?,
            Place::Memory(tmpfs) => memory(plan, tmpfs, &all)?,
        }
    }
    for tmpfs in app.tmpfs.iter().filter(|one| is_closed_late(one, &all)) {
        plan.push(
            Directive::Remount {
                target: &operand("a path", tmpfs.target.as_str())?,
                flags: flags_of(tmpfs, &all).with(MountFlags::RO),
            },
            "option --tmpfs: read-only",
        );
    }
    Ok(())
}

/// Returns how links on the way to a mount point are treated: whoever can write
/// to a volume may have made some there.
fn links(place: Place<'_>, all: &[Place<'_>]) -> MountFlags {
    let is_volume = |place: &Place<'_>| matches!(place, Place::Volume(_));
    match place.around(all).iter().any(is_volume) {
        true => MountFlags::NOFOLLOW,
        false => MountFlags::EMPTY,
    }
}

/// Mounts a volume.
fn bind(plan: &mut Plan, volume: &Mounted, all: &[Place<'_>]) -> Result<()> {
    // Otherwise the app could make a node of any device in a volume, and open it.
    let mut flags = MountFlags::NODEV.with(links(Place::Volume(volume), all));
    for (wanted, flag) in [
        (!volume.ours, MountFlags::PINNED),
        (volume.read_only, MountFlags::RO),
        (volume.recursive, MountFlags::REC),
    ] {
        if wanted {
            flags = flags.with(flag);
        }
    }
    plan.push(
        Directive::Bind {
            source: &path(&volume.source)?,
            target: &operand("a path", volume.target.as_str())?,
            flags,
        },
        volume.reason.as_str(),
    );
    Ok(())
}

/// Mounts a tmpfs.
fn memory(plan: &mut Plan, tmpfs: &Tmpfs, all: &[Place<'_>]) -> Result<()> {
    let flags = flags_of(tmpfs, all);
    let flags = match tmpfs.read_only && !is_closed_late(tmpfs, all) {
        true => flags.with(MountFlags::RO),
        false => flags,
    };
    plan.push(
        Directive::Mount {
            kind: c"tmpfs",
            source: c"tmpfs",
            target: &operand("a path", tmpfs.target.as_str())?,
            flags,
            data: &operand("mount options", tmpfs.data())?,
        },
        "option --tmpfs",
    );
    Ok(())
}

fn flags_of(tmpfs: &Tmpfs, all: &[Place<'_>]) -> MountFlags {
    let flags = TMP.flags.with(links(Place::Memory(tmpfs), all));
    match tmpfs.no_exec {
        true => flags.with(MountFlags::NOEXEC),
        false => flags,
    }
}

/// Returns whether a tmpfs becomes read-only only after mount points have been
/// made in it.
fn is_closed_late(tmpfs: &Tmpfs, all: &[Place<'_>]) -> bool {
    let place = |other: Option<Place<'_>>| matches!(other, Some(Place::Memory(other)) if other.target == tmpfs.target);
    tmpfs.read_only && all.iter().any(|one| place(one.around(all).pop()))
}

/// Makes a mount point, unless it is there.
fn target(plan: &mut Plan, place: &Path, is_directory: bool) -> Result<()> {
    let place_path = path(place)?;
    if is_directory {
        directory(plan, &place_path, 0o755, "");
        return Ok(());
    }
    if let Some(above) = place.parent().filter(|above| *above != Path::new("/")) {
        directory(plan, &path(above)?, 0o755, "");
    }
    plan.push(
        Directive::Touch {
            path: &place_path,
            mode: Mode(0o644),
            uid: 0,
            gid: 0,
        },
        "",
    );
    Ok(())
}
