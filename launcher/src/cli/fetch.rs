//! The command line of `launcher fetch`, and the options of fetching that
//! other commands share.

use std::path::Path;

use crate::cli::line::Line;
use crate::cli::split;
use crate::cmd::fetch;
use appc::reference::Reference;
use error::{Error, Result};
use image::fetch::insecure::Insecure;
use image::fetch::options::{Options, PullPolicy};

/// Takes the options, and the images.
pub(super) fn fetch(line: &mut Line) -> Result<fetch::Options> {
    let options = fetch::Options {
        full: line.flag("--full"),
        no_deps: line.flag("--no-deps"),
        fetch: options(line)?,
        images: Vec::new(),
    };
    let mut images = Vec::new();
    while let Some(image) = reference(line)? {
        images.push(image);
    }
    if images.is_empty() {
        return Err(
            Error::usage("an image is missing").hint("for instance `example.com/web:1.0.0`")
        );
    }
    Ok(fetch::Options { images, ..options })
}

/// Takes the options of fetching.
pub(super) fn options(line: &mut Line) -> Result<Options> {
    Ok(Options {
        policy: line.value("--pull-policy", PullPolicy::parse)?,
        insecure: line
            .value("--insecure-options", Insecure::parse)?
            .unwrap_or_default(),
        directories: line.paths("--image-dir")?,
        ca_file: line.path("--ca-file")?,
        quiet: line.flag("--quiet"),
    })
}

/// Takes an image: a word, and the labels behind it.
pub(super) fn reference(line: &mut Line) -> Result<Option<Reference>> {
    let Some(image) = line.argument()? else {
        return Ok(None);
    };
    let mut labels = Vec::new();
    while let Some(label) = line.word_if(is_label)? {
        labels.push(label);
    }
    referenced(&image, &labels).map(Some)
}

/// Understands an image, and the labels behind it.
pub(super) fn referenced(image: &Path, labels: &[String]) -> Result<Reference> {
    // A path need not be text, and then it is nothing but a path.
    match image.to_str() {
        Some(text) => Reference::parse(text, labels),
        None => Ok(Reference::Path(image.to_owned())),
    }
}

/// The option that gives up checks.
pub(super) const INSECURE: &str = "--insecure-options";

/// The options of fetching, as they stand among those of a pod.
pub(super) const OPTIONS: &[&str] = &[
    "--ca-file",
    "--image-dir",
    INSECURE,
    "--pull-policy",
    "--quiet",
];

/// Reads these options.
pub(super) fn of_pod(pod: &split::Options) -> Result<Options> {
    Ok(Options {
        policy: pod.value("--pull-policy", PullPolicy::parse)?,
        insecure: pod.value(INSECURE, Insecure::parse)?.unwrap_or_default(),
        directories: pod.paths("--image-dir"),
        ca_file: pod.path("--ca-file"),
        quiet: pod.flag("--quiet")?,
    })
}

/// `version:1.0.0` is a label of the image before it; `example.com/web:1.0.0`
/// is another image.
pub(super) fn is_label(word: &str) -> bool {
    word.split_once(':').is_some_and(|(key, value)| {
        !key.is_empty() && !key.contains(['/', '.']) && !value.starts_with("//")
    })
}
