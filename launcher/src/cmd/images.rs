//! Where the images of a pod come from: a store that is filled on demand
//! (`run`), or one that is only read (`plan`).

use std::path::PathBuf;

use appc::manifest::ImageManifest;
use appc::reference::Reference;
use error::{Context as _, Error, Kind, Result};
use image::archive::stream::Growth;
use image::digest::Digest;
use image::fetch::fetcher::Fetch;
use image::format::inspect::{Survey, survey};
use image::format::lookup::WAIVE;
use image::store::images::Store;
use image::store::rootfs::Rootfs;
use image::store::rootfs_view::Stack;
use image::trust::privilege;
use pod::resolve::dependencies::Images as _;
use pod::resolve::dry_run::DryRun;
use pod::resolve::from_appc::Source;
use pod::runtime::render;
use sys::dirs::Dirs;

/// Finds and opens images.
pub(super) trait Images {
    /// Finds the image for an argument.
    fn find(&self, reference: &Reference) -> Result<Digest>;

    /// Opens an image with its dependencies.
    fn open<'s>(&'s self, id: &Digest) -> Result<Opened<'s>>;

    /// Returns the store, if there is one.
    fn store(&self) -> Option<&Store<'_>>;

    /// Reports progress.
    fn tell(&self, line: &dyn Fn() -> String);
}

/// What a pod needs to know about an image.
pub(super) struct Opened<'s> {
    id: Digest,
    manifest: ImageManifest,
    trusted: bool,
    layers: Vec<PathBuf>,
    rootfs: Box<dyn Rootfs + 's>,
}

impl Opened<'_> {
    pub(super) fn source(&self) -> Source<'_> {
        Source {
            id: self.id,
            manifest: &self.manifest,
            trusted: self.trusted,
            layers: self.layers.clone(),
            rootfs: &*self.rootfs,
        }
    }
}

/// Images that are fetched and stored if they are missing.
pub(super) struct Fetched<'a> {
    pub(super) dirs: &'a Dirs,
    pub(super) fetch: &'a Fetch<'a>,
}

impl Images for Fetched<'_> {
    fn find(&self, reference: &Reference) -> Result<Digest> {
        self.fetch.image(reference)
    }

    fn open<'s>(&'s self, id: &Digest) -> Result<Opened<'s>> {
        let store = self.fetch.store();
        let image = store.aci(id)?.ok_or_else(|| {
            Error::invalid(format!(
                "image `{id}` was removed while it was being stored"
            ))
        })?;
        self.fetch.dependencies(id)?;
        let layers = render::directories(store, id)?;
        let manifest = image.manifest().clone();
        Ok(Opened {
            id: *id,
            trusted: privilege::may(self.dirs, store, id, &manifest)?,
            rootfs: Box::new(Stack::open(&layers)?),
            manifest,
            layers,
        })
    }

    fn store(&self) -> Option<&Store<'_>> {
        Some(self.fetch.store())
    }

    fn tell(&self, line: &dyn Fn() -> String) {
        self.fetch.tell(line);
    }
}

/// Images in the store, or in files given as arguments.
pub(super) struct Looked<'a> {
    dirs: &'a Dirs,
    store: Option<&'a Store<'a>>,
    archives: Vec<(PathBuf, Survey)>,
}

impl<'a> Looked<'a> {
    /// Reads the archives among the arguments.
    pub(super) fn new(
        dirs: &'a Dirs,
        store: Option<&'a Store<'a>>,
        references: &[Reference],
        growth: Growth,
    ) -> Result<Self> {
        let archives = references.iter().filter_map(|reference| match reference {
            Reference::Path(path) => Some(path),
            _ => None,
        });
        let archives = archives.map(|path| {
            let name = path.display().to_string();
            let file =
                std::fs::File::open(path).context(|| format!("cannot open image `{name}`"))?;
            Ok((path.clone(), survey(file, growth, &name)?))
        });
        Ok(Self {
            dirs,
            store,
            archives: archives.collect::<Result<_>>()?,
        })
    }
}

impl Images for Looked<'_> {
    fn find(&self, reference: &Reference) -> Result<Digest> {
        let found = match (reference, self.store) {
            (Reference::Path(path), _) => {
                let mut archives = self.archives.iter();
                let archive = archives.find(|(known, _)| known == path);
                archive.map(|(_, archive)| archive.id)
            }
            (Reference::Id(prefix), Some(store)) => return store.identified(prefix),
            (Reference::Pinned { id, .. }, Some(store)) => {
                let id = Digest::from(*id);
                store.contains(&id)?.then_some(id)
            }
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
            Error::new(
                Kind::NotFound,
                format!("image `{reference}` was not found in the store"),
            )
            .hint("`launcher fetch` downloads it")
        })
    }

    fn open<'s>(&'s self, id: &Digest) -> Result<Opened<'s>> {
        let mut archives = self.archives.iter().map(|(_, archive)| archive);
        let foresight = DryRun {
            dir: self.dirs.path(),
            store: self.store,
            archive: archives.find(|archive| archive.id == *id),
        };
        let manifest = foresight.manifest(id)?;
        let trusted = match self.store {
            Some(store) => privilege::may(self.dirs, store, id, &manifest)?,
            None => false,
        };
        let rootfs = foresight.look(id)?;
        Ok(Opened {
            id: *id,
            trusted,
            manifest,
            layers: rootfs.layers.clone(),
            rootfs: Box::new(rootfs),
        })
    }

    fn store(&self) -> Option<&Store<'_>> {
        self.store
    }

    fn tell(&self, _line: &dyn Fn() -> String) {}
}
