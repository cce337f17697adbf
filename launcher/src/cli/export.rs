//! The command line of `launcher export`.

use crate::cli::args::Args;
use crate::cli::command::Command;
use crate::cli::selector::select;
use crate::cli::values::some;
use crate::cmd::export::Export;
use error::{Error, Result};

/// Takes the options, a pod and a file.
pub(super) fn export(args: &mut Args) -> Result<Command> {
    let app = args.options.value("--app", some)?;
    let overwrite = args.options.flag("--overwrite");
    let uuid_file = args.options.path("--uuid-file");
    // A file can name the pod instead.
    let uuid = match uuid_file {
        Some(_) => None,
        None => args.word()?,
    };
    let missing = || Error::usage("a file is missing").hint("use `-` for standard output");
    Ok(Command::Export(Export {
        selector: select(uuid.into_iter().collect(), uuid_file, &args.typed)?,
        app,
        file: args.argument().ok_or_else(missing)?,
        overwrite,
    }))
}
