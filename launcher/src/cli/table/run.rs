//! The commands that make pods: `run`, `prepare`, `run-prepared` and `plan`.

use super::app::{APP, APP_HEALTH, APP_METADATA, APP_RESOURCES, APP_SECURITY, APP_STORAGE};
use super::images::FETCHING;
use super::spec::{CommandSpec, Group, Operands, OptionSpec};
use super::terms::{EXIT_STATUS, POD as PODS, VOLUMES};

/// Runs images.
pub(crate) const RUN: CommandSpec = CommandSpec {
    name: "run",
    summary: "runs images in a new pod",
    usage: &[
        "[POD OPTIONS] IMAGE [APP OPTIONS] [-- ARGUMENT...] [--- IMAGE [APP OPTIONS] [-- ARGUMENT...]]...",
        "[POD OPTIONS] --pod-manifest FILE",
        "[POD OPTIONS] --plan FILE",
    ],
    about: "\
Runs one or more images as the apps of a new pod. Each app has its own root file \
system and mounts. All apps of a pod share processes, network and host name, which \
are separate from the host's.

Pod options go before the first IMAGE; app options go after the IMAGE that they are \
for, and override the image's settings. Arguments between `--` and `---` are appended to the \
app's command. For the forms of IMAGE, see `launcher help fetch`.

If an app fails, the other apps are asked to stop, and killed ten seconds later. The \
pod is removed when it ends, unless --keep or --detach is given.

Apps use the caller's standard input, output and error directly, so they can reopen \
the files behind them. --pipe-output puts pipes in between; --detach writes output to \
a log.",
    groups: POD_AND_APP,
    terms: &[VOLUMES, EXIT_STATUS],
    examples: &[
        (
            "Run an image from a file, with two arguments for its app",
            "launcher run ./hello.aci -- --name world",
        ),
        (
            "Run a shell in a terminal, with a directory of the host",
            "launcher run -it -v /srv/data:/data:ro example.com/busybox --exec /bin/sh",
        ),
        (
            "Run a server in the background, with limits and another user",
            "launcher run -d --name web example.com/web:1.0.0 --memory 64Mi --cpu 500m -u 1000",
        ),
    ],
    operands: Operands::Images,
    runs: true,
    ..CommandSpec::NEW
};

/// Makes a pod, to be run later.
pub(crate) const PREPARE: CommandSpec = CommandSpec {
    name: "prepare",
    summary: "creates a pod to be run later",
    usage: &[
        "[POD OPTIONS] IMAGE [APP OPTIONS] [-- ARGUMENT...] [--- IMAGE [APP OPTIONS] [-- ARGUMENT...]]...",
        "[POD OPTIONS] --pod-manifest FILE",
    ],
    about: "\
Creates a pod without starting its apps, and prints its UUID. `launcher run-prepared` \
starts them. The options are those of `launcher run`, except for those that say how \
to run.",
    groups: POD_AND_APP,
    terms: &[VOLUMES],
    examples: &[(
        "Prepare a pod, and run it later",
        "uuid=$(launcher prepare ./hello.aci) && launcher run-prepared $uuid",
    )],
    operands: Operands::Images,
    ..CommandSpec::NEW
};

/// Runs a pod that was prepared.
pub(crate) const RUN_PREPARED: CommandSpec = CommandSpec {
    name: "run-prepared",
    summary: "runs a prepared pod",
    usage: &["[OPTIONS] POD"],
    about: "\
Runs a pod that `launcher prepare` created. A prepared pod can be run once.",
    groups: &[&LIFETIME, &OUTPUT],
    terms: &[PODS, EXIT_STATUS],
    examples: &[(
        "Run a prepared pod in the background",
        "launcher run-prepared -d web",
    )],
    operands: Operands::Pods,
    runs: true,
    ..CommandSpec::NEW
};

/// Shows what `run` would do.
pub(crate) const PLAN: CommandSpec = CommandSpec {
    name: "plan",
    summary: "shows what `run` would do",
    usage: &[
        "[POD OPTIONS] IMAGE [APP OPTIONS] [-- ARGUMENT...] [--- IMAGE [APP OPTIONS] [-- ARGUMENT...]]...",
        "[POD OPTIONS] --pod-manifest FILE",
    ],
    about: "\
Prints the plan that `launcher run` would execute with the same options: one directive \
a line, each with the reason for it. Changes nothing and needs no privileges. Images \
must be in the store or in files. `launcher run --plan FILE` executes the output.",
    groups: POD_AND_APP,
    terms: &[VOLUMES],
    examples: &[
        (
            "Show what running an image does",
            "launcher plan ./hello.aci",
        ),
        (
            "Save a plan, and execute it",
            "launcher plan ./hello.aci >plan && launcher run --plan plan",
        ),
    ],
    operands: Operands::Images,
    ..CommandSpec::NEW
};

const POD_AND_APP: &[&Group] = &[
    &POD,
    &LIFETIME,
    &OUTPUT,
    &ENVIRONMENT,
    &STORAGE,
    &NETWORK,
    &FETCHING,
    &APP,
    &APP_STORAGE,
    &APP_SECURITY,
    &APP_RESOURCES,
    &APP_HEALTH,
    &APP_METADATA,
];

const RUNNING: &[&str] = &["run", "run-prepared"];
const SHOWN: &[&str] = &["run", "run-prepared", "plan"];
const NAMED: &[&str] = &["run", "prepare"];
const MADE: &[&str] = &["run", "prepare", "plan"];

const POD: Group = Group::new(
    "Pod",
    &[
        OptionSpec::value(
            "--name",
            &[],
            "NAME",
            "pod name; must be unique among pods that have not ended",
        )
        .only(NAMED),
        OptionSpec::value("--uuid", &[], "UUID", "pod UUID (default: random)"),
        OptionSpec::value(
            "--uuid-file-save",
            &[],
            "FILE",
            "write the UUID to FILE before anything else; FILE must be new or contain a UUID",
        )
        .only(NAMED),
        OptionSpec::value("--annotation", &[], "NAME=VALUE", "annotate the pod").repeated(),
        OptionSpec::value(
            "--pids-limit",
            &[],
            "NUMBER|unlimited",
            "maximum number of processes and threads in the pod (default: 4096)",
        ),
        OptionSpec::value(
            "--sysctl",
            &[],
            "NAME=VALUE",
            "set a kernel parameter that the pod has for itself: `net.*`, `kernel.shm*`, \
             `kernel.msg*`, `kernel.sem` or `fs.mqueue.*`",
        )
        .repeated(),
        OptionSpec::value(
            "--pod-manifest",
            &[],
            "FILE",
            "run the apps of a pod manifest; their images must be in the store",
        ),
        OptionSpec::value(
            "--plan",
            &[],
            "FILE",
            "execute a plan that `launcher plan` printed; `-` reads standard input",
        )
        .only(&["run"]),
        OptionSpec::value(
            "--format",
            &[],
            "text|json|words",
            "output format; `words` are NUL-terminated, as stage1-init reads them (default: text)",
        )
        .only(&["plan"]),
        OptionSpec::value(
            "--sdnotify",
            &[],
            "app|launcher|ignore",
            "who tells the service manager in $NOTIFY_SOCKET that the pod is ready: its app, by \
             sd_notify(3), or the launcher, when the apps were started (default: launcher, or app \
             if the image says that it does)",
        ),
        OptionSpec::flag(
            "--strict",
            &[],
            "fail if an isolator cannot be enforced, instead of ignoring it",
        ),
    ],
);

const LIFETIME: Group = Group::new(
    "Lifetime",
    &[
        OptionSpec::flag(
            "--detach",
            &["-d"],
            "run in the background: print the UUID once the apps have started, and keep the pod \
             when it ends",
        )
        .only(SHOWN),
        OptionSpec::flag(
            "--keep",
            &[],
            "keep the pod when it ends, until `launcher rm` or `launcher gc`",
        )
        .only(RUNNING),
        OptionSpec::flag(
            "--rm",
            &[],
            "remove the pod when it ends (default without --detach)",
        )
        .only(RUNNING),
        OptionSpec::value(
            "--restart",
            &[],
            "no|on-failure[:NUMBER]|always",
            "start the pod again when it has ended, with its network and its files; it waits 100 \
             milliseconds before that, and each time twice as long, up to a minute, until it has \
             run for ten seconds; a pod that was asked to stop is not started again (default: no)",
        )
        .only(MADE),
        OptionSpec::value(
            "--on-unhealthy",
            &["--health-on-failure"],
            "none|kill|restart",
            "what to do when an app becomes unhealthy: nothing, kill the pod, or kill it and start \
             it again, whatever --restart says (default: none)",
        )
        .only(MADE),
    ],
);

const OUTPUT: Group = Group::new(
    "Terminal and output",
    &[
        OptionSpec::flag(
            "--interactive",
            &["-t"],
            "give the app a terminal of its own and attach to it; with --detach, use `launcher \
             attach` later",
        )
        .only(&["run", "prepare", "plan"]),
        OptionSpec::flag(
            "-i",
            &[],
            "accepted for `-it`: apps always read the caller's standard input; with --detach it \
             needs -t",
        )
        .only(&["run", "prepare", "plan"]),
        OptionSpec::value(
            "--detach-keys",
            &[],
            "KEYS",
            "keys that detach from the terminal, see `launcher help attach` (default: \
             ctrl-p,ctrl-q)",
        )
        .only(SHOWN),
        OptionSpec::value(
            "--log",
            &[],
            "disk|memory|none",
            "where to keep the output of a detached pod: with the pod, below /run, or nowhere \
             (default: disk)",
        )
        .only(SHOWN),
        OptionSpec::value(
            "--log-size",
            &[],
            "SIZE",
            "maximum size of each of the two log files of an app; the older one is dropped \
             (default: 1Mi)",
        )
        .only(SHOWN),
        OptionSpec::flag(
            "--pipe-output",
            &[],
            "give the apps pipes for output, and copy from them; the launcher then stays in \
             memory",
        )
        .only(RUNNING),
        OptionSpec::flag(
            "-stdout",
            &[],
            "print a mark before the output of the app (as in nscn)",
        )
        .only(&["run"]),
        OptionSpec::flag(
            "-wait",
            &[],
            "wait for the pod to end, and hide the output unless -stdout is given (as in nscn)",
        )
        .only(&["run"]),
    ],
);

const ENVIRONMENT: Group = Group::new(
    "Environment of all apps",
    &[
        OptionSpec::value(
            "--set-env",
            &["-e", "--env"],
            "NAME=VALUE",
            "set a variable",
        )
        .repeated(),
        OptionSpec::value(
            "--set-env-file",
            &["--env-file"],
            "FILE",
            "set variables from a file, one a line; --set-env overrides them",
        )
        .repeated(),
        OptionSpec::flag(
            "--inherit-env",
            &[],
            "pass on the caller's environment; variables of the image override it",
        ),
        OptionSpec::value("--locale", &[], "NAME", "set LANG, for instance to C.UTF-8"),
        OptionSpec::value(
            "--timezone",
            &[],
            "ZONE",
            "time zone: `host`, or a name such as Europe/Berlin",
        ),
    ],
);

const STORAGE: Group = Group::new(
    "Storage",
    &[
        OptionSpec::value(
            "--volume",
            &["-v"],
            "VOLUME",
            "add a volume: `/HOST:/POD[:ro]` mounts a path of the host in every app; for the \
             other forms see below",
        )
        .repeated(),
        OptionSpec::value(
            "--shm-size",
            &[],
            "SIZE",
            "how much /dev/shm can hold, which the apps share: bytes, such as 256Mi, or percent of \
             the host's memory (default: 64Mi)",
        ),
        OptionSpec::value(
            "--writable",
            &[],
            "disk|memory[:SIZE]|none",
            "where the apps' changes to their files go: to the disk, to a file system in memory \
             for each app, which counts as memory of the pod (default SIZE: 25%), or nowhere, so \
             that their root is read-only (default: disk)",
        ),
        OptionSpec::flag(
            "--no-overlay",
            &[],
            "copy the files of images instead of using an overlay; done anyway where an overlay \
             is not possible",
        ),
    ],
);

const NETWORK: Group = Group::new(
    "Network",
    &[
        OptionSpec::value(
            "--net",
            &["--network"],
            "NETWORK[:KEY=VALUE,...]",
            "how the pod is connected: `nat` gives it a link of its own, on which it reaches \
             what the host reaches, by the host's address; `bridge[:NAME]` the same, and a \
             network with the other pods of the bridge; `macvlan:INTERFACE` and \
             `ipvlan:INTERFACE` make it a neighbour of the host, by DHCP if there is no `IP`; \
             `pod:POD` and `ns:PATH` join the network of a running pod, or a namespace; `host` \
             shares the host's network with all of its local services; `none` has a loopback \
             interface only; and any other NAME is that of a CNI configuration, whose \
             plugins connect the pod. Keys are `IP`, `GATEWAY`, `MAC`, `MTU` and `MODE`, and what \
             plugins know (default: $NOSECONE_NET, or `network` in /etc/nosecone/config, or `nat` \
             where the host can)",
        )
        .repeated(),
        OptionSpec::value(
            "--port",
            &[],
            "NAME:[ADDRESS:]HOSTPORT",
            "let a port of the host lead to the one that an app declares as NAME, for one address \
             of the host or for all; see `launcher port`",
        )
        .repeated(),
        OptionSpec::value(
            "--publish",
            &["-p"],
            "[ADDRESS:]HOST[-LAST]:POD[/udp]",
            "let a port of the host, or several in a row, lead to a port of the pod, whether an \
             app declares it or not; without HOST, one that is free",
        )
        .repeated(),
        OptionSpec::flag(
            "--publish-all",
            &["-P"],
            "let a free port of the host lead to each port that an app declares",
        ),
        OptionSpec::value(
            "--socket",
            &[],
            "NAME:[ADDRESS:]HOSTPORT",
            "listen on a port of the host, and start the pod only when somebody connects; its app \
             finds the socket open by NAME, the port that it declares as `socketActivated`; works \
             with any network",
        )
        .repeated(),
        OptionSpec::value(
            "--dns",
            &[],
            "ADDRESS|host|none",
            "ask this server for names, instead of those in /etc/resolv.conf of the image or, if \
             that has none, those of the host that the pod can reach; `host` gives it the host's \
             file as it is, `none` leaves the image's",
        )
        .repeated(),
        OptionSpec::value(
            "--dns-search",
            &[],
            "DOMAIN",
            "look up short names in this domain",
        )
        .repeated(),
        OptionSpec::value(
            "--dns-opt",
            &["--dns-option"],
            "OPTION",
            "set an option of the resolver, such as ndots:2",
        )
        .repeated(),
        OptionSpec::value(
            "--hosts-entry",
            &[],
            "ADDRESS=NAME|host",
            "add a name to /etc/hosts; `host` takes the host's file instead of the pod's own",
        )
        .repeated(),
        OptionSpec::value(
            "--network-bandwidth",
            &[],
            "SIZE",
            "how many bytes a second each interface of the pod may send, and receive, such as 1M; \
             not that of loopback, nor those of a network that is not the pod's own",
        ),
        OptionSpec::value(
            "--hostname",
            &[],
            "NAME",
            "host name (default: the UUID); there is no short form, since -h is help",
        ),
    ],
);
