//! The commands of pods that exist, from `list` to `gc`.

use super::images::{FORMAT, FULL, NO_LEGEND, OVERWRITE};
use super::spec::{CommandSpec, Group, Operands, OptionSpec};
use super::terms::{EXIT_STATUS, EXIT_STATUS_OF_COMMAND, POD};

/// Lists pods.
pub(crate) const LIST: CommandSpec = CommandSpec {
    name: "list",
    summary: "lists pods",
    usage: &["[OPTIONS]"],
    about: "Lists all pods, with one line for each app.",
    groups: &[&Group::new(
        "Options",
        &[
            OptionSpec::flag(
                "--all",
                &["-a"],
                "accepted for `ps -a`: all pods are always listed",
            ),
            FULL,
            NO_LEGEND,
            FORMAT,
        ],
    )],
    terms: &[(
        "States",
        &[
            ("embryo", "the pod is being created"),
            ("preparing", "files are being added to the pod"),
            (
                "aborted prepare",
                "preparation was interrupted; `launcher gc` removes the pod",
            ),
            ("prepared", "`launcher run-prepared` can run the pod"),
            ("running", "the pod is running"),
            ("paused", "`launcher resume` continues the pod"),
            ("exited", "the pod has ended"),
            (
                "aborted",
                "the pod ended unobserved: it was killed from outside, or the power failed",
            ),
            ("deleting", "the pod is being removed"),
            (
                "garbage",
                "removal was interrupted; `launcher gc` completes it",
            ),
        ],
    )],
    examples: &[
        ("List pods", "launcher list"),
        (
            "Process the list in a script",
            "launcher list --format=json",
        ),
    ],
    ..CommandSpec::NEW
};

/// Shows a pod.
pub(crate) const STATUS: CommandSpec = CommandSpec {
    name: "status",
    summary: "shows the status of a pod, or waits for it",
    usage: &["[OPTIONS] POD", "[OPTIONS] --uuid-file FILE"],
    about: "\
Prints what is known of a pod, one KEY=VALUE a line: state (see `launcher help list`), \
name, times, networks, process, exit status and limits, and the keys below for each app.",
    groups: &[&Group::new(
        "Options",
        &[
            OptionSpec::perhaps(
                "--wait",
                "TIME",
                "first wait until the pod has ended; fail if it has not within TIME, such as 90s, \
                 30m or 1h30m",
            ),
            OptionSpec::perhaps(
                "--wait-ready",
                "TIME",
                "first wait until all apps have started, in the same way",
            ),
            FORMAT,
            UUID_FILE,
        ],
    )],
    terms: &[
        POD,
        (
            "Keys of apps",
            &[
                ("app-NAME", "exit status; 128+N if signal N killed the app"),
                ("app-NAME.signal", "the signal that killed the app"),
                ("app-NAME.pid", "process ID on the host, while the app runs"),
                (
                    "app-NAME.mount",
                    "a mount: `volume=VOLUME,target=PATH,kind=KIND`, with `,source=PATH` for kind \
                     `host`, and `,readOnly=BOOL`",
                ),
                (
                    "app-NAME.limit.LIMIT",
                    "a limit: cpu_millis (thousandths of a processor), memory (bytes), and others",
                ),
            ],
        ),
    ],
    examples: &[
        ("Show a pod", "launcher status web"),
        (
            "Wait until a pod has started",
            "launcher status --wait-ready=30s web",
        ),
    ],
    operands: Operands::Pods,
    ..CommandSpec::NEW
};

/// Shows what pods use.
pub(crate) const STATS: CommandSpec = CommandSpec {
    name: "stats",
    summary: "shows resource usage of pods",
    usage: &["[OPTIONS] [POD...]", "[OPTIONS] --uuid-file FILE"],
    about: "\
Shows what running pods use, or only the given ones: processor time, memory with its \
limit and peak, processes, and bytes read from and written to disks. A pod with several \
apps has a line for the pod and a line for each app.

The numbers come from the pod's cgroups if it has any, otherwise from its processes. \
Unknown numbers are shown as `-` and left out of JSON, where sizes are in bytes and \
times in nanoseconds.",
    groups: &[&Group::new("Options", &[NO_LEGEND, FORMAT, UUID_FILE])],
    terms: &[POD],
    examples: &[("Show usage of all running pods", "launcher stats")],
    operands: Operands::Pods,
    ..CommandSpec::NEW
};

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
the detach keys leaves the pod running, and exits with status 0. Only one caller can \
attach at a time. What the app writes while nobody is attached is in its log.",
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
and error; -t gives it a terminal of its own. It is killed when the pod ends.

Everything after POD belongs to the command.",
    groups: &[&Group::new(
        "Options",
        &[
            APP,
            OptionSpec::flag(
                "--interactive",
                &["-t"],
                "give the command a terminal of its own",
            ),
            OptionSpec::flag(
                "-i",
                &[],
                "accepted for `-it`: the command always reads the caller's standard input",
            ),
            OptionSpec::value("--set-env", &["-e"], "NAME=VALUE", "set a variable").repeated(),
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

/// Pauses pods.
pub(crate) const PAUSE: CommandSpec = CommandSpec {
    name: "pause",
    summary: "pauses pods",
    usage: &["POD...", "--uuid-file FILE"],
    about: "\
Suspends all processes of running pods until `launcher resume`. `launcher stop` resumes a \
paused pod before it stops it; `launcher kill` kills it as it is; other signals take \
effect when it is resumed.

A pod without resource limits is moved into a cgroup of its own first. This needs cgroup \
version 2, or the `freezer` controller of version 1.",
    groups: &[&SELECTION],
    terms: &[POD],
    examples: &[("Pause a pod", "launcher pause web")],
    operands: Operands::Pods,
    ..CommandSpec::NEW
};

/// Resumes pods.
pub(crate) const RESUME: CommandSpec = CommandSpec {
    name: "resume",
    summary: "resumes paused pods",
    usage: &["POD...", "--uuid-file FILE"],
    about: "Continues pods that `launcher pause` suspended.",
    groups: &[&SELECTION],
    terms: &[POD],
    examples: &[("Resume a pod", "launcher resume web")],
    operands: Operands::Pods,
    ..CommandSpec::NEW
};

/// Stops pods.
pub(crate) const STOP: CommandSpec = CommandSpec {
    name: "stop",
    summary: "stops pods",
    usage: &["[OPTIONS] POD...", "[OPTIONS] --uuid-file FILE"],
    about: "\
Sends a signal to the apps of pods, waits until they have ended, and kills those that have \
not ended in time. Paused pods, and apps stopped by a signal, are resumed first.",
    groups: &[&Group::new(
        "Options",
        &[
            OptionSpec::value(
                "--signal",
                &["-s"],
                "SIGNAL",
                "signal to send, by name or number (default: TERM)",
            ),
            OptionSpec::value(
                "--time",
                &[],
                "TIME",
                "time to wait before killing, such as 0, 90s or 30m (default: 10s); there is no \
                 short form, since a unit is required",
            ),
            UUID_FILE,
        ],
    )],
    terms: &[POD],
    examples: &[("Stop a pod within a minute", "launcher stop --time=1m web")],
    operands: Operands::Pods,
    ..CommandSpec::NEW
};

/// Signals pods.
pub(crate) const KILL: CommandSpec = CommandSpec {
    name: "kill",
    summary: "sends a signal to pods",
    usage: &["[OPTIONS] POD...", "[OPTIONS] --uuid-file FILE"],
    about: "\
Sends a signal to the apps of pods. After KILL, waits until the pods have ended. A paused \
pod is killed as it is; other signals take effect when it is resumed.",
    groups: &[&Group::new(
        "Options",
        &[
            OptionSpec::value(
                "--signal",
                &["-s"],
                "SIGNAL",
                "signal to send, by name or number (default: KILL)",
            ),
            UUID_FILE,
        ],
    )],
    terms: &[POD],
    examples: &[("Reload a server", "launcher kill -s HUP web")],
    operands: Operands::Pods,
    ..CommandSpec::NEW
};

/// Removes pods.
pub(crate) const RM: CommandSpec = CommandSpec {
    name: "rm",
    summary: "removes pods",
    usage: &["[OPTIONS] POD...", "[OPTIONS] --uuid-file FILE"],
    about: "Removes pods that are not running, with everything that their apps wrote.",
    groups: &[&Group::new(
        "Options",
        &[
            OptionSpec::flag("--force", &["-f"], "kill running pods first"),
            UUID_FILE,
        ],
    )],
    terms: &[POD],
    examples: &[("Kill and remove a pod", "launcher rm -f web")],
    operands: Operands::Pods,
    ..CommandSpec::NEW
};

/// Collects garbage.
pub(crate) const GC: CommandSpec = CommandSpec {
    name: "gc",
    summary: "removes old pods",
    usage: &["[OPTIONS]"],
    about: "\
Removes pods that have ended, prepared pods that were never run, and what killed commands \
left behind. TIME is for instance 90s, 30m, 1h30m or 0.",
    groups: &[&Group::new(
        "Options",
        &[
            OptionSpec::flag("--dry-run", &[], "only print what would be removed"),
            OptionSpec::value(
                "--expire-prepared",
                &[],
                "TIME",
                "keep pods prepared within this time (default: 24h)",
            ),
            OptionSpec::value(
                "--grace-period",
                &[],
                "TIME",
                "keep pods that ended within this time (default: 30m); for an aborted pod, the \
                 time starts when `launcher gc` first sees it",
            ),
        ],
    )],
    examples: &[("Remove all ended pods", "launcher gc --grace-period=0")],
    ..CommandSpec::NEW
};

const UUID_FILE: OptionSpec = OptionSpec::value(
    "--uuid-file",
    &[],
    "FILE",
    "read the UUID from FILE, as written by `launcher run --uuid-file-save`",
);

const SELECTION: Group = Group::new("Options", &[UUID_FILE]);

const APP: OptionSpec = OptionSpec::value(
    "--app",
    &[],
    "NAME",
    "the app; may be left out if the pod has only one",
);
