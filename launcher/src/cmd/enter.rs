//! `launcher enter`: runs a command in a pod that runs, as one more process of
//! an app: with all that bounds the app, and nothing of the caller but its
//! streams.
//!
//! The launcher looks for the app's process, moves itself into the app's
//! cgroups, and becomes `stage1-init`, as `run` does, with a plan that is composed
//! of the pod's spec. That becomes the launcher again in the end, which says why, if the
//! command was not executed. The pod's directory is only read.

mod place;
pub(crate) mod terminal;

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use stage1_init::{Directive, Namespaces};

use crate::cmd::STAGE1_INIT;
use crate::cmd::enter::place::{Place, Running};
use crate::cmd::failure::{failed, files, of_step};
use crate::cmd::selector::PodSelector;
use appc::types::Uuid;
use error::{Context as _, Result};
use pod::cgroup::membership;
use pod::plan::descriptors::{NAMESPACES, TERMINAL};
use pod::plan::directives::{Plan, Step, operand};
use pod::plan::enter::{self, EnterSpec};
use pod::resolve::users;
use pod::runtime::descriptors::{self, Named, number_of};
use pod::runtime::exec::{self, Handover};
use pod::runtime::inherited::Inherited;
use pod::spec::environment::Variable;
use pod::spec::pod::AppSpec;
use pod::state::find;
use sys::dirs::Dirs;
use sys::host::{Host, Operation};

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
    Host::observe().require(Operation::EnterPods)?;
    let dirs = Dirs::look(dir)?;
    let (dirs, uuid) = options.selector.find_one(&dirs)?;
    let pod = Running::find(&dirs, uuid)?;
    let app = pod.choose(options.app.as_deref())?;
    let ids = ids(app, options)?;
    let place = pod.locate(&app.name)?;
    if options.terminal == Terminal::Wanted {
        let owner = ids.0.unwrap_or(app.process.uid.value);
        return terminal::attend(&pod, &place, owner);
    }
    // If an app ends, the kernel has other words for everything that is asked of it.
    let entered = enter(&dirs, &pod, app, &place, ids, options);
    match entered.map_err(|error| pod.check(&app.name, &place).err().unwrap_or(error))? {}
}

/// Becomes the init of a command of an app; returns only if that failed.
fn enter(
    dirs: &Dirs,
    pod: &Running,
    app: &AppSpec,
    place: &Place,
    (uid, gid): (Option<u32>, Option<u32>),
    options: &Options,
) -> Result<Infallible> {
    let at_terminal = at_terminal(options)?;
    let namespaces = namespaces(pod, place)?;
    let (own, theirs) = (Inherited::own()?, place.inherited(pod)?);
    let spec = EnterSpec {
        namespaces: namespaces.iter().map(|(kind, _)| *kind).collect(),
        terminal: at_terminal.is_some(),
        uid,
        gid,
        directory: options.directory.clone(),
        variables: variables(options),
        limits: theirs.limits_unlike(&own),
        oom_score: theirs.score_unlike(&own),
        command: command(options)?,
    };
    let composed = enter::compose(app, &spec, &Host::observe()).context(|| pod.cannot())?;
    let here = descriptors::Provided {
        pod: pod.directory.as_fd(),
        log: None,
        master: None,
    };
    let (mut named, _) = descriptors::open(&composed.needed, here)?;
    // All of it is of processes that were there until now.
    pod.check(&app.name, place)?;
    membership::join(&place.groups(pod)?).context(|| pod.cannot())?;
    theirs.adopt(&own).context(|| pod.cannot())?;
    let joined = namespaces.into_iter().map(|(_, fd)| fd);
    named.extend((NAMESPACES..).zip(joined));
    named.extend(at_terminal.map(|fd| (TERMINAL, fd)));
    become_init(dirs, pod, &app.name, &composed.plan, named)
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
        variables.push(Variable::new(TERM, value));
    }
    variables
}

/// Hands over to `stage1-init`.
fn become_init(
    dirs: &Dirs,
    pod: &Running,
    app: &str,
    plan: &Plan,
    named: Named,
) -> Result<Infallible> {
    let words = plan.renumbered(&|label| number_of(&named, label));
    let words = exec::sealed("plan", &words)?;
    let plan = exec::sealed("reasons", plan.text().as_bytes())?;
    let report = rustix::fs::memfd_create("report", MemfdFlags::CLOEXEC)
        .context(|| "cannot create `report` in memory")?;
    // The pod can read a command line before anybody could erase it.
    let whose = exec::sealed("pod", &spelled(dirs.path(), pod.spec.id, app))?;
    let mut finally = ["launcher", "entered"].map(OsString::from).to_vec();
    for fd in [&plan, &report, &whose] {
        finally.push(fd.as_raw_fd().to_string().into());
    }
    exec::exec(Handover {
        program: STAGE1_INIT,
        plan: words.as_fd(),
        report: report.as_fd(),
        held: &[plan.as_fd(), report.as_fd(), whose.as_fd()],
        lock: None,
        named: named.into_values().collect(),
        demand: None,
        detached: false,
        finally: &finally,
    })
}

/// Whom the command runs as: user and group, if they are not the app's. Names are
/// the image's: what the app has made of its files counts for nothing.
fn ids(app: &AppSpec, options: &Options) -> Result<(Option<u32>, Option<u32>)> {
    if options.user.is_none() && options.group.is_none() {
        return Ok((None, None));
    }
    let files = files(app)?;
    let user = options.user.as_deref();
    let group = options.group.as_deref();
    Ok((
        user.map(|user| users::user(user, &files)).transpose()?,
        group.map(|group| users::group(group, &files)).transpose()?,
    ))
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

/// Spells which app of which pod it is, for [`finish`].
fn spelled(dir: &Path, uuid: Uuid, app: &str) -> Vec<u8> {
    let mut text = format!("{uuid}\n{app}\n").into_bytes();
    text.extend_from_slice(dir.as_os_str().as_bytes());
    text
}

/// Says why a command in a pod was not executed, if it was not. The descriptors
/// are of its plan with reasons, its report, and of which app it is. Nobody types
/// this command.
///
/// # Errors
///
/// The sentence for the directive that failed.
pub(crate) fn finish([plan, report, whose]: [u32; 3]) -> Result<()> {
    let Some((index, errno)) = failed(&read(report)?) else {
        return Ok(());
    };
    let plan = Plan::read(&read(plan)?)?;
    let whose = read(whose)?;
    let mut parts = whose.splitn(3, |&byte| byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (uuid, app, dir) = (part(), part(), part());
    let uuid = Uuid::parse(&String::from_utf8_lossy(uuid))?;
    let dirs = Dirs::look(Path::new(OsStr::from_bytes(dir)))?;
    let dirs = find::running_place(&dirs, uuid);
    let step = plan.step(index);
    if step.is_some_and(joins_processes) && errno == NO_PROCESS {
        Running::find(&dirs, uuid)?.check_init()?;
    }
    // What is only for a better sentence may be gone by now.
    let pod = Running::find(&dirs, uuid).ok();
    let app = String::from_utf8_lossy(app);
    let app = pod.as_ref().and_then(|pod| pod.spec.app(&app));
    Err(of_step(step, errno, app))
}

fn joins_processes(step: &Step) -> bool {
    let pid = Namespaces::PID;
    matches!(step.directive(), Some(Directive::Join { namespaces, .. }) if namespaces == pid)
}

/// What fork(2) says where PID 1 has ended, and for want of memory.
const NO_PROCESS: u32 = Errno::NOMEM.raw_os_error().unsigned_abs();

fn read(fd: u32) -> Result<Vec<u8>> {
    let path = format!("/proc/self/fd/{fd}");
    std::fs::read(&path).context(|| format!("cannot read `{path}`"))
}
