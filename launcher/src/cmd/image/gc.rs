//! `launcher image rm` and `launcher image gc`: removes images.

use std::io::Write;
use std::time::Duration;

use crate::cmd::{last_of, print};
use error::{Error, Result};
use image::digest::Digest;
use image::store::gc::Collect;
use image::store::images::Store;
use pod::state::gc_roots;
use sys::dirs::Dirs;

/// Removes images that have not been used for a while, or only prints them.
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
    collect.run(&mut |name| print(out, &format!("{done} {name}\n")))
}

/// Removes images. Continues if one is in use. `failures` are those of looking
/// up others.
pub(super) fn remove(
    dirs: &Dirs,
    store: &Store<'_>,
    mut ids: Vec<Digest>,
    mut failures: Vec<Error>,
    out: &mut dyn Write,
) -> Result<()> {
    ids.sort();
    ids.dedup();
    let collect = Collect {
        dirs,
        store,
        grace: Duration::ZERO,
        dry: false,
        needs: &|| gc_roots::read(dirs),
    };
    for id in ids {
        match collect.remove(&id) {
            Ok(()) => print(out, &format!("removed {id}\n"))?,
            Err(error) => failures.push(error),
        }
    }
    last_of(failures)
}
