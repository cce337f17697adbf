//! Removes what has not been used for a while: images, layers without an image,
//! partial downloads. Safe to run at any time.
//!
//! An image or a layer is unused if no process has a lease on it (see `lease`),
//! and no pod refers to it. A command that starts a pod holds leases on what
//! the pod needs until the pod's directory refers to it. One that stores an
//! image holds leases on its layers until the image refers to them. So a
//! process that first gets an exclusive lock, and then reads the pods and
//! images, has seen all references.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::digest::Digest;
use crate::fetch::resume;
use crate::store::images::Store;
use crate::store::names;
use crate::store::objects::Objects;
use crate::store::record::now;
use crate::store::staging;
use error::{Context as _, Error, Kind, Result};
use sys::dirs::Dirs;

/// What pods need: the hexadecimal digits of a digest, and one pod that refers
/// to it.
pub type Needs = BTreeMap<String, String>;

/// A garbage collection.
pub struct Collect<'a> {
    /// The directories.
    pub dirs: &'a Dirs,
    /// The images and layers.
    pub store: &'a Store<'a>,
    /// How long something must have been unused.
    pub grace: Duration,
    /// Only report what would be removed.
    pub dry: bool,
    /// Returns what pods need.
    pub needs: &'a dyn Fn() -> Result<Needs>,
}

/// How many directories to lock at a time; each takes a descriptor.
const BATCH: usize = 64;

impl Collect<'_> {
    /// Collects, and passes every removed image to `report`.
    ///
    /// # Errors
    ///
    /// The first error of the disk. The rest is still collected.
    pub fn run(&self, report: &mut dyn FnMut(&Digest) -> Result<()>) -> Result<()> {
        let mut done = Ok(());
        if !self.dry {
            // First, since it takes the most space.
            done = staging::clear(self.dirs);
        }
        let (images, layers) = (&self.store.images, &self.store.layers);
        let needed = || Ok((self.needs)()?.into_keys().collect());
        let before = |id: &Digest| self.expire(id);
        done = done.and(self.collect(images, &images.ids()?, &needed, &before, report));
        if self.dry {
            return done;
        }
        done = done.and(self.collect_layers(&layers.ids()?, &mut |_| Ok(())));
        done = done.and(self.collect_blobs(&self.store.blobs.ids()?));
        if let Ok(root) = self.dirs.root() {
            done = done.and(resume::clear(root, self.grace));
        }
        done.and(names::prune(self.dirs, &|id| images.contains(id)))
    }

    /// Removes an image, unless it is in use, and those of its layers that
    /// nothing else uses.
    ///
    /// # Errors
    ///
    /// It is in use; errors of the disk.
    pub fn remove(&self, id: &Digest) -> Result<()> {
        let images = &self.store.images;
        let what = || format!("cannot remove image `{}`", id.short());
        let Some(claim) = images.claim(id)? else {
            let fault = match images.contains(id)? {
                true => format!("{}: it is in use by a command", what()),
                false => format!("image `{}` was removed", id.short()),
            };
            return Err(Error::invalid(fault));
        };
        if let Some(pod) = (self.needs)()?.get(&id.hex()) {
            return Err(
                Error::invalid(format!("{}: it is in use by pod `{pod}`", what()))
                    .hint("`launcher image gc` removes it when no pod uses it"),
            );
        }
        let (layers, blobs) = (self.layers_of(id)?, self.store.blobs_of(id)?);
        self.expire(id).context(what)?;
        images.hide(id).context(what)?;
        drop(claim);
        images.discard(id).context(what)?;
        self.collect_layers(&layers, &mut |_| Ok(()))
            .and(self.collect_blobs(&blobs))
            .and(names::prune(self.dirs, &|id| images.contains(id)))
    }

    /// Returns whether nothing uses an image, so that it could be removed now.
    ///
    /// # Errors
    ///
    /// Errors of the disk.
    pub fn is_unused(&self, id: &Digest) -> Result<bool> {
        let claim = self.store.images.claim(id)?;
        Ok(claim.is_some() && !(self.needs)()?.contains_key(&id.hex()))
    }

    /// Removes a layer or a blob that has changed, although images have it: they are fetched
    /// again when they are needed. Returns whether it did; it does not if a command or
    /// a pod uses it.
    ///
    /// # Errors
    ///
    /// Errors of the disk.
    pub fn remove_changed(&self, id: &Digest) -> Result<bool> {
        let used = || Ok((self.needs)()?.into_keys().collect());
        let mut gone = false;
        for objects in [&self.store.layers, &self.store.blobs] {
            self.collect(objects, &[*id], &used, &|_| Ok(()), &mut |_| {
                gone = true;
                Ok(())
            })?;
        }
        Ok(gone)
    }

    /// Removes a layer, unless a command, a pod or an image uses it. Returns
    /// whether it did.
    ///
    /// # Errors
    ///
    /// Errors of the disk.
    pub fn remove_layer(&self, id: &Digest) -> Result<bool> {
        let mut gone = false;
        self.collect_layers(&[*id], &mut |_| {
            gone = true;
            Ok(())
        })?;
        Ok(gone)
    }

    /// Removes what is old and unused. Calls `before` first, and `gone` for
    /// each.
    fn collect(
        &self,
        objects: &Objects<'_>,
        ids: &[Digest],
        used: &dyn Fn() -> Result<BTreeSet<String>>,
        before: &dyn Fn(&Digest) -> Result<()>,
        gone: &mut dyn FnMut(&Digest) -> Result<()>,
    ) -> Result<()> {
        let mut done = Ok(());
        for ids in ids.chunks(BATCH) {
            let mut claims = Vec::new();
            for id in ids {
                if self.is_old(objects, id)?
                    && let Some(claim) = objects.claim(id)?
                    // It may have been used between the two checks.
                    && self.is_old(objects, id)?
                {
                    claims.push((id, claim));
                }
            }
            if claims.is_empty() {
                continue;
            }
            let used = used()?;
            claims.retain(|(id, _)| !used.contains(&id.hex()));
            let mut ids: Vec<&Digest> = claims.iter().map(|(id, _)| *id).collect();
            let mut refused = |removed: Result<()>, id: &Digest| {
                let is_refused = removed.is_err();
                let removed = removed.context(|| format!("cannot remove {}", objects.name(id)));
                done = std::mem::replace(&mut done, Ok(())).and(removed);
                is_refused
            };
            if !self.dry {
                let hide = |id| before(id).and_then(|()| objects.hide(id));
                ids.retain(|id| !refused(hide(id), id));
                // Releases the locks, so that others need not wait until all
                // are deleted.
                drop(claims);
                ids.retain(|id| !refused(objects.discard(id), id));
            }
            for id in ids {
                gone(id)?;
            }
        }
        done
    }

    /// Removes those of these layers that neither a pod nor an image needs. Calls
    /// `gone` for each.
    fn collect_layers(
        &self,
        ids: &[Digest],
        gone: &mut dyn FnMut(&Digest) -> Result<()>,
    ) -> Result<()> {
        let used = || {
            let mut used: BTreeSet<String> = (self.needs)()?.into_keys().collect();
            for id in self.store.ids()? {
                used.extend(self.layers_of(&id)?.iter().map(Digest::hex));
            }
            Ok(used)
        };
        let layers = &self.store.layers;
        self.collect(layers, ids, &used, &|_| Ok(()), gone)
    }

    /// Removes those of these blobs that no image has.
    fn collect_blobs(&self, ids: &[Digest]) -> Result<()> {
        let used = || {
            let mut used = BTreeSet::new();
            for id in self.store.ids()? {
                used.extend(self.store.blobs_of(&id)?.iter().map(Digest::hex));
            }
            Ok(used)
        };
        let blobs = &self.store.blobs;
        self.collect(blobs, ids, &used, &|_| Ok(()), &mut |_| Ok(()))
    }

    /// Ends the grace period of the layers and blobs of an image that is about to
    /// be removed. If this command is interrupted, the next one removes them.
    fn expire(&self, image: &Digest) -> Result<()> {
        let (store, layers) = (self.store, self.layers_of(image)?);
        layers.iter().try_for_each(|id| store.layers.expire(id))?;
        let blobs = store.blobs_of(image)?;
        blobs.iter().try_for_each(|id| store.blobs.expire(id))
    }

    /// Returns the layers of an image; none if it is damaged or was removed.
    fn layers_of(&self, id: &Digest) -> Result<Vec<Digest>> {
        match self.store.layers(id) {
            Err(error) if error.kind() == Kind::Invalid => Ok(Vec::new()),
            layers => layers,
        }
    }

    fn is_old(&self, objects: &Objects<'_>, id: &Digest) -> Result<bool> {
        let used = objects.last_used(id)?;
        Ok(used.is_some_and(|used| now().saturating_sub(used) >= self.grace.as_secs()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::store::images::Image;
    use crate::store::record::{Origin, Record};
    use crate::store::staging::Staging;
    use crate::trust::verify::{Grounds, Verified};

    fn digest(byte: u8) -> Digest {
        Digest::sha512([byte; 64])
    }

    /// Publishes an image of these layers, as if it came in several archives.
    fn publish(dirs: &Dirs, image: u8, layers: &[u8]) {
        let store = Store::open(dirs).unwrap();
        let staging = Staging::make(dirs).unwrap();
        let verified = Verified {
            id: digest(image),
            grounds: Grounds::File,
            by: String::new(),
            size: 0,
        };
        let layers: Vec<Digest> = layers.iter().map(|layer| digest(*layer)).collect();
        for layer in &layers {
            let origin = Origin::Archive("x", 0);
            let folder = staging.directory(&layer.hex()).unwrap();
            folder.write("record", origin.text().as_bytes()).unwrap();
            let published = store.layers.publish(&staging, &layer.hex(), layer);
            published.unwrap();
        }
        let image = Image {
            id: verified.id,
            format: "test".to_owned(),
            manifest: Vec::new(),
            layers,
        };
        let record = Record::of("x".to_owned(), &verified);
        store.stage(&staging, &image, &record).unwrap();
        store.publish(&staging, &verified).unwrap();
    }

    #[test]
    fn a_layer_goes_with_the_last_image_that_has_it() {
        let name = format!("nosecone-gc-{}", std::process::id());
        let root = std::env::temp_dir().join(name);
        let dirs = Dirs::open(&root).unwrap();
        publish(&dirs, 1, &[10, 11]);
        publish(&dirs, 2, &[11, 12]);
        publish(&dirs, 3, &[13]);
        let store = Store::open(&dirs).unwrap();
        let pods = std::cell::Cell::new(true);
        let needs = || {
            let pod = |digest: Digest| (digest.hex(), "pod".to_owned());
            let needed = [pod(digest(2)), pod(digest(13))];
            Ok(needed.into_iter().filter(|_| pods.get()).collect())
        };
        let collect = |grace| Collect {
            dirs: &dirs,
            store: &store,
            grace,
            dry: false,
            needs: &needs,
        };
        let left = || {
            let layers = store.layers.ids().unwrap();
            let layers: Vec<u8> = layers.iter().map(|id| id.as_bytes()[0]).collect();
            (store.ids().unwrap().len(), layers)
        };
        let long = Duration::from_secs(3600);
        collect(long).remove(&digest(1)).unwrap();
        assert_eq!(left(), (2, vec![11, 12, 13]));
        // A pod needs the layer, not the image.
        collect(long).remove(&digest(3)).unwrap();
        assert_eq!(left(), (1, vec![11, 12, 13]));
        assert!(collect(long).remove(&digest(2)).is_err());
        pods.set(false);
        // Layers left by the removal of their image have no grace period.
        collect(long).run(&mut |_| Ok(())).unwrap();
        assert_eq!(left(), (1, vec![11, 12]));
        let lease = store.layers.lease(&digest(12)).unwrap();
        collect(Duration::ZERO).run(&mut |_| Ok(())).unwrap();
        assert_eq!(left(), (0, vec![12]));
        drop(lease);
        collect(long).run(&mut |_| Ok(())).unwrap();
        assert_eq!(left(), (0, vec![]));
        std::fs::remove_dir_all(root).unwrap();
    }
}
