//! How often the kernel killed a process of a pod because memory had run out,
//! within the limit of a group or on the whole machine.
//!
//! Version 1 counts this in the group of that process alone: `oom_kill` in
//! `memory.oom_control` (Documentation/admin-guide/cgroup-v1/memory.rst; since
//! Linux 4.13). Version 2 also counts it in the groups around that one:
//! `oom_kill` in `memory.events`, unless cgroups are mounted with
//! `memory_localevents`.
//!
//! The groups are removed when the pod has ended, so the numbers are appended
//! to the pod's report before that:
//!
//! ```text
//! oom-kills NUMBER         processes of the pod
//! oom-kills NAME NUMBER    those of an app that has a group of its own
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::cgroup::files::INIT;

/// How many processes of a pod were killed because memory had run out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OomKills {
    /// All of them.
    pub pod: u64,
    /// Those of apps that have groups of their own.
    pub apps: BTreeMap<String, u64>,
}

/// The first word of our lines in a report.
const WORD: &str = "oom-kills";

impl OomKills {
    /// Counts them in a pod's own groups, one for each hierarchy.
    pub(crate) fn of(tops: &[PathBuf]) -> Self {
        let mut kills = Self::default();
        for top in tops {
            let below = std::fs::read_dir(top).into_iter().flatten().flatten();
            let below = below.filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                Some((name, count(&entry.path())?))
            });
            let mut inside = 0;
            for (name, number) in below.filter(|(_, number)| *number > 0) {
                inside += number;
                if name != INIT {
                    *kills.apps.entry(name).or_default() += number;
                }
            }
            // Version 2 has counted those inside already.
            let own = count(top).unwrap_or(0);
            kills.pod += match top.join(FIRST.0).exists() {
                true => own + inside,
                false => own.max(inside),
            };
        }
        kills
    }

    /// Returns whether there were none.
    pub fn is_none(&self) -> bool {
        self.pod == 0
    }

    /// Formats them for the report.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{WORD} {}\n", self.pod);
        for (name, number) in &self.apps {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{WORD} {name} {number}");
        }
        text
    }

    /// Reads them from a report. If they were appended more than once, some of
    /// the groups were gone already the later time.
    pub fn read(report: &[u8]) -> Self {
        let mut kills = Self::default();
        for line in report.split(|&byte| byte == b'\n') {
            let Ok(line) = std::str::from_utf8(line) else {
                continue;
            };
            let words: Vec<&str> = line.split(' ').collect();
            let (place, number) = match words[..] {
                [WORD, number] => (&mut kills.pod, number),
                [WORD, name, number] => (kills.apps.entry(name.to_owned()).or_default(), number),
                _ => continue,
            };
            *place = number.parse().unwrap_or(0).max(*place);
        }
        kills
    }
}

/// The file of version 1, and that of version 2.
const FIRST: (&str, &str) = ("memory.oom_control", "memory.events");

/// Reads the number of a group; `None` if it does not count them.
fn count(group: &Path) -> Option<u64> {
    let read = |name| std::fs::read_to_string(group.join(name)).ok();
    let text = read(FIRST.0).or_else(|| read(FIRST.1))?;
    let number = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    number?.trim().parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// Makes groups in a directory of their own, each with one file, and counts.
    fn counted(name: &str, file: &str, groups: &[(&str, u64)]) -> OomKills {
        let top = std::env::temp_dir().join(format!("oom-{}-{name}", std::process::id()));
        for (group, number) in groups {
            let group = top.join(group);
            std::fs::create_dir_all(&group).unwrap();
            std::fs::write(
                group.join(file),
                format!("low 0\noom 7\noom_kill {number}\n"),
            )
            .unwrap();
        }
        let kills = OomKills::of(&[top.join("pod"), top.join("none")]);
        std::fs::remove_dir_all(top).unwrap();
        kills
    }

    fn kills(pod: u64, apps: &[(&str, u64)]) -> OomKills {
        let apps = apps.iter().map(|&(name, number)| (name.to_owned(), number));
        OomKills {
            pod,
            apps: apps.collect(),
        }
    }

    #[test]
    fn both_versions_count_kills_of_the_pod_and_of_its_apps() {
        let first = [("pod", 1), ("pod/web", 2), ("pod/db", 0)];
        let expected = kills(3, &[("web", 2)]);
        assert_eq!(counted("one", "memory.oom_control", &first), expected);
        let second = [("pod", 3), ("pod/web", 2), ("pod/init.", 1)];
        assert_eq!(counted("two", "memory.events", &second), expected);
        let local = [("pod", 0), ("pod/web", 2), ("pod/init.", 1)];
        assert_eq!(counted("local", "memory.events", &local), expected);
    }

    #[test]
    fn a_group_that_counts_nothing_has_no_kills() {
        assert!(counted("other", "cpu.stat", &[("pod", 5), ("pod/web", 5)]).is_none());
    }

    #[test]
    fn a_report_keeps_the_highest_numbers() {
        let known = kills(3, &[("web", 2)]);
        let report = format!("exited web 9\n{}oom-kills 1\noom-kills x\n", known.text());
        assert_eq!(OomKills::read(report.as_bytes()), known);
        assert!(OomKills::read(b"ready\nexited oom-kills 1\n").is_none());
    }
}
