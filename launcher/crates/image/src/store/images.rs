//! The stored images and layers.
//!
//! ```text
//! images/sha512-.../manifest    what describes it, byte for byte: its manifest or,
//!                               of an OCI image, its configuration
//! images/sha512-.../image       its format, the digest of its manifest, and its
//!                               layers, topmost first
//! images/sha512-.../record      where it came from, who signed it, when
//! images/sha512-.../listed      what is listed of it; see `listing`
//! images/sha512-.../manifests   of an OCI image, its manifests; see `blobs`
//! layers/                       see `layers`
//! blobs/                        see `blobs`
//! names/name-...                the images of a name; see `names`
//! names/file-...                the image of an archive that was stored before
//! ```
//!
//! An image is published after its layers, and removed before them. Only
//! verified images are published.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::archive::stream::Growth;
use crate::digest::{Algorithm, Digest, Hasher, Prefix};
use crate::store::objects::Objects;
use crate::store::record::Record;
use crate::store::staging::{Folder, Staging};
use crate::trust::admitted::Admitted;
use crate::trust::verify::Verified;
use appc::address::Location;
use error::{Context as _, Error, Kind, Result};
use sys::atomic_file::unnamed;
use sys::dirs::{Dirs, Part};

/// The store.
pub struct Store<'a> {
    /// The directories of the store.
    pub(crate) dirs: &'a Dirs,
    /// The images.
    pub(crate) images: Objects<'a>,
    /// Their layers.
    pub(crate) layers: Objects<'a>,
    /// Blobs that are kept as they were received.
    pub(crate) blobs: Objects<'a>,
    /// The images that were read: their IDs stand for their content.
    read: Mutex<BTreeMap<Digest, Arc<Image>>>,
    /// Whether to skip the check that images are trusted to have their names.
    waived: AtomicBool,
    /// Whether archives may become as large as they like.
    unbounded: AtomicBool,
}

/// A stored image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its ID.
    pub id: Digest,
    /// The format of its manifest.
    pub format: String,
    /// Its manifest, byte for byte.
    pub manifest: Vec<u8>,
    /// Its own layers, topmost first.
    pub layers: Vec<Digest>,
}

/// The name under which an image is staged.
const STAGED: &str = "image";

/// The largest manifest that is read back, in bytes.
const MANIFEST_LIMIT: usize = 4 << 20;

/// The largest record or list of layers that is read back, in bytes.
const RECORD_LIMIT: usize = 64 << 10;

impl<'a> Store<'a> {
    /// Opens the store.
    pub fn open(dirs: &'a Dirs) -> Result<Self> {
        Ok(Self {
            dirs,
            images: Objects::new(dirs, Part::Images, "image"),
            layers: Objects::new(dirs, Part::Layers, "layer"),
            blobs: Objects::new(dirs, Part::Blobs, "blob"),
            read: Mutex::default(),
            waived: AtomicBool::new(false),
            unbounded: AtomicBool::new(false),
        })
    }

    /// Trusts every image to have the name in its manifest.
    pub fn waive(&self) {
        self.waived.store(true, Ordering::Relaxed);
    }

    /// Lets archives become so much larger.
    pub fn allow(&self, growth: Growth) {
        let unbounded = growth == Growth::Any;
        self.unbounded.store(unbounded, Ordering::Relaxed);
    }

    /// Returns how much larger archives may become.
    pub(crate) fn growth(&self) -> Growth {
        match self.unbounded.load(Ordering::Relaxed) {
            true => Growth::Any,
            false => Growth::Bounded,
        }
    }

    /// Makes a temporary file without a name: in the store, or elsewhere if that
    /// cannot be written to.
    ///
    /// # Errors
    ///
    /// There is no place for it.
    pub fn temporary(&self) -> Result<File> {
        let what = || "cannot create a temporary file";
        let in_store = self.dirs.tmp().ok();
        if let Some(file) = in_store.and_then(|tmp| unnamed(&tmp).ok()) {
            return Ok(file);
        }
        let elsewhere = File::open(std::env::temp_dir()).context(what)?;
        unnamed(&elsewhere.into()).context(what)
    }

    /// Returns whether an image is trusted to have its name, or to be what its
    /// URL has.
    pub fn answers(&self, id: &Digest) -> Result<bool> {
        Ok(self.waived.load(Ordering::Relaxed) || self.record(id)?.grounds.cover_its_name())
    }

    /// Returns the digests of all images, sorted.
    pub fn ids(&self) -> Result<Vec<Digest>> {
        self.images.ids()
    }

    /// Returns the image with this prefix of an ID. Names, which any image can
    /// claim, do not count.
    ///
    /// # Errors
    ///
    /// No image, or several.
    pub fn identified(&self, text: &str) -> Result<Digest> {
        self.beginning(text)?.ok_or_else(|| no_image(text))
    }

    /// Returns the image whose ID begins so, if the text is digits and there is one.
    pub(crate) fn beginning(&self, text: &str) -> Result<Option<Digest>> {
        let Some(prefix) = Prefix::parse(text) else {
            return Ok(None);
        };
        let ids = self.ids()?.into_iter();
        let mut found = ids.filter(|id| prefix.matches(id));
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(Error::invalid(format!(
                "several image IDs begin with `{text}`"
            ))
            .hint("give more digits")),
            (found, _) => Ok(found),
        }
    }

    /// Returns whether an image is stored.
    pub fn contains(&self, id: &Digest) -> Result<bool> {
        self.images.contains(id)
    }

    /// Returns a stored image. It is read once; [`Self::hold`] finds out whether
    /// it was removed since.
    ///
    /// # Errors
    ///
    /// It is damaged, or its manifest is not the one that was stored.
    pub fn image(&self, id: &Digest) -> Result<Option<Arc<Image>>> {
        if let Some(image) = self.known().get(id) {
            return Ok(Some(Arc::clone(image)));
        }
        let Some(manifest) = self.images.read(id, "manifest", MANIFEST_LIMIT)? else {
            return Ok(None);
        };
        let text = self.images.read(id, "image", RECORD_LIMIT)?;
        let what = || format!("cannot read image `{id}`");
        let listed = parse(&text.unwrap_or_default()).context(what)?;
        if digest(&manifest) != listed.manifest {
            let fault = format!("{}: its manifest has changed since it was stored", what());
            return Err(Error::invalid(fault).hint("remove it, and store it again"));
        }
        let image = Arc::new(Image {
            id: *id,
            format: listed.format,
            manifest,
            layers: listed.layers,
        });
        self.known().insert(*id, Arc::clone(&image));
        Ok(Some(image))
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Digest, Arc<Image>>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the manifest of an image, byte for byte.
    ///
    /// # Errors
    ///
    /// As for [`Self::image`]; the image was removed.
    pub fn manifest(&self, id: &Digest) -> Result<Vec<u8>> {
        let image = self.image(id)?.ok_or_else(|| removed(id))?;
        Ok(image.manifest.clone())
    }

    /// Returns the manifest of an image as it is stored, even if it has changed.
    pub(crate) fn stored_manifest(&self, id: &Digest) -> Result<Vec<u8>> {
        self.file(id, "manifest")
    }

    /// Returns the layers of an image, topmost first.
    pub fn layers(&self, id: &Digest) -> Result<Vec<Digest>> {
        if let Some(image) = self.known().get(id) {
            return Ok(image.layers.clone());
        }
        let listed = parse(&self.file(id, "image")?);
        Ok(listed
            .context(|| format!("cannot read image `{id}`"))?
            .layers)
    }

    /// Returns the format of an image, which need not be sound; `None` if it is not
    /// stored, or too damaged to tell.
    pub(crate) fn format(&self, id: &Digest) -> Result<Option<String>> {
        if let Some(image) = self.known().get(id) {
            return Ok(Some(image.format.clone()));
        }
        let text = self.images.read(id, "image", RECORD_LIMIT)?;
        Ok(parse(&text.unwrap_or_default())
            .ok()
            .map(|listed| listed.format))
    }

    fn file(&self, id: &Digest, name: &str) -> Result<Vec<u8>> {
        self.images
            .read(id, name, MANIFEST_LIMIT)?
            .ok_or_else(|| removed(id))
    }

    /// Returns the record of where an image came from.
    pub fn record(&self, id: &Digest) -> Result<Record> {
        let text = self.images.read(id, "record", RECORD_LIMIT)?;
        Record::read(&text.unwrap_or_default())
            .context(|| format!("cannot read the record of image `{}`", id.short()))
    }

    /// Returns when an image was last used, in seconds since 1970.
    pub fn last_used(&self, id: &Digest) -> Result<u64> {
        Ok(self.images.last_used(id)?.unwrap_or_default())
    }

    /// Holds a lease on an image and its layers for as long as this process
    /// uses the store, and marks them as used. Returns whether they are all
    /// stored.
    pub fn hold(&self, id: &Digest) -> Result<bool> {
        if !self.images.hold(id)? {
            return Ok(false);
        }
        let mut layers = self.layers(id)?.into_iter();
        layers.try_fold(
            true,
            |held, layer| Ok(held && self.layers.contains(&layer)?),
        )
    }

    /// Stages an image, to be published when it has reached the disk. Returns its
    /// directory.
    pub(crate) fn stage(
        &self,
        staging: &Staging,
        image: &Image,
        record: &Record,
    ) -> Result<Folder> {
        let folder = staging.directory(STAGED)?;
        folder.write("manifest", &image.manifest)?;
        folder.write("image", text(image).as_bytes())?;
        folder.write("record", record.text().as_bytes())?;
        Ok(folder)
    }

    /// Publishes a staged image whose layers are published. If it is already
    /// stored, its record is replaced if the new one is on better grounds.
    pub(crate) fn publish(&self, staging: &Staging, verified: &Verified) -> Result<()> {
        let id = &verified.id;
        let (lease, is_new) = self.images.publish(staging, STAGED, id)?;
        self.images.keep(id, lease);
        if is_new || self.record(id)?.grounds >= verified.grounds {
            return Ok(());
        }
        self.replace_record(id, staging)
    }

    /// Keeps under which name a policy has let in an image that is stored.
    pub(crate) fn admit(&self, id: &Digest, admitted: &Admitted) -> Result<()> {
        let mut record = self.record(id)?;
        if !record.admit(admitted) {
            return Ok(());
        }
        let staging = Staging::make(self.dirs)?;
        let folder = staging.directory(STAGED)?;
        folder.write("record", record.text().as_bytes())?;
        rustix::fs::fsync(folder.fd()).context(|| "cannot write a record")?;
        self.replace_record(id, &staging)
    }

    fn replace_record(&self, id: &Digest, staging: &Staging) -> Result<()> {
        let what = || format!("cannot write the record of image `{}`", id.short());
        let image = self.images.open(id, "")?;
        let record = format!("{STAGED}/record");
        rustix::fs::renameat(staging.fd(), record, &image, "record").context(what)?;
        rustix::fs::fsync(&image).context(what)
    }
}

/// What the file `image` says.
struct Listed {
    format: String,
    manifest: Digest,
    layers: Vec<Digest>,
}

/// Encodes what the file `image` says of an image.
fn text(image: &Image) -> String {
    let layers = image.layers.iter().map(|layer| format!("layer {layer}\n"));
    format!(
        "format {}\nmanifest {}\n{}",
        image.format,
        digest(&image.manifest),
        layers.collect::<String>()
    )
}

/// Decodes the file `image`.
fn parse(text: &[u8]) -> Result<Listed> {
    let fault = || Error::invalid("its file `image` is damaged");
    let text = str::from_utf8(text).map_err(|_| fault())?;
    let mut lines = text.lines();
    let mut next = |key| lines.next().and_then(|line| line.strip_prefix(key));
    let format = next("format ").ok_or_else(fault)?.to_owned();
    let manifest = Digest::parse(next("manifest ").ok_or_else(fault)?)?;
    let layers = lines.map(|line| Digest::parse(line.strip_prefix("layer ").ok_or_else(fault)?));
    Ok(Listed {
        format,
        manifest,
        layers: layers.collect::<Result<_>>()?,
    })
}

/// Returns the digest of a manifest, which tells whether it has changed.
fn digest(manifest: &[u8]) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(manifest);
    hasher.finish()
}

fn removed(id: &Digest) -> Error {
    Error::invalid(format!("image `{id}` was removed"))
}

/// The error for an argument that finds no image.
pub(crate) fn no_image(text: &str) -> Error {
    let error = |name: &str| Error::new(Kind::NotFound, format!("image `{name}` not found"));
    match Location::parse(text) {
        // It may contain secrets.
        Ok(Some(Location::Web(address))) => error(&address.to_string())
            .hint("a stored image is given by its ID or name, as `launcher image list` shows them"),
        _ => error(text).hint("`launcher image list` lists all images"),
    }
}
