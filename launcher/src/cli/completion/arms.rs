//! What the `case` statements of bash and zsh are made of.

use crate::cli::table::spec::CommandSpec;
use crate::cli::table::{ALIASES, all};

/// Returns the aliases, each with its command and subcommand. A command without
/// a subcommand takes the next word, which the scripts have in `$below`.
pub(super) fn aliases() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    ALIASES.iter().filter_map(|(alias, words)| {
        let mut words = words.iter().filter(|word| !word.starts_with('-'));
        Some((*alias, *words.next()?, *words.next().unwrap_or(&"$below")))
    })
}

/// Returns the commands, each with the shell pattern that matches it as
/// `COMMAND/SUBCOMMAND`. Longer names are first: `image/*` also matches
/// `image/list`.
pub(super) fn patterns() -> impl Iterator<Item = (String, &'static CommandSpec)> {
    all().into_iter().rev().map(|(path, command)| {
        let pattern = match path.split_once(' ') {
            Some((first, below)) => format!("{first}/{below}"),
            None => format!("{path}/*"),
        };
        (pattern, command)
    })
}
