//! What an image is built from: a directory, or a tar.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use error::quote::quoted;
use error::{Context as _, Error, Result};
use image::archive::stream::Growth;
use image::format::pack::Instead;
use pod::runtime::export::{self, Union};

/// What an image is built from.
#[derive(Debug)]
pub(crate) struct Source {
    /// The directory, or the tar; `-` is standard input.
    pub(crate) path: PathBuf,
    /// The user and group that all files belong to, if not to their owners.
    pub(crate) owner: Option<(u32, u32)>,
    /// How much larger than its compressed form an archive may be.
    pub(crate) growth: Growth,
}

/// The same, opened.
pub(super) enum Opened {
    Directory(Union),
    Tar(File),
}

/// The variable with the latest time of a file, in seconds since 1970
/// (reproducible-builds.org, "SOURCE_DATE_EPOCH").
const EPOCH: &str = "SOURCE_DATE_EPOCH";

impl Source {
    /// Returns what is written in place of what files have.
    pub(super) fn instead(&self) -> Result<Instead> {
        Ok(Instead {
            owner: self.owner,
            latest: latest()?,
        })
    }

    /// Opens what an image is built from.
    pub(super) fn open(&self) -> Result<Opened> {
        let source = &self.path;
        let what = || "cannot open it";
        if source.is_dir() {
            refuse_layout(source)?;
            return export::directory(source)
                .map(Opened::Directory)
                .context(what);
        }
        let input = match source.as_os_str() == "-" {
            true => std::io::stdin()
                .as_fd()
                .try_clone_to_owned()
                .map(File::from),
            false => File::open(source),
        };
        input.map(Opened::Tar).context(what)
    }
}

/// An image layout is a directory, too, but its root is below it.
fn refuse_layout(path: &Path) -> Result<()> {
    let (manifest, rootfs) = (path.join("manifest"), path.join("rootfs"));
    let entries = std::fs::read_dir(path).map_or(0, Iterator::count);
    if entries != 2 || !manifest.is_file() || !rootfs.is_dir() {
        return Ok(());
    }
    let [manifest, rootfs] = [manifest, rootfs].map(|path| path.display().to_string());
    Err(
        Error::invalid("it is an image layout: a manifest, and a root file system below it").hint(
            format!("`launcher image build --manifest={manifest} {rootfs}`"),
        ),
    )
}

/// Returns the time that no file may be later than.
fn latest() -> Result<Option<i64>> {
    let Some(text) = std::env::var_os(EPOCH) else {
        return Ok(None);
    };
    let text = text.to_string_lossy();
    let seconds = text.parse().ok().filter(|&seconds: &i64| seconds >= 0);
    seconds.map(Some).ok_or_else(|| {
        Error::invalid(format!(
            "{} in {EPOCH} is not a number of seconds",
            quoted(&text)
        ))
    })
}
