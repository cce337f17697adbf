//! Freezing groups, with both versions of cgroups
//! (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst, cgroup-v2.rst).
//!
//! | | version 1 | version 2, since Linux 5.2 |
//! |---|---|---|
//! | request | `freezer.state` | `cgroup.freeze` |
//! | state | `freezer.state` | `cgroup.events`, which can be polled |
//! | SIGKILL | takes effect when the group is thawed | kills at once |
//!
//! In both versions, a process that joins a frozen group is frozen, and so are
//! groups below it.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::cgroup::files::{INIT, put};
use crate::cgroup::settings::Version;

/// A group that can be frozen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Freezer {
    group: PathBuf,
    version: Version,
}

/// How long to sleep between two looks where the kernel gives no notification.
const NAP: Duration = Duration::from_millis(5);

impl Freezer {
    /// Returns the group, if the kernel can freeze it.
    pub(crate) fn of(group: &Path) -> io::Result<Option<Self>> {
        let version = if group.join(STATE_2).try_exists()? {
            Version::Two
        } else if group.join(STATE_1).try_exists()? {
            Version::One
        } else {
            return Ok(None);
        };
        Ok(Some(Self {
            group: group.to_owned(),
            version,
        }))
    }

    /// Returns the group.
    pub(crate) fn group(&self) -> &Path {
        &self.group
    }

    /// Asks the kernel to freeze it.
    pub(crate) fn freeze(&self) -> io::Result<()> {
        match self.version {
            Version::One => put(&self.group.join(STATE_1), "FROZEN"),
            Version::Two => put(&self.group.join(STATE_2), "1"),
        }
    }

    /// Asks the kernel to thaw it.
    pub(crate) fn thaw(&self) -> io::Result<()> {
        match self.version {
            Version::One => put(&self.group.join(STATE_1), "THAWED"),
            Version::Two => put(&self.group.join(STATE_2), "0"),
        }
    }

    /// Returns whether freezing was requested and has not been revoked.
    pub(crate) fn is_asked(&self) -> io::Result<bool> {
        let text = std::fs::read_to_string(match self.version {
            Version::One => self.group.join("freezer.self_freezing"),
            Version::Two => self.group.join(STATE_2),
        })?;
        Ok(text.trim() == "1")
    }

    /// Returns whether all its processes are frozen, for whatever reason.
    pub(crate) fn is_frozen(&self) -> io::Result<bool> {
        let text = match self.version {
            Version::One => std::fs::read_to_string(self.group.join(STATE_1)),
            Version::Two => std::fs::read_to_string(self.group.join(EVENTS)),
        }?;
        Ok(tells_frozen(self.version, &text))
    }

    /// Waits until the group is frozen, or thawed; returns whether that
    /// happened before the deadline.
    pub(crate) fn until(&self, frozen: bool, deadline: Instant) -> io::Result<bool> {
        let left = || {
            let left = deadline.saturating_duration_since(Instant::now());
            (!left.is_zero()).then_some(left)
        };
        match self.version {
            Version::One => loop {
                if self.is_frozen()? == frozen {
                    return Ok(true);
                }
                match left() {
                    None => return Ok(false),
                    Some(left) => std::thread::sleep(left.min(NAP)),
                }
            },
            Version::Two => {
                let events = std::fs::File::open(self.group.join(EVENTS))?;
                loop {
                    // Read before the state is checked: any later change wakes
                    // the poll.
                    let mut text = [0; 256];
                    let length = events.read_at(&mut text, 0)?;
                    let text = String::from_utf8_lossy(&text[..length]);
                    if tells_frozen(self.version, &text) == frozen {
                        return Ok(true);
                    }
                    match left() {
                        None => return Ok(false),
                        Some(left) => change(&events, left)?,
                    }
                }
            }
        }
    }

    /// Returns the processes in this group and in the groups below it.
    pub(crate) fn members(&self) -> io::Result<BTreeSet<u32>> {
        members(&self.group)
    }

    /// Moves a process into the group; not an error if the process has ended.
    pub(crate) fn admit(&self, pid: u32) -> io::Result<()> {
        // If groups below have controllers, processes that belong to none of
        // them are in the group that exists for the rest.
        let rest = self.group.join(INIT);
        let group = if rest.try_exists()? {
            &rest
        } else {
            &self.group
        };
        match put(&group.join(PROCESSES), &pid.to_string()) {
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(()),
            result => result,
        }
    }

    /// Sends SIGKILL to all its processes, so that none of them runs on when
    /// thawed.
    pub(crate) fn kill(&self) -> io::Result<()> {
        kill(&self.group)
    }
}

/// Returns the processes in a group and in the groups below it.
fn members(group: &Path) -> io::Result<BTreeSet<u32>> {
    let mut members = BTreeSet::new();
    let mut groups = vec![group.to_owned()];
    while let Some(group) = groups.pop() {
        let text = std::fs::read_to_string(group.join(PROCESSES))?;
        members.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
        for entry in std::fs::read_dir(&group)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                groups.push(entry.path());
            }
        }
    }
    Ok(members)
}

/// Sends SIGKILL to the processes in a group and in the groups below it.
pub(crate) fn kill(group: &Path) -> io::Result<()> {
    let open = |pid: &u32| {
        let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw)?;
        rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()
    };
    let found = members(group)?;
    let found: Vec<_> = found.iter().map(|pid| (*pid, open(pid))).collect();
    // A process that is still listed now that its pidfd is open is the one that
    // the pidfd refers to.
    let members = members(group)?;
    for (pid, process) in found {
        if let Some(process) = process.filter(|_| members.contains(&pid)) {
            match rustix::process::pidfd_send_signal(process, Signal::KILL) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
    Ok(())
}

const STATE_1: &str = "freezer.state";
const STATE_2: &str = "cgroup.freeze";
const EVENTS: &str = "cgroup.events";
const PROCESSES: &str = "cgroup.procs";

/// Parses `freezer.state` or `cgroup.events`.
fn tells_frozen(version: Version, text: &str) -> bool {
    match version {
        Version::One => text.trim() == "FROZEN",
        Version::Two => text.lines().any(|line| line == "frozen 1"),
    }
}

/// Waits until the content of a kernel file has changed since it was last read,
/// or the time is over.
fn change(file: &std::fs::File, time: Duration) -> io::Result<()> {
    let mut polled = [PollFd::new(file, PollFlags::PRI)];
    let timeout = Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    };
    match rustix::event::poll(&mut polled, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freezing_group_is_not_frozen() {
        for (version, text, expected) in [
            (Version::One, "FREEZING\n", false),
            (Version::One, "THAWED\n", false),
            (Version::One, "", false),
            (Version::One, "FROZEN\n", true),
            (Version::Two, "populated 1\nfrozen 0\n", false),
            (Version::Two, "populated 1\n", false),
            (Version::Two, "", false),
            (Version::Two, "populated 1\nfrozen 1\n", true),
        ] {
            assert_eq!(tells_frozen(version, text), expected, "{text}");
        }
    }
}
