//! The commands that work inside one pod, with its apps: `logs`, `attach`,
//! `enter`, `cat-manifest`, `cp`, `diff` and `export`.

use super::images::{FORMAT, OVERWRITE};
use super::pods::{SELECTION, UUID_FILE};
use super::spec::{CommandSpec, Group, Operands, OptionSpec};
use super::terms::{EXIT_STATUS, EXIT_STATUS_OF_COMMAND, POD};

/// Prints what apps wrote.
pub(crate) const LOGS: CommandSpec = CommandSpec {
    name: "logs",
    summary: "prints the output of a detached pod",
    usage: &["[OPTIONS] POD", "[OPTIONS] --uuid-file FILE"],
    about: "\
Prints what the apps of a pod that was run with --detach have written, in order of time: \
standard output to standard output, standard error to standard error. On a terminal, \
control characters are escaped, including those for colours.",
    groups: &[&Group::new(
        "Options",
        &[
            APP,
            OptionSpec::flag("--follow", &["-f"], "keep printing until the pod ends"),
            OptionSpec::value(
                "--format",
                &[],
                "text|json",
                "print plain lines or JSON objects (default: text)",
            ),
            OptionSpec::flag(
                "--raw",
                &[],
                "do not escape control characters on a terminal",
            ),
            OptionSpec::value(
                "--since",
                &[],
                "TIME",
                "print only output since TIME: an age such as 90s or 1h30m, or a date such as \
                 2004-05-14T23:11:14Z",
            ),
            OptionSpec::value(
                "--tail",
                &["-n"],
                "NUMBER",
                "print only the last NUMBER lines",
            ),
            OptionSpec::flag(
                "--timestamps",
                &["-t"],
                "print time, app and stream before each line",
            ),
            UUID_FILE,
        ],
    )],
    terms: &[
        POD,
        (
            "JSON",
            &[
                ("time", "when the app wrote the line"),
                ("app", "the app's name"),
                ("stream", "stdout or stderr"),
                ("text", "the line, if it is UTF-8"),
                ("bytes", "the line as a list of numbers, if it is not"),
                ("partial", "the line has no end"),
            ],
        ),
    ],
    examples: &[(
        "Follow the last ten lines",
        "launcher logs -f --tail=10 web",
    )],
    operands: Operands::Pods,
    ..CommandSpec::NEW
};

/// Attaches to a terminal.
pub(crate) const ATTACH: CommandSpec = CommandSpec {
    name: "attach",
    summary: "attaches to the terminal of a pod",
    usage: &["[OPTIONS] POD", "[OPTIONS] --uuid-file FILE"],
    about: "\
Connects the caller's terminal to that of a pod that was run with --interactive. Typing \
the detach keys leaves the pod running, and exits with status 0. Signals are passed on to \
the apps. Only one caller can attach at a time. What the app writes while nobody is attached is in its log.",
    groups: &[&Group::new(
        "Options",
        &[
            OptionSpec::value(
                "--detach-keys",
                &[],
                "KEYS",
                "keys separated by commas, each a character or `ctrl-` and a character; `none` \
                 disables detaching (default: ctrl-p,ctrl-q)",
            ),
            UUID_FILE,
        ],
    )],
    terms: &[POD, EXIT_STATUS],
    examples: &[("Attach to a pod", "launcher attach web")],
    operands: Operands::Pods,
    runs: true,
    ..CommandSpec::NEW
};

/// Runs a command in a pod.
pub(crate) const ENTER: CommandSpec = CommandSpec {
    name: "enter",
    summary: "runs a command in a running pod",
    usage: &[
        "[OPTIONS] POD [COMMAND [ARGUMENT...]]",
        "[OPTIONS] --uuid-file FILE [COMMAND [ARGUMENT...]]",
    ],
    about: "\
Runs a command (default: /bin/sh) as another process of an app, with the app's files, \
environment, user and restrictions. The command uses the caller's standard input, output \
and error. If these are terminals, or with -t, it has a terminal of its own. It is killed \
when the pod or the launcher ends.

Everything after POD belongs to the command.",
    groups: &[&Group::new(
        "Options",
        &[
            APP,
            OptionSpec::flag(
                "--interactive",
                &["-t"],
                "give the command a terminal of its own, also where the caller has none",
            ),
            OptionSpec::flag(
                "-i",
                &[],
                "accepted for `-it`: the command always reads the caller's standard input",
            ),
            OptionSpec::value(
                "--set-env",
                &["-e", "--env"],
                "NAME=VALUE",
                "set a variable",
            )
            .repeated(),
            OptionSpec::value("--cwd", &["-w"], "PATH", "start in this directory"),
            OptionSpec::value(
                "--user",
                &["-u"],
                "USER[:GROUP]",
                "run as this user: a name or number in the image, or a path whose owner it is; \
                 drops supplementary groups",
            ),
            OptionSpec::value(
                "--group",
                &[],
                "GROUP",
                "run as this group: a name or number in the image, or a path whose group it is; \
                 drops supplementary groups",
            ),
            UUID_FILE,
        ],
    )],
    terms: &[POD, EXIT_STATUS_OF_COMMAND],
    examples: &[
        ("Open a shell in a pod", "launcher enter -it web"),
        (
            "Run a command as root",
            "launcher enter -u 0 web /bin/ls -l /",
        ),
    ],
    operands: Operands::Pods,
    runs: true,
    ..CommandSpec::NEW
};

/// Prints a pod manifest.
pub(crate) const CAT_MANIFEST: CommandSpec = CommandSpec {
    name: "cat-manifest",
    summary: "prints the manifest of a pod",
    usage: &["POD", "--uuid-file FILE"],
    about: "Prints the manifest of a pod.",
    groups: &[&SELECTION],
    terms: &[POD],
    examples: &[("Print a manifest", "launcher cat-manifest web")],
    operands: Operands::Pods,
    ..CommandSpec::NEW
};

/// Copies files.
pub(crate) const CP: CommandSpec = CommandSpec {
    name: "cp",
    summary: "copies files between a pod and the host",
    usage: &["[OPTIONS] POD:PATH PATH", "[OPTIONS] PATH POD:PATH"],
    about: "\
Copies a file, or a directory with all that is in it, from the root file system of an app to the \
host or the other way round: with owners, modes, times, links and holes. If the target is a \
directory, the copy is made in it; a source that ends with /. stands for what is in the directory. \
Directories are merged, files are replaced, and links at the end of a path are copied, not followed.

Copies from a pod have no set-user-ID bits, no capabilities and no devices.

A pod that runs shows what is mounted in it as well. One that has ended must have been kept with \
--keep or --detach. A path of the host that has a colon begins with / or ./ instead.",
    groups: &[&Group::new("Options", &[APP])],
    terms: &[POD],
    examples: &[
        ("Copy a file from a pod", "launcher cp web:/etc/passwd ."),
        ("Copy a directory into a pod", "launcher cp ./site web:/srv"),
    ],
    operands: Operands::Pods,
    ..CommandSpec::NEW
};

/// Lists what an app has changed.
pub(crate) const DIFF: CommandSpec = CommandSpec {
    name: "diff",
    summary: "lists what an app has changed in its files",
    usage: &["[OPTIONS] POD", "[OPTIONS] --uuid-file FILE"],
    about: "\
Compares the root file system of an app with the images that it was made of, and prints a \
line for each path that differs: A for what was added, C for what was changed, D for what was \
deleted. Volumes and other mounts are left out, and so are files such as /etc/hosts that Nose \
Cone created.

The pod may be running, or have been kept with --keep or --detach.",
    groups: &[&Group::new("Options", &[APP, FORMAT, UUID_FILE])],
    terms: &[POD],
    examples: &[("Show what a web server has written", "launcher diff web")],
    operands: Operands::Pods,
    ..CommandSpec::NEW
};

/// Makes an image of an app.
pub(crate) const EXPORT: CommandSpec = CommandSpec {
    name: "export",
    summary: "saves an app of a pod as an image",
    usage: &["[OPTIONS] POD FILE", "[OPTIONS] --uuid-file FILE FILE"],
    about: "\
Saves the root file system of an app as a new image that runs the same command and needs \
no other images. Volumes and other mounts are left out, and so are sockets, and files such \
as /etc/hosts that Nose Cone created. Prints the image ID; FILE `-` is standard output, \
and the ID then goes to standard error.

The pod must have ended, and must have been run with --keep or --detach.",
    groups: &[&Group::new("Options", &[APP, OVERWRITE, UUID_FILE])],
    terms: &[POD],
    examples: &[("Save the only app of a pod", "launcher export web web.aci")],
    operands: Operands::Pods,
    ..CommandSpec::NEW
};

const APP: OptionSpec = OptionSpec::value(
    "--app",
    &[],
    "NAME",
    "the app; may be left out if the pod has only one",
);
