//! Pods whose apps are in the way of their removal.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::mount::UnmountFlags;

use super::super::case;
use super::{Memory, kept};
use crate::host::{self, Call, Scratch, call, launcher, names, program};

/// Makes directories below one another in a directory, with a file in the
/// innermost. No path leads there: that would be longer than PATH_MAX.
fn chain(above: &Path, depth: usize) {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut fd = OwnedFd::from(File::open(above).unwrap());
    for _ in 0..depth {
        rustix::fs::mkdirat(&fd, "d", Mode::RWXU).unwrap();
        fd = rustix::fs::openat(&fd, "d", flags, Mode::empty()).unwrap();
    }
    let flags = OFlags::CREATE | OFlags::WRONLY;
    rustix::fs::openat(&fd, "file", flags, Mode::RUSR).unwrap();
}

/// The launcher, with so few descriptors, and these calls refused if any are.
fn poor(dir: &Path, descriptors: u32, refused: Option<&str>, words: &[&str]) -> Call {
    let traced = refused.map(|calls| {
        let fault = format!("inject={calls}:error=ENOSYS");
        let strace = host::find_tool("strace").unwrap();
        let trace = ["-f", "-qq", "-o", "/dev/null", "-e", &fault].map(PathBuf::from);
        [vec![strace], trace.to_vec()].concat()
    });
    call(Path::new("/bin/sh"))
        .args(["-c", "n=$1; shift; ulimit -n $n; exec \"$@\"", "sh"])
        .arg(descriptors.to_string())
        .args(traced.into_iter().flatten())
        .arg(program())
        .arg("--dir")
        .arg(dir)
        .args(words)
}

/// Nothing is left of any pod.
#[track_caller]
fn leaves_nothing(dir: &Path) {
    for state in names(&dir.join("pods")) {
        assert_eq!(names(&dir.join("pods").join(&state)), [""; 0], "{state}");
    }
    assert_eq!(names(&dir.join("tmp")), [""; 0]);
}

/// A descriptor a level is what rm(1) had until fts(3), and 30 000 levels of
/// stack overflowed systemd's (CVE-2021-3997).
#[test]
fn no_depth_of_an_apps_tree_keeps_its_pod_from_being_removed() {
    require_root!();
    case(
        "H5a",
        "trees of any depth are removed with few descriptors",
        || {
            // A file system that keeps a journal takes a minute for that.
            let memory = Memory::new("");
            let dir = memory.dir();
            for (depth, descriptors) in [(600, 1024), (600, 32), (30_000, 64)] {
                for verb in ["rm UUID", "gc --grace-period=0"] {
                    let (uuid, rootfs) = kept(&dir);
                    chain(&rootfs, depth);
                    let words = verb.replace("UUID", &uuid);
                    let words: Vec<&str> = words.split(' ').collect();
                    let ran = poor(&dir, descriptors, None, &words).run();
                    ran.exits(0)
                        .says(&format!("removed {uuid}\n"))
                        .complains("");
                    leaves_nothing(&dir);
                }
            }
        },
    );
}

/// The app itself makes it, through its overlay. What removes the pod is what
/// its init becomes.
#[test]
fn what_an_app_makes_in_its_own_root_is_removed_when_it_is_over() {
    require_root!();
    let busybox = image!("busybox");
    let busybox = busybox.to_str().unwrap();
    case("H5b", "an app's own deep tree goes with its pod", || {
        let scratch = Scratch::new();
        let dir = scratch.join("dir");
        let script = "i=0; while [ $i -lt 600 ]; do mkdir d && cd d || exit 1; i=$((i+1)); done";
        let words = ["run", busybox, "--", "-c", script];
        let ran = poor(&dir, 200, None, &words).run();
        ran.exits(0).complains("");
        leaves_nothing(&dir);
    });
}

/// openat2(2) with RESOLVE_NO_XDEV is of Linux 5.6. A bind of the same file
/// system has the same device, so before that mounts have to be told apart by
/// their ids: statx(2) has them since 5.8, /proc/PID/fdinfo since 3.15.
#[test]
fn removal_crosses_no_mount_whatever_the_kernel_lacks() {
    require_root!();
    tool!("strace");
    case(
        "H5c",
        "removal crosses no mount, with and without openat2",
        || {
            for refused in [None, Some("openat2"), Some("openat2,statx")] {
                let scratch = Scratch::new();
                let dir = scratch.join("dir");
                let (uuid, rootfs) = kept(&dir);
                let canary = scratch.join("canary");
                fs::create_dir(&canary).unwrap();
                fs::write(canary.join("file"), "stays").unwrap();
                // Deep enough for what is above to be opened again.
                chain(&rootfs, 20);
                let target = rootfs.join("d/d/mounted");
                fs::create_dir(&target).unwrap();
                let mount = Bound::new(&canary, &target);
                for words in [&["rm", &uuid][..], &["gc", "--grace-period=0"]] {
                    let ran = poor(&dir, 64, refused, words).run();
                    ran.exits(1)
                        .says("")
                        .naming("UUID", &uuid)
                        .complains_as("a pod with a mount in it");
                    assert_eq!(fs::read_to_string(canary.join("file")).unwrap(), "stays");
                }
                drop(mount);
                let ran = poor(&dir, 64, refused, &["gc", "--grace-period=0"]).run();
                ran.exits(0)
                    .says(&format!("removed {uuid}\n"))
                    .complains("");
                leaves_nothing(&dir);
            }
        },
    );
}

/// A bind mount, until it goes out of scope.
struct Bound(PathBuf);

impl Bound {
    fn new(source: &Path, target: &Path) -> Self {
        rustix::mount::mount_bind(source, target).unwrap();
        Self(target.to_owned())
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // It is where it was moved to, with what it is in.
        let moved = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let name = self.0.file_name().unwrap().to_string_lossy().into_owned();
        let found = moved.lines().filter_map(|line| line.split(' ').nth(4));
        for path in found.filter(|path| path.ends_with(&format!("/{name}"))) {
            rustix::mount::unmount(path, UnmountFlags::DETACH).unwrap();
        }
    }
}

/// The pod that sorts first cannot be removed: one of its files is immutable
/// (ioctl_iflags(2)), which an app with CAP_LINUX_IMMUTABLE can make it.
#[test]
fn one_pod_that_cannot_be_removed_keeps_no_other() {
    require_root!();
    case("H5d", "one bad pod keeps gc from no other", || {
        let scratch = Scratch::new();
        let dir = scratch.join("dir");
        let mut pods: Vec<(String, PathBuf)> = (0..3).map(|_| kept(&dir)).collect();
        pods.sort();
        let (bad, rootfs) = pods.remove(0);
        chain(&rootfs, 20);
        fs::write(rootfs.join("d/file"), "").unwrap();
        fs::write(rootfs.join("d/other"), "").unwrap();
        let file = File::open(rootfs.join("d/file")).unwrap();
        let immutable = rustix::fs::IFlags::IMMUTABLE;
        if rustix::fs::ioctl_setflags(&file, immutable).is_err() {
            host::skipped("needs a file system with immutable files");
            return;
        }
        let ran = launcher(&dir).args(["gc", "--grace-period=0"]).run();
        let removed: String = pods
            .iter()
            .map(|(uuid, _)| format!("removed {uuid}\n"))
            .collect();
        let ran = ran.exits(1).says(&removed);
        let inode = dir.join("pods/garbage").join(&bad);
        ran.naming("INODE", &inode)
            .naming("POD", &bad)
            .complains_as("one pod that cannot be removed keeps no other");
        // All else of it is gone.
        assert_eq!(names(&inode.join("apps/probe/rootfs")), ["d"]);
        assert_eq!(names(&inode.join("apps/probe/rootfs/d")), ["file"]);
        rustix::fs::ioctl_setflags(&file, rustix::fs::IFlags::empty()).unwrap();
        let ran = launcher(&dir).args(["gc"]).run();
        ran.exits(0).says(&format!("removed {bad}\n"));
        leaves_nothing(&dir);
    });
}
