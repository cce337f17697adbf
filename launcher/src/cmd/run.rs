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

/// How to use this command.
pub(crate) const HELP: &str = "\
Usage: launcher run [POD OPTIONS] IMAGE [APP OPTIONS] [-- ARGUMENT...]
                    [--- IMAGE [APP OPTIONS] [-- ARGUMENT...]]...
       launcher run [POD OPTIONS] --pod-manifest FILE
       launcher run --plan FILE

Runs the apps of images in one pod: each with a root and mounts of its own,
all with the same processes, network and host name, apart from the host's.
Exits with the status of the first app that failed, or 0: 128 more than the
signal's number if one ended it, 125 if Nose Cone failed, 126 if a program
cannot be executed, 127 if there is none. When an app fails, the others are
asked to end, and killed ten seconds later.
The pod is removed when it is over, unless --keep or --detach is given.
What comes after `--`, up to `---`, is appended to the app's command.
The apps have the caller's standard streams, and can open once more what these
lead to: a file from its beginning, to read or to empty it. With --pipe-output
they have pipes instead, and with --detach pipes that lead to a log.

Pod options, before the first image:
  --annotation NAME=VALUE
                    says something about the pod; may be repeated
  --detach          the pod goes on without the caller: prints its UUID when the
                    apps run, and keeps it when it is over. The apps have no
                    standard input; `launcher logs` shows what they write
  --hostname NAME   host name of the pod (its UUID)
  --inherit-env     passes the caller's environment on; what an image sets
                    counts more
  --detach-keys KEYS
                    what leaves the terminal of an app and lets the pod go on,
                    see `launcher help attach` (ctrl-p,ctrl-q)
  --interactive, -t the app has a terminal of its own, to which the caller
                    attends: job control, its size, and Ctrl-C as there. With
                    --detach nobody does, until `launcher attach`
  --keep            keeps the pod when it is over, until `launcher rm` or
                    `launcher gc`
  --locale NAME     sets LANG
  --log disk|memory|none
                    with --detach, where what the apps write is kept: with the
                    pod (disk), below /run, which spares a flash memory, or
                    nowhere
  --log-size SIZE   how large each of the two files of an app's log may become:
                    when one is full, the older one goes (1Mi)
  --name NAME       what people call the pod: no other that is not over may be
                    called so
  --no-overlay      copy the images' files, rather than lay them under an
                    overlay
  --pids-limit N    how many processes and threads the pod has at most; or
                    `unlimited` (4096)
  --pipe-output     the apps write into pipes, from which the launcher, which
                    stays for that, copies to its own standard streams
  --plan FILE       execute a plan, as `launcher plan` prints it, instead of
                    composing one; `-` is the standard input
  --pod-manifest FILE
                    run the apps of a pod manifest, whose images are in the
                    store: by ID, or, without one, by name and labels
  -stdout           as the ancestor has it: says where what the app writes begins
  --rm              removes the pod when it is over; without --detach, that is
                    so if --keep does not say otherwise
  --set-env NAME=VALUE
                    sets a variable for all apps; may be repeated
  --set-env-file FILE
                    sets those of a file, a line each; may be repeated.
                    `--set-env` counts more
  --strict          do not run if an isolator cannot be enforced
  --timezone ZONE   time zone of the apps: `host`, or a name
  --uuid UUID       of the pod (a random one)
  --uuid-file-save FILE
                    writes the UUID to a file before anything else is done: to
                    one that is not there, or in which there is an earlier UUID
  -wait             as the ancestor has it: waits for the end, and shows nothing
                    of what the app writes, unless -stdout is given as well
  --volume NAME,kind=host,source=PATH[,readOnly=BOOL][,recursive=BOOL]
                    [,followSymlinks=BOOL]
                    a directory or file of the host that apps can mount.
                    With what is mounted below it, unless not recursive.
                    No link may be in its path, unless that is allowed
  --volume NAME,kind=empty[,readOnly=BOOL][,mode=0755][,uid=0][,gid=0]
                    a new directory that lives as long as the pod

App options, behind the image; they count more than what the image says:
  --allow-isolators[=NAME,...]
                    lets the isolators of the image, or those of these names,
                    give it more rights than an app has by default
  --annotation NAME=VALUE
                    says something about the app; may be repeated
  --caps-remove CAPABILITY,...
  --caps-retain CAPABILITY,...
                    takes these, or all others, from the app
  --cpu AMOUNT      processors, such as `500m`
  --cpu-shares N    weight against other apps
  --device PATH[:ACCESS]
                    gives the app a device of the host, below /dev. ACCESS
                    are letters of `rwm`: to read, to write, to make nodes
                    of it (rwm); may be repeated
  --environment NAME=VALUE
                    sets a variable; may be repeated
  --exec PROGRAM    runs this, instead of all words of the image's command
  --group GROUP     a name or number of the image, or a path whose group it is
  --memory AMOUNT   bytes, such as `64Mi`
  --mount volume=NAME,target=PATH
                    mounts a volume of the pod; may be repeated
  --name NAME       what the app is called (the last part of its image's name)
  --no-new-privileges
                    no program gives the app more rights than it has
  --oom-score-adj N how readily it is killed when memory runs out
  --readonly-rootfs the app cannot change its root file system
  --seccomp mode=retain|remove[,errno=NAME],CALL,...
                    allows no other system calls, or not these
  --supplementary-gids GID,...
                    its only other groups
  --tmpfs PATH[:size=SIZE][,mode=MODE]
                    mounts a file system in memory. SIZE is in bytes, such as
                    `64Mi`, or in hundredths of the memory (25%); MODE is that of
                    its directory (1777). May be repeated; also for /tmp, which is
                    such a one where the image has none
  --user USER       a name or number of the image, or a path whose owner it is
  --user-annotation NAME=VALUE
  --user-label NAME=VALUE
                    for people and their tools; may be repeated
  --working-dir PATH
                    where it starts
";

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
