//! Explains from the report of `stage1-init` why a pod, or a command in one,
//! was not executed.

use error::{Error, Kind};
use image::store::rootfs::Rootfs;
use image::store::rootfs_view::Stack;
use pod::plan::directives::Step;
use pod::plan::streams::Streams;
use pod::runtime::explain::explain;
use pod::runtime::start::Runnable;
use pod::spec::pod::AppSpec;
use sys::host::Host;

/// The error for a pod that failed without a report.
pub(super) fn init_was_killed() -> Error {
    Error::new(Kind::Failed, "cannot start the pod: its init was killed")
}

/// Explains why a plan failed, if the report says that it did.
pub(super) fn explained(
    runnable: &Runnable,
    host: &Host,
    streams: Streams,
    report: &[u8],
) -> Option<Error> {
    let (index, errno) = failed(report)?;
    let composed = match runnable.compose(host, streams) {
        Ok(composed) => composed,
        Err(error) => return Some(error),
    };
    let step = composed.plan.step(index);
    let app = step.and_then(Step::app);
    let app = app.and_then(|at| runnable.spec.apps.get(at));
    Some(of_step(step, errno, app))
}

/// Explains why a directive failed.
pub(super) fn of_step(step: Option<&Step>, errno: u32, app: Option<&AppSpec>) -> Error {
    // The pod's mounts are gone; the image usually is not. It only improves the
    // message, so it may be missing.
    let rootfs = app.and_then(|app| files(app).ok());
    explain(
        step,
        errno,
        rootfs.as_ref().map(|files| files as &dyn Rootfs),
    )
}

/// Opens the files of an app's image, without the app's changes. There are none
/// if the app comes from a hand-written plan.
pub(super) fn files(app: &AppSpec) -> error::Result<Stack> {
    let layers = app.root.iter().flat_map(|root| &root.layers);
    let layers: Vec<_> = layers.map(|layer| layer.to_path_buf()).collect();
    Stack::open(&layers)
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
