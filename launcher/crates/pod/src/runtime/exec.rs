//! Hands over to `stage1-init`: the launcher becomes it, by execve(2).
//!
//! The program runs from a sealed memfd(2), so there is no file that the pod
//! could write through /proc/PID/exe (CVE-2019-5736), and nothing to install.
//! It inherits a few descriptors besides the standard ones: the plan, the
//! report, what is held for as long as it runs, such as the pod's lock, and the
//! launcher itself, which it becomes again when all is over; and those that the
//! plan names. It closes them all to the apps, and what is not named to it at
//! once.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{Seek as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::FdFlags;

use error::{Context as _, Error, Kind, Result};

/// What `stage1-init` gets.
pub struct Handover<'a> {
    /// The program itself.
    pub program: &'a [u8],
    /// The plan, as words.
    pub plan: BorrowedFd<'a>,
    /// Where it writes its report.
    pub report: BorrowedFd<'a>,
    /// What its outer half keeps open, until the launcher is done that it
    /// becomes in the end.
    pub held: &'a [BorrowedFd<'a>],
    /// What its inner half keeps open: nothing else of the host's.
    pub lock: Option<BorrowedFd<'a>>,
    /// What the plan names.
    pub named: Vec<OwnedFd>,
    /// The socket that the launcher serves when somebody connects to it.
    pub demand: Option<OwnedFd>,
    /// The standard streams are not the caller's, but empty and lead nowhere.
    pub detached: bool,
    /// What the launcher is called with when the pod is over; the exit status
    /// of the pod is appended.
    pub finally: &'a [OsString],
}

/// Becomes `stage1-init`; returns only if that failed.
pub fn exec(handover: Handover<'_>) -> Result<Infallible> {
    let program = sealed("stage1-init", handover.program)?;
    let launcher = rustix::fs::open(
        "/proc/self/exe",
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .context(|| "cannot open `/proc/self/exe`")?;
    let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    command.arg0("stage1-init");
    // The caller's environment is not the pod's: PID 1 would show it to apps
    // that are root, and keep a page or two of it in memory.
    command.env_clear();
    let mut options = vec![
        ("--report-fd", handover.report),
        ("--plan-fd", handover.plan),
        ("--finally-fd", launcher.as_fd()),
    ];
    options.extend(handover.held.iter().map(|&fd| ("--hold-fd", fd)));
    options.extend(handover.lock.map(|fd| ("--lock-fd", fd)));
    options.extend(handover.demand.iter().map(|fd| ("--demand-fd", fd.as_fd())));
    for (option, fd) in options {
        inherit(fd)?;
        command.arg(option).arg(fd.as_raw_fd().to_string());
    }
    for fd in &handover.named {
        inherit(fd.as_fd())?;
    }
    command.arg("--").args(handover.finally);
    if handover.detached {
        command.stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
    }
    Err(Error::new(Kind::Failed, "cannot execute stage1-init").because(command.exec()))
}

/// Makes an anonymous file that nobody can change any more.
pub fn sealed(name: &str, content: &[u8]) -> Result<OwnedFd> {
    let what = || format!("cannot hold `{name}` in memory");
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create(name, flags).context(what)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(content).context(what)?;
    // Who inherits the descriptor inherits its place, too.
    file.rewind().context(what)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals).context(what)?;
    Ok(file.into())
}

/// Lets a descriptor stay open across execve(2).
fn inherit(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::io::fcntl_setfd(fd, FdFlags::empty()).context(|| "cannot pass on a descriptor")
}
