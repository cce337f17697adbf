//! The process that holds the lock of a pod: who it is, and signals to it.
//!
//! A number alone could be another process's by now. So a pidfd is opened
//! first, and then it is checked that the process of that number began when
//! the recorded one did, in the same run of the kernel: what the pidfd stands
//! for can only be that one.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::runtime::procfs::Stat;
use crate::state::records::Process;
use error::{Context as _, Error, Kind, Result};

/// Returns what identifies the calling process. It is the same after execve(2).
pub fn own() -> Result<Process> {
    let stat = std::fs::read_to_string("/proc/self/stat").context(|| CANNOT)?;
    let stat = Stat::read(&stat).ok_or_else(|| Error::new(Kind::Failed, CANNOT))?;
    Ok(Process {
        pid: std::process::id(),
        ticks: stat.began,
        boot: boot()?,
    })
}

const CANNOT: &str = "cannot find out when this process began";

/// Returns what this run of the kernel is told from others by.
pub(crate) fn boot() -> Result<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    Ok(id
        .context(|| "cannot identify this run of the kernel")?
        .trim()
        .to_owned())
}

/// A process that signals can be sent to.
pub struct Target(OwnedFd);

impl Target {
    /// Finds a process, if there is still that one.
    pub fn find(process: &Process) -> Result<Option<Self>> {
        let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|_| boot().is_ok_and(|boot| boot == process.boot)) else {
            return Ok(None);
        };
        let fd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(Errno::SRCH | Errno::INVAL) => return Ok(None),
            Err(errno) => return Err(errno).context(|| format!("cannot find process {pid}")),
        };
        let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
        let stat = Stat::read(&String::from_utf8_lossy(&stat));
        let same = stat.is_some_and(|stat| stat.began == process.ticks);
        Ok(same.then_some(Self(fd)))
    }

    /// Returns what stands for the process (pidfd_open(2)).
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Sends a signal; it is no error if the process has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        match rustix::process::pidfd_send_signal(&self.0, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno).context(|| "cannot send a signal"),
        }
    }
}
