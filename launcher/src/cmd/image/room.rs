//! `launcher image df` and `launcher image prune`: the room that the store takes, and
//! less of it.

use std::collections::BTreeSet;
use std::io::Write;

use crate::cmd::image::gc::at_once;
use crate::cmd::results::{Format, Results};
use crate::cmd::table::columns;
use crate::cmd::{print, say};
use appc::json::{Object, Value};
use error::Result;
use image::digest::Digest;
use image::store::images::Store;
use image::store::usage::{ImageUsage, Usage};
use pod::state::gc_roots;
use sys::dirs::Dirs;
use sys::size;

use crate::cmd::image::list::{Row, rows};

/// What is removed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Prune {
    /// How many images of each name are kept, the latest.
    pub(crate) keep: Option<usize>,
    /// The room that all images may take, in bytes.
    pub(crate) most: Option<u64>,
    /// Only tell what would be removed.
    pub(crate) dry: bool,
}

/// Shows what takes how much room.
pub(super) fn df(store: &Store<'_>, format: Format, out: &mut dyn Write) -> Result<()> {
    let usage = store.usage()?;
    let (mut rows, _) = rows(store)?;
    rows.sort_by(|a, b| a.id.cmp(&b.id).then(a.name.cmp(&b.name)));
    let sums = [
        ("images", usage.images.len(), usage.all_images()),
        ("rendered", usage.rendered.len(), sum(&usage)),
    ];
    let rest = [("pods", usage.pods), ("unfinished", usage.unfinished)];
    let name = |id: &Digest| {
        let row = rows.iter().find(|row| row.id == *id);
        row.map(Row::shown_name).unwrap_or_default()
    };
    let text = || {
        let titles = ["ID", "NAME", "SIZE", "SHARED", "UNIQUE"];
        let mut lines = vec![titles.map(str::to_owned).to_vec()];
        for image in &usage.images {
            let (all, shared) = (usage.size(image), usage.shared(image));
            let id: String = image.id.to_string().chars().take(19).collect();
            let [all, shared, unique] = [all, shared, all - shared].map(size::spell);
            lines.push(vec![id, name(&image.id), all, shared, unique]);
        }
        let mut totals = vec![["WHAT", "COUNT", "SIZE"].map(str::to_owned).to_vec()];
        for (what, count, bytes) in sums {
            totals.push(vec![what.to_owned(), count.to_string(), size::spell(bytes)]);
        }
        for (what, bytes) in rest {
            totals.push(vec![what.to_owned(), "-".to_owned(), size::spell(bytes)]);
        }
        format!("{}\n{}", columns(&lines), columns(&totals))
    };
    let json = || {
        let images = usage.images.iter().map(|image| {
            let (all, shared) = (usage.size(image), usage.shared(image));
            Object::new()
                .with("id", image.id.to_string())
                .with("name", name(&image.id))
                .with("size", all)
                .with("shared", shared)
                .with("unique", all - shared)
        });
        let mut object = Object::new().with("list", images.collect::<Value>());
        for (what, _, bytes) in sums {
            object = object.with(what, bytes);
        }
        for (what, bytes) in rest {
            object = object.with(what, bytes);
        }
        object.into()
    };
    print(out, &format.spell(text, json))
}

/// Returns what rendered layers take.
fn sum(usage: &Usage) -> u64 {
    let sizes = usage.rendered.iter().map(|id| usage.parts.get(id));
    sizes.flatten().sum()
}

/// Removes images: first those of a name that are followed by enough others, then the
/// oldest, as long as all together take too much room.
pub(super) fn prune(
    dirs: &Dirs,
    store: &Store<'_>,
    prune: &Prune,
    results: &mut Results<'_>,
) -> Result<()> {
    let needs = || gc_roots::read(dirs);
    let collect = at_once(dirs, store, &needs);
    let mut usage = store.usage()?;
    let (mut rows, _) = rows(store)?;
    // The latest first.
    rows.sort_by(|a, b| b.image.stored.cmp(&a.image.stored).then(b.id.cmp(&a.id)));
    let mut remove = |id: &Digest, usage: &mut Usage| -> Result<bool> {
        if !collect.is_unused(id)? {
            return Ok(false);
        }
        let done = match prune.dry {
            true => "would remove",
            false => {
                collect.remove(id)?;
                "removed"
            }
        };
        usage.images.retain(|image: &ImageUsage| image.id != *id);
        let object = Object::new()
            .with("id", id.to_string())
            .with("removed", !prune.dry);
        results.add(&format!("{done} {id}"), object)?;
        Ok(true)
    };
    if let Some(keep) = prune.keep {
        let kept = kept(&rows, keep);
        let ids: BTreeSet<Digest> = rows.iter().map(|row| row.id).collect();
        for id in ids.difference(&kept) {
            remove(id, &mut usage)?;
        }
    }
    let Some(most) = prune.most else {
        return Ok(());
    };
    for row in rows.iter().rev() {
        if usage.all_images() <= most {
            return Ok(());
        }
        let is_there = usage.images.iter().any(|image| image.id == row.id);
        if is_there {
            remove(&row.id, &mut usage)?;
        }
    }
    let left = usage.all_images();
    if left > most {
        let left = size::spell(left);
        say(&[format!("the images that are in use take {left}")]);
    }
    Ok(())
}

/// Returns the images that are among the latest of one of their names, whatever their
/// versions. The rows have the latest first.
fn kept(rows: &[Row], keep: usize) -> BTreeSet<Digest> {
    let mut kept = BTreeSet::new();
    for row in rows.iter().filter(|row| row.is_named) {
        let mut newer: Vec<Digest> = Vec::new();
        let of_name = rows
            .iter()
            .filter(|other| other.is_named && other.name == row.name);
        for other in of_name.take_while(|other| other.id != row.id) {
            if !newer.contains(&other.id) {
                newer.push(other.id);
            }
        }
        if newer.len() < keep {
            kept.insert(row.id);
        }
    }
    kept
}
