//! Images in files with the layout of the OCI image specification
//! (image-layout.md).

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::format::oci::blobs::{self, Blobs};
use crate::format::oci::files::Files;
use appc::json::{self, Object, Value};
use error::{Error, Result};
use oci::layout::{self, REF_NAME, check_version};
use oci::manifest::{Descriptor, Document, Index, LIMIT};
use oci::media_type;

/// The file that says that others have this layout.
pub(crate) const MARKER: &str = "oci-layout";

/// What that file has.
pub(crate) const VERSION: &[u8] = b"{\"imageLayoutVersion\":\"1.0.0\"}";

/// The file that lists the images.
pub(crate) const INDEX: &str = "index.json";

/// Files with this layout.
pub(crate) struct Layout<F>(F);

impl<F: Files> Layout<F> {
    /// Takes files.
    ///
    /// # Errors
    ///
    /// They have another layout.
    pub(crate) fn new(files: F) -> Result<Self> {
        check_version(&files.read(MARKER, LIMIT)?).map_err(|error| error.at(MARKER))?;
        Ok(Self(files))
    }

    /// Returns its files.
    pub(crate) fn into_files(self) -> F {
        self.0
    }

    /// Returns whether the manifest of an image has no layers, as that of docker 25.0
    /// (moby/moby issue 47065).
    pub(crate) fn lacks_layers(&self, index: &Index) -> bool
    where
        F: Sync,
    {
        let mut manifests = index.manifests.iter();
        manifests.any(|manifest| match blobs::document(self, manifest) {
            Ok((_, Document::Manifest(manifest))) => manifest.layers.is_empty(),
            _ => false,
        })
    }

    /// Selects an image.
    ///
    /// # Errors
    ///
    /// As for [`layout::Layout::select`]; the list of images is not valid.
    pub(crate) fn select(&self, wanted: Option<&str>) -> Result<Index> {
        let list = self.0.read(INDEX, LIMIT)?;
        let layout = layout::Layout::read(&list).map_err(|error| error.at(INDEX))?;
        layout.select(wanted)
    }
}

impl<F: Files> Blobs for Layout<F> {
    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>> {
        let file = self.0.open(&place(blob))?;
        file.ok_or_else(|| Error::invalid(format!("blob `{}` is missing", blob.digest)))
    }
}

/// Returns where a layout has a blob.
pub(crate) fn place(blob: &Descriptor) -> PathBuf {
    let (algorithm, hex) = (blob.digest.algorithm().name(), blob.digest.hex());
    Path::new("blobs").join(algorithm).join(hex)
}

/// Returns a list of images with another one, which takes its name from whatever
/// has it.
///
/// # Errors
///
/// There is a list that is not valid.
pub(crate) fn with(before: Option<&[u8]>, image: &Descriptor, name: &str) -> Result<Vec<u8>> {
    let mut images = Vec::new();
    if let Some(before) = before {
        // It may have more than we know of.
        layout::Layout::read(before).map_err(|error| error.at(INDEX))?;
        if let Some(Value::List(before)) = json::parse(before)?.get("manifests") {
            images.extend(before.iter().cloned());
        }
    }
    images.retain(|known| {
        let annotations = known.get("annotations");
        annotations.and_then(|all| all.text(REF_NAME)).as_deref() != Some(name)
    });
    let named = Object::new().with(REF_NAME, name);
    images.push(image.to_json().with("annotations", named).into());
    let list: Value = Object::new()
        .with("schemaVersion", 2_u32)
        .with("mediaType", media_type::INDEX)
        .with("manifests", Value::List(images))
        .into();
    Ok(list.to_string().into_bytes())
}
