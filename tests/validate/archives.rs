//! What `launcher validate` says of archives and of layouts.

use std::fs;

use tar::EntryType;

use super::{image, validate, verdict};
use crate::aci::Aci;
use crate::golden::Cases;
use crate::host::{self, Scratch, launcher};

/// Both verdicts on archives, and what ours says of them.
#[track_caller]
fn archives(title: &str, expected: bool, theirs: bool, images: Vec<(&str, Vec<u8>)>) {
    let mut cases = Cases::default();
    let scratch = Scratch::new();
    let actool = host::find_tool("actool");
    for (name, bytes) in images {
        let file = scratch.write("image.aci", bytes);
        let ran = validate(&host::program(), &file);
        assert_eq!(ran.succeeded(), expected, "{name}\n{ran:?}");
        cases.add(name, &verdict(ran, &file));
        if let Some(actool) = &actool {
            let ran = validate(actool, &file);
            assert_eq!(ran.succeeded(), theirs, "{name}\n{ran:?}");
        }
    }
    cases.as_written(title);
    if actool.is_none() {
        host::skipped("the other half needs `actool`; see `cargo xtask setup`");
    }
}

#[test]
fn both_refuse_archives_that_are_no_images() {
    let sound = image("");
    let new = || Aci::new(&sound);
    archives(
        "both refuse archives that are no images",
        false,
        false,
        vec![
            ("empty file", Vec::new()),
            ("random bytes", vec![0x93; 700]),
            ("no manifest", Aci::empty().dir("rootfs").bytes()),
            (
                "no rootfs",
                Aci::empty().file("manifest", 0o644, &sound).bytes(),
            ),
            (
                "no entry of rootfs",
                Aci::empty()
                    .file("manifest", 0o644, &sound)
                    .file("rootfs/a", 0o644, "")
                    .bytes(),
            ),
            (
                "manifest twice",
                new().file("manifest", 0o644, &sound).bytes(),
            ),
            (
                "file twice",
                new()
                    .file("rootfs/a", 0o644, "")
                    .file("rootfs/a", 0o644, "")
                    .bytes(),
            ),
            (
                "file twice, spelled differently",
                new()
                    .file("rootfs/a", 0o644, "")
                    .file("rootfs/./a", 0o644, "")
                    .bytes(),
            ),
            ("file beside them", new().file("README", 0o644, "").bytes()),
            (
                "file below the manifest",
                new().file("manifest/x", 0o644, "").bytes(),
            ),
            ("absolute", new().file("/rootfs/x", 0o644, "").bytes()),
            (
                "way out",
                new().file("rootfs/../../etc/x", 0o644, "").bytes(),
            ),
            (
                "manifest a link",
                Aci::empty()
                    .dir("rootfs")
                    .link("manifest", "rootfs/m")
                    .bytes(),
            ),
            (
                "rootfs a link",
                Aci::empty()
                    .file("manifest", 0o644, &sound)
                    .link("rootfs", "/")
                    .bytes(),
            ),
            (
                "rootfs a file",
                Aci::empty()
                    .file("manifest", 0o644, &sound)
                    .file("rootfs", 0o644, "")
                    .bytes(),
            ),
            ("manifest that breaks a rule", Aci::new("{}").bytes()),
        ],
    );
}

#[test]
fn both_accept_archives_that_are_images() {
    let sound = image("");
    archives(
        "both accept archives that are images",
        true,
        true,
        vec![
            ("the least", Aci::new(&sound).bytes()),
            (
                "rootfs first, dots before names",
                Aci::empty()
                    .dir("./rootfs")
                    .file("./manifest", 0o644, &sound)
                    .bytes(),
            ),
            (
                "names that mislead",
                Aci::new(&sound)
                    .file("rootfs/manifest", 0o644, "no JSON")
                    .dir("rootfs/dir")
                    .dir("rootfs/dir/rootfs")
                    .bytes(),
            ),
            (
                "a link to anywhere",
                Aci::new(&sound)
                    .link("rootfs/a", "/../../etc/passwd")
                    .bytes(),
            ),
        ],
    );
}

#[test]
fn archives_that_only_the_specification_refuses_are_refused() {
    let sound = image("");
    archives(
        "archives that only the specification refuses are refused",
        false,
        true,
        vec![
            (
                "beside rootfs",
                Aci::new(&sound).file("rootfs-evil/x", 0o644, "").bytes(),
            ),
            (
                "roundabout",
                Aci::new(&sound)
                    .file("rootfs/../rootfs/x", 0o644, "")
                    .bytes(),
            ),
            ("rootfs twice", Aci::new(&sound).dir("rootfs").bytes()),
        ],
    );
}

/// A hard link to this target.
fn linked(image: Aci, path: &str, target: &str) -> Aci {
    image.entry(EntryType::Link, path, 0o644, target, b"")
}

/// A character device of these numbers.
fn device(image: Aci, path: &str, major: u32, minor: u32) -> Aci {
    image.odd(EntryType::Char, path, b"", |header| {
        header.set_device_major(major).unwrap();
        header.set_device_minor(minor).unwrap();
    })
}

#[test]
fn what_is_not_stored_is_not_valid_for_the_same_reason() {
    require_root!();
    let sound = image("");
    let new = || Aci::new(&sound);
    let file = |image: Aci, path: &str| image.file(path, 0o644, "");
    let mut cases = Cases::default();
    for (name, stored, image) in [
        ("no target", false, linked(new(), "rootfs/h", "rootfs/none")),
        ("a target that comes later", false, {
            file(linked(new(), "rootfs/h", "rootfs/f"), "rootfs/f")
        }),
        ("a directory as the target", false, {
            linked(new().dir("rootfs/d"), "rootfs/h", "rootfs/d")
        }),
        ("a target below a file", false, {
            linked(file(new(), "rootfs/f"), "rootfs/h", "rootfs/f/x")
        }),
        ("a child of a file", false, {
            file(file(new(), "rootfs/f"), "rootfs/f/x")
        }),
        ("a child of a pipe", false, {
            let pipe = new().entry(EntryType::Fifo, "rootfs/p", 0o644, "", b"");
            file(pipe, "rootfs/p/x/y")
        }),
        ("a child of a link to nowhere", false, {
            file(new().link("rootfs/l", "none"), "rootfs/l/x")
        }),
        ("a child of a circle", false, {
            file(new().link("rootfs/l", "l"), "rootfs/l/x")
        }),
        ("a file through a link", false, {
            let image = file(new().dir("rootfs/d").link("rootfs/l", "/d"), "rootfs/d/x");
            file(image, "rootfs/l/x")
        }),
        ("a directory through a link", false, {
            let image = new().dir("rootfs/d").dir("rootfs/d/x");
            image.link("rootfs/l", "d").dir("rootfs/l/x")
        }),
        ("a hard link through a link", false, {
            let image = file(new().dir("rootfs/d").link("rootfs/l", "/d"), "rootfs/d/x");
            linked(image, "rootfs/l/x", "rootfs/d/x")
        }),
        ("a directory in place of a link", false, {
            new().link("rootfs/l", "d").dir("rootfs/l")
        }),
        ("a whiteout", false, device(new(), "rootfs/w", 0, 0)),
        ("content that is cut off", false, {
            new().odd(EntryType::Regular, "rootfs/f", b"", |header| {
                header.set_size(9999)
            })
        }),
        ("a device", true, device(new(), "rootfs/null", 1, 3)),
        ("a directory after its entries", true, {
            file(new(), "rootfs/d/e/f")
                .dir("rootfs/d/e")
                .dir("rootfs/d")
        }),
        ("a hard link to a link", true, {
            linked(new().link("rootfs/l", "none"), "rootfs/h", "rootfs/l")
        }),
        ("links to directories", true, {
            let image = new().dir("rootfs/d").link("rootfs/l", "../../d");
            let image = file(image.link("rootfs/m", "/l/."), "rootfs/m/e/x");
            linked(image, "rootfs/h", "rootfs/l/e/x")
        }),
    ] {
        let scratch = Scratch::new();
        let path = scratch.write("image.aci", image.bytes());
        let fetch = launcher(&scratch.join("dir")).arg("fetch");
        let fetched = fetch
            .args(["--insecure-options=image", "--quiet"])
            .arg(&path)
            .run();
        let ran = validate(&host::program(), &path);
        assert_eq!(fetched.succeeded(), stored, "{name}\n{fetched:?}");
        assert_eq!(ran.succeeded(), stored, "{name}\n{ran:?}");
        if stored {
            continue;
        }
        let told = verdict(ran, &path);
        let reason = told.strip_prefix("FILE NOT OK: ").unwrap();
        let (reason, place) = reason.rsplit_once(" (byte ").unwrap();
        assert!(place.ends_with(" of the tar)\n"), "{name}: {told}");
        assert_eq!(
            fetched.naming("FILE", &path).told(),
            format!("launcher: image `FILE` is not valid: {reason}\n"),
            "{name}"
        );
        cases.add(name, &told);
    }
    cases.as_written("what is not stored");
}

#[test]
fn all_faults_of_an_archive_are_told_with_their_places() {
    let mut cases = Cases::default();
    let scratch = Scratch::new();
    let mut told = |name: &str, image: Aci| {
        let file = scratch.write("image.aci", image.bytes());
        let ran = validate(&host::program(), &file).exits(1);
        cases.add(name, &verdict(ran, &file));
    };
    let sound = image("");
    let image = device(Aci::new(&sound), "rootfs/w", 0, 0)
        .file("rootfs/f", 0o644, [7; 3000])
        .file("rootfs/f/x", 0o644, [7; 3000])
        .file("README", 0o644, "")
        .entry(EntryType::new(b'V'), "rootfs/v", 0o644, "", b"")
        .odd(EntryType::Regular, "rootfs/u", b"", |header| {
            header.as_gnu_mut().unwrap().uid = *b"zzzzzzz\0";
        })
        .file("rootfs/f", 0o644, "");
    told("of its entries", linked(image, "rootfs/h", "rootfs/none"));
    let manifest = sound.replace("example", "Example");
    let image = Aci::empty().file("manifest", 0o644, manifest);
    told(
        "of its entries, its manifest, and as a whole",
        image.file("x", 0o644, ""),
    );
    let image = device(Aci::new(&sound), "rootfs/w", 0, 0);
    told("until its end cannot be found", {
        image.odd(EntryType::Regular, "rootfs/x", b"", |header| {
            header.set_size(1 << 30)
        })
    });
    let mut image = Aci::new(&sound);
    for number in 0..60 {
        image = device(image, &format!("rootfs/w{number:02}"), 0, 0);
    }
    let file = scratch.write("image.aci", image.bytes());
    let all = validate(&host::program(), &file).exits(1).stdout;
    let lines: Vec<_> = all.lines().collect();
    assert_eq!(lines.len(), 51);
    cases.add(
        "of very many, the last line",
        &format!("{}\n", lines[50].rsplit('/').next().unwrap()),
    );
    cases.as_written("several faults");
}

#[test]
fn layouts_are_judged_like_images() {
    let scratch = Scratch::new();
    let make = |name: &str, manifest: Option<&str>, rootfs: bool| {
        let layout = scratch.join(name);
        fs::create_dir(&layout).unwrap();
        if let Some(manifest) = manifest {
            fs::write(layout.join("manifest"), manifest).unwrap();
        }
        if rootfs {
            fs::create_dir(layout.join("rootfs")).unwrap();
        }
        layout
    };
    let sound = image("");
    let more = make("more", Some(&sound), true);
    fs::write(more.join("README"), "").unwrap();
    let linked = make("linked", None, true);
    std::os::unix::fs::symlink(scratch.join("sound/manifest"), linked.join("manifest")).unwrap();
    let mut cases = Cases::default();
    for (layout, status) in [
        (make("sound", Some(&sound), true), 0),
        (make("bare", None, true), 1),
        (make("rootless", Some(&sound), false), 1),
        (make("broken", Some("{}"), true), 1),
        (linked, 1),
        (more, 1),
    ] {
        let ran = validate(&host::program(), &layout).exits(status);
        let name = layout.file_name().unwrap().to_string_lossy().into_owned();
        cases.add(name, &verdict(ran, &layout));
    }
    cases.as_written("layouts");
}
