//! What is left to do when a pod is over. `stage1-init` becomes the launcher
//! again for it; nobody types this command, so no help lists it.

use crate::ground::dirs::{Dirs, State};
use crate::ground::{Error, Result};
use crate::image::rootfs::Rootfs;
use crate::image::tree::Stack;
use crate::pod::cgroup::record;
use crate::pod::directory;
use crate::pod::overlay::Overlay;
use crate::pod::plan::Plan;
use crate::run::explain::explain;
use crate::words::types::Uuid;
use stage1_init::Directive;

/// Removes the pod; if its plan could not be carried out, says why.
///
/// # Errors
///
/// The sentence for the directive that failed: it is the pod's error, and the
/// caller exits with the pod's status all the same.
pub(crate) fn run(dirs: &Dirs, uuid: Uuid) -> Result<()> {
    let failure = failure(dirs, uuid);
    let removed = remove_groups(dirs, uuid).and(directory::remove(dirs, uuid));
    match failure? {
        Some(error) => Err(error),
        None => removed,
    }
}

fn remove_groups(dirs: &Dirs, uuid: Uuid) -> Result<()> {
    let Some(record) = directory::find(dirs, uuid, "groups")? else {
        return Ok(());
    };
    let (groups, _) = record::read(&String::from_utf8_lossy(&record), uuid)?;
    groups.remove()
}

/// Reads the report for a directive that failed.
fn failure(dirs: &Dirs, uuid: Uuid) -> Result<Option<Error>> {
    let report = directory::read(dirs, State::Run, uuid, "report")?;
    let failed = report.split(|&byte| byte == b'\n').find_map(|line| {
        match stage1_init::Report::decode(line)? {
            stage1_init::Report::Failed { directive, errno } => Some((directive, errno)),
            _ => None,
        }
    });
    let Some((index, errno)) = failed else {
        return Ok(None);
    };
    let plan = Plan::read(&directory::read(dirs, State::Run, uuid, "plan")?)?;
    let rootfs = rootfs(&plan, index);
    let rootfs = rootfs.as_ref().map(|tree| tree as &dyn Rootfs);
    Ok(Some(explain(&plan, index, errno, rootfs)))
}

/// Opens what lies under the root of the app that a directive belongs to: the
/// mounts are gone with the pod, the image is not.
fn rootfs(plan: &Plan, index: u32) -> Option<Stack> {
    let mut found = None;
    plan.find(|at, directive, _| {
        if let Directive::Mount { kind, data, .. } = directive
            && *kind == c"overlay"
        {
            found = Overlay::read(data.to_bytes());
        }
        (at == index).then_some(())
    });
    Stack::open(&found?.layers).ok()
}
