//! `launcher validate`.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::ground::{Context as _, Result};
use crate::image::survey::survey;
use crate::words::manifest;

/// How to use this command.
pub(crate) const HELP: &str = "\
Usage: launcher validate FILE...

Checks image archives, and image and pod manifests. Prints `FILE OK` or
`FILE NOT OK: reason` for each; warnings go to the standard error. Exits with 0
if all are in order, with 1 if one is not.
";

/// Checks all files; prints a line for each.
pub(crate) fn run(files: &[PathBuf]) -> Result<ExitCode> {
    let mut status = ExitCode::SUCCESS;
    for file in files {
        let name = file.display();
        let line = match check(file) {
            Ok(warnings) => {
                for warning in warnings {
                    let _ = writeln!(std::io::stderr(), "launcher: {name}: {warning}");
                }
                format!("{name} OK\n")
            }
            Err(error) => {
                status = ExitCode::from(1);
                format!("{name} NOT OK: {error}\n")
            }
        };
        std::io::stdout()
            .write_all(line.as_bytes())
            .context(|| "cannot write to the standard output")?;
    }
    Ok(status)
}

/// Checks one file; returns warnings. JSON is told from an archive by how it begins.
fn check(path: &Path) -> Result<Vec<String>> {
    let what = || "cannot read it";
    let file = File::open(path).context(what)?;
    let mut head = [0; 64];
    let count = rustix::io::pread(&file, &mut head, 0).context(what)?;
    if head[..count].trim_ascii_start().starts_with(b"{") {
        let text = std::fs::read(path).context(what)?;
        return Ok(manifest::check(&text)?.warnings);
    }
    Ok(survey(file, &path.display().to_string())?.manifest.warnings)
}
