//! The report: one fact a line, the field first.

use std::fmt::Display;
use std::fs;

use crate::{errno, sys};

/// Prints the lines whose field is `only`, or all of them if it is empty.
pub(crate) fn print(only: &str) {
    let show = |field: &str, text: &dyn Display| {
        if only.is_empty() || only == field {
            println!("{field} {text}");
        }
    };
    words(&show);
    process(&show);
    from_status(&show);
    limits(&show);
    surroundings(&show);
    files(&show);
    neighbours(&show);
}

type Show<'a> = &'a dyn Fn(&str, &dyn Display);

fn words(show: Show<'_>) {
    for word in std::env::args() {
        show("argument", &word);
    }
    for (name, value) in std::env::vars_os() {
        show(
            "environment",
            &format!("{}={}", name.display(), value.display()),
        );
    }
}

fn process(show: Show<'_>) {
    show("pid", &std::process::id());
    show("parent", &std::os::unix::process::parent_id());
    let (group, session) = sys::group_and_session();
    show("process-group", &group);
    show("session", &session);
    let terminal = fs::File::open("/dev/tty");
    show(
        "terminal",
        &terminal.map_or_else(|error| errno::of(&error), |_| "yes".to_owned()),
    );
    let directory = std::env::current_dir();
    show(
        "directory",
        &directory.map_or_else(|error| errno::of(&error), |path| path.display().to_string()),
    );
    show(
        "keyring",
        &sys::session_keyring().map_or_else(errno::name, |serial| serial.to_string()),
    );
}

/// What /proc/self/status says, under names that a person would use.
fn from_status(show: Show<'_>) {
    const FIELDS: [(&str, &str); 16] = [
        ("Uid", "uid"),
        ("Gid", "gid"),
        ("Groups", "groups"),
        ("Umask", "umask"),
        ("CapInh", "inheritable"),
        ("CapPrm", "permitted"),
        ("CapEff", "effective"),
        ("CapBnd", "bounding"),
        ("CapAmb", "ambient"),
        ("NoNewPrivs", "no-new-privileges"),
        ("Seccomp", "seccomp"),
        ("SigBlk", "blocked-signals"),
        ("SigIgn", "ignored-signals"),
        ("Cpus_allowed_list", "cpus"),
        ("Threads", "threads"),
        ("NSpid", "pid-in-namespaces"),
    ];
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (kernels, ours) in FIELDS {
        let value = status
            .lines()
            .filter_map(|line| line.strip_prefix(kernels)?.strip_prefix(':'))
            .map(str::trim)
            .next();
        show(ours, &value.unwrap_or("unknown").replace(['\t', ' '], ","));
    }
}

fn limits(show: Show<'_>) {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    for line in limits.lines().skip(1) {
        // Columns of the kernel's making: a name of 26 characters, then numbers.
        let (name, numbers) = line.split_at_checked(26).unwrap_or((line, ""));
        let numbers: Vec<_> = numbers.split_whitespace().take(2).collect();
        let name = name.trim().trim_start_matches("Max ").replace(' ', "-");
        show("limit", &format!("{name} {}", numbers.join(" ")));
    }
}

fn surroundings(show: Show<'_>) {
    for (field, path) in [
        ("hostname", "/proc/sys/kernel/hostname"),
        ("domainname", "/proc/sys/kernel/domainname"),
        ("oom-score-adj", "/proc/self/oom_score_adj"),
        ("uid-map", "/proc/self/uid_map"),
        ("gid-map", "/proc/self/gid_map"),
        ("cgroup", "/proc/self/cgroup"),
    ] {
        let text = fs::read_to_string(path).unwrap_or_else(|error| errno::of(&error));
        for line in text.lines() {
            show(
                field,
                &line.split_whitespace().collect::<Vec<_>>().join(" "),
            );
        }
    }
    for name in names("/proc/self/ns") {
        let link = fs::read_link(format!("/proc/self/ns/{name}"));
        show(
            "namespace",
            &link.map_or_else(|error| errno::of(&error), |link| link.display().to_string()),
        );
    }
    for name in names("/sys/class/net") {
        show("interface", &name);
    }
}

fn files(show: Show<'_>) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for line in mounts.lines() {
        show("mount", &mount(line).unwrap_or_else(|| line.to_owned()));
    }
    for name in names("/proc/self/fd") {
        // The directory that is being listed is open, too; it is gone by now.
        if let Ok(link) = fs::read_link(format!("/proc/self/fd/{name}")) {
            show("fd", &format!("{name} {}", link.display()));
        }
    }
}

/// Shortens a line of mountinfo (proc(5)) to TARGET TYPE FLAGS ROOT.
fn mount(line: &str) -> Option<String> {
    let (front, back) = line.split_once(" - ")?;
    let mut fields = front.split(' ').skip(3);
    let (root, target, flags) = (fields.next()?, fields.next()?, fields.next()?);
    let kind = back.split(' ').next()?;
    Some(format!("{target} {kind} {flags} {root}"))
}

fn neighbours(show: Show<'_>) {
    for pid in pids() {
        if let Ok(name) = fs::read_to_string(format!("/proc/{pid}/comm")) {
            show("process", &format!("{pid} {}", name.trim_end()));
        }
    }
    show("zombies", &zombies());
}

/// How many processes are dead and not reaped.
pub(crate) fn zombies() -> usize {
    pids()
        .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok())
        .filter(|stat| {
            stat.rsplit(") ")
                .next()
                .is_some_and(|rest| rest.starts_with('Z'))
        })
        .count()
}

/// The numbers of all processes that can be seen.
pub(crate) fn pids() -> impl Iterator<Item = u32> {
    names("/proc")
        .into_iter()
        .filter_map(|name| name.parse().ok())
}

fn names(dir: &str) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_its_target_type_flags_and_root() {
        let line = "23 28 0:21 /sub /proc rw,nosuid shared:12 - proc proc rw";
        assert_eq!(mount(line).as_deref(), Some("/proc proc rw,nosuid /sub"));
        assert_eq!(mount("nonsense"), None);
    }
}
