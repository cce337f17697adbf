//! Builds the launcher, and learns from cargo where it and the init in it are.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cmd::{Result, cargo, failed, say};
use crate::elf;

/// The two programs.
pub(crate) struct Built {
    /// The launcher.
    pub(crate) launcher: PathBuf,
    /// The stage1-init that is embedded in it.
    pub(crate) stage1: PathBuf,
}

/// `cargo xtask build`.
pub(crate) fn task() -> Result<()> {
    let built = release()?;
    say(&format!("launcher:    {}", built.launcher.display()));
    say(&format!("stage1-init: {}", built.stage1.display()));
    Ok(())
}

/// Builds as a user would, with `cargo build --release`.
pub(crate) fn release() -> Result<Built> {
    with(&[])
}

/// Builds with more options.
pub(crate) fn with(options: &[&str]) -> Result<Built> {
    let messages = cargo()
        .args(["build", "--release", "--package", "launcher"])
        .args(options)
        .arg("--message-format=json-render-diagnostics")
        .read()?;
    Ok(Built {
        launcher: locate(&messages, "\"executable\":\"")?,
        stage1: locate(&messages, "[\"STAGE1_INIT\",\"")?,
    })
}

/// Finds the text after `key` in what cargo says, line by line in JSON. The
/// launcher is built last, so the last one is its.
fn locate(messages: &str, key: &str) -> Result<PathBuf> {
    let start = messages
        .rfind(key)
        .ok_or_else(|| format!("cargo does not say where it put `{key}...`"))?;
    let rest = &messages[start + key.len()..];
    let path = rest.split('"').next().unwrap_or(rest);
    if path.contains('\\') {
        return Err(format!("cannot read the path `{path}` in cargo's messages"));
    }
    Ok(path.into())
}

/// Checks that a program needs no other file to run.
pub(crate) fn check_static(program: &Path) -> Result<()> {
    let file = fs::read(program).map_err(failed("read", program))?;
    match elf::interpreter(&file) {
        Ok(None) => {
            say(&format!(
                "{}: {} bytes, static",
                program.display(),
                file.len()
            ));
            Ok(())
        }
        Ok(Some(interpreter)) => Err(format!(
            "`{}` is not static: it needs `{interpreter}`",
            program.display()
        )),
        Err(error) => Err(format!("cannot read `{}`: {error}", program.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_in_cargos_messages() {
        let messages = "{\"reason\":\"build-script-executed\",\"env\":[[\"STAGE1_INIT\",\"/t/s\"]]}\n\
                        {\"executable\":null}\n{\"executable\":\"/t/launcher\",\"fresh\":true}\n";
        assert_eq!(
            locate(messages, "\"executable\":\""),
            Ok("/t/launcher".into())
        );
        assert_eq!(locate(messages, "[\"STAGE1_INIT\",\""), Ok("/t/s".into()));
    }

    #[test]
    fn what_cargo_does_not_say_is_an_error() {
        assert!(locate("{\"executable\":null}", "\"executable\":\"").is_err());
        assert!(locate("\"executable\":\"C:\\\\x\"", "\"executable\":\"").is_err());
    }
}
