//! Stores OCI images: from the list that names one for each platform, through its
//! manifest and configuration, to its layers. Each blob must have the digest by
//! which it is called, and each layer, when it is unpacked, the one that the
//! configuration has. A layer that is stored is not asked for again.

use std::io::Read;
use std::path::PathBuf;
use std::sync::mpsc::channel;

use crate::digest::Digest;
use crate::format::oci::FORMAT;
use crate::format::oci::apply::Apply;
use crate::format::oci::below::Below;
use crate::format::oci::blobs::{self, Blobs};
use crate::format::oci::side_by_side::side_by_side;
use crate::format::oci::unpacked::{self, Layer};
use crate::store::images::{Image, Store};
use crate::store::record::{Origin, Record};
use crate::store::staging::Staging;
use crate::store::{layers, listing, names};
use crate::trust::admitted::Admitted;
use crate::trust::blob::{Blob, Proof};
use error::quote::escaped;
use error::{Context as _, Error, Kind, Result};
use oci::choose::{Descent, choose};
use oci::config::{self, ImageConfig};
use oci::manifest::{Descriptor, Document, Index, Manifest};
use oci::platform::Platform;
use sys::size;

/// An image that is to be stored.
pub(crate) struct Offer<'a> {
    /// Where it comes from, for messages and the record.
    pub(crate) from: String,
    /// What it is called.
    pub(crate) name: String,
    /// Whether only the image itself says that it is called so.
    pub(crate) is_claimed: bool,
    /// Its blobs.
    pub(crate) blobs: &'a dyn Blobs,
    /// What was selected there.
    pub(crate) selected: Selected,
    /// What it must run on.
    pub(crate) platform: &'a Platform,
    /// How large its compressed layers may be together, in bytes.
    pub(crate) max_size: Option<u64>,
    /// Why it is accepted.
    pub(crate) admitted: Admitted,
    /// Whether its layers are kept as they are compressed, too.
    pub(crate) keeps: bool,
}

/// What was selected of what has several images.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(crate) enum Selected {
    /// One image, or one for each of several platforms.
    Index(Index),
    /// One image, whose manifest has no digest.
    Manifest(Manifest),
}

impl Store<'_> {
    /// Stores an image, and returns its ID; it holds a lease on it. What the user
    /// should know is passed to `note`.
    ///
    /// # Errors
    ///
    /// The image is not valid; errors of the disk. Of the image, nothing is left
    /// behind; layers that were complete are removed as others without an image.
    pub(crate) fn take_oci(
        &self,
        offer: &Offer<'_>,
        note: &mut dyn FnMut(String),
    ) -> Result<Digest> {
        self.import_oci(offer, note).map_err(|error| {
            let from = &offer.from;
            let what = match error.kind() {
                Kind::Invalid => format!("image `{from}` is not valid"),
                Kind::NotFound | Kind::Usage => format!("cannot choose an image of `{from}`"),
                _ => format!("cannot store image `{from}`"),
            };
            Error::new(error.kind(), what).because(error)
        })
    }

    fn import_oci(&self, offer: &Offer<'_>, note: &mut dyn FnMut(String)) -> Result<Digest> {
        let found = find(offer)?;
        let manifest = &found.manifest;
        let bytes = blobs::read(offer.blobs, &manifest.config, config::LIMIT)
            .map_err(|error| error.at("its configuration"))?;
        let id = Digest::from(&manifest.config.digest);
        let config = ImageConfig::read(&bytes).map_err(|error| error.at("its configuration"))?;
        config.check_layers(manifest.layers.len())?;
        if let Some(made_for) = &config.platform
            && offer.platform.distance(made_for).is_none()
        {
            let (name, wanted) = (&offer.name, offer.platform);
            note(format!(
                "image `{name}` is made for `{made_for}`, not for `{wanted}`"
            ));
        }
        if !self.images.hold(&id)? || !self.hold(&id)? {
            check_size(manifest, offer.max_size)?;
            let layers = self.import_layers(offer, &config, manifest, note)?;
            self.import_image(offer, id, bytes, layers, size(manifest))?;
        }
        if offer.keeps {
            // Those of layers that were stored.
            for blob in &manifest.layers {
                let end = |kept| offer.blobs.ended(blob, kept, false);
                self.keep_blob(offer, blob, &|input| input, &end)?;
            }
        }
        if let Some(source) = &found.source {
            let (manifest, index) = (&source.descriptor, source.index.as_ref());
            self.add_manifest(&id, manifest, &source.bytes, index)?;
        }
        self.admit(&id, &offer.admitted)?;
        let name = match offer.is_claimed {
            true => claimed(&offer.name),
            false => offer.name.clone(),
        };
        names::add(self.dirs, &name, &id)?;
        if let Some(source) = found.source {
            names::add(self.dirs, &source.descriptor.digest.to_string(), &id)?;
        }
        Ok(id)
    }

    /// Keeps a blob, unless it is kept. `reader` may stop what is fetched, and `end`
    /// learns how that ended.
    fn keep_blob(
        &self,
        offer: &Offer<'_>,
        blob: &Descriptor,
        reader: &dyn Fn(Box<dyn Read + Send>) -> Box<dyn Read + Send>,
        end: &dyn Fn(Result<Digest>) -> Result<Digest>,
    ) -> Result<()> {
        let digest = Digest::from(&blob.digest);
        if self.kept(&digest)?.is_some() {
            return Ok(());
        }
        blobs::take(offer.blobs, blob, |bytes, _| {
            let kept = self.keep(blob, || Ok(reader(Box::new(bytes))));
            end(kept.map(|()| digest)).map(drop)
        })
    }

    /// Stores the layers that are missing, side by side; returns all, lowest first.
    fn import_layers(
        &self,
        offer: &Offer<'_>,
        config: &ImageConfig,
        manifest: &Manifest,
        note: &mut dyn FnMut(String),
    ) -> Result<Vec<Digest>> {
        let layers = unpacked::layers(config);
        let stop = || offer.blobs.stop();
        let (said, notes) = channel();
        let stored = side_by_side(layers.len(), &stop, &|number, jobs| {
            let (layer, blob) = (&layers[number], &manifest.layers[number]);
            let is_same = |other: &Layer| other.diff_id == layer.diff_id;
            if layers[..number].iter().any(is_same) {
                // It is one that another is fetching.
                jobs.first(number)?;
            }
            if let Some(id) = layer.stored(self)? {
                return Ok(id);
            }
            let what = || format!("layer {} (`{}`)", number + 1, blob.digest);
            let below = Below::new(|| unpacked::stack(self, &jobs.first(number)?));
            let import = |bytes: Blob, proof| {
                let input = jobs.reader(Box::new(bytes));
                let (stored, left_out) =
                    self.import_layer(offer, layer, blob.size, input, proof, &below)?;
                if !left_out.is_empty() {
                    let line = without(&left_out, &format!("{} of `{}`", what(), offer.name));
                    // Who listens outlives all who say something.
                    let _ = said.send(line);
                }
                Ok(stored)
            };
            let end = |stored| offer.blobs.ended(blob, stored, jobs.have_failed());
            if offer.keeps {
                let kept = self.keep_blob(offer, blob, &|input| jobs.reader(input), &end);
                kept.map_err(|error| error.at(what()))?;
            }
            let stored = match self.kept(&Digest::from(&blob.digest))? {
                Some(kept) => {
                    let (bytes, proof) = Blob::new(blob, Box::new(kept));
                    import(bytes, proof)
                }
                None => blobs::take(offer.blobs, blob, |bytes, proof| end(import(bytes, proof))),
            };
            stored.map_err(|error| error.at(what()))
        });
        notes.try_iter().for_each(note);
        stored
    }

    fn import_layer(
        &self,
        offer: &Offer<'_>,
        layer: &Layer,
        size: u64,
        blob: Box<dyn Read + Send>,
        proof: Proof,
        below: &Below<'_>,
    ) -> Result<(Digest, Vec<PathBuf>)> {
        let staging = Staging::make(self.dirs)?;
        let ((), unpacked) = layers::unpack(
            &staging,
            blob,
            self.growth(),
            layer.diff_id.algorithm(),
            |disk, folder| Apply::new(disk, folder, below),
            |tar, recorder, visit| unpacked::walk(tar, Some(recorder), visit),
        )?;
        proof.check()?;
        if unpacked.id != layer.diff_id {
            let (found, expected) = (unpacked.id.oci(), layer.diff_id.oci());
            return Err(Error::invalid(format!(
                "the digest of its content is `{found}`, but the configuration says `{expected}`"
            )));
        }
        let place = layer.place(unpacked.depends());
        let left_out = unpacked.left_out().to_vec();
        let origin = Origin::Archive(&offer.from, size);
        let lease = unpacked.publish(self, &staging, &place, origin)?;
        self.layers.keep(&place, lease);
        Ok((place, left_out))
    }

    fn import_image(
        &self,
        offer: &Offer<'_>,
        id: Digest,
        config: Vec<u8>,
        mut layers: Vec<Digest>,
        size: u64,
    ) -> Result<()> {
        layers.reverse();
        let image = Image {
            id,
            format: FORMAT.to_owned(),
            manifest: config,
            layers,
        };
        let verified = offer.admitted.verified(id, size);
        let record = Record {
            name: Some(offer.name.clone()),
            admitted: vec![offer.admitted.clone()],
            ..Record::of(offer.from.clone(), &verified)
        };
        let staging = Staging::make(self.dirs)?;
        let folder = self.stage(&staging, &image, &record)?;
        let (name, tag) = record.name_and_version().unwrap_or_default();
        listing::stage(&folder, name, tag, &record);
        rustix::fs::syncfs(staging.fd()).context(|| format!("cannot publish image `{id}`"))?;
        self.publish(&staging, &verified)
    }
}

/// Says which devices a layer has that are not unpacked.
fn without(left_out: &[PathBuf], layer: &str) -> String {
    let mut paths = left_out.iter().map(|path| path.to_string_lossy());
    let first = escaped(&paths.next().unwrap_or_default());
    let others = match paths.len() {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    format!(
        "{layer}: left out: `{first}`{others}: an overlay would take such devices for whiteouts"
    )
}

/// Returns the ID of an image, without storing it.
///
/// # Errors
///
/// There is none for the platform; the lists that lead to it are not valid.
pub(crate) fn identify(offer: &Offer<'_>) -> Result<Digest> {
    let from = &offer.from;
    let found = find(offer).context(|| format!("cannot use image `{from}`"))?;
    Ok(Digest::from(&found.manifest.config.digest))
}

/// The beginning of what [`claimed`] returns.
pub(crate) const CLAIMED: &str = "claimed ";

/// Returns what stands in the index of names for one that only the image itself
/// claims to have. No image is run because of such a name.
pub(crate) fn claimed(name: &str) -> String {
    format!("{CLAIMED}{name}")
}

/// What was found for a platform.
struct Found {
    manifest: Manifest,
    /// Where it was; `None` if nobody has this manifest.
    source: Option<Source>,
}

/// A manifest as it was found.
struct Source {
    descriptor: Descriptor,
    bytes: Vec<u8>,
    /// The digest of the index that the image's name stands for.
    index: Option<Digest>,
}

/// Finds the manifest for a platform.
fn find(offer: &Offer<'_>) -> Result<Found> {
    let mut descent = Descent::default();
    let mut index = match &offer.selected {
        Selected::Index(index) => index.clone(),
        Selected::Manifest(manifest) => {
            return Ok(Found {
                manifest: manifest.clone(),
                source: None,
            });
        }
    };
    let mut named = None;
    loop {
        let chosen = choose(&index, offer.platform)?.clone();
        match blobs::document(offer.blobs, &chosen)? {
            (bytes, Document::Manifest(manifest)) => {
                return Ok(Found {
                    manifest,
                    source: Some(Source {
                        descriptor: chosen,
                        bytes,
                        index: named,
                    }),
                });
            }
            (_, Document::Index(next)) => {
                descent.enter(&chosen.digest)?;
                named.get_or_insert(Digest::from(&chosen.digest));
                index = next;
            }
        }
    }
}

/// Checks how large an image is said to be. Of each layer, no more is read than is
/// said of it.
fn check_size(manifest: &Manifest, most: Option<u64>) -> Result<()> {
    let layers = size_of_layers(manifest);
    match most {
        Some(most) if layers > most => {
            let (layers, most) = (size::spell(layers), size::spell(most));
            let what = format!("it is larger than the maximum of {most}: its layers have {layers}");
            Err(Error::new(Kind::Failed, what).hint("`--max-size` sets it"))
        }
        _ => Ok(()),
    }
}

fn size(manifest: &Manifest) -> u64 {
    size_of_layers(manifest).saturating_add(manifest.config.size)
}

fn size_of_layers(manifest: &Manifest) -> u64 {
    let layers = manifest.layers.iter().map(|layer| layer.size);
    layers.fold(0, u64::saturating_add)
}
