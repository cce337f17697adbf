//! What is left to do when a pod is over. `stage1-init` becomes the launcher
//! again for it, and still holds its lock; nobody types this command, so no help lists it.

use appc::types::Uuid;
use error::{Error, Kind, Result};
use image::store::rootfs::Rootfs;
use image::store::rootfs_view::Stack;
use pod::plan::overlay::Overlay;
use pod::plan::text::Plan;
use pod::runtime::explain::explain;
use pod::runtime::{status, teardown};
use pod::state::directory;
use pod::state::log::capture::{capture, silence};
use pod::state::records::{STARTED, Started};
use stage1_init::Directive;
use sys::dirs::{Dirs, State};

/// Keeps the pod or removes it, as it was started; if its plan could not be
/// carried out, says why. A pod that never ran is not kept.
///
/// # Errors
///
/// The sentence for the directive that failed: it is the pod's error, and the
/// caller exits with the pod's status all the same.
pub(crate) fn run(dirs: &Dirs, uuid: Uuid, status: u8) -> Result<()> {
    let told = told(dirs, uuid);
    let began = !matches!(&told, Ok((report, _)) if !status::is_ready(report));
    let concluded = match began {
        true => teardown::conclude(dirs, uuid, Some(status)),
        false => teardown::remove(dirs, State::Run, uuid),
    };
    match told?.1 {
        Some(error) => Err(error),
        // A failure of its own the init has reported, or said.
        None if !began && status > SIGNALLED => Err(init_was_killed()),
        None => concluded,
    }
}

/// Greater are the statuses of what a signal ended.
const SIGNALLED: u8 = 128;

/// Says why a pod did not start of which there is no report.
pub(super) fn init_was_killed() -> Error {
    Error::new(Kind::Failed, "cannot start the pod: its init was killed")
}

/// Reads the report, and explains it if a directive failed.
fn told(dirs: &Dirs, uuid: Uuid) -> Result<(Vec<u8>, Option<Error>)> {
    let report = directory::read(dirs, State::Run, uuid, "report")?;
    let error = match failed(&report) {
        Some(_) => {
            let plan = Plan::read(&directory::read(dirs, State::Run, uuid, "plan")?)?;
            explained(&executed(dirs, uuid, plan)?, &report)
        }
        None => None,
    };
    Ok((report, error))
}

/// Returns the plan that was executed: what leads streams elsewhere has
/// lines of its own there.
fn executed(dirs: &Dirs, uuid: Uuid, plan: Plan) -> Result<Plan> {
    let record = directory::find(dirs, uuid, STARTED)?;
    let started = record.and_then(|record| Started::read(&record));
    Ok(match started {
        Some(Started { log: Some(log), .. }) => capture(&plan, log).plan,
        Some(Started { silent: true, .. }) => silence(&plan).0,
        _ => plan,
    })
}

/// Says why a plan could not be carried out, if a report says that it was not.
pub(super) fn explained(plan: &Plan, report: &[u8]) -> Option<Error> {
    let (index, errno) = failed(report)?;
    let rootfs = rootfs(plan, index);
    let rootfs = rootfs.as_ref().map(|tree| tree as &dyn Rootfs);
    Some(explain(plan, index, errno, rootfs))
}

/// Finds the directive that failed, and its errno(3).
pub(super) fn failed(report: &[u8]) -> Option<(u32, u32)> {
    report
        .split(|&byte| byte == b'\n')
        .find_map(|line| match stage1_init::Report::decode(line)? {
            stage1_init::Report::Failed { directive, errno } => Some((directive, errno)),
            _ => None,
        })
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
