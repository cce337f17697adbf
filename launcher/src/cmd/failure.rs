//! Why a pod or a command in one was not executed, by what `stage1-init` reports.

use error::{Error, Kind};
use image::store::rootfs::Rootfs;
use image::store::rootfs_view::Stack;
use pod::plan::directives::Step;
use pod::plan::streams::Streams;
use pod::runtime::explain::explain;
use pod::runtime::start::Runnable;
use pod::spec::pod::AppSpec;
use sys::host::Host;

/// Says why a pod did not start of which there is no report.
pub(super) fn init_was_killed() -> Error {
    Error::new(Kind::Failed, "cannot start the pod: its init was killed")
}

/// Says why a plan could not be carried out, if a report says that it was not.
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

/// Says why a directive failed that belongs to an app.
pub(super) fn of_step(step: Option<&Step>, errno: u32, app: Option<&AppSpec>) -> Error {
    // The mounts are gone with the pod, the image is not; what is only for a better
    // sentence may be gone as well.
    let rootfs = app.and_then(|app| files(app).ok());
    explain(
        step,
        errno,
        rootfs.as_ref().map(|files| files as &dyn Rootfs),
    )
}

/// Opens the files of an app's image: what the app has made of them counts for
/// nothing. There are none where only a plan says what they are.
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
