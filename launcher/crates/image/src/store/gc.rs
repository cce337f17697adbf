//! Removes what nobody has used for a while: images, trees that were rendered
//! of several, beginnings of downloads. Safe beside everything else that runs.
//!
//! Nobody uses an image or a tree if nobody holds its directory (see `lease`)
//! and no pod names it. A command that starts a pod holds what the pod needs
//! until the pod's directory names it, so whoever gets an exclusive lock first
//! and looks at the pods then has seen all.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::fetch::resume;
use crate::store::images::Store;
use crate::store::lease;
use crate::store::names;
use crate::store::staging;
use appc::digest::ImageId;
use appc::types::Uuid;
use error::{Context as _, Error, Result};
use sys::dirs::{Dirs, Part};

/// What pods need, and one pod that needs it.
#[derive(Debug, Default)]
pub struct Needs {
    /// Names of images and of rendered trees, as their directories have them.
    pub named: BTreeMap<String, Uuid>,
}

/// What is kept in directories of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// An image.
    Image,
    /// A tree rendered of several images.
    Tree,
}

/// What is to be removed.
pub struct Collect<'a> {
    /// The directories.
    pub dirs: &'a Dirs,
    /// The images.
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

impl Collect<'_> {
    /// Removes it, and tells `report` of everything that is gone.
    ///
    /// # Errors
    ///
    /// What the disk refuses first. What else can be removed is.
    pub fn run(&self, report: &mut dyn FnMut(Kept, &str) -> Result<()>) -> Result<()> {
        let mut done = Ok(());
        if !self.dry {
            // First, for the room that it takes.
            done = staging::clear(self.dirs);
        }
        for (kind, part) in [(Kept::Tree, Part::Trees), (Kept::Image, Part::Images)] {
            if let Some(parent) = self.dirs.find(part)? {
                done = done.and(self.collect(kind, &parent, report));
            }
        }
        if self.dry {
            return done;
        }
        if let Ok(root) = self.dirs.root() {
            done = done.and(resume::clear(root, self.grace));
        }
        done.and(names::prune(self.dirs, &|id| self.store.contains(id)))
    }

    fn collect(
        &self,
        kind: Kept,
        parent: &OwnedFd,
        report: &mut dyn FnMut(Kept, &str) -> Result<()>,
    ) -> Result<()> {
        let mut done = Ok(());
        let names: Vec<String> = directories(parent)?.into_iter().collect();
        for names in names.chunks(BATCH) {
            let mut claims = Vec::new();
            for name in names {
                if self.is_old(parent, name)?
                    && let Some(claim) = lease::claim(parent, name).context(|| cannot(name))?
                    // Somebody may have used it between the two.
                    && self.is_old(parent, name)?
                {
                    claims.push((name, claim));
                }
            }
            if claims.is_empty() {
                continue;
            }
            let needs = (self.needs)()?;
            claims.retain(|(name, _)| !needs.named.contains_key(*name));
            let mut gone: Vec<&String> = claims.iter().map(|(name, _)| *name).collect();
            let mut refused = |removed: Result<()>, name: &str| {
                let is_refused = removed.is_err();
                let removed = removed.context(|| cannot(name));
                done = std::mem::replace(&mut done, Ok(())).and(removed);
                is_refused
            };
            if !self.dry {
                gone.retain(|name| !refused(staging::hide(self.dirs, parent, name), name));
                // Who waits for one of them need not wait until all are deleted.
                drop(claims);
                gone.retain(|name| !refused(staging::discard(self.dirs, name), name));
            }
            for name in gone {
                report(kind, name)?;
            }
        }
        done
    }

    fn is_old(&self, parent: &OwnedFd, name: &str) -> Result<bool> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_secs());
        let used = lease::last_used(parent, name).context(|| cannot(name))?;
        Ok(used.is_some_and(|used| now.saturating_sub(used) >= self.grace.as_secs()))
    }
}

/// Removes one image, unless somebody uses it.
///
/// # Errors
///
/// Somebody does; the disk's refusals.
pub fn remove(
    dirs: &Dirs,
    store: &Store<'_>,
    id: &ImageId,
    needs: &dyn Fn() -> Result<Needs>,
) -> Result<()> {
    let name = id.to_string();
    let what = || format!("cannot remove image `{}`", id.short());
    let images = dirs.images()?;
    let Some(_claim) = lease::claim(&images, &name).context(what)? else {
        return match store.contains(id)? {
            true => Err(Error::invalid(format!("{}: a command uses it", what()))),
            false => Err(Error::invalid(format!(
                "image `{}` was removed",
                id.short()
            ))),
        };
    };
    if let Some(pod) = needs()?.named.get(&name) {
        return Err(Error::invalid(format!("{}: pod `{pod}` uses it", what()))
            .hint("`launcher image gc` removes it when no pod does any more"));
    }
    store.remove(id)
}

/// Returns the names of directories: everything but what begins with a dot.
fn directories(parent: &OwnedFd) -> Result<BTreeSet<String>> {
    let what = || "cannot list what is stored";
    let mut names = BTreeSet::new();
    for entry in rustix::fs::Dir::read_from(parent).context(what)? {
        let entry = entry.context(what)?;
        if let Ok(name) = entry.file_name().to_str()
            && !name.starts_with('.')
        {
            names.insert(name.to_owned());
        }
    }
    Ok(names)
}

fn cannot(name: &str) -> String {
    format!("cannot remove `{name}`")
}
