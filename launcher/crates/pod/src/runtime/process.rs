//! The process that holds the lock of a pod: its identity, and sending it
//! signals.
//!
//! A process number alone could have been reused. So a pidfd is opened first;
//! then it is checked that the process with that number has the recorded start
//! time and boot id. If so, the pidfd refers to the recorded process.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::runtime::procfs::Stat;
use crate::state::records::Process;
use error::{Context as _, Error, Kind, Result};
use sys::small_file;

/// Returns the identity of the calling process, which execve(2) does not
/// change.
pub fn own() -> Result<Process> {
    let stat = small_file::text("/proc/self/stat").context(|| CANNOT)?;
    let pid = stat.split(' ').next().and_then(|pid| pid.parse().ok());
    let read = pid.zip(Stat::read(&stat));
    let (pid, stat) = read.ok_or_else(|| Error::new(Kind::Failed, CANNOT))?;
    Ok(Process {
        pid,
        ticks: stat.began,
        boot: boot()?,
    })
}

const CANNOT: &str = "cannot determine the start time of this process";

/// Returns the boot id of the kernel.
pub(crate) fn boot() -> Result<String> {
    let id = small_file::text("/proc/sys/kernel/random/boot_id");
    Ok(id
        .context(|| "cannot read the boot id of the kernel")?
        .trim()
        .to_owned())
}

/// A process that signals can be sent to.
pub struct Target(OwnedFd);

impl Target {
    /// Finds a process, if it still exists.
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

    /// Returns the pidfd (pidfd_open(2)).
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Sends a signal; not an error if the process has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        match rustix::process::pidfd_send_signal(&self.0, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno).context(|| "cannot send a signal"),
        }
    }
}
