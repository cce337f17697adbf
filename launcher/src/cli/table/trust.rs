//! The command `trust`.

use super::images::{FETCHING, FORMAT};
use super::spec::{CommandSpec, Group, Operands, OptionSpec};

/// Manages the keys that may sign images.
pub(crate) const TRUST: CommandSpec = CommandSpec {
    name: "trust",
    summary: "manages the keys that may sign images",
    usage: &[
        "(--prefix PREFIX | --root) [OPTIONS] [KEY...]",
        "list [--format FORMAT]",
        "rm (--prefix PREFIX | --root) [OPTIONS] FINGERPRINT",
    ],
    about: "\
Trusts keys to sign images. A KEY is a file with an OpenPGP public key, the address of \
one, or `-` for standard input. Without a KEY, the web page of the prefix is asked for \
its keys; such a key is not safe to trust until you have checked it.

Without --yes or --fingerprint, the key is shown, and trusted only if you confirm. \
Compare its fingerprint with one that its owner gave you by other means.

Keys are stored in `trustedkeys` below the data directory (see --dir). They are also \
read from `trustedkeys` below /etc/nosecone, /usr/lib/nosecone, /etc/rkt and \
/usr/lib/rkt.",
    groups: &[
        &SCOPE,
        &Group::new(
            "Options",
            &[
                OptionSpec::flag(
                    "--allow-isolators",
                    &[],
                    "let images signed by the key have all rights that their isolators ask for",
                ),
                OptionSpec::flag("--yes", &["-y"], "do not ask for confirmation"),
                OptionSpec::value(
                    "--fingerprint",
                    &[],
                    "FINGERPRINT",
                    "trust the key without asking if it has this fingerprint",
                ),
                FORMAT,
            ],
        ),
        &FETCHING,
    ],
    examples: &[
        (
            "Trust a key for all images below a name",
            "launcher trust --prefix=example.com ./key.asc",
        ),
        (
            "Trust a key in a script",
            "launcher trust --root --fingerprint=$FINGERPRINT https://example.com/key.asc",
        ),
    ],
    operands: Operands::Files,
    commands: &[
        CommandSpec {
            name: "list",
            summary: "lists trusted keys",
            usage: &["[--format FORMAT]"],
            about: "Lists all trusted keys, including the system's, with their prefixes.",
            groups: &[&Group::new("Options", &[FORMAT])],
            examples: &[("List the keys", "launcher trust list")],
            ..CommandSpec::NEW
        },
        CommandSpec {
            name: "rm",
            summary: "stops trusting a key",
            usage: &["(--prefix PREFIX | --root) [OPTIONS] FINGERPRINT"],
            about: "Stops trusting a key. A key of the system is overridden, not removed.",
            groups: &[&SCOPE, &Group::new("Options", &[FORMAT])],
            examples: &[(
                "Stop trusting a key",
                "launcher trust rm --prefix=example.com $FINGERPRINT",
            )],
            ..CommandSpec::NEW
        },
    ],
    ..CommandSpec::NEW
};

const SCOPE: Group = Group::new(
    "Scope",
    &[
        OptionSpec::value(
            "--prefix",
            &[],
            "PREFIX",
            "for images of this name and below: example.com includes example.com/app",
        ),
        OptionSpec::flag("--root", &[], "for all images"),
    ],
);
