//! The command line of `launcher fetch`, and the options of fetching that
//! other commands share.

use std::path::PathBuf;

use super::line::{self, Line};
use crate::command::fetch;
use crate::ground::{Error, Result};
use crate::image::fetch::{Options, PullPolicy};
use crate::words::insecure::Insecure;
use crate::words::reference::Reference;

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
        directories: line.values("--image-dir", |path| Ok(PathBuf::from(path)))?,
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
    // A path need not be text, and then it is nothing but a path.
    match line::text(image.clone().into_os_string()) {
        Ok(text) => Reference::parse(&text, &labels).map(Some),
        Err(_) => Ok(Some(Reference::Path(image))),
    }
}

/// `version:1.0.0` is a label of the image before it; `example.com/web:1.0.0`
/// is another image.
fn is_label(word: &str) -> bool {
    word.split_once(':').is_some_and(|(key, value)| {
        !key.is_empty() && !key.contains(['/', '.']) && !value.starts_with("//")
    })
}
