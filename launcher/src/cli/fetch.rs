//! The command line of `launcher fetch`, and the options of fetching that
//! other commands share.

use crate::cli::args::Args;
use crate::cli::image_args::{is_label, missing_image, referenced};
use crate::cli::options;
use crate::cli::values::bytes;
use crate::cmd::fetch;
use error::Result;
use image::fetch::http::rate::Rate;
use image::fetch::insecure::Insecure;
use image::fetch::options::{Options, PullPolicy};
use image::reference::Reference;
use oci::platform::Platform;

/// Takes the options, and the images.
pub(super) fn fetch(args: &mut Args) -> Result<fetch::Options> {
    let mut images = Vec::new();
    while let Some(image) = reference(args)? {
        images.push(image);
    }
    if images.is_empty() {
        return Err(missing_image());
    }
    Ok(fetch::Options {
        full: args.options.flag("--full"),
        no_deps: args.options.flag("--no-deps"),
        fetch: options(&mut args.options)?,
        images,
    })
}

/// Takes the options of fetching.
pub(super) fn options(options: &mut options::Options) -> Result<Options> {
    Ok(Options {
        policy: options.value("--pull-policy", PullPolicy::parse)?,
        insecure: insecure(options)?,
        directories: options.paths("--image-dir"),
        ca_file: options.path("--ca-file"),
        platform: options.value("--platform", Platform::parse)?,
        keep_blobs: options.flag("--keep-blobs"),
        max_size: options.value("--max-size", bytes)?,
        rate: options.value("--limit-rate", |text| bytes(text).map(Rate::new))?,
        quiet: options.flag("--quiet"),
    })
}

/// Takes the checks to skip.
pub(super) fn insecure(options: &mut options::Options) -> Result<Insecure> {
    let insecure = options.value("--insecure-options", Insecure::parse)?;
    Ok(insecure.unwrap_or_default())
}

/// Takes an image: a word, and the labels after it.
fn reference(args: &mut Args) -> Result<Option<Reference>> {
    let Some(image) = args.argument() else {
        return Ok(None);
    };
    let mut labels = Vec::new();
    while let Some(label) = args.word_if(is_label)? {
        labels.push(label);
    }
    referenced(&image, &labels).map(Some)
}
