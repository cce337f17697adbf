//! Tells the service manager that has started the launcher how a pod is doing, and
//! finds out whether its apps work. `stage1-init` executes the launcher for this when
//! the pod is there, its app says something, or it is time to check that. This is an
//! internal command.
//!
//! The service manager knows processes by what the kernel says of them, so this one
//! keeps its rights, and leaves it to another to serve what has nothing to do with
//! that, such as the metadata of the pod.

use std::io::PipeReader;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags};

use crate::cmd::{check, complain};
use appc::types::Uuid;
use error::{Context as _, Result};
use pod::runtime::again::Kept;
use pod::runtime::descriptors::inherited;
use pod::runtime::notify;
use pod::runtime::status::is_ready;
use pod::spec::notify::Speaker;
use pod::spec::pod::PodSpec;
use pod::state::directory::REPORT;
use pod::state::lock::Changes;
use pod::state::{directory, find};
use sys::dirs::{Dirs, State};

/// The descriptors of the sockets of a pod whose service manager is told something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sockets {
    /// From which it is read what to tell.
    pub(crate) told: u32,
    /// What else is served on demand.
    pub(crate) others: Option<u32>,
}

/// What `stage1-init` was handed for the launcher, besides the pod.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    /// If a service manager is told something.
    pub(crate) told: Option<Sockets>,
    /// If the pod may be started again.
    pub(crate) kept: Option<Kept>,
    /// If apps are checked: the timer for that.
    pub(crate) checks: Option<u32>,
    /// What else is served on demand, unless `told` says that.
    pub(crate) others: Option<u32>,
}

/// How long to stay for something more to be said.
const IDLE: Duration = Duration::from_secs(1);

/// Passes on what is to be told until nothing more is said, and checks what is due.
///
/// # Errors
///
/// The pod cannot be read.
pub(crate) fn run(dir: &Path, data: u32, uuid: Uuid, handed: &Handed) -> Result<()> {
    let what = || "cannot serve the pod";
    let dirs = Dirs::inherited(data, dir)?;
    let dirs = find::running_place(&dirs, uuid);
    let spec = directory::spec(&dirs, State::Run, uuid)?;
    let open = |number: Option<u32>| number.map(inherited).transpose().context(what);
    let told = open(handed.told.map(|sockets| sockets.told))?;
    let others = open(
        handed
            .told
            .and_then(|sockets| sockets.others)
            .or(handed.others),
    )?;
    let timer = open(handed.checks)?;
    if timer.is_none() {
        rustix::thread::set_no_new_privs(true).context(what)?;
    }
    let service = rustix::process::getppid();
    let mut other: Option<Child> = None;
    let mut checking: Option<PipeReader> = None;
    loop {
        if let Some(socket) = &told {
            pass_on(&dirs, &spec, socket, service)?;
        }
        if let Some(timer) = timer
            .as_ref()
            .filter(|timer| checking.is_none() && is_readable(timer))
        {
            let (over, writer) = std::io::pipe().context(what)?;
            let (dir, dirs, timer) = (dir.to_owned(), dirs.clone(), timer.try_clone());
            let timer = timer.context(what)?;
            std::thread::spawn(move || {
                let checked = check::run(&dir, data, uuid, &dirs, &timer);
                let _ = checked.inspect_err(complain);
                drop(writer);
            });
            checking = Some(over);
        }
        if other.is_none()
            && let Some(others) = others.as_ref().filter(|others| is_readable(others))
        {
            let served = serve(dir, data, uuid, others.as_fd());
            other = Some(served.context(what)?);
        }
        let process = other.as_ref().map(pidfd).transpose().context(what)?;
        let new = others.as_ref().filter(|_| other.is_none());
        let expiring = timer.as_ref().filter(|_| checking.is_none());
        let fds = [told.as_ref(), process.as_ref(), new, expiring];
        let fds = fds.into_iter().flatten().map(|fd| fd.as_fd());
        let fds = fds.chain(checking.iter().map(|over| over.as_fd()));
        let busy = other.is_some() || checking.is_some();
        let time = match (busy, &told) {
            (true, _) => None,
            (false, Some(_)) => Some(IDLE),
            (false, None) => Some(Duration::ZERO),
        };
        if !wait(fds, time) && !busy {
            return Ok(());
        }
        if let Some(child) = &mut other
            && child.try_wait().context(what)?.is_some()
        {
            other = None;
        }
        // The other end is closed when all is checked.
        if checking.as_ref().is_some_and(is_readable) {
            checking = None;
        }
    }
}

fn pidfd(child: &Child) -> rustix::io::Result<OwnedFd> {
    let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    rustix::process::pidfd_open(process.unwrap_or(Pid::INIT), PidfdFlags::empty())
}

/// Tells the service manager what there is to tell.
fn pass_on(dirs: &Dirs, spec: &PodSpec, socket: &OwnedFd, service: Option<Pid>) -> Result<()> {
    let Some(manager) = &spec.manager else {
        return Ok(());
    };
    match spec.speaker {
        Speaker::App => notify::pass_on(socket, manager, service),
        Speaker::Launcher if is_readable(socket) => {
            until_ready(dirs, spec.id)?;
            let _ = notify::tell(manager, &ready(spec.id), service);
            // From here on it has been said.
            notify::drop_next(socket);
        }
        Speaker::Launcher | Speaker::Nobody => {}
    }
    Ok(())
}

/// Tells a service manager that a pod is ready.
fn ready(uuid: Uuid) -> String {
    format!("READY=1\nSTATUS=Pod {uuid} is running")
}

/// Tells the rest when a pod has ended, before it is removed.
pub(crate) fn last(spec: &PodSpec, report: &[u8], sockets: Sockets) {
    let Some(manager) = &spec.manager else {
        return;
    };
    let Ok(socket) = inherited(sockets.told) else {
        return;
    };
    match spec.speaker {
        Speaker::App => notify::pass_on(&socket, manager, None),
        // It has ended before that was said.
        Speaker::Launcher if is_ready(report) && is_readable(&socket) => {
            let _ = notify::tell(manager, "READY=1", None);
        }
        Speaker::Launcher | Speaker::Nobody => {}
    }
}

/// Waits until the apps of a pod were started. If they cannot be, this process is
/// killed with the pod.
fn until_ready(dirs: &Dirs, uuid: Uuid) -> Result<()> {
    let Some(pod) = directory::open_in(dirs, State::Run, uuid)? else {
        return Ok(());
    };
    let changes = Changes::of(&pod)?;
    let (nothing, _writer) = std::io::pipe().context(|| "cannot create a pipe")?;
    while !is_ready(&directory::read(dirs, State::Run, uuid, REPORT)?) {
        changes.or(nothing.as_fd(), None)?;
    }
    Ok(())
}

/// Starts the process that serves everything else: a socket, or what can be read
/// when one of several can.
fn serve(dir: &Path, data: u32, uuid: Uuid, others: BorrowedFd<'_>) -> std::io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("launcher").arg("--dir").arg(dir);
    command.args(["finish", &data.to_string(), &uuid.to_string(), "demand"]);
    command.stdin(others.try_clone_to_owned()?);
    command.spawn()
}

fn is_readable(fd: impl AsFd) -> bool {
    wait([fd.as_fd()].into_iter(), Some(Duration::ZERO))
}

/// Waits until something can be read, or was closed, for at most this time; returns
/// whether that is so.
fn wait<'a>(fds: impl Iterator<Item = BorrowedFd<'a>>, time: Option<Duration>) -> bool {
    let time = time.and_then(|time| Timespec::try_from(time).ok());
    let mut asked: Vec<_> = fds
        .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
        .collect();
    poll(&mut asked, time.as_ref()).is_ok_and(|ready| ready > 0)
}
