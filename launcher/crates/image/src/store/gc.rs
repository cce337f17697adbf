//! Removes what nobody has used for a while: images, layers that no image has,
//! beginnings of downloads. Safe beside everything else that runs.
//!
//! Nobody uses an image or a layer if nobody has a lease on it (see `lease`),
//! and no pod names it. A command that starts a pod has leases on what the pod
//! needs until the pod's directory names it, and one that stores an image has
//! leases on its layers until the image names them. So whoever gets an exclusive
//! lock first and looks at the pods and images then has seen all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::digest::Digest;
use crate::fetch::begun;
use crate::store::images::Store;
use crate::store::names;
use crate::store::objects::Objects;
use crate::store::record::now;
use crate::store::staging;
use error::{Context as _, Error, Kind, Result};
use sys::dirs::Dirs;

/// What pods need: the hexadecimal digits of a digest, and one pod that names it.
pub type Needs = BTreeMap<String, String>;

/// What is to be removed.
pub struct Collect<'a> {
    /// The directories.
    pub dirs: &'a Dirs,
    /// The images and layers.
    pub store: &'a Store<'a>,
    /// How long nobody must have used it.
    pub grace: Duration,
    /// Only say what would be removed.
    pub dry: bool,
    /// Looks at the pods.
    pub needs: &'a dyn Fn() -> Result<Needs>,
}

/// How many directories are locked at a time; each takes a descriptor.
const BATCH: usize = 64;

/// Tells whether it is time for something to go.
type Due<'a> = &'a dyn Fn(&Digest) -> Result<bool>;

/// Returns the digits of what is used.
type Used<'a> = &'a dyn Fn() -> Result<BTreeSet<String>>;

impl Collect<'_> {
    /// Removes it, and tells `report` of everything that is gone: `ID` of an
    /// image, `layer ID` of what was no layer of such an image.
    ///
    /// # Errors
    ///
    /// What the disk refuses first. What else can be removed is.
    pub fn run(&self, report: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
        let mut done = Ok(());
        if !self.dry {
            // First, for the room that it takes.
            done = staging::clear(self.dirs);
        }
        let (images, layers) = (&self.store.images, &self.store.layers);
        let mut gone = BTreeSet::new();
        let mut orphans = BTreeSet::new();
        let due = |id: &Digest| self.is_old(images, id);
        let used = || Ok((self.needs)()?.into_keys().collect());
        done = done.and(
            self.collect(images, &images.ids()?, &due, &used, &mut |id, layers| {
                gone.insert(*id);
                orphans.extend(layers);
                report(&id.to_string())
            }),
        );
        let due = |id: &Digest| Ok(orphans.contains(id) || self.is_old(layers, id)?);
        let used = || self.used(&gone);
        done = done.and(
            self.collect(
                layers,
                &layers.ids()?,
                &due,
                &used,
                &mut |id, _| match orphans.contains(id) {
                    true => Ok(()),
                    false => report(&format!("layer {id}")),
                },
            ),
        );
        if self.dry {
            return done;
        }
        if let Ok(root) = self.dirs.root() {
            done = done.and(begun::clear(root, self.grace));
        }
        done.and(names::prune(self.dirs, &|id| images.contains(id)))
    }

    /// Removes an image, unless somebody uses it, and those of its layers that
    /// nobody else uses.
    ///
    /// # Errors
    ///
    /// Somebody does; the disk's refusals.
    pub fn remove(&self, id: &Digest) -> Result<()> {
        let (images, layers) = (&self.store.images, &self.store.layers);
        let what = || format!("cannot remove image `{}`", id.short());
        let Some(claim) = images.claim(id)? else {
            let fault = match images.contains(id)? {
                true => format!("{}: a command uses it", what()),
                false => format!("image `{}` was removed", id.short()),
            };
            return Err(Error::invalid(fault));
        };
        if let Some(pod) = (self.needs)()?.get(&id.hex()) {
            return Err(Error::invalid(format!("{}: pod `{pod}` uses it", what()))
                .hint("`launcher image gc` removes it when no pod does any more"));
        }
        let orphans = self.layers_of(id);
        images.hide(self.dirs, id).context(what)?;
        drop(claim);
        images.discard(self.dirs, id).context(what)?;
        let used = || self.used(&BTreeSet::new());
        self.collect(layers, &orphans, &|_| Ok(true), &used, &mut |_, _| Ok(()))
            .and(names::prune(self.dirs, &|id| images.contains(id)))
    }

    /// Removes what is due and not used, and tells `gone` of it, with the layers
    /// that it had.
    fn collect(
        &self,
        objects: &Objects,
        ids: &[Digest],
        due: Due<'_>,
        used: Used<'_>,
        gone: &mut dyn FnMut(&Digest, Vec<Digest>) -> Result<()>,
    ) -> Result<()> {
        let mut done = Ok(());
        for ids in ids.chunks(BATCH) {
            let mut claims = Vec::new();
            for id in ids {
                if due(id)?
                    && let Some(claim) = objects.claim(id)?
                    // Somebody may have used it between the two.
                    && due(id)?
                {
                    claims.push((*id, claim));
                }
            }
            if claims.is_empty() {
                continue;
            }
            let used = used()?;
            claims.retain(|(id, _)| !used.contains(&id.hex()));
            let mut ids: Vec<_> = claims
                .iter()
                .map(|(id, _)| (*id, self.layers_of(id)))
                .collect();
            let mut refused = |removed: Result<()>, id: &Digest| {
                let is_refused = removed.is_err();
                let removed = removed.context(|| format!("cannot remove {}", objects.name(id)));
                done = std::mem::replace(&mut done, Ok(())).and(removed);
                is_refused
            };
            if !self.dry {
                ids.retain(|(id, _)| !refused(objects.hide(self.dirs, id), id));
                // Who waits for one of them need not wait until all are deleted.
                drop(claims);
                ids.retain(|(id, _)| !refused(objects.discard(self.dirs, id), id));
            }
            for (id, layers) in ids {
                gone(&id, layers)?;
            }
        }
        done
    }

    /// Returns the layers of an image; of one that is damaged, none.
    fn layers_of(&self, id: &Digest) -> Vec<Digest> {
        self.store.layers(id).unwrap_or_default()
    }

    /// Returns what pods need, and the layers of all images but these.
    fn used(&self, but: &BTreeSet<Digest>) -> Result<BTreeSet<String>> {
        let mut used: BTreeSet<String> = (self.needs)()?.into_keys().collect();
        for id in self.store.ids()?.iter().filter(|id| !but.contains(id)) {
            match self.store.layers(id) {
                // It is damaged, or was removed.
                Err(error) if error.kind() == Kind::Invalid => {}
                layers => used.extend(layers?.iter().map(Digest::hex)),
            }
        }
        Ok(used)
    }

    fn is_old(&self, objects: &Objects, id: &Digest) -> Result<bool> {
        let used = objects.last_used(id)?;
        Ok(used.is_some_and(|used| now().saturating_sub(used) >= self.grace.as_secs()))
    }
}
