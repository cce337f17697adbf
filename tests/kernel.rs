//! What the kernel keeps of pods: processes, mounts and locks.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::Pid;

use crate::host;

/// Processes, but for this one, that are in a directory, have something of it
/// open, or know its path; and their words.
pub(crate) fn processes(path: &Path) -> Vec<(Pid, String)> {
    let place = path.to_str().unwrap();
    let mut found = Vec::new();
    for name in host::names(Path::new("/proc")) {
        let Some(pid) = name.parse().ok().and_then(Pid::from_raw) else {
            continue;
        };
        let process = Path::new("/proc").join(&name);
        let words = fs::read(process.join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        let links = ["cwd", "root", "exe"].map(|name| process.join(name));
        let open = fs::read_dir(process.join("fd")).into_iter().flatten();
        let open = open.flatten().map(|entry| entry.path());
        let leads_there = |link| fs::read_link(link).is_ok_and(|to| to.starts_with(place));
        let knows = words.contains(place) || links.into_iter().chain(open).any(leads_there);
        if knows && pid != rustix::process::getpid() {
            found.push((pid, words));
        }
    }
    found
}

/// Mounts of something below a path, in the mount namespace of any process.
pub(crate) fn mounts(path: &Path) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for process in host::names(Path::new("/proc")) {
        let process = Path::new("/proc").join(process);
        let Ok(namespace) = fs::read_link(process.join("ns/mnt")) else {
            continue; // No process, or one that has just ended.
        };
        if !seen.insert(namespace) {
            continue;
        }
        let text = fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
        let lines = text
            .lines()
            .filter(|line| line.contains(path.to_str().unwrap()));
        found.extend(lines.map(|line| format!("mounted: {line}")));
    }
    found
}

/// Locks on what is in a directory, images left out.
pub(crate) fn locks(directory: &Path) -> Vec<String> {
    let mut inodes = BTreeSet::new();
    let mut waiting = vec![(directory.to_owned(), 0)];
    while let Some((path, depth)) = waiting.pop() {
        if let Ok(status) = path.symlink_metadata() {
            inodes.insert(status.ino().to_string());
        }
        if depth < 3 && path.is_dir() {
            waiting.extend(
                host::names(&path)
                    .into_iter()
                    .map(|name| (path.join(name), depth + 1)),
            );
        }
    }
    let device = directory.metadata().map_or(0, |status| status.dev());
    let place = format!(
        "{:02x}:{:02x}:",
        rustix::fs::major(device),
        rustix::fs::minor(device)
    );
    let text = fs::read_to_string("/proc/locks").unwrap();
    let ours = |line: &&str| {
        let mut words = line
            .split_whitespace()
            .filter_map(|word| word.strip_prefix(&place));
        words.any(|inode| inodes.contains(inode))
    };
    let lines = text.lines().filter(ours);
    lines.map(|line| format!("locked: {line}")).collect()
}

/// Whether pid namespaces have a `kernel.pid_max` of their own, by which pods are
/// kept from having processes without end.
pub(crate) fn numbers_end() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let version = (
        numbers.next().unwrap().unwrap(),
        numbers.next().unwrap().unwrap(),
    );
    version >= (6, 14)
}
