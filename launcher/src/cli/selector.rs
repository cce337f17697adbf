//! The pods on a command line.

use std::path::PathBuf;

use crate::cli::args::Args;
use crate::cli::spelling::excluded;
use crate::cli::typed::Typed;
use crate::cmd::selector::PodSelector;
use error::{Error, Result};

/// Takes one pod.
pub(super) fn one(args: &mut Args) -> Result<PodSelector> {
    let file = args.options.path("--uuid-file");
    let words: Vec<String> = args.word()?.into_iter().collect();
    select(words, file, &args.typed)
}

/// Takes pods.
pub(super) fn several(args: &mut Args) -> Result<PodSelector> {
    let file = args.options.path("--uuid-file");
    select(args.all()?, file, &args.typed)
}

/// Takes any number of pods; none means all.
pub(super) fn some_or_all(args: &mut Args) -> Result<PodSelector> {
    let file = args.options.path("--uuid-file");
    match (args.all()?, file) {
        (words, None) if words.is_empty() => Ok(PodSelector::default()),
        (words, file) => select(words, file, &args.typed),
    }
}

/// Selects pods by words, or by a UUID in a file.
pub(super) fn select(
    words: Vec<String>,
    file: Option<PathBuf>,
    typed: &Typed,
) -> Result<PodSelector> {
    match (&words[..], &file) {
        ([], None) => Err(Error::usage("a pod is missing")
            .hint(format!("{} lists all pods", typed.launcher("list")))),
        ([uuid, ..], Some(_)) => Err(excluded("--uuid-file", uuid)),
        _ => Ok(PodSelector { words, file }),
    }
}
