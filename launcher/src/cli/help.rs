//! `launcher help`: prints help, generated from the table of commands.

use crate::cli::table::general::GLOBAL;
use crate::cli::table::spec::{CommandSpec, OptionSpec, Takes};
use crate::cli::table::{ALIASES, COMMANDS, alias, aliases_of, find, path, visible};
use crate::cli::text::{columns, wrap};
use crate::cli::typed::Typed;
use error::{Error, Result};

/// What the program does.
pub(super) const PURPOSE: &str = "Nose Cone runs App Container images, without a daemon.";

/// The column in which explanations begin.
const COLUMN: usize = 24;

/// Returns help for a command, or the list of all commands.
///
/// # Errors
///
/// The command does not exist.
pub(super) fn about(words: &[String], typed: &Typed) -> Result<String> {
    let Some((first, below)) = words.split_first() else {
        return Ok(overview());
    };
    let all = alias(first).unwrap_or(&[]).iter().copied();
    let all = all
        .filter(|word| !word.starts_with('-'))
        .collect::<Vec<_>>();
    let mut names = if all.is_empty() { vec![&**first] } else { all };
    names.extend(below.iter().map(String::as_str));
    let mut commands = COMMANDS;
    let mut found: Option<&'static CommandSpec> = None;
    let mut typed = Typed {
        command: String::new(),
        ..typed.clone()
    };
    for name in names {
        let known: Vec<_> = visible(commands).collect();
        if let (Some(command), true) = (found, known.is_empty()) {
            let what = format!("command `{}` has no subcommands", command.name);
            return Err(Error::usage(what).hint(format!("{} shows its options", typed.help())));
        }
        let command = find(commands, name);
        let command = command.ok_or_else(|| typed.unknown_command(name, &known))?;
        typed.command = path(command);
        commands = command.commands;
        found = Some(command);
    }
    Ok(found.map_or_else(overview, of))
}

/// Returns the list of all commands.
pub(super) fn overview() -> String {
    let mut out =
        format!("{PURPOSE}\n\nUsage: launcher [OPTIONS] COMMAND [ARGUMENTS]\n\nCommands:\n");
    for command in visible(COMMANDS) {
        columns(
            &mut out,
            &format!("  {}", command.name),
            command.summary,
            17,
        );
    }
    out.push_str("\nAliases, for users of podman and Docker:\n");
    for (alias, words) in ALIASES {
        columns(&mut out, &format!("  {alias}"), &words.join(" "), 17);
    }
    out.push_str("\nOptions of every command:\n");
    for option in GLOBAL.options {
        show(&mut out, option);
    }
    out.push_str("\n`launcher help COMMAND` shows how to use a command.\n");
    out
}

/// Returns help for a command.
pub(super) fn of(command: &'static CommandSpec) -> String {
    let mut out = String::new();
    let name = path(command);
    for (index, usage) in command.usage.iter().enumerate() {
        out.push_str(if index == 0 { "Usage: " } else { "       " });
        let line = format!("launcher {name} {usage}");
        let indent = "Usage: launcher ".len() + name.len() + 1;
        wrap(&mut out, &line, indent, "Usage: ".len());
    }
    for paragraph in command.about.split("\n\n").filter(|text| !text.is_empty()) {
        out.push('\n');
        wrap(&mut out, paragraph, 0, 0);
    }
    if !command.commands.is_empty() {
        out.push_str("\nCommands:\n");
        for below in visible(command.commands) {
            columns(&mut out, &format!("  {}", below.name), below.summary, 17);
        }
    }
    for group in command
        .groups
        .iter()
        .filter(|group| !group.title.is_empty())
    {
        let mut options = command.options_of(group).peekable();
        if options.peek().is_some() {
            out.push_str(&format!("\n{}:\n", group.title));
        }
        options.for_each(|option| show(&mut out, option));
    }
    for (title, terms) in command.terms {
        out.push_str(&format!("\n{title}:\n"));
        for (term, meaning) in *terms {
            columns(&mut out, &format!("  {term}"), meaning, COLUMN);
        }
    }
    for (index, (what, example)) in command.examples.iter().enumerate() {
        out.push_str(if index == 0 { "\nExamples:\n" } else { "" });
        let example = example.replace('\n', "\n  ");
        out.push_str(&format!("  # {what}\n  {example}\n"));
    }
    let aliases = aliases_of(&name).map(|(alias, options)| match options {
        [] => format!("`launcher {alias}`"),
        options => format!("`launcher {alias}` (with {})", options.join(" ")),
    });
    let aliases = aliases.collect::<Vec<_>>().join(", ");
    if !aliases.is_empty() {
        out.push('\n');
        wrap(&mut out, &format!("Also known as {aliases}."), 0, 0);
    }
    out
}

fn show(out: &mut String, option: &OptionSpec) {
    // Aligns long names, with or without a short form before them.
    let has_letter = option
        .spellings()
        .next()
        .is_some_and(|name| name.len() == 2);
    let indent = if has_letter { "  " } else { "      " };
    let repeats = if option.repeats { " (repeatable)" } else { "" };
    columns(
        out,
        &format!("{indent}{}", signature(option)),
        &format!("{}{repeats}", option.help),
        COLUMN,
    );
}

/// Returns the spellings of an option: `-v, --volume VOLUME`.
pub(super) fn signature(option: &OptionSpec) -> String {
    let names = option.spellings().collect::<Vec<_>>().join(", ");
    match option.takes {
        Takes::Nothing => names,
        Takes::Value(value) => format!("{names} {value}"),
        Takes::Perhaps(value) => format!("{names}[={value}]"),
    }
}
