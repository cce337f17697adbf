//! `launcher diff`: lists what an app has changed in its root file system.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};

use crate::cmd::export::claim;
use crate::cmd::results::Results;
use crate::cmd::selector::{self, PodSelector};
use appc::json::Object;
use appc::types::Uuid;
use error::quote::escaped;
use error::{Context as _, Error, Result};
use pod::runtime::changes::{Change, changes};
use pod::runtime::export;
use pod::runtime::status::{self, Phase};
use pod::spec::pod::PodSpec;
use pod::state::directory::{self, SPEC, read_in};
use sys::dirs::{Dirs, State};

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
    let what = || format!("cannot compare pod `{uuid}` with its images");
    let pod = open(&dirs, uuid)?;
    let spec = read_in(&pod, SPEC).context(what)?;
    let spec = spec.ok_or_else(|| Error::invalid(format!("{}: it has no spec", what())))?;
    let spec = PodSpec::read(&spec).context(what)?;
    let names: Vec<String> = spec.apps.iter().map(|app| app.name.clone()).collect();
    let app = &spec.apps[selector::app(uuid, &names, options.app.as_deref())?];
    let files = files(&dirs, pod, &spec).context(what)?;
    let root = export::open(&files, &spec, app).context(what)?;
    let images = match &app.root {
        Some(root) => export::images(root).context(what)?,
        None => return Ok(()),
    };
    for (path, change) in changes(app, &root, &images).context(what)? {
        let (letter, word) = match change {
            Change::Added => ("A", "added"),
            Change::Changed => ("C", "changed"),
            Change::Deleted => ("D", "deleted"),
        };
        let path = path.to_string_lossy();
        let object = Object::new().with("change", word).with("path", &*path);
        results.add(&format!("{letter} {}", escaped(&path)), object)?;
    }
    Ok(())
}

/// Opens the directory of a pod: one that runs, or one that is then locked.
fn open(dirs: &Dirs, uuid: Uuid) -> Result<OwnedFd> {
    let phase = status::read(dirs, uuid)?.map(|pod| pod.phase);
    if phase == Some(Phase::Running)
        && let Some(pod) = directory::open_in(dirs, State::Run, uuid)?
    {
        return Ok(pod);
    }
    claim(dirs, uuid, "examine")
}

/// Returns the directory that has the files of the pod's apps.
fn files(dirs: &Dirs, pod: OwnedFd, spec: &PodSpec) -> std::io::Result<OwnedFd> {
    match directory::is_scratch(dirs.path(), &spec.directory) {
        true => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = rustix::fs::openat(CWD, &*spec.directory, flags, Mode::empty());
            Ok(opened?)
        }
        false => Ok(pod),
    }
}
