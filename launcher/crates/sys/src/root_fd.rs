//! The only way to open paths below a root that others fill: the tree of an
//! image, the directory of a pod.
//!
//! A path from an image is never resolved on the host. It is resolved inside
//! the root, by openat2(2) with `RESOLVE_IN_ROOT` (Linux 5.6) or, without that,
//! component by component without following links. A link to `/etc/passwd` or
//! `../../..` leads to that path inside the root. Most container escapes break
//! this one rule (CVE-2018-15664, CVE-2019-14271, CVE-2021-30465).

mod copy;
mod lay;
mod linked;
mod open;
mod remove;
mod transfer;
mod usage;
mod walk;

pub use crate::root_fd::copy::{Keep, copy_tree};
pub use crate::root_fd::lay::{copy_layers, lay_over, own};
pub use crate::root_fd::open::{is_absent, open, read};
pub use crate::root_fd::remove::remove_tree;
pub use crate::root_fd::transfer::Transfer;
pub use crate::root_fd::usage::usage;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::io::{self, Read as _};
    use std::os::fd::{AsFd as _, OwnedFd};
    use std::path::Path;

    use rustix::fs::{Mode, OFlags};

    use super::*;
    use std::os::unix::fs::symlink;

    /// A tree with links in all directions, and what each path leads to.
    const CASES: &[(&str, Option<&str>)] = &[
        ("file", Some("inside")),
        ("/file", Some("inside")),
        ("../../file", Some("inside")),
        ("dir/../file", Some("inside")),
        ("dir/up", Some("inside")),
        ("absolute", Some("inside")),
        ("far", Some("inside")),
        ("chain", Some("inside")),
        ("linked/deep", Some("deep")),
        ("dir/./deep", Some("deep")),
        ("circle", None),
        ("nothing", None),
        ("file/x", None),
        ("dir", None),
        ("host", None),
    ];

    fn tree() -> (std::path::PathBuf, OwnedFd) {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("nosecone-beneath-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        std::fs::create_dir_all(root.join("dir")).unwrap();
        std::fs::write(root.join("file"), "inside").unwrap();
        std::fs::write(root.join("dir/deep"), "deep").unwrap();
        symlink("../../../file", root.join("dir/up")).unwrap();
        symlink("/file", root.join("absolute")).unwrap();
        symlink("../../../../../../../../file", root.join("far")).unwrap();
        symlink("absolute", root.join("chain")).unwrap();
        symlink("/dir", root.join("linked")).unwrap();
        symlink("circle", root.join("circle")).unwrap();
        symlink("/proc/version", root.join("host")).unwrap();
        let fd = rustix::fs::open(&root, OFlags::DIRECTORY | OFlags::PATH, Mode::empty()).unwrap();
        (root, fd)
    }

    #[test]
    fn no_path_leads_out_of_the_root() {
        let (path, root) = tree();
        for (name, expected) in CASES {
            let content = read(&root, Path::new(name), 100).unwrap();
            assert_eq!(content.as_deref(), expected.map(str::as_bytes), "{name}");
        }
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn walking_by_hand_leads_to_the_same_files() {
        let (path, root) = tree();
        for (name, expected) in CASES {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let mut content = String::new();
            let read = walk::open(root.as_fd(), Path::new(name), flags)
                .map_err(io::Error::from)
                .and_then(|fd| std::fs::File::from(fd).read_to_string(&mut content));
            let found = read.is_ok().then_some(content.as_str());
            assert_eq!(found, *expected, "{name}");
        }
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_removed_tree_is_gone_and_what_its_links_name_is_not() {
        let (path, _root) = tree();
        let outside = path.with_extension("outside");
        std::fs::write(&outside, "stays").unwrap();
        symlink(&outside, path.join("dir/out")).unwrap();
        symlink("/tmp", path.join("dir/tmp")).unwrap();
        let parent = rustix::fs::open(path.parent().unwrap(), OFlags::DIRECTORY, Mode::empty());
        let name = path.file_name().unwrap().to_str().unwrap();
        remove_tree(parent.unwrap().as_fd(), name).unwrap();
        assert!(!path.exists());
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "stays");
        std::fs::remove_file(outside).unwrap();
    }

    #[test]
    fn a_copied_tree_has_the_same_files_and_links() {
        let (path, _root) = tree();
        let copy = path.with_extension("copy");
        let parent = rustix::fs::open(path.parent().unwrap(), OFlags::DIRECTORY, Mode::empty());
        let name = copy.file_name().unwrap().to_str().unwrap();
        std::fs::hard_link(path.join("file"), path.join("dir/same")).unwrap();
        copy_tree(&path, parent.unwrap().as_fd(), name).unwrap();
        assert_eq!(
            std::fs::read_to_string(copy.join("dir/deep")).unwrap(),
            "deep"
        );
        assert_eq!(
            std::fs::read_link(copy.join("dir/up")).unwrap(),
            Path::new("../../../file")
        );
        let inode =
            |name| std::os::unix::fs::MetadataExt::ino(&copy.join(name).metadata().unwrap());
        assert_eq!(inode("file"), inode("dir/same"));
        std::fs::remove_dir_all(path).unwrap();
        std::fs::remove_dir_all(copy).unwrap();
    }
}
