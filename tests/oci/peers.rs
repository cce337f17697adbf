//! The files of an image are those that umoci unpacks and podman mounts: names,
//! types, owners, modes, times, attributes, contents.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::mount::{self, FsMountFlags, FsOpenFlags, MountAttrFlags};
use tar::{EntryType, Header};

use super::{Layout, base, digest, tree};
use crate::aci::Aci;
use crate::claims;
use crate::host::{self, Scratch, call};

/// Everything that the files below a directory have, each on a line.
fn described(root: &Path) -> String {
    let mut first_names = BTreeMap::new();
    let mut text = String::new();
    for name in tree(root) {
        let path = root.join(name.trim_end_matches('/'));
        let status = path.symlink_metadata().unwrap();
        let first = first_names.entry(status.ino()).or_insert(name.clone());
        write!(
            text,
            "{name:?} {:o} {}:{} {}.{:09} rdev={} first={first:?}",
            status.mode(),
            status.uid(),
            status.gid(),
            status.mtime(),
            status.mtime_nsec(),
            status.rdev(),
        )
        .unwrap();
        if status.is_symlink() {
            write!(text, " -> {:?}", fs::read_link(&path).unwrap()).unwrap();
        }
        if status.is_file() {
            let sum = crc32fast::hash(&fs::read(&path).unwrap());
            write!(text, " {} bytes, {sum:08x}", status.size()).unwrap();
        }
        let mut list = vec![0; 4096];
        let length = rustix::fs::llistxattr(&path, &mut list[..]).unwrap();
        let names = list[..length]
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty());
        let mut names: Vec<_> = names.map(|name| String::from_utf8_lossy(name)).collect();
        names.sort();
        for name in names {
            let mut value = vec![0; 4096];
            let length = rustix::fs::lgetxattr(&path, &*name, &mut value[..]).unwrap();
            write!(text, " {name:?}={:?}", &value[..length]).unwrap();
        }
        text.push('\n');
    }
    text
}

/// An overlay of the layers of a stored image, as a pod has it, with nothing on top.
/// It has no place in any directory.
fn overlay(layout: &Layout, name: &str) -> OwnedFd {
    let plan = layout.launch(&["plan", &layout.reference(name), "--", "/x"]);
    let plan = plan.run().exits(0).stdout;
    let (_, layers) = plan.split_once("lowerdir=").unwrap();
    let (layers, _) = layers.split_once(",upperdir").unwrap();
    let overlay = mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    for layer in layers.split(':') {
        mount::fsconfig_set_string(&overlay, "lowerdir+", layer).unwrap();
    }
    if !layers.contains(':') {
        // An overlay needs two.
        let nothing = layout.scratch.join("nothing");
        let _ = fs::create_dir(&nothing);
        mount::fsconfig_set_string(&overlay, "lowerdir+", nothing).unwrap();
    }
    mount::fsconfig_create(&overlay).unwrap();
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY;
    mount::fsmount(&overlay, FsMountFlags::FSMOUNT_CLOEXEC, attributes).unwrap()
}

/// podman, or buildah, with a store of its own.
pub(super) struct Podman {
    program: PathBuf,
    scratch: Scratch,
    /// Podman takes no path for it of more than 50 characters.
    running: PathBuf,
}

impl Podman {
    pub(super) fn new(program: PathBuf) -> Self {
        let scratch = Scratch::new();
        let running = Path::new("/run").join(scratch.path().file_name().unwrap());
        Self {
            program,
            scratch,
            running,
        }
    }

    pub(super) fn call(&self, words: &[&str]) -> host::Call {
        let call = call(&self.program).env("TMPDIR", self.scratch.path());
        let call = call.arg("--root").arg(self.scratch.join("root"));
        let call = call.arg("--runroot").arg(&self.running);
        let call = match self.program.ends_with("podman") {
            true => call.args(["--cgroup-manager=cgroupfs", "--events-backend=none"]),
            false => call,
        };
        // Its other driver finds no hard links to files of lower layers.
        call.arg("--storage-driver=vfs").args(words)
    }

    pub(super) fn run(&self, words: &[&str]) -> String {
        let ran = self.call(words).run().exits(0);
        ran.stdout.trim_end().to_owned()
    }

    /// Mounts an image of a layout; returns where.
    fn mount(&self, layout: &Layout, name: &str) -> PathBuf {
        let id = self.run(&["pull", "--quiet", &layout.reference(name)]);
        self.run(&["image", "mount", &id]).into()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let mounts = [&["image", "unmount", "--all"][..], &["umount", "--all"]];
        for words in mounts {
            let _ = self.call(words).run();
        }
        let _ = fs::remove_dir_all(&self.running);
    }
}

/// The same but for the times of directories: podman has those of now for all that a
/// later layer puts something into.
fn without_times(described: &str) -> String {
    let lines = described.lines().map(|line| match line.split_once("/\" ") {
        Some((name, rest)) => {
            let words = rest.split(' ').enumerate();
            let words = words.filter_map(|(at, word)| (at != 2).then_some(word));
            format!("{name}/\" {}\n", words.collect::<Vec<_>>().join(" "))
        }
        None => format!("{line}\n"),
    });
    lines.collect()
}

/// Unpacks an image of a layout with umoci; returns where its files are.
fn unpacked(umoci: &Path, layout: &Layout, name: &str) -> PathBuf {
    let bundle = layout.scratch.join(&format!("bundle-{name}"));
    let image = format!("{}:{name}", layout.path().display());
    let unpack = call(umoci).args(["unpack", "--image", &image]);
    unpack.arg(&bundle).run().exits(0);
    bundle.join("rootfs")
}

fn odd(seconds: u64) -> impl Fn(&mut Header) {
    move |header| {
        header.set_uid(1000);
        header.set_gid(4242);
        header.set_mode(0o6751);
        header.set_mtime(seconds);
    }
}

fn device(major: u32, minor: u32) -> impl Fn(&mut Header) {
    move |header| {
        odd(13)(header);
        header.set_device_major(major).unwrap();
        header.set_device_minor(minor).unwrap();
    }
}

/// Images that nobody has to fear, each with its layers.
fn honest() -> Vec<(&'static str, Vec<Aci>)> {
    let top = Aci::empty().odd(EntryType::Directory, "./", b"", |header| {
        header.set_mode(0o751);
        header.set_mtime(5);
    });
    let mixed = vec![
        top.dir("etc")
            .dir("d")
            .file("d/a", 0o644, "lower")
            .odd(EntryType::Regular, "d/odd", b"x", odd(9))
            .file("d/linked", 0o644, "shared")
            .dir("usr")
            .dir("usr/lib")
            .link("lib", "usr/lib")
            .dir("o")
            .file("o/one", 0o644, "1")
            .dir("o/two")
            .file("o/two/three", 0o644, "3")
            .file("f", 0o644, "a file"),
        Aci::empty()
            .entry(EntryType::Link, "d/another", 0o644, "d/linked", b"")
            .file("lib/x", 0o600, "through a link")
            .file("d/.wh.a", 0o644, "")
            .file("o/.wh..wh..opq", 0o644, "")
            .file(".wh.nothing", 0o644, "")
            .file(".wh..wh.plnk", 0o644, "")
            .odd(EntryType::Directory, "f/", b"", odd(11))
            .file("/absolute", 0o644, "x")
            .odd(EntryType::Fifo, "fifo", b"", odd(12))
            .odd(EntryType::Char, "null", b"", device(1, 3))
            .odd(EntryType::Block, "disk", b"", device(7, 300)),
        Aci::empty()
            .file("f", 0o644, "again a file")
            .entry(EntryType::Symlink, "d/odd", 0o777, "a", b"")
            .pax([("SCHILY.xattr.user.a", &b"b"[..])])
            .odd(EntryType::Directory, "o/", b"", odd(14)),
    ];
    let lower = || {
        Aci::empty()
            .dir("d")
            .file("d/a", 0o644, "lower")
            .dir("d/sub")
            .file("d/sub/x", 0o644, "lower")
            .file("gone", 0o644, "lower")
            .dir("tree")
            .dir("tree/below")
            .file("tree/below/leaf", 0o644, "lower")
            .link("way", "tree")
    };
    let marks = |aci: Aci| {
        aci.file("d/.wh..wh..opq", 0o644, "")
            .file("tree/.wh.below", 0o644, "a body")
            .entry(EntryType::Link, ".wh.gone", 0o644, "d/new", b"")
    };
    let news = |aci: Aci| {
        aci.file("d/new", 0o644, "upper")
            .dir("d/sub")
            .file("d/sub/y", 0o644, "upper")
    };
    let upper = || Aci::empty().dir("d").dir("tree");
    let capability = [
        1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let long = format!("l/{}", "n".repeat(255));
    let umlauts = format!("l/{}", "ü".repeat(80));
    let attributes = vec![
        Aci::empty()
            .pax([("SCHILY.xattr.security.capability", &capability[..])])
            .file("ping", 0o755, "x")
            .pax([
                ("SCHILY.xattr.user.one", &b"1\0\xff"[..]),
                ("SCHILY.xattr.user.two", b"2"),
            ])
            .file("two", 0o600, "x")
            .pax([("SCHILY.xattr.user.d", &b"d"[..])])
            .dir("l")
            .pax([("path", long.as_bytes())])
            .file("short", 0o644, "long")
            .pax([
                ("path", umlauts.as_bytes()),
                ("mtime", b"1234567890.123456789"),
            ])
            .file("other", 0o644, "fraction")
            .pax([("uid", &b"3000000"[..]), ("gid", b"4000000")])
            .file("far", 0o4711, "owned")
            .pax([("linkpath", "/away".repeat(40).as_bytes())])
            .link("link", "x"),
        Aci::empty()
            .pax([("SCHILY.xattr.user.two", &b"3"[..])])
            .file("two", 0o600, "x"),
    ];
    let links = vec![
        Aci::empty()
            .dir("a")
            .file("a/one", 0o640, "1")
            .link("a/soft", "one")
            .dir("b"),
        Aci::empty()
            .entry(EntryType::Link, "b/one", 0o640, "a/one", b"")
            .entry(EntryType::Link, "b/two", 0o640, "b/one", b"")
            .entry(EntryType::Link, "b/soft", 0o644, "a/soft", b""),
    ];
    let replaced = vec![
        Aci::empty()
            .dir("usr")
            .dir("usr/bin")
            .link("bin", "usr/bin")
            .link("etc", "usr")
            .dir("was")
            .file("was/in", 0o644, "it")
            .file("one", 0o644, "shared")
            .entry(EntryType::Link, "two", 0o644, "one", b""),
        Aci::empty()
            .file("bin/sh", 0o755, "through")
            .dir("etc")
            .file("etc/own", 0o644, "x")
            .file("was", 0o644, "no directory")
            .file("one", 0o600, "another"),
    ];
    let mut many = vec![Aci::empty().dir("n")];
    many.extend((0..18).map(|number: u32| {
        let aci = Aci::empty().file(&format!("n/{number}"), 0o644, "x");
        match number.checked_sub(2) {
            None => aci,
            Some(before) => aci.file(&format!("n/.wh.{before}"), 0o644, ""),
        }
    }));
    vec![
        ("mixed", mixed),
        ("marks-first", vec![lower(), news(marks(upper()))]),
        ("marks-last", vec![lower(), marks(news(upper()))]),
        ("attributes", attributes),
        ("links", links),
        ("replaced", replaced),
        ("many", many),
        ("nothing", vec![base(), Aci::empty()]),
    ]
}

#[test]
fn an_honest_image_has_the_files_that_others_unpack_and_mount() {
    let umoci = tool!("umoci");
    let podman = Podman::new(tool!("podman"));
    require_root!();
    for (name, layers) in honest() {
        let mut layout = Layout::new();
        let layers: Vec<_> = layers
            .into_iter()
            .map(|layer| layout.layer(layer))
            .collect();
        layout.image(name, "{}", &layers);
        let rendered = layout.rendered(name);
        let ours = described(&rendered);
        let overlay = overlay(&layout, name);
        let overlaid = described(Path::new(&format!("/proc/self/fd/{}", overlay.as_raw_fd())));
        claims::same(&format!("{name}: an overlay"), &overlaid, &ours);
        let theirs = unpacked(&umoci, &layout, name);
        // A mark that comes late makes umoci touch what it leaves.
        let seen = |text: String| match name {
            "marks-last" => without_times(&text),
            _ => text,
        };
        let files = seen(described(&theirs));
        claims::same(&format!("{name}: umoci"), &files, &seen(ours.clone()));
        let mode = |path: &Path| fs::metadata(path).unwrap().mode();
        assert_eq!(mode(&theirs), mode(&rendered), "{name}");
        let mounted = podman.mount(&layout, name);
        let theirs = without_times(&described(&mounted));
        claims::same(&format!("{name}: podman"), &theirs, &without_times(&ours));
    }
}

/// The rootfs of an App Container image, in a tar of its own.
fn rootfs(scratch: &Scratch, image: &Path) -> PathBuf {
    let (all, tar) = (scratch.join("all"), scratch.join("rootfs.tar"));
    fs::create_dir(&all).unwrap();
    let unpack = call("tar".as_ref()).arg("-C").arg(&all).arg("-xpf");
    unpack.arg(image).run().exits(0);
    let pack = call("tar".as_ref()).arg("-C").arg(all.join("rootfs"));
    let pack = pack.args(["--numeric-owner", "-cf"]).arg(&tar).arg(".");
    pack.run().exits(0);
    fs::remove_dir_all(all).unwrap();
    tar
}

#[test]
fn debian_has_the_files_that_others_have_whatever_compresses_its_layers() {
    let umoci = tool!("umoci");
    let podman = Podman::new(tool!("podman"));
    let buildah = Podman::new(tool!("buildah"));
    let debian = image!("debian");
    require_root!();
    let layout = Layout::new();
    let tar = rootfs(&layout.scratch, &debian);
    let made = buildah.run(&["from", "scratch"]);
    buildah.run(&["add", "--quiet", &made, tar.to_str().unwrap(), "/"]);
    buildah.run(&["config", "--cmd", "/bin/true", &made]);
    buildah.run(&["commit", "--quiet", "--rm", &made, "base"]);
    let made = buildah.run(&["from", "localhost/base"]);
    let files = PathBuf::from(buildah.run(&["mount", &made]));
    fs::remove_dir_all(files.join("usr/share")).unwrap();
    fs::create_dir_all(files.join("usr/share/new")).unwrap();
    fs::write(files.join("etc/debian_version"), "another").unwrap();
    fs::remove_file(files.join("bin/ls")).unwrap();
    buildah.run(&["umount", &made]);
    buildah.run(&["commit", "--quiet", "--rm", &made, "changed"]);
    let mut seen = Vec::new();
    for format in ["gzip", "zstd"] {
        let compression = format!("--compression-format={format}");
        let to = layout.reference(format);
        buildah.run(&["push", "--quiet", &compression, "localhost/changed", &to]);
        // A store of its own, so that nothing is there already.
        let dir = layout.scratch.join(&format!("dir-{format}"));
        let launch = |words: &[&str]| host::launcher(&dir).args(words).run().exits(0);
        launch(&["fetch", &to]);
        let target = layout.scratch.join(&format!("rendered-{format}"));
        let name = format!("app:{format}");
        launch(&["image", "render", &name, target.to_str().unwrap()]);
        launch(&["image", "verify"]);
        seen.push(described(&target));
    }
    let [gzip, zstd] = &seen[..] else { panic!() };
    claims::same("the files", zstd, gzip);
    assert!(gzip.lines().count() > 2000, "{gzip}");
    let theirs = described(&unpacked(&umoci, &layout, "gzip"));
    claims::same("umoci", &theirs, gzip);
    let theirs = without_times(&described(&podman.mount(&layout, "zstd")));
    claims::same("podman", &theirs, &without_times(gzip));
}

#[test]
fn the_image_for_another_platform_is_the_one_that_others_choose() {
    let skopeo = tool!("skopeo");
    let buildah = Podman::new(tool!("buildah"));
    require_root!();
    let layout = Layout::new();
    buildah.run(&["manifest", "create", "list"]);
    for platform in [
        "linux/amd64",
        "linux/arm64/v8",
        "linux/arm/v7",
        "linux/arm/v6",
    ] {
        let made = buildah.run(&["from", "scratch"]);
        let file = layout.scratch.write("platform", platform);
        buildah.run(&["add", "--quiet", &made, file.to_str().unwrap(), "/platform"]);
        let mut parts = platform.split('/').skip(1);
        let (arch, variant) = (parts.next().unwrap(), parts.next().unwrap_or_default());
        buildah.run(&["config", "--arch", arch, "--variant", variant, &made]);
        let image = platform.replace('/', "-");
        buildah.run(&["commit", "--quiet", "--rm", &made, &image]);
        let image = format!("localhost/{image}");
        buildah.run(&["manifest", "add", "list", &image]);
    }
    buildah.run(&[
        "manifest",
        "push",
        "--all",
        "list",
        &layout.reference("multi"),
    ]);
    for (platform, expected, options) in [
        (
            "linux/arm64",
            "linux/arm64/v8",
            &["--override-arch=arm64"][..],
        ),
        (
            "linux/arm/v7",
            "linux/arm/v7",
            &["--override-arch=arm", "--override-variant=v7"],
        ),
        (
            "linux/arm/v6",
            "linux/arm/v6",
            &["--override-arch=arm", "--override-variant=v6"],
        ),
        ("linux/amd64", "linux/amd64", &["--override-arch=amd64"]),
    ] {
        let fetch = [
            "fetch",
            "--full",
            "--platform",
            platform,
            &layout.reference("multi"),
        ];
        let id = layout.launch(&fetch).run().exits(0).stdout;
        let id = id.trim_end();
        let inspect = call(&skopeo)
            .args(options)
            .args(["inspect", "--config", "--raw"]);
        let theirs = inspect.arg(layout.reference("multi")).run().exits(0).stdout;
        assert_eq!(
            digest(theirs.as_bytes()).replace(':', "-"),
            id,
            "{platform}"
        );
        let target = layout.scratch.join(&platform.replace('/', "-"));
        let render = layout.launch(&["image", "render", id]).arg(&target);
        render.run().exits(0);
        assert_eq!(
            fs::read_to_string(target.join("platform")).unwrap(),
            expected
        );
    }
}
