//! Starts a pod that has been created: in this process, in the background, or
//! with a terminal that this process relays.

use crate::cmd::mode::{Outcome, RunMode, Shown, StartError};
use crate::cmd::{STAGE1_INIT, complain, detach, interactive, timing};
use pod::plan::streams::Streams;
use pod::runtime::claim::PodDirectory;
use pod::runtime::start::{Runnable, Start, start};
use sys::dirs::Dirs;
use sys::host::Host;

/// Runs a pod in the given mode.
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
        tell: &complain,
        timing: timing::is_on().then_some(&|| {
            timing::end("compose");
            timing::report();
        }),
    };
    match start(dirs, &mut directory, runnable, host, how)? {}
}
