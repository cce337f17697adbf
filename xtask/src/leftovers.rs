//! What a run of tests leaves behind, which must be nothing: files, processes,
//! mounts, groups of processes, logs in memory.
//!
//! Tests of others may run at the same time, so a run has a place of its own for
//! all its files, and what has to do with that is its own. Nothing but the name
//! tells whose a group is: those count that came with the run and stay empty.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::cmd::{Result, failed};

/// Where logs are that are kept in memory; a link `dir` says whose each is.
const LOGS: &str = "/run/nosecone/log";

/// How long the kernel may take to clear up behind processes that have ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where all files of a run are.
pub(crate) struct Place {
    directory: PathBuf,
    /// The groups that there were before.
    groups: BTreeSet<PathBuf>,
}

impl Place {
    /// Makes an empty one, into which everybody may look.
    pub(crate) fn new() -> Result<Self> {
        let name = format!("nosecone-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).map_err(failed("make", &directory))?;
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&directory, mode).map_err(failed("open", &directory))?;
        let groups = groups();
        Ok(Self { directory, groups })
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }

    /// Removes it. Says what is left, if anything is, and leaves that as it is.
    pub(crate) fn is_empty(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let left = self.left();
            if left.is_empty() {
                return fs::remove_dir(&self.directory).map_err(failed("remove", &self.directory));
            }
            if begun.elapsed() > PATIENCE {
                let lines: String = left.iter().map(|line| format!("\n  {line}")).collect();
                return Err(format!("the tests left something behind:{lines}"));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn left(&self) -> Vec<String> {
        let said = |what: &str, path: PathBuf| format!("{what} {}", path.display());
        let files = entries(&self.directory).into_iter();
        let files = files.map(|path| said("the file", path));
        let groups = groups().into_iter();
        let groups = groups.filter(|group| !self.groups.contains(group) && is_unused(group));
        let groups = groups.map(|path| said("the group", path));
        let processes = processes().filter_map(|process| self.process(&process));
        let logs = entries(Path::new(LOGS)).into_iter();
        let logs = logs.filter(|log| {
            fs::read_link(log.join("dir")).is_ok_and(|dir| dir.starts_with(&self.directory))
        });
        let logs = logs.map(|path| said("the log", path));
        files.chain(groups).chain(processes).chain(logs).collect()
    }

    /// What a process, or its mount namespace, has to do with the place.
    fn process(&self, process: &Path) -> Option<String> {
        let place = self.directory.to_str()?;
        let pid = process.file_name()?.to_str()?;
        let read = |name| {
            let bytes = fs::read(process.join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let words = read("cmdline");
        let mounts = read("mountinfo");
        if let Some(mount) = mounts.lines().find(|line| line.contains(place)) {
            return Some(format!("the mount {mount} (process {pid}: {words})"));
        }
        let links = ["cwd", "root", "exe"].map(|name| process.join(name));
        let mut links = links.into_iter().chain(entries(&process.join("fd")));
        let leads_there = |link| fs::read_link(link).is_ok_and(|to| to.starts_with(place));
        (words.contains(place) || links.any(leads_there))
            .then(|| format!("the process {pid}: {words}"))
    }
}

/// The paths in a directory; none if it is not there.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// The directories of all other processes.
fn processes() -> impl Iterator<Item = PathBuf> {
    let own = Path::new("/proc").join(std::process::id().to_string());
    let is_one = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let all = entries(Path::new("/proc")).into_iter();
    all.filter(move |path| is_one(path) && *path != own)
}

/// All groups of pods, in all hierarchies.
fn groups() -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut places = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(place) = places.pop() {
        let inside = entries(&place).into_iter();
        for path in inside.filter(|path| path.is_dir() && !path.is_symlink()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("nosecone-") {
                found.insert(path.clone());
            }
            places.push(path);
        }
    }
    found
}

/// Tells whether nobody is in a group, or below.
fn is_unused(group: &Path) -> bool {
    let processes = fs::read_to_string(group.join("cgroup.procs"));
    processes.is_ok_and(|processes| processes.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::fs::File;
    use std::process::Command;

    use super::*;

    #[test]
    fn files_and_processes_that_are_left_are_named() {
        let place = Place::new().unwrap();
        let path = place.path().to_owned();
        assert_eq!(place.left(), [""; 0]);
        let file = path.join("x");
        fs::write(&file, "").unwrap();
        assert_eq!(place.left(), [format!("the file {}", file.display())]);
        fs::remove_file(file).unwrap();
        let sleep = || {
            let mut command = Command::new("sleep");
            command.arg("100");
            command
        };
        let mut inside = sleep();
        inside.current_dir(&path);
        let mut reader = sleep();
        reader.stdin(File::open(&path).unwrap());
        for mut command in [inside, reader] {
            let mut child = command.spawn().unwrap();
            let left = place.left();
            child.kill().unwrap();
            child.wait().unwrap();
            let start = format!("the process {}: ", child.id());
            assert!(left.iter().any(|line| line.starts_with(&start)), "{left:?}");
        }
        place.is_empty().unwrap();
        assert!(!path.exists());
    }
}
