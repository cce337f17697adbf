//! `launcher image rm` and `launcher image gc`: removes images.

use std::io::Write;
use std::time::Duration;

use super::print;
use crate::ground::Result;
use crate::ground::dirs::Dirs;
use crate::image::gc::{self, Collect, Kept};
use crate::image::store::Store;
use crate::pod::needs;

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
        needs: &|| needs::read(dirs),
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
    names: &[String],
    out: &mut dyn Write,
) -> Result<()> {
    let mut ids = super::named(store, names)?;
    ids.sort();
    ids.dedup();
    let mut failures = Vec::new();
    for id in ids {
        match gc::remove(dirs, store, &id, &|| needs::read(dirs)) {
            Ok(()) => print(out, &format!("removed {id}\n"))?,
            Err(error) => failures.push(error),
        }
    }
    super::last_of(failures)
}
