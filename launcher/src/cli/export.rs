//! The command line of `launcher export`.

use crate::cli::Command;
use crate::cli::life::which;
use crate::cli::line::Line;
use crate::cli::pod::some;
use crate::cmd::export::Export;
use error::{Error, Result};

/// Takes the options, a pod and a file.
pub(super) fn export(line: &mut Line) -> Result<Command> {
    let app = line.value("--app", some)?;
    let overwrite = line.flag("--overwrite");
    let uuid_file = line.path("--uuid-file")?;
    // In the place of the pod a file can say which it is.
    let uuid = match uuid_file {
        Some(_) => None,
        None => line.word()?,
    };
    let missing = || Error::usage("a file is missing").hint("`-` is the standard output");
    Ok(Command::Export(Export {
        which: which(uuid.into_iter().collect(), uuid_file)?,
        app,
        file: line.argument()?.ok_or_else(missing)?,
        overwrite,
    }))
}
