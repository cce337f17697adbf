//! `launcher image rm` and `launcher image gc`: removes images.

use std::io::Write;
use std::time::Duration;

use crate::cmd::{last_of, print};
use appc::digest::ImageId;
use error::Result;
use image::store::gc::{self, Collect, Kept};
use image::store::images::Store;
use pod::state::gc_roots;
use sys::dirs::Dirs;

/// Removes what nobody has used for so long, or only names it.
pub(super) fn run(
    dirs: &Dirs,
    store: &Store<'_>,
    grace: Duration,
    dry: bool,
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
    collect.run(&mut |kind, name| {
        let line = match kind {
            Kept::Image => format!("{done} {name}\n"),
            Kept::Tree => format!("{done} tree {name}\n"),
        };
        print(out, &line)
    })
}

/// Removes images by name. All are looked up before one is removed, and one
/// that is in use does not keep the others.
pub(super) fn remove(
    dirs: &Dirs,
    store: &Store<'_>,
    mut ids: Vec<ImageId>,
    out: &mut dyn Write,
) -> Result<()> {
    ids.sort();
    ids.dedup();
    let mut failures = Vec::new();
    for id in ids {
        match gc::remove(dirs, store, &id, &|| gc_roots::read(dirs)) {
            Ok(()) => print(out, &format!("removed {id}\n"))?,
            Err(error) => failures.push(error),
        }
    }
    last_of(failures)
}
