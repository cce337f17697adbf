//! The long forms of tests that are short in `cargo xtask test`: faults at
//! every system call, races in thousands of rounds, hundreds of pods.

use crate::cmd::Result;
use crate::test;

/// How often a race is run, if nobody says.
const ROUNDS: usize = 2000;

/// Which faults are injected.
pub(crate) struct Faults {
    /// Not at all points, but at a few of each command.
    pub(crate) sample: bool,
    /// Only into commands in whose words there is this.
    pub(crate) only: Option<String>,
}

/// `cargo xtask sweep`.
pub(crate) fn faults(faults: &Faults) -> Result<()> {
    let how = if faults.sample { "sample" } else { "whole" };
    let only = faults.only.clone().unwrap_or_default();
    // Of two at a time, one mostly waits for strace.
    test::some(&["sweep::"], 2, &[("SWEEP", how), ("SWEEP_ONLY", &only)])
}

/// `cargo xtask sweep --deny`.
pub(crate) fn deny(only: Option<String>) -> Result<()> {
    let only = only.unwrap_or_default();
    let environment = [("SWEEP", "deny"), ("SWEEP_ONLY", only.as_str())];
    test::some(&["sweep::whichever_call_is_refused"], 2, &environment)
}

/// `cargo xtask sweep --races`.
pub(crate) fn races(rounds: Option<usize>) -> Result<()> {
    let rounds = rounds.unwrap_or(ROUNDS).to_string();
    test::some(&["races::"], 2, &[("ROUNDS", &rounds)])
}

/// `cargo xtask soak`.
pub(crate) fn soak() -> Result<()> {
    // What is counted is the whole host's.
    test::some(&["soak::"], 1, &[("SOAK", "whole")])
}
