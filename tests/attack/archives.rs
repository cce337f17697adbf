//! Archives that attack whoever unpacks them, and what becomes of honest ones.
//!
//! Each attack ends in one sentence, with nothing left in the store and
//! nothing touched outside of it, or in a tree that keeps it inside.

/// Names and members that images may not have.
mod entries;
/// What an unpacked file is: contents, holes, owners, modes, times, attributes.
mod faithful;
/// Bounds on what an archive may hold, and on the memory that reading it takes.
mod quotas;
/// What other programs write and read, and what of that is refused on purpose.
mod readers;
/// Streams that mean different things to different readers.
mod streams;
/// Paths and links that lead out.
mod ways_out;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::aci::{Aci, running};
use crate::host::{Ran, Scratch, launcher, names};

/// Status of `run` when Nose Cone failed.
const OURS: i32 = 125;

/// An archive with a sound manifest and an empty rootfs.
fn new() -> Aci {
    Aci::new(&running(&["/no/such"]))
}

/// A store, and beside it what an archive would like to reach.
struct Target {
    scratch: Scratch,
    before: Vec<String>,
}

impl Target {
    fn new() -> Self {
        let scratch = Scratch::new();
        let outside = scratch.join("outside");
        fs::create_dir(&outside).unwrap();
        fs::set_permissions(&outside, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(outside.join("victim"), "as it was").unwrap();
        let before = listing(&outside);
        Self { scratch, before }
    }

    /// The directory outside the store.
    fn outside(&self) -> String {
        self.scratch.join("outside").display().to_string()
    }

    fn dir(&self) -> PathBuf {
        self.scratch.join("dir")
    }

    /// Stores an archive, by running it: the program that it names is not there.
    fn store(&self, bytes: &[u8]) -> Ran {
        let file = self.scratch.write("image.aci", bytes);
        let ran = launcher(&self.dir()).arg("run").arg(file).run();
        assert_eq!(listing(&self.scratch.join("outside")), self.before);
        assert_eq!(names(&self.dir().join("tmp")), [""; 0]);
        ran
    }

    /// Fails unless the image is refused; what is said of it is the caller's to check.
    #[must_use]
    #[track_caller]
    fn refuses(&self, bytes: &[u8]) -> Ran {
        let ran = self.store(bytes).exits(OURS).says("");
        assert_eq!(names(&self.dir().join("images")), [""; 0]);
        ran.naming("FILE", self.scratch.join("image.aci"))
    }

    /// Fails unless the image is refused, for whatever reason, and that is said.
    #[track_caller]
    fn fails_somehow(&self, bytes: &[u8]) {
        let ran = self.refuses(bytes);
        assert!(ran.stderr.starts_with("launcher: "), "{ran:?}");
    }

    /// Fails unless the image is stored; returns its unpacked tree.
    #[track_caller]
    fn keeps(&self, bytes: &[u8]) -> PathBuf {
        self.store(bytes).exits(127);
        let layers = self.dir().join("layers");
        let [id] = names(&layers).try_into().unwrap();
        // Whatever was unpacked gives the archive back.
        let dir = self.dir();
        launcher(&dir)
            .args(["image", "verify"])
            .run()
            .exits(0)
            .says(&format!("{id} OK\n"))
            .complains("");
        layers.join(id).join("rootfs")
    }
}

/// An attack that is refused.
#[must_use]
#[track_caller]
fn refused(image: Aci) -> Ran {
    Target::new().refuses(&image.bytes())
}

/// All that can be seen of a directory: names, modes, owners, sizes, times.
fn listing(dir: &Path) -> Vec<String> {
    let mut paths = vec![dir.to_owned()];
    paths.extend(names(dir).iter().map(|name| dir.join(name)));
    let shown = paths.iter().map(|path| {
        let status = path.symlink_metadata().unwrap();
        let (mode, owner) = (status.mode(), (status.uid(), status.gid()));
        let times = (status.mtime(), status.mtime_nsec(), status.ctime_nsec());
        let (links, size) = (status.nlink(), status.len());
        format!("{path:?} {mode:o} {owner:?} {times:?} {links} {size}")
    });
    shown.collect()
}
