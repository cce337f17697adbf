//! `launcher completion`: the table of commands, as scripts for shells.
//!
//! Each script knows where on the line the command is, and from the table what
//! may follow; pods and images it gets from `launcher list` and `launcher image
//! list`.

mod bash;
mod fish;
mod zsh;

use error::{Error, Result};

/// Returns the script for a shell.
///
/// # Errors
///
/// There is none for it.
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
