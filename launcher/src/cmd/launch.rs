//! How a pod that is made begins to run: in this process, in one that goes on
//! without the caller, or on a terminal that the caller is attached to.

use crate::cmd::mode::{Outcome, RunMode, Shown, StartError};
use crate::cmd::{STAGE1_INIT, detach, interactive};
use pod::plan::streams::Streams;
use pod::runtime::claim::PodDirectory;
use pod::runtime::start::{Runnable, Start, start};
use sys::dirs::Dirs;
use sys::host::Host;

/// Runs a pod, as somebody wants it run.
pub(super) fn launch(
    dirs: &Dirs,
    host: &Host,
    mut directory: PodDirectory<'_>,
    runnable: &Runnable,
    mode: &RunMode,
) -> Result<Outcome, StartError> {
    if mode.shown == Shown::Marked {
        crate::cmd::mark();
    }
    if let Some(log) = mode.detached {
        return detach::start(dirs, host, directory, runnable, mode.keep, log);
    }
    if runnable.spec.has_terminal() {
        return interactive::start(dirs, host, directory, runnable, mode);
    }
    let how = Start {
        program: STAGE1_INIT,
        keep: mode.keep,
        streams: match mode.shown {
            Shown::Hidden => Streams::Silent,
            Shown::Plainly | Shown::Marked => Streams::Inherited,
        },
        master: None,
    };
    match start(dirs, &mut directory, runnable, host, how)? {}
}
