//! `launcher enter`: runs a command in a running pod, as another process of an
//! app: with all restrictions of the app, and nothing of the caller's but the
//! standard streams.
//!
//! The launcher finds the app's process, moves itself into the app's cgroups,
//! and becomes `stage1-init`, as `run` does, with a plan composed from the
//! pod's spec. If the command could not be executed, that becomes the launcher
//! again, which explains the failure. The pod's directory is only read.

mod place;
pub(crate) mod terminal;

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::process::Signal;
use stage1_init::{Directive, Namespaces};

use crate::cmd::enter::place::{Place, Running};
use crate::cmd::exit::Exit;
use crate::cmd::failure::{failed, files, of_step};
use crate::cmd::mode::StartError;
use crate::cmd::selector::PodSelector;
use crate::cmd::{STAGE1_INIT, complain};
use appc::types::Uuid;
use error::{Context as _, Result};
use pod::cgroup::membership;
use pod::plan::descriptors::{NAMESPACES, TERMINAL};
use pod::plan::directives::{Plan, Step, operand};
use pod::plan::enter::{self, BY_USER, EnterSpec};
use pod::resolve::users;
use pod::runtime::descriptors::{self, Named, number_of};
use pod::runtime::exec::{self, Handover};
use pod::runtime::inherited::Inherited;
use pod::spec::environment::Variable;
use pod::spec::pod::AppSpec;
use pod::spec::process::Sourced;
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
    let host = Host::observe();
    host.require(Operation::EnterPods)?;
    let dirs = Dirs::look(dir)?;
    let (dirs, uuid) = options.selector.find_one(&dirs)?;
    let pod = Running::find(&dirs, uuid)?;
    let app = pod.choose(options.app.as_deref())?;
    let ids = ids(app, options)?;
    let place = pod.locate(&app.name)?;
    if wants_terminal(options) {
        let owner = ids.uid.unwrap_or(app.process.uid.value);
        return terminal::attend(&pod, &place, owner);
    }
    // If the app exits meanwhile, every request fails with some unrelated
    // error.
    let entered = enter(&dirs, &host, &pod, app, &place, ids, options);
    match entered.map_err(|error| pod.check(&app.name, &place).err().unwrap_or(error))? {}
}

/// Becomes the init of a health check, which is a command like any other. Returns
/// only on failure.
pub(super) fn check(dirs: &Dirs, uuid: Uuid, app: &str, words: &[String]) -> Result<Infallible> {
    let host = Host::observe();
    let dirs = find::running_place(dirs, uuid);
    let pod = Running::find(&dirs, uuid)?;
    let options = Options {
        selector: PodSelector::default(),
        app: None,
        user: None,
        group: None,
        directory: None,
        variables: Vec::new(),
        command: words.iter().map(OsString::from).collect(),
        terminal: Terminal::AsCaller,
    };
    let app = pod.choose(Some(app))?;
    let place = pod.locate(&app.name)?;
    enter(&dirs, &host, &pod, app, &place, Ids::default(), &options)
}

/// Becomes the init of a command. Returns only on failure.
fn enter(
    dirs: &Dirs,
    host: &Host,
    pod: &Running,
    app: &AppSpec,
    place: &Place,
    ids: Ids,
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
        uid: ids.uid,
        gid: ids.gid,
        groups: ids.groups,
        account: ids.account,
        directory: options.directory.clone(),
        variables: variables(options),
        limits: theirs.limits_unlike(&own),
        oom_score: theirs.score_unlike(&own),
        command: command(options)?,
    };
    let composed = enter::compose(app, &spec, host).context(|| pod.cannot())?;
    let here = descriptors::Provided {
        tell: &complain,
        connected: None,
        pod: pod.directory.as_fd(),
        dirs,
        log: None,
        master: None,
    };
    let mut named = descriptors::open(&composed.needed, here)?.named;
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
    let held = [&plan, &report, &whose].map(exec::inherit);
    let held: Vec<u32> = held.into_iter().collect::<Result<_>>()?;
    finally.extend(held.iter().map(|fd| fd.to_string().into()));
    for fd in named.values() {
        exec::inherit(fd)?;
    }
    exec::exec(Handover {
        program: STAGE1_INIT,
        plan: words.as_fd(),
        report: report.as_fd(),
        held: &held,
        lock: None,
        demand: &[],
        timer: None,
        detached: false,
        finally: &finally,
        timing: None,
    })
}

/// Whose a command is, where it is not the app's.
#[derive(Debug, Default)]
struct Ids {
    uid: Option<u32>,
    gid: Option<Sourced<u32>>,
    groups: Vec<u32>,
    account: Vec<Variable>,
}

/// Returns whose the command is. Names are looked up in the image; changes by
/// the app are ignored. As for `run`, a user comes with the groups of its
/// account unless a group is chosen, too.
fn ids(app: &AppSpec, options: &Options) -> Result<Ids> {
    let (user, group) = (options.user.as_deref(), options.group.as_deref());
    let mut ids = Ids::default();
    if user.is_none() && group.is_none() {
        return Ok(ids);
    }
    let files = files(app)?;
    if let Some(user) = user {
        let uid = users::user(user, &files)?;
        let account = users::account(user, uid, &files)?;
        ids.account = users::variables(account.as_ref());
        ids.uid = Some(uid);
        if let Some(account) = account.filter(|_| group.is_none()) {
            ids.gid = Some(Sourced::new(account.gid, BY_USER));
            ids.groups = users::memberships(&account, &files)?;
        }
    }
    if let Some(group) = group {
        let gid = users::group(group, &files)?;
        ids.gid = Some(Sourced::new(gid, "option --group"));
    }
    Ok(ids)
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
/// The explanation of the directive that failed, with the status to exit with.
pub(crate) fn finish(
    [plan, report, whose]: [u32; 3],
    status: u8,
) -> std::result::Result<Exit, StartError> {
    let with_status = |error| StartError { error, status };
    let report = read(report).map_err(with_status)?;
    match failed(&report) {
        Some(failure) => Err(explained(plan, whose, failure, status).unwrap_or_else(with_status)),
        None => Ok(Exit::reported(status, &report)),
    }
}

fn explained(plan: u32, whose: u32, (index, errno): (u32, u32), status: u8) -> Result<StartError> {
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
    Ok(of_step(&plan, (index, errno), app, status))
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
