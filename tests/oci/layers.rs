//! Layers change what those below have, in whatever order their entries are: in an
//! overlay, in a copy, and as another unpacker does it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use tar::EntryType;

use super::{Layout, base, tree};
use crate::aci::Aci;
use crate::host::{self, names};

/// Runs an image and lists what is in a directory of it.
#[track_caller]
fn shown(layout: &Layout, name: &str, path: &str, options: &[&str]) -> Vec<String> {
    let list = ["/bin/probe", "--list", path];
    let call = layout
        .launch(&["run"])
        .args(options)
        .arg(layout.reference(name));
    let ran = call.arg("--").args(list).run().exits(0);
    let mut names: Vec<_> = ran.stdout.lines().map(str::to_owned).collect();
    names.sort();
    names
}

fn lower() -> Aci {
    Aci::empty()
        .dir("d")
        .file("d/a", 0o644, "lower")
        .file("d/b", 0o644, "lower")
        .dir("d/sub")
        .file("d/sub/x", 0o644, "lower")
        .file("gone", 0o644, "lower")
        .dir("tree")
        .file("tree/leaf", 0o644, "lower")
        .dir("usr")
        .dir("usr/lib")
        .link("lib", "usr/lib")
}

#[test]
fn what_a_layer_takes_away_is_gone_wherever_the_mark_is() {
    let upper = |first: bool| {
        let mark = |aci: Aci, here: bool| match here {
            true => aci
                .file("d/.wh..wh..opq", 0o644, "")
                .file("tree/.wh.new", 0o644, "")
                .file(".wh.tree", 0o644, "a body")
                .entry(EntryType::Link, ".wh.gone", 0o644, "d/new", b""),
            false => aci,
        };
        let aci = Aci::empty().dir("d").file("d/new", 0o644, "upper");
        let aci = match first {
            true => mark(Aci::empty().dir("d"), true).file("d/new", 0o644, "upper"),
            false => aci,
        };
        let aci = aci
            .dir("d/sub")
            .file("d/sub/y", 0o644, "upper")
            .dir("tree")
            .file("tree/new", 0o644, "upper");
        mark(aci, !first)
    };
    for first in [true, false] {
        let mut layout = Layout::new();
        let layers = [base(), lower(), upper(first)].map(|layer| layout.layer(layer));
        layout.image("it", "{}", &layers);
        let rendered = layout.rendered("it");
        let expected = [
            "d/", "d/new", "d/sub/", "d/sub/y", "lib", "tree/", "tree/new", "usr/", "usr/lib/",
        ];
        let found = tree(&rendered);
        let found = found
            .iter()
            .filter(|name| !name.starts_with("bin") && *name != "etc/");
        assert_eq!(
            found.collect::<Vec<_>>(),
            expected.iter().collect::<Vec<_>>(),
            "{first}"
        );
        for options in [&[][..], &["--no-overlay"]] {
            assert_eq!(shown(&layout, "it", "/d", options), ["new", "sub"]);
            assert_eq!(shown(&layout, "it", "/d/sub", options), ["y"]);
            assert_eq!(shown(&layout, "it", "/tree", options), ["new"]);
            let root = shown(&layout, "it", "/", options);
            assert!(!root.contains(&"gone".to_owned()), "{root:?}");
        }
    }
}

#[test]
fn what_is_hidden_says_nothing_of_what_comes_in_its_place() {
    let mut layout = Layout::new();
    let below = Aci::empty()
        .dir("d")
        .entry(EntryType::Directory, "d/sub", 0o700, "", b"")
        .file("d/sub/old", 0o600, "old");
    let above = || Aci::empty().dir("d").file("d/.wh..wh..opq", 0o644, "");
    let below = layout.layer(below);
    // Its directory has no entry of its own.
    let implied = layout.layer(above().file("d/sub/new", 0o644, "new"));
    layout.image("it", "{}", &[below.clone(), implied]);
    let rendered = layout.rendered("it");
    assert_eq!(tree(&rendered), ["d/", "d/sub/", "d/sub/new"]);
    let status = fs::metadata(rendered.join("d/sub")).unwrap();
    assert_eq!(status.mode() & 0o7777, 0o755);
    let link = above().entry(EntryType::Link, "d/link", 0o644, "d/sub/old", b"");
    let link = layout.layer(link);
    layout.image("link", "{}", &[below, link]);
    let fetch = layout.launch(&["fetch", &layout.reference("link")]);
    let told = fetch.run().exits(1).told();
    assert!(told.contains("d/sub/old"), "{told}");
}

#[test]
fn the_last_of_several_entries_counts_and_the_archive_is_still_whole() {
    let twice = Aci::empty()
        .dir("etc")
        .file("etc/a", 0o644, "first")
        .entry(EntryType::Link, "etc/also", 0o644, "etc/a", b"")
        .file("etc/a", 0o600, "second, longer")
        .dir("etc/t")
        .file("etc/t/below", 0o644, "replaced")
        .file("etc/t", 0o644, "no directory")
        .file("etc/a", 0o640, "third");
    let mut layout = Layout::new();
    let layers = [base(), twice].map(|layer| layout.layer(layer));
    layout.image("it", "{}", &layers);
    let rendered = layout.rendered("it");
    let read = |name: &str| fs::read_to_string(rendered.join("etc").join(name)).unwrap();
    assert_eq!(read("a"), "third");
    assert_eq!(read("also"), "first");
    assert_eq!(read("t"), "no directory");
    assert_eq!(
        fs::metadata(rendered.join("etc/a")).unwrap().mode() & 0o777,
        0o640
    );
    layout.launch(&["image", "verify"]).run().exits(0);
}

#[test]
fn what_an_archive_only_implies_is_taken_from_the_layers_below() {
    let below = |mode| {
        base().odd(EntryType::Directory, "p/", b"", move |header| {
            header.set_mode(mode);
            header.set_uid(7);
            header.set_mtime(1_000_000_000);
        })
    };
    let over = || {
        Aci::empty()
            .file("p/q/new", 0o644, "x")
            .file("lib/x", 0o644, "x")
    };
    let mut layout = Layout::new();
    let over = layout.layer(over());
    for (name, mode) in [("one", 0o711), ("two", 0o750)] {
        let lower = layout.layer(below(mode).dir("usr").dir("usr/lib").link("lib", "usr/lib"));
        layout.image(name, "{}", &[lower, over.clone()]);
    }
    layout.image("alone", "{}", std::slice::from_ref(&over));
    for (name, mode, uid) in [("alone", 0o755, 0), ("one", 0o711, 7), ("two", 0o750, 7)] {
        let rendered = layout.rendered(name);
        let status = fs::metadata(rendered.join("p")).unwrap();
        assert_eq!((status.mode() & 0o777, status.uid()), (mode, uid), "{name}");
        assert_eq!(names(&rendered.join("p")), ["q"]);
        let lib = if name == "alone" { "lib" } else { "usr/lib" };
        assert_eq!(names(&rendered.join(lib)), ["x"], "{name}");
        let is_link = rendered.join("lib").is_symlink();
        assert_eq!(is_link, name != "alone", "{name}");
    }
    layout.launch(&["image", "verify"]).run().exits(0);
}

#[test]
fn an_ordinary_user_stores_and_merges_what_layers_take_away() {
    require_root!();
    let layers = [
        lower(),
        Aci::empty()
            .dir("d")
            .file("d/.wh..wh..opq", 0o644, "")
            .file("d/new", 0o644, "upper")
            .file("tree", 0o644, "no directory")
            .file(".wh.gone", 0o644, "")
            .odd(EntryType::Char, "null", b"", |header| {
                header.set_device_major(1).unwrap();
                header.set_device_minor(3).unwrap();
            }),
    ];
    let mut layout = Layout::new();
    let layers = layers.map(|layer| layout.layer(layer));
    layout.image("it", "{}", &layers);
    let program = host::public_copy(&layout.scratch, &host::program(), "launcher");
    let home = layout.scratch.join("home");
    fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(1000), None).unwrap();
    let launch = |words: &[&str]| {
        let call = host::call(&program).user(1000).arg("--dir");
        call.arg(home.join("dir")).args(words).run().exits(0)
    };
    launch(&["fetch", &layout.reference("it")]);
    launch(&["image", "verify"]);
    let target = home.join("rendered");
    launch(&["image", "render", "app:it", target.to_str().unwrap()]);
    let expected = ["d/", "d/new", "lib", "tree", "usr/", "usr/lib/"];
    assert_eq!(tree(&target), expected);
    let mut marks = vec![0; 4096];
    let length = rustix::fs::llistxattr(target.join("d"), &mut marks[..]);
    assert_eq!(length, Ok(0));
}

#[test]
fn a_mark_acts_on_what_its_name_is_and_an_entry_makes_room_for_itself() {
    let linked = |aci: Aci| aci.link("way", "tree").link("to", "/tree");
    let lower = linked(lower()).file("plain", 0o644, "a file").dir("old");
    let upper = Aci::empty()
        // The link itself has nothing in it.
        .file("way/.wh..wh..opq", 0o644, "")
        // What is below a link is where the link leads.
        .file("to/.wh.leaf", 0o644, "")
        .file("plain/below", 0o644, "x")
        .dir(".wh.gone")
        .link(".wh.old", "nowhere")
        .file("both/.wh.one", 0o644, "")
        .file("both/one", 0o644, "stays")
        .file("both/two", 0o644, "stays")
        .file("both/.wh.two", 0o644, "")
        // A link to what comes later, in a directory that nobody has made.
        .entry(EntryType::Link, "new/early", 0o644, "late", b"")
        .file("late", 0o644, "late");
    let mut layout = Layout::new();
    let layers = [lower, upper].map(|layer| layout.layer(layer));
    layout.image("it", "{}", &layers);
    let rendered = layout.rendered("it");
    let expected = "both/ both/one both/two d/ d/a d/b d/sub/ d/sub/x late lib new/ new/early \
                    plain/ plain/below to tree/ usr/ usr/lib/ way";
    assert_eq!(tree(&rendered).join(" "), expected);
    let inode = |name: &str| fs::metadata(rendered.join(name)).unwrap().ino();
    assert_eq!(inode("late"), inode("new/early"));
    layout.launch(&["image", "verify"]).run().exits(0);
}

#[test]
fn attributes_that_are_an_overlays_or_the_hosts_business_are_dropped() {
    require_root!();
    let names = [
        "trusted.overlay.opaque",
        "trusted.overlay.redirect",
        "user.overlay.opaque",
        "user.overlay.whiteout",
        "security.selinux",
        "security.ima",
    ];
    let names = names.map(|name| format!("SCHILY.xattr.{name}"));
    let records = || names.iter().map(|name| (&**name, &b"y"[..]));
    let kept = [("SCHILY.xattr.user.kept", &b"1"[..])];
    let upper = Aci::empty()
        .pax(records().chain(kept))
        .dir("d")
        .pax(records())
        .file("file", 0o644, "");
    let mut layout = Layout::new();
    let layers = [lower(), upper].map(|layer| layout.layer(layer));
    layout.image("it", "{}", &layers);
    let rendered = layout.rendered("it");
    assert!(rendered.join("d/a").exists());
    for (name, expected) in [("d", "user.kept\0"), ("file", "")] {
        let mut list = vec![0; 4096];
        let length = rustix::fs::llistxattr(rendered.join(name), &mut list[..]).unwrap();
        assert_eq!(&list[..length], expected.as_bytes(), "{name}");
    }
    layout.launch(&["image", "verify"]).run().exits(0);
}

#[test]
fn a_time_that_a_file_cannot_have_becomes_one_that_it_can() {
    let odd = Aci::empty()
        .pax([("mtime", &b"-5"[..])])
        .file("before", 0o644, "")
        .pax([("mtime", &b"9223372036854775807"[..])])
        .file("huge", 0o644, "")
        .odd(EntryType::Regular, "far", b"", |header| {
            let time = &mut header.as_mut_bytes()[136..148];
            time.copy_from_slice(&[0x80, 0, 0, 0, 0x7f, 0xff, 0, 0, 0, 0, 0, 0]);
        });
    let mut layout = Layout::new();
    let layer = layout.layer(odd);
    layout.image("it", "{}", &[layer]);
    let rendered = layout.rendered("it");
    let time = |name: &str| fs::metadata(rendered.join(name)).unwrap().mtime();
    assert_eq!(time("before"), -5);
    for name in ["huge", "far"] {
        assert!(time(name) > 4_000_000_000, "{name}: {}", time(name));
    }
    layout.launch(&["image", "verify"]).run().exits(0);
}

#[test]
fn a_layer_may_be_there_twice_or_have_nothing() {
    let mut layout = Layout::new();
    let layer = layout.layer(Aci::empty().dir("n").file("n/a", 0o644, "x"));
    let nothing = layout.layer(Aci::empty());
    let away = layout.layer(Aci::empty().dir("n").file("n/.wh.a", 0o644, ""));
    let layers = [
        layout.layer(base()),
        layer.clone(),
        nothing.clone(),
        away,
        nothing,
        layer,
    ];
    layout.image("twice", "{}", &layers);
    assert_eq!(shown(&layout, "twice", "/n", &[]), ["a"]);
}

#[test]
fn layers_are_read_in_every_compression_whatever_their_type_says() {
    let zstd = tool!("zstd");
    let mut layout = Layout::new();
    let mut tar = Aci::empty()
        .file("content", 0o644, "x".repeat(100_000))
        .bytes();
    // Another reader pads to a whole record.
    tar.resize(tar.len().next_multiple_of(10_240), 0);
    let file = layout.scratch.write("tar", &tar);
    let pack = |words: &[&str]| {
        let out = layout.scratch.join("packed");
        let _ = fs::remove_file(&out);
        let call = host::call(Path::new("/bin/sh"));
        let line = format!(
            "{} < {} > {}",
            words.join(" "),
            file.display(),
            out.display()
        );
        call.args(["-c", &line]).run().exits(0);
        fs::read(out).unwrap()
    };
    let zstd = zstd.to_str().unwrap();
    let gzip = pack(&["gzip"]);
    let whole = pack(&[zstd, "-q"]);
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"TOC"].concat();
    let halves = |pack: &dyn Fn(&[u8]) -> Vec<u8>| {
        let (one, other) = tar.split_at(tar.len() / 2);
        [pack(one), pack(other)].concat()
    };
    let framed = halves(&|part| {
        fs::write(&file, part).unwrap();
        [pack(&[zstd, "-q"]), skipped.clone()].concat()
    });
    let members = halves(&|part| {
        fs::write(&file, part).unwrap();
        pack(&["gzip"])
    });
    for (name, packed) in [
        ("plain", tar.clone()),
        ("padded", [&gzip[..], &[0; 512]].concat()),
        ("gzip", gzip),
        ("members", members),
        ("zstd", whole),
        ("frames", framed),
    ] {
        let layer = layout.packed(&tar, &packed);
        layout.image(name, &format!(r#"{{"Labels":{{"a":"{name}"}}}}"#), &[layer]);
        // A store of its own, so that nothing is there already.
        let dir = layout.scratch.join(&format!("dir-{name}"));
        host::launcher(&dir)
            .args(["fetch", &layout.reference(name)])
            .run()
            .exits(0);
        let layer = dir
            .join("layers")
            .join(super::digest(&tar).replace(':', "-"));
        let content = fs::read(layer.join("rootfs/content")).unwrap();
        assert_eq!(content.len(), 100_000, "{name}");
    }
}
