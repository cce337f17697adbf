//! The commands: each takes checked options, calls the pipeline, and returns
//! its result.

pub(crate) mod attach;
pub(crate) mod build;
pub(crate) mod cat_manifest;
pub(crate) mod check;
mod child;
pub(crate) mod collect;
mod configuration;
pub(crate) mod cp;
pub(crate) mod detach;
pub(crate) mod diff;
pub(crate) mod enter;
pub(crate) mod exit;
pub(crate) mod export;
mod failure;
pub(crate) mod fetch;
pub(crate) mod finish;
pub(crate) mod image;
mod images;
mod interactive;
mod json;
mod launch;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod logs;
pub(crate) mod mode;
pub(crate) mod notify;
pub(crate) mod pause;
pub(crate) mod piped;
mod pipeline;
pub(crate) mod plan;
pub(crate) mod pod_files;
pub(crate) mod policy;
pub(crate) mod port;
pub(crate) mod prepare;
pub(crate) mod remove;
pub(crate) mod request;
pub(crate) mod results;
pub(crate) mod run;
pub(crate) mod selector;
pub(crate) mod serve;
pub(crate) mod signature;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod stop;
mod table;
pub(crate) mod timing;
pub(crate) mod trust;
pub(crate) mod validate;
pub(crate) mod version;
pub(crate) mod wait;

use std::fmt::Display;
use std::io::{IsTerminal as _, Write};

use appc::address::without_secrets;
use error::quote::{escaped_lines, shown};
use error::{Context as _, Error, Result};
use sys::progress::is_verbose;
use sys::standard::Output;

/// `stage1-init`, which executes plans, as embedded by the build script.
static STAGE1_INIT: &[u8] = include_bytes!(env!("STAGE1_INIT"));

/// Exit status for failures of Nose Cone in commands that exit with an app's
/// status.
pub(crate) const OURS: u8 = 125;

/// The first argument when this program re-executes its own command line, with
/// the standard streams in place. It is internal.
pub(crate) const ONCE_MORE: &str = "--once-more";

/// Prints notes to standard error.
fn say(notes: &[String]) {
    for note in notes {
        line(&shown(note));
    }
}

fn line(text: &dyn Display) {
    // In one call, so that output of an app cannot get into the line. If this
    // fails, nothing is left to report it to.
    let text = without_secrets(&format!("launcher: {text}\n"));
    let _ = Output::stderr().write_all(text.as_bytes());
}

/// Marks the start of the app's output, as nscn does.
fn mark() {
    let _ = Output::stderr().write_all(b"--- 8< ---\n");
}

/// Prints an error: briefly, or with all its causes if that was asked for.
pub(crate) fn complain(error: &Error) {
    match is_verbose() {
        true => line(error),
        false => line(&error.brief()),
    }
}

/// Returns the option that makes another launcher print errors as this one does.
fn verbosity() -> Option<&'static str> {
    is_verbose().then_some("--verbose")
}

/// Prints all errors but the last, which it returns.
fn last_of(mut failures: Vec<Error>) -> Result<()> {
    let last = failures.pop();
    for error in failures {
        complain(&error);
    }
    last.map_or(Ok(()), Err)
}

const CANNOT_PRINT: &str = "cannot write to standard output";

/// Prints a result, escaped so that it cannot control a terminal.
fn print(out: &mut dyn Write, text: &str) -> Result<()> {
    out.write_all(escaped_lines(text.as_bytes()).as_bytes())
        .context(|| CANNOT_PRINT)
}

/// Prints a JSON document to standard output: byte for byte, or, for a
/// terminal, escaped but with the same meaning.
fn print_document(out: &mut dyn Write, document: &[u8]) -> Result<()> {
    match std::io::stdout().is_terminal() {
        true => print(
            out,
            &appc::json::escaped(&String::from_utf8_lossy(document)),
        ),
        false => out.write_all(document).context(|| CANNOT_PRINT),
    }
}
