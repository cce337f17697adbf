//! `launcher enter`: runs a command in a running pod, as another process of an
//! app: with all restrictions of the app, and nothing of the caller's but the
//! standard streams.
//!
//! The launcher finds the app's process, moves itself into the app's cgroups,
//! and becomes `stage1-init`, as `run` does, with a plan composed from the
//! pod's spec. In the end, that becomes the launcher again, which explains the
//! failure if the command could not be executed. The pod's directory is only
//! read.

mod place;
pub(crate) mod terminal;

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::process::Signal;
use stage1_init::{Directive, Namespaces};

use crate::cmd::STAGE1_INIT;
use crate::cmd::enter::place::{Place, Running};
use crate::cmd::exit::Exit;
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

/// The options.
#[derive(Debug)]
pub(crate) struct Options {
    /// The pod.
    pub(crate) selector: PodSelector,
    /// The app, if it was given.
    pub(crate) app: Option<String>,
    /// The user, if not the app's.
    pub(crate) user: Option<String>,
    /// The group, if not the app's.
    pub(crate) group: Option<String>,
    /// The working directory, if not the app's.
    pub(crate) directory: Option<String>,
    /// Environment variables to set.
    pub(crate) variables: Vec<Variable>,
    /// The command; the default if it is empty.
    pub(crate) command: Vec<OsString>,
    /// Whether the command gets a terminal.
    pub(crate) terminal: Terminal,
}

/// Whether the command gets a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// If all standard streams of the caller are terminals.
    AsCaller,
    /// Yes; it must still be created.
    Wanted,
    /// Yes; it is the standard output.
    There,
}

/// The default command.
const SHELL: &str = "/bin/sh";

/// Becomes the init of a command in a pod. Returns only if the command has a
/// terminal, which this process relays: then with how it ended.
pub(crate) fn run(dir: &Path, options: &Options) -> Result<Exit> {
    Host::observe().require(Operation::EnterPods)?;
    let dirs = Dirs::look(dir)?;
    let (dirs, uuid) = options.selector.find_one(&dirs)?;
    let pod = Running::find(&dirs, uuid)?;
    let app = pod.choose(options.app.as_deref())?;
    let ids = ids(app, options)?;
    let place = pod.locate(&app.name)?;
    if wants_terminal(options) {
        let owner = ids.0.unwrap_or(app.process.uid.value);
        return terminal::attend(&pod, &place, owner);
    }
    // If the app exits meanwhile, every request fails with some unrelated
    // error.
    let entered = enter(&dirs, &pod, app, &place, ids, options);
    match entered.map_err(|error| pod.check(&app.name, &place).err().unwrap_or(error))? {}
}

/// Becomes the init of a command. Returns only on failure.
fn enter(
    dirs: &Dirs,
    pod: &Running,
    app: &AppSpec,
    place: &Place,
    (uid, gid): (Option<u32>, Option<u32>),
    options: &Options,
) -> Result<Infallible> {
    let at_terminal = at_terminal(options)?;
    if at_terminal.is_some() {
        // The command ends with whoever relays its terminal.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .context(|| pod.cannot())?;
    }
    let namespaces = namespaces(pod, place)?;
    // The command gets the limits of the pod, and not those of this process.
    sys::limits::restore();
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
    // Everything so far was read from processes that still exist.
    pod.check(&app.name, place)?;
    membership::join(&place.groups(pod)?).context(|| pod.cannot())?;
    theirs.adopt(&own).context(|| pod.cannot())?;
    let joined = namespaces.into_iter().map(|(_, fd)| fd);
    named.extend((NAMESPACES..).zip(joined));
    named.extend(at_terminal.map(|fd| (TERMINAL, fd)));
    become_init(dirs, pod, &app.name, &composed.plan, named)
}

/// Returns whether a terminal must be created for the command.
fn wants_terminal(options: &Options) -> bool {
    match options.terminal {
        Terminal::Wanted => true,
        Terminal::AsCaller => {
            let (input, output, error) = (io::stdin(), io::stdout(), io::stderr());
            input.is_terminal() && output.is_terminal() && error.is_terminal()
        }
        Terminal::There => false,
    }
}

/// Returns the terminal of the command, if it exists already.
fn at_terminal(options: &Options) -> Result<Option<OwnedFd>> {
    match options.terminal {
        Terminal::There => std::io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .context(|| "cannot use the terminal")
            .map(Some),
        Terminal::AsCaller | Terminal::Wanted => Ok(None),
    }
}

/// Returns the variables that were given, and the caller's TERM.
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

/// Replaces this process with `stage1-init`.
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
    // Not on the command line, which the pod could read before it is erased.
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

/// Returns the user and group of the command, if they are not the app's. Names
/// are looked up in the image; changes by the app are ignored.
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

/// Returns the namespaces of the pod that this process is not in, in the order
/// in which to join them. The process is visible to the pod only after the last
/// one.
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

/// Encodes which app of which pod this is, for [`finish`].
fn spelled(dir: &Path, uuid: Uuid, app: &str) -> Vec<u8> {
    let mut text = format!("{uuid}\n{app}\n").into_bytes();
    text.extend_from_slice(dir.as_os_str().as_bytes());
    text
}

/// Explains why a command in a pod was not executed, if it was not, or returns
/// how it has ended. The descriptors hold its plan with reasons, its report, and
/// the name of the app.
/// This is an internal command.
///
/// # Errors
///
/// The explanation of the directive that failed.
pub(crate) fn finish([plan, report, whose]: [u32; 3], status: u8) -> Result<Exit> {
    let report = read(report)?;
    let Some((index, errno)) = failed(&report) else {
        return Ok(Exit::reported(status, &report));
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
    // This only improves the message, and may be gone by now.
    let pod = Running::find(&dirs, uuid).ok();
    let app = String::from_utf8_lossy(app);
    let app = pod.as_ref().and_then(|pod| pod.spec.app(&app));
    Err(of_step(step, errno, app))
}

fn joins_processes(step: &Step) -> bool {
    let pid = Namespaces::PID;
    matches!(step.directive(), Some(Directive::Join { namespaces, .. }) if namespaces == pid)
}

/// The error of fork(2) when PID 1 has exited, and when memory runs out.
const NO_PROCESS: u32 = Errno::NOMEM.raw_os_error().unsigned_abs();

fn read(fd: u32) -> Result<Vec<u8>> {
    let path = format!("/proc/self/fd/{fd}");
    std::fs::read(&path).context(|| format!("cannot read `{path}`"))
}
