//! The beginning of the command line, for hints that can be typed as they are.

use std::path::PathBuf;

use crate::cli::nearest::nearest;
use crate::cli::table::spec::{CommandSpec, OptionSpec};
use error::Error;
use pod::plan::directives::quote;

/// The beginning of a command line.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    /// The data directory, if it was given.
    pub(super) dir: Option<PathBuf>,
    /// Whether errors are shown with all their causes.
    pub(super) verbose: bool,
    /// Whether the phases of a run are timed.
    pub(super) timing: bool,
    /// The command, such as `image list`.
    pub(super) command: String,
}

impl Typed {
    /// Returns another command line of this program, in backticks.
    pub(super) fn launcher(&self, words: &str) -> String {
        match &self.dir {
            Some(dir) => {
                let dir = quote(dir.as_os_str().as_encoded_bytes());
                format!("`launcher --dir {dir} {words}`")
            }
            None => format!("`launcher {words}`"),
        }
    }

    /// Returns the command line that shows help for this command.
    pub(super) fn help(&self) -> String {
        match &*self.command {
            "" => self.launcher("help"),
            command => self.launcher(&format!("help {command}")),
        }
    }

    /// The error for an option that is not among these.
    pub(super) fn unknown_option(&self, name: &str, known: &[&'static OptionSpec]) -> Error {
        let spellings = known.iter().filter(|option| !option.help.is_empty());
        let spellings = spellings.flat_map(|option| option.spellings());
        let lists = format!("{} lists all options", self.help());
        Error::usage(format!("there is no option `{name}`")).hint(hint(name, spellings, &lists))
    }

    /// The error for a command that is not among these.
    pub(super) fn unknown_command(&self, name: &str, known: &[&'static CommandSpec]) -> Error {
        let names = known.iter().map(|command| command.name);
        let aliases = crate::cli::table::ALIASES.iter().map(|(alias, _)| *alias);
        let aliases = aliases.filter(|_| self.command.is_empty());
        let lists = format!("{} lists all commands", self.help());
        let separator = if self.command.is_empty() { "" } else { " " };
        let what = format!("there is no command `{}{separator}{name}`", self.command);
        Error::usage(what).hint(hint(name, names.chain(aliases), &lists))
    }
}

fn hint(name: &str, known: impl Iterator<Item = &'static str>, lists: &str) -> String {
    match nearest(name, known) {
        Some(nearest) => format!("did you mean `{nearest}`? {lists}"),
        None => lists.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_keep_the_directory() {
        let typed = Typed {
            dir: Some("/a b".into()),
            command: "image list".to_owned(),
            ..Typed::default()
        };
        assert_eq!(typed.help(), "`launcher --dir '/a b' help image list`");
        assert_eq!(Typed::default().help(), "`launcher help`");
    }
}
