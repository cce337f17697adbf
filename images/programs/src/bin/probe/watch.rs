//! Watches the other processes of its pod, as fast as it can: all that can be
//! learned of one that is there for a moment, and that this process does not
//! know of itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::report::pids;

/// Watches until there is a file of this name, and prints what was found, each
/// once and sorted.
///
/// ```text
/// exe TARGET, cwd TARGET, root TARGET   links that could be followed
/// fd TARGET                             likewise, but without numbers
/// writable TARGET                       a program that could be opened for writing
/// memory TARGET                         whose memory could be opened
/// environment, mount, interface, cgroup a line that this process does not have
/// word WORD                             of a command line
/// ```
pub(crate) fn watch(until: &str) {
    let own = Known::of("self");
    let mut found = BTreeSet::new();
    let mut rounds = 0_u64;
    while !Path::new(until).exists() {
        for pid in pids().filter(|&pid| pid != 1 && pid != std::process::id()) {
            look(&format!("/proc/{pid}"), &own, &mut found);
        }
        rounds += 1;
    }
    for line in &found {
        println!("{line}");
    }
    println!("rounds {rounds}");
}

/// Lines of files that everybody may read.
struct Known(Vec<(&'static str, BTreeSet<String>)>);

impl Known {
    fn of(pid: &str) -> Self {
        const FILES: [(&str, &str); 4] = [
            ("environment", "environ"),
            ("mount", "mountinfo"),
            ("interface", "net/dev"),
            ("cgroup", "cgroup"),
        ];
        let lines = |name: &str| -> BTreeSet<String> {
            let bytes = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            let lines = text.split(['\n', '\0']);
            lines.filter(|line| !line.is_empty()).map(name_of).collect()
        };
        Self(FILES.map(|(field, name)| (field, lines(name))).into())
    }
}

/// Leaves out what is counted: the packets of an interface.
fn name_of(line: &str) -> String {
    match line.split_once(": ") {
        Some((interface, _)) if line.starts_with(' ') => interface.trim().to_owned(),
        _ => line.to_owned(),
    }
}

fn look(process: &str, own: &Known, found: &mut BTreeSet<String>) {
    let link = |name: &str| {
        let link = fs::read_link(format!("{process}/{name}"));
        link.map(|target| target.display().to_string())
    };
    for name in ["exe", "cwd", "root"] {
        if let Ok(target) = link(name) {
            found.insert(format!("{name} {target}"));
        }
    }
    for entry in fs::read_dir(format!("{process}/fd"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = format!("fd/{}", entry.file_name().display());
        if let Ok(target) = link(&name) {
            let target = target.trim_end_matches(|c: char| c.is_ascii_digit() || "[]".contains(c));
            found.insert(format!("fd {target}"));
        }
    }
    for (name, what) in [("exe", "writable"), ("mem", "memory")] {
        let opened = fs::OpenOptions::new()
            .write(true)
            .open(format!("{process}/{name}"));
        if opened.is_ok() {
            // It may be another by now, which then is the one that was opened.
            let program = link("exe").unwrap_or_else(|_| "gone".to_owned());
            found.insert(format!("{what} {program}"));
        }
    }
    let pid = process.trim_start_matches("/proc/");
    for ((field, theirs), (_, ours)) in Known::of(pid).0.iter().zip(&own.0) {
        // Of one that just ends only a beginning may be read.
        let is_new = |line: &&String| !ours.iter().any(|own| own.starts_with(line.as_str()));
        let news = theirs.iter().filter(is_new);
        found.extend(news.map(|line| format!("{field} {line}")));
    }
    let words = fs::read(format!("{process}/cmdline")).unwrap_or_default();
    for word in words
        .split(|&byte| byte == 0)
        .filter(|word| !word.is_empty())
    {
        found.insert(format!("word {}", String::from_utf8_lossy(word)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_its_name() {
        assert_eq!(name_of("    lo:    1234 5 0"), "lo");
        assert_eq!(name_of("0::/a: b"), "0::/a: b");
    }
}
