//! Commands in pods that run: what they may not do first.

/// What the pod could learn of the host, and do to it, through a command.
mod hostile;
/// Streams, statuses, signals, and the end of the pod.
mod life;
/// What can be wrong, and what is said of it.
mod messages;
/// Options.
mod options;
/// Commands that begin while their pod ends.
mod races;
/// A command and its app, side by side.
pub(crate) mod same;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use super::Life;
use crate::aci::{Aci, manifest};
use crate::host::{self, Call, Ran};

impl Life {
    /// `launcher enter WORDS`, to its end.
    pub(crate) fn enter(&self, words: &[&str]) -> Ran {
        self.run(&[&["enter"], words].concat())
    }

    /// The same, called by a shell that runs this script before.
    pub(crate) fn enter_after(&self, script: &str, words: &[&str]) -> Call {
        let shell = host::find_tool("bash").unwrap_or_else(|| "sh".into());
        host::call(&shell)
            .args(["-c", &format!("{script}\nexec \"$@\""), "sh"])
            .arg(host::program())
            .arg("--dir")
            .arg(self.dir())
            .arg("enter")
            .args(words)
    }

    /// Writes an image with the probe, this app, and more.
    pub(crate) fn image(&self, app: &str, more: impl FnOnce(Aci) -> Aci) -> String {
        let probe = fs::read(host::probe()).unwrap();
        let image = Aci::new(&manifest(app)).file("rootfs/probe", 0o755, probe);
        let image = self.0.write("app.aci", more(image).bytes());
        image.display().to_string()
    }

    /// What the directory of a pod that runs has in it, and its report.
    fn inside(&self, uuid: &str) -> (Vec<String>, String) {
        let pod = self.dir().join("pods/run").join(uuid);
        let report = fs::read_to_string(pod.join("report")).unwrap();
        (host::names(&pod), report)
    }
}

/// A pod's app that waits, as words behind an image.
pub(crate) const WAITING: [&str; 4] = ["--", "--trap-exit", "15", "0"];

/// Groups of processes below those of this one, in all hierarchies. They are
/// removed when this goes out of scope.
struct Groups(Vec<PathBuf>);

impl Groups {
    /// Makes them.
    fn new(name: &str) -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mut made = Vec::new();
        for line in mounts.lines().filter(|line| line.contains(" - cgroup")) {
            let (front, back) = line.split_once(" - ").unwrap();
            let target = front.split(' ').nth(4).unwrap();
            let options = back.split(' ').nth(2).unwrap();
            let is_own = |entry: &&str| match entry.split(':').nth(1).unwrap() {
                "" => back.starts_with("cgroup2"),
                named => named
                    .split(',')
                    .all(|one| options.split(',').any(|option| option == one)),
            };
            let Some(entry) = own.lines().find(is_own) else {
                continue;
            };
            let path = entry.splitn(3, ':').nth(2).unwrap();
            let group = Path::new(target)
                .join(path.trim_start_matches('/'))
                .join(format!("nosecone-test-{name}"));
            if fs::create_dir(&group).is_ok() {
                made.push(group);
            }
        }
        Self(made)
    }

    /// A command line of the shell that enters all of them that can be entered.
    fn entering(&self) -> String {
        let all: Vec<_> = self
            .0
            .iter()
            .map(|group| group.display().to_string())
            .collect();
        let all = all.join(" ");
        format!("for group in {all}; do echo $$ > $group/cgroup.procs 2>/dev/null; done")
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for group in &self.0 {
            let removed = fs::remove_dir(group);
            if !thread::panicking() {
                removed.unwrap();
            }
        }
    }
}
