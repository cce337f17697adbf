//! `launcher run`: the main job.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use stage1_init::Directive;

use crate::cmd::detach::{Manner, NotRun, Ran};
use crate::cmd::launch::launch;
use crate::cmd::request;
use appc::manifest::app::Variable;
use appc::reference::Reference;
use appc::types::{AcName, Uuid};
use error::{Context as _, Error, Kind, Result};
use image::fetch::fetcher::Fetch;
use image::fetch::options::{self, PullPolicy};
use image::format::import::Aci;
use image::store::images::Store;
use image::store::rootfs_view::Stack;
use image::trust::privilege;
use pod::cgroup::record;
use pod::plan::compose::{PID_MAX, Pod, compose};
use pod::plan::overlay::Overlay;
use pod::plan::text::Plan;
use pod::resolve::isolators::{Entry, require_all};
use pod::resolve::reify::{OWN_PID_MAX_SINCE, Source, reify};
use pod::runtime::metadata;
use pod::runtime::{render, terminal};
use pod::spec::request::Request;
use pod::state::directory::{self, PodDirectory};
use pod::state::find;
use pod::state::secret;
use sys::dirs::{Dirs, State};
use sys::host::Host;
use sys::{host_path, root_fd};

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Options {
    /// The images of the apps.
    pub(crate) images: Vec<Reference>,
    /// How they are fetched.
    pub(crate) fetch: options::Options,
    /// A pod manifest, instead of images.
    pub(crate) manifest: Option<PathBuf>,
    /// What people call the pod.
    pub(crate) name: Option<AcName>,
    /// How it is run.
    pub(crate) manner: Manner,
    /// UUID of the pod, if it is not to be random.
    pub(crate) uuid: Option<Uuid>,
    /// Where the UUID is written.
    pub(crate) uuid_file: Option<PathBuf>,
    /// The apps get the caller's environment.
    pub(crate) inherit: bool,
    /// Files of variables.
    pub(crate) files: Vec<PathBuf>,
    /// Variables that count more than those of the files.
    pub(crate) set: Vec<Variable>,
    /// The name of a time zone.
    pub(crate) timezone: Option<String>,
    /// Everything else about the pod.
    pub(crate) request: Request,
}

/// Runs a pod; returns its UUID if that goes on without the caller.
pub(crate) fn run(dir: &Path, mut options: Options) -> std::result::Result<Ran, NotRun> {
    let manner = options.manner.clone();
    let host = Host::observe();
    host.require_privilege()?;
    let dirs = Dirs::open(dir)?;
    let store = Store::open(&dirs)?;
    let how = std::mem::take(&mut options.fetch);
    let fetch = Fetch::new(&dirs, &store, &how, PullPolicy::New)?;
    let (directory, plan) = make(&dirs, &host, &fetch, options, State::Run)?;
    if manner.detached.is_none() && !terminal::is_in(&plan) {
        // The process stays; stage1-init takes its place.
        fetch.tell(&format!("Container started, PID: {}", std::process::id()));
    }
    launch(&dirs, directory, &plan, &manner)
}

/// Runs a pod that was prepared; returns its UUID if that goes on without the
/// caller.
pub(crate) fn run_prepared(
    dir: &Path,
    uuid: &str,
    manner: Manner,
) -> std::result::Result<Ran, NotRun> {
    let host = Host::observe();
    host.require_privilege()?;
    let dirs = Dirs::open(dir)?;
    let uuid = find::prepared(&dirs, uuid)?;
    let (directory, plan) = match take(&host, &dirs, uuid) {
        Ok(taken) => taken,
        Err(error) => match directory::open_in(&dirs, State::Prepared, uuid)? {
            Some(_) => return Err(error.into()),
            None => {
                let what = format!("pod `{uuid}` was run or removed meanwhile");
                return Err(Error::new(Kind::NotFound, what).into());
            }
        },
    };
    launch(&dirs, directory, &plan, &manner)
}

/// Takes a prepared pod, if it can be run.
fn take<'a>(host: &Host, dirs: &'a Dirs, uuid: Uuid) -> Result<(PodDirectory<'a>, Plan)> {
    let plan = Plan::read(&directory::read(dirs, State::Prepared, uuid, "plan")?)?;
    check_numbers(host, &plan)?;
    check_layers(uuid, &plan)?;
    Ok((PodDirectory::take_prepared(dirs, uuid)?, plan))
}

/// Checks that a plan that another kernel was meant to execute leaves the
/// numbers of this machine's processes alone.
fn check_numbers(host: &Host, plan: &Plan) -> Result<()> {
    let sets = |_: u32, directive: &Directive<'_>, _: &str| match directive {
        Directive::Sysctl { key, .. } => (*key == PID_MAX).then_some(()),
        _ => None,
    };
    if host.kernel >= OWN_PID_MAX_SINCE || plan.find(sets).is_none() {
        return Ok(());
    }
    let (major, minor) = OWN_PID_MAX_SINCE;
    Err(Error::invalid(format!(
        "cannot execute the plan: before Linux {major}.{minor} it would set `kernel.pid_max` for the whole host"
    ))
    .hint("`launcher plan` makes one for this kernel"))
}

/// Checks that the images under a plan's overlays are still there.
fn check_layers(uuid: Uuid, plan: &Plan) -> Result<()> {
    let gone = plan.find(|_, directive, _| {
        let Directive::Mount { kind, data, .. } = directive else {
            return None;
        };
        let overlay = Overlay::read(data.to_bytes()).filter(|_| *kind == c"overlay")?;
        overlay.layers.into_iter().find(|layer| !layer.is_dir())
    });
    gone.map_or(Ok(()), |layer| {
        Err(Error::invalid(format!(
            "cannot run pod `{uuid}`: an image of it was removed (`{}`)",
            layer.display()
        ))
        .hint("the same image has to be stored again; it will have the same place"))
    })
}

/// Executes a plan that somebody composed; returns the UUID of its pod if that
/// goes on without the caller.
pub(crate) fn run_plan(
    dir: &Path,
    file: &Path,
    name: Option<AcName>,
    manner: Manner,
) -> std::result::Result<Ran, NotRun> {
    let host = Host::observe();
    host.require_privilege()?;
    let dirs = Dirs::open(dir)?;
    let plan = read_plan(file)?;
    check_numbers(&host, &plan)?;
    let uuid = uuid_of(&dirs, &plan)?;
    let directory = PodDirectory::create(&dirs, uuid, State::Run, name)?;
    directory.write("plan", plan.text().as_bytes())?;
    launch(&dirs, directory, &plan, &manner)
}

/// Makes a pod, up to where only its plan has to be executed.
pub(super) fn make<'a>(
    dirs: &'a Dirs,
    host: &Host,
    fetch: &Fetch<'_>,
    options: Options,
    state: State,
) -> Result<(PodDirectory<'a>, Plan)> {
    let uuid = options.uuid.map_or_else(random_uuid, Ok)?;
    if let Some(file) = &options.uuid_file {
        request::save_uuid(file, uuid)?;
    }
    let store = fetch.store();
    let (manifest, arguments) = (options.manifest.clone(), options.images.clone());
    let name = options.name.clone();
    let mut request = request::complete(options)?;
    let images = match manifest {
        Some(file) => request::add_manifest(&mut request, &file, store)?,
        None => {
            let images = arguments.iter().map(|argument| image(fetch, argument));
            images.collect::<Result<_>>()?
        }
    };
    for image in &images {
        fetch.dependencies(image.id())?;
    }
    fetch.tell(&format!("Creating container: {uuid}"));
    request.metadata = metadata::url(&secret::token(&secret::ensure(dirs)?, uuid));
    let pod = reified(dirs, store, host, uuid, &request, &images)?;
    tell(&pod, request.strict)?;
    let plan = compose(&pod, host)?;
    let directory = PodDirectory::create(dirs, uuid, state, name)?;
    let manifest = format!("{:#}\n", pod.manifest.to_json());
    directory.write("pod", manifest.as_bytes())?;
    directory.write("plan", plan.text().as_bytes())?;
    keep(&pod, &directory)?;
    fetch.tell("Creating rootfs");
    copy_roots(&pod, &directory)?;
    Ok((directory, plan))
}

/// Makes a version 4 UUID.
pub(crate) fn random_uuid() -> Result<Uuid> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .context(|| "cannot get random numbers from the kernel")?;
    Ok(Uuid::from_random(bytes))
}

/// Finds the image that an argument means, and sees to it that it is stored.
fn image(fetch: &Fetch<'_>, argument: &Reference) -> Result<Aci> {
    let id = fetch.image(argument)?;
    fetch.store().aci(&id)?.ok_or_else(|| {
        Error::invalid(format!(
            "image `{argument}` was removed while it was stored"
        ))
    })
}

fn reified(
    dirs: &Dirs,
    store: &Store<'_>,
    host: &Host,
    uuid: Uuid,
    request: &Request,
    images: &[Aci],
) -> Result<Pod> {
    let layers = images
        .iter()
        .map(|image| render::directories(store, image.id()));
    let layers: Vec<Vec<PathBuf>> = layers.collect::<Result<_>>()?;
    let trees = layers.iter().map(|layers| Stack::open(layers));
    let trees: Vec<Stack> = trees.collect::<Result<_>>()?;
    let sources = images.iter().zip(layers).zip(&trees);
    let sources: Vec<Source<'_>> = sources
        .map(|((image, layers), rootfs)| {
            Ok(Source {
                id: *image.id(),
                manifest: image.manifest(),
                trusted: privilege::may(dirs, store, image.id(), image.manifest())?,
                rootfs,
                layers,
            })
        })
        .collect::<Result<_>>()?;
    let directory = directory::path(dirs.path(), uuid);
    reify(uuid, directory, host, request, &sources, &host_path::look)
}

/// Says what the caller should know, and which isolators are not in force as
/// they were written.
///
/// # Errors
///
/// If `strict`, the first of these.
pub(super) fn tell(pod: &Pod, strict: bool) -> Result<()> {
    crate::cmd::say(&pod.notes);
    if strict {
        require_all(&pod.isolators)?;
    }
    let changed = pod.isolators.iter().filter(|entry| !entry.is_enforced());
    crate::cmd::say(&changed.map(Entry::to_string).collect::<Vec<_>>());
    Ok(())
}

/// Keeps what the plan names and does not hold, for when it is executed.
fn keep(pod: &Pod, directory: &PodDirectory<'_>) -> Result<()> {
    for (number, filter) in &pod.descriptors.filters {
        directory.write(&format!("filter-{number}"), filter)?;
    }
    if pod.groups.is_empty() {
        return Ok(());
    }
    let record = record::write(&pod.groups, &pod.descriptors.groups);
    directory.write("groups", record.as_bytes())
}

/// Copies the images' files to where the plan expects them, for apps whose
/// root is no overlay.
fn copy_roots(pod: &Pod, directory: &PodDirectory<'_>) -> Result<()> {
    for app in pod.apps.iter().filter(|app| app.root.copied) {
        let what = || format!("cannot copy the files of app `{}`", app.name);
        let target = directory.make_app(&app.name)?;
        root_fd::copy_layers(&app.root.layers, target.as_fd(), "rootfs").context(what)?;
    }
    Ok(())
}

fn read_plan(file: &Path) -> Result<Plan> {
    let what = || format!("cannot read plan `{}`", file.display());
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).context(what)?;
    } else {
        bytes = std::fs::read(file).context(what)?;
    }
    Plan::read(&bytes).context(what)
}

/// Finds out which pod a plan is of: its roots are in the pod's directory.
fn uuid_of(dirs: &Dirs, plan: &Plan) -> Result<Uuid> {
    let pods = dirs.path().join("pods/run");
    let found = plan.find(|_, directive, _| {
        let Directive::Root { path } = directive else {
            return None;
        };
        let path = PathBuf::from(OsString::from_vec(path.to_bytes().to_vec()));
        let uuid = path.strip_prefix(&pods).ok()?.components().next()?;
        Uuid::parse(uuid.as_os_str().to_str()?).ok()
    });
    found.map_or_else(random_uuid, Ok)
}
