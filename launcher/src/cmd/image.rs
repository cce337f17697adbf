//! `launcher image`: manages the images in the store.

mod export;
mod gc;
mod list;
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
use pod::runtime::render;
use sys::dirs::Dirs;
use sys::root_fd;

pub(crate) use crate::cmd::image::export::{Export, Form, Place};
pub(crate) use crate::cmd::image::list::{Field, Listing};
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
    /// Recompute IDs.
    Verify(Vec<String>),
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
        Verb::Remove(names) => {
            let mut failures = Vec::new();
            let ids = named(&store, names, &mut failures);
            gc::remove(&dirs, &store, ids, failures, format, out)
        }
        Verb::Collect { grace, dry } => gc::run(&dirs, &store, *grace, *dry, format, out),
        Verb::Verify(names) => each(format, out, |results| verify(&dirs, &store, names, results)),
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
    results: &mut Results<'_>,
) -> Result<()> {
    let mut failures = Vec::new();
    let ids = match names {
        [] => store.ids()?,
        names => named(store, names, &mut failures),
    };
    let mut verify = Verify::new(dirs, store)?;
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
