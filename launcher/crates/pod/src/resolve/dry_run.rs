//! Works out what the root of an image would consist of, without making it: for
//! plans that are only shown.

use std::path::{Path, PathBuf};

use crate::resolve::dependencies::{self, Images};
use crate::runtime::render::{self, Base};
use appc::manifest::ImageManifest;
use appc::manifest::image::Dependency;
use error::{Error, Kind, Result};
use image::digest::Digest;
use image::format::inspect::Survey;
use image::store::images::Store;
use image::store::layers;
use image::store::rootfs::{Rootfs, Status};
use image::store::rootfs_view::Stack;

/// Images and a store, neither of which has to exist yet.
pub struct DryRun<'a> {
    /// The directory of the store, even if it does not exist.
    pub dir: &'a Path,
    /// The store.
    pub store: Option<&'a Store<'a>>,
    /// An archive that has not been unpacked.
    pub archive: Option<&'a Survey>,
}

/// A root file system as it would be.
pub struct PlannedRoot<'a> {
    /// Its directories on the host, topmost first.
    pub layers: Vec<PathBuf>,
    archive: Option<&'a Survey>,
    stored: Stack,
}

impl<'a> DryRun<'a> {
    /// Looks up an image and everything it depends on.
    ///
    /// # Errors
    ///
    /// Fails if a dependency is not in the store.
    pub fn look(&self, id: &Digest) -> Result<PlannedRoot<'a>> {
        if let Some(planned) = self.look_at_oci(id)? {
            return Ok(planned);
        }
        let layers = dependencies::layers(id, self)?;
        let ids: Vec<Digest> = layers.iter().map(|layer| layer.image).collect();
        let directory = |id: &Digest| layers::rootfs(self.dir, id);
        let layers = match render::decide(layers, &|id| self.implies(id))? {
            Base::Overlay(ids) => ids.iter().rev().map(directory).collect(),
            Base::Rendered(rendering) => vec![directory(&rendering.id())],
        };
        let stored = ids.iter().rev().filter(|id| !self.is_archive(id));
        let stored: Vec<PathBuf> = stored.map(directory).collect();
        Ok(PlannedRoot {
            layers,
            archive: self.archive,
            stored: Stack::open(&stored)?,
        })
    }

    /// Looks up a stored OCI image; `None` if it is another.
    fn look_at_oci(&self, id: &Digest) -> Result<Option<PlannedRoot<'a>>> {
        let Some(store) = self.store.filter(|_| !self.is_archive(id)) else {
            return Ok(None);
        };
        let Some(layers) = render::layers_of_oci(store, id)? else {
            return Ok(None);
        };
        let directory = |id: &Digest| layers::rootfs(self.dir, id);
        let stored = layers.iter().rev().map(|layer| directory(&layer.image));
        let stored = Stack::open(&stored.collect::<Vec<_>>())?;
        let top = render::top_of_oci(store, &layers)?;
        let layers = match render::decide(layers, &|_| Ok(false))? {
            Base::Overlay(ids) => ids.iter().rev().map(directory).collect(),
            Base::Rendered(rendering) => vec![directory(&rendering.id())],
        };
        Ok(Some(PlannedRoot {
            layers,
            archive: None,
            stored: stored.with_top(top),
        }))
    }

    fn is_archive(&self, id: &Digest) -> bool {
        self.archive.is_some_and(|archive| archive.id == *id)
    }

    fn implies(&self, id: &Digest) -> Result<bool> {
        match (self.archive, self.store) {
            (Some(archive), _) if archive.id == *id => Ok(archive.index.implies()),
            (_, Some(store)) => Ok(!store.implicit(id)?.is_empty()),
            _ => Ok(false),
        }
    }
}

impl Images for DryRun<'_> {
    fn resolve(&self, dependency: &Dependency) -> Result<Digest> {
        match self.store {
            Some(store) => store.resolve(dependency),
            None => Err(Error::new(
                Kind::NotFound,
                format!("image `{}` is not in the store", dependency.image_name),
            )),
        }
    }

    fn manifest(&self, id: &Digest) -> Result<ImageManifest> {
        match (self.archive, self.store) {
            (Some(archive), _) if archive.id == *id => Ok(archive.manifest.value.clone()),
            (_, Some(store)) => Images::manifest(store, id),
            _ => Err(Error::new(
                Kind::NotFound,
                format!("image `{}` is not in the store", id.short()),
            )),
        }
    }
}

/// The archive is on top of its dependencies.
impl Rootfs for PlannedRoot<'_> {
    fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        if let Some(archive) = self.archive
            && archive.index.status(path)?.is_some()
        {
            return archive.index.read(path, limit);
        }
        self.stored.read(path, limit)
    }

    fn has(&self, path: &str) -> Result<bool> {
        if let Some(archive) = self.archive
            && archive.index.has(path)?
        {
            return Ok(true);
        }
        self.stored.has(path)
    }

    fn is_empty(&self, path: &str) -> Result<bool> {
        if let Some(archive) = self.archive
            && !archive.index.is_empty(path)?
        {
            return Ok(false);
        }
        self.stored.is_empty(path)
    }

    fn status(&self, path: &str) -> Result<Option<Status>> {
        if let Some(archive) = self.archive
            && let Some(status) = archive.index.status(path)?
        {
            return Ok(Some(status));
        }
        self.stored.status(path)
    }

    fn real(&self, path: &str) -> Result<Option<PathBuf>> {
        self.stored.real(path)
    }
}
