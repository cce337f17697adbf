//! Commands about the program itself, internal commands, and global options.

use super::images::FORMAT;
use super::spec::{CommandSpec, Group, Operands, OptionSpec};

/// The global options.
pub(crate) static GLOBAL: Group = Group::new(
    "Options of every command",
    &[
        OptionSpec::value(
            "--dir",
            &[],
            "DIRECTORY",
            "data directory (default: $NOSECONE_DIR, or /var/lib/nosecone; for ordinary users \
             $XDG_DATA_HOME/nosecone)",
        ),
        OptionSpec::flag(
            "--verbose",
            &[],
            "show all causes of an error, not only the first sentence and the last cause, and which \
             files of credentials are skipped",
        ),
        OptionSpec::flag(
            "--timing",
            &[],
            "print on standard error how long each phase of `run` took",
        ),
        OptionSpec::flag("--help", &["-h"], "show help"),
        OptionSpec::flag("--version", &[], "show versions").only(&[""]),
    ],
);

/// Returns those that may also follow the command.
pub(crate) fn inside() -> Vec<&'static OptionSpec> {
    let all = GLOBAL.options.iter();
    all.filter(|option| option.only.is_empty()).collect()
}

/// Shows help.
pub(crate) const HELP: CommandSpec = CommandSpec {
    name: "help",
    summary: "shows help",
    usage: &["[COMMAND [SUBCOMMAND]]"],
    about: "Shows all commands, or how to use one of them.",
    examples: &[("Show how to run images", "launcher help run")],
    operands: Operands::Commands,
    ..CommandSpec::NEW
};

/// Shows versions.
pub(crate) const VERSION: CommandSpec = CommandSpec {
    name: "version",
    summary: "shows versions",
    usage: &["[OPTIONS]"],
    about: "\
Shows the versions of Nose Cone, of the App Container specification, and of the plan \
format.",
    groups: &[&Group::new("Options", &[FORMAT])],
    examples: &[("Show the versions", "launcher version")],
    ..CommandSpec::NEW
};

/// Prints completion scripts.
pub(crate) const COMPLETION: CommandSpec = CommandSpec {
    name: "completion",
    summary: "prints a completion script for a shell",
    usage: &["bash|zsh|fish"],
    about: "\
Prints a script that lets a shell complete commands, options, pods, images and files.",
    terms: &[(
        "Where to put it",
        &[
            ("bash", "/usr/share/bash-completion/completions/launcher"),
            ("zsh", "/usr/share/zsh/vendor-completions/_launcher"),
            ("fish", "/usr/share/fish/vendor_completions.d/launcher.fish"),
        ],
    )],
    examples: &[(
        "Complete commands in this shell",
        "source <(launcher completion bash)",
    )],
    operands: Operands::Shells,
    ..CommandSpec::NEW
};

/// Prints man pages.
pub(crate) const MAN: CommandSpec = CommandSpec {
    name: "man",
    summary: "prints a man page, or their names",
    usage: &["[NAME]"],
    about: "\
Prints a man page such as `launcher-run` as roff; without a name, the names of all pages.",
    ..CommandSpec::HIDDEN
};

/// Starts a detached pod.
pub(crate) const BEGIN: CommandSpec = CommandSpec {
    name: "begin",
    groups: &[&Group::new(
        "",
        &[
            OptionSpec::flag("--keep", &[], ""),
            OptionSpec::value("--log", &[], "PLACE", ""),
            OptionSpec::value("--log-size", &[], "SIZE", ""),
            OptionSpec::flag("--terminal", &[], ""),
        ],
    )],
    ..CommandSpec::HIDDEN
};

/// Cleans up after a pod.
pub(crate) const FINISH: CommandSpec = CommandSpec {
    name: "finish",
    ..CommandSpec::HIDDEN
};

/// Explains why a command was not executed.
pub(crate) const ENTERED: CommandSpec = CommandSpec {
    name: "entered",
    ..CommandSpec::HIDDEN
};
