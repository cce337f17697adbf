//! `launcher export`: creates an image from the root file system of an app.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::cmd::selector::{self, PodSelector};
use crate::cmd::{CANNOT_PRINT, print, say};
use appc::manifest::pod::PodApp;
use appc::manifest::{ImageManifest, PodManifest};
use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};
use image::digest::Digest;
use image::format::pack::{Instead, Pack};
use image::store::images::Store;
use pod::resolve::from_oci_image;
use pod::runtime::status::{self, Phase};
use pod::runtime::{export, teardown};
use pod::spec::pod::PodSpec;
use pod::state::directory::{self, MANIFEST, SPEC, read_in};
use pod::state::lock::Release;
use sys::atomic_file::AtomicFile;
use sys::dirs::{Dirs, State};
use sys::standard::Output;

/// The options.
#[derive(Debug)]
pub(crate) struct Export {
    /// The pod.
    pub(crate) selector: PodSelector,
    /// The app, if it was given.
    pub(crate) app: Option<String>,
    /// The file to write.
    pub(crate) file: PathBuf,
    /// Whether to overwrite an existing file.
    pub(crate) overwrite: bool,
}

/// Writes the image, and prints its ID.
pub(crate) fn run(dir: &Path, export: &Export, out: &mut dyn Write) -> Result<()> {
    let dirs = Dirs::look(dir)?;
    let (dirs, uuid) = export.selector.find_one(&dirs)?;
    let to_stdout = export.file == Path::new("-");
    if to_stdout && rustix::termios::isatty(std::io::stdout()) {
        return Err(Error::invalid("an image cannot be written to a terminal")
            .hint("give a file, or redirect standard output"));
    }
    // The lock keeps the pod from being run or removed meanwhile.
    let pod = claim(&dirs, uuid, "export")?;
    let app = choose(&pod, uuid, export.app.as_deref())?;
    let write = |out: &mut dyn Write, cannot: &str| {
        write(&dirs, &pod, &app, out, cannot).context(|| {
            let name = &app.name;
            format!("cannot export app `{name}` of pod `{uuid}`")
        })
    };
    if to_stdout {
        let id = write(out, CANNOT_PRINT)?;
        return print(&mut Output::stderr(), &format!("{id}\n"));
    }
    let target = AtomicFile::create(&export.file, export.overwrite)?;
    let cannot = format!("cannot write `{}`", export.file.display());
    let id = write(&mut target.file(), &cannot)?;
    target.publish()?;
    print(out, &format!("{id}\n"))
}

/// Locks a pod that is not running; the error says that it cannot be done that to.
pub(super) fn claim(dirs: &Dirs, uuid: Uuid, verb: &str) -> Result<OwnedFd> {
    if let Some(pod) = try_to_claim(dirs, uuid)? {
        return Ok(pod);
    }
    let phase = status::read(dirs, uuid)?.map(|pod| pod.phase);
    // The process that ran it may still be recording its exit.
    if matches!(phase, Some(Phase::Exited | Phase::Aborted))
        && let Some(pod) = directory::open_in(dirs, State::Exited, uuid)?
        && Release::of(pod)?.until(None)?
        && let Some(pod) = try_to_claim(dirs, uuid)?
    {
        return Ok(pod);
    }
    let what = || format!("cannot {verb} pod `{uuid}`");
    Err(match phase {
        Some(Phase::Running) => Error::invalid(format!("{}: it is running", what()))
            .hint("stop it with `launcher stop`; it is kept if it was run with --keep or --detach"),
        Some(Phase::Preparing) => Error::invalid(format!("{}: it is being prepared", what())),
        Some(Phase::AbortedPrepare) => {
            Error::invalid(format!("{}: its preparation was interrupted", what()))
        }
        None | Some(Phase::Deleting | Phase::Garbage | Phase::Gone) => {
            Error::new(Kind::NotFound, format!("pod `{uuid}` has been removed"))
        }
        Some(_) => Error::invalid(format!("{}: it is in use", what())),
    })
}

fn try_to_claim(dirs: &Dirs, uuid: Uuid) -> Result<Option<OwnedFd>> {
    for state in [State::Prepared, State::Run, State::Exited] {
        if let Some(pod) = teardown::claim(dirs, state, uuid)? {
            if state == State::Run {
                // Its init was killed; while we hold its lock, it would seem to
                // run.
                teardown::retire(dirs, uuid, None)?;
            }
            return Ok(Some(pod));
        }
    }
    Ok(None)
}

/// Finds the selected app.
fn choose(pod: &OwnedFd, uuid: Uuid, wanted: Option<&str>) -> Result<PodApp> {
    let manifest =
        read_in(pod, MANIFEST).context(|| format!("cannot read `{MANIFEST}` of pod `{uuid}`"))?;
    let Some(manifest) = manifest else {
        return Err(Error::invalid(format!(
            "pod `{uuid}` has no manifest: it was run from a plan"
        )));
    };
    let manifest = PodManifest::parse(&manifest)
        .context(|| format!("cannot read the manifest of pod `{uuid}`"))?;
    let mut apps = manifest.value.apps;
    let names: Vec<String> = apps.iter().map(|app| app.name.to_string()).collect();
    let chosen = selector::app(uuid, &names, wanted)?;
    Ok(apps.swap_remove(chosen))
}

/// Writes the image of an app. `cannot` is the message if `out` fails.
fn write(
    dirs: &Dirs,
    pod: &OwnedFd,
    app: &PodApp,
    out: &mut dyn Write,
    cannot: &str,
) -> Result<Digest> {
    // The pod refers to the image, so the image cannot be removed before it.
    let (store, id) = (Store::open(dirs)?, app.image.id.into());
    let image = match store.oci(&id)? {
        Some(image) => from_oci_image::describe(&image)?.0,
        None => ImageManifest::parse(&store.manifest(&id)?)?.value,
    };
    let manifest = export::manifest(image, app)?;
    let spec = read_in(pod, SPEC).context(|| "cannot read its spec")?;
    let spec = spec.ok_or_else(|| Error::invalid("it has no spec"))?;
    let spec = PodSpec::read(&spec).context(|| "cannot read its spec")?;
    let in_spec = spec
        .app(app.name.as_str())
        .ok_or_else(|| Error::invalid(format!("its spec has no app `{}`", app.name)))?;
    let root = export::open(pod, &spec, in_spec)?;
    let manifest = format!("{:#}\n", manifest.to_json());
    let mut pack = Pack::new(out, cannot, manifest.as_bytes(), Instead::default())?;
    export::pack(&root, &mut pack, &mut |note| say(&[note]))?;
    pack.finish()
}
