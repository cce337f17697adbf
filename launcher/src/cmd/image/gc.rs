//! `launcher image rm` and `launcher image gc`: removes images.

use std::io::Write;
use std::time::Duration;

use crate::cmd::last_of;
use crate::cmd::results::{Format, Results, each};
use appc::json::Object;
use error::Result;
use image::digest::Digest;
use image::store::gc::{Collect, Needs};
use image::store::images::Store;
use pod::state::gc_roots;
use sys::dirs::Dirs;

/// Removes images that have not been used for a while, or only prints them.
pub(super) fn run(
    dirs: &Dirs,
    store: &Store<'_>,
    grace: Duration,
    dry: bool,
    format: Format,
    out: &mut dyn Write,
) -> Result<()> {
    let collect = Collect {
        dirs,
        store,
        grace,
        dry,
        needs: &|| gc_roots::read(dirs),
    };
    let done = if dry { "would remove" } else { "removed" };
    each(format, out, |results| {
        collect.run(&mut |id| results.add(&format!("{done} {id}"), object(id, !dry)))
    })
}

/// Returns a collection without a grace period.
pub(super) fn at_once<'a>(
    dirs: &'a Dirs,
    store: &'a Store<'a>,
    needs: &'a dyn Fn() -> Result<Needs>,
) -> Collect<'a> {
    Collect {
        dirs,
        store,
        grace: Duration::ZERO,
        dry: false,
        needs,
    }
}

fn object(id: &Digest, removed: bool) -> Object {
    Object::new()
        .with("id", id.to_string())
        .with("removed", removed)
}

/// Removes images; or only a name of one that has others, if that was given. Continues
/// if one is in use.
pub(super) fn remove(
    dirs: &Dirs,
    store: &Store<'_>,
    names: &[String],
    results: &mut Results<'_>,
) -> Result<()> {
    let needs = || gc_roots::read(dirs);
    let collect = at_once(dirs, store, &needs);
    let mut failures = Vec::new();
    let mut ids = Vec::new();
    for name in names {
        match store.named(name) {
            Err(error) => failures.push(error),
            Ok(id) => match store.untag(&id, name)? {
                None => ids.push(id),
                Some(name) => {
                    let object = Object::new()
                        .with("id", id.to_string())
                        .with("untagged", name.as_str());
                    results.add(&format!("untagged {name}"), object)?;
                }
            },
        }
    }
    ids.sort();
    ids.dedup();
    for id in ids {
        match collect.remove(&id) {
            Ok(()) => results.add(&format!("removed {id}"), object(&id, true))?,
            Err(error) => failures.push(error),
        }
    }
    last_of(failures)
}
