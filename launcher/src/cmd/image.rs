//! `launcher image`: manages the images in the store.

mod about;
mod export;
mod gc;
mod list;
mod room;
mod verify;

use std::io::Write;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cmd::results::{Format, Results, each};
use crate::cmd::{last_of, print, print_document, say, signature};
use error::{Context as _, Error, Result};
use image::archive::stream::Growth;
use image::digest::Digest;
use image::store::images::Store;
use image::store::rootfs::Rootfs as _;
use oci::reference::Reference;
use pod::runtime::{changes, render};
use sys::dirs::Dirs;
use sys::root_fd;

pub(crate) use crate::cmd::image::export::{Export, Form, Place, deliver};
pub(crate) use crate::cmd::image::list::{Field, Listing};
pub(crate) use crate::cmd::image::room::Prune;
use crate::cmd::image::verify::Verify;

/// The options.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// List all images.
    List(Listing),
    /// Remove images.
    Remove(Vec<String>),
    /// Remove images that have not been used for a while.
    Collect {
        /// How long an image must have been unused.
        grace: Duration,
        /// Only print what would be removed.
        dry: bool,
    },
    /// Remove images that others follow, or that take too much room.
    Prune(Prune),
    /// Show what takes how much room.
    Room,
    /// Give an image another name.
    Tag(String, Reference),
    /// Show all that is known of images.
    Inspect(Vec<String>),
    /// Show how an image was made.
    History(String),
    /// List how the files of an image differ from those of another one.
    Diff(String, String),
    /// Recompute IDs, and remove what has changed if it can be fetched again.
    Verify(Vec<String>, bool),
    /// Check a detached signature of an archive, which may become so much larger.
    VerifySignature(PathBuf, PathBuf, Growth),
    /// Write an image somewhere else.
    Export(Box<Export>),
    /// Copy a root file system.
    Extract(String, PathBuf),
    /// Copy a root file system with all dependencies.
    Render(String, PathBuf),
    /// Print a manifest.
    CatManifest(String),
}

/// Executes the command.
pub(crate) fn run(dir: &Path, verb: &Verb, format: Format, out: &mut dyn Write) -> Result<()> {
    let dirs = Dirs::look(dir)?;
    let store = Store::open(&dirs)?;
    match verb {
        Verb::List(listing) => list::run(&store, listing, format, out),
        Verb::Remove(names) => each(format, out, |results| {
            gc::remove(&dirs, &store, names, results)
        }),
        Verb::Collect { grace, dry } => gc::run(&dirs, &store, *grace, *dry, format, out),
        Verb::Prune(wanted) => each(format, out, |results| {
            room::prune(&dirs, &store, wanted, results)
        }),
        Verb::Room => room::df(&store, format, out),
        Verb::Tag(name, other) => store.tag(&store.named(name)?, other),
        Verb::Inspect(names) => each(format, out, |results| {
            let mut failures = Vec::new();
            for id in named(&store, names, &mut failures) {
                about::inspect(&store, &id, results)?;
            }
            last_of(failures)
        }),
        Verb::History(name) => about::history(&store, &store.named(name)?, format, out),
        Verb::Diff(old, new) => each(format, out, |results| diff(&store, [old, new], results)),
        Verb::Verify(names, remove) => each(format, out, |results| {
            verify(&dirs, &store, names, *remove, results)
        }),
        Verb::VerifySignature(file, archive, growth) => {
            let signed = signature::verify(&dirs, file, archive, *growth)?;
            print(
                out,
                &format.spell(|| signed.text(), || signed.json().into()),
            )
        }
        Verb::Export(export) => export::run(&store, export, out),
        Verb::Extract(name, directory) => {
            let id = store.named(name)?;
            store.hold(&id)?;
            let layers = store.layers(&id)?;
            let layers: Vec<_> = layers.iter().map(|layer| store.rootfs(layer)).collect();
            copy(&store, &id, &layers, directory)
        }
        Verb::Render(name, directory) => {
            let id = store.named(name)?;
            // It is only read, not run.
            store.waive();
            let layers = render::directories(&store, &id, &|note| say(&[note]))?;
            copy(&store, &id, &layers, directory)
        }
        Verb::CatManifest(name) => {
            let mut manifest = store.manifest(&store.named(name)?)?;
            manifest.push(b'\n');
            print_document(out, &manifest)
        }
    }
}

/// Lists how the files of the second image differ from those of the first.
fn diff(store: &Store<'_>, names: [&String; 2], results: &mut Results<'_>) -> Result<()> {
    let mut files = Vec::new();
    for name in names {
        let id = store.named(name)?;
        store.hold(&id)?;
        files.push(export::files(store, &id)?);
    }
    let between = changes::between(&files[0], &files[1])?;
    between
        .iter()
        .try_for_each(|(path, change)| crate::cmd::diff::add(results, path, *change))
}

/// Looks up images. Why one is not found is added to `failures`: the others are
/// meant all the same.
fn named(store: &Store<'_>, names: &[String], failures: &mut Vec<Error>) -> Vec<Digest> {
    let found = names.iter().map(|name| store.named(name));
    found
        .filter_map(|one| one.map_err(|error| failures.push(error)).ok())
        .collect()
}

fn verify(
    dirs: &Dirs,
    store: &Store<'_>,
    names: &[String],
    remove: bool,
    results: &mut Results<'_>,
) -> Result<()> {
    let mut failures = Vec::new();
    let ids = match names {
        [] => store.ids()?,
        names => named(store, names, &mut failures),
    };
    let mut verify = Verify::new(dirs, store, remove)?;
    for id in ids {
        verify.image(&id, results)?;
    }
    failures.extend(verify.failures());
    last_of(failures)
}

/// Copies the layers of an image, topmost first, into a new directory.
fn copy(store: &Store<'_>, id: &Digest, layers: &[PathBuf], directory: &Path) -> Result<()> {
    let what = || format!("cannot write `{}`", directory.display());
    let parent = match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = directory
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| Error::usage(format!("{}: the path has no file name", what())))?;
    let parent = std::fs::File::open(parent).context(what)?;
    root_fd::copy_layers(layers, parent.as_fd(), name).context(what)?;
    match render::open(store, id, layers)?.status("")? {
        Some(top) => root_fd::own(parent, name, (top.uid, top.gid, top.mode)).context(what),
        None => Ok(()),
    }
}
