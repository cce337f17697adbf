//! The images that are kept: each in a directory that is complete if it exists.
//!
//! ```text
//! images/sha512-.../manifest    as it was in the archive, byte for byte
//! images/sha512-.../rootfs/     the unpacked tree; nobody writes to it again
//! images/sha512-.../frame       what else the archive held; see `frame`
//! images/sha512-.../implicit    directories without an entry of their own, if
//!                               there are any: a path and a NUL byte each
//! images/sha512-.../record      where it came from, and when
//! names/name-...                the images of a name; see `names`
//! names/file-...                the ID of an archive that was stored before
//! ```
//!
//! # Invariants
//!
//! 1. An image appears by one rename(2), after all of it has reached the disk.
//!    Whatever is interrupted leaves nothing but rubbish in `tmp/`, which the
//!    next image that is stored clears away.
//! 2. An image is stored once, however many processes want it at a time.
//! 3. Only what was verified is stored.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Seek as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use rustix::fs::{OFlags, RenameFlags};
use rustix::io::Errno;

use crate::archive::extract::Extract;
use crate::archive::stream;
use crate::archive::tar_split::{self, Recorder};
use crate::archive::writeback::Flush;
use crate::format::aci::{Limits, walk};
use crate::store::known::Known;
use crate::store::lease;
use crate::store::names;
use crate::store::record::Record;
use crate::store::staging::{self, Staging, unwritten};
use crate::trust::verify::{self, Incoming, Verified};
use appc::digest::{Hasher, ImageId, ImageIdPrefix};
use appc::manifest::ImageManifest;
use appc::reference::Name;
use appc::types::{AcIdentifier, Labels};
use error::{Context as _, Error, Kind, Result};
use sys::dirs::{Dirs, Part};
use sys::root_fd;

/// The store.
pub struct Store<'a> {
    dirs: &'a Dirs,
    /// Where they are, if there ever were any.
    images: Option<OwnedFd>,
    /// What is in use, by name; closed when this process ends or is replaced.
    held: RefCell<BTreeMap<String, OwnedFd>>,
    /// Images answer to their names also if nobody vouches for these.
    waived: Cell<bool>,
}

/// A stored image.
pub struct Image {
    id: ImageId,
    manifest: ImageManifest,
    directory: PathBuf,
}

impl Image {
    /// Returns its ID.
    pub const fn id(&self) -> &ImageId {
        &self.id
    }

    /// Returns its manifest.
    pub const fn manifest(&self) -> &ImageManifest {
        &self.manifest
    }

    /// Returns where its unpacked tree is.
    pub fn rootfs_path(&self) -> PathBuf {
        self.directory.join("rootfs")
    }
}

/// Largest manifest that is read back, in bytes.
const MANIFEST_LIMIT: usize = 4 << 20;

/// Largest record that is read back, in bytes.
const RECORD_LIMIT: usize = 64 << 10;

/// Largest frame that is read back, in bytes.
const FRAME_LIMIT: usize = 256 << 20;

impl<'a> Store<'a> {
    /// Opens the store.
    pub fn open(dirs: &'a Dirs) -> Result<Self> {
        let images = dirs.find(Part::Images)?;
        Ok(Self {
            dirs,
            images,
            held: RefCell::default(),
            waived: Cell::new(false),
        })
    }

    /// Lets images answer to their names also if nobody vouches for these.
    pub fn waive(&self) {
        self.waived.set(true);
    }

    /// Returns the directory of images.
    fn images(&self) -> Result<&OwnedFd> {
        let images = self.images.as_ref();
        images.ok_or_else(|| Error::new(Kind::NotFound, "there are no images"))
    }

    /// Returns the ID of an archive file, and sees to it that the image is
    /// stored. The file was named by the operator, who so vouches for it.
    ///
    /// # Errors
    ///
    /// What is wrong with the archive, and what the disk refuses. Nothing is
    /// left behind.
    pub fn ensure(&self, file: File, name: &str, asked: Option<&Name>) -> Result<ImageId> {
        let known = Known::of(self.dirs, &file, name)?;
        let stored = || match known.read()? {
            Some(id) => self.if_asked_for(id, name, asked),
            None => Ok(None),
        };
        if let Some(id) = stored()? {
            return Ok(id);
        }
        // Whoever else stores this file waits here, and then finds it stored.
        known.lock()?;
        loop {
            if let Some(id) = stored()? {
                return Ok(id);
            }
            let mut file = file.try_clone().context(|| "cannot read it")?;
            // It may have been read before.
            file.rewind().context(|| "cannot read it")?;
            let incoming = Incoming::by_operator(file, name.to_owned(), asked.cloned());
            let id = self.store(incoming)?;
            // Before it is held it can be removed; then it is stored again.
            known.write(&id)?;
        }
    }

    /// Returns the ID again if it is stored, and what was asked for.
    fn if_asked_for(
        &self,
        id: ImageId,
        name: &str,
        asked: Option<&Name>,
    ) -> Result<Option<ImageId>> {
        let Some(asked) = asked else {
            return Ok(self.hold(&id)?.then_some(id));
        };
        let image = match self.hold(&id)? {
            true => self.image(&id)?,
            false => None,
        };
        let Some(image) = image else {
            return Ok(None);
        };
        verify::check(asked, image.manifest())
            .context(|| format!("image `{name}` is not valid"))?;
        // It may have been stored as a mere file.
        let record = self.record(&id)?;
        match record.grounds.cover_its_name() {
            true => Ok(Some(id)),
            false => Ok(None),
        }
    }

    /// Stores an archive, and returns the ID of the image.
    ///
    /// # Errors
    ///
    /// What is wrong with the archive; nobody vouches for it; what the disk
    /// refuses. Nothing is left behind.
    pub fn take(&self, incoming: Incoming) -> Result<ImageId> {
        let name = incoming.name.clone();
        let id = self.store(incoming)?;
        match self.hold(&id)? {
            true => Ok(id),
            false => Err(Error::new(
                Kind::Failed,
                format!("image `{name}` was removed as soon as it was stored"),
            )),
        }
    }

    fn store(&self, incoming: Incoming) -> Result<ImageId> {
        let name = incoming.name.clone();
        let (id, image) = self.unpack(incoming).map_err(|error| {
            let what = match error.kind() {
                Kind::Invalid => format!("image `{name}` is not valid"),
                _ => format!("cannot store image `{name}`"),
            };
            Error::new(error.kind(), what).because(error)
        })?;
        names::add(self.dirs, &image, &id)?;
        Ok(id)
    }

    /// Returns the latest image of a name that has all these labels, and for
    /// which somebody vouches that it has this name, unless that was waived.
    pub fn find(&self, name: &AcIdentifier, labels: &Labels) -> Result<Option<ImageId>> {
        self.search(name, labels, &|id| self.answers(id))
    }

    /// Tells whether an image may answer to its name, or for where it came from.
    pub fn answers(&self, id: &ImageId) -> Result<bool> {
        Ok(self.waived.get() || self.record(id)?.grounds.cover_its_name())
    }

    /// Says of an image of a name why it does not answer to it, if there is one.
    pub fn doubt(&self, name: &AcIdentifier, labels: &Labels) -> Result<Option<String>> {
        let Some(id) = self.search(name, labels, &|_| Ok(true))? else {
            return Ok(None);
        };
        let (id, from) = (id.short(), self.record(&id)?.from);
        let what = "nobody has signed it or provided it under this name";
        Ok(Some(format!("`{id}`, from `{from}`, but {what}")))
    }

    fn search(
        &self,
        name: &AcIdentifier,
        labels: &Labels,
        answers: &dyn Fn(&ImageId) -> Result<bool>,
    ) -> Result<Option<ImageId>> {
        let mut bad = None;
        for id in names::find(self.dirs, name.as_str())?.iter().rev() {
            match self.image(id) {
                Ok(Some(image))
                    if image.manifest.name == *name
                        && image.manifest.labels.lacks(labels).is_none()
                        && answers(id)? =>
                {
                    return Ok(Some(*id));
                }
                Ok(_) => {}
                // It does not keep the others from being found.
                Err(error) => bad = Some(error),
            }
        }
        bad.map_or(Ok(None), Err)
    }

    /// Returns the IDs of all images, in their order.
    pub fn ids(&self) -> Result<Vec<ImageId>> {
        let what = || "cannot list the images";
        let mut ids = Vec::new();
        let Some(images) = &self.images else {
            return Ok(ids);
        };
        for entry in rustix::fs::Dir::read_from(images).context(what)? {
            let name = entry
                .context(what)?
                .file_name()
                .to_string_lossy()
                .into_owned();
            ids.extend(ImageId::parse(&name).ok());
        }
        ids.sort();
        Ok(ids)
    }

    /// Returns the image that a person means: a unique beginning of an ID,
    /// with or without `sha512-`, or a name.
    ///
    /// # Errors
    ///
    /// No image, or several.
    pub fn named(&self, text: &str) -> Result<ImageId> {
        if text.is_empty() {
            return Err(Error::invalid("an image's name is not empty"));
        }
        let found = match self.beginning(text)? {
            None => names::find(self.dirs, text)?.pop(),
            found => found,
        };
        found.ok_or_else(|| no_image(text))
    }

    /// Returns the image whose ID begins so: no name, which any image can claim.
    ///
    /// # Errors
    ///
    /// No image, or several.
    pub fn identified(&self, text: &str) -> Result<ImageId> {
        self.beginning(text)?.ok_or_else(|| no_image(text))
    }

    fn beginning(&self, text: &str) -> Result<Option<ImageId>> {
        let digits = text.strip_prefix("sha512-").unwrap_or(text);
        let prefix = ImageIdPrefix::parse(&format!("sha512-{digits}"));
        if let Some(prefix) = prefix.filter(|_| digits.len() >= 2) {
            let ids = self.ids()?;
            let mut found = ids.iter().filter(|id| prefix.matches(id));
            match (found.next(), found.next()) {
                (Some(id), None) => return Ok(Some(*id)),
                (Some(_), Some(_)) => {
                    return Err(
                        Error::invalid(format!("several images begin with `{text}`"))
                            .hint("give more digits"),
                    );
                }
                (None, _) => {}
            }
        }
        Ok(None)
    }

    /// Removes an image that nobody uses: first out of sight, by one rename.
    pub fn remove(&self, id: &ImageId) -> Result<()> {
        let what = || format!("cannot remove image `{id}`");
        let name = self.image(id).ok().flatten();
        staging::hide(self.dirs, self.images()?, &id.to_string()).context(what)?;
        staging::discard(self.dirs, &id.to_string()).context(what)?;
        match name {
            Some(image) => names::remove(self.dirs, image.manifest.name.as_str(), id),
            None => Ok(()),
        }
    }

    /// Writes the tar that an image was stored from, byte for byte.
    ///
    /// # Errors
    ///
    /// The tree is not as it was stored; what `out` says.
    pub fn export(&self, id: &ImageId, out: &mut dyn std::io::Write) -> Result<()> {
        let what = || format!("cannot give image `{id}` back");
        let directory = PathBuf::from(id.to_string());
        // Not removed meanwhile; but to look at an image is not to use it.
        let images = self.images()?;
        let _held = lease::hold(images, &id.to_string()).context(what)?;
        let frame = self
            .read(id, "frame", FRAME_LIMIT)?
            .ok_or_else(|| Error::invalid(format!("{}: its frame is missing", what())))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let rootfs = root_fd::open(images, &directory.join("rootfs"), flags).context(what)?;
        tar_split::restore(&frame, rootfs.as_fd(), out).context(what)
    }

    /// Recomputes an image's ID from what is stored of it.
    pub fn verify(&self, id: &ImageId) -> Result<bool> {
        let mut hashing = Hashing(Hasher::new());
        self.export(id, &mut hashing)?;
        Ok(hashing.0.finish() == *id)
    }

    /// Returns an image's manifest, byte for byte.
    pub fn manifest(&self, id: &ImageId) -> Result<Vec<u8>> {
        self.read(id, "manifest", MANIFEST_LIMIT)?
            .ok_or_else(|| Error::invalid(format!("image `{id}` was removed")))
    }

    /// Returns when an image was used last, in seconds since 1970.
    pub fn last_used(&self, id: &ImageId) -> Result<u64> {
        let used = lease::last_used(self.images()?, &id.to_string());
        let used = used.context(|| format!("cannot look at image `{id}`"))?;
        Ok(used.unwrap_or_default())
    }

    /// Returns what is known of where an image came from.
    pub fn record(&self, id: &ImageId) -> Result<Record> {
        let text = self.read(id, "record", RECORD_LIMIT)?;
        Record::read(&text.unwrap_or_default())
            .context(|| format!("cannot read the record of image `{}`", id.short()))
    }

    fn read(&self, id: &ImageId, name: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        let Some(images) = &self.images else {
            return Ok(None);
        };
        let path = PathBuf::from(id.to_string()).join(name);
        root_fd::read(images, &path, limit)
            .context(|| format!("cannot read `{name}` of image `{id}`"))
    }

    /// Returns a stored image.
    pub fn image(&self, id: &ImageId) -> Result<Option<Image>> {
        let what = || format!("cannot read image `{id}`");
        let Some(text) = self.read(id, "manifest", MANIFEST_LIMIT)? else {
            return Ok(None);
        };
        Ok(Some(Image {
            id: *id,
            manifest: ImageManifest::parse(&text).context(what)?.value,
            directory: self.dirs.path().join("images").join(id.to_string()),
        }))
    }

    /// Returns the directories of an image that its archive has no entry for.
    /// They stand only for what is in them: where they meet a directory of
    /// another image, that one's attributes stay.
    pub fn implicit(&self, id: &ImageId) -> Result<BTreeSet<PathBuf>> {
        let list = self.read(id, "implicit", FRAME_LIMIT)?.unwrap_or_default();
        let paths = list
            .split(|&byte| byte == 0)
            .filter(|path| !path.is_empty());
        Ok(paths.map(|path| OsStr::from_bytes(path).into()).collect())
    }

    /// Keeps an image from being removed for as long as this process uses the
    /// store, and notes that it is used. Returns whether it is there.
    pub fn hold(&self, id: &ImageId) -> Result<bool> {
        self.keep(self.images.as_ref(), &id.to_string())
            .context(|| format!("cannot use image `{id}`"))
    }

    /// As [`Self::hold`], of a tree that was rendered of several images.
    pub fn hold_tree(&self, key: &str) -> Result<bool> {
        self.keep(self.dirs.find(Part::Trees)?.as_ref(), key)
            .context(|| format!("cannot use tree `{key}`"))
    }

    fn keep(&self, parent: Option<&OwnedFd>, name: &str) -> rustix::io::Result<bool> {
        let mut held = self.held.borrow_mut();
        if held.contains_key(name) {
            return Ok(true);
        }
        let held_now = parent.map(|parent| lease::hold(parent, name)).transpose()?;
        let Some(fd) = held_now.flatten() else {
            return Ok(false);
        };
        lease::touch(&fd);
        held.insert(name.to_owned(), fd);
        Ok(true)
    }

    /// Tells whether an image is there.
    pub fn contains(&self, id: &ImageId) -> Result<bool> {
        let Some(images) = &self.images else {
            return Ok(false);
        };
        match rustix::fs::accessat(
            images,
            id.to_string(),
            rustix::fs::Access::EXISTS,
            rustix::fs::AtFlags::empty(),
        ) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno).context(|| format!("cannot look for image `{id}`")),
        }
    }

    /// Unpacks aside, verifies, and publishes.
    fn unpack(&self, incoming: Incoming) -> Result<(ImageId, String)> {
        let from = incoming.name.clone();
        let staging = Staging::make(self.dirs)?;
        let rootfs = staging.directory("rootfs")?;
        let mut extract = Extract::new(rootfs.as_fd())?;
        let recorder = Recorder::new(staging.create("frame")?);
        let recorder = recorder.context(|| unwritten("frame"))?;
        let fd = staging.fd().try_clone_to_owned();
        let mut flush = Flush::start(fd.context(|| "cannot use a directory")?)?;
        let (input, claim) = incoming.open();
        let ((text, manifest), id) = stream::through(input, |tar| {
            let mut tar = flush.pace(tar);
            let limits = Limits::default();
            let walked = walk(&mut tar, &limits, Some(&recorder), &mut |entry| {
                extract.entry(entry)
            });
            // It knows the file that the walk was stopped for.
            extract.settle()?;
            let text = walked?;
            let manifest = ImageManifest::parse(&text).context(|| "its manifest")?;
            Ok((text, manifest.value))
        })?;
        let verified = claim.verify(id, &manifest)?;
        let implicit = extract.finish()?;
        if !implicit.is_empty() {
            staging.write("implicit", &listed(&implicit))?;
        }
        staging.write("manifest", &text)?;
        recorder.finish().context(|| unwritten("frame"))?;
        staging.write("record", Record::of(from, &verified).text().as_bytes())?;
        flush
            .finish()
            .context(|| format!("cannot publish image `{id}`"))?;
        self.publish(&staging, &verified)?;
        Ok((id, manifest.name.as_str().to_owned()))
    }

    /// Makes a complete image visible, for good: its files reach the disk
    /// before its name does.
    fn publish(&self, staging: &Staging, verified: &Verified) -> Result<()> {
        let id = &verified.id;
        let what = || format!("cannot publish image `{id}`");
        let images = self.images()?;
        let published = rustix::fs::renameat_with(
            staging.parent(),
            staging.name(),
            images,
            id.to_string(),
            RenameFlags::NOREPLACE,
        );
        match published {
            // The same image, from another archive: compressed otherwise, or a copy.
            Err(Errno::EXIST | Errno::NOTEMPTY) => return self.strengthen(staging, verified),
            published => published.context(what)?,
        }
        rustix::fs::fsync(images).context(what)
    }

    /// Replaces the record of an image that is stored already, if it is stored
    /// now on better grounds.
    fn strengthen(&self, staging: &Staging, verified: &Verified) -> Result<()> {
        let id = &verified.id;
        if self.record(id)?.grounds >= verified.grounds {
            return Ok(());
        }
        let what = || format!("cannot write the record of image `{}`", id.short());
        let path = PathBuf::from(id.to_string());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let image = root_fd::open(self.images()?, &path, flags).context(what)?;
        rustix::fs::renameat(staging.fd(), "record", &image, "record").context(what)?;
        rustix::fs::fsync(&image).context(what)
    }
}

fn no_image(text: &str) -> Error {
    Error::new(Kind::NotFound, format!("there is no image `{text}`"))
        .hint("`launcher image list` lists the images")
}

/// What to do about [`Store::doubt`].
pub const WAIVE: &str =
    "`--insecure-options=image` takes what is stored, and an ID takes just that image";

/// Writes paths, each with a NUL byte behind it.
fn listed(paths: &BTreeSet<PathBuf>) -> Vec<u8> {
    let mut list = Vec::new();
    for path in paths {
        list.extend_from_slice(path.as_os_str().as_bytes());
        list.push(0);
    }
    list
}

/// Hashes what is written.
struct Hashing(Hasher);

impl std::io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
