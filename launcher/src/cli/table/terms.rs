//! Explanations that several commands share.

/// A title, and words with what they mean.
pub(crate) type Terms = (&'static str, &'static [(&'static str, &'static str)]);

/// The exit status of commands that run a pod.
pub(crate) const EXIT_STATUS: Terms = (
    "Exit status",
    &[
        (
            "0",
            "all apps succeeded, or the pod runs on in the background",
        ),
        ("125", "Nose Cone failed, or the command line is wrong"),
        ("126", "a program cannot be executed"),
        ("127", "a program was not found"),
        ("128+N", "a program was killed by signal N"),
        ("any other", "the status of the first app that failed"),
    ],
);

/// The exit status of `enter`.
pub(crate) const EXIT_STATUS_OF_COMMAND: Terms = (
    "Exit status",
    &[
        ("125", "Nose Cone failed, or the command line is wrong"),
        ("126", "the command cannot be executed"),
        ("127", "the command was not found"),
        ("128+N", "the command was killed by signal N"),
        ("any other", "the status of the command"),
    ],
);

/// The exit status of `wait`.
pub(crate) const EXIT_STATUS_OF_PODS: Terms = (
    "Exit status",
    &[
        ("0", "all apps of all pods succeeded"),
        (
            "125",
            "Nose Cone failed, the command line is wrong, or nobody knows how a pod ended",
        ),
        ("any other", "the status of the first pod that failed"),
    ],
);

/// The forms of `--volume`.
pub(crate) const VOLUMES: Terms = (
    "Volumes",
    &[
        (
            "/HOST:/POD[:ro]",
            "mount a path of the host in every app; `ro` makes it read-only",
        ),
        (
            "NAME,kind=host,source=PATH",
            "name a path of the host, which --mount or the image then mounts; add \
             `,readOnly=true`, `,recursive=false` (without what is mounted below it) or \
             `,followSymlinks=true` (allow symbolic links in PATH)",
        ),
        (
            "NAME,kind=empty",
            "create a directory that lasts as long as the pod; add `,readOnly=true`, \
             `,mode=MODE` (default: 0755), `,uid=UID` or `,gid=GID` (default: 0)",
        ),
        (
            "\\, \\: \\\\",
            "a comma, a colon or a backslash that is part of a path; also in --mount and --tmpfs",
        ),
    ],
);

/// How to name a pod.
pub(crate) const POD: Terms = (
    "Pods",
    &[(
        "POD",
        "a UUID, any unique prefix of a UUID, or the pod's name; of several ended pods with \
         that name, the newest is meant",
    )],
);
