//! `launcher image build`: makes an image of a directory, or of a tar.
//!
//! Nothing is published before the whole archive has been read back by the code
//! that `launcher validate` uses.

use std::fs::File;
use std::io::{Seek as _, Write};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use crate::cmd::{print, say, validate};
use appc::manifest::ImageManifest;
use error::quote::quoted;
use error::{Context as _, Error, Result};
use image::archive::stream::Growth;
use image::digest::Digest;
use image::format::inspect::{self, Survey};
use image::format::pack::{Instead, Pack};
use image::format::repack;
use image::store::images::Store;
use image::store::rootfs::Rootfs as _;
use pod::runtime::export;
use sys::atomic_file::{AtomicFile, unnamed};
use sys::dirs::Dirs;

/// The options.
#[derive(Debug)]
pub(crate) struct Build {
    /// The directory, or the tar; `-` is standard input.
    pub(crate) source: PathBuf,
    /// The manifest.
    pub(crate) description: Description,
    /// The user and group that all files belong to, if not to their owners.
    pub(crate) owner: Option<(u32, u32)>,
    /// The file to write; without one, the image is stored.
    pub(crate) output: Option<PathBuf>,
    /// Whether to overwrite an existing file.
    pub(crate) overwrite: bool,
    /// How much larger than its compressed form an archive may be.
    pub(crate) growth: Growth,
}

/// Where the manifest comes from.
#[derive(Debug)]
pub(crate) enum Description {
    /// This file, byte for byte.
    File(PathBuf),
    /// The options.
    Options(Box<ImageManifest>),
}

/// The variable with the latest time of a file, in seconds since 1970
/// (reproducible-builds.org, "SOURCE_DATE_EPOCH").
const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Builds the image, and prints its ID.
pub(crate) fn run(dir: &Path, build: &Build, out: &mut dyn Write) -> Result<()> {
    let text = manifest(&build.description)?;
    let manifest = ImageManifest::parse(&text).context(|| match &build.description {
        Description::File(file) => format!("manifest `{}` is not valid", file.display()),
        Description::Options(_) => "cannot describe the image".to_owned(),
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
            let from = build.source.display().to_string();
            let store = Store::open(&dirs)?;
            store.allow(build.growth);
            store.built(file, from)?
        }
    };
    say(&manifest.warnings);
    print(out, &format!("{id}\n"))
}

fn manifest(description: &Description) -> Result<Vec<u8>> {
    match description {
        Description::File(path) => {
            let what = || format!("cannot read manifest `{}`", path.display());
            let file = File::open(path).context(what)?;
            validate::read(file).context(what)
        }
        Description::Options(manifest) => Ok(format!("{:#}\n", manifest.to_json()).into_bytes()),
    }
}

/// Writes the archive, and checks it. `cannot` is the message if the file
/// cannot be written.
fn write(build: &Build, text: &[u8], name: &str, mut file: &File, cannot: &str) -> Result<Digest> {
    let source = build.source.display();
    let id = pack(build, text, &mut file, cannot)
        .context(|| format!("cannot build image `{name}` from `{source}`"))?;
    file.rewind().context(|| cannot)?;
    let survey = inspect::survey(file.try_clone().context(|| cannot)?, build.growth, name)?;
    if survey.id != id {
        return Err(Error::invalid(format!("{cannot}: it does not read back")));
    }
    say(&missing_program(&survey).into_iter().collect::<Vec<_>>());
    file.rewind().context(|| cannot)?;
    Ok(id)
}

fn pack(build: &Build, text: &[u8], out: &mut dyn Write, cannot: &str) -> Result<Digest> {
    let instead = Instead {
        owner: build.owner,
        latest: latest()?,
    };
    let mut note = |note: String| say(&[note]);
    let source = &build.source;
    if source.is_dir() {
        refuse_layout(source)?;
        let root = export::directory(source).context(|| "cannot open it")?;
        let mut pack = Pack::new(out, cannot, text, instead)?;
        export::pack(&root, &mut pack, &mut note)?;
        return pack.finish();
    }
    let input = match source.as_os_str() == "-" {
        true => std::io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .map(File::from),
        false => File::open(source),
    };
    let input = input.context(|| "cannot open it")?;
    let mut pack = Pack::new(out, cannot, text, instead)?;
    repack::tar(input, build.growth, &mut pack, &mut note)?;
    pack.finish()
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
