//! An image that leaves the store: its layers, one after another, its configuration
//! and its manifest are passed to a `Destination`.
//!
//! The configuration and the tar of each layer are the bytes that were stored, so
//! the image keeps its ID. Where layers were kept as they had been compressed, or
//! were not compressed at all, it keeps its manifest as well, byte for byte.
//! Otherwise the manifest is a new one. Nothing in it depends on when and by whom it
//! is made.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt as _;

use crate::archive::deflate::Gzip;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::format::oci::blobs::Blobs;
use crate::format::oci::import::{Offer, Selected};
use crate::format::oci::unpacked;
use crate::store::blobs::KnownManifest;
use crate::store::images::Store;
use crate::trust::admitted::Admitted;
use appc::json::{Object, Value};
use error::{Context as _, Error, Result};
use oci::config::ImageConfig;
use oci::manifest::{Descriptor, Manifest};
use oci::media_type::MANIFEST;
use oci::signature;
use sys::dirs::Dirs;

/// The media types of what else is made.
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// How layers are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Not compressed.
    Plain,
    /// As they were kept; those that were not, not compressed.
    Kept,
    /// As they were kept; those that were not, compressed.
    Compressed,
}

/// Where an image goes.
pub(crate) trait Destination {
    /// Returns how it takes layers.
    fn form(&self) -> Form;

    /// Returns whether a blob is there already.
    ///
    /// # Errors
    ///
    /// It cannot be reached.
    fn has(&mut self, blob: &Descriptor) -> Result<bool>;

    /// Takes a blob, unless it is there.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    fn put(&mut self, blob: &Descriptor, content: Content) -> Result<()>;

    /// Takes the rest, after all blobs: then the image is there.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    fn finish(&mut self, image: &Parts) -> Result<()>;
}

/// What an image consists of that was sent.
pub(crate) struct Parts {
    /// Its manifest.
    pub(crate) manifest: Descriptor,
    /// The bytes of that.
    pub(crate) bytes: Vec<u8>,
    /// Its configuration.
    pub(crate) config: Descriptor,
    /// Its layers, lowest first.
    pub(crate) layers: Vec<Descriptor>,
}

/// The bytes of a blob, which can be read several times.
pub(crate) enum Content {
    /// They are in memory.
    Bytes(Vec<u8>),
    /// They are in a file.
    File(File),
}

impl Content {
    /// Reads them from the beginning.
    ///
    /// # Errors
    ///
    /// There are too many open files.
    pub(crate) fn read(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Bytes(bytes) => Box::new(io::Cursor::new(bytes.clone())),
            Self::File(file) => Box::new(Reader {
                file: file.try_clone()?,
                at: 0,
            }),
        })
    }
}

/// Reads a file, whose own position does not count.
struct Reader {
    file: File,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Signatures that leave with an image: their manifest, its bytes, and its blobs.
pub(crate) type Signatures = (Descriptor, Vec<u8>, Vec<(Descriptor, Content)>);

/// A layer that leaves.
enum Layer {
    /// One that is stored, and the digest of its tar.
    Stored(Digest, Digest),
    /// One that was made just now: a tar, and its digest.
    Made(File, Digest),
}

/// An image that leaves.
pub struct Outgoing<'s> {
    store: &'s Store<'s>,
    id: Digest,
    /// What it is called.
    pub name: String,
    config: Vec<u8>,
    layers: Vec<Layer>,
    known: Vec<KnownManifest>,
    /// Whether its manifest, or an index that led to it, was signed.
    is_signed: bool,
}

impl<'s> Outgoing<'s> {
    /// An image that is stored.
    ///
    /// # Errors
    ///
    /// It is not stored, or has changed since it was.
    pub fn stored(store: &'s Store<'s>, id: &Digest) -> Result<Self> {
        let Some(image) = store.oci(id)? else {
            return Err(Error::invalid("it is not an OCI image"));
        };
        let config = store.stored_manifest(id)?;
        if digest_of(id.algorithm(), &config) != *id {
            return Err(changed());
        }
        let layers = image.layers.iter().zip(unpacked::layers(&image.config));
        Ok(Self {
            layers: layers
                .map(|(at, known)| Layer::Stored(*at, known.diff_id))
                .collect(),
            known: store.manifests(id)?,
            is_signed: store.record(id)?.is_signed(),
            id: *id,
            name: image.name,
            config,
            store,
        })
    }

    /// An image that was made: a layer, whose digest this is, upon the layers of
    /// another one, if there is one. The digests of its layers are added to the
    /// configuration.
    ///
    /// # Errors
    ///
    /// None known.
    pub fn made(
        store: &'s Store<'s>,
        name: String,
        base: Option<Self>,
        layer: (File, Digest),
        config: ImageConfig,
    ) -> Result<Self> {
        let mut layers = base.map_or_else(Vec::new, |base| base.layers);
        layers.push(Layer::Made(layer.0, layer.1));
        let digests = layers.iter().map(|layer| layer.diff_id().oci());
        let digests = digests.map(|digest| oci::digest::Digest::parse(&digest));
        let config = ImageConfig {
            diff_ids: digests.collect::<Result<_>>()?,
            ..config
        };
        let config = config.to_json().to_string().into_bytes();
        Ok(Self {
            id: digest_of(Algorithm::Sha256, &config),
            known: Vec::new(),
            is_signed: false,
            store,
            name,
            config,
            layers,
        })
    }

    /// Stores an image that was made, from this source. Returns its ID.
    ///
    /// # Errors
    ///
    /// Errors of the disk.
    pub fn store(&self, from: String, note: &mut dyn FnMut(String)) -> Result<Digest> {
        let config = described(CONFIG, &self.config)?;
        let layer = |layer: &Layer| -> Result<Descriptor> {
            let digest = oci::digest::Digest::parse(&layer.diff_id().oci())?;
            let size = match layer {
                // It is not read.
                Layer::Stored(..) => 0,
                Layer::Made(tar, _) => tar.metadata().context(cannot_spool)?.len(),
            };
            Ok(Descriptor::new(LAYER, digest, size))
        };
        let layers: Vec<Descriptor> = self.layers.iter().map(layer).collect::<Result<_>>()?;
        let platform = ImageConfig::read(&self.config)?.platform;
        let manifest = Manifest {
            annotations: BTreeMap::new(),
            config,
            layers,
        };
        let offer = Offer {
            name: self.name.clone(),
            is_claimed: false,
            blobs: self,
            selected: Selected::Manifest(manifest),
            max_size: None,
            platform: &platform.unwrap_or_default(),
            admitted: Admitted::built(&self.name),
            keeps: false,
            from,
        };
        self.store.take_oci(&offer, note)
    }

    /// Returns the directories of the store.
    pub(crate) const fn dirs(&self) -> &'s Dirs {
        self.store.dirs
    }

    /// Returns its ID.
    pub const fn id(&self) -> Digest {
        self.id
    }

    /// Describes its configuration.
    ///
    /// # Errors
    ///
    /// None known.
    pub(crate) fn configuration(&self) -> Result<Descriptor> {
        described(CONFIG, &self.config)
    }

    /// Sends it. Returns the digest of its manifest. What the user should know is
    /// passed to `note`.
    ///
    /// # Errors
    ///
    /// What is stored is not what its ID says, which may only be known when much is
    /// sent; errors of the destination.
    pub(crate) fn send(
        &self,
        to: &mut dyn Destination,
        note: &mut dyn FnMut(String),
    ) -> Result<Digest> {
        let known = self.known()?;
        let mut layers = Vec::new();
        for (number, layer) in self.layers.iter().enumerate() {
            let wanted = known.and_then(|known| known.manifest.layers.get(number));
            layers.push(self.send_layer(layer, wanted, to)?);
        }
        let is_same = |known: &&KnownManifest| {
            let expected = known.manifest.layers.iter().map(|layer| &layer.digest);
            expected.eq(layers.iter().map(|layer| &layer.digest))
        };
        let same = known.filter(is_same);
        let kind = same.map_or(CONFIG, |known| &known.manifest.config.media_type);
        let config = described(kind, &self.config)?;
        to.put(&config, Content::Bytes(self.config.clone()))?;
        let (manifest, bytes) = match same {
            Some(known) => {
                let Descriptor {
                    media_type,
                    digest,
                    size,
                    ..
                } = &known.descriptor;
                let descriptor = Descriptor::new(media_type, digest.clone(), *size);
                (descriptor, known.bytes.clone())
            }
            None => {
                let bytes = manifest(&config, &layers);
                (described(MANIFEST, &bytes)?, bytes)
            }
        };
        if let (None, Some(known), true) = (same, known, to.form() != Form::Plain) {
            let (new, old) = (&manifest.digest, &known.descriptor.digest);
            note(format!(
                "the digest of the manifest is `{new}`, not `{old}` as before: the image was \
                 fetched without `--keep-blobs`"
            ));
        }
        if to.form() == Form::Kept {
            self.leave_signatures(note);
        }
        let digest = Digest::from(&manifest.digest);
        to.finish(&Parts {
            manifest,
            bytes,
            config,
            layers,
        })?;
        Ok(digest)
    }

    /// Says that signatures are not where the image goes.
    pub(crate) fn leave_signatures(&self, note: &mut dyn FnMut(String)) {
        if self.is_signed {
            let name = &self.name;
            note(format!(
                "the signatures of `{name}` stay where they are: sign it at its new place"
            ));
        }
    }

    /// Returns cosign's signatures of what has this digest that were kept: the bundles,
    /// and the latest of what was attached.
    ///
    /// # Errors
    ///
    /// A blob is not there any more; errors of the disk.
    pub(crate) fn signatures(&self, signed: &Digest) -> Result<Vec<Signatures>> {
        let all = self.store.signatures(&self.id, signed)?.into_iter();
        let (mut all, mut attached): (Vec<_>, Vec<_>) =
            all.partition(|(_, bytes)| signature::is_bundle(bytes));
        all.extend(attached.pop());
        let with_blobs = |(manifest, bytes): (Descriptor, Vec<u8>)| {
            let mut blobs = Vec::new();
            for blob in signature::blobs(&bytes)? {
                let kept = self.store.kept(&Digest::from(&blob.digest))?;
                blobs.push((blob, Content::File(kept.ok_or_else(changed)?)));
            }
            Ok((manifest, bytes, blobs))
        };
        all.into_iter().map(with_blobs).collect()
    }

    /// Returns the latest manifest whose layers can all be had, or else the latest.
    fn known(&self) -> Result<Option<&KnownManifest>> {
        let is_own = |known: &&KnownManifest| {
            Digest::from(&known.manifest.config.digest) == self.id
                && known.manifest.layers.len() == self.layers.len()
        };
        let mut latest = None;
        for known in self.known.iter().rev().filter(is_own) {
            let mut all = true;
            for (layer, wanted) in self.layers.iter().zip(&known.manifest.layers) {
                let digest = Digest::from(&wanted.digest);
                all = all && (digest == layer.diff_id() || self.store.blobs.contains(&digest)?);
            }
            if all {
                return Ok(Some(known));
            }
            latest.get_or_insert(known);
        }
        Ok(latest)
    }

    /// Sends a layer; `wanted` is the one that a known manifest has.
    fn send_layer(
        &self,
        layer: &Layer,
        wanted: Option<&Descriptor>,
        to: &mut dyn Destination,
    ) -> Result<Descriptor> {
        let form = to.form();
        let wanted = wanted.filter(|_| form != Form::Plain);
        if let Some(wanted) = wanted {
            if to.has(wanted)? {
                return Ok(wanted.clone());
            }
            let digest = Digest::from(&wanted.digest);
            if let Some(file) = self.store.kept(&digest)? {
                if !self.store.is_sound(&digest)? {
                    return Err(changed());
                }
                to.put(wanted, Content::File(file))?;
                return Ok(wanted.clone());
            }
        }
        let diff_id = layer.diff_id();
        let is_plain = wanted.is_some_and(|wanted| Digest::from(&wanted.digest) == diff_id);
        let (kind, digest, file) = match form == Form::Compressed && !is_plain {
            false => (LAYER, diff_id, self.tar(layer)?),
            true => {
                let mut packed = Packed::new(self.store.temporary()?).context(cannot_spool)?;
                self.copy(layer, &mut packed)?;
                let (digest, file) = packed.finish().context(cannot_spool)?;
                (LAYER_GZIP, digest, file)
            }
        };
        let size = file.metadata().context(cannot_spool)?.len();
        let digest = oci::digest::Digest::parse(&digest.oci())?;
        let descriptor = Descriptor::new(kind, digest, size);
        to.put(&descriptor, Content::File(file))?;
        Ok(descriptor)
    }

    /// Returns the tar of a layer.
    fn tar(&self, layer: &Layer) -> Result<File> {
        if let Layer::Made(tar, _) = layer {
            return tar.try_clone().context(cannot_spool);
        }
        let mut file = self.store.temporary()?;
        self.copy(layer, &mut file)?;
        Ok(file)
    }

    /// Writes the tar of a layer, and compares its digest.
    fn copy(&self, layer: &Layer, out: &mut dyn Write) -> Result<()> {
        match layer {
            Layer::Made(tar, _) => {
                let tar = tar.try_clone().context(cannot_spool)?;
                let copied = io::copy(&mut Reader { file: tar, at: 0 }, out);
                copied.map(drop).context(cannot_spool)
            }
            Layer::Stored(at, diff_id) => {
                let stored = self.store.stored(at)?;
                let (_, found) = stored.through(diff_id.algorithm(), |tar| {
                    io::copy(tar, out).context(|| "cannot copy it")
                })?;
                match found == *diff_id {
                    true => Ok(()),
                    false => Err(changed()),
                }
            }
        }
    }
}

impl Blobs for Outgoing<'_> {
    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>> {
        let digest = Digest::from(&blob.digest);
        let made = self.layers.iter().find_map(|layer| match layer {
            Layer::Made(tar, diff_id) if *diff_id == digest => Some(tar),
            _ => None,
        });
        let content = match made {
            Some(tar) => Content::File(tar.try_clone().context(cannot_spool)?),
            None if digest == self.id => Content::Bytes(self.config.clone()),
            None => return Err(Error::invalid(format!("blob `{digest}` is missing"))),
        };
        content.read().context(cannot_spool)
    }
}

impl Layer {
    fn diff_id(&self) -> Digest {
        match self {
            Self::Stored(_, diff_id) | Self::Made(_, diff_id) => *diff_id,
        }
    }
}

/// A file that is compressed and hashed as it is written.
struct Packed(Gzip<Hashed>);

impl Packed {
    fn new(file: File) -> io::Result<Self> {
        let hasher = Hasher::new(Algorithm::Sha256);
        Gzip::small(Hashed { file, hasher }).map(Self)
    }

    fn finish(mut self) -> io::Result<(Digest, File)> {
        self.0.finish()?;
        let Hashed { file, hasher } = self.0.into_inner();
        Ok((hasher.finish(), file))
    }
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Hashed {
    file: File,
    hasher: Hasher,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn cannot_spool() -> &'static str {
    "cannot write a temporary file"
}

/// The error for an image that is not what its ID says.
fn changed() -> Error {
    Error::invalid("it has changed since it was stored")
        .hint("`launcher image verify` tells what has changed")
}

fn digest_of(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}

/// Describes bytes.
pub(crate) fn described(kind: &str, bytes: &[u8]) -> Result<Descriptor> {
    let digest = digest_of(Algorithm::Sha256, bytes).oci();
    let digest = oci::digest::Digest::parse(&digest)?;
    Ok(Descriptor::new(kind, digest, bytes.len() as u64))
}

fn manifest(config: &Descriptor, layers: &[Descriptor]) -> Vec<u8> {
    let manifest: Value = Object::new()
        .with("schemaVersion", 2_u32)
        .with("mediaType", MANIFEST)
        .with("config", config.to_json())
        .with(
            "layers",
            layers.iter().map(Descriptor::to_json).collect::<Value>(),
        )
        .into();
    manifest.to_string().into_bytes()
}
