//! The commands of pods as a whole, from `list` to `gc`.

use super::images::{FORMAT, FULL, NO_LEGEND};
use super::spec::{CommandSpec, Group, Operands, OptionSpec};
use super::terms::{EXIT_STATUS_OF_PODS, POD};

/// Lists pods.
pub(crate) const LIST: CommandSpec = CommandSpec {
    name: "list",
    summary: "lists pods",
    usage: &["[OPTIONS]"],
    about: "\
Lists all pods, with one line for each app: its state, its exit status with the signal or \
the lack of memory that killed it, and when the pod was created and started.",
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
name, times, networks, ports, process, exit status and limits, and the keys below.",
    groups: &[&Group::new(
        "Options",
        &[
            OptionSpec::perhaps(
                "--wait",
                "TIME",
                "first wait until the pod has ended, and exit with its status as `launcher wait` \
                 does; fail if it has not within TIME, such as 90s, 30m or 1h30m",
            ),
            OptionSpec::perhaps(
                "--wait-ready",
                "TIME",
                "first wait until all apps have started, in the same way",
            ),
            OptionSpec::perhaps(
                "--wait-healthy",
                "TIME",
                "then wait until all apps that are checked are healthy, or one is unhealthy: exit \
                 with 0 or 1, or with 125 if the pod has ended or TIME is over",
            ),
            FORMAT,
            UUID_FILE,
        ],
    )],
    terms: &[
        POD,
        (
            "Keys of networks",
            &[
                ("networks", "the interfaces of a running pod"),
                (
                    "network-NAME.mode",
                    "how an interface is connected, as `--net` calls it",
                ),
                ("network-NAME.addresses", "its addresses"),
                (
                    "port",
                    "a port of the host that leads to the pod: `[ADDRESS:]PORT/PROTOCOL,pod=PORT/PROTOCOL`",
                ),
            ],
        ),
        (
            "Keys of apps",
            &[
                ("app-NAME", "exit status; 128+N if signal N killed the app"),
                ("app-NAME.signal", "the signal that killed the app"),
                (
                    "app-NAME.oom-kills",
                    "how many of its processes were killed because memory had run out; `oom-kills` \
                     counts those of all apps. Only known of pods with a memory limit",
                ),
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

/// Waits for pods.
pub(crate) const WAIT: CommandSpec = CommandSpec {
    name: "wait",
    summary: "waits until pods have ended",
    usage: &["[OPTIONS] POD...", "[OPTIONS] --uuid-file FILE"],
    about: "\
Waits until pods have ended, prints the exit status of each on a line, and exits with the \
first that is not 0, as `launcher run` would have.",
    groups: &[&Group::new(
        "Options",
        &[
            OptionSpec::value(
                "--time",
                &[],
                "TIME",
                "fail if they have not all ended within TIME, such as 90s, 30m or 1h30m",
            ),
            FORMAT,
            UUID_FILE,
        ],
    )],
    terms: &[POD, EXIT_STATUS_OF_PODS],
    examples: &[("Wait for a pod in the background", "launcher wait web")],
    operands: Operands::Pods,
    runs: true,
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

/// Shows the ports of a pod.
pub(crate) const PORT: CommandSpec = CommandSpec {
    name: "port",
    summary: "shows which ports of the host lead to a pod",
    usage: &["[OPTIONS] POD", "[OPTIONS] --uuid-file FILE"],
    about: "\
Shows the ports of the host that lead to a running pod, one a line: the port of the pod, and \
the address and port of the host. They are those of `launcher run --publish`, `--publish-all` \
and `--port`.",
    groups: &[&Group::new("Options", &[FORMAT, UUID_FILE])],
    terms: &[POD],
    examples: &[("Show the ports of a pod", "launcher port web")],
    operands: Operands::Pods,
    ..CommandSpec::NEW
};

/// Pauses pods.
pub(crate) const PAUSE: CommandSpec = CommandSpec {
    name: "pause",
    summary: "pauses pods",
    usage: &["[OPTIONS] POD...", "[OPTIONS] --uuid-file FILE"],
    about: "\
Suspends all processes of running pods until `launcher resume`. `launcher stop` resumes a \
paused pod before it stops it; `launcher kill` kills it as it is; other signals take \
effect when it is resumed.

A pod without resource limits is moved into a cgroup of its own first. This needs cgroup \
version 2, or the `freezer` controller of version 1.",
    groups: &[&Group::new("Options", &[FORMAT, UUID_FILE])],
    terms: &[POD],
    examples: &[("Pause a pod", "launcher pause web")],
    operands: Operands::Pods,
    ..CommandSpec::NEW
};

/// Resumes pods.
pub(crate) const RESUME: CommandSpec = CommandSpec {
    name: "resume",
    summary: "resumes paused pods",
    usage: &["[OPTIONS] POD...", "[OPTIONS] --uuid-file FILE"],
    about: "Continues pods that `launcher pause` suspended.",
    groups: &[&Group::new("Options", &[FORMAT, UUID_FILE])],
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
                "signal to send, by name or number (default: the one that the image names, or TERM)",
            ),
            OptionSpec::value(
                "--time",
                &[],
                "TIME",
                "time to wait before killing, such as 0, 90s or 30m (default: 10s); there is no \
                 short form, since a unit is required",
            ),
            FORMAT,
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
            FORMAT,
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
            FORMAT,
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

/// A file in the place of a pod.
pub(super) const UUID_FILE: OptionSpec = OptionSpec::value(
    "--uuid-file",
    &[],
    "FILE",
    "read the UUID from FILE, as written by `launcher run --uuid-file-save`",
);

/// The only option of many commands.
pub(super) const SELECTION: Group = Group::new("Options", &[UUID_FILE]);
