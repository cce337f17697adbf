//! The command line of `launcher policy`.

use crate::cli::args::Args;
use crate::cmd::policy::Verb;
use error::{Error, Result};
use oci::reference::Asked;

/// Takes the arguments of a subcommand of `policy`.
pub(super) fn verb(name: &str, args: &mut Args) -> Result<Verb> {
    let Some(word) = args.word()? else {
        let error = Error::usage("an image is missing");
        return Err(error.hint("for instance `docker.io/library/debian:12`"));
    };
    let image = Asked::parse(word.strip_prefix("docker://").unwrap_or(&word))?;
    Ok(match name {
        "lock" => Verb::Lock(image),
        _ => Verb::Unlock(image),
    })
}
