//! `launcher image rm` and `launcher image gc`: removes images.

use std::io::Write;
use std::time::Duration;

use crate::cmd::last_of;
use crate::cmd::results::{Format, each};
use appc::json::Object;
use error::{Error, Result};
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

/// Removes images. Continues if one is in use. `failures` are those of looking
/// up others.
pub(super) fn remove(
    dirs: &Dirs,
    store: &Store<'_>,
    mut ids: Vec<Digest>,
    mut failures: Vec<Error>,
    format: Format,
    out: &mut dyn Write,
) -> Result<()> {
    ids.sort();
    ids.dedup();
    let needs = || gc_roots::read(dirs);
    let collect = at_once(dirs, store, &needs);
    each(format, out, |results| {
        for id in ids {
            match collect.remove(&id) {
                Ok(()) => results.add(&format!("removed {id}"), object(&id, true))?,
                Err(error) => failures.push(error),
            }
        }
        last_of(failures)
    })
}
