//! Images of directories and of tars: what is in them, that it is the same each
//! time, and that nothing is left of those that fail.

use std::fs;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use tar::EntryType;

use crate::aci::{Aci, running};
use crate::host::{self, Call, Ran, Scratch, call, find_tool, launcher, names};

/// What this test's commands have in common.
struct Built(Scratch);

impl Built {
    fn new() -> Self {
        Self(Scratch::new())
    }

    fn dir(&self) -> PathBuf {
        self.0.join("dir")
    }

    fn launcher(&self, words: &[&str]) -> Call {
        launcher(&self.dir()).args(words).dir(self.0.path())
    }

    /// `launcher image build WORDS`; `.` is the scratch directory.
    fn build(&self, words: &[&str]) -> Call {
        self.launcher(&["image", "build"]).args(words)
    }

    /// Builds an image that is stored; gives its tree there.
    #[track_caller]
    fn stored(&self, words: &[&str]) -> PathBuf {
        let ran = self.build(words).run().exits(0).complains("");
        self.tree(&ran)
    }

    /// The tree of the image whose ID was printed.
    fn tree(&self, ran: &Ran) -> PathBuf {
        let layer = self.dir().join("layers").join(ran.stdout.trim_end());
        layer.join("rootfs")
    }

    /// A file of any kind that an image can have.
    fn everything(&self) -> PathBuf {
        let root = self.0.join("root");
        fs::create_dir_all(root.join("sub/deep")).unwrap();
        let write = |name: &str, mode: u32, content: &[u8]| {
            let path = root.join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        write("file", 0o640, b"content");
        let noted = write("noted", 0o644, b"");
        set(&noted, c"user.note", b"kept");
        set(&noted, c"trusted.other", b"not kept");
        let able = write("able", 0o755, b"program");
        // Version 2, CAP_NET_RAW, permitted and effective.
        let mut able_to = [0; 20];
        able_to[..5].copy_from_slice(&[1, 0, 0, 2, 0]);
        able_to[5] = 0x20;
        set(&able, c"security.capability", &able_to);
        write("as-root", 0o4755, b"program");
        let owned = write("sub/owned", 0o600, b"theirs");
        std::os::unix::fs::chown(&owned, Some(12), Some(34)).unwrap();
        fs::hard_link(root.join("file"), root.join("sub/same")).unwrap();
        std::os::unix::fs::symlink("../../outside", root.join("sub/link")).unwrap();
        let sparse = fs::File::create(root.join("sub/deep/sparse")).unwrap();
        sparse.write_all_at(b"end", 5 << 20).unwrap();
        let mode = Mode::from_raw_mode(0o620);
        let node = |name: &str, kind, (major, minor)| {
            let device = rustix::fs::makedev(major, minor);
            rustix::fs::mknodat(CWD, root.join(name), kind, mode, device).unwrap();
        };
        node("null", FileType::CharacterDevice, (1, 3));
        node("loop", FileType::BlockDevice, (7, 300));
        node("fifo", FileType::Fifo, (0, 0));
        fs::set_permissions(root.join("sub"), fs::Permissions::from_mode(0o1771)).unwrap();
        fs::create_dir(root.join("proc")).unwrap();
        let then = UNIX_EPOCH + Duration::new(1_000_000_000, 5);
        fs::File::open(&able).unwrap().set_modified(then).unwrap();
        root
    }
}

fn set(path: &Path, name: &std::ffi::CStr, value: &[u8]) {
    rustix::fs::setxattr(path, name, value, XattrFlags::empty()).unwrap();
}

fn attribute(path: &Path, name: &std::ffi::CStr) -> String {
    let mut value = vec![0; 100];
    let length = rustix::fs::lgetxattr(path, name, value.as_mut_slice()).unwrap_or(0);
    value[..length].escape_ascii().to_string()
}

/// A line about each file below a directory: all that an image keeps of it.
fn listed(root: &Path) -> String {
    let mut lines = Vec::new();
    let mut ahead = vec![root.to_owned()];
    let mut inodes: Vec<u64> = Vec::new();
    while let Some(path) = ahead.pop() {
        let status = path.symlink_metadata().unwrap();
        let kind = status.file_type();
        let what = if kind.is_dir() {
            let all = names(&path);
            ahead.extend(all.iter().rev().map(|name| path.join(name)));
            "a directory".to_owned()
        } else if kind.is_symlink() {
            format!("-> {}", fs::read_link(&path).unwrap().display())
        } else if kind.is_file() {
            let content = fs::read(&path).unwrap();
            format!("{} bytes, {:?}", content.len(), content.last())
        } else {
            let (device, fifo) = (status.rdev(), kind.is_fifo());
            format!("device {device:x}, a pipe: {fifo}")
        };
        let inode = status.ino();
        let first = inodes.iter().position(|known| *known == inode);
        inodes.push(inode);
        let attributes = [c"user.note", c"security.capability"];
        let attributes = attributes.map(|name| attribute(&path, name));
        lines.push(format!(
            "{} {:o} {}:{} {}.{:09} same as {first:?} {attributes:?} {what}",
            path.strip_prefix(root).unwrap().display(),
            status.mode() & 0o7777,
            status.uid(),
            status.gid(),
            status.mtime(),
            status.mtime_nsec(),
        ));
    }
    lines.join("\n")
}

#[test]
fn an_image_of_a_directory_runs_under_its_name() {
    require_root!();
    let busybox = image!("busybox");
    let built = Built::new();
    let fetch = ["fetch", "--full", busybox.to_str().unwrap()];
    let ran = built.launcher(&fetch).run().exits(0);
    let root = built.tree(&ran);
    let script = "echo $A; pwd; id -u; id -g; cat /proc/1/comm >/dev/null && echo ran";
    let words = [
        "--name=example.com/built:1.0.0,channel=beta",
        "--user=3:4",
        "-e",
        "A=b c",
        "-w",
        "/etc",
    ];
    let tail = [root.to_str().unwrap(), "--", "/bin/sh", "-c", script];
    built.stored(&[&words[..], &tail].concat());
    built
        .launcher(&["run", "example.com/built:1.0.0,channel=beta"])
        .run()
        .exits(0)
        .says("b c\n/etc\n3\n4\nran\n")
        .complains("");
    let arch = std::env::consts::ARCH;
    if arch == "x86_64" {
        built
            .launcher(&["image", "cat-manifest", "example.com/built"])
            .run()
            .exits(0)
            .says_as("the manifest of an image that was built");
    }
    // Built once more with other files, it is the new one that runs.
    let changed = built.0.join("changed");
    call(Path::new("cp"))
        .arg("-a")
        .args([&root, &changed])
        .run()
        .exits(0);
    fs::write(changed.join("new"), "new\n").unwrap();
    let tail = [changed.to_str().unwrap(), "--", "/bin/cat", "/new"];
    built.stored(&[&words[..1], &tail].concat());
    let run = built.launcher(&["run", "example.com/built"]);
    run.run().exits(0).says("new\n");
}

#[test]
fn an_image_has_all_that_is_in_the_directory() {
    require_root!();
    let built = Built::new();
    let root = built.everything();
    let before = listed(&root);
    for name in ["user.note", "kept", "12:34", "4755", "1771", "7:300"] {
        let known = before.contains(name) || ["user.note", "7:300"].contains(&name);
        assert!(known, "{name}: {before}");
    }
    let tree = built.stored(&["--name=a", "root", "--", "/file"]);
    crate::claims::same("the tree", &listed(&tree), &before);
    assert_eq!(attribute(&tree.join("noted"), c"trusted.other"), "");
    assert!(tree.join("sub/deep/sparse").metadata().unwrap().blocks() < 1024);
    // All of somebody else, and nothing younger than that.
    let build = built
        .build(&["--name=a", "--owner=7:8", "root", "--", "/file"])
        .env("SOURCE_DATE_EPOCH", "1000000000");
    let tree = built.tree(&build.run().exits(0).complains(""));
    for line in listed(&tree).lines() {
        let owned = line.contains(" 7:8 1000000000.000000000 ");
        assert!(owned, "{line}");
    }
}

#[test]
fn a_tar_gives_the_tree_that_was_packed_in_it() {
    require_root!();
    let tar = tool!("tar");
    let built = Built::new();
    let root = built.everything();
    let before = listed(&root);
    for (number, (options, file)) in [
        (&["-cf"][..], "x.tar"),
        (&["-S", "-czf"], "x.tar.gz"),
        (&["--format=pax", "-S", "-cf"], "pax.tar"),
    ]
    .into_iter()
    .enumerate()
    {
        call(&tar)
            .args(["--xattrs", "--xattrs-include=*", "--format=pax", "-C"])
            .arg(&root)
            .args(options)
            .arg(built.0.join(file))
            .arg(".")
            .run()
            .exits(0);
        let name = format!("--name=a{number}");
        let tree = built.stored(&[&name, file, "--", "/file"]);
        crate::claims::same(file, &listed(&tree), &before);
        // From a pipe it is the same image.
        let packed = fs::read(built.0.join(file)).unwrap();
        let build = built.build(&[&name, "-", "--", "/file"]).input(packed);
        assert_eq!(built.tree(&build.run().exits(0)), tree);
    }
    // Without an entry for the root, it belongs to root.
    let bare = Aci::empty().file("etc/passwd", 0o644, "x").bytes();
    built.0.write("bare.tar", bare);
    let tree = built.stored(&["--name=bare", "bare.tar", "--", "sh"]);
    let status = tree.metadata().unwrap();
    assert_eq!((status.mode() & 0o7777, status.uid()), (0o755, 0));
}

#[test]
fn the_same_files_give_the_same_bytes() {
    require_root!();
    let built = Built::new();
    let root = built.everything();
    let build = |from: &str, to: &str| {
        let to = format!("-o{to}");
        let words = ["--name=a:1", &to, from, "--", "/file"];
        let build = built.build(&words).env("SOURCE_DATE_EPOCH", "1000000000");
        build.run().exits(0).complains("").stdout
    };
    let id = build("root", "one.aci");
    assert_eq!(build("root", "two.aci"), id);
    // Made in another order, later, and with other names of the links first.
    let again = built.0.join("again");
    fs::create_dir(&again).unwrap();
    let mut all = names(&root);
    all.reverse();
    for name in all {
        call(Path::new("cp"))
            .args(["-a", "--sparse=never"])
            .arg(root.join(name))
            .arg(&again)
            .run()
            .exits(0);
    }
    fs::remove_file(again.join("file")).unwrap();
    fs::hard_link(again.join("sub/same"), again.join("file")).unwrap();
    assert_eq!(build("again", "three.aci"), id);
    let [one, two, three] =
        ["one", "two", "three"].map(|name| fs::read(built.0.join(&format!("{name}.aci"))).unwrap());
    assert!(one == two && one == three);
    // It is what the others say it is, and nothing was stored for it.
    assert!(!built.dir().exists());
    for words in [
        &["validate", "one.aci"][..],
        &["fetch", "--full", "one.aci"],
    ] {
        let said = built.launcher(words).run().exits(0).stdout;
        assert!(said == id || said == "one.aci OK\n", "{said}");
    }
}

#[test]
fn a_manifest_is_used_byte_for_byte() {
    let built = Built::new();
    fs::create_dir(built.0.join("root")).unwrap();
    let manifest = running(&["/bin/sh"]).replace("  ", " \t ");
    built.0.write("manifest", &manifest);
    let words = ["--manifest=manifest", "-o", "a.aci", "root"];
    built
        .build(&words)
        .run()
        .exits(0)
        .complains_as("a program that is missing in an empty directory");
    let file = fs::read(built.0.join("a.aci")).unwrap();
    let archive = built.0.write("archive", file);
    let tar = crate::life::export::tar_of(&archive);
    let size = manifest.len();
    assert_eq!(&tar[512..512 + size], manifest.as_bytes());
}

#[test]
fn what_no_image_can_have_is_left_out_and_named() {
    require_root!();
    let (mount, umount) = (tool!("mount"), tool!("umount"));
    let built = Built::new();
    let root = built.0.join("root");
    fs::create_dir_all(root.join("proc")).unwrap();
    fs::write(root.join("file"), "").unwrap();
    let _socket = UnixListener::bind(root.join("socket")).unwrap();
    let hidden = rustix::fs::makedev(0, 0);
    let kind = FileType::CharacterDevice;
    rustix::fs::mknodat(CWD, root.join("hidden"), kind, Mode::RUSR, hidden).unwrap();
    let place = root.join("proc");
    let on = |tool: &Path, words: &[&str]| call(tool).args(words).arg(&place).run().exits(0);
    on(&mount, &["-t", "tmpfs", "none"]);
    fs::write(place.join("secret"), "").unwrap();
    let ran = built.build(&["--name=a", "root", "--", "/file"]).run();
    on(&umount, &[]);
    let ran = ran.exits(0).complains_as("what is left out");
    assert_eq!(names(&built.tree(&ran)), ["file", "proc"]);
    assert_eq!(names(&built.tree(&ran).join("proc")), [""; 0]);
    let odd = Aci::empty()
        .file("file", 0o644, "")
        .odd(EntryType::Char, "hidden", b"", |header| {
            header.set_device_major(0).unwrap();
            header.set_device_minor(0).unwrap();
        });
    built.0.write("odd.tar", odd.bytes());
    let ran = built.build(&["--name=a", "odd.tar", "--", "/file"]).run();
    let ran = ran.exits(0).complains_as("what is left out of a tar");
    assert_eq!(names(&built.tree(&ran)), ["file"]);
}

#[test]
fn of_what_cannot_be_built_nothing_is_left() {
    let built = Built::new();
    let root = |name: &str| {
        let path = built.0.join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("noise"), vec![7; 300_000]).unwrap();
        path
    };
    root("root");
    let deep = root("deep").join("d/".repeat(300));
    fs::create_dir_all(deep).unwrap();
    let long = root("long");
    std::os::unix::fs::symlink("x".repeat(4050), long.join("zz")).unwrap();
    let layout = root("layout");
    fs::rename(layout.join("noise"), layout.join("manifest")).unwrap();
    fs::create_dir(layout.join("rootfs")).unwrap();
    let with = |aci: Aci| aci.file("noise", 0o644, vec![7; 300_000]);
    let whole = with(Aci::empty()).bytes();
    built.0.write("cut.tar", &whole[..whole.len() / 2]);
    built.0.write("text", "text\n");
    built
        .0
        .write("image.aci", Aci::new(&running(&["/x"])).bytes());
    let out = with(Aci::empty()).file("../out", 0o644, "");
    built.0.write("out.tar", out.bytes());
    let twice = with(Aci::empty()).file("./noise", 0o644, "");
    built.0.write("twice.tar", twice.bytes());
    built.0.write("manifest", "{}");
    built.0.write("there.aci", "what was there");
    let before = names(built.0.path());

    let mut cases = crate::golden::Cases::default();
    let mut fails = |build: Call, name: &str| {
        let ran = build.run().exits(1).says("");
        cases.add(name, &ran.told());
        let mut left = names(built.0.path());
        left.retain(|name| name != "dir");
        assert_eq!(left, before, "{name}");
        assert_eq!(names(&built.dir().join("images")), [""; 0], "{name}");
        assert_eq!(names(&built.dir().join("layers")), [""; 0], "{name}");
        assert_eq!(names(&built.dir().join("tmp")), [""; 0], "{name}");
    };
    for source in [
        "missing",
        "text",
        "deep",
        "long",
        "layout",
        "image.aci",
        "cut.tar",
        "out.tar",
        "twice.tar",
    ] {
        for output in [&[][..], &["-o", "new.aci"]] {
            let words = [&["--name=a"], output, &[source, "--", "/noise"]].concat();
            fails(built.build(&words), &words.join(" "));
        }
    }
    for words in [
        &["--name=a", "-o", "there.aci", "root", "--", "/noise"][..],
        &["--name=a", "-o", "no/new.aci", "root", "--", "/noise"],
        &[
            "--name=a",
            "--overwrite",
            "-o",
            "there.aci",
            "long",
            "--",
            "/noise",
        ],
        &["--name=a,os=beos", "root", "--", "/noise"],
        &["--manifest=manifest", "root"],
        &["--manifest=missing", "root"],
    ] {
        fails(built.build(words), &words.join(" "));
    }
    let build = built.build(&["--name=a", "root", "--", "/noise"]);
    let name = "with a time that is none";
    fails(build.env("SOURCE_DATE_EPOCH", "yesterday"), name);
    cases.as_written("what cannot be built");
    let there = fs::read_to_string(built.0.join("there.aci")).unwrap();
    assert_eq!(there, "what was there");
}

#[test]
fn everybody_can_build_an_image_of_what_they_may_read() {
    require_root!();
    let scratch = Scratch::new();
    let program = host::public_copy(&scratch, &host::program(), "launcher");
    let home = scratch.join("home");
    fs::create_dir_all(home.join("root/sub")).unwrap();
    fs::write(home.join("root/file"), "").unwrap();
    std::os::unix::fs::chown(&home, Some(1000), Some(1000)).unwrap();
    let build = || {
        call(&program)
            .args([
                "image", "build", "--name=a", "-o", "a.aci", "root", "--", "/file",
            ])
            .env("HOME", "/nonexistent")
            .dir(&home)
            .user(1000)
    };
    build().run().exits(0).complains("");
    fs::remove_file(home.join("a.aci")).unwrap();
    let closed = fs::Permissions::from_mode(0o700);
    fs::set_permissions(home.join("root/sub"), closed).unwrap();
    build()
        .run()
        .exits(1)
        .complains_as("a directory that may not be read");
    assert_eq!(names(&home), ["root"]);
}

#[test]
fn an_exported_tree_of_another_tool_is_built_from_a_pipe() {
    require_root!();
    let (Some(tar), Some(busybox)) = (find_tool("tar"), find_tool("busybox")) else {
        skip!("needs `tar` and `busybox`; see `cargo xtask setup`");
    };
    let built = Built::new();
    let root = built.0.join("root");
    fs::create_dir_all(root.join("bin")).unwrap();
    host::copy_program(&busybox, &root.join("bin/busybox"));
    let script = format!(
        "{} -C root -cf - . | {} --dir dir image build --name=example.com/piped - -- \
         /bin/busybox echo piped",
        tar.display(),
        host::program().display()
    );
    let shell = call(Path::new("/bin/sh")).args(["-c", &script]);
    shell.dir(built.0.path()).run().exits(0).complains("");
    let run = built.launcher(&["run", "example.com/piped"]);
    run.run().exits(0).says("piped\n").complains("");
}
