//! Explains from the report of `stage1-init` why a pod, or a command in one,
//! was not executed.

use crate::cmd::mode::StartError;
use crate::cmd::timing;
use error::{Error, Kind};
use image::store::rootfs_view::Stack;
use pod::cgroup::oom::OomKills;
use pod::plan::directives::{Plan, Step};
use pod::plan::streams::Streams;
use pod::runtime::explain::{Image, explain};
use pod::runtime::start::Runnable;
use pod::runtime::status::{Ending, endings};
use pod::spec::pod::{AppSpec, PodSpec};
use sys::host::Host;
use sys::size;

/// The error for a pod that failed without a report.
pub(super) fn init_was_killed() -> Error {
    Error::new(Kind::Failed, "cannot start the pod: its init was killed")
}

/// Explains why a plan failed, if the report says that it did. `status` is that
/// of its init.
pub(super) fn explained(
    runnable: &Runnable,
    host: &Host,
    streams: Streams,
    report: &[u8],
    status: u8,
) -> Option<StartError> {
    let (index, errno) = failed(report)?;
    let composed = match timing::is_on() {
        true => runnable.compose_timed(host, streams),
        false => runnable.compose(host, streams),
    };
    let composed = match composed {
        Ok(composed) => composed,
        Err(error) => return Some(StartError { error, status }),
    };
    let app = composed.plan.step(index).and_then(Step::app);
    let app = app.and_then(|at| runnable.spec.apps.get(at));
    Some(of_step(&composed.plan, (index, errno), app, status))
}

/// The status for a program that was not found, and for one that is there and
/// cannot be executed. `stage1-init` cannot tell that from what the kernel
/// says.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// Explains why a directive failed: its index in the plan, and the errno(3).
pub(super) fn of_step(
    plan: &Plan,
    (index, errno): (u32, u32),
    app: Option<&AppSpec>,
    status: u8,
) -> StartError {
    // The pod's mounts are gone; the image usually is not. It only improves the
    // message, so it may be missing.
    let known = app.and_then(|app| Some((files(app).ok()?, path(app))));
    let image = known.as_ref().map(|(files, path)| Image { files, path });
    let explanation = explain(plan, index, errno, image);
    StartError {
        error: explanation.error,
        status: match explanation.is_there && status == NOT_FOUND {
            true => NOT_EXECUTABLE,
            false => status,
        },
    }
}

fn path(app: &AppSpec) -> &str {
    let mut all = app.process.environment.iter();
    let path = all.find(|one| one.value.name == "PATH");
    path.map_or("", |path| &path.value.value)
}

/// Returns the error of a pod in which processes were killed because memory had
/// run out, as far as its report, or its cgroups, say so.
pub(super) fn out_of_memory(spec: &PodSpec, report: &[u8], kills: &OomKills) -> Option<Error> {
    if kills.is_none() {
        return None;
    }
    let apps = endings(spec, report, kills);
    let app = apps.iter().find(|app| app.oom_kills > 0);
    let what = match app {
        Some(app) if matches!(app.ending, Some(Ending::Killed(_))) => {
            format!("app `{}` was killed", app.name)
        }
        Some(app) => format!("a process of app `{}` was killed", app.name),
        None => "a process of the pod was killed".to_owned(),
    };
    let own = app.and_then(|app| app.limits.memory);
    let error = Error::new(Kind::Failed, format!("{what}: it ran out of memory"));
    Some(match own.or(spec.limits.memory) {
        Some(limit) => error.hint(format!(
            "the limit was {}; `--memory` sets another",
            size::spell(limit)
        )),
        None => error,
    })
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
