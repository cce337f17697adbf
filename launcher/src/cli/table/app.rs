//! The options of an app, which go after its image.

use super::spec::{Group, OptionSpec};

/// What to run, and as which user.
pub(super) const APP: Group = Group::of_app(
    "App (after its IMAGE)",
    &[
        OptionSpec::value(
            "--name",
            &[],
            "NAME",
            "app name (default: the last part of the image name)",
        ),
        OptionSpec::value(
            "--exec",
            &["--entrypoint"],
            "PROGRAM",
            "run this program instead of the image's command",
        ),
        OptionSpec::value(
            "--user",
            &["-u"],
            "USER[:GROUP]",
            "run as this user: a name or number in the image, or a path whose owner it is",
        ),
        OptionSpec::value(
            "--group",
            &[],
            "GROUP",
            "run as this group: a name or number in the image, or a path whose group it is",
        ),
        OptionSpec::value(
            "--supplementary-gids",
            &[],
            "GID,...",
            "replace the supplementary groups",
        )
        .perhaps_empty(),
        OptionSpec::value("--working-dir", &["-w"], "PATH", "start in this directory"),
        OptionSpec::value(
            "--environment",
            &["-e", "--env"],
            "NAME=VALUE",
            "set a variable",
        )
        .repeated(),
    ],
);

/// What the app sees besides its image.
pub(super) const APP_STORAGE: Group = Group::of_app(
    "App storage",
    &[
        OptionSpec::value(
            "--mount",
            &[],
            "volume=NAME,target=PATH",
            "mount a volume of the pod",
        )
        .repeated(),
        OptionSpec::value(
            "--tmpfs",
            &[],
            "PATH[:size=SIZE,mode=MODE,...]",
            "mount a file system in memory; SIZE is in bytes or percent of the host's memory \
             (default: 25%), MODE is octal (default: 1777); add `noexec` or `ro`",
        )
        .repeated(),
        OptionSpec::flag(
            "--readonly-rootfs",
            &["--read-only"],
            "make the root file system read-only",
        ),
    ],
);

/// What the app may do.
pub(super) const APP_SECURITY: Group = Group::of_app(
    "App security",
    &[
        OptionSpec::perhaps(
            "--allow-isolators",
            "NAME,...",
            "let isolators of the image (default: all of them) grant more rights than an app \
             gets by default",
        ),
        OptionSpec::value(
            "--cap-add",
            &[],
            "CAPABILITY,...|all",
            "add capabilities to those that the app would have",
        )
        .repeated(),
        OptionSpec::value(
            "--cap-drop",
            &[],
            "CAPABILITY,...|all",
            "drop capabilities that the app would have; with `all`, it has what --cap-add names",
        )
        .repeated(),
        OptionSpec::value(
            "--caps-remove",
            &[],
            "CAPABILITY,...",
            "drop these of the default capabilities, whatever the image says",
        ),
        OptionSpec::value(
            "--caps-retain",
            &[],
            "CAPABILITY,...",
            "keep only these capabilities",
        ),
        OptionSpec::value(
            "--seccomp",
            &[],
            "mode=retain|remove[,errno=NAME],CALL,...",
            "allow only these system calls, or all but these",
        ),
        OptionSpec::flag(
            "--no-new-privileges",
            &[],
            "never let a program gain privileges, for instance by a set-user-ID bit",
        ),
        OptionSpec::value(
            "--device",
            &[],
            "PATH[:ACCESS]",
            "give access to a device below /dev; ACCESS is made of r (read), w (write) and m \
             (make nodes) (default: rwm)",
        )
        .repeated(),
    ],
);

/// How much the app may use.
pub(super) const APP_RESOURCES: Group = Group::of_app(
    "App resources",
    &[
        OptionSpec::value(
            "--cpu",
            &[],
            "AMOUNT",
            "processor limit, such as 500m for half a processor",
        ),
        OptionSpec::value(
            "--cpu-shares",
            &[],
            "NUMBER",
            "weight against other apps when processors are busy",
        ),
        OptionSpec::value(
            "--memory",
            &[],
            "SIZE",
            "memory limit, such as 64Mi, at least 768Ki; there is no short form, since 64m would \
             be 0.064 bytes here",
        ),
        OptionSpec::value(
            "--oom-score-adj",
            &[],
            "NUMBER",
            "how readily to kill the app when memory runs out, from -1000 to 1000",
        ),
        OptionSpec::value(
            "--ulimit",
            &[],
            "NAME=SOFT[:HARD]",
            "resource limit, such as nofile=1024:4096; a limit is a number, in the unit of \
             setrlimit(2), or `unlimited`",
        )
        .repeated(),
    ],
);

/// How to find out whether the app works.
pub(super) const APP_HEALTH: Group = Group::of_app(
    "App health",
    &[
        OptionSpec::value(
            "--health-cmd",
            &[],
            "COMMAND|none",
            "find out with this command whether the app works: a line for /bin/sh in the app, or \
             a list of words such as `[\"program\", \"argument\"]` (default: what the image says)",
        ),
        OptionSpec::value(
            "--health-interval",
            &[],
            "TIME",
            "time from one check to the next (default: the image's, or 30s)",
        ),
        OptionSpec::value(
            "--health-timeout",
            &[],
            "TIME",
            "time that a check may take (default: the image's, or 30s)",
        ),
        OptionSpec::value(
            "--health-retries",
            &[],
            "NUMBER",
            "number of failures in a row that make the app unhealthy (default: the image's, or 3)",
        ),
        OptionSpec::value(
            "--health-start-period",
            &[],
            "TIME",
            "time after the start in which failures do not count (default: the image's, or 0)",
        ),
        OptionSpec::value(
            "--health-start-interval",
            &[],
            "TIME",
            "time from one check to the next until the app works or that is over (default: the \
             image's, or 5s)",
        ),
        OptionSpec::flag(
            "--no-healthcheck",
            &[],
            "do not find out whether the app works, whatever the image says",
        ),
    ],
);

/// Notes about the app.
pub(super) const APP_METADATA: Group = Group::of_app(
    "App metadata",
    &[
        OptionSpec::value("--annotation", &[], "NAME=VALUE", "annotate the app").repeated(),
        OptionSpec::value(
            "--user-annotation",
            &[],
            "NAME=VALUE",
            "add a user annotation",
        )
        .repeated(),
        OptionSpec::value("--user-label", &[], "NAME=VALUE", "add a user label").repeated(),
    ],
);
