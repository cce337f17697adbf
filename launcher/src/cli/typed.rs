//! The beginning of the command line, for hints that can be typed as they are.

use std::path::PathBuf;

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

/// Returns the word that was probably meant: the only one with this prefix, or
/// else the nearest, if at most a third of its letters are wrong.
fn nearest(typed: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let letters = typed.trim_start_matches('-').chars().count();
    let is_letter = |word: &&str| word.len() == 2 && word.starts_with('-');
    let known: Vec<_> = known.filter(|word| !is_letter(word)).collect();
    let mut longer = known.iter().filter(|word| word.starts_with(typed));
    if let (Some(only), None, 2..) = (longer.next(), longer.next(), letters) {
        return Some(only);
    }
    let most = letters.div_ceil(3).min(letters.saturating_sub(1));
    let near = known.iter().map(|word| {
        let longer = word.len().abs_diff(typed.len());
        (distance(typed, word), longer, *word)
    });
    let near = near.filter(|(distance, ..)| *distance <= most).min();
    near.map(|(.., word)| word)
}

/// Counts the letters that must be inserted, deleted or replaced to turn one
/// word into another. Swapping two neighbours counts once.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, another) in other.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != another);
            let mut least = replaced.min(last[column + 1] + 1).min(next[column] + 1);
            if row > 0 && column > 0 && *letter == other[column - 1] && one[row - 1] == *another {
                let swapped: &Vec<usize> = &before;
                least = least.min(swapped[column - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut last, next);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_misspelt_has_a_nearest_one() {
        let known = [
            "run",
            "rm",
            "run-prepared",
            "status",
            "stats",
            "--detach",
            "--detach-keys",
        ];
        for (typed, meant) in [
            ("rum", Some("run")),
            ("urn", Some("run")),
            ("statsu", Some("status")),
            ("run-p", Some("run-prepared")),
            ("--detatch", Some("--detach")),
            ("--detach-", Some("--detach-keys")),
            ("--detach", Some("--detach")),
            ("--detach-k", Some("--detach-keys")),
            ("fly", None),
            ("r", None),
            ("", None),
            ("-", None),
            ("--", None),
        ] {
            assert_eq!(nearest(typed, known.into_iter()), meant, "{typed}");
        }
    }

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
