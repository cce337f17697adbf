//! `launcher image build`: makes an image of a directory, or of a tar.
//!
//! Nothing is published before the whole archive has been read back by the code
//! that `launcher validate` uses.

mod oci;
mod source;

use std::fs::File;
use std::io::{Seek as _, Write};
use std::path::{Path, PathBuf};

use crate::cmd::{print, say, validate};
use appc::manifest::ImageManifest;
use error::quote::quoted;
use error::{Context as _, Error, Result};
use image::digest::Digest;
use image::format::inspect::{self, Survey};
use image::format::pack::Pack;
use image::format::repack;
use image::store::images::Store;
use image::store::rootfs::Rootfs as _;
use pod::runtime::export;
use sys::atomic_file::{AtomicFile, unnamed};
use sys::dirs::Dirs;

pub(crate) use crate::cmd::build::oci::OciImage;
use crate::cmd::build::source::Opened;
pub(crate) use crate::cmd::build::source::Source;

/// The options.
#[derive(Debug)]
pub(crate) struct Build {
    /// What it is built from.
    pub(crate) source: Source,
    /// The manifest.
    pub(crate) description: Description,
    /// The file to write; without one, the image is stored.
    pub(crate) output: Option<PathBuf>,
    /// Whether to overwrite an existing file.
    pub(crate) overwrite: bool,
}

/// Where the manifest comes from.
#[derive(Debug)]
pub(crate) enum Description {
    /// This file, byte for byte.
    File(PathBuf),
    /// The options.
    Options(Box<ImageManifest>),
    /// The options, of an OCI image.
    Oci(Box<OciImage>),
}

/// Builds the image, and prints its ID.
pub(crate) fn run(dir: &Path, build: &Build, out: &mut dyn Write) -> Result<()> {
    let text = match &build.description {
        Description::File(path) => read(path)?,
        Description::Options(manifest) => format!("{:#}\n", manifest.to_json()).into_bytes(),
        Description::Oci(wanted) => {
            return oci::run(dir, &build.source, build.overwrite, wanted, out);
        }
    };
    let manifest = ImageManifest::parse(&text).context(|| match &build.description {
        Description::File(file) => format!("manifest `{}` is not valid", file.display()),
        _ => "cannot describe the image".to_owned(),
    })?;
    let name = manifest.value.name.as_str();
    let id = match &build.output {
        Some(path) => {
            let target = AtomicFile::create(path, build.overwrite)?;
            let cannot = format!("cannot write `{}`", path.display());
            let id = write(build, &text, name, target.file(), &cannot)?;
            target.publish()?;
            id
        }
        None => {
            let dirs = Dirs::open(dir)?;
            let cannot = "cannot write a temporary file".to_owned();
            let file = unnamed(&dirs.tmp()?).context(|| &cannot)?;
            write(build, &text, name, &file, &cannot)?;
            let from = build.source.path.display().to_string();
            let store = Store::open(&dirs)?;
            store.allow(build.source.growth);
            store.built(file, from)?
        }
    };
    say(&manifest.warnings);
    print(out, &format!("{id}\n"))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let what = || format!("cannot read manifest `{}`", path.display());
    let file = File::open(path).context(what)?;
    validate::read(file).context(what)
}

/// Writes the archive, and checks it. `cannot` is the message if the file
/// cannot be written.
fn write(build: &Build, text: &[u8], name: &str, mut file: &File, cannot: &str) -> Result<Digest> {
    let source = build.source.path.display();
    let id = pack(build, text, &mut file, cannot)
        .context(|| format!("cannot build image `{name}` from `{source}`"))?;
    file.rewind().context(|| cannot)?;
    let survey = inspect::survey(
        file.try_clone().context(|| cannot)?,
        build.source.growth,
        name,
    )?;
    if survey.id != id {
        return Err(Error::invalid(format!("{cannot}: it does not read back")));
    }
    say(&missing_program(&survey).into_iter().collect::<Vec<_>>());
    file.rewind().context(|| cannot)?;
    Ok(id)
}

fn pack(build: &Build, text: &[u8], out: &mut dyn Write, cannot: &str) -> Result<Digest> {
    let mut note = |note: String| say(&[note]);
    let source = build.source.open()?;
    let mut pack = Pack::new(out, cannot, text, build.source.instead()?)?;
    match source {
        Opened::Directory(root) => export::pack(&root, &mut pack, &mut note)?,
        Opened::Tar(input) => repack::tar(input, build.source.growth, &mut pack, &mut note)?,
    }
    pack.finish()
}

/// Returns a warning if the program that the image runs cannot be in it.
fn missing_program(survey: &Survey) -> Option<String> {
    let manifest = &survey.manifest.value;
    let program = manifest.app.as_ref()?.exec.first()?;
    let path = program.strip_prefix('/')?;
    // A dependency may have it. Without an entry for each directory, paths
    // cannot be followed.
    if !manifest.dependencies.is_empty() || survey.index.implies() {
        return None;
    }
    match survey.index.status(path) {
        Ok(None) => Some(format!("{} is not in the image", quoted(program))),
        _ => None,
    }
}
