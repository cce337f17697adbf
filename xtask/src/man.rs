//! The man pages, which the launcher writes from its table of commands.

use std::fs;

use crate::cmd::{Result, cargo, cmd, host_target, say, target_dir};

/// `cargo xtask man`: writes all pages to target/man.
pub(crate) fn man() -> Result<()> {
    cargo().args(["build", "--package", "launcher"]).run()?;
    let launcher = target_dir().join(host_target()?).join("debug/launcher");
    let page = |words: &[&str]| cmd(&launcher).arg("man").args(words).quiet().read();
    let into = target_dir().join("man");
    let what = |error| format!("cannot write to {}: {error}", into.display());
    fs::create_dir_all(&into).map_err(what)?;
    let names = page(&[])?;
    for name in names.lines() {
        fs::write(into.join(format!("{name}.1")), page(&[name])?).map_err(what)?;
    }
    say(&format!(
        "{} man pages are in {}",
        names.lines().count(),
        into.display()
    ));
    Ok(())
}
