//! `launcher run`: the main job.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use stage1_init::Directive;

use crate::ground::dirs::Dirs;
use crate::ground::host::Host;
use crate::ground::{Context as _, Error, Result, beneath};
use crate::image::fetch::{self, Fetch, PullPolicy};
use crate::image::store::{Image, Store};
use crate::image::tree::Stack;
use crate::pod::compose::{Pod, compose};
use crate::pod::directory::{self, PodDirectory};
use crate::pod::plan::Plan;
use crate::pod::reify::{Request, Source, reify};
use crate::pod::render;
use crate::run::stage1::{self, Handover};
use crate::words::reference::Reference;
use crate::words::types::Uuid;

/// How to use this command.
pub(crate) const HELP: &str = "\
Usage: launcher run [OPTIONS] IMAGE [-- ARGUMENT...]
       launcher run --plan FILE

Runs the app of an image, in namespaces of its own, and exits with its status:
128 more than the signal's number if one ended it, 125 if Nose Cone failed,
126 if the program cannot be executed, 127 if there is none.
What comes after `--` is appended to the app's command.

Options:
  --hostname NAME   host name of the pod (its UUID)
  --interactive     the app takes over the terminal
  --no-overlay      copy the image's files, rather than lay them under an
                    overlay
  --uuid UUID       of the pod (a random one)
  --plan FILE       execute a plan, as `launcher plan` prints it, instead of
                    composing one; `-` is the standard input
";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The image.
    pub(crate) image: Reference,
    /// How it is fetched.
    pub(crate) fetch: fetch::Options,
    /// UUID of the pod, if it is not to be random.
    pub(crate) uuid: Option<Uuid>,
    /// Everything else about the pod.
    pub(crate) request: Request,
}

/// Runs an image; returns only if it could not be started.
pub(crate) fn run(dir: &Path, options: &Options) -> Result<Infallible> {
    let host = Host::observe();
    host.require_privilege()?;
    let dirs = Dirs::open(dir)?;
    let store = Store::open(&dirs)?;
    let fetch = Fetch::new(&dirs, &store, &options.fetch, PullPolicy::New)?;
    let image = fetched(&store, &fetch, &options.image)?;
    let layers = render::directories(&store, &dirs, image.id())?;
    let uuid = options.uuid.map_or_else(random_uuid, Ok)?;
    fetch.tell(&format!("Creating container: {uuid}"));
    let pod = reified(&dirs, &host, uuid, &options.request, &image, layers)?;
    report_isolators(&pod);
    let plan = compose(&pod, &host)?;
    let directory = PodDirectory::create(&dirs, uuid)?;
    fetch.tell("Creating rootfs");
    copy_roots(&pod, &directory)?;
    // The process stays; stage1-init takes its place.
    fetch.tell(&format!("Container started, PID: {}", std::process::id()));
    start(&dirs, &directory, &plan)
}

/// Executes a plan that somebody composed; returns only if it could not be started.
pub(crate) fn run_plan(dir: &Path, file: &Path) -> Result<Infallible> {
    Host::observe().require_privilege()?;
    let dirs = Dirs::open(dir)?;
    let plan = read_plan(file)?;
    let uuid = uuid_of(&dirs, &plan)?;
    let directory = PodDirectory::create(&dirs, uuid)?;
    start(&dirs, &directory, &plan)
}

/// Makes a version 4 UUID.
pub(crate) fn random_uuid() -> Result<Uuid> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .context(|| "cannot get random numbers from the kernel")?;
    Ok(Uuid::from_random(bytes))
}

fn fetched(store: &Store, fetch: &Fetch<'_>, reference: &Reference) -> Result<Image> {
    let id = fetch.image(reference)?;
    fetch.dependencies(&id)?;
    store
        .image(&id)?
        .ok_or_else(|| Error::invalid(format!("image `{id}` was removed while it was stored")))
}

fn reified(
    dirs: &Dirs,
    host: &Host,
    uuid: Uuid,
    request: &Request,
    image: &Image,
    layers: Vec<PathBuf>,
) -> Result<Pod> {
    let source = Source {
        manifest: image.manifest(),
        rootfs: &Stack::open(&layers)?,
        layers,
    };
    let directory = directory::path(dirs.path(), uuid);
    reify(uuid, directory, host, request, &source)
}

/// Says what the images ask for and do not get.
fn report_isolators(pod: &Pod) {
    for app in &pod.apps {
        for isolator in &app.app.isolators {
            let (name, app) = (isolator.name.as_str(), &app.name);
            let line = format!("launcher: isolator `{name}` of app `{app}` is not enforced\n");
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}

/// Copies the images' files to where the plan expects them, for apps whose
/// root is no overlay.
fn copy_roots(pod: &Pod, directory: &PodDirectory<'_>) -> Result<()> {
    for app in pod.apps.iter().filter(|app| app.root.copied) {
        let what = || format!("cannot copy the files of app `{}`", app.name);
        let target = directory.make_app(&app.name)?;
        beneath::copy_layers(&app.root.layers, target.as_fd(), "rootfs").context(what)?;
    }
    Ok(())
}

fn start(dirs: &Dirs, directory: &PodDirectory<'_>, plan: &Plan) -> Result<Infallible> {
    directory.write("plan", plan.text().as_bytes())?;
    let finally = [
        OsString::from("launcher"),
        OsString::from("--dir"),
        dirs.path().as_os_str().to_owned(),
        OsString::from("finish"),
        OsString::from(directory.uuid().to_string()),
    ];
    stage1::exec(&Handover {
        plan: &plan.words(),
        report: directory.make("report")?,
        lock: directory.fd(),
        finally: &finally,
    })
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
