//! Images in what `docker save` writes: a tar archive with a list, whose files
//! have names, and no digests but those that the configuration has.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::digest::{Algorithm, Hasher};
use crate::format::oci::blobs::Blobs;
use crate::format::oci::files::{Archive, Files};
use error::{Context as _, Error, Result};
use oci::config::{self, ImageConfig};
use oci::docker_archive::{self, ArchivedImage};
use oci::manifest::{Descriptor, LIMIT, Manifest};

/// The list of images.
pub(crate) const LIST: &str = "manifest.json";

/// An image of an archive.
pub(crate) struct Saved {
    files: Archive,
    image: ArchivedImage,
    /// The manifest that it would have.
    pub(crate) manifest: Manifest,
    /// Which file has which blob, by digest.
    paths: BTreeMap<String, PathBuf>,
}

impl Saved {
    /// Selects an image of an archive. `is_stored` tells by its DiffID whether a
    /// layer need not be read.
    ///
    /// # Errors
    ///
    /// As for [`docker_archive::Archive::select`]; the list is not valid, or a file
    /// is missing.
    pub(crate) fn select(files: Archive, wanted: Option<&str>) -> Result<Self> {
        let list = files.read(LIST, LIMIT)?;
        let list = docker_archive::Archive::read(&list).map_err(|error| error.at(LIST))?;
        let image = list.select(wanted)?.clone();
        let bytes = files.read(&image.config, config::LIMIT)?;
        let config = ImageConfig::read(&bytes).map_err(|error| error.at("its configuration"))?;
        config.check_layers(image.layers.len())?;
        let mut paths = BTreeMap::new();
        let mut descriptor = |path: &str, media_type: &str| -> Result<Descriptor> {
            let size = files.size(Path::new(path));
            let size = size.ok_or_else(|| Error::invalid(format!("it has no file `{path}`")))?;
            let digest = digest(&files, path)?;
            paths.insert(digest.to_string(), PathBuf::from(path));
            Ok(Descriptor::new(media_type, digest, size))
        };
        let layers = image.layers.iter();
        let layers = layers.map(|path| descriptor(path, "application/vnd.oci.image.layer.v1.tar"));
        let layers = layers.collect::<Result<_>>()?;
        let manifest = Manifest {
            config: descriptor(&image.config, "application/vnd.oci.image.config.v1+json")?,
            layers,
            annotations: BTreeMap::new(),
        };
        Ok(Self {
            files,
            image,
            manifest,
            paths,
        })
    }

    /// Returns the first of its names.
    pub(crate) fn name(&self) -> Option<&str> {
        self.image.tags.first().map(String::as_str)
    }
}

impl Blobs for Saved {
    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>> {
        let missing = || Error::invalid(format!("blob `{}` is missing", blob.digest));
        let path = self
            .paths
            .get(&blob.digest.to_string())
            .ok_or_else(missing)?;
        self.files.open(path)?.ok_or_else(missing)
    }
}

/// Returns the digest of a file.
fn digest(files: &Archive, path: &str) -> Result<oci::digest::Digest> {
    let what = || format!("cannot read its file `{path}`");
    let file = files.open(Path::new(path))?;
    let mut file = file.ok_or_else(|| Error::invalid(format!("it has no file `{path}`")))?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    std::io::copy(&mut file, &mut hasher).context(what)?;
    oci::digest::Digest::parse(&hasher.finish().oci())
}
