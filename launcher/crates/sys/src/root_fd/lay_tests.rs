//! Copying one tree over another. Runs as any user: owners do not change.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory with two trees, removed when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    /// Creates trees from lines: `PATH CONTENT`, `PATH -> TARGET`, `PATH/
    /// MODE`.
    fn new(lower: &[&str], upper: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("nosecone-lay-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        for (tree, lines) in [("lower", lower), ("upper", upper)] {
            fs::create_dir_all(root.join(tree)).unwrap();
            for line in lines {
                let (path, rest) = line.split_once(' ').unwrap();
                let path = root.join(tree).join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                if let Some(target) = rest.strip_prefix("-> ") {
                    symlink(target, path).unwrap();
                } else if line.split_once(' ').unwrap().0.ends_with('/') {
                    fs::create_dir_all(&path).unwrap();
                    let mode = u32::from_str_radix(rest, 8).unwrap();
                    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
                } else {
                    fs::write(path, rest).unwrap();
                }
            }
        }
        Self(root)
    }

    fn join(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    fn lay(&self, take: &dyn Fn(&Path, bool) -> bool) {
        let lower = fs::File::open(self.join("lower")).unwrap();
        lay_over(&self.join("upper"), lower.as_fd(), take).unwrap();
    }

    /// Everything in the lower tree, sorted.
    fn result(&self) -> Vec<String> {
        let mut lines = Vec::new();
        list(&self.join("lower"), "", &mut lines);
        lines.sort();
        lines
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn list(directory: &Path, above: &str, lines: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{above}{}", path.file_name().unwrap().display());
        let status = path.symlink_metadata().unwrap();
        if status.is_dir() {
            lines.push(format!("{name}/ {:o}", status.mode() & 0o7777));
            list(&path, &format!("{name}/"), lines);
        } else if status.is_symlink() {
            lines.push(format!(
                "{name} -> {}",
                fs::read_link(&path).unwrap().display()
            ));
        } else {
            lines.push(format!("{name} {}", fs::read_to_string(&path).unwrap()));
        }
    }
}

fn everything(_: &Path, _: bool) -> bool {
    true
}

#[test]
fn what_comes_later_replaces_what_is_there() {
    for (lower, upper, expected) in [
        // Files and directories of both trees are side by side.
        (
            &["a 5", "d/ 700"][..],
            &["b 10"][..],
            &["a 5", "b 10", "d/ 700"][..],
        ),
        (&["a 5"], &["a 10"], &["a 10"]),
        // Directories are merged, with the attributes of the upper one.
        (
            &["d/ 755", "d/a 5"],
            &["d/b 10", "d/ 700"],
            &["d/ 700", "d/a 5", "d/b 10"],
        ),
        // A file replaces a directory and everything in it.
        (
            &["a/b/c/file 5", "a/b/x 5"],
            &["a/b 10"],
            &["a/ 755", "a/b 10"],
        ),
        (
            &["a/b 5"],
            &["a/b/c 10"],
            &["a/ 755", "a/b/ 755", "a/b/c 10"],
        ),
        (&["l -> x", "x 5"], &["l -> y"], &["l -> y", "x 5"]),
    ] {
        let scratch = Scratch::new(lower, upper);
        scratch.lay(&everything);
        assert_eq!(scratch.result(), expected);
    }
}

#[test]
fn nothing_is_written_through_a_link() {
    let outside = Scratch::new(&["victim 5"], &[]);
    let target = outside.join("lower");
    let link = format!("dir -> {}", target.display());
    let file = format!("file -> {}", target.join("victim").display());
    let scratch = Scratch::new(
        &[&link, &file, "up -> ..", "real/ 755", "in -> real"],
        &["dir/victim 10", "file 10", "up/x 10", "in/y 10"],
    );
    scratch.lay(&everything);
    assert_eq!(outside.result(), ["victim 5"]);
    let result = scratch.result();
    for line in [
        "dir/victim 10",
        "file 10",
        "in/y 10",
        "up/x 10",
        "real/ 755",
    ] {
        assert!(result.iter().any(|one| one == line), "{line} {result:?}");
    }
    assert!(!result.iter().any(|one| one.starts_with("real/y")));
}

#[test]
fn what_is_not_taken_is_not_there() {
    let scratch = Scratch::new(
        &["low/ 711"],
        &[
            "a 1",
            "b 2",
            "empty/ 700",
            "d/ 700",
            "d/a 1",
            "low/ 700",
            "low/a 1",
            "n/b 2",
        ],
    );
    let only_a = |path: &Path, directory: bool| !directory && path.ends_with("a");
    scratch.lay(&only_a);
    // Directories are created where a file needs them, and keep their
    // attributes.
    assert_eq!(
        scratch.result(),
        ["a 1", "d/ 755", "d/a 1", "low/ 711", "low/a 1"]
    );
}

#[test]
fn a_directory_that_is_not_taken_keeps_its_times() {
    let scratch = Scratch::new(&["d/ 755"], &["d/a 1"]);
    let path = scratch.join("lower/d");
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    fs::File::open(&path).unwrap().set_modified(old).unwrap();
    scratch.lay(&|_, directory| !directory);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), old);
    assert!(path.join("a").exists());
}

#[test]
fn names_of_one_file_stay_names_of_one_file() {
    let scratch = Scratch::new(&["x 5"], &["d/a 1"]);
    let upper = scratch.join("upper");
    fs::hard_link(upper.join("d/a"), upper.join("x")).unwrap();
    fs::hard_link(upper.join("d/a"), upper.join("z")).unwrap();
    scratch.lay(&everything);
    let inode = |name: &str| {
        fs::metadata(scratch.join("lower").join(name))
            .unwrap()
            .ino()
    };
    assert_eq!(inode("x"), inode("d/a"));
    assert_eq!(inode("z"), inode("d/a"));
    assert_ne!(inode("z"), fs::metadata(upper.join("z")).unwrap().ino());
}

#[test]
fn a_name_whose_first_name_is_not_taken_is_a_file_of_its_own() {
    let scratch = Scratch::new(&[], &["target 1"]);
    let upper = scratch.join("upper");
    fs::hard_link(upper.join("target"), upper.join("kept")).unwrap();
    scratch.lay(&|path, _| path != Path::new("target"));
    assert_eq!(scratch.result(), ["kept 1"]);
}
