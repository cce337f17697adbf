//! What is not what its digests say, or what no layer may have, is refused with a
//! sentence, and nothing of the image is left.

use std::fs;

use tar::EntryType;

use super::{Blob, LAYER, Layout, MANIFEST, base, digest};
use crate::aci::Aci;
use crate::host::names;

/// Fetches the image `bad`, which is refused as stands under the title, and leaves
/// no image and no layer but sound ones, as far as they were complete by then.
#[track_caller]
fn refused(layout: &Layout, title: &str, sound: usize) {
    let place = layout.scratch.path();
    layout
        .launch(&["fetch", &layout.reference("bad")])
        .run()
        .naming("PLACE", place)
        .exits(1)
        .says("")
        .complains_as(title);
    assert_eq!(names(&layout.dir().join("images")), [""; 0]);
    assert!(names(&layout.dir().join("layers")).len() <= sound);
    assert_eq!(names(&layout.dir().join("tmp")), [""; 0]);
}

fn some_layer(layout: &Layout) -> Blob {
    layout.layer(Aci::empty().dir("a").file("a/b", 0o644, "content"))
}

#[test]
fn a_blob_that_is_not_the_one_that_was_announced_is_refused() {
    type Break = fn(&Layout, &Blob, &Blob, &Blob);
    let cases: [(&str, Break); 6] = [
        ("a changed layer", |layout, _, _, layer| {
            let path = layout.blob_path(&layer.digest);
            let mut bytes = fs::read(&path).unwrap();
            let at = bytes.windows(7).position(|seven| seven == b"content");
            bytes[at.unwrap()] = b'C';
            fs::write(path, bytes).unwrap();
        }),
        ("a layer that is too short", |layout, _, _, layer| {
            let path = layout.blob_path(&layer.digest);
            let bytes = fs::read(&path).unwrap();
            fs::write(path, &bytes[..bytes.len() - 512]).unwrap();
        }),
        ("a layer that is too long", |layout, _, _, layer| {
            let path = layout.blob_path(&layer.digest);
            let bytes = fs::read(&path).unwrap();
            fs::write(path, [&bytes[..], &[0; 512]].concat()).unwrap();
        }),
        ("a layer that is missing", |layout, _, _, layer| {
            fs::remove_file(layout.blob_path(&layer.digest)).unwrap();
        }),
        ("a changed configuration", |layout, _, config, _| {
            let path = layout.blob_path(&config.digest);
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text.replace("linux", "Linux")).unwrap();
        }),
        ("a changed manifest", |layout, manifest, _, _| {
            let path = layout.blob_path(&manifest.digest);
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text.replace("schemaVersion\":2", "schemaVersion\":3")).unwrap();
        }),
    ];
    for (title, spoil) in cases {
        let mut layout = Layout::new();
        let layer = some_layer(&layout);
        let config = layout.config("{}", std::slice::from_ref(&layer));
        let manifest = layout.manifest(&config, std::slice::from_ref(&layer));
        layout.list(&manifest, "bad");
        spoil(&layout, &manifest, &config, &layer);
        refused(&layout, title, 0);
    }
}

#[test]
fn a_layer_whose_content_has_another_digest_than_the_configuration_says_is_refused() {
    let mut layout = Layout::new();
    let layer = Blob {
        diff_id: digest(b"something else"),
        ..some_layer(&layout)
    };
    layout.image("bad", "{}", &[layer]);
    refused(&layout, "another content", 0);
}

#[test]
fn as_many_layers_are_in_the_manifest_as_in_the_configuration() {
    let mut layout = Layout::new();
    let layer = some_layer(&layout);
    let config = layout.config("{}", &[]);
    let manifest = layout.manifest(&config, &[layer]);
    layout.list(&manifest, "bad");
    refused(&layout, "a layer too many", 0);
}

#[test]
fn what_no_layer_may_have_is_refused() {
    let long = "n".repeat(256);
    let owned = |record, id: &str| {
        Aci::empty()
            .pax([(record, id.as_bytes())])
            .file("a", 0o644, "")
    };
    let cases = [
        ("a name that is too long", owned("path", &long)),
        ("a path with a NUL", owned("path", "a\0b")),
        ("an owner that no file has", owned("uid", "4294967295")),
        (
            "a group that no file has",
            owned("gid", "99999999999999999999"),
        ),
        (
            "a path that leads out",
            Aci::empty().file("a/../../b", 0o644, ""),
        ),
        (
            "a whiteout of nothing",
            Aci::empty().file("a/.wh.", 0o644, ""),
        ),
        (
            "a whiteout of a directory itself",
            Aci::empty().file("a/.wh..", 0o644, ""),
        ),
        (
            "an entry below a whiteout",
            Aci::empty().file(".wh.a/b", 0o644, ""),
        ),
        (
            "a hard link that leads out",
            Aci::empty().entry(EntryType::Link, "a", 0o644, "../b", b""),
        ),
        (
            "a hard link to nothing",
            Aci::empty().entry(EntryType::Link, "a", 0o644, "b", b""),
        ),
        (
            "a hard link to a directory",
            Aci::empty()
                .dir("b")
                .entry(EntryType::Link, "a", 0o644, "b", b""),
        ),
        (
            "a hard link to what is removed",
            Aci::empty()
                .file(".wh.b", 0o644, "")
                .entry(EntryType::Link, "a", 0o644, "b", b""),
        ),
        (
            "a link that leads to itself",
            Aci::empty().link("a", "a").file("a/b", 0o644, ""),
        ),
    ];
    for (title, bad) in cases {
        let mut layout = Layout::new();
        let layers = [some_layer(&layout), layout.layer(bad)];
        layout.image("bad", "{}", &layers);
        refused(&layout, title, 1);
    }
}

// An overlay would hide files of lower layers for it.
#[test]
fn a_device_that_is_a_whiteout_of_overlayfs_hides_nothing_and_is_left_out() {
    require_root!();
    let mut layout = Layout::new();
    let mut layers = vec![layout.layer(base())];
    layers.push(layout.layer(Aci::empty().dir("d").file("d/a", 0o644, "x")));
    let mut bad = Aci::empty();
    for path in ["d/a", "d/b"] {
        bad = bad.odd(EntryType::Char, path, b"", |header| {
            header.set_device_major(0).unwrap();
            header.set_device_minor(0).unwrap();
        });
    }
    layers.push(layout.layer(bad));
    layout.image("bad", r#"{"Entrypoint":["/bin/probe"]}"#, &layers);
    let ran = layout.run("bad", &["--list", "/d"]).run().exits(0);
    ran.says("a\n").complains_as("devices that are left out");
    layout.launch(&["image", "verify"]).run().exits(0);
}

#[test]
fn a_path_that_no_call_takes_is_refused() {
    let mut layout = Layout::new();
    let deep = "d/".repeat(2100) + "f";
    let layer = Aci::empty().pax([("path", deep.as_bytes())]);
    let layer = layout.layer(layer.file("a", 0o644, ""));
    layout.image("bad", "{}", &[layer]);
    let ran = layout.launch(&["fetch", &layout.reference("bad")]).run();
    let ran = ran.exits(1).says("");
    assert!(
        ran.stderr
            .ends_with("` has a path longer than 4000 bytes\n"),
        "{}",
        ran.stderr
    );
    assert_eq!(names(&layout.dir().join("layers")), [""; 0]);
}

#[test]
fn a_layer_that_is_cut_off_is_refused() {
    let mut layout = Layout::new();
    let whole = Aci::empty().file("a", 0o644, "content").bytes();
    for (title, part) in [
        ("cut off in a file", &whole[..600]),
        ("no archive", b"this is not a tar".as_slice()),
    ] {
        layout.entries.clear();
        let layer = layout.blob(LAYER, part);
        layout.image("bad", "{}", &[layer]);
        refused(&layout, title, 0);
    }
}

#[test]
fn no_entry_is_written_through_a_link_of_a_lower_layer_to_the_host() {
    let mut layout = Layout::new();
    let outside = layout.scratch.join("outside");
    fs::create_dir(&outside).unwrap();
    let to = outside.to_str().unwrap();
    let up = format!("../../../../../../../..{to}");
    let layers = [
        base().link("far", to).link("up", &up),
        Aci::empty()
            .file("far/a", 0o644, "x")
            .file("up/b", 0o644, "x")
            .file("far/.wh.c", 0o644, "")
            .dir("etc"),
    ];
    fs::write(outside.join("c"), "stays").unwrap();
    let layers = layers.map(|layer| layout.layer(layer));
    layout.image("far", "{}", &layers);
    let rendered = layout.rendered("far");
    assert_eq!(names(&outside), ["c"]);
    let inside = rendered.join(to.trim_start_matches('/'));
    assert_eq!(names(&inside), ["a", "b"]);
}

#[test]
fn several_images_are_listed_and_none_is_guessed() {
    let mut layout = Layout::new();
    let layer = some_layer(&layout);
    layout.image("one", "{}", std::slice::from_ref(&layer));
    layout.image("two", r#"{"Cmd":["x"]}"#, &[layer]);
    let reference = format!("oci:{}", layout.path().display());
    let run = |reference: &str| {
        let call = layout.launch(&["run", reference]);
        call.run().naming("PLACE", layout.scratch.path()).exits(125)
    };
    run(&reference).complains_as("several images");
    run(&layout.reference("three")).complains_as("an image that is not there");
    let other = format!("oci:{}", layout.scratch.path().display());
    run(&other).complains_as("a directory that is no layout");
}

#[test]
fn what_runs_on_another_platform_only_is_not_taken() {
    let mut layout = Layout::new();
    let layer = some_layer(&layout);
    let config = layout.config("{}", std::slice::from_ref(&layer));
    let manifest = layout.manifest(&config, &[layer]);
    let platform = |os: &str, architecture: &str| {
        manifest.descriptor(&format!(
            r#","platform":{{"os":"{os}","architecture":"{architecture}"}}"#
        ))
    };
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{},{},{}]}}"#,
        platform("linux", "mips"),
        platform("unknown", "unknown"),
        platform("windows", "amd64")
    );
    let index = layout.blob(super::INDEX, index.as_bytes());
    layout.list(&index, "bad");
    layout
        .launch(&["fetch", "--platform", "linux/arm64"])
        .arg(layout.reference("bad"))
        .run()
        .naming("PLACE", layout.scratch.path())
        .exits(1)
        .complains_as("another platform");
    // This host is another one still.
    let fetch = layout.launch(&["fetch", &layout.reference("bad")]);
    fetch.run().exits(1);
    assert_eq!(names(&layout.dir().join("images")), [""; 0]);
    layout
        .launch(&[
            "fetch",
            "--platform",
            "linux/mips",
            &layout.reference("bad"),
        ])
        .run()
        .exits(0);
    assert_eq!(names(&layout.dir().join("images")).len(), 1);
}

#[test]
fn an_image_that_only_its_configuration_places_elsewhere_is_taken_with_a_warning() {
    let mut layout = Layout::new();
    let layer = some_layer(&layout);
    let config = layout.config("{}", std::slice::from_ref(&layer));
    let text = fs::read_to_string(layout.blob_path(&config.digest)).unwrap();
    let other = text.replace("amd64", "mips");
    let config = layout.blob(super::CONFIG, other.as_bytes());
    let manifest = layout.manifest(&config, &[layer]);
    layout.list(&manifest, "other");
    let fetch = |options: &[&str]| {
        let call = layout.launch(&["fetch"]).args(options);
        call.arg(layout.reference("other")).run().exits(0)
    };
    fetch(&["--platform", "linux/amd64"]).complains_as("an image for another platform");
    fetch(&["--platform", "linux/mips"]).complains("");
}

#[test]
fn indexes_that_lead_to_one_another_end() {
    let mut layout = Layout::new();
    let entry = |of: &Blob| of.descriptor("");
    let nested = |layout: &Layout, below: &Blob| {
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entry(below));
        layout.blob(super::INDEX, text.as_bytes())
    };
    let layer = some_layer(&layout);
    let config = layout.config("{}", std::slice::from_ref(&layer));
    let mut index = layout.manifest(&config, &[layer]);
    assert_eq!(index.kind, MANIFEST);
    for _ in 0..4 {
        index = nested(&layout, &index);
    }
    let deeper = nested(&layout, &index);
    layout.list(&deeper, "bad");
    refused(&layout, "too many indexes", 0);
    layout.entries.clear();
    layout.list(&index, "good");
    layout.fetch("good");
}
