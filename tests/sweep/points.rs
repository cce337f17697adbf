//! Where a command can be hit: at the system calls that it was seen to make.
//!
//! strace(1) counts the calls of each name in each process, so that is what a
//! point is: the Kth call of a name, in whichever of the command's processes
//! gets so far. Of names that are called often not every K is taken; see
//! [`thinned`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::host::{self, Call};

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The process is killed before the kernel does anything.
    Kill,
    /// The call fails: the disk is broken.
    Io,
    /// The call fails: the disk is full, or a limit of the kernel is reached.
    Full,
    /// All calls of the name fail: the kernel does not have it.
    Missing,
    /// All calls of the name fail: a filter around us forbids it.
    Forbidden,
}

/// What happens once.
const FAULTS: [Fault; 3] = [Fault::Kill, Fault::Io, Fault::Full];

/// What happens each time.
const REFUSALS: [Fault; 2] = [Fault::Missing, Fault::Forbidden];

/// The calls that can fail with EIO. (close(2) can, but has closed all the same
/// then; strace keeps the kernel from doing anything.)
const CAN_BREAK: &[&str] = &[
    "copy_file_range",
    "execve",
    "execveat",
    "fallocate",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "fchown",
    "fchownat",
    "fdatasync",
    "fgetxattr",
    "fsetxattr",
    "fsconfig",
    "fsmount",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "getdents64",
    "ioctl",
    "linkat",
    "lseek",
    "mkdirat",
    "mkdir",
    "mknodat",
    "mount",
    "move_mount",
    "newfstatat",
    "open",
    "open_tree",
    "openat",
    "openat2",
    "pread64",
    "pwrite64",
    "read",
    "readlink",
    "readlinkat",
    "rename",
    "renameat",
    "renameat2",
    "sendfile",
    "statx",
    "symlinkat",
    "sync_file_range",
    "syncfs",
    "unlink",
    "unlinkat",
    "utimensat",
    "write",
];

/// The calls that can fail with ENOSPC: those that take room on a disk, and
/// those that take what the kernel has a limit for.
const CAN_FILL: &[&str] = &[
    "bpf",
    "clone3",
    "copy_file_range",
    "fallocate",
    "fdatasync",
    "fsetxattr",
    "fsync",
    "ftruncate",
    "inotify_add_watch",
    "linkat",
    "mkdir",
    "mkdirat",
    "mknodat",
    "mount",
    "move_mount",
    "open_tree",
    "openat",
    "openat2",
    "pwrite64",
    "renameat",
    "renameat2",
    "symlinkat",
    "syncfs",
    "unshare",
    "write",
];

/// The calls that change something that lasts, or decide who may: what is hit
/// where not everything is.
const DECIDE: &[&str] = &[
    "clone3",
    "execve",
    "execveat",
    "flock",
    "fsync",
    "mkdirat",
    "mount",
    "move_mount",
    "openat2",
    "pidfd_send_signal",
    "poll",
    "renameat",
    "renameat2",
    "setsid",
    "syncfs",
    "unlinkat",
    "unshare",
    "wait4",
    "write",
];

/// The calls without which a program ends before it can say anything: the C
/// library, and Rust's runtime, which begins with some of them, kill it; and those
/// that always succeed by their manual, so that who asks wants no answer but that.
const FATAL: &[&str] = &["futex", "geteuid", "mmap", "poll", "rt_sigaction", "uname"];

/// The calls that older kernels do not have, and that filters of containers refuse:
/// what is refused where not everything is.
const REFUSED: &[&str] = &[
    "clone3",
    "close_range",
    "execveat",
    "memfd_create",
    "mount_setattr",
    "openat2",
    "pidfd_open",
    "seccomp",
    "setns",
    "unshare",
];

impl Fault {
    fn can_happen_to(self, name: &str) -> bool {
        match self {
            Self::Kill => true,
            Self::Io => CAN_BREAK.contains(&name),
            Self::Full => CAN_FILL.contains(&name),
            Self::Missing | Self::Forbidden => true,
        }
    }
}

/// The Kth call of a name, or each one, and what happens to it.
#[derive(Clone, Debug)]
pub(super) struct Point {
    name: String,
    number: usize,
    pub(super) fault: Fault,
}

impl Point {
    /// Tells whether nobody can say a word who is refused this.
    pub(super) fn is_fatal(&self) -> bool {
        REFUSALS.contains(&self.fault) && FATAL.contains(&self.name.as_str())
    }

    /// Tells whether it is one of those that matter most.
    pub(super) fn decides(&self) -> bool {
        let list = match REFUSALS.contains(&self.fault) {
            true => REFUSED,
            false => DECIDE,
        };
        list.contains(&self.name.as_str())
    }
}

/// What `strace -e` understands.
impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            number,
            fault,
        } = self;
        let what = match fault {
            Fault::Kill => "signal=KILL",
            Fault::Io => "error=EIO",
            Fault::Full => "error=ENOSPC",
            Fault::Missing => "error=ENOSYS",
            Fault::Forbidden => "error=EPERM",
        };
        write!(f, "inject={name}:{what}")?;
        match REFUSALS.contains(fault) {
            true => Ok(()),
            false => write!(f, ":when={number}"),
        }
    }
}

/// How often each call is made, by the process that makes it most often.
#[derive(Debug, Default)]
pub(super) struct Calls(BTreeMap<String, usize>);

impl Calls {
    /// Reads what `strace -ff -o DIRECTORY/…` wrote: a file a process.
    pub(super) fn read(directory: &Path) -> Self {
        let mut most = BTreeMap::new();
        for file in host::names(directory) {
            let log = std::fs::read(directory.join(file)).unwrap();
            for (name, count) in of_process(&String::from_utf8_lossy(&log)) {
                let entry = most.entry(name).or_insert(0);
                *entry = count.max(*entry);
            }
        }
        Self(most)
    }

    /// All points, the names in their order.
    pub(super) fn points(&self) -> Vec<Point> {
        let mut points = Vec::new();
        for (name, &count) in &self.0 {
            for number in thinned(count) {
                let possible = FAULTS.into_iter().filter(|fault| fault.can_happen_to(name));
                points.extend(possible.map(|fault| Point {
                    name: name.clone(),
                    number,
                    fault,
                }));
            }
        }
        points
    }

    /// Each name, missing and forbidden, but for those that end a program: there
    /// is no other way.
    pub(super) fn refusals(&self) -> Vec<Point> {
        let of = |name: &String| {
            REFUSALS.map(|fault| Point {
                name: name.clone(),
                number: 1,
                fault,
            })
        };
        let names = self.0.keys().filter(|name| !name.starts_with("exit"));
        names.flat_map(of).collect()
    }

    /// Says which names are not hit at each of their calls.
    pub(super) fn thinned(&self) -> String {
        let thinned = self.0.iter().filter_map(|(name, &count)| {
            let taken = thinned(count).len();
            (taken < count).then(|| format!("only {taken} of {count} times {name}\n"))
        });
        thinned.collect()
    }
}

/// Which of so many calls are hit: the first hundred, then each power of two,
/// and the last. What is called so often is a loop, and one turn is as the other.
fn thinned(count: usize) -> Vec<usize> {
    let hit = |&number: &usize| number <= 100 || number.is_power_of_two() || number == count;
    (1..=count).filter(hit).collect()
}

/// Counts the calls of one process, up to where it executes what is not ours.
fn of_process(log: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in log.lines() {
        let Some((name, operands)) = line.split_once('(') else {
            continue;
        };
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            continue; // A signal, for instance.
        }
        *counts.entry(name.to_owned()).or_insert(0) += 1;
        let own = host::program();
        let ours = ["\"/proc/".to_owned(), format!("\"{}\"", own.display())];
        let ours = ours
            .iter()
            .any(|start| operands.starts_with(start.as_str()));
        if name == "execve" && !ours && line.ends_with(" = 0") {
            break;
        }
    }
    counts
}

/// `strace`, which does this to a command line that is still to be said.
pub(super) fn strace(strace: Call, log: &Path, point: &Point) -> Call {
    strace
        .args(["-f", "-qq", "-o"])
        .arg(log)
        .args(["-e", &point.to_string()])
}

#[test]
fn the_calls_of_an_app_are_not_those_of_nose_cone() {
    let log = "execve(\"/proc/self/fd/3\", [\"stage1-init\"], 0x1 /* 0 vars */) = 0\n\
               openat(3, \"a\", O_RDONLY) = 4\n\
               --- SIGCHLD {si_signo=SIGCHLD} ---\n\
               execve(\"/bin/none\", [\"none\"], 0x1) = -1 ENOENT (No such file or directory)\n\
               execve(\"/app\", [\"app\"], 0x1 /* 0 vars */) = 0\n\
               openat(3, \"a\", O_RDONLY) = 4\n";
    let counts = of_process(log);
    assert_eq!(counts.get("openat"), Some(&1));
    assert_eq!(counts.get("execve"), Some(&3));
    assert_eq!(counts.len(), 2);
}

#[test]
fn of_many_calls_the_first_and_the_last_are_hit() {
    assert_eq!(thinned(3), [1, 2, 3]);
    let hit = thinned(300);
    assert_eq!(hit[..100], (1..=100).collect::<Vec<_>>());
    assert_eq!(hit[100..], [128, 256, 300]);
}
