//! Images on a command line: a word, and the labels after it.

use std::path::Path;

use error::{Error, Result};
use image::reference::Reference;

/// `version:1.0.0` is a label of the image before it; `example.com/web:1.0.0` and
/// `oci:DIR` are other images.
pub(super) fn is_label(word: &str) -> bool {
    let is_image = |(scheme, _)| SCHEMES.contains(&scheme);
    !word.split_once(':').is_some_and(is_image) && has_key(word)
}

/// What images begin with that are not given by name.
const SCHEMES: [&str; 4] = ["aci", "docker-archive", "oci", "oci-archive"];

fn has_key(word: &str) -> bool {
    word.split_once(':').is_some_and(|(key, value)| {
        !key.is_empty() && !key.contains(['/', '.']) && !value.starts_with("//")
    })
}

/// Parses an image and the labels after it.
pub(super) fn referenced(image: &Path, labels: &[String]) -> Result<Reference> {
    // What is not text can only be a path.
    match image.to_str() {
        Some(text) => Reference::parse(text, labels),
        None => Ok(Reference::Appc(appc::reference::Reference::Path(
            image.to_owned(),
        ))),
    }
}

/// The error for a missing image.
pub(super) fn missing_image() -> Error {
    Error::usage("an image is missing")
        .hint("give a file such as `hello.aci`, or a name such as `example.com/web:1.0.0`")
}
