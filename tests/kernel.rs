//! What the kernel keeps of pods: mounts and locks.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::host;

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
