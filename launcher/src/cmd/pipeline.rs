//! The steps from arguments to a pod, which `run`, `prepare` and `plan` share.

use std::os::fd::AsFd as _;

use crate::cmd::images::{Fetched, Images, Opened};
use crate::cmd::request::{self, Options};
use crate::cmd::say;
use crate::cmd::timing;
use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};
use image::digest::Digest;
use pod::plan::compose::fits_overlay;
use pod::resolve::from_appc::{self, Resolved, Source};
use pod::resolve::network::{Joinable, Network};
use pod::resolve::report::{Entry, require_all};
use pod::runtime::claim::{Id, PodDirectory};
use pod::runtime::metadata;
use pod::runtime::start::Runnable;
use pod::spec::pod::PodSpec;
use pod::state::directory::{self, MANIFEST, PLAN, SPEC};
use pod::state::{find, secret};
use sys::dirs::{Dirs, State};
use sys::host::Host;
use sys::{host_path, overlay, root_fd};

/// Resolves the options to a pod, and prints notes and warnings. `metadata` gives
/// the address of the pod's metadata service; it is called once all images are
/// there.
///
/// # Errors
///
/// An image that is not found; what [`from_appc::resolve`] refuses. With
/// `--strict`, the first isolator that cannot be enforced as written.
pub(super) fn resolve(
    dirs: &Dirs,
    host: &Host,
    images: &dyn Images,
    uuid: Uuid,
    remembered: bool,
    metadata: &dyn Fn() -> Result<String>,
    options: Options,
) -> Result<Resolved> {
    let files = directory::files(dirs.path(), uuid, remembered);
    let (manifest, references) = (options.manifest.clone(), options.images.clone());
    let mut request = request::complete(options)?;
    if let Network::Joined(Joinable::Asked(pod)) = &request.network {
        let (_, uuid) = find::pod(dirs, pod).context(|| "`--net`")?;
        request.network = Network::Joined(Joinable::Pod(uuid));
    }
    let ids: Vec<Digest> = match manifest {
        Some(file) => {
            let store = images.store().ok_or_else(|| {
                let dir = dirs.path().display();
                Error::new(Kind::NotFound, format!("no images found in `{dir}`"))
            })?;
            request::add_manifest(&mut request, &file, store)?
        }
        None => {
            let found = references.iter().map(|reference| images.find(reference));
            found.collect::<Result<_>>()?
        }
    };
    let opened: Vec<Opened<'_>> = ids
        .iter()
        .map(|id| images.open(id))
        .collect::<Result<_>>()?;
    images.tell(&|| format!("Creating container: {uuid}"));
    if request.network.is_own() {
        request.metadata = metadata()?;
    }
    let sources: Vec<Source<'_>> = opened.iter().map(Opened::source).collect();
    let look = &host_path::look;
    let mut resolved = from_appc::resolve(uuid, files, host, &request, &sources, look)?;
    let note = settle_roots(&mut resolved.spec, dirs, host, request.no_overlay)?;
    resolved.notes.extend(note);
    tell(&resolved, request.strict)?;
    Ok(resolved)
}

/// Has the files of images copied where an overlay is not possible; returns why,
/// unless the caller asked for it.
///
/// # Errors
///
/// Files that are copied could not be executed.
fn settle_roots(
    spec: &mut PodSpec,
    dirs: &Dirs,
    host: &Host,
    asked: bool,
) -> Result<Option<String>> {
    let data = dirs.root().ok();
    let mut roots = spec.apps.iter().filter_map(|app| app.root.as_ref());
    let in_memory = roots.any(|root| root.memory.is_some());
    let fits = spec.apps.iter().all(|app| fits_overlay(spec, app, host));
    let dir = dirs.path().display();
    let obstacle = if asked {
        None
    } else if !host.overlay {
        Some("the kernel has no overlayfs".to_owned())
    } else if !in_memory && !data.is_none_or(overlay::can_be_upper) {
        Some(format!(
            "the file system of `{dir}` cannot hold the changes of an overlay"
        ))
    } else if !fits {
        Some("the path of the data directory is too long for an overlay".to_owned())
    } else {
        return Ok(None);
    };
    if let Some(why) = obstacle.as_ref().filter(|_| in_memory) {
        let what = format!("cannot keep the changes of apps in memory: {why}");
        return Err(Error::new(Kind::Failed, what));
    }
    for root in spec.apps.iter_mut().filter_map(|app| app.root.as_mut()) {
        root.copied = true;
    }
    if data.is_some_and(overlay::is_noexec) {
        let what = format!("cannot run programs in `{dir}`: its file system is mounted `noexec`");
        return Err(Error::new(Kind::Failed, what)
            .hint("choose another data directory with `--dir`, or remount it with `exec`"));
    }
    Ok(obstacle.map(|why| format!("the files of images are copied: {why}")))
}

/// Prints notes, and warns of isolators that cannot be enforced as written.
fn tell(resolved: &Resolved, strict: bool) -> Result<()> {
    say(&resolved.notes);
    if strict {
        require_all(&resolved.report)?;
    }
    let changed = resolved.report.iter().filter(|entry| !entry.is_enforced());
    say(&changed.map(Entry::to_string).collect::<Vec<_>>());
    Ok(())
}

/// Returns whether a pod is kept on disk. One that ends with its caller is not:
/// its directory is in memory, if the host has a place for it. But of what plugins
/// keep on disk, such as leases, somebody has to know after a reboot.
pub(super) fn is_remembered(options: &Options) -> bool {
    let mode = &options.mode;
    let ends_with_caller = mode.detached.is_none() && !options.request.interactive;
    mode.keep || options.prepared || !ends_with_caller || options.request.network.has_plugins()
}

/// Returns the directories in which a pod is stored.
pub(super) fn place(dirs: &Dirs, remembered: bool) -> Dirs {
    match remembered {
        true => dirs.clone(),
        false => dirs.make_in_memory(),
    }
}

/// Writes a resolved pod to its directory.
///
/// # Errors
///
/// Errors of the disk.
pub(super) fn keep(resolved: &Resolved, directory: &mut PodDirectory<'_>) -> Result<()> {
    let manifest = format!("{:#}\n", resolved.manifest.to_json());
    directory.write(MANIFEST, manifest.as_bytes())?;
    directory.write(SPEC, &resolved.spec.text()?)?;
    copy_roots(&resolved.spec, directory)
}

/// Writes the spec of a hand-written plan to the directory of its pod.
///
/// # Errors
///
/// What the disk refuses.
pub(super) fn keep_written(runnable: &Runnable, directory: &PodDirectory<'_>) -> Result<()> {
    if let Some(plan) = &runnable.written {
        directory.write(PLAN, plan.text().as_bytes())?;
    }
    directory.write(SPEC, &runnable.spec.text()?)
}

/// Copies the files of images to where the plan expects them, for apps without
/// an overlay.
fn copy_roots(spec: &PodSpec, directory: &mut PodDirectory<'_>) -> Result<()> {
    directory.hold_scratch(spec)?;
    for app in &spec.apps {
        if let Some(root) = app.root.as_ref().filter(|root| root.copied) {
            let what = || format!("cannot copy the files of app `{}`", app.name);
            let target = directory.make_app(&app.name)?;
            let layers: Vec<_> = root
                .layers
                .iter()
                .map(|layer| layer.to_path_buf())
                .collect();
            root_fd::copy_layers(&layers, target.as_fd(), "rootfs").context(what)?;
            root_fd::own(&target, "rootfs", root.top).context(what)?;
        }
    }
    Ok(())
}

/// Creates a version 4 UUID, unless one is given.
///
/// # Errors
///
/// The kernel has no random numbers.
pub(super) fn uuid(wanted: Option<Uuid>) -> Result<Id> {
    if let Some(uuid) = wanted {
        return Ok(Id::Chosen(uuid));
    }
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .context(|| "cannot get random numbers from the kernel")?;
    Ok(Id::Random(Uuid::from_random(bytes)))
}

/// Creates a pod in a state, ready for its plan to be executed.
///
/// # Errors
///
/// As for [`resolve`] and [`keep`]; a pod with this UUID or name exists.
pub(super) fn make<'a>(
    place: &'a Dirs,
    host: &Host,
    images: &Fetched<'_>,
    options: Options,
    state: State,
) -> Result<(PodDirectory<'a>, Runnable)> {
    let id = uuid(options.uuid)?;
    let uuid = id.uuid();
    if let Some(file) = &options.uuid_file {
        request::save_uuid(file, uuid)?;
    }
    let name = options.name.clone();
    let metadata = || Ok(metadata::url(&secret::token(&secret::ensure(place)?, uuid)));
    let remembered = !place.are_in_memory();
    let resolved = resolve(place, host, images, uuid, remembered, &metadata, options)?;
    timing::end("resolve");
    let mut directory = PodDirectory::create(place, id, state, name)?;
    images.tell(&|| "Creating rootfs".to_owned());
    keep(&resolved, &mut directory)?;
    let runnable = Runnable {
        spec: resolved.spec,
        written: None,
    };
    Ok((directory, runnable))
}
