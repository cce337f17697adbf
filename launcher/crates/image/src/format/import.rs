//! Stores App Container images, and exports them again.

use std::fs::File;
use std::io::{BufRead, Seek as _, Write};

use crate::archive::extract::Extract;
use crate::archive::walk::Limits;
use crate::digest::Digest;
use crate::format::aci::{self, FORMAT};
use crate::store::archive_index::ArchiveEntry;
use crate::store::images::{Image, Store};
use crate::store::layers;
use crate::store::listing;
use crate::store::names;
use crate::store::record::{Origin, Record};
use crate::store::staging::Staging;
use crate::trust::verify::Incoming;
use appc::manifest::ImageManifest;
use appc::reference::Name;
use error::{Context as _, Error, Kind, Result};

/// A stored App Container image.
pub struct Aci {
    id: Digest,
    manifest: ImageManifest,
}

impl Aci {
    /// Returns its ID.
    pub const fn id(&self) -> &Digest {
        &self.id
    }

    /// Returns its manifest.
    pub const fn manifest(&self) -> &ImageManifest {
        &self.manifest
    }
}

/// Checks that an image of this format has one layer, of the same digest.
pub(crate) fn check_layers(id: &Digest, layers: &[Digest]) -> Result<()> {
    match layers == [*id] {
        true => Ok(()),
        false => Err(Error::invalid("its layer is not its own")),
    }
}

impl Store<'_> {
    /// Returns a stored image of this format.
    ///
    /// # Errors
    ///
    /// It has another format, or is damaged.
    pub fn aci(&self, id: &Digest) -> Result<Option<Aci>> {
        let Some(image) = self.image(id)? else {
            return Ok(None);
        };
        let what = || format!("cannot read image `{id}`");
        if image.format != FORMAT {
            let format = &image.format;
            let fault = format!("{}: it is an image of format `{format}`", what());
            return Err(Error::invalid(fault));
        }
        check_layers(id, &image.layers).context(what)?;
        let manifest = ImageManifest::parse(&image.manifest).context(what)?.value;
        Ok(Some(Aci { id: *id, manifest }))
    }

    /// Stores an archive file, unless it is already stored, and returns the ID
    /// of the image. It is trusted, because the operator named the file.
    ///
    /// # Errors
    ///
    /// The archive is not valid; errors of the disk. Nothing is left behind.
    pub fn ensure(&self, file: File, name: &str, asked: Option<&Name>) -> Result<Digest> {
        let entry = ArchiveEntry::of(self.dirs, &file, name)?;
        let stored = || match entry.read()? {
            Some(id) => self.if_asked_for(id, name, asked),
            None => Ok(None),
        };
        if let Some(id) = stored()? {
            return Ok(id);
        }
        // Other processes that store this file wait here, and then find it
        // stored.
        entry.lock()?;
        if let Some(id) = stored()? {
            return Ok(id);
        }
        let mut file = file;
        // It may have been read before.
        file.rewind().context(|| "cannot read it")?;
        let incoming = Incoming::by_operator(file, name.to_owned(), asked.cloned());
        let id = self.take(incoming)?;
        entry.write(&id)?;
        Ok(id)
    }

    /// Stores an image that the operator has built, and returns its ID. It is
    /// trusted to have its name; messages say that it is `from` there.
    ///
    /// # Errors
    ///
    /// As for [`Self::take`].
    pub fn built(&self, file: File, from: String) -> Result<Digest> {
        self.take(Incoming::built(file, from))
    }

    /// Returns the ID if the image is stored and is the one that was asked for.
    fn if_asked_for(&self, id: Digest, name: &str, asked: Option<&Name>) -> Result<Option<Digest>> {
        if !self.hold(&id)? {
            return Ok(None);
        }
        if let Some(asked) = asked {
            let Some(image) = self.aci(&id)? else {
                return Ok(None);
            };
            aci::check(asked, image.manifest())
                .context(|| format!("image `{name}` is not valid"))?;
            // It may have been stored as a file, without its name.
            if !self.record(&id)?.grounds.cover_its_name() {
                return Ok(None);
            }
        }
        Ok(Some(id))
    }

    /// Stores an archive, and returns the ID of the image, on which it holds a
    /// lease.
    ///
    /// # Errors
    ///
    /// The archive is not valid or not trusted; errors of the disk. Nothing is
    /// left behind.
    pub fn take(&self, incoming: Incoming) -> Result<Digest> {
        let name = incoming.name.clone();
        let (id, image) = self.import(incoming).map_err(|error| {
            let what = match error.kind() {
                Kind::Invalid => format!("image `{name}` is not valid"),
                _ => format!("cannot store image `{name}`"),
            };
            Error::new(error.kind(), what).because(error)
        })?;
        names::add(self.dirs, &image, &id)?;
        Ok(id)
    }

    /// Unpacks to a temporary directory, verifies, and publishes.
    fn import(&self, incoming: Incoming) -> Result<(Digest, String)> {
        let from = incoming.name.clone();
        let staging = Staging::make(self.dirs)?;
        let (input, claim) = incoming.open();
        let growth = self.growth();
        let ((text, manifest), layer) = layers::unpack(
            &staging,
            input,
            growth,
            aci::ALGORITHM,
            |disk, _| Extract::new(disk),
            |tar, recorder, visit| {
                let text = aci::walk(tar, &Limits::default(), Some(recorder), visit)?;
                let manifest = ImageManifest::parse(&text).context(|| "its manifest")?;
                Ok((text, manifest.value))
            },
        )?;
        let id = layer.id;
        let verified = claim.verify(id, &manifest)?;
        let image = Image {
            id,
            format: FORMAT.to_owned(),
            manifest: text,
            layers: vec![id],
        };
        let record = Record::of(from.clone(), &verified);
        let folder = self.stage(&staging, &image, &record)?;
        let (name, version) = (manifest.name.as_str(), manifest.labels.get("version"));
        listing::stage(&folder, name, version, &record);
        let _lease = layer.publish(self, &staging, &id, Origin::Archive(&from, verified.size))?;
        self.publish(&staging, &verified)?;
        Ok((id, manifest.name.as_str().to_owned()))
    }

    /// Writes the tar that an image was stored from, byte for byte; an OCI image,
    /// which has several, as an archive with them.
    ///
    /// # Errors
    ///
    /// What is stored is not what its ID says, which is only known when all is
    /// written; errors of `out`.
    pub fn export(&self, id: &Digest, out: &mut dyn Write) -> Result<()> {
        let what = || format!("cannot export image `{id}`");
        check_layers(id, &self.layers(id)?).context(what)?;
        let stored = self.stored(id).context(what)?;
        let copy = |tar: &mut dyn BufRead| std::io::copy(tar, out).context(what);
        let (_, found) = stored.through(id.algorithm(), copy)?;
        if found == *id {
            return Ok(());
        }
        let fault = format!("{}: it has changed since it was stored", what());
        Err(Error::invalid(fault).hint("`launcher image verify` tells what has changed"))
    }
}
