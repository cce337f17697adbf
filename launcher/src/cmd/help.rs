//! `launcher help [COMMAND]`: the one place where all commands are listed.

use crate::cmd::{
    attach, collect, enter, export, fetch, image, kept, list, logs, pause, plan, prepare, remove,
    run, stats, status, stop, trust, validate, version,
};
use error::{Error, Result};

/// Name, one line, and whole text of each command, in the order of a life.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("run", "runs images", run::HELP),
    ("prepare", "makes a pod, to be run later", prepare::HELP),
    (
        "run-prepared",
        "runs a pod that was prepared",
        prepare::RUN_HELP,
    ),
    ("plan", "shows what `run` would do", plan::HELP),
    ("list", "lists pods", list::HELP),
    ("status", "tells of a pod, or waits for it", status::HELP),
    ("stats", "tells how much pods use", stats::HELP),
    ("logs", "prints what the apps of a pod wrote", logs::HELP),
    ("attach", "attends to the terminal of a pod", attach::HELP),
    ("enter", "runs a command in a pod", enter::HELP),
    ("cat-manifest", "prints the manifest of a pod", kept::HELP),
    ("export", "makes an image of an app of a pod", export::HELP),
    ("pause", "lets pods stand still", pause::HELP),
    ("resume", "lets pods go on", pause::RESUME_HELP),
    ("stop", "ends pods", stop::HELP),
    ("kill", "sends pods a signal", stop::KILL_HELP),
    ("rm", "removes pods", remove::HELP),
    ("gc", "removes what is left of pods", collect::HELP),
    ("fetch", "sees to it that images are stored", fetch::HELP),
    ("validate", "checks images and manifests", validate::HELP),
    (
        "image",
        "shows and changes what is in the store",
        image::HELP,
    ),
    ("trust", "says whose signatures count", trust::HELP),
    ("help", "shows this, or how to use a command", HELP),
    ("version", "shows the version", version::HELP),
];

/// How to use this command.
pub(crate) const HELP: &str = "\
Usage: launcher help [COMMAND]

Shows all commands, or how to use one.
";

/// Returns the text about one command, or about all.
pub(crate) fn text(command: Option<&str>) -> Result<String> {
    let Some(name) = command else {
        return Ok(overview());
    };
    COMMANDS
        .iter()
        .find(|(command, ..)| *command == name)
        .map(|(name, _, help)| match *name {
            "run" | "prepare" | "fetch" | "trust" => format!("{help}{}", fetch::OPTIONS),
            _ => (*help).to_owned(),
        })
        .ok_or_else(|| unknown(name))
}

/// The error for a command that there is not.
pub(crate) fn unknown(name: &str) -> Error {
    Error::usage(format!("there is no command `{name}`")).hint("`launcher help` lists all commands")
}

fn overview() -> String {
    let mut text = "\
Nose Cone runs application container images, without a daemon.

Usage: launcher [--dir DIRECTORY] COMMAND [ARGUMENTS]

Commands:
"
    .to_owned();
    for (name, line, _) in COMMANDS {
        text.push_str(&format!("  {name:<12} {line}\n"));
    }
    text.push_str(
        "
Options of every command:
  --dir DIRECTORY   where images and pods are kept
                    (/var/lib/nosecone; for ordinary users
                    $XDG_DATA_HOME/nosecone)
  --help            how to use the command
",
    );
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn every_command_says_how_to_use_it() {
        for (name, line, help) in COMMANDS {
            assert!(
                help.starts_with(&format!("Usage: launcher {name}")),
                "{name}"
            );
            assert!(overview().contains(line), "{name}");
        }
    }

    #[test]
    fn an_unknown_command_is_named() {
        assert_eq!(
            text(Some("fly")).unwrap_err().to_string(),
            "there is no command `fly`\nhint: `launcher help` lists all commands"
        );
    }
}
