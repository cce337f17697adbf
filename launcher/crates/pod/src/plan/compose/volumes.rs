//! The volumes of a pod: empty ones are made once, on the host, and each app
//! mounts the volumes it uses.
//!
//! A volume that is mounted in another one has its mount point there: in an empty
//! one it is made, on the host, while nobody else knows that; in one of the host it
//! has to be there. So no mount point is ever made through a volume.

use std::path::Path;

use stage1_init::{Directive, Mode, MountFlags};

use crate::plan::directives::{Plan, directory, operand, path};
use crate::spec::mounts::Mounted;
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
        for volume in &app.mounts {
            if let Some(above) = volume.above(&app.mounts).filter(|above| above.ours) {
                target(plan, &volume.place_in(above), volume.directory)?;
            }
        }
    }
    Ok(())
}

/// Mounts the volumes of an app: first makes all mount points that the image
/// lacks, then mounts, those in other volumes last.
pub(crate) fn mount(plan: &mut Plan, app: &AppSpec) -> Result<()> {
    let inner = |volume: &&Mounted| volume.above(&app.mounts).is_some();
    let (mut inside, mut volumes): (Vec<_>, Vec<_>) = app.mounts.iter().partition(inner);
    for volume in &volumes {
        target(plan, Path::new(&volume.target), volume.directory)?;
    }
    inside.sort_by_key(|volume| Path::new(&volume.target).components().count());
    volumes.extend(inside);
    for volume in volumes {
        // Otherwise the app could make a node of any device in a volume, and
        // open it.
        let mut flags = MountFlags::NODEV;
        if !volume.ours {
            flags = flags.with(MountFlags::PINNED);
        }
        if inner(&volume) {
            // Whoever can write to the other one may have made links there.
            flags = flags.with(MountFlags::NOFOLLOW);
        }
        if volume.read_only {
            flags = flags.with(MountFlags::RO);
        }
        if volume.recursive {
            flags = flags.with(MountFlags::REC);
        }
        plan.push(
            Directive::Bind {
                source: &path(&volume.source)?,
                target: &operand("a path", volume.target.as_str())?,
                flags,
            },
            volume.reason.as_str(),
        );
    }
    Ok(())
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
