//! The store: what it lists, keeps and removes, and what no fault breaks.

/// Images that need others.
mod chains;
/// What differs from an image's ID.
mod damage;
/// What files have, on every way that they take.
mod faithful;
/// Whatever is killed or refused halfway, the next command works.
mod faults;
/// Images that nobody uses go; those that somebody uses stay.
mod gc;
/// What the data directory lies on.
mod ground;
/// Lists, names, and images that are damaged.
mod list;
/// Two commands at a time that are about one image.
mod races;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::aci::{Aci, manifest};
use crate::host::{Call, Scratch, launcher, names};

/// An image of this name that has no app, so that running it only stores it.
fn library(name: &str, version: &str) -> Vec<u8> {
    let manifest = manifest("null").replace(
        "\"name\": \"example.com/sample\"",
        &format!(
            "\"name\": \"{name}\", \"labels\": [{{\"name\": \"version\", \"value\": \"{version}\"}}]"
        ),
    );
    let mut image = Aci::new(&manifest);
    for number in 0..8 {
        let name = format!("rootfs/file{number}");
        image = image.file(&name, 0o644, format!("{number}").repeat(3000));
    }
    image.link("rootfs/link", "file0").dir("rootfs/dir").bytes()
}

/// A store in a scratch directory.
struct Store {
    scratch: Scratch,
}

impl Store {
    fn new() -> Self {
        Self {
            scratch: Scratch::new(),
        }
    }

    fn dir(&self) -> PathBuf {
        self.scratch.join("dir")
    }

    fn image(&self, words: &[&str]) -> Call {
        launcher(&self.dir()).arg("image").args(words)
    }

    /// Stores a library and returns its ID.
    #[track_caller]
    fn store(&self, name: &str, version: &str) -> String {
        let before = self.ids();
        let file = self.scratch.write("library.aci", library(name, version));
        stores(&self.dir(), &file).run().exits(125);
        let mut ids = self.ids();
        ids.retain(|id| !before.contains(id));
        ids.remove(0)
    }

    fn ids(&self) -> Vec<String> {
        names(&self.dir().join("images"))
    }

    fn path(&self, id: &str) -> PathBuf {
        self.dir().join("images").join(id)
    }

    fn layer(&self, id: &str) -> PathBuf {
        self.dir().join("layers").join(id)
    }

    /// Makes it look as if an image was stored and used so many seconds after 1970.
    fn backdate(&self, id: &str, stored: u64, used: u64) {
        let record = format!("{{\"from\": \"x\", \"size\": 2048, \"stored\": {stored}}}");
        fs::write(self.path(id).join("record"), record).unwrap();
        used_at(&self.path(id), used);
    }
}

/// Runs an image without an app, which stores it and says why that is all.
fn stores(dir: &Path, file: &Path) -> Call {
    launcher(dir).arg("run").arg(file)
}

fn used_at(path: &Path, seconds: u64) {
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

fn used(path: &Path) -> i64 {
    path.metadata().unwrap().mtime()
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}
