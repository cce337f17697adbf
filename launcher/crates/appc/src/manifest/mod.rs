//! Manifests: JSON documents that describe an image or a pod.
//!
//! Parsing is as strict as the specification, even where its reference
//! implementation is not; what is merely unusual is accepted with a warning.
//! Messages name the field and the value.
//!
//! # Not here
//!
//! Whether an image *can run*. Whether a user or a directory exists is checked
//! in its root file system, when the pod is created.

pub mod app;
mod document;
pub mod image;
pub mod isolator;
pub mod pod;
mod shared;
pub mod template;

pub use crate::manifest::document::{AcKind, Checked, SPECIFICATION};
pub use crate::manifest::image::ImageManifest;
pub use crate::manifest::pod::PodManifest;
pub use crate::manifest::shared::Port;

use crate::json;
use crate::manifest::document::{kind, read_document};
use error::Error;

/// Checks a manifest of either kind, and returns the kind.
///
/// # Errors
///
/// All faults, at least one.
pub fn check(text: &[u8]) -> Result<Checked<AcKind>, Vec<Error>> {
    let one = |error| vec![error];
    let document = json::parse(text).map_err(one)?;
    let value = kind(&document).map_err(one)?;
    let warnings = match value {
        AcKind::Image => read_document(&document, ImageManifest::read)?.warnings,
        AcKind::Pod => read_document(&document, PodManifest::read)?.warnings,
    };
    Ok(Checked { value, warnings })
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
