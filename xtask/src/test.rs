//! Everything that a change must pass. The integration tests come last, so
//! that the run ends with what the test runner says of them.

use crate::cmd::{Cmd, Result, cargo, images_dir, is_root};
use crate::leftovers::Place;
use crate::{build, deny, images, setup, size, tidy};

/// What the launcher can be built with, besides all of it.
const FEATURES: [&str; 4] = ["", "openpgp", "tls", "zlib-rs"];

/// `cargo xtask test`.
pub(crate) fn test(strict: bool) -> Result<()> {
    let complete = setup::setup(false)?;
    cargo().args(["fmt", "--all", "--check"]).run()?;
    tidy::tidy()?;
    deny::deny()?;
    let built = build::release()?;
    lint(&built)?;
    // The init is built once; every other build of the launcher takes that one.
    with_stage1(
        &built,
        &["test", "--quiet", "--workspace", "--lib", "--bins"],
    )
    .run()?;
    // What replaces that which was left out.
    with_stage1(&built, &["test", "--quiet", "--package", "image"])
        .args(["--no-default-features", "--lib"])
        .run()?;
    images::all(&images_dir())?;
    size::size(&built)?;
    let place = Place::new()?;
    integration(&built, &place)
        .env("NO_SKIP", must_run(strict, complete))
        .run()?;
    place.is_empty()
}

/// Runs the integration tests whose names have one of these, so many at a time.
pub(crate) fn some(named: &[&str], threads: usize, environment: &[(&str, &str)]) -> Result<()> {
    if !is_root() {
        return Err("this runs pods, which needs root".to_owned());
    }
    let built = build::release()?;
    images::all(&images_dir())?;
    let place = Place::new()?;
    let tests = integration(&built, &place)
        .args(["--quiet", "--"])
        .args(named)
        .args(["--nocapture", "--test-threads"])
        .arg(threads.to_string());
    let tests = environment
        .iter()
        .fold(tests, |tests, (name, value)| tests.env(name, value));
    tests.run()?;
    place.is_empty()
}

/// `cargo xtask guest`: the tests that boot it, and all that they say.
pub(crate) fn guest(strict: bool) -> Result<()> {
    images::all(&images_dir())?;
    cargo()
        .args(["test", "--package", "launcher", "--test", "tests"])
        .args(["guest::", "--", "--nocapture"])
        .env("IMAGES", images_dir())
        .env("NO_SKIP", if strict { "all" } else { "" })
        .run()
}

/// Starts the command line of the integration tests, of what was built.
fn integration(built: &build::Built, place: &Place) -> Cmd {
    with_stage1(built, &["test", "--package", "launcher", "--test", "tests"])
        .env("LAUNCHER", &built.launcher)
        .env("IMAGES", images_dir())
        .env("TMPDIR", place.path())
}

/// What is no reason to skip a test: none is, or what has been installed is not.
fn must_run(strict: bool, complete: bool) -> &'static str {
    match (strict, complete) {
        (true, _) => "all",
        // A test that lacks a part says which task brings it.
        (false, true) => "cargo xtask",
        (false, false) => "",
    }
}

fn lint(built: &build::Built) -> Result<()> {
    let deny = ["--", "--deny", "warnings"];
    with_stage1(
        built,
        &["clippy", "--quiet", "--workspace", "--all-targets"],
    )
    .args(deny)
    .run()?;
    for features in FEATURES {
        with_stage1(built, &["clippy", "--quiet", "--all-targets"])
            .args(["--package", "launcher", "--package", "image"])
            .args(["--no-default-features", "--features", features])
            .args(deny)
            .run()?;
    }
    // Not part of the workspace's build: it links no std.
    cargo()
        .args(["clippy", "--quiet", "--package", "stage1-init"])
        .args(["--bin", "stage1-init", "--features", "freestanding"])
        .args(["--profile", "stage1"])
        .args(deny)
        .run()?;
    with_stage1(built, &["doc", "--quiet", "--workspace", "--no-deps"])
        .arg("--document-private-items")
        .env("RUSTDOCFLAGS", "--deny warnings")
        .run()
}

/// Starts a command line of cargo's, with the init that was built.
pub(crate) fn with_stage1(built: &build::Built, words: &[&str]) -> Cmd {
    cargo()
        .args(words)
        .env("NOSE_STAGE1", &built.stage1)
        .env("STAGE1_INIT", &built.stage1)
}
