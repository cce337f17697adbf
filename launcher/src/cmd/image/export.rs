//! `launcher image export` and `launcher image push`: writes an image to a file or a
//! directory, or sends it to a registry; as it is, or as one of the other kind.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cmd::{print, say};
use appc::manifest::ImageManifest;
use error::quote::quoted;
use error::{Context as _, Error, Result};
use image::digest::Digest;
use image::fetch::options::Options;
use image::fetch::registries;
use image::format::oci::archive::Names;
use image::format::oci::outgoing::Outgoing;
use image::format::pack::{Instead, Pack};
use image::reference::{Local, Reference, Shape};
use image::store::images::Store;
use image::store::rootfs::Rootfs as _;
use oci::reference::{self as registry, Asked};
use pod::resolve::{from_oci_image, to_oci_image};
use pod::runtime::export::Union;
use pod::runtime::{export, render};
use sys::atomic_file::AtomicFile;

/// What is exported, and where to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Export {
    /// The image.
    pub(crate) image: String,
    /// Where it goes.
    pub(crate) place: Place,
    /// Whether a file may be replaced.
    pub(crate) overwrite: bool,
    /// How registries are asked.
    pub(crate) fetch: Options,
}

/// Where an image goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// To a file or a directory, in a form, under a name. Without a form, it stays of
    /// its kind; without a name, it keeps its own.
    File {
        path: PathBuf,
        form: Option<Form>,
        name: Option<String>,
    },
    /// To a registry.
    Registry(Asked),
    /// To the registry that its name says.
    Same,
}

/// What an image is exported as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// An App Container image.
    Aci,
    /// An OCI layout in an archive.
    Oci,
    /// An OCI layout in a directory.
    OciDirectory,
    /// What docker wrote before that.
    Docker,
}

impl Form {
    /// Parses its name.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text {
            "aci" => Ok(Self::Aci),
            "oci" => Ok(Self::Oci),
            "oci-dir" => Ok(Self::OciDirectory),
            "docker-archive" => Ok(Self::Docker),
            other => Err(Error::usage(format!(
                "{} is not a format: use `aci`, `oci`, `oci-dir` or `docker-archive`",
                quoted(other)
            ))),
        }
    }
}

impl Place {
    /// Parses a destination.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        match Reference::parse(text, &[])? {
            Reference::Registry(asked) => Ok(Self::Registry(asked)),
            Reference::Local(local) => Ok(Self::of(local)),
            _ => Err(
                Error::usage(format!("{} is not a destination", quoted(text)))
                    .hint("for instance `docker://localhost:5000/app:1` or `oci:/media/usb/app:1`"),
            ),
        }
    }

    /// A file or a directory.
    pub(crate) fn of(local: Local) -> Self {
        Self::File {
            form: Some(match local.shape {
                Shape::Directory => Form::OciDirectory,
                Shape::Archive => Form::Oci,
                Shape::Docker => Form::Docker,
            }),
            path: local.path,
            name: local.wanted,
        }
    }
}

/// Exports the image. Prints the digest of the manifest that a registry or a layout
/// has.
pub(super) fn run(store: &Store<'_>, wanted: &Export, out: &mut dyn Write) -> Result<()> {
    let id = store.named(&wanted.image)?;
    store.hold(&id)?;
    let what = || format!("cannot export image `{id}`");
    let is_oci = store.is_oci(&id)?;
    let form = match &wanted.place {
        Place::File { form, .. } => form.unwrap_or(if is_oci { Form::Oci } else { Form::Aci }),
        Place::Registry(_) | Place::Same => Form::Oci,
    };
    if let (Place::File { path, .. }, Form::Aci) = (&wanted.place, form) {
        return write_file(path, wanted.overwrite, |file| match is_oci {
            false => store.export(&id, file),
            true => as_aci(store, &id, file, path).context(what),
        });
    }
    let image = match is_oci {
        true => Outgoing::stored(store, &id),
        false => as_oci(store, &id),
    };
    let image = image.context(what)?;
    let Export {
        place,
        overwrite,
        fetch,
        ..
    } = wanted;
    let place = match place {
        Place::File { path, name, .. } => &Place::File {
            path: path.clone(),
            form: Some(form),
            name: name.clone(),
        },
        place => place,
    };
    let digest = deliver(&image, place, *overwrite, fetch)?;
    match wanted.place {
        Place::File { .. } if form != Form::OciDirectory => Ok(()),
        _ => print(out, &format!("{}\n", digest.oci())),
    }
}

/// Tells the user something.
fn told(line: String) {
    say(&[line]);
}

/// Sends an OCI image to its place. Returns the digest of its manifest.
pub(crate) fn deliver(
    image: &Outgoing<'_>,
    place: &Place,
    overwrite: bool,
    fetch: &Options,
) -> Result<Digest> {
    match place {
        Place::File { path, form, name } => {
            let name = name.as_deref().unwrap_or(&image.name);
            let what = || format!("cannot export image `{}`", image.id());
            let form = form.unwrap_or(Form::Oci);
            write(image, path, name, form, overwrite).context(what)
        }
        Place::Registry(asked) => image.push(&registries::one(asked)?, fetch, &mut told),
        Place::Same => image.push(&own(image)?, fetch, &mut told),
    }
}

/// Writes an OCI image to a file or a directory. Returns the digest of its manifest.
fn write(
    image: &Outgoing<'_>,
    path: &Path,
    name: &str,
    form: Form,
    overwrite: bool,
) -> Result<Digest> {
    let names = match form {
        Form::OciDirectory => return image.layout(path, name, &mut told),
        Form::Docker => Names::Docker,
        Form::Oci | Form::Aci => Names::Layout,
    };
    write_file(path, overwrite, |file| {
        image.archive(file, names, name, &mut told)
    })
}

/// Returns where the name of an image says that it is.
fn own(image: &Outgoing<'_>) -> Result<registry::Reference> {
    let found = registry::Reference::parse(&image.name, &registry::ShortNames::Refuse);
    found.map_err(|_| {
        let name = quoted(&image.name);
        Error::usage(format!("the name {name} does not say where to push to"))
            .hint("give a destination, such as `docker://localhost:5000/app:1`")
    })
}

/// Writes a file, which appears when it is complete.
fn write_file<T>(
    path: &Path,
    overwrite: bool,
    write: impl FnOnce(&mut dyn Write) -> Result<T>,
) -> Result<T> {
    let target = AtomicFile::create(path, overwrite)?;
    let mut output = io::BufWriter::with_capacity(256 << 10, target.file());
    let written = write(&mut output)?;
    output
        .flush()
        .context(|| format!("cannot write `{}`", path.display()))?;
    drop(output);
    target.publish()?;
    Ok(written)
}

/// Opens the files of an image as an app would see them.
pub(super) fn files(store: &Store<'_>, id: &Digest) -> Result<Union> {
    // They are only read, not run.
    store.waive();
    let layers = render::directories(store, id, &told)?;
    let top = render::open(store, id, &layers)?.status("")?;
    export::layers(&layers, top)
}

/// Writes an OCI image as an App Container image.
fn as_aci(store: &Store<'_>, id: &Digest, out: &mut dyn Write, path: &Path) -> Result<()> {
    let image = store
        .oci(id)?
        .ok_or_else(|| Error::invalid("it was removed"))?;
    let (manifest, _) = from_oci_image::describe(&image)?;
    let manifest = format!("{:#}\n", manifest.to_json());
    let cannot = format!("cannot write `{}`", path.display());
    let mut pack = Pack::new(out, &cannot, manifest.as_bytes(), Instead::default())?;
    export::pack(&files(store, id)?, &mut pack, &mut told)?;
    pack.finish().map(drop)
}

/// Makes an OCI image of an App Container image.
fn as_oci<'s>(store: &'s Store<'s>, id: &Digest) -> Result<Outgoing<'s>> {
    let manifest = ImageManifest::parse(&store.manifest(id)?)?.value;
    let config = to_oci_image::configuration(&manifest, &mut told);
    let name = match manifest.labels.get("version") {
        Some(version) => format!("{}:{version}", manifest.name),
        None => manifest.name.to_string(),
    };
    let root = files(store, id)?;
    let tar = store.temporary()?;
    let layer = layer(tar, &root, Instead::default())?;
    Outgoing::made(store, name, None, layer, config)
}

/// Packs a root as the layer of an OCI image.
pub(in crate::cmd) fn layer(tar: File, root: &Union, instead: Instead) -> Result<(File, Digest)> {
    let mut out = io::BufWriter::with_capacity(256 << 10, &tar);
    let mut pack = Pack::layer(&mut out, "cannot write a temporary file", instead);
    export::pack(root, &mut pack, &mut told)?;
    let diff_id = pack.finish()?;
    drop(out);
    Ok((tar, diff_id))
}
