//! Where the images of a pod come from: a store that is filled on demand
//! (`run`), or one that is only read (`plan`).

use std::cell::OnceCell;
use std::path::PathBuf;

use crate::cmd::say;
use ::oci::policy::place::Place;
use ::oci::reference::Asked;
use appc::manifest::ImageManifest;
use appc::reference::Reference;
use error::{Context as _, Error, Kind, Result};
use image::digest::Digest;
use image::fetch::fetcher::Fetch;
use image::fetch::options::Options;
use image::fetch::{oci, registries};
use image::format::inspect::{Survey, survey};
use image::format::lookup::WAIVE;
use image::format::oci::stored::OciImage;
use image::reference::{self, Local};
use image::store::images::Store;
use image::store::rootfs::Rootfs;
use image::store::rootfs_view::Stack;
use image::trust::policy::Policy;
use image::trust::privilege;
use pod::resolve::conventions::Conventions;
use pod::resolve::dependencies::Images as _;
use pod::resolve::dry_run::DryRun;
use pod::resolve::from_appc::Source;
use pod::resolve::from_oci_image;
use pod::runtime::render;
use sys::dirs::Dirs;

/// Finds and opens images.
pub(super) trait Images {
    /// Finds the image for an argument.
    fn find(&self, reference: &reference::Reference) -> Result<Digest>;

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
    conventions: Conventions,
    trusted: bool,
    layers: Vec<PathBuf>,
    rootfs: Box<dyn Rootfs + 's>,
}

impl<'s> Opened<'s> {
    /// An OCI image. What it may have does not depend on who signed it.
    fn oci(image: &OciImage, layers: Vec<PathBuf>, rootfs: Box<dyn Rootfs + 's>) -> Result<Self> {
        let (manifest, conventions) = from_oci_image::describe(image)?;
        Ok(Self {
            id: image.id,
            manifest,
            conventions,
            trusted: false,
            layers,
            rootfs,
        })
    }

    pub(super) fn source(&self) -> Source<'_> {
        Source {
            id: self.id,
            manifest: &self.manifest,
            conventions: &self.conventions,
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
    fn find(&self, reference: &reference::Reference) -> Result<Digest> {
        self.fetch.image(reference)
    }

    fn open<'s>(&'s self, id: &Digest) -> Result<Opened<'s>> {
        let store = self.fetch.store();
        if let Some(image) = store.oci(id)? {
            self.fetch.may_be_run(id)?;
            let layers = render::directories(store, id, &|note| say(&[note]))?;
            let rootfs = Box::new(render::open(store, id, &layers)?);
            return Opened::oci(&image, layers, rootfs);
        }
        let image = store.aci(id)?.ok_or_else(|| {
            Error::invalid(format!(
                "image `{id}` was removed while it was being stored"
            ))
        })?;
        self.fetch.dependencies(id)?;
        let layers = render::directories(store, id, &|note| say(&[note]))?;
        let manifest = image.manifest().clone();
        Ok(Opened {
            id: *id,
            trusted: privilege::may(self.dirs, store, id, &manifest)?,
            rootfs: Box::new(Stack::open(&layers)?),
            manifest,
            conventions: Conventions::default(),
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
    platform: Option<::oci::platform::Platform>,
    waived: bool,
    policy: OnceCell<Policy>,
}

impl<'a> Looked<'a> {
    /// Reads the archives among the arguments.
    pub(super) fn new(
        dirs: &'a Dirs,
        store: Option<&'a Store<'a>>,
        references: &[reference::Reference],
        options: &Options,
    ) -> Result<Self> {
        let growth = options.insecure.growth();
        let archives = references.iter().filter_map(|reference| match reference {
            reference::Reference::Appc(Reference::Path(path)) => Some(path),
            _ => None,
        });
        let is_aci = |path: &&PathBuf| !matches!(oci::sniff(path), Ok(Some(_)));
        let archives = archives.filter(is_aci).map(|path| {
            let name = path.display().to_string();
            let file =
                std::fs::File::open(path).context(|| format!("cannot open image `{name}`"))?;
            Ok((path.clone(), survey(file, growth, &name)?))
        });
        Ok(Self {
            dirs,
            store,
            archives: archives.collect::<Result<_>>()?,
            platform: options.platform.clone(),
            waived: options.insecure.image,
            policy: OnceCell::new(),
        })
    }
}

impl Looked<'_> {
    /// Returns the policy for OCI images.
    fn policy(&self) -> Result<&Policy> {
        if let Some(policy) = self.policy.get() {
            return Ok(policy);
        }
        let policy = Policy::open(self.dirs, self.waived)?;
        Ok(self.policy.get_or_init(|| policy))
    }

    /// Finds an image of a file in the store.
    fn find_local(&self, local: &Local) -> Result<Option<Digest>> {
        let id = oci::look(local, self.platform.as_ref(), self.policy()?)?;
        let is_there = self.store.map(|store| store.contains(&id)).transpose()?;
        Ok(is_there.unwrap_or_default().then_some(id))
    }

    /// Finds an image that was fetched from a registry.
    fn find_registry(&self, asked: &Asked) -> Result<Option<Digest>> {
        let Some(store) = self.store else {
            return Ok(None);
        };
        for image in registries::named(asked)? {
            if let Some(id) = store.of_registry(&image)? {
                store.may_run(&id, &Place::registry(&image), self.policy()?)?;
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Finds an App Container image, or one by its ID.
    fn find_appc(&self, reference: &Reference) -> Result<Option<Digest>> {
        let found = match (reference, self.store) {
            (Reference::Path(path), _) => {
                if let Some(shape) = oci::sniff(path)? {
                    return self.find_local(&Local::whole(shape, path));
                }
                let mut archives = self.archives.iter();
                let archive = archives.find(|(known, _)| known == path);
                archive.map(|(_, archive)| archive.id)
            }
            (Reference::Id(prefix), Some(store)) => Some(store.identified(prefix)?),
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
        Ok(found)
    }
}

impl Images for Looked<'_> {
    fn find(&self, asked: &reference::Reference) -> Result<Digest> {
        let found = match asked {
            reference::Reference::Appc(reference) => self.find_appc(reference)?,
            reference::Reference::Local(local) => self.find_local(local)?,
            reference::Reference::Registry(asked) => self.find_registry(asked)?,
            reference::Reference::Short { name, asked }
            | reference::Reference::Dotted { name, asked } => {
                match self.find_appc(&Reference::Name(name.clone()))? {
                    None => self.find_registry(asked)?,
                    found => found,
                }
            }
        };
        found.ok_or_else(|| {
            Error::new(
                Kind::NotFound,
                format!("image `{asked}` was not found in the store"),
            )
            .hint("`launcher fetch` downloads it")
        })
    }

    fn open<'s>(&'s self, id: &Digest) -> Result<Opened<'s>> {
        let stored = self.store.map(|store| store.oci(id)).transpose()?.flatten();
        let mut archives = self.archives.iter().map(|(_, archive)| archive);
        let foresight = DryRun {
            dir: self.dirs.path(),
            store: self.store,
            archive: archives.find(|archive| archive.id == *id),
        };
        if let Some(image) = stored.filter(|_| foresight.archive.is_none()) {
            if let Some(store) = self.store {
                store.may_be_run(id, &|| self.policy())?;
            }
            let rootfs = foresight.look(id)?;
            return Opened::oci(&image, rootfs.layers.clone(), Box::new(rootfs));
        }
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
            conventions: Conventions::default(),
            layers: rootfs.layers.clone(),
            rootfs: Box::new(rootfs),
        })
    }

    fn store(&self) -> Option<&Store<'_>> {
        self.store
    }

    fn tell(&self, _line: &dyn Fn() -> String) {}
}
