//! `launcher enter`: runs a command in a pod that runs, as one more process of
//! an app: with all that bounds the app, and nothing of the caller but its
//! streams.
//!
//! The launcher looks for the app's process, moves itself into the app's
//! cgroups, and becomes `stage1-init`, as `run` does, with a plan made of the
//! pod's. That becomes the launcher again in the end, which says why, if the
//! command was not executed. The pod's directory is only read.

mod place;
pub(crate) mod terminal;

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use stage1_init::{Directive, Namespaces};

use crate::cmd::STAGE1_INIT;
use crate::cmd::enter::place::{Place, Running};
use crate::cmd::finish::failed;
use crate::cmd::selector::PodSelector;
use appc::manifest::PodManifest;
use appc::manifest::app::Variable;
use appc::types::Uuid;
use error::{Context as _, Result};
use image::store::images::Store;
use image::store::rootfs::Rootfs;
use image::store::rootfs_view::Stack;
use pod::cgroup::membership;
use pod::plan::enter::{self, Entrance, Streams};
use pod::plan::text::{Plan, operand};
use pod::resolve::identity::{self, Identity};
use pod::runtime::exec::{self, Handover};
use pod::runtime::explain::explain;
use pod::runtime::filters;
use pod::runtime::inherited::Inherited;
use pod::runtime::render;
use pod::state::directory::read_in;
use sys::dirs::Dirs;
use sys::host::Host;

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Options {
    /// The pod.
    pub(crate) selector: PodSelector,
    /// The app, if that was said.
    pub(crate) app: Option<String>,
    /// The user, if not the app's.
    pub(crate) user: Option<String>,
    /// The group, if not the app's.
    pub(crate) group: Option<String>,
    /// Where to start, if not where the app does.
    pub(crate) directory: Option<String>,
    /// Variables.
    pub(crate) variables: Vec<Variable>,
    /// The command; the default if there are no words.
    pub(crate) command: Vec<OsString>,
    /// Whether it has a terminal of its own.
    pub(crate) terminal: Terminal,
}

/// Whether a command has a terminal of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// It has not.
    None,
    /// It is to have one.
    Wanted,
    /// The standard output is that.
    There,
}

/// What is run if nothing is said.
const SHELL: &str = "/bin/sh";

/// Becomes the init of a command in a pod; returns its status only if it has a
/// terminal of its own, to which this process attends.
pub(crate) fn run(dir: &Path, options: &Options) -> Result<u8> {
    Host::observe().require_privilege()?;
    let dirs = Dirs::look(dir)?;
    let pod = Running::find(&dirs, options.selector.find_one(&dirs)?)?;
    let app = pod.choose(options.app.as_deref())?;
    let identity = identity(&dirs, &pod, app, options)?;
    let place = pod.locate(app)?;
    if options.terminal == Terminal::Wanted {
        let whom = identity.unwrap_or_else(|| enter::identity(&pod.plan, app));
        return terminal::attend(&pod, &place, whom.uid);
    }
    // If an app ends, the kernel has other words for everything that is asked of it.
    let entered = enter(&dirs, &pod, app, &place, identity, options);
    match entered.map_err(|error| pod.check(app, &place).err().unwrap_or(error))? {}
}

/// Becomes the init of a command of an app; returns only if that failed.
fn enter(
    dirs: &Dirs,
    pod: &Running,
    app: &str,
    place: &Place,
    identity: Option<Identity>,
    options: &Options,
) -> Result<Infallible> {
    let at_terminal = at_terminal(options)?;
    let namespaces = namespaces(pod, place)?;
    let (own, theirs) = (Inherited::own()?, place.inherited(pod)?);
    let filters = filters::open(&pod.directory, &pod.plan)?;
    let number = |fd: &OwnedFd| fd.as_raw_fd().unsigned_abs();
    let joined = namespaces.iter().map(|(kind, fd)| (*kind, number(fd)));
    let opened = filters.iter().map(|(name, fd)| (*name, number(fd)));
    let entrance = Entrance {
        app: app.to_owned(),
        namespaces: joined.collect(),
        filters: opened.collect(),
        inherited: [own.clone(), theirs.clone()],
        streams: match &at_terminal {
            Some(terminal) => Streams::Terminal(number(terminal)),
            None => Streams::Callers,
        },
        identity,
        directory: directory(options)?,
        variables: variables(options),
        command: command(options)?,
    };
    let plan = enter::compose(&pod.plan, &entrance).context(|| pod.cannot())?;
    // All of it is of processes that were there until now.
    pod.check(app, place)?;
    membership::join(&place.groups(pod)?).context(|| pod.cannot())?;
    theirs.adopt(&own).context(|| pod.cannot())?;
    let named = namespaces.into_iter().map(|(_, fd)| fd);
    let named = named.chain(filters.into_values());
    let named = named.chain(at_terminal);
    become_init(dirs, pod, &plan, named.collect())
}

/// Takes the terminal of the command, if it is there already.
fn at_terminal(options: &Options) -> Result<Option<OwnedFd>> {
    match options.terminal {
        Terminal::There => std::io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .context(|| "cannot use the terminal")
            .map(Some),
        Terminal::None | Terminal::Wanted => Ok(None),
    }
}

/// The variables that were asked for, and what kind of terminal the caller has.
fn variables(options: &Options) -> Vec<Variable> {
    const TERM: &str = "TERM";
    let mut variables = options.variables.clone();
    let said = variables.iter().any(|variable| variable.name == TERM);
    if options.terminal == Terminal::There
        && !said
        && let Ok(value) = std::env::var(TERM)
    {
        let name = TERM.to_owned();
        variables.push(Variable { name, value });
    }
    variables
}

/// Hands over to `stage1-init`.
fn become_init(dirs: &Dirs, pod: &Running, plan: &Plan, named: Vec<OwnedFd>) -> Result<Infallible> {
    let plan = exec::sealed("plan", &plan.words())?;
    let report = rustix::fs::memfd_create("report", MemfdFlags::CLOEXEC)
        .context(|| "cannot hold `report` in memory")?;
    // The pod can read a command line before anybody could erase it.
    let whose = exec::sealed("pod", &spelled(dirs.path(), pod.uuid))?;
    let mut finally = ["launcher", "entered"].map(OsString::from).to_vec();
    for fd in [&plan, &report, &whose] {
        finally.push(fd.as_raw_fd().to_string().into());
    }
    exec::exec(Handover {
        program: STAGE1_INIT,
        plan: plan.as_fd(),
        report: report.as_fd(),
        held: &[plan.as_fd(), report.as_fd(), whose.as_fd()],
        lock: None,
        named,
        demand: None,
        detached: false,
        finally: &finally,
    })
}

/// Whom the command runs as, if not as the app. Names are the image's: what the
/// app has made of its files counts for nothing.
fn identity(dirs: &Dirs, pod: &Running, app: &str, options: &Options) -> Result<Option<Identity>> {
    if options.user.is_none() && options.group.is_none() {
        return Ok(None);
    }
    let image = image(dirs, pod, app)?;
    let mut identity = enter::identity(&pod.plan, app);
    if let Some(user) = &options.user {
        identity.uid = identity::user(user, &image)?;
    }
    if let Some(group) = &options.group {
        identity.gid = identity::group(group, &image)?;
    }
    Ok(Some(identity))
}

/// Opens the files of an app's image: as its overlay names them, or as its
/// manifest does; none if only somebody who wrote the plan knows.
fn image(dirs: &Dirs, pod: &Running, app: &str) -> Result<Stack> {
    if let Some(layers) = enter::layers(&pod.plan, app) {
        return Stack::open(&layers);
    }
    let what = || format!("cannot read the manifest of pod `{}`", pod.uuid);
    let Some(manifest) = read_in(&pod.directory, "pod").context(what)? else {
        return Stack::open(&[]);
    };
    let manifest = PodManifest::parse(&manifest).context(what)?.value;
    let mut apps = manifest.apps.iter();
    match apps.find(|known| known.name.as_str() == app) {
        Some(app) => {
            let store = Store::open(dirs)?;
            // Whoever ran the pod has decided on that.
            store.waive();
            Stack::open(&render::directories(&store, &app.image.id.into())?)
        }
        None => Stack::open(&[]),
    }
}

fn directory(options: &Options) -> Result<Option<CString>> {
    let directory = options.directory.as_deref();
    let operand = directory.map(|path| operand("the working directory", path));
    operand.transpose()
}

fn command(options: &Options) -> Result<Vec<CString>> {
    let words = options.command.iter();
    let words: Vec<CString> = words
        .map(|word| operand("the command", word.clone().into_vec()))
        .collect::<Result<_>>()?;
    match words.is_empty() {
        true => Ok(vec![operand("the command", SHELL)?]),
        false => Ok(words),
    }
}

/// The namespaces of a pod that this process is not in, in the order in which
/// they are joined: with the last one begins the process that the pod can see.
fn namespaces(pod: &Running, place: &Place) -> Result<Vec<(Namespaces, OwnedFd)>> {
    use Namespaces as N;
    let all = [
        ("ipc", N::IPC),
        ("uts", N::UTS),
        ("net", N::NET),
        ("cgroup", N::CGROUP),
        ("time", N::TIME),
        ("mnt", N::MNT),
        ("pid", N::PID),
    ];
    let mut joined = Vec::new();
    for (name, kind) in all {
        if let Some(namespace) = place.namespace(pod, name, kind)? {
            joined.push((kind, namespace));
        }
    }
    Ok(joined)
}

/// Spells which pod it is, for [`finish`].
fn spelled(dir: &Path, uuid: Uuid) -> Vec<u8> {
    let mut text = format!("{uuid}\n").into_bytes();
    text.extend_from_slice(dir.as_os_str().as_bytes());
    text
}

/// Says why a command in a pod was not executed, if it was not. The descriptors
/// are of its plan, its report, and of which pod it is. Nobody types this command.
///
/// # Errors
///
/// The sentence for the directive that failed.
pub(crate) fn finish([plan, report, whose]: [u32; 3]) -> Result<()> {
    let Some((index, errno)) = failed(&read(report)?) else {
        return Ok(());
    };
    let plan = Plan::read(&read(plan)?)?;
    let mut whose = read(whose)?.into_iter();
    let uuid: Vec<u8> = whose.by_ref().take_while(|&byte| byte != b'\n').collect();
    let uuid = Uuid::parse(&String::from_utf8_lossy(&uuid))?;
    let dirs = Dirs::look(Path::new(&OsString::from_vec(whose.collect())))?;
    if joins_processes(&plan, index) && errno == NO_PROCESS {
        Running::find(&dirs, uuid)?.check_init()?;
    }
    let image = Running::find(&dirs, uuid).and_then(|pod| image(&dirs, &pod, &app_of(&plan)));
    // What is only for a better sentence may be gone by now.
    let image = image.ok();
    let rootfs = image.as_ref().map(|image| image as &dyn Rootfs);
    Err(explain(&plan, index, errno, rootfs))
}

fn joins_processes(plan: &Plan, index: u32) -> bool {
    let joins = plan.find(|at, directive, _| match directive {
        Directive::Join { namespaces, .. } if at == index => Some(*namespaces),
        _ => None,
    });
    joins == Some(Namespaces::PID)
}

fn app_of(plan: &Plan) -> String {
    let app = plan.find(|_, directive, _| match directive {
        Directive::App { name } => Some(name.as_c_str().to_string_lossy().into_owned()),
        _ => None,
    });
    app.unwrap_or_default()
}

/// What fork(2) says where PID 1 has ended, and for want of memory.
const NO_PROCESS: u32 = Errno::NOMEM.raw_os_error().unsigned_abs();

fn read(fd: u32) -> Result<Vec<u8>> {
    let path = format!("/proc/self/fd/{fd}");
    std::fs::read(&path).context(|| format!("cannot read `{path}`"))
}
