//! What is reported when processes cannot be frozen or thawed. The groups are
//! plain directories, where the kernel does nothing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stderr, reason = "a skip must be seen")]

use std::process::{Child, Command, Stdio};

use super::*;
use crate::runtime::process::boot;
use crate::runtime::procfs::Stat;

const UUID: &str = "6f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a10";

fn uuid() -> Uuid {
    Uuid::parse(UUID).unwrap()
}

/// A directory with the files of a version 2 group.
struct Plain(PathBuf);

impl Plain {
    fn new(name: &str, asked: &str, frozen: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("nosecone-pause-{}-{name}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        let group = Self(path);
        group.write("cgroup.freeze", asked);
        group.write("cgroup.events", &format!("populated 1\nfrozen {frozen}\n"));
        group.write("cgroup.procs", "");
        group
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    fn freezer(&self) -> Freezer {
        Freezer::of(&self.0).unwrap().unwrap()
    }

    /// An error message about it, without its path.
    fn message<T: std::fmt::Debug>(&self, result: Result<T>) -> String {
        let path = self.0.display().to_string();
        result.unwrap_err().to_string().replace(&path, "GROUP")
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A process that is killed when this is dropped.
struct Running(Child);

impl Running {
    fn start(words: &[&str]) -> Self {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn process(&self) -> Process {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        Process {
            pid: self.0.id(),
            ticks: Stat::read(&stat).unwrap().began,
            boot: boot().unwrap(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that looks like a pod, and its child that is PID 1.
fn pod() -> Option<(Running, PodProcess)> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root");
        return None;
    }
    let words = ["unshare", "--pid", "--fork", "--kill-child", "sleep", "600"];
    let outer = Running::start(&words);
    loop {
        let found = pod_process::outer(&outer.process()).unwrap().unwrap();
        if let Some(init) = pod_process::init(&found).unwrap() {
            return Some((outer, init));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A deadline that has passed.
fn now() -> Instant {
    Instant::now()
}

#[test]
fn a_group_that_does_not_freeze_in_time_is_an_error() {
    let Some((outer, init)) = pod() else { return };
    let group = Plain::new("busy", "0", "0");
    assert_eq!(
        group.message(freeze(&group.freezer(), &outer.process(), now())),
        "it starts processes faster than they can be frozen"
    );
    // The group was frozen before the process was moved into it.
    let read = |name: &str| std::fs::read_to_string(group.0.join(name)).unwrap();
    assert_eq!(read("cgroup.freeze"), "1");
    assert_eq!(read("cgroup.procs"), init.number().to_string());
    let far = now() + Duration::from_secs(1);
    assert_eq!(
        group.message(freeze(&group.freezer(), &outer.process(), far)),
        "its processes did not freeze in time\n\
         hint: a process that waits for a disk or a network file system cannot be \
         frozen until it gets an answer"
    );
}

#[test]
fn a_pod_without_pid_1_is_not_frozen() {
    let group = Plain::new("none", "0", "1");
    let other = Running::start(&["sleep", "600"]);
    assert_eq!(
        group.message(freeze(&group.freezer(), &other.process(), now())),
        "it has no PID 1 of its own\n\
         hint: it is starting or ending, or its plan creates no PID namespace"
    );
    let later = Process {
        ticks: other.process().ticks + 1,
        ..other.process()
    };
    let outcome = freeze(&group.freezer(), &later, now()).unwrap();
    assert_eq!(outcome, Outcome::Exited);
}

#[test]
fn a_pod_is_its_init_and_its_descendants() {
    let Some((outer, init)) = pod() else { return };
    let all = Snapshot::take().unwrap().of_pod(&init);
    let all: Vec<_> = all.iter().map(|one| (one.pid, one.alive)).collect();
    assert_eq!(all, [(init.number(), true)]);
    let line = Snapshot::take()
        .unwrap()
        .line(init.number())
        .take(2)
        .collect::<Vec<_>>();
    assert_eq!(line, [init.number(), outer.process().pid]);
}

#[test]
fn a_group_frozen_by_its_parent_is_not_thawed() {
    let group = Plain::new("above", "1", "1");
    assert_eq!(
        group.message(thaw(&group.freezer(), now())),
        "cannot thaw the cgroup `GROUP`: a group above it is frozen"
    );
}

#[test]
fn a_process_moves_to_a_group_that_may_contain_processes() {
    let group = Plain::new("rest", "1", "1");
    let rest = group.0.join("init.");
    std::fs::create_dir(&rest).unwrap();
    std::fs::write(rest.join("cgroup.procs"), "").unwrap();
    group.freezer().admit(4711).unwrap();
    let read = |path: &Path| std::fs::read_to_string(path.join("cgroup.procs")).unwrap();
    assert_eq!(
        (read(&group.0), read(&rest)),
        (String::new(), "4711".to_owned())
    );
    assert_eq!(group.freezer().members().unwrap(), BTreeSet::from([4711]));
}

#[test]
fn only_complete_lines_about_the_pods_groups_are_read() {
    let text = format!(
        "/cg/nosecone-{UUID}\nrelative/nosecone-{UUID}\n/cg/nosecone-{UUID}/app\n\
         /cg/nosecone-x\n/etc\n\n/cut/nosecone-{UUID}"
    );
    assert_eq!(
        recorded(text.as_bytes(), uuid()),
        [PathBuf::from(format!("/cg/nosecone-{UUID}"))]
    );
    assert!(recorded(b"", uuid()).is_empty());
}
