//! What `launcher validate` says of archives and of layouts.

use std::fs;

use super::{image, validate, verdict};
use crate::aci::Aci;
use crate::golden::Cases;
use crate::host::{self, Scratch};

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
