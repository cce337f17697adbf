//! stage1-init on its own: everything that its README promises, shown by
//! running it without the launcher.

mod demand;
mod examples;
mod failures;
mod fallbacks;
mod identity;
mod log;
mod mounts;
mod passed;
mod plain_init;
mod plans;
mod reaping;
mod signals;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::host::{self, Call, Scratch};

/// Splits words at blanks; `''` is the empty word.
fn words(text: &str) -> Vec<String> {
    let word = |word: &str| word.replace("''", "");
    text.split_whitespace().map(word).collect()
}

/// stage1-init with these words.
fn init(text: &str) -> Call {
    host::call(&host::stage1()).args(words(text))
}

/// stage1-init with these words, and a shell script as the last app's program.
fn init_sh(text: &str, script: &str) -> Call {
    init(text).args(["main", "3", "/bin/sh", "-c", script])
}

/// The same, started by a shell that opens descriptors for it.
fn init_with(redirections: &str, text: &str) -> Call {
    let command = format!("exec \"$0\" \"$@\" {redirections}");
    host::call(Path::new("/bin/sh"))
        .args(["-c", &command])
        .arg(host::stage1())
        .args(words(text))
}

/// A root with busybox in it.
struct Root {
    scratch: Scratch,
}

impl Root {
    fn new() -> Self {
        let root = Self {
            scratch: Scratch::new(),
        };
        for directory in ["bin", "proc", "dev", "tmp", "etc"] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        let busybox =
            host::find_tool("busybox").expect("busybox is installed; see `cargo xtask setup`");
        host::copy_program(&busybox, &root.path().join("bin/busybox"));
        for name in "sh ls cat id sleep mount true false readlink stat touch kill ps wc grep sed env test tr hostname ip sort stty".split(' ') {
            symlink("busybox", root.path().join("bin").join(name)).unwrap();
        }
        root
    }

    fn path(&self) -> PathBuf {
        self.scratch.join("root")
    }

    /// Makes a link in the root, in place of what is there.
    fn link(&self, target: &str, name: &str) {
        let path = self.path().join(name);
        let _ = fs::remove_dir(&path);
        symlink(target, path).unwrap();
    }

    /// A plan's beginning: namespaces of its own, and this directory as the root.
    fn plan(&self) -> String {
        let root = self.path();
        let root = root.display();
        format!(
            "plan 1 unshare mnt,pid,uts,ipc,net propagation rprivate / \
             bind {root} {root} rec app a root {root} mount proc proc /proc nosuid,nodev,noexec ''"
        )
    }

    /// A pod with more set-up, in which a shell runs a script.
    fn pod(&self, setup: &str, script: &str) -> Call {
        let plan = self.plan();
        init_sh(
            &format!("{plan} {setup} pivot process env PATH=/bin"),
            script,
        )
    }
}
