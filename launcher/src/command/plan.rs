//! `launcher plan`: what `run` would do, without doing anything.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::request;
use super::run::{Options, random_uuid, tell};
use crate::ground::dirs::Dirs;
use crate::ground::host::Host;
use crate::ground::{Context as _, Error, Kind, Result, source};
use crate::image::rootfs::Rootfs;
use crate::image::store::{self, Store};
use crate::image::survey::survey;
use crate::image::tree::Stack;
use crate::pod::compose::compose;
use crate::pod::directory;
use crate::pod::reify::{Source, reify};
use crate::pod::request::Request;
use crate::words::digest::ImageId;
use crate::words::manifest::ImageManifest;

/// How to use this command.
pub(crate) const HELP: &str = "\
Usage: launcher plan [POD OPTIONS] IMAGE [APP OPTIONS] [-- ARGUMENT...]
                     [--- IMAGE [APP OPTIONS] [-- ARGUMENT...]]...
       launcher plan [POD OPTIONS] --pod-manifest FILE

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
pub(crate) fn run(dir: &Path, options: Options, format: Format) -> Result<Vec<u8>> {
    let host = Host::observe();
    let uuid = options.uuid.map_or_else(random_uuid, Ok)?;
    let (request, images) = images(dir, options)?;
    let sources: Vec<Source<'_>> = images.iter().map(Image::source).collect();
    let directory = directory::path(dir, uuid);
    let pod = reify(uuid, directory, &host, &request, &sources, &source::look)?;
    tell(&pod, request.strict)?;
    let plan = compose(&pod, &host)?;
    Ok(match format {
        Format::Text => plan.text().into_bytes(),
        Format::Json => plan.json().into_bytes(),
        Format::Words => plan.words(),
    })
}

/// An image: an archive that was only looked at, or one of the store.
struct Image {
    id: ImageId,
    manifest: ImageManifest,
    rootfs: Box<dyn Rootfs>,
    layers: Vec<PathBuf>,
}

impl Image {
    /// Looks at an archive. Where it would be unpacked is known before it is.
    fn archive(dir: &Path, file: &Path) -> Result<Self> {
        let name = file.display().to_string();
        let file = File::open(file).context(|| format!("cannot open image `{name}`"))?;
        let survey = survey(file, &name)?;
        let tree = dir
            .join("images")
            .join(survey.id.to_string())
            .join("rootfs");
        Ok(Self {
            id: survey.id,
            manifest: survey.manifest.value,
            rootfs: Box::new(survey.index),
            layers: vec![tree],
        })
    }

    /// Takes an image of the store.
    fn stored(image: &store::Image) -> Result<Self> {
        let layers = vec![image.rootfs_path()];
        Ok(Self {
            id: *image.id(),
            manifest: image.manifest().clone(),
            rootfs: Box::new(Stack::open(&layers)?),
            layers,
        })
    }

    fn source(&self) -> Source<'_> {
        Source {
            id: self.id,
            manifest: &self.manifest,
            rootfs: &*self.rootfs,
            layers: self.layers.clone(),
        }
    }
}

/// Completes what was asked for. The store is opened only where a pod manifest
/// needs it.
fn images(dir: &Path, options: Options) -> Result<(Request, Vec<Image>)> {
    let (manifest, arguments) = (options.manifest.clone(), options.images.clone());
    let mut request = request::complete(options)?;
    let images: Result<_> = match manifest {
        None => {
            let images = arguments.iter();
            images.map(|file| Image::archive(dir, file)).collect()
        }
        Some(file) => {
            let dirs = Dirs::look(dir)?.ok_or_else(|| {
                let what = format!("there are no images in `{}`", dir.display());
                Error::new(Kind::NotFound, what)
            })?;
            let images = request::add_manifest(&mut request, &file, &Store::open(&dirs)?)?;
            images.iter().map(Image::stored).collect()
        }
    };
    Ok((request, images?))
}
