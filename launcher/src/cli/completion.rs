//! `launcher completion`: prints completion scripts, generated from the table
//! of commands.
//!
//! Each script finds the command on the line; the table says what may follow
//! it. Pods and images come from `launcher list` and `launcher image list`.

mod bash;
mod fish;
mod zsh;

use error::{Error, Result};

use super::table::spec::CommandSpec;
use super::table::{ALIASES, all};

/// Returns the script for a shell.
///
/// # Errors
///
/// There is no script for the shell.
pub(super) fn script(shell: Option<&str>) -> Result<String> {
    match shell {
        Some("bash") => Ok(bash::script()),
        Some("fish") => Ok(fish::script()),
        Some("zsh") => Ok(zsh::script()),
        other => Err(match other {
            Some(other) => Error::usage(format!("there is no completion script for `{other}`")),
            None => Error::usage("the name of a shell is missing"),
        }
        .hint("there are scripts for `bash`, `zsh` and `fish`")),
    }
}

/// Returns the aliases, each with its command and subcommand. A command without
/// a subcommand takes the next word, which the scripts have in `$below`.
fn aliases() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    ALIASES.iter().filter_map(|(alias, words)| {
        let mut words = words.iter().filter(|word| !word.starts_with('-'));
        Some((*alias, *words.next()?, *words.next().unwrap_or(&"$below")))
    })
}

/// Returns the commands, each with the shell pattern that matches it as
/// `COMMAND/SUBCOMMAND`. Longer names are first: `image/*` also matches
/// `image/list`.
fn patterns() -> impl Iterator<Item = (String, &'static CommandSpec)> {
    all().into_iter().rev().map(|(path, command)| {
        let pattern = match path.split_once(' ') {
            Some((first, below)) => format!("{first}/{below}"),
            None => format!("{path}/*"),
        };
        (pattern, command)
    })
}
