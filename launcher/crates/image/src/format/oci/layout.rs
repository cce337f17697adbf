//! Images in files with the layout of the OCI image specification
//! (image-layout.md).

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::format::oci::blobs::Blobs;
use crate::format::oci::files::Files;
use error::{Error, Result};
use oci::layout::{self, check_version};
use oci::manifest::{Descriptor, Index, LIMIT};

/// The file that says that others have this layout.
pub(crate) const MARKER: &str = "oci-layout";

/// The file that lists the images.
const INDEX: &str = "index.json";

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
fn place(blob: &Descriptor) -> PathBuf {
    let (algorithm, hex) = (blob.digest.algorithm().name(), blob.digest.hex());
    Path::new("blobs").join(algorithm).join(hex)
}
