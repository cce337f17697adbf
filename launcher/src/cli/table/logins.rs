//! The commands `login` and `logout`.

use super::images::FORMAT;
use super::spec::{CommandSpec, Group, OptionSpec};

/// Logs in to a registry.
pub(crate) const LOGIN: CommandSpec = CommandSpec {
    name: "login",
    summary: "logs in to a registry",
    usage: &["[OPTIONS] REGISTRY"],
    about: "\
Asks for a user and a password, tries them with the registry, and keeps them where podman \
does: in the file that $REGISTRY_AUTH_FILE names, or in `containers/auth.json` below \
$XDG_RUNTIME_DIR, or for root in `/run/containers/0/auth.json`, which is gone after a reboot. \
If that file names a credential helper for the registry, the helper keeps the login. podman, \
skopeo and buildah find it, too.

Logins of podman and of docker are found without `launcher login`.",
    groups: &[&Group::new(
        "Options",
        &[
            OptionSpec::value(
                "--username",
                &["-u"],
                "USER",
                "the user, instead of asking for it",
            ),
            OptionSpec::flag(
                "--password-stdin",
                &[],
                "read the password from standard input",
            ),
            OptionSpec::value(
                "--ca-file",
                &[],
                "FILE",
                "also trust the certificates in this file",
            ),
            FORMAT,
        ],
    )],
    examples: &[
        ("Log in at a terminal", "launcher login ghcr.io"),
        (
            "Log in from a script",
            "launcher login -u me --password-stdin registry.example.com <token",
        ),
    ],
    ..CommandSpec::NEW
};

/// Logs out from a registry.
pub(crate) const LOGOUT: CommandSpec = CommandSpec {
    name: "logout",
    summary: "removes the login for a registry",
    usage: &["[OPTIONS] REGISTRY"],
    about: "\
Removes the login for a registry from all places where it is looked for: the files of podman \
and docker, and their credential helpers. It says where the login was.",
    groups: &[&Group::new("Options", &[FORMAT])],
    examples: &[("Log out", "launcher logout ghcr.io")],
    ..CommandSpec::NEW
};
