//! `launcher plan`: what `run` would do, without doing anything.

use std::io::IsTerminal as _;
use std::path::Path;

use crate::cmd::request;
use crate::cmd::run::{Options, random_uuid, tell};
use appc::manifest::ImageManifest;
use appc::reference::Reference;
use error::{Context as _, Error, Kind, Result};
use image::digest::Digest;
use image::format::import::WAIVE;
use image::format::inspect::{Survey, survey};
use image::store::images::Store;
use image::trust::privilege;
use pod::plan::compose::compose;
use pod::resolve::dependencies::Images as _;
use pod::resolve::dry_run::{Foreseen, Foresight};
use pod::resolve::reify::{Source, reify};
use pod::runtime::metadata;
use pod::runtime::terminal;
use pod::state::directory;
use pod::state::log::Log;
use pod::state::log::capture::capture;
use sys::dirs::Dirs;
use sys::host::Host;
use sys::host_path;

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
    if format == Format::Words && std::io::stdout().is_terminal() {
        return Err(Error::invalid("words are nothing for a terminal")
            .hint("`--format=text` is for people; words are passed on to another program"));
    }
    let host = Host::observe();
    let log = options.manner.detached;
    let uuid = options.uuid.map_or_else(random_uuid, Ok)?;
    let dirs = Dirs::look(dir)?;
    let store = dirs
        .root()
        .is_ok()
        .then(|| Store::open(&dirs))
        .transpose()?;
    if let Some(store) = store.as_ref().filter(|_| options.fetch.insecure.image) {
        store.waive();
    }
    let archives = options.images.iter().map(archive);
    let archives: Vec<Option<Survey>> = archives.collect::<Result<_>>()?;
    let images = options.images.iter().zip(&archives);
    let mut ids: Vec<Digest> = images
        .map(|(image, archive)| match archive {
            Some(archive) => Ok(archive.id),
            None => stored(store.as_ref(), image),
        })
        .collect::<Result<_>>()?;
    let manifest = options.manifest.clone();
    let mut request = request::complete(options)?;
    request.metadata = metadata::url(metadata::HIDDEN);
    if let Some(file) = manifest {
        let none = || {
            Error::new(
                Kind::NotFound,
                format!("there are no images in `{}`", dir.display()),
            )
        };
        let images = request::add_manifest(&mut request, &file, store.as_ref().ok_or_else(none)?)?;
        ids = images.iter().map(|image| *image.id()).collect();
    }
    let images = ids.iter().enumerate().map(|(index, id)| {
        let archive = archives.get(index).and_then(Option::as_ref);
        Image::foresee(dir, &dirs, store.as_ref(), archive, id)
    });
    let images: Vec<Image<'_>> = images.collect::<Result<_>>()?;
    let sources: Vec<Source<'_>> = images.iter().map(Image::source).collect();
    let directory = directory::path(dir, uuid);
    let pod = reify(uuid, directory, &host, &request, &sources, &host_path::look)?;
    tell(&pod, request.strict)?;
    let plan = compose(&pod, &host)?;
    let log = log.or_else(|| terminal::is_in(&plan).then(Log::default));
    let plan = match log {
        Some(log) => capture(&plan, log).plan,
        None => plan,
    };
    Ok(match format {
        Format::Text => plan.text().into_bytes(),
        Format::Json => plan.json().into_bytes(),
        Format::Words => plan.words(),
    })
}

/// An image as it would be.
struct Image<'a> {
    id: Digest,
    manifest: ImageManifest,
    trusted: bool,
    rootfs: Foreseen<'a>,
}

impl<'a> Image<'a> {
    fn foresee(
        dir: &'a Path,
        dirs: &Dirs,
        store: Option<&'a Store<'a>>,
        archive: Option<&'a Survey>,
        id: &Digest,
    ) -> Result<Self> {
        let foresight = Foresight {
            dir,
            store,
            archive,
        };
        let manifest = foresight.manifest(id)?;
        let trusted = match store {
            Some(store) => privilege::may(dirs, store, id, &manifest)?,
            None => false,
        };
        Ok(Self {
            id: *id,
            trusted,
            manifest,
            rootfs: foresight.look(id)?,
        })
    }

    fn source(&self) -> Source<'_> {
        Source {
            id: self.id,
            manifest: &self.manifest,
            trusted: self.trusted,
            layers: self.rootfs.layers.clone(),
            rootfs: &self.rootfs,
        }
    }
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
fn stored(store: Option<&Store<'_>>, image: &Reference) -> Result<Digest> {
    let found = match (image, store) {
        (Reference::Id(prefix), Some(store)) => return store.identified(prefix),
        (Reference::Name(name), Some(store)) => {
            let found = store.find(&name.name, &name.labels)?;
            if found.is_none()
                && let Some(doubt) = store.doubt(&name.name, &name.labels)?
            {
                let what = format!("image `{name}` is stored: {doubt}");
                return Err(Error::new(Kind::NotFound, what).hint(WAIVE));
            }
            found
        }
        _ => None,
    };
    found.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("image `{image}` is not stored"))
            .hint("`launcher fetch` fetches and stores it")
    })
}
