//! Many pods, at once and in sequence: what they take while they run, and that
//! afterwards nothing is left of them.
//!
//! With SOAK=whole there are hundreds, and what is counted is the whole host's
//! (`cargo xtask soak`); without, a few, and only what is theirs is looked for.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::host::{self, Ran, Scratch, launcher, names};
use crate::{cgroups, kernel};

/// Most resident memory of all that is kept for a detached pod, in KiB.
const BUDGET: u64 = 256;

/// Every so many pods one has limits, and so groups.
const LIMITED: usize = 10;

#[test]
fn many_pods_leave_nothing() {
    require_root!();
    let whole = std::env::var("SOAK").is_ok_and(|soak| soak == "whole");
    let (at_once, in_sequence) = if whole { (200, 1000) } else { (20, 50) };
    let soak = Soak::new();
    // What is made once, for all pods there will ever be.
    soak.launcher(&["run", "PROBE", "--", "--exit-code", "0"])
        .exits(0);
    let mut table = Table::default();
    let mut count = |when| {
        if whole {
            table.count(when, &soak.dir());
        }
    };
    count("before");
    let pods = soak.start(at_once);
    count("at once");
    let weights: Vec<Weight> = pods.iter().map(Pod::weight).collect();
    soak.end(&pods);
    count("after");
    for number in 0..in_sequence {
        let ran = soak.run(number);
        assert_eq!(ran.exited(), Some(0), "{ran:?}");
    }
    count("in sequence");

    let text = table.text(&format!("{at_once} at once, {in_sequence} in sequence"));
    let said = format!("{text}{}", shown(&weights));
    if whole {
        let _ = std::io::stderr().write_all(said.as_bytes());
    }
    let excess = table.excess();
    assert!(
        excess.is_empty(),
        "there is more than before: {excess:?}\n{said}"
    );
    for weight in &weights {
        assert!(weight.resident <= BUDGET, "{said}");
    }
    assert_eq!(soak.left(&pods), [""; 0], "{said}");
}

/// A directory of pods.
struct Soak {
    scratch: Scratch,
    /// How the UUIDs begin of those that have groups.
    mark: String,
}

/// A pod that sleeps.
struct Pod {
    uuid: String,
    /// All its processes, the outermost first, the app last.
    processes: Vec<u32>,
    /// Its network namespace.
    network: PathBuf,
}

impl Soak {
    fn new() -> Self {
        Self {
            scratch: Scratch::new(),
            mark: format!("{:08x}", std::process::id()),
        }
    }

    fn dir(&self) -> PathBuf {
        self.scratch.join("dir")
    }

    fn launcher(&self, words: &[&str]) -> Ran {
        let word = |word: &&str| match *word {
            "PROBE" => host::image("probe").display().to_string(),
            word => word.to_owned(),
        };
        launcher(&self.dir()).args(words.iter().map(word)).run()
    }

    /// Options of a pod, by its number.
    fn words<'a>(
        &self,
        number: usize,
        verb: &[&'a str],
        app: &[&'a str],
        uuid: &'a str,
    ) -> Vec<&'a str> {
        let (own, limit): (&[&str], &[&str]) = match number.is_multiple_of(LIMITED) {
            true => (&["--uuid", uuid], &["--memory", "64Mi"]),
            false => (&[], &[]),
        };
        [verb, own, &["PROBE"], limit, &["--"], app].concat()
    }

    fn uuid(&self, number: usize, kind: u16) -> String {
        format!("{}-0000-4000-8000-{kind:04x}{number:08x}", self.mark)
    }

    fn run(&self, number: usize) -> Ran {
        let uuid = self.uuid(number, 1);
        self.launcher(&self.words(number, &["run"], &["--exit-code", "0"], &uuid))
    }

    /// Starts so many, a few at a time, and waits until all of them sleep.
    fn start(&self, count: usize) -> Vec<Pod> {
        let start = |number: usize| {
            let uuid = self.uuid(number, 2);
            let words = self.words(number, &["run", "--detach"], &["--sleep", "3600"], &uuid);
            let ran = self.launcher(&words).exits(0).complains("");
            ran.stdout.trim_end().to_owned()
        };
        let mut uuids = Vec::new();
        for first in (0..count).step_by(4) {
            let numbers = first..count.min(first + 4);
            thread::scope(|scope| {
                let started: Vec<_> = numbers
                    .map(|number| scope.spawn(move || start(number)))
                    .collect();
                uuids.extend(started.into_iter().map(|one| one.join().unwrap()));
            });
        }
        let listed = self.launcher(&["list", "--format=json"]).exits(0).stdout;
        // Each of them, and its app.
        assert_eq!(
            listed.matches("\"state\":\"running\"").count(),
            2 * count,
            "{listed}"
        );
        uuids
            .into_iter()
            .map(|uuid| Pod::find(uuid, &listed))
            .collect()
    }

    /// Stops all, and removes them.
    fn end(&self, pods: &[Pod]) {
        let uuids: Vec<&str> = pods.iter().map(|pod| pod.uuid.as_str()).collect();
        let stopped = self.launcher(&[&["stop"], &uuids[..]].concat()).exits(0);
        assert_eq!(stopped.stdout.lines().count(), pods.len());
        self.launcher(&["gc", "--grace-period=0"])
            .exits(0)
            .complains("");
    }

    /// What is left of pods that are over.
    fn left(&self, pods: &[Pod]) -> Vec<String> {
        let mut left = kernel::mounts(self.scratch.path());
        left.extend(kernel::locks(&self.dir()));
        left.extend(cgroups::said(&self.mark));
        for state in names(&self.dir().join("pods")) {
            left.extend(names(&self.dir().join("pods").join(state)));
        }
        left.extend(names(&self.dir().join("tmp")));
        for pod in pods {
            let alive = |pid: &&u32| {
                let process = PathBuf::from(format!("/proc/{pid}/ns/net"));
                fs::read_link(process).is_ok_and(|network| network == pod.network)
            };
            left.extend(
                pod.processes
                    .iter()
                    .find(alive)
                    .map(|pid| format!("process {pid}")),
            );
        }
        left
    }
}

impl Pod {
    /// Finds its processes, in what `list` says.
    fn find(uuid: String, listed: &str) -> Self {
        let (_, behind) = listed.split_once(&uuid).unwrap();
        let (_, behind) = behind.split_once("\"pid\":").unwrap();
        let (pid, _) = behind.split_once(',').unwrap();
        let mut processes = vec![pid.parse().unwrap()];
        while let Some(child) = child(*processes.last().unwrap()) {
            processes.push(child);
        }
        let [outer, inner, _] = processes[..] else {
            panic!("a pod has an outer init, an inner one, and an app: {processes:?}");
        };
        assert_ne!(outer, inner);
        Self {
            uuid,
            network: fs::read_link(format!("/proc/{inner}/ns/net")).unwrap(),
            processes,
        }
    }

    /// What is in memory of it besides its app.
    fn weight(&self) -> Weight {
        let mut weight = Weight::default();
        for process in &self.processes[..self.processes.len() - 1] {
            let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
            weight.resident += kilobytes(&text, "Rss:");
            weight.proportional += kilobytes(&text, "Pss:");
        }
        weight
    }
}

/// Memory of a pod, in KiB.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Weight {
    resident: u64,
    proportional: u64,
}

fn shown(weights: &[Weight]) -> String {
    let mut weights = weights.to_vec();
    weights.sort_unstable();
    let (middle, most) = (weights[weights.len() / 2], weights[weights.len() - 1]);
    format!(
        "in memory of each besides its app: {} KiB (its share is {}), at most {} of {BUDGET}\n",
        middle.resident, middle.proportional, most.resident
    )
}

/// The number behind a word in a file of procfs.
fn kilobytes(text: &str, word: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(word));
    let words = lines.next().unwrap().split_whitespace().next();
    words.unwrap().parse().unwrap()
}

/// The only child of a process, if it has one.
fn child(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    children.ok()?.split_whitespace().next()?.parse().ok()
}

/// What is counted, and how much more of it may be there in the end than in
/// the beginning: what the kernel keeps in reserve for each processor.
const COUNTED: [(&str, u64); 9] = [
    ("processes", 0),
    ("network namespaces", 0),
    ("mount namespaces", 0),
    ("mounts", 0),
    ("cgroups", 0),
    ("locks", 0),
    ("files", 0),
    ("open files", 512),
    ("memory taken, in KiB", 64 << 10),
];

/// How long the kernel may take to clear up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was counted, and when.
#[derive(Default)]
struct Table(Vec<(&'static str, Vec<u64>)>);

impl Table {
    fn count(&mut self, when: &'static str, dir: &Path) {
        self.0.push((when, counts(dir)));
        // What the kernel does behind us it has mostly done in a moment.
        let begun = Instant::now();
        while when != "at once" && !self.excess().is_empty() && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(100));
            self.0.pop();
            self.0.push((when, counts(dir)));
        }
    }

    /// What there is more of in the last column than in the first.
    fn excess(&self) -> Vec<&'static str> {
        let (Some((_, first)), Some((_, last))) = (self.0.first(), self.0.last()) else {
            return Vec::new();
        };
        let more = COUNTED.iter().zip(first.iter().zip(last));
        let more = more.filter(|((_, reserve), (first, last))| **last > **first + reserve);
        more.map(|((what, _), _)| *what).collect()
    }

    fn text(&self, title: &str) -> String {
        let mut text = format!("{title:<36}");
        for (when, _) in &self.0 {
            text.push_str(&format!("{when:>13}"));
        }
        text.push('\n');
        for (row, (what, _)) in COUNTED.iter().enumerate() {
            text.push_str(&format!("{what:<36}"));
            for (_, counts) in &self.0 {
                text.push_str(&format!("{:>13}", counts[row]));
            }
            text.push('\n');
        }
        text
    }
}

/// Counts on the whole host, in the order of [`COUNTED`].
fn counts(dir: &Path) -> Vec<u64> {
    let processes: Vec<PathBuf> = names(Path::new("/proc"))
        .into_iter()
        .map(|name| Path::new("/proc").join(name))
        // Threads of the kernel run no file.
        .filter(|process| fs::read_link(process.join("exe")).is_ok())
        .collect();
    let namespaces = |kind: &str| {
        let all = processes
            .iter()
            .filter_map(|process| fs::read_link(process.join(kind)).ok());
        all.collect::<BTreeSet<_>>().len()
    };
    let lines = |path: &str| fs::read_to_string(path).unwrap().lines().count();
    let open = fs::read_to_string("/proc/sys/fs/file-nr").unwrap();
    let memory = fs::read_to_string("/proc/meminfo").unwrap();
    let taken = kilobytes(&memory, "MemTotal:") - kilobytes(&memory, "MemAvailable:");
    // Not as /proc/cgroups counts: a memory group that was removed is counted
    // there for as long as pages of files are in memory that it was first to read.
    let cgroups = cgroups::named("");
    let files = [dir, Path::new("/run"), Path::new("/tmp")].map(|path| files(path, 0));
    let wide = |count: usize| u64::try_from(count).unwrap();
    vec![
        wide(processes.len() - 1),
        wide(namespaces("ns/net")),
        wide(namespaces("ns/mnt")),
        wide(lines("/proc/self/mountinfo")),
        wide(cgroups.len()),
        wide(lines("/proc/locks")),
        wide(files.iter().sum()),
        open.split_whitespace().next().unwrap().parse().unwrap(),
        taken,
    ]
}

/// How many files there are below a directory, down to some depth.
fn files(directory: &Path, depth: u32) -> usize {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let below = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() && depth < 6 => 1 + files(&entry.path(), depth + 1),
        _ => 1,
    };
    entries.map(below).sum()
}
