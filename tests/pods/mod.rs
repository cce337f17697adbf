//! Pods of one app and of several: what the options change, what apps share
//! and what they do not.

/// Several apps: what they share, how they end.
mod apps;
/// Options that people know from other runners.
mod everyday;
/// Event handlers.
mod handlers;
/// Pod manifests.
mod manifests;
/// Every option that can be wrong, and what is said of it.
mod messages;
/// What a service manager is told.
mod notify;
/// What the options of an app and of a pod change.
mod options;
/// Pods that are prepared, and run later.
mod prepared;
/// Users, their groups, and what they may do.
mod tmpfs;
mod users;
/// Volumes and read-only roots.
mod volumes;
/// Where the changes of apps go.
mod writable;

use std::path::PathBuf;

use crate::host::{self, Call, Scratch, launcher};

/// A directory of pods and a place beside it.
pub(crate) struct Pods(pub(crate) Scratch);

impl Pods {
    pub(crate) fn new() -> Self {
        Self(Scratch::new())
    }

    /// `launcher WORDS`, where a word PROBE or BUSYBOX stands for that image,
    /// and HERE in a word for the place.
    pub(crate) fn call(&self, words: &[&str]) -> Call {
        let here = self.0.path().display().to_string();
        let word = |word: &&str| match *word {
            "PROBE" => host::image("probe").display().to_string(),
            "BUSYBOX" => host::image("busybox").display().to_string(),
            word => word.replace("HERE", &here),
        };
        launcher(&self.dir()).args(words.iter().map(word))
    }

    /// `launcher run WORDS`.
    pub(crate) fn run(&self, words: &[&str]) -> Call {
        self.call(&[&["run"], words].concat())
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.0.join("dir")
    }

    /// Makes directories and files in the place: a path that ends in a slash,
    /// or a path and its content.
    pub(crate) fn make(&self, list: &[(&str, &str)]) {
        for (path, content) in list {
            let path = self.0.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            match path.display().to_string().ends_with('/') {
                true => std::fs::create_dir_all(&path).unwrap(),
                false => std::fs::write(&path, content).unwrap(),
            }
        }
    }
}
