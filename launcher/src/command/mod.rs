//! The verbs: each takes checked options, calls the pipeline, and gives its result.

pub(crate) mod detach;
pub(crate) mod fetch;
pub(crate) mod finish;
pub(crate) mod help;
pub(crate) mod image;
pub(crate) mod plan;
pub(crate) mod prepare;
mod request;
pub(crate) mod run;
pub(crate) mod signature;
pub(crate) mod trust;
pub(crate) mod validate;
pub(crate) mod version;

use std::io::Write as _;

/// Status of commands that exit with an app's status, when they fail themselves.
pub(crate) const OURS: u8 = 125;

/// Says to the caller what is worth knowing and is no error.
fn say(notes: &[String]) {
    for note in notes {
        // Where not even this can be written there is nobody to hear it.
        let _ = std::io::stderr().write_all(format!("launcher: {note}\n").as_bytes());
    }
}
