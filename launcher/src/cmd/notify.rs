//! Tells the service manager that has started the launcher how a pod is doing.
//! `stage1-init` executes the launcher for this when the pod is there, or its app
//! says something. This is an internal command.
//!
//! The service manager knows processes by what the kernel says of them, so this one
//! keeps its rights, and leaves it to another to serve what has nothing to do with
//! that, such as the metadata of the pod.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags};

use appc::types::Uuid;
use error::{Context as _, Result};
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

/// How long to stay for something more to be said.
const IDLE: Duration = Duration::from_secs(1);

/// Passes on what is to be told until nothing more is said.
///
/// # Errors
///
/// The pod cannot be read.
pub(crate) fn run(dir: &Path, data: u32, uuid: Uuid, sockets: Sockets) -> Result<()> {
    let what = || "cannot notify the service manager";
    let dirs = Dirs::inherited(data, dir)?;
    let dirs = find::running_place(&dirs, uuid);
    let spec = directory::spec(&dirs, State::Run, uuid)?;
    let socket = inherited(sockets.told).context(what)?;
    let others = sockets.others.map(inherited).transpose().context(what)?;
    rustix::thread::set_no_new_privs(true).context(what)?;
    let service = rustix::process::getppid();
    let mut other: Option<Child> = None;
    loop {
        if let Some(manager) = &spec.manager {
            match spec.speaker {
                Speaker::App => notify::pass_on(&socket, manager, service),
                Speaker::Launcher if is_readable(&socket) => {
                    until_ready(&dirs, uuid)?;
                    let _ = notify::tell(manager, &ready(uuid), service);
                    // From here on it has been said.
                    notify::drop_next(&socket);
                }
                Speaker::Launcher | Speaker::Nobody => {}
            }
        }
        let asked = others.as_ref().filter(|others| is_readable(others));
        match (&mut other, asked) {
            (None, Some(others)) => {
                let served = serve(dir, data, uuid, others.as_fd());
                other = Some(served.context(what)?);
            }
            (None, None) => {
                let all = [Some(&socket), others.as_ref()];
                if !wait(all.into_iter().flatten(), Some(IDLE)) {
                    return Ok(());
                }
            }
            (Some(child), _) => {
                let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
                let process = process.unwrap_or(Pid::INIT);
                let process = rustix::process::pidfd_open(process, PidfdFlags::empty());
                let process = process.context(what)?;
                wait([&process, &socket].into_iter(), None);
                if child.try_wait().context(what)?.is_some() {
                    other = None;
                }
            }
        }
    }
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

fn is_readable(fd: &OwnedFd) -> bool {
    wait([fd].into_iter(), Some(Duration::ZERO))
}

/// Waits until something can be read, for at most this time; returns whether it
/// can.
fn wait<'a>(fds: impl Iterator<Item = &'a OwnedFd>, time: Option<Duration>) -> bool {
    let time = time.and_then(|time| Timespec::try_from(time).ok());
    let mut asked: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    poll(&mut asked, time.as_ref()).is_ok_and(|ready| ready > 0)
}
