//! Writes an image as an archive: an OCI layout, and what `docker load` reads, in
//! one, as `docker save` does it.
//!
//! The configuration and the tar of each layer are the bytes that were stored, so
//! the image keeps its ID. Layers are not compressed, so the manifest is a new one.

use std::collections::BTreeMap;
use std::io::{BufRead, Read as _, Write};

use crate::archive::fixed_header::BLOCK;
use crate::archive::tar_header::{self, Attributes, Extent};
use crate::archive::walk::EntryKind;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::format::oci::unpacked;
use crate::store::images::Store;
use appc::json::{Object, Value};
use error::{Context as _, Error, Result};
use oci::layout::REF_NAME;
use oci::reference::{Reference, ShortNames};

/// The media types of what is written.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A file of the archive.
struct Blob {
    kind: &'static str,
    digest: Digest,
    size: u64,
}

impl Blob {
    fn of(kind: &'static str, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(bytes);
        Self {
            kind,
            digest: hasher.finish(),
            size: bytes.len() as u64,
        }
    }

    fn descriptor(&self) -> Object {
        Object::new()
            .with("mediaType", self.kind)
            .with("digest", self.digest.oci())
            .with("size", self.size)
    }

    fn path(&self) -> String {
        format!("blobs/{}", self.digest.oci().replacen(':', "/", 1))
    }
}

impl Store<'_> {
    /// Writes an OCI image as an archive.
    ///
    /// # Errors
    ///
    /// What is stored is not what its ID says, which may only be known when much is
    /// written; errors of `out`.
    pub(crate) fn export_oci(&self, id: &Digest, out: &mut dyn Write) -> Result<()> {
        let Some(image) = self.oci(id)? else {
            return Err(Error::invalid("it is not stored"));
        };
        let config = self.stored_manifest(id)?;
        let described = Blob::of(CONFIG, &config);
        let known = unpacked::layers(&image.config);
        let mut layers = Vec::new();
        for (layer, known) in image.layers.iter().zip(&known) {
            // The size stands before the content.
            let (size, digest) = self.layer_tar(layer, known.diff_id.algorithm(), |tar| {
                std::io::copy(tar, &mut std::io::sink()).context(|| "cannot read a layer")
            })?;
            layers.push(Blob {
                kind: LAYER,
                digest,
                size,
            });
        }
        let same = layers
            .iter()
            .zip(&known)
            .all(|(layer, known)| layer.digest == known.diff_id);
        if described.digest != *id || !same {
            return Err(changed());
        }
        let manifest = manifest(&described, &layers);
        let listed = Blob::of(MANIFEST, &manifest);
        let mut archive = Archive(out);
        archive.add("oci-layout", b"{\"imageLayoutVersion\":\"1.0.0\"}")?;
        archive.add("index.json", &index(&listed, &image.name))?;
        archive.add("manifest.json", &saved(&described, &layers, &image.name))?;
        archive.add(&described.path(), &config)?;
        archive.add(&listed.path(), &manifest)?;
        let mut written = Vec::new();
        for (layer, blob) in image.layers.iter().zip(&layers) {
            if written.contains(&blob.digest) {
                continue;
            }
            let ((), digest) = self.layer_tar(layer, blob.digest.algorithm(), |tar| {
                archive.append(&blob.path(), blob.size, tar)
            })?;
            if digest != blob.digest {
                return Err(changed());
            }
            written.push(blob.digest);
        }
        archive.write(&[0; 2 * BLOCK])
    }

    /// Reads the tar of a layer; returns its digest, too.
    fn layer_tar<T>(
        &self,
        layer: &Digest,
        algorithm: Algorithm,
        read: impl FnOnce(&mut dyn BufRead) -> Result<T>,
    ) -> Result<(T, Digest)> {
        self.stored(layer)?.through(algorithm, read)
    }
}

fn cannot_write() -> &'static str {
    "cannot write the archive"
}

fn changed() -> Error {
    Error::invalid("it has changed since it was stored")
        .hint("`launcher image verify` tells what has changed")
}

/// The archive in the making. Nothing in it depends on when and by whom it is made.
struct Archive<'a>(&'a mut dyn Write);

impl Archive<'_> {
    fn add(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.append(path, content.len() as u64, &mut &*content)
    }

    fn append(&mut self, path: &str, size: u64, content: &mut dyn BufRead) -> Result<()> {
        let attributes = Attributes {
            uid: 0,
            gid: 0,
            mode: 0o644,
            mtime: (0, 0),
            extended: BTreeMap::new(),
        };
        let extent = Extent {
            stored: size,
            sparse: None,
        };
        let file = &EntryKind::File;
        self.write(&tar_header::headers(
            path.as_bytes(),
            file,
            &attributes,
            extent,
        ))?;
        let copied = std::io::copy(&mut content.take(size), self.0).context(cannot_write)?;
        // What has become shorter or longer has another digest, too.
        self.write(&[0; BLOCK][..tar_header::padding(copied)])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes).context(cannot_write)
    }
}

fn manifest(config: &Blob, layers: &[Blob]) -> Vec<u8> {
    document(
        Object::new()
            .with("schemaVersion", 2_u32)
            .with("mediaType", MANIFEST)
            .with("config", config.descriptor())
            .with_items("layers", layers.iter().map(Blob::descriptor)),
    )
}

fn index(manifest: &Blob, name: &str) -> Vec<u8> {
    let annotations = Object::new().with(REF_NAME, name);
    let listed = manifest.descriptor().with("annotations", annotations);
    document(
        Object::new()
            .with("schemaVersion", 2_u32)
            .with("mediaType", INDEX)
            .with_items("manifests", [listed]),
    )
}

/// The list of images that `docker load` reads.
fn saved(config: &Blob, layers: &[Blob], name: &str) -> Vec<u8> {
    // Only a whole name is one there.
    let named = Reference::parse(name, &ShortNames::Refuse).ok();
    let named = named.filter(|image| image.digest().is_none());
    let image = Object::new()
        .with("Config", config.path())
        .with_items("RepoTags", named.map(|image| image.to_string()))
        .with_items("Layers", layers.iter().map(Blob::path));
    let list: Value = std::iter::once(image).collect();
    list.to_string().into_bytes()
}

fn document(object: Object) -> Vec<u8> {
    Value::from(object).to_string().into_bytes()
}
