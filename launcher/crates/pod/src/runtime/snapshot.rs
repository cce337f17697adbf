//! All processes of a pod, found in a snapshot of all processes of the host.
//!
//! [`crate::runtime::pod_process`] finds single processes: the init and the apps'
//! main programs. This finds the others, whoever started them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::runtime::pod_process::PodProcess;
use crate::runtime::procfs::Stat;
use error::{Context as _, Result};

/// A snapshot of all processes of the host.
pub struct Snapshot(BTreeMap<u32, Stat>);

/// A process of a pod. The start time distinguishes it from a later process
/// with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its number on the host.
    pub pid: u32,
    /// When it started.
    pub began: u64,
    /// Whether it is alive; if not, its parent has not waited for it yet.
    pub alive: bool,
}

impl Snapshot {
    /// Takes a snapshot.
    pub fn take() -> Result<Self> {
        let what = || "cannot list the processes of the host";
        let mut all = BTreeMap::new();
        for entry in std::fs::read_dir("/proc").context(what)? {
            let name = entry.context(what)?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // A process that has ended in the meantime is skipped.
            all.extend(Stat::read(&file(pid, "stat")).map(|stat| (pid, stat)));
        }
        Ok(Self(all))
    }

    /// Returns what is known of a process.
    pub fn get(&self, pid: u32) -> Option<&Stat> {
        self.0.get(&pid)
    }

    /// Returns all processes of the pod with this init, including the init:
    /// those in its PID namespace, and in namespaces below that.
    pub fn of_pod(&self, init: &PodProcess) -> BTreeSet<Entry> {
        let own = namespace(init.number());
        let inside = |pid: &u32| own.is_some() && namespace(*pid) == own;
        let inside: BTreeSet<u32> = self.0.keys().copied().filter(inside).collect();
        let below = |pid: u32| self.line(pid).any(|pid| inside.contains(&pid));
        let all = self.0.iter().filter(|&(&pid, _)| below(pid));
        all.map(|(&pid, stat)| Entry {
            pid,
            began: stat.began,
            alive: stat.is_alive(),
        })
        .collect()
    }

    /// Returns a process, its parent, the parent of that, and so on.
    pub fn line(&self, pid: u32) -> impl Iterator<Item = u32> {
        let parent = |&pid: &u32| self.get(pid).map(|stat| stat.parent);
        // Parents change while the snapshot is taken, so there could be a
        // cycle.
        std::iter::successors(Some(pid), parent).take(self.0.len() + 1)
    }
}

/// Reads a file of a process; empty if the process has ended.
pub fn file(pid: u32, name: &str) -> String {
    let content = std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    String::from_utf8_lossy(&content).into_owned()
}

fn namespace(pid: u32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}
