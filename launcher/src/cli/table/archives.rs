//! Options of commands that read or write archives.

use super::spec::OptionSpec;

/// The checks of archives that are not fetched.
pub(crate) const INSECURE: OptionSpec = OptionSpec::value(
    "--insecure-options",
    &[],
    "CHECK,...",
    "skip checks: compression (archives that become more than 500 times larger); those of \
     fetch are accepted, and skip nothing else here",
);

/// Files may be replaced.
pub(crate) const OVERWRITE: OptionSpec =
    OptionSpec::flag("--overwrite", &[], "replace FILE if it exists");
