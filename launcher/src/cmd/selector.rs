//! Selects pods, and apps of a pod, by what was typed.

use std::path::{Path, PathBuf};

use appc::types::Uuid;
use error::quote::quoted;
use error::{Context as _, Error, Kind, Result};
use pod::state::find;
use sys::dirs::Dirs;

/// The pods that were typed.
#[derive(Debug, Default)]
pub(crate) struct PodSelector {
    /// Prefixes of UUIDs, and names.
    pub(crate) words: Vec<String>,
    /// A file with one, as `--uuid-file-save` writes it.
    pub(crate) file: Option<PathBuf>,
}

impl PodSelector {
    /// Tells whether no pod is named.
    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty() && self.file.is_none()
    }

    /// Finds all of them, each once, with the place that it is in.
    ///
    /// # Errors
    ///
    /// One is not there, or several are meant by one word.
    pub(super) fn find(&self, dirs: &Dirs) -> Result<Vec<(Dirs, Uuid)>> {
        let mut words = self.words.clone();
        if let Some(file) = &self.file {
            words.push(read(file)?);
        }
        let mut pods: Vec<(Dirs, Uuid)> = Vec::new();
        for word in words {
            let (place, uuid) = find::pod(dirs, &word)?;
            if !pods.iter().any(|(_, known)| *known == uuid) {
                pods.push((place, uuid));
            }
        }
        Ok(pods)
    }

    /// Finds the only one.
    ///
    /// # Errors
    ///
    /// As for [`Self::find`]; there are several.
    pub(super) fn find_one(&self, dirs: &Dirs) -> Result<(Dirs, Uuid)> {
        match &self.find(dirs)?[..] {
            [one] => Ok(one.clone()),
            _ => Err(Error::usage("expected one pod, found several")),
        }
    }
}

/// Chooses an app of a pod by its name, or the only one; returns its place.
///
/// # Errors
///
/// There is none of that name; there are several, and none is named.
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
