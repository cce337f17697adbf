//! The verbs: each takes checked options, calls the pipeline, and gives its result.

pub(crate) mod fetch;
pub(crate) mod finish;
pub(crate) mod help;
pub(crate) mod image;
pub(crate) mod plan;
pub(crate) mod prepare;
mod request;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod signature;
pub(crate) mod trust;
pub(crate) mod validate;
pub(crate) mod version;

use std::io::Write as _;

/// Says to the caller what is worth knowing and is no error.
fn say(notes: &[String]) {
    for note in notes {
        // Where not even this can be written there is nobody to hear it.
        let _ = std::io::stderr().write_all(format!("launcher: {note}\n").as_bytes());
    }
}
