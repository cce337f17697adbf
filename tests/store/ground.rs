//! What the data directory lies on.

use std::fs;
use std::path::{Path, PathBuf};

use super::names;
use crate::aci::{Aci, running};
use crate::golden::Cases;
use crate::host::{self, Ran, Scratch, call, image, launcher};

/// Runs the launcher with the data directory `m/dir` in a mount namespace of its
/// own, where a script has made `m` what it is.
fn on(scratch: &Scratch, unshare: &Path, script: &str, words: &[&str]) -> Ran {
    let script = format!("set -e; cd \"$0\"; mkdir -p m; {script}; exec \"$@\"");
    call(unshare)
        .args(["--mount", "sh", "-c", &script])
        .arg(scratch.path())
        .arg(host::program())
        .arg("--dir")
        .arg(scratch.join("m/dir"))
        .args(words)
        .run()
        .naming("DIR", scratch.join("m/dir"))
        .naming("PROBE", image("probe"))
}

/// An overlay, as a container has.
const OVERLAY: &str = "mkdir -p l u w; \
    mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w m";

/// The title of what is said where an overlay is not possible.
const COPIED: &str = "the files of images are copied";

#[test]
fn on_an_overlay_the_files_of_images_are_copied_and_that_is_said_once() {
    require_root!();
    let busybox = image!("busybox");
    let busybox = busybox.to_str().unwrap();
    let unshare = tool!("unshare");
    let script = "rm /bin/cat && mkdir /bin/cat && echo x > /new && echo fine";
    for options in [&[][..], &["--keep"]] {
        let scratch = Scratch::new();
        let words = [&["run"], options, &[busybox, "--", "-c", script]].concat();
        let ran = on(&scratch, &unshare, OVERLAY, &words);
        ran.exits(0).says("fine\n").complains_as(COPIED);
        // Who asks for it need not be told.
        let copied = [&["run", "--no-overlay"], &words[1..]].concat();
        let ran = on(&scratch, &unshare, OVERLAY, &copied);
        ran.exits(0).says("fine\n").complains("");
        assert_eq!(names(&scratch.join("u/dir/scratch")), [""; 0]);
    }
    // The plan says so, too.
    let scratch = Scratch::new();
    on(&scratch, &unshare, OVERLAY, &["fetch", busybox]).exits(0);
    let name = "nosecone.net/example/busybox";
    let words = ["plan", "--insecure-options=image", name];
    let ran = on(&scratch, &unshare, OVERLAY, &words);
    let ran = ran.exits(0).complains_as(COPIED);
    assert!(!ran.stdout.contains("lowerdir="), "{}", ran.stdout);
}

#[test]
fn without_extended_attributes_the_files_of_images_are_copied() {
    require_root!();
    let busybox = image!("busybox");
    let unshare = tool!("unshare");
    let scratch = Scratch::new();
    let script = "rm -r /bin && echo fine";
    let words = ["run", busybox.to_str().unwrap(), "--", "-c", script];
    let ran = on(&scratch, &unshare, "mount -t ramfs ramfs m", &words);
    ran.exits(0).says("fine\n").complains_as(COPIED);
}

#[test]
fn programs_that_would_be_copied_to_where_none_is_executed_are_not_run() {
    require_root!();
    let unshare = tool!("unshare");
    let scratch = Scratch::new();
    let probe = image("probe");
    let probe = probe.to_str().unwrap();
    let noexec = "mount -t tmpfs -o noexec tmpfs m";
    let words = ["run", "--no-overlay", probe];
    on(&scratch, &unshare, noexec, &words)
        .exits(125)
        .says("")
        .complains_as("a data directory where no program is executed");
    // An overlay is a file system of its own.
    let ran = on(&scratch, &unshare, noexec, &["run", probe]);
    ran.exits(0).complains("");
}

#[test]
fn a_read_only_data_directory_is_named() {
    require_root!();
    let unshare = tool!("unshare");
    let scratch = Scratch::new();
    let probe = image("probe");
    let probe = probe.to_str().unwrap();
    let dir = scratch.join("m/dir");
    fs::create_dir(scratch.join("m")).unwrap();
    launcher(&dir).args(["fetch", probe]).run().exits(0);
    let frozen = "mount --bind m m; cd m; mount -o remount,bind,ro .";
    let mut cases = Cases::default();
    for (words, status) in [
        (&["run", probe][..], 125),
        (&["fetch", probe], 1),
        (&["prepare", probe], 1),
        (&["image", "rm", "nosecone.net/example/probe"], 1),
    ] {
        let ran = on(&scratch, &unshare, frozen, words);
        let ran = ran.exits(status).says("");
        let id = names(&dir.join("images")).remove(0);
        let ran = ran.naming("ID", &id).naming("SHORT-ID", &id[..39]);
        let words = words.join(" ").replace(probe, "PROBE");
        cases.add(words, &ran.told());
    }
    cases.as_written("a read-only data directory");
    // Looking needs no writing.
    for words in [&["image", "list"][..], &["image", "verify"], &["list"]] {
        let ran = on(&scratch, &unshare, frozen, words);
        ran.exits(0).complains("");
    }
}

#[test]
fn who_may_not_mount_an_overlay_is_told_how_to_do_without() {
    require_root!();
    let strace = tool!("strace");
    let scratch = Scratch::new();
    let dir = scratch.join("dir");
    let run = |when: u32| {
        let fault = format!("inject=mount:error=EPERM:when={when}");
        let call = call(&strace).args(["-f", "-qq", "-o", "/dev/null", "-e", &fault]);
        let call = call.arg(host::program()).arg("--dir").arg(&dir).arg("run");
        call.arg(image("probe"))
            .run()
            .exits(125)
            .naming("DIR", &dir)
    };
    // Which call it is depends on what comes before.
    let mut refused = (1..9).map(run);
    let refused = refused.find(|ran| ran.stderr.contains("as an overlay"));
    let refused = refused.unwrap();
    assert!(
        refused.stderr.contains("`--no-overlay` copies"),
        "{}",
        refused.stderr
    );
}

#[test]
fn where_files_can_share_blocks_a_copy_takes_no_room() {
    require_root!();
    let unshare = tool!("unshare");
    let mkfs = tool!("mkfs.btrfs");
    if !fs::read_to_string("/proc/filesystems")
        .unwrap()
        .contains("btrfs")
    {
        skip!("needs a kernel with btrfs");
    }
    let scratch = Scratch::new();
    // More than half of what there is.
    let disk = fs::File::create(scratch.join("disk")).unwrap();
    disk.set_len(160 << 20).unwrap();
    call(&mkfs)
        .args(["-q", "--metadata=single"])
        .arg(scratch.join("disk"))
        .run()
        .exits(0);
    let mut large = Vec::new();
    let mut word = 1_u64;
    while large.len() < 80 << 20 {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        large.extend(word.to_be_bytes());
    }
    let image = Aci::new(&running(&["/probe", "--stdout", "fine"]))
        .file("rootfs/probe", 0o755, fs::read(host::probe()).unwrap())
        .file("rootfs/large", 0o644, large);
    let image = scratch.write("large.aci", image.bytes());
    let words = ["run", "--no-overlay", "--keep", image.to_str().unwrap()];
    let ran = on(&scratch, &unshare, "mount -o loop disk m", &words);
    ran.exits(0).says("fine\n");
}

/// A path of this many bytes.
fn long(scratch: &Scratch, length: usize) -> PathBuf {
    let mut path = scratch.join("long");
    while path.as_os_str().len() < length - 101 {
        path.push("d".repeat(50));
    }
    let left = length - path.as_os_str().len() - 1;
    path.join("d".repeat(left))
}

#[test]
fn a_path_too_long_for_an_overlay_copies_and_one_too_long_for_the_kernel_is_refused() {
    require_root!();
    let scratch = Scratch::new();
    let probe = image("probe");
    for length in [2500, 3700] {
        let dir = long(&scratch, length);
        fs::create_dir_all(dir.parent().unwrap()).unwrap();
        for options in [&[][..], &["--keep"]] {
            let ran = launcher(&dir).arg("run").args(options).arg(&probe).run();
            ran.exits(0).complains(
                "launcher: the files of images are copied: \
                the path of the data directory is too long for an overlay\n",
            );
        }
    }
    for length in [3701, 4000, 5000] {
        let dir = long(&scratch, length);
        for (words, status) in [
            (&["image", "list"][..], 1),
            (&["list"], 1),
            (&["run", probe.to_str().unwrap()], 125),
        ] {
            let ran = launcher(&dir).args(words).run().exits(status).says("");
            ran.naming("PATH", &dir)
                .complains_as("a path too long for the kernel");
        }
    }
}
