//! Hands over to `stage1-init`: the launcher becomes it, by execve(2).
//!
//! The program runs from a sealed memfd(2), so there is no file that the pod
//! could overwrite through /proc/PID/exe (CVE-2019-5736), and nothing to
//! install. Besides the standard streams it inherits the descriptors that the
//! plan names and a few others: the plan, the report, what has to stay open
//! while it runs, such as the pod's lock, and the launcher, which it executes
//! again in the end. It passes none of them to the apps, and closes at once
//! whatever its options do not name.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::FdFlags;

use error::{Context as _, Error, Kind, Result};

/// What `stage1-init` is given.
pub struct Handover<'a> {
    /// The program.
    pub program: &'a [u8],
    /// The plan, as words.
    pub plan: BorrowedFd<'a>,
    /// The file that it writes its report to.
    pub report: BorrowedFd<'a>,
    /// Kept open by its outer half, and then by the launcher that it executes
    /// in the end: descriptors that can be inherited ([`inherit`]), as all of
    /// these numbers are.
    pub held: &'a [u32],
    /// Kept open by its inner half, which holds nothing else of the host.
    pub lock: Option<BorrowedFd<'a>>,
    /// A listening socket, or several and, as the last, what is readable if one
    /// of them is. The launcher is executed to serve them when a client connects.
    pub demand: &'a [u32],
    /// A timer that is among them.
    pub timer: Option<u32>,
    /// Whether to replace the caller's standard streams by the null device.
    pub detached: bool,
    /// The arguments of the launcher when the pod has exited; the pod's exit
    /// status is appended.
    pub finally: &'a [OsString],
    /// Called at the very last.
    pub timing: Option<&'a dyn Fn()>,
}

/// Becomes `stage1-init`; returns only if that failed.
pub fn exec(handover: Handover<'_>) -> Result<Infallible> {
    let program = sealed("stage1-init", handover.program)?;
    let launcher = rustix::fs::open("/proc/self/exe", OFlags::PATH, Mode::empty())
        .context(|| "cannot open `/proc/self/exe`")?;
    let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    command.arg0("stage1-init");
    // PID 1 would show the caller's environment to apps that run as root, and
    // keep a page or two of it in memory.
    command.env_clear();
    let mut options = vec![
        ("--report-fd", inherit(handover.report)?),
        ("--plan-fd", inherit(handover.plan)?),
        ("--finally-fd", inherit(launcher.as_fd())?),
    ];
    options.extend(handover.held.iter().map(|&fd| ("--hold-fd", fd)));
    if let Some(lock) = handover.lock {
        options.push(("--lock-fd", inherit(lock)?));
    }
    options.extend(handover.demand.iter().map(|&fd| ("--demand-fd", fd)));
    if let Some((_, others)) = handover.demand.split_last() {
        options.extend(others.iter().map(|&fd| ("--hold-fd", fd)));
    }
    options.extend(handover.timer.map(|fd| ("--timer-fd", fd)));
    for (option, fd) in options {
        command.arg(option).arg(fd.to_string());
    }
    command.arg("--").args(handover.finally);
    if handover.detached {
        command.stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
    }
    // The pod inherits the caller's.
    sys::limits::restore();
    if let Some(report) = handover.timing {
        report();
    }
    let failed = command.exec();
    Err(Error::new(Kind::Failed, "cannot execute stage1-init").because(failed))
}

/// Makes an anonymous file that nobody can change any more.
pub fn sealed(name: &str, content: &[u8]) -> Result<OwnedFd> {
    let what = || format!("cannot create the memory file `{name}`");
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(rustix::fs::memfd_create(name, flags).context(what)?);
    // Whoever inherits the descriptor inherits its position, too: it stays where
    // it is.
    file.write_all_at(content, 0).context(what)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals).context(what)?;
    Ok(file.into())
}

/// Lets a descriptor stay open across execve(2), and returns its number.
///
/// # Errors
///
/// The kernel refuses.
pub fn inherit(fd: impl AsFd) -> Result<u32> {
    let fd = fd.as_fd();
    let kept = rustix::io::fcntl_setfd(fd, FdFlags::empty());
    kept.context(|| "cannot pass on a descriptor")?;
    Ok(fd.as_raw_fd().unsigned_abs())
}
