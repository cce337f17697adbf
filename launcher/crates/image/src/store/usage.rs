//! How much room the store takes, as the file system counts it.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::store::images::Store;
use crate::store::objects::Objects;
use error::{Context as _, Result};
use sys::dirs::{Dirs, Part};
use sys::root_fd;

/// The room that everything takes, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// What each image has: its own files, its layers and its blobs.
    pub images: Vec<ImageUsage>,
    /// Each layer and each kept blob.
    pub parts: BTreeMap<Digest, u64>,
    /// The layers that no image has: they were rendered, or are left over.
    pub rendered: Vec<Digest>,
    /// The pods that are kept, and what running ones write.
    pub pods: u64,
    /// Unfinished downloads and other temporary files.
    pub unfinished: u64,
}

/// What an image takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageUsage {
    /// Its ID.
    pub id: Digest,
    /// Its own files.
    pub own: u64,
    /// Its layers and blobs.
    pub parts: BTreeSet<Digest>,
}

impl Usage {
    /// Returns what an image takes.
    pub fn size(&self, image: &ImageUsage) -> u64 {
        image.own + self.sum(&image.parts)
    }

    /// Returns what an image shares with others.
    pub fn shared(&self, image: &ImageUsage) -> u64 {
        let others = self.images.iter().filter(|other| other.id != image.id);
        let others: BTreeSet<_> = others.flat_map(|other| &other.parts).collect();
        let shared = image.parts.iter().filter(|part| others.contains(part));
        self.sum(shared)
    }

    /// Returns what all images take, where what is shared counts once.
    pub fn all_images(&self) -> u64 {
        let parts: BTreeSet<_> = self.images.iter().flat_map(|image| &image.parts).collect();
        let own = self.images.iter().map(|image| image.own);
        own.sum::<u64>() + self.sum(parts)
    }

    fn sum<'d>(&self, parts: impl IntoIterator<Item = &'d Digest>) -> u64 {
        let sizes = parts.into_iter().filter_map(|part| self.parts.get(part));
        sizes.sum()
    }
}

impl Store<'_> {
    /// Measures everything.
    ///
    /// # Errors
    ///
    /// Errors of the disk.
    pub fn usage(&self) -> Result<Usage> {
        let mut usage = Usage::default();
        let mut layers = measured(&self.layers)?;
        let blobs = measured(&self.blobs)?;
        let mut used = BTreeSet::new();
        for id in self.ids()? {
            let mut parts: BTreeSet<Digest> =
                self.layers(&id).unwrap_or_default().into_iter().collect();
            parts.extend(self.blobs_of(&id)?);
            used.extend(parts.iter().copied());
            let own = size_of(&self.images, &id)?;
            usage.images.push(ImageUsage { id, own, parts });
        }
        usage.rendered = layers
            .keys()
            .filter(|id| !used.contains(id))
            .copied()
            .collect();
        layers.extend(blobs);
        usage.parts = layers;
        usage.pods = below(self.dirs, Part::AllPods)? + below(self.dirs, Part::Scratch)?;
        usage.unfinished = below(self.dirs, Part::Tmp)? + self.downloads()?;
        Ok(usage)
    }

    /// Measures a layer: what it takes, in bytes.
    ///
    /// # Errors
    ///
    /// Errors of the disk.
    pub fn layer_usage(&self, layer: &Digest) -> Result<u64> {
        size_of(&self.layers, layer)
    }

    fn downloads(&self) -> Result<u64> {
        let Ok(root) = self.dirs.root() else {
            return Ok(0);
        };
        let what = || "cannot examine unfinished downloads";
        match root_fd::usage(root, crate::fetch::resume::DIRECTORY.as_ref()) {
            Err(error) if root_fd::is_absent(&error) => Ok(0),
            size => size.context(what),
        }
    }
}

fn measured(objects: &Objects<'_>) -> Result<BTreeMap<Digest, u64>> {
    let ids = objects.ids()?.into_iter();
    ids.map(|id| Ok((id, size_of(objects, &id)?))).collect()
}

fn size_of(objects: &Objects<'_>, id: &Digest) -> Result<u64> {
    let what = || format!("cannot examine {}", objects.name(id));
    match objects.open(id, "") {
        Ok(fd) => root_fd::usage(fd, "".as_ref()).context(what),
        // It was removed meanwhile.
        Err(_) if !objects.contains(id)? => Ok(0),
        Err(error) => Err(error),
    }
}

fn below(dirs: &Dirs, part: Part) -> Result<u64> {
    let path = part.path();
    let what = || format!("cannot examine `{}`", path.display());
    match dirs.find(part)? {
        Some(fd) => root_fd::usage(fd, "".as_ref()).context(what),
        None => Ok(0),
    }
}
