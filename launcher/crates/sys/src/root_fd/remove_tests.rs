//! Trees that are made to be hard to remove.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory for one test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("nosecone-remove-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn fd(&self) -> File {
        File::open(&self.0).unwrap()
    }

    /// Creates nested directories, with a file in each.
    fn chain(&self, name: &str, depth: usize) {
        let mut fd = OwnedFd::from(self.fd());
        for level in 0..depth {
            let name = if level == 0 { name } else { "d" };
            rustix::fs::mkdirat(&fd, name, Mode::RWXU).unwrap();
            fd = rustix::fs::openat(&fd, name, DIRECTORY, Mode::empty()).unwrap();
            let flags = OFlags::CREATE | OFlags::WRONLY;
            rustix::fs::openat(&fd, "file", flags, Mode::RUSR).unwrap();
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn no_depth_needs_more_descriptors_than_a_few() {
    let scratch = Scratch::new();
    scratch.chain("top", 10 * OPEN);
    let fd = scratch.fd();
    let mut removal = Removal::of(fd.as_fd());
    removal.entry(c"top", 0, FileType::Directory);
    // One level at a time: no directory has two subdirectories.
    for depth in 2..=10 * OPEN {
        removal.entry(c"d", 0, FileType::Directory);
        assert_eq!(removal.levels.len(), depth);
        assert_eq!(removal.open.len(), depth.min(OPEN));
    }
    removal.run();
    assert_eq!(removal.failure, None);
    assert!(!scratch.0.join("top").exists());
}

#[test]
fn what_is_moved_meanwhile_does_not_lead_out() {
    let scratch = Scratch::new();
    let depth = 3 * OPEN;
    scratch.chain("top", depth);
    fs::create_dir(scratch.0.join("outside")).unwrap();
    fs::write(scratch.0.join("outside/file"), "stays").unwrap();
    let fd = scratch.fd();
    let mut removal = Removal::of(fd.as_fd());
    removal.entry(c"top", 0, FileType::Directory);
    for _ in 1..depth {
        removal.entry(c"d", 0, FileType::Directory);
    }
    // `..` leads to what is no longer open.
    let above = scratch.0.join("top").join("d/".repeat(depth - OPEN - 1));
    fs::rename(above.join("d"), scratch.0.join("outside/d")).unwrap();
    removal.run();
    assert_eq!(removal.failure, Some(Errno::BUSY));
    let outside = fs::read_to_string(scratch.0.join("outside/file"));
    assert_eq!(outside.unwrap(), "stays");
    // The next one gets the rest.
    remove_tree(fd.as_fd(), "top").unwrap();
    assert!(!scratch.0.join("top").exists());
}

#[test]
fn what_cannot_be_removed_does_not_keep_the_rest() {
    let scratch = Scratch::new();
    for path in ["top/a/x", "top/b/c/x", "top/d/x"] {
        let path = scratch.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let fd = scratch.fd();
    let mut removal = Removal::of(fd.as_fd());
    // As if it had been tried without success.
    let status = fs::metadata(scratch.0.join("top/b/c/x")).unwrap();
    let number = std::os::unix::fs::MetadataExt::ino(&status);
    removal.left.insert(number);
    removal.entry(c"top", 0, FileType::Directory);
    removal.run();
    assert_eq!(removal.failure, Some(Errno::NOTEMPTY));
    assert!(scratch.0.join("top/b/c/x").exists());
    assert!(!scratch.0.join("top/a").exists());
    assert!(!scratch.0.join("top/d").exists());
}

#[test]
fn names_of_every_kind_and_closed_directories_are_removed() {
    let scratch = Scratch::new();
    let long = "n".repeat(255);
    fs::create_dir_all(scratch.0.join("top").join(&long).join(&long)).unwrap();
    fs::write(scratch.0.join("top").join("\u{1b}\n"), "").unwrap();
    let closed = scratch.0.join("top").join(&long);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o0);
    fs::set_permissions(closed, mode).unwrap();
    remove_tree(scratch.fd().as_fd(), "top").unwrap();
    assert!(!scratch.0.join("top").exists());
}

#[test]
fn two_mounts_of_one_file_system_differ_and_two_files_on_one_do_not() {
    let scratch = Scratch::new();
    let (one, proc) = (scratch.fd(), File::open("/proc").unwrap());
    assert!(Mount::of(one.as_fd()).unwrap() == Mount::of(scratch.fd().as_fd()).unwrap());
    assert!(Mount::of(one.as_fd()).unwrap() != Mount::of(proc.as_fd()).unwrap());
}
