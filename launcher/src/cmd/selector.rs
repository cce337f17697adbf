//! Finds the pods, and the app of a pod, that were given on the command line.

use std::path::{Path, PathBuf};

use appc::types::Uuid;
use error::quote::quoted;
use error::{Context as _, Error, Kind, Result};
use pod::state::find;
use sys::dirs::Dirs;

/// The pods that were given.
#[derive(Debug, Default)]
pub(crate) struct PodSelector {
    /// Prefixes of UUIDs, and names.
    pub(crate) words: Vec<String>,
    /// A file with a UUID, as `--uuid-file-save` writes it.
    pub(crate) file: Option<PathBuf>,
}

impl PodSelector {
    /// Returns whether no pod was given.
    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty() && self.file.is_none()
    }

    /// Finds all of them, each once, with the directories that it is in. Why
    /// one is not found, or is ambiguous, is added to `failures`: the others are
    /// meant all the same.
    pub(super) fn find(&self, dirs: &Dirs, failures: &mut Vec<Error>) -> Vec<(Dirs, Uuid)> {
        let words = self.words.iter().cloned().map(Ok);
        let words = words.chain(self.file.iter().map(|file| read(file)));
        let mut pods: Vec<(Dirs, Uuid)> = Vec::new();
        for word in words {
            match word.and_then(|word| find::pod(dirs, &word)) {
                Ok((_, uuid)) if pods.iter().any(|(_, known)| *known == uuid) => {}
                Ok(pod) => pods.push(pod),
                Err(error) => failures.push(error),
            }
        }
        pods
    }

    /// Finds the one pod that was given.
    ///
    /// # Errors
    ///
    /// It is not found, or is ambiguous; several were given.
    pub(super) fn find_one(&self, dirs: &Dirs) -> Result<(Dirs, Uuid)> {
        let mut failures = Vec::new();
        match (&self.find(dirs, &mut failures)[..], failures.pop()) {
            (_, Some(error)) => Err(error),
            ([one], None) => Ok(one.clone()),
            _ => Err(Error::usage("expected one pod, found several")),
        }
    }
}

/// Chooses an app of a pod by name, or the only one; returns its index.
///
/// # Errors
///
/// It is not found; no name is given, and there are several.
pub(super) fn app(uuid: Uuid, apps: &[String], name: Option<&str>) -> Result<usize> {
    let all: Vec<String> = apps.iter().map(|app| quoted(app)).collect();
    let all = all.join(", ");
    match (name, apps) {
        (None, [_]) => Ok(0),
        (None, _) => Err(
            Error::usage(format!("pod `{uuid}` has several apps: {all}"))
                .hint("choose one with `--app=NAME`"),
        ),
        (Some(name), apps) => apps.iter().position(|app| app == name).ok_or_else(|| {
            let what = format!("pod `{uuid}` has no app {}", quoted(name));
            Error::new(Kind::NotFound, what).hint(format!("its apps are {all}"))
        }),
    }
}

fn read(file: &Path) -> Result<String> {
    let what = || format!("cannot read a UUID from `{}`", file.display());
    Ok(std::fs::read_to_string(file)
        .context(what)?
        .trim()
        .to_owned())
}
