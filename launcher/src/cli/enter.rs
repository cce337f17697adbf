//! The command line of `launcher enter`: everything after the pod belongs to
//! the command.

use std::ffi::OsString;

use crate::cli::args::Args;
use crate::cli::command::Command;
use crate::cli::selector::one;
use crate::cli::values::{identity, repeated, some};
use crate::cmd::enter::{Options, Terminal};
use error::quote::quoted;
use error::{Error, Result};
use pod::resolve::request::check_variable;
use pod::spec::environment;

/// The option that replaces the pod.
pub(super) const INSTEAD: &str = "--uuid-file";

/// Takes the options, a pod and a command. The terminal of the command may
/// exist already.
pub(super) fn enter(args: &mut Args, at_terminal: bool) -> Result<Command> {
    let options = &mut args.options;
    let variables = options.values("--set-env", |text| {
        let variable = environment::pair(text)?;
        check_variable(&variable).map(|()| variable)
    })?;
    if let Some(name) = repeated(variables.iter().map(|one| one.name.clone())) {
        return Err(Error::usage(format!("`--set-env` sets `{name}` twice")));
    }
    // The command has the caller's standard input anyway.
    options.flag("-i");
    let terminal = match options.flag("--interactive") {
        _ if at_terminal => Terminal::There,
        true => Terminal::Wanted,
        false => Terminal::AsCaller,
    };
    let (user, group) = identity(options)?;
    Ok(Command::Enter(Options {
        app: options.value("--app", some)?,
        user,
        group,
        directory: options.value("--cwd", path)?,
        variables,
        terminal,
        selector: one(args)?,
        command: words(args.rest())?,
    }))
}

/// Takes the words of the command. Refuses what looks like an option, unless it
/// follows `--`.
fn words(mut rest: Vec<OsString>) -> Result<Vec<OsString>> {
    let first = rest.first().map(|word| word.to_string_lossy().into_owned());
    match first.as_deref() {
        Some("--") => {
            rest.remove(0);
        }
        Some(option) if option.starts_with('-') => {
            let what = format!("unexpected option {} after the pod", quoted(option));
            return Err(Error::usage(what).hint(
                "options go before the pod; put `--` before a program whose name begins with `-`",
            ));
        }
        _ => {}
    }
    Ok(rest)
}

fn path(text: &str) -> Result<String> {
    match text.starts_with('/') {
        true => Ok(text.to_owned()),
        false => Err(Error::usage(format!(
            "{} is not an absolute path",
            quoted(text)
        ))),
    }
}

/// Reads the arguments of `entered`, an internal command: descriptors and a
/// status.
pub(super) fn entered(args: &mut Args) -> Result<Command> {
    let missing = || Error::usage("an argument is missing");
    let mut number = || {
        args.word()?
            .and_then(|word| word.parse().ok())
            .ok_or_else(missing)
    };
    let descriptors = [number()?, number()?, number()?];
    let status = u8::try_from(number()?).map_err(|_| missing())?;
    Ok(Command::Entered(descriptors, status))
}
