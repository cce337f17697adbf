//! `launcher completion`: prints completion scripts, generated from the table
//! of commands.
//!
//! Each script finds the command on the line; the table says what may follow
//! it. Pods and images come from `launcher list` and `launcher image list`.

mod arms;
mod bash;
mod fish;
mod zsh;

use error::{Error, Result};

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
