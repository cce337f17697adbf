//! The command line of `launcher diff`.

use crate::cli::args::Args;
use crate::cli::command::Command;
use crate::cli::selector::one;
use crate::cli::values::{formatted, some};
use crate::cmd::diff::Options;
use error::Result;

/// Takes the options, and a pod.
pub(super) fn diff(args: &mut Args) -> Result<Command> {
    let app = args.options.value("--app", some)?;
    let format = formatted(&mut args.options)?;
    let selector = one(args)?;
    Ok(Command::Diff(Options { selector, app }, format))
}
