//! The volumes of a pod: empty ones are made once, on the host, and each app
//! mounts the volumes it uses.

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
    Ok(())
}

/// Mounts the volumes of an app: first makes all mount points that the image
/// lacks, then mounts.
pub(crate) fn mount(plan: &mut Plan, app: &AppSpec) -> Result<()> {
    for volume in &app.mounts {
        target(plan, volume)?;
    }
    for volume in &app.mounts {
        // Otherwise the app could make a node of any device in a volume, and
        // open it.
        let mut flags = MountFlags::NODEV;
        if !volume.ours {
            flags = flags.with(MountFlags::PINNED);
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

fn target(plan: &mut Plan, volume: &Mounted) -> Result<()> {
    let path = operand("a path", volume.target.as_str())?;
    if volume.directory {
        directory(plan, &path, 0o755, "");
        return Ok(());
    }
    if let Some((above, _)) = volume.target.rsplit_once('/')
        && !above.is_empty()
    {
        directory(plan, &operand("a path", above)?, 0o755, "");
    }
    plan.push(
        Directive::Touch {
            path: &path,
            mode: Mode(0o644),
            uid: 0,
            gid: 0,
        },
        "",
    );
    Ok(())
}
