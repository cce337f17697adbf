//! The command line of `launcher enter`: what stands behind the pod is the
//! command's, whatever it looks like.

use std::ffi::OsString;

use crate::cli::Command;
use crate::cli::life::one;
use crate::cli::line::Line;
use crate::cli::pod::{repeated, some};
use crate::cmd::enter::terminal::AT_TERMINAL;
use crate::cmd::enter::{Options, Terminal};
use appc::manifest::app::Variable;
use error::quote::quoted;
use error::{Error, Result};
use pod::spec::environment;
use pod::spec::request::check_variable;

/// Options that have a value.
const VALUED: [&str; 7] = [
    "--dir",
    "--app",
    "--cwd",
    "--group",
    "--set-env",
    "--user",
    FILE,
];

/// The one that stands in the place of the pod.
const FILE: &str = "--uuid-file";

/// Finds where the command begins, if this is the line of an `enter`.
pub(super) fn command(words: &[OsString]) -> Option<usize> {
    let (mut at, mut verb, mut file) = (0, false, false);
    loop {
        let word = words.get(at)?.to_string_lossy();
        at += 1;
        if word == "--" {
            return file.then_some(at - 1);
        } else if word.starts_with('-') {
            let (name, value) = match word.split_once('=') {
                Some((name, _)) => (name, true),
                None => (&*word, false),
            };
            file |= name == FILE;
            at += usize::from(!value && VALUED.contains(&name));
        } else if !verb {
            verb = true;
            if word != "enter" {
                return None;
            }
        } else {
            return Some(at - usize::from(file));
        }
    }
}

/// Takes the options, and the command.
pub(super) fn enter(line: &mut Line) -> Result<Command> {
    let mut variables: Vec<Variable> = Vec::new();
    while let Some(variable) = line.value("--set-env", environment::pair)? {
        check_variable(&variable)?;
        variables.push(variable);
    }
    if let Some(name) = repeated(variables.iter().map(|one| one.name.clone())) {
        return Err(Error::usage(format!("`--set-env` sets `{name}` twice")));
    }
    let options = Options {
        app: line.value("--app", some)?,
        user: line.value("--user", some)?,
        group: line.value("--group", some)?,
        directory: line.value("--cwd", path)?,
        variables,
        terminal: terminal(line),
        which: one(line)?,
        command: words(line.rest())?,
    };
    Ok(Command::Enter(options))
}

fn terminal(line: &mut Line) -> Terminal {
    let short = line.flag("-t");
    let wanted = line.flag("--interactive") || short;
    match line.flag(AT_TERMINAL) {
        true => Terminal::There,
        false if wanted => Terminal::Wanted,
        false => Terminal::None,
    }
}

/// Takes the words of the command. One that begins like an option is none, if
/// nobody says so.
fn words(mut rest: Vec<OsString>) -> Result<Vec<OsString>> {
    let first = rest.first().map(|word| word.to_string_lossy().into_owned());
    match first.as_deref() {
        Some("--") => {
            rest.remove(0);
        }
        Some(option) if option.starts_with('-') => {
            let what = format!("{} stands where the command begins", quoted(option));
            return Err(Error::usage(what).hint(
                "options stand before the pod; a program that is called so stands behind `--`",
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
            "`--cwd`: {} is not an absolute path",
            quoted(text)
        ))),
    }
}

/// Reads the words of `entered`, which nobody types: descriptors and a status.
pub(super) fn entered(line: &mut Line) -> Result<Command> {
    let missing = || Error::usage("an argument is missing");
    let mut number = || {
        line.word()?
            .and_then(|word| word.parse().ok())
            .ok_or_else(missing)
    };
    let descriptors = [number()?, number()?, number()?];
    let status = u8::try_from(number()?).map_err(|_| missing())?;
    Ok(Command::Entered(descriptors, status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> std::result::Result<Command, String> {
        let words = line.split_whitespace().map(OsString::from).collect();
        crate::cli::parse(words)
            .map(|invocation| invocation.command)
            .map_err(|misuse| format!("{} {}", misuse.status, misuse.error))
    }

    #[test]
    fn wrong_usage_never_looks_like_the_status_of_a_command() {
        for (line, message) in [
            (
                "enter",
                "the UUID of a pod is missing\nhint: `launcher list` lists all pods",
            ),
            (
                "enter --app=a",
                "the UUID of a pod is missing\nhint: `launcher list` lists all pods",
            ),
            (
                "enter -- web",
                "the UUID of a pod is missing\nhint: `launcher list` lists all pods",
            ),
            (
                "enter web --app=a",
                "`--app=a` stands where the command begins\n\
                 hint: options stand before the pod; a program that is called so stands behind `--`",
            ),
            (
                "enter --fast web",
                "there is no option `--fast`\n\
                 hint: `launcher help COMMAND` lists the options of a command",
            ),
            (
                "enter --cwd=tmp web",
                "`--cwd`: `tmp` is not an absolute path",
            ),
            ("enter --app", "`--app` needs a value"),
            (
                "enter --set-env A=1 --set-env=A=2 web",
                "`--set-env` sets `A` twice",
            ),
            (
                "enter --set-env A web",
                "`A` has no `=`\nhint: a variable is written `NAME=VALUE`",
            ),
            (
                "enter --set-env container=x web",
                "variable `container` cannot be set: Nose Cone says with it what is so",
            ),
        ] {
            assert_eq!(parsed(line).err(), Some(format!("125 {message}")), "{line}");
        }
    }

    #[test]
    fn what_stands_behind_the_pod_is_the_commands() {
        for (line, pod, file, command) in [
            ("enter web", &["web"][..], None, &[][..]),
            ("enter web --", &["web"], None, &[]),
            ("enter web ls", &["web"], None, &["ls"]),
            ("enter web -- -ls", &["web"], None, &["-ls"]),
            (
                "--dir d enter --user 0 web ls --help --dir x -- y",
                &["web"],
                None,
                &["ls", "--help", "--dir", "x", "--", "y"],
            ),
            ("enter --uuid-file f", &[], Some("f"), &[]),
            ("enter --uuid-file f ls -l", &[], Some("f"), &["ls", "-l"]),
            ("enter --uuid-file=f -- -l", &[], Some("f"), &["-l"]),
            ("enter enter enter", &["enter"], None, &["enter"]),
        ] {
            let Ok(Command::Enter(options)) = parsed(line) else {
                unreachable!("{line} is understood");
            };
            assert_eq!(options.which.words, pod, "{line}");
            assert_eq!(options.which.file, file.map(Into::into), "{line}");
            assert_eq!(options.command, command, "{line}");
        }
    }

    #[test]
    fn lines_of_other_commands_are_left_alone() {
        for line in [
            "run a.aci",
            "enter",
            "--dir enter run enter x",
            "--help",
            "",
        ] {
            let words: Vec<_> = line.split_whitespace().map(OsString::from).collect();
            assert_eq!(command(&words), None, "{line}");
        }
        let help = parsed("enter --help web ls");
        assert!(matches!(help, Ok(Command::Say(text)) if text.contains("launcher enter")));
    }
}
