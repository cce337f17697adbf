//! The long forms of tests that are short in `cargo xtask test`: faults at
//! every system call, races in thousands of rounds, hundreds of pods.

use crate::cmd::{Result, images_dir, is_root};
use crate::test::with_stage1;
use crate::{build, images};

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
    tests("sweep::", 2, &[("SWEEP", how), ("SWEEP_ONLY", &only)])
}

/// `cargo xtask sweep --races`.
pub(crate) fn races(rounds: Option<usize>) -> Result<()> {
    let rounds = rounds.unwrap_or(ROUNDS).to_string();
    tests("races::", 2, &[("ROUNDS", &rounds)])
}

/// `cargo xtask soak`.
pub(crate) fn soak() -> Result<()> {
    // What is counted is the whole host's.
    tests("soak::", 1, &[("SOAK", "whole")])
}

/// Runs the tests whose names have this, so many at a time.
fn tests(named: &str, threads: usize, environment: &[(&str, &str)]) -> Result<()> {
    if !is_root() {
        return Err("this runs pods, which needs root".to_owned());
    }
    let built = build::release()?;
    images::all(&images_dir())?;
    let words = [
        "test",
        "--quiet",
        "--package",
        "launcher",
        "--test",
        "tests",
    ];
    let tests = with_stage1(&built, &words)
        .args([named, "--", "--nocapture", "--test-threads"])
        .arg(threads.to_string())
        .env("LAUNCHER", &built.launcher)
        .env("IMAGES", images_dir());
    let tests = environment
        .iter()
        .fold(tests, |tests, (name, value)| tests.env(name, value));
    tests.run()
}
