//! `launcher plan`: what `run` would do, without doing anything.

use std::path::Path;

use crate::command::run::{Options, random_uuid};
use crate::ground::dirs::Dirs;
use crate::ground::host::Host;
use crate::ground::{Context as _, Error, Kind, Result};
use crate::image::store::Store;
use crate::image::survey::{Survey, survey};
use crate::pod::compose::compose;
use crate::pod::directory;
use crate::pod::foresee::Foresight;
use crate::pod::reify::{Source, reify};
use crate::pod::tree::Images as _;
use crate::words::digest::ImageId;
use crate::words::reference::Reference;

/// How to use this command.
pub(crate) const HELP: &str = "\
Usage: launcher plan [OPTIONS] IMAGE [-- ARGUMENT...]

Shows the plan that `launcher run` with the same options would execute, one
directive a line, each with the reason why it is there. Changes nothing, and
needs no privileges. `launcher run --plan FILE` executes what this prints.

Options:
  --format FORMAT   text, json, or words: NUL-terminated, as stage1-init
                    reads them (text)
  and those of `launcher run`
";

/// How a plan is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For stage1-init.
    Words,
}

/// Returns the plan.
pub(crate) fn run(dir: &Path, options: &Options, format: Format) -> Result<Vec<u8>> {
    let host = Host::observe();
    let dirs = Dirs::look(dir)?;
    let store = dirs.as_ref().map(Store::open).transpose()?;
    let archive = archive(&options.image)?;
    let foresight = Foresight {
        dir,
        store: store.as_ref(),
        archive: archive.as_ref(),
    };
    let id = match &archive {
        Some(archive) => archive.id,
        None => stored(store.as_ref(), &options.image)?,
    };
    let manifest = foresight.manifest(&id)?;
    let rootfs = foresight.look(&id)?;
    let uuid = options.uuid.map_or_else(random_uuid, Ok)?;
    let source = Source {
        manifest: &manifest,
        layers: rootfs.layers.clone(),
        rootfs: &rootfs,
    };
    let directory = directory::path(dir, uuid);
    let pod = reify(uuid, directory, &host, &options.request, &source)?;
    let plan = compose(&pod, &host)?;
    Ok(match format {
        Format::Text => plan.text().into_bytes(),
        Format::Json => plan.json().into_bytes(),
        Format::Words => plan.words(),
    })
}

/// Reads the archive, if a file was named.
fn archive(image: &Reference) -> Result<Option<Survey>> {
    let Reference::Path(path) = image else {
        return Ok(None);
    };
    let name = path.display().to_string();
    let file = std::fs::File::open(path).context(|| format!("cannot open image `{name}`"))?;
    survey(file, &name).map(Some)
}

/// Returns the ID of an image that is stored.
fn stored(store: Option<&Store<'_>>, image: &Reference) -> Result<ImageId> {
    let found = match (image, store) {
        (Reference::Id(prefix), Some(store)) => return store.named(prefix),
        (Reference::Name(name), Some(store)) => store.find(&name.name, &name.labels)?,
        _ => None,
    };
    found.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("image `{image}` is not stored"))
            .hint("`launcher fetch` fetches and stores it")
    })
}
