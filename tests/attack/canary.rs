//! What of the host must be the same after each case: it is looked at as a
//! whole before, and once more afterwards.
//!
//! Other cases and tests run at the same time, so nothing is looked at here
//! that anybody may change; what a test leaves running or mounted in its own
//! place is looked for where that place is removed, by [`Scratch`].

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::host::{self, Scratch};

/// Nodes whose times nobody changes who only uses them.
const NODES: &[&str] = &["null", "zero", "full", "random", "urandom"];

/// Nodes of which times are changed by reading and writing.
const TERMINALS: &[&str] = &["tty", "console", "ptmx"];

/// Files that decide who may do what.
const FILES: &[&str] = &["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/hostname"];

/// Parameters that change by themselves, or by what anybody does: a piece of
/// their path.
const RESTLESS: &[&str] = &[
    "/random/",
    "-nr",
    "-state",
    "ns_last_pid",
    "/pty/nr",
    "_count",
    "/cdrom/",
    "fs/quota/",
    "kernel/sched_domain",
    "net/ipv4/conf/",
    "net/ipv4/neigh/",
    "net/ipv6/conf/",
    "net/ipv6/neigh/",
    "net/mptcp",
    "net/netfilter",
    "tcp_fastopen_key",
    "stable_secret",
    "rt_cache_stat",
];

/// What the host was before a case.
pub(super) struct Canary {
    /// A directory with a file in it, which has nothing to do with any pod.
    scratch: Scratch,
    before: BTreeMap<String, String>,
}

impl Canary {
    pub(super) fn new() -> Self {
        let scratch = Scratch::new();
        let directory = scratch.join("canary");
        fs::create_dir(&directory).unwrap();
        let file = scratch.write("canary/file", "as it was");
        rustix::fs::setxattr(
            &file,
            "user.canary",
            b"as it was",
            rustix::fs::XattrFlags::empty(),
        )
        .unwrap();
        for (path, mode) in [(&file, 0o600), (&directory, 0o700)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let before = seen(&directory);
        Self { scratch, before }
    }

    /// Fails unless all is as it was.
    #[track_caller]
    pub(super) fn is_as_it_was(&self, after: &str) {
        let now = seen(&self.scratch.join("canary"));
        let mut keys: Vec<_> = self.before.keys().chain(now.keys()).collect();
        keys.sort();
        keys.dedup();
        let mut changes = String::new();
        for key in keys {
            let (was, is) = (self.before.get(key), now.get(key));
            if was != is {
                changes += &format!("{key}\n  was: {was:?}\n  is:  {is:?}\n");
            }
        }
        assert!(
            changes.is_empty(),
            "the host was changed by {after}:\n{changes}"
        );
    }

    /// Changes the canary.
    pub(super) fn touch(&self) {
        fs::write(self.scratch.join("canary/file"), "as it was").unwrap();
    }
}

/// All that is looked at, and what it is.
fn seen(canary: &Path) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    let mut note = |path: &Path, what: String| {
        seen.insert(path.display().to_string(), what);
    };
    for name in NODES {
        let path = Path::new("/dev").join(name);
        note(&path, format!("{} {}", owned(&path), times(&path)));
    }
    for name in TERMINALS {
        let path = Path::new("/dev").join(name);
        note(&path, owned(&path));
    }
    let file = canary.join("file");
    let files = FILES.iter().map(Path::new).chain([canary, &file]);
    for path in files {
        let content = fs::read(path).unwrap_or_default();
        let (owned, times) = (owned(path), times(path));
        note(path, format!("{owned} {times} {}", content.escape_ascii()));
    }
    note(&file.join("attributes"), format!("{:?}", attributes(&file)));
    for path in [host::program(), host::stage1(), host::probe()] {
        note(&path, format!("{} {}", owned(&path), times(&path)));
    }
    for name in host::names(Path::new("/proc")) {
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            let path = Path::new("/proc").join(name);
            note(&path, owned(&path));
        }
    }
    parameters(Path::new("/proc/sys"), &mut note);
    for mount in mounts() {
        note(Path::new(&mount), "mounted".to_owned());
    }
    seen
}

/// Type, mode, owner and device of what has this path, links not followed.
fn owned(path: &Path) -> String {
    path.symlink_metadata().map_or_else(
        |error| error.to_string(),
        |status| {
            let (mode, uid, gid) = (status.mode(), status.uid(), status.gid());
            format!("{mode:o} {uid}:{gid} {:x}", status.rdev())
        },
    )
}

/// Which file it is, and when it was last changed in any way.
fn times(path: &Path) -> String {
    path.symlink_metadata().map_or_else(
        |error| error.to_string(),
        |status| {
            let changed = (status.ctime(), status.ctime_nsec());
            let written = (status.mtime(), status.mtime_nsec());
            format!("inode {} {changed:?} {written:?}", status.ino())
        },
    )
}

/// Names and values of attributes.
fn attributes(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names = vec![0; 4096];
    let length = rustix::fs::listxattr(path, names.as_mut_slice()).unwrap();
    let names = String::from_utf8_lossy(&names[..length]).into_owned();
    let value = |name: &str| {
        let mut value = vec![0; 4096];
        let length = rustix::fs::getxattr(path, name, value.as_mut_slice()).unwrap();
        (name.to_owned(), value[..length].to_vec())
    };
    names.split_terminator('\0').map(value).collect()
}

/// Parameters of the kernel below a directory, and their values.
fn parameters(directory: &Path, note: &mut impl FnMut(&Path, String)) {
    for name in host::names(directory) {
        let path = directory.join(name);
        let shown = path.display().to_string();
        let restless = RESTLESS.iter().any(|piece| shown.contains(piece));
        match path.symlink_metadata() {
            Ok(status) if status.is_dir() => parameters(&path, note),
            // Some can only be written to.
            Ok(status) if status.mode() & 0o444 != 0 && !restless => {
                let value = fs::read(&path).unwrap_or_default();
                note(&path, value.escape_ascii().to_string());
            }
            _ => {}
        }
    }
}

/// Mounts of the host that are in no test's own place, which others come and
/// go in.
fn mounts() -> Vec<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let place = host::PLACE;
    let lines = text.lines().filter(|line| !line.contains(place));
    lines.map(str::to_owned).collect()
}
