//! Blobs of OCI images that are kept as they were received: always the manifests,
//! and, if that was asked for, the layers as they were compressed.
//!
//! ```text
//! blobs/sha256-.../blob         the bytes
//! images/sha256-.../manifests   the manifests of an image, the latest last, as the
//!                               list of an OCI layout; an annotation says which
//!                               index led to one, or what one with signatures is of
//! ```
//!
//! An image goes by its configuration, so several manifests can be its own: they
//! differ in how its layers are compressed. A signature of an image is of one of
//! them, or of an index.

use std::fs::File;
use std::io::{self, Read};

use rustix::fs::{FlockOperation, OFlags};

use crate::archive::tar_reader;
use crate::digest::{Digest, Hasher};
use crate::store::images::Store;
use crate::store::staging::Staging;
use crate::trust::blob::Blob;
use appc::json::{Object, Value};
use error::{Context as _, Result};
use oci::manifest::{Descriptor, Document, LIMIT, Manifest};
use oci::signature;
use sys::root_fd;

/// The name under which a blob is staged.
const STAGED: &str = "blob";

/// The list of an image's manifests.
const MANIFESTS: &str = "manifests";

/// The annotation with the digest of the index that led to a manifest.
const INDEX: &str = "index";

/// The annotation with the digest of what a manifest with signatures is of.
const SIGNED: &str = "signed";

/// The most manifests that are remembered of an image, and the most with signatures.
const MOST: usize = 16;

/// A manifest of a stored image.
pub struct KnownManifest {
    /// What it is.
    pub descriptor: Descriptor,
    /// The digest of the index that led to it.
    pub index: Option<String>,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it says.
    pub manifest: Manifest,
}

impl Store<'_> {
    /// Opens a blob, if it is kept, and holds a lease on it.
    ///
    /// # Errors
    ///
    /// Errors of the disk.
    pub(crate) fn kept(&self, digest: &Digest) -> Result<Option<File>> {
        if !self.blobs.hold(digest)? {
            return Ok(None);
        }
        let directory = self.blobs.open(digest, "")?;
        let file = root_fd::open(directory, STAGED.as_ref(), OFlags::RDONLY);
        let file = file.context(|| format!("cannot open blob `{digest}`"))?;
        Ok(Some(File::from(file)))
    }

    /// Returns whether a blob is kept.
    ///
    /// # Errors
    ///
    /// Errors of the disk.
    pub fn keeps(&self, digest: &Digest) -> Result<bool> {
        self.blobs.contains(digest)
    }

    /// Keeps a blob, unless it is kept.
    ///
    /// # Errors
    ///
    /// It is not what its descriptor says; errors of `open` and of the disk.
    pub(crate) fn keep(
        &self,
        descriptor: &Descriptor,
        open: impl FnOnce() -> Result<Box<dyn Read + Send>>,
    ) -> Result<()> {
        let digest = Digest::from(&descriptor.digest);
        if self.blobs.hold(&digest)? {
            return Ok(());
        }
        let what = || format!("cannot keep blob `{digest}`");
        let staging = Staging::make(self.dirs)?;
        let folder = staging.directory(STAGED)?;
        let (mut blob, proof) = Blob::new(descriptor, open()?);
        let mut file = folder.create(STAGED)?;
        io::copy(&mut blob, &mut file).map_err(tar_reader::unreadable)?;
        proof.check()?;
        file.sync_all().context(what)?;
        rustix::fs::fsync(folder.fd()).context(what)?;
        let (lease, _) = self.blobs.publish(&staging, STAGED, &digest)?;
        self.blobs.keep(&digest, lease);
        Ok(())
    }

    /// Remembers that an image has a manifest, and keeps that. `index` is the
    /// digest of the index that led to it.
    ///
    /// # Errors
    ///
    /// Errors of the disk.
    pub(crate) fn add_manifest(
        &self,
        id: &Digest,
        descriptor: &Descriptor,
        bytes: &[u8],
        index: Option<&Digest>,
    ) -> Result<()> {
        let index = index.map(|index| (INDEX, index.oci()));
        self.add(id, descriptor, bytes, index)
    }

    /// Remembers that what an image came from has signatures, and keeps the manifest
    /// of these. `signed` is the digest that they are of.
    ///
    /// # Errors
    ///
    /// Errors of the disk.
    pub(crate) fn add_signatures(
        &self,
        id: &Digest,
        manifest: &Descriptor,
        bytes: &[u8],
        signed: &Digest,
    ) -> Result<()> {
        self.add(id, manifest, bytes, Some((SIGNED, signed.oci())))
    }

    fn add(
        &self,
        id: &Digest,
        descriptor: &Descriptor,
        bytes: &[u8],
        annotation: Option<(&str, String)>,
    ) -> Result<()> {
        let bytes = bytes.to_vec();
        self.keep(descriptor, || Ok(Box::new(io::Cursor::new(bytes))))?;
        let what = || format!("cannot write the manifests of image `{}`", id.short());
        // Released when `names` is closed.
        let names = self.dirs.names()?;
        rustix::fs::flock(&names, FlockOperation::LockExclusive).context(what)?;
        let (media_type, digest) = (&descriptor.media_type, descriptor.digest.clone());
        let mut entry = Descriptor::new(media_type, digest, descriptor.size);
        let annotation = annotation.map(|(name, value)| (name.to_owned(), value));
        entry.annotations.extend(annotation);
        let mut entries = self.listed_manifests(id)?;
        if entries.last() == Some(&entry) {
            return Ok(());
        }
        entries.retain(|known| known.digest != entry.digest);
        let new = entry.clone();
        entries.push(entry);
        let is_signature = |entry: &Descriptor| entry.annotations.contains_key(SIGNED);
        let is_same_kind = |entry: &Descriptor| is_signature(entry) == is_signature(&new);
        let count = entries.iter().filter(|entry| is_same_kind(entry)).count();
        if count > MOST
            && let Some(oldest) = entries.iter().position(is_same_kind)
        {
            entries.remove(oldest);
        }
        let entries = entries.iter().map(Descriptor::to_json);
        let list: Value = Object::new()
            .with("schemaVersion", 2_u32)
            .with_items("manifests", entries)
            .into();
        let staging = Staging::make(self.dirs)?;
        let file = staging.write(MANIFESTS, list.to_string().as_bytes())?;
        file.sync_all().context(what)?;
        let image = self.images.open(id, "")?;
        rustix::fs::renameat(staging.fd(), MANIFESTS, &image, MANIFESTS).context(what)?;
        rustix::fs::fsync(&image).context(what)
    }

    /// Returns what is known of the manifests of an image, the latest last. A list
    /// that is damaged has none.
    fn listed_manifests(&self, id: &Digest) -> Result<Vec<Descriptor>> {
        let list = self.images.read(id, MANIFESTS, LIMIT)?;
        Ok(match Document::read(&list.unwrap_or_default(), None) {
            Ok(Document::Index(index)) => index.manifests,
            _ => Vec::new(),
        })
    }

    /// Returns the manifests of an image, the latest last. One that is damaged is
    /// left out.
    ///
    /// # Errors
    ///
    /// Errors of the disk.
    pub fn manifests(&self, id: &Digest) -> Result<Vec<KnownManifest>> {
        let mut known = Vec::new();
        for (descriptor, bytes) in self.sound_manifests(id)? {
            if descriptor.annotations.contains_key(SIGNED) {
                continue;
            }
            let claimed = Some(descriptor.media_type.as_str()).filter(|kind| !kind.is_empty());
            if let Ok(Document::Manifest(manifest)) = Document::read(&bytes, claimed) {
                known.push(KnownManifest {
                    index: descriptor.annotations.get(INDEX).cloned(),
                    descriptor,
                    bytes,
                    manifest,
                });
            }
        }
        Ok(known)
    }

    /// Returns the manifests of the signatures of something that an image came from,
    /// with their bytes, the latest last.
    ///
    /// # Errors
    ///
    /// Errors of the disk.
    pub(crate) fn signatures(
        &self,
        id: &Digest,
        signed: &Digest,
    ) -> Result<Vec<(Descriptor, Vec<u8>)>> {
        let signed = signed.oci();
        let mut all = self.sound_manifests(id)?;
        all.retain(|(manifest, _)| manifest.annotations.get(SIGNED) == Some(&signed));
        Ok(all)
    }

    /// Returns the manifests that are listed of an image and still what they were.
    fn sound_manifests(&self, id: &Digest) -> Result<Vec<(Descriptor, Vec<u8>)>> {
        let mut sound = Vec::new();
        for descriptor in self.listed_manifests(id)? {
            let digest = Digest::from(&descriptor.digest);
            let Some(bytes) = self.blobs.read(&digest, STAGED, LIMIT)? else {
                continue;
            };
            let mut hasher = Hasher::new(digest.algorithm());
            hasher.update(&bytes);
            if hasher.finish() == digest {
                sound.push((descriptor, bytes));
            }
        }
        Ok(sound)
    }

    /// Returns the blobs that an image has, kept or not.
    ///
    /// # Errors
    ///
    /// Errors of the disk.
    pub(crate) fn blobs_of(&self, id: &Digest) -> Result<Vec<Digest>> {
        let listed = self.listed_manifests(id)?;
        let mut blobs: Vec<Digest> = listed.iter().map(|one| Digest::from(&one.digest)).collect();
        for known in self.manifests(id)? {
            let layers = known.manifest.layers.iter();
            blobs.extend(layers.map(|layer| Digest::from(&layer.digest)));
        }
        for (manifest, bytes) in self.sound_manifests(id)? {
            if manifest.annotations.contains_key(SIGNED) {
                let parts = signature::blobs(&bytes).unwrap_or_default();
                blobs.extend(parts.iter().map(|part| Digest::from(&part.digest)));
            }
        }
        let mut kept = Vec::new();
        for blob in blobs {
            if self.blobs.contains(&blob)? && !kept.contains(&blob) {
                kept.push(blob);
            }
        }
        Ok(kept)
    }

    /// Returns whether a kept blob still has its digest.
    ///
    /// # Errors
    ///
    /// Errors of the disk.
    pub(crate) fn is_sound(&self, digest: &Digest) -> Result<bool> {
        let what = || format!("cannot read blob `{digest}`");
        let directory = self.blobs.open(digest, "")?;
        let file = root_fd::open(directory, STAGED.as_ref(), OFlags::RDONLY);
        let file = match file {
            Err(error) if root_fd::is_absent(&error) => return Ok(false),
            file => file.context(what)?,
        };
        let mut hasher = Hasher::new(digest.algorithm());
        io::copy(&mut File::from(file), &mut hasher).context(what)?;
        Ok(hasher.finish() == *digest)
    }
}
