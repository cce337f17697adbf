//! The command lines of `launcher login` and `logout`.

use crate::cli::args::Args;
use crate::cli::fetch;
use crate::cmd::login::Login;
use error::{Error, Result};
use oci::reference::Reference;

/// Takes the arguments of `login`.
pub(super) fn login(args: &mut Args) -> Result<Login> {
    let user = args.options.value("--username", |user| match user {
        // The form in which it is sent has no room for one.
        user if user.contains(':') => Err(Error::usage("a user has no `:` in its name")),
        user => Ok(user.to_owned()),
    })?;
    let stdin = args.options.flag("--password-stdin");
    if stdin && user.is_none() {
        return Err(Error::usage("`--password-stdin` needs `--username`"));
    }
    Ok(Login {
        user,
        stdin,
        fetch: fetch::options(&mut args.options)?,
        registry: registry(args)?,
    })
}

/// Takes the name of a registry.
pub(super) fn registry(args: &mut Args) -> Result<String> {
    match args.word()? {
        Some(word) => Reference::parse_registry(&word),
        None => Err(Error::usage("a registry is missing").hint("for instance `ghcr.io`")),
    }
}
