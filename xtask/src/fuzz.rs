//! Runs the fuzz targets of tests/fuzz in libFuzzer.
//!
//! The crates are compiled so that libFuzzer sees which branches an input takes;
//! a stable compiler can do that. They have a directory of their own in target/,
//! since no other build can use them. What libFuzzer learns stays there, and the
//! next run starts from it.

use std::fs;

use crate::cmd::{Result, cargo, cmd, failed, host_target, root, say, target_dir};

/// The targets: functions, programs and corpora of tests/fuzz.
const TARGETS: &[&str] = &["archive", "http", "manifest", "oci", "openpgp", "plan"];

/// Has the compiler count branches, and tell libFuzzer where the counters are.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// What counts as hanging, in seconds for one input; and as taking too much
/// memory, in MiB.
const LIMITS: [&str; 2] = ["-timeout=10", "-rss_limit_mb=2048"];

/// `cargo xtask fuzz`: one target, or all, each for so many seconds.
pub(crate) fn fuzz(target: Option<&str>, seconds: u32) -> Result<()> {
    if let Some(name) = target.filter(|name| !TARGETS.contains(name)) {
        let known = TARGETS.join(", ");
        return Err(format!(
            "there is no fuzz target `{name}`; there are {known}"
        ));
    }
    let host = host_target()?;
    let place = target_dir().join("fuzz");
    // Without `--target`, the flags would be those of build scripts, too.
    cargo()
        .args(["build", "--package", "fuzz", "--features", "libfuzzer"])
        .args(["--bins", "--profile", "fuzz", "--target", &host])
        .arg("--target-dir")
        .arg(&place)
        .env("RUSTFLAGS", FLAGS.join(" "))
        .run()?;
    let programs = place.join(&host).join("fuzz");
    let mut bad = Vec::new();
    for name in TARGETS
        .iter()
        .filter(|name| target.is_none_or(|only| only == **name))
    {
        let learnt = place.join("corpus").join(name);
        fs::create_dir_all(&learnt).map_err(failed("make", &learnt))?;
        let found = place.join(format!("{name}-"));
        let run = cmd(programs.join(name))
            .args([learnt, root().join("tests/fuzz/corpus").join(name)])
            .args([
                &format!("-max_total_time={seconds}"),
                "-print_final_stats=1",
            ])
            .args(LIMITS)
            .arg(format!("-artifact_prefix={}", found.display()))
            .run();
        if let Err(error) = run {
            say(&error);
            bad.push(*name);
        }
    }
    match bad.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "what the parsers of {} do not bear is in {}; once they do, add it to \
             tests/fuzz/corpus, where each `cargo xtask test` tries it",
            bad.join(", "),
            place.display()
        )),
    }
}
