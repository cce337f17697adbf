//! The command `policy`.

use super::images::FORMAT;
use super::spec::{CommandSpec, Group, OptionSpec};

/// Shows the policy for images, and locks names.
pub(crate) const POLICY: CommandSpec = CommandSpec {
    name: "policy",
    summary: "shows which images are accepted, and locks names to digests",
    usage: &["[--format FORMAT]", "lock IMAGE", "unlock IMAGE"],
    about: "\
Lists what the policy for OCI images says, and which names are locked. The policy is the \
first of these files: $NOSECONE_POLICY, ~/.config/nosecone/policy.json, \
/etc/nosecone/policy.json, ~/.config/containers/policy.json, /etc/containers/policy.json. \
containers-policy.json(5) describes them. Without one, images are accepted from any \
registry that proves by its certificate to be itself.

App Container images have to be signed by keys that `launcher trust` trusts.",
    groups: &[&Group::new("Options", OPTIONS)],
    examples: &[("Show what is accepted", "launcher policy")],
    commands: &[
        CommandSpec {
            name: "lock",
            summary: "accepts no other image under a name than the one that is stored",
            usage: &["[--format FORMAT] IMAGE"],
            about: "\
Locks the name of an image in a registry to the digest that it had there when it was \
fetched, or to the one that is given behind `@`. From then on, another one is refused, \
when it is fetched and when it is run.",
            groups: &[&Group::new("Options", OPTIONS)],
            examples: &[(
                "Trust what a name stands for now, and nothing else later",
                "launcher policy lock docker.io/library/debian:12",
            )],
            ..CommandSpec::NEW
        },
        CommandSpec {
            name: "unlock",
            summary: "accepts again whatever a name stands for",
            usage: &["[--format FORMAT] IMAGE"],
            about: "Unlocks a name.",
            groups: &[&Group::new("Options", OPTIONS)],
            examples: &[(
                "Accept a new version",
                "launcher policy unlock docker.io/library/debian:12",
            )],
            ..CommandSpec::NEW
        },
    ],
    ..CommandSpec::NEW
};

const OPTIONS: &[OptionSpec] = &[FORMAT];
