//! The table of commands and options. The parser, help, man pages and
//! completion scripts all use it.

mod app;
mod archives;
mod build;
pub(crate) mod general;
mod images;
mod logins;
mod pod;
mod pods;
mod policy;
mod run;
pub(crate) mod spec;
mod terms;
mod trust;

use crate::cli::table::spec::CommandSpec;

/// All commands, in the order in which help lists them.
pub(crate) static COMMANDS: &[CommandSpec] = &[
    run::RUN,
    run::PREPARE,
    run::RUN_PREPARED,
    run::PLAN,
    pods::LIST,
    pods::STATUS,
    pods::WAIT,
    pods::STATS,
    pods::PORT,
    pod::LOGS,
    pod::ATTACH,
    pod::ENTER,
    pod::CAT_MANIFEST,
    pod::CP,
    pod::DIFF,
    pod::EXPORT,
    pods::PAUSE,
    pods::RESUME,
    pods::STOP,
    pods::KILL,
    pods::RM,
    pods::GC,
    images::FETCH,
    images::VALIDATE,
    images::IMAGE,
    trust::TRUST,
    policy::POLICY,
    logins::LOGIN,
    logins::LOGOUT,
    general::COMPLETION,
    general::HELP,
    general::VERSION,
    general::MAN,
    general::BEGIN,
    general::FINISH,
    general::ENTERED,
];

/// Names that podman and Docker have for commands, and what they stand for.
pub(crate) static ALIASES: &[(&str, &[&str])] = &[
    ("exec", &["enter"]),
    ("images", &["image", "list"]),
    ("inspect", &["status", "--format=json"]),
    ("ps", &["list"]),
    ("pull", &["fetch"]),
    ("rmi", &["image", "rm"]),
];

/// Returns the words that an alias stands for.
pub(crate) fn alias(name: &str) -> Option<&'static [&'static str]> {
    let mut all = ALIASES.iter();
    all.find(|(alias, _)| *alias == name)
        .map(|(_, words)| *words)
}

/// Finds a command among others.
pub(crate) fn find(commands: &'static [CommandSpec], name: &str) -> Option<&'static CommandSpec> {
    commands.iter().find(|command| command.name == name)
}

/// Returns the commands of a list, without internal ones.
pub(crate) fn visible(
    commands: &'static [CommandSpec],
) -> impl Iterator<Item = &'static CommandSpec> {
    commands.iter().filter(|command| !command.hidden)
}

/// Returns the name of the command that has this subcommand.
pub(crate) fn parent(command: &'static CommandSpec) -> Option<&'static str> {
    let is_below = |parent: &&CommandSpec| {
        let mut below = parent.commands.iter();
        below.any(|below| std::ptr::eq(below, command))
    };
    COMMANDS.iter().find(is_below).map(|parent| parent.name)
}

/// Returns all commands and subcommands with their full names, without internal
/// ones.
pub(crate) fn all() -> Vec<(String, &'static CommandSpec)> {
    let mut all = Vec::new();
    for command in visible(COMMANDS) {
        all.push((command.name.to_owned(), command));
        let below = visible(command.commands);
        all.extend(below.map(|below| (format!("{} {}", command.name, below.name), below)));
    }
    all
}

/// Returns the full name of a command, such as `image list`.
pub(crate) fn path(command: &'static CommandSpec) -> String {
    match parent(command) {
        Some(parent) => format!("{parent} {}", command.name),
        None => command.name.to_owned(),
    }
}

/// Returns the aliases of a command, each with the options that it adds.
pub(crate) fn aliases_of(
    path: &str,
) -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    let is_option = |word: &&&str| word.starts_with('-');
    ALIASES.iter().filter_map(move |(alias, words)| {
        let options = words.iter().rev().take_while(is_option).count();
        let (command, options) = words.split_at(words.len() - options);
        (command.join(" ") == path).then_some((*alias, options))
    })
}
