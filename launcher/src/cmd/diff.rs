//! `launcher diff`: lists what an app has changed in its root file system.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};

use crate::cmd::pod_files::PodFiles;
use crate::cmd::results::Results;
use crate::cmd::selector::PodSelector;
use appc::json::Object;
use error::quote::escaped;
use error::{Context as _, Result};
use pod::runtime::changes::{Change, changes};
use pod::runtime::export;
use pod::spec::pod::PodSpec;
use pod::state::directory;
use sys::dirs::Dirs;

/// The options.
#[derive(Debug)]
pub(crate) struct Options {
    /// The pod.
    pub(crate) selector: PodSelector,
    /// The app, if it was given.
    pub(crate) app: Option<String>,
}

/// Prints a line for each path that differs from the app's images.
pub(crate) fn run(dir: &Path, options: &Options, results: &mut Results<'_>) -> Result<()> {
    let dirs = Dirs::look(dir)?;
    let (dirs, uuid) = options.selector.find_one(&dirs)?;
    let verb = "compare";
    let what = || format!("cannot {verb} pod `{uuid}`");
    let pod = PodFiles::open(&dirs, uuid, options.app.as_deref(), verb)?;
    let app = pod.app();
    let scratch = scratch(&dirs, &pod.spec).context(what)?;
    let files = scratch.as_ref().unwrap_or(&pod.pod);
    let root = export::open(files, &pod.spec, app).context(what)?;
    let images = match &app.root {
        Some(root) => export::images(root).context(what)?,
        None => return Ok(()),
    };
    for (path, change) in changes(app, &root, &images).context(what)? {
        add(results, &path, change)?;
    }
    Ok(())
}

/// Prints how a path differs.
pub(super) fn add(results: &mut Results<'_>, path: &Path, change: Change) -> Result<()> {
    let (letter, word) = match change {
        Change::Added => ("A", "added"),
        Change::Changed => ("C", "changed"),
        Change::Deleted => ("D", "deleted"),
    };
    let path = path.to_string_lossy();
    let object = Object::new().with("change", word).with("path", &*path);
    results.add(&format!("{letter} {}", escaped(&path)), object)
}

/// Opens the directory that has the files of the pod's apps, if that is not the
/// pod's own.
fn scratch(dirs: &Dirs, spec: &PodSpec) -> std::io::Result<Option<OwnedFd>> {
    if !directory::is_scratch(dirs.path(), &spec.directory) {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(CWD, &*spec.directory, flags, Mode::empty());
    Ok(Some(opened?))
}
