//! All processes of a pod, by one look at all of the host's.
//!
//! What is one process of a pod, [`crate::runtime::members`] finds; here are the others,
//! whoever started them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::runtime::members::Member;
use crate::runtime::procfs::Stat;
use error::{Context as _, Result};

/// All processes of the host, as they were when it was looked.
pub struct Processes(BTreeMap<u32, Stat>);

/// A process of a pod. The time tells it from a later one of its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Inside {
    /// Its number on the host.
    pub pid: u32,
    /// When it began.
    pub began: u64,
    /// It has not ended; if it has, nobody has waited for it yet.
    pub alive: bool,
}

impl Processes {
    /// Looks.
    pub fn look() -> Result<Self> {
        let what = || "cannot look at the processes of this host";
        let mut all = BTreeMap::new();
        for entry in std::fs::read_dir("/proc").context(what)? {
            let name = entry.context(what)?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // One that has ended meanwhile is none.
            all.extend(Stat::read(&file(pid, "stat")).map(|stat| (pid, stat)));
        }
        Ok(Self(all))
    }

    /// Returns what is known of a process.
    pub fn get(&self, pid: u32) -> Option<&Stat> {
        self.0.get(&pid)
    }

    /// Finds all processes of the pod with this init, and that itself: those in
    /// its pid namespace, and what is below them in namespaces of their own.
    pub fn of_pod(&self, init: &Member) -> BTreeSet<Inside> {
        let own = namespace(init.number());
        let inside = |pid: &u32| own.is_some() && namespace(*pid) == own;
        let inside: BTreeSet<u32> = self.0.keys().copied().filter(inside).collect();
        let below = |pid: u32| self.line(pid).any(|pid| inside.contains(&pid));
        let all = self.0.iter().filter(|&(&pid, _)| below(pid));
        all.map(|(&pid, stat)| Inside {
            pid,
            began: stat.began,
            alive: stat.is_alive(),
        })
        .collect()
    }

    /// Returns a process, its parent, the parent of that, and so on.
    pub fn line(&self, pid: u32) -> impl Iterator<Item = u32> {
        let parent = |&pid: &u32| self.get(pid).map(|stat| stat.parent);
        // Parents change while it is looked, so there could be a circle.
        std::iter::successors(Some(pid), parent).take(self.0.len() + 1)
    }
}

/// Reads a file of a process; of one that has ended there is nothing to read.
pub fn file(pid: u32, name: &str) -> String {
    let content = std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    String::from_utf8_lossy(&content).into_owned()
}

fn namespace(pid: u32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}
