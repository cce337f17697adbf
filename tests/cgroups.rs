//! Where cgroups are mounted on this host, and which of them are a pod's.

use std::fs;
use std::path::PathBuf;

/// Where hierarchies of this kind are mounted that have such an option; an
/// empty one has each.
pub(crate) fn mounts(kind: &str, option: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let is_it = |line: &&str| {
        let words: Vec<_> = line.split(' ').collect();
        words[2] == kind && (option.is_empty() || words[3].split(',').any(|word| word == option))
    };
    let lines = mounts.lines().filter(is_it);
    lines
        .filter_map(|line| line.split(' ').nth(1))
        .map(PathBuf::from)
        .collect()
}

/// All groups of a pod, wherever they are.
pub(crate) fn of_pod(uuid: &str) -> Vec<PathBuf> {
    named(&format!("nosecone-{uuid}"))
}

/// All groups in whose names there is this.
pub(crate) fn named(part: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut places = [mounts("cgroup2", ""), mounts("cgroup", "")].concat();
    while let Some(place) = places.pop() {
        // Others come and go meanwhile.
        for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().contains(part) {
                    found.push(entry.path());
                }
                places.push(entry.path());
            }
        }
    }
    found
}

/// The same, in words.
pub(crate) fn said(part: &str) -> Vec<String> {
    let said = |group: PathBuf| format!("a group: {}", group.display());
    named(part).into_iter().map(said).collect()
}
