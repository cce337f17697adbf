//! What the store has of an OCI image: listed, verified, used by several images,
//! removed with the last.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use super::{Layout, base};
use crate::aci::Aci;
use crate::host::names;

/// Two images that share a layer.
fn two() -> (Layout, String, String) {
    let mut layout = Layout::new();
    let shared = layout.layer(base());
    let own = ["one", "two"].map(|name| layout.layer(Aci::empty().file(name, 0o644, name)));
    let run = r#"{"Cmd":["/bin/probe","--stdout","x"]}"#;
    let [one, two] = own.map(|own| [shared.clone(), own]);
    let one = layout.image("one", run, &one);
    let two = layout.image("two", run, &two);
    (layout, one, two)
}

#[test]
fn damage_is_found_in_every_part_of_an_image() {
    type Break = fn(&std::path::Path, &str);
    let cases: [(&str, Break); 5] = [
        ("another content", |dir, layer| {
            fs::write(dir.join("layers").join(layer).join("rootfs/one"), "two").unwrap();
        }),
        ("a missing file", |dir, layer| {
            fs::remove_file(dir.join("layers").join(layer).join("rootfs/one")).unwrap();
        }),
        ("a file too many", |dir, layer| {
            fs::write(dir.join("layers").join(layer).join("rootfs/three"), "").unwrap();
        }),
        ("a directory that hides others", |dir, layer| {
            let path = dir.join("layers").join(layer).join("rootfs");
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::setxattr(path, c"trusted.overlay.opaque", b"y", flags).unwrap();
        }),
        ("another configuration", |dir, _| {
            let id = names(&dir.join("images")).remove(0);
            let file = dir.join("images").join(id).join("manifest");
            let text = fs::read_to_string(&file).unwrap();
            fs::write(file, text.replace("--stdout", "--stderr")).unwrap();
        }),
    ];
    require_root!();
    for (title, spoil) in cases {
        let (layout, id, _) = two();
        layout.fetch("one");
        let layers = layout.dir().join("layers");
        let mut own = names(&layers);
        own.retain(|name| layers.join(name).join("rootfs/one").exists());
        layout.launch(&["image", "verify"]).run().exits(0);
        spoil(&layout.dir(), &own[0]);
        let verify = layout.launch(&["image", "verify"]).run().exits(1);
        let verify = verify.naming("ID", &id);
        verify
            .says_as(title)
            .complains("launcher: one image has changed since it was stored\n");
    }
}

#[test]
fn a_layer_that_is_stored_is_neither_read_nor_unpacked_again() {
    let (layout, _, _) = two();
    layout.fetch("one");
    let layers = layout.dir().join("layers");
    let shared: Vec<_> = names(&layers)
        .into_iter()
        .filter(|name| layers.join(name).join("rootfs/bin").exists())
        .collect();
    let [shared] = &shared[..] else {
        panic!("{shared:?}");
    };
    let before = layers.join(shared).join("record").metadata().unwrap().ino();
    fs::remove_file(layout.blob_path(&shared.replace('-', ":"))).unwrap();
    layout.run("two", &[]).run().exits(0).says("x\n");
    assert_eq!(names(&layers).len(), 3);
    let after = layers.join(shared).join("record").metadata().unwrap().ino();
    assert_eq!(before, after);
}

#[test]
fn a_shared_layer_goes_with_the_last_image_that_has_it() {
    let (layout, one, two) = two();
    layout.fetch("one");
    layout.fetch("two");
    let left = || names(&layout.dir().join("layers")).len();
    assert_eq!(left(), 3);
    layout
        .launch(&["image", "rm", "app:one"])
        .run()
        .exits(0)
        .says(&format!("removed {one}\n"));
    assert_eq!(left(), 2);
    layout.run("two", &[]).run().exits(0).says("x\n");
    let beginning = &two["sha256-".len()..][..12];
    layout.launch(&["image", "rm", beginning]).run().exits(0);
    assert_eq!((left(), names(&layout.dir().join("images")).len()), (0, 0));
}

#[test]
fn what_only_the_image_says_it_is_called_does_not_run_it() {
    let (layout, one, _) = two();
    layout.fetch("one");
    let run = |reference: &str| {
        let call = layout.launch(&["run", "--pull-policy", "never", reference]);
        call.run()
    };
    run("app:one").exits(125);
    run(&one).exits(0).says("x\n");
    run(&one.replace('-', ":")).exits(0).says("x\n");
    run(&one[..20]).exits(0).says("x\n");
}

#[test]
fn an_image_is_listed_with_its_name_and_its_tag() {
    let (layout, one, _) = two();
    layout.fetch("one");
    let list = |words: &[&str]| {
        let call = layout.launch(&["image", "list"]).args(words);
        call.run().exits(0).stdout
    };
    let shown = list(&["--fields", "id,name", "--no-legend"]);
    assert_eq!(
        shown.split_whitespace().collect::<Vec<_>>(),
        [&one[..19], "app:one"]
    );
    let json = list(&["--format", "json"]);
    for part in [r#""name":"app""#, r#""version":"one""#] {
        assert!(json.contains(part), "{json}");
    }
    let config = layout
        .launch(&["image", "cat-manifest", "app:one"])
        .run()
        .exits(0);
    assert!(config.stdout.contains(r#""diff_ids""#), "{}", config.stdout);
}

#[test]
fn the_plan_of_a_stored_image_needs_no_network_and_changes_nothing() {
    let (layout, _, _) = two();
    let plan = || layout.launch(&["plan", &layout.reference("one")]).run();
    plan().exits(1);
    layout.fetch("one");
    let before = names(&layout.dir().join("layers"));
    let plan = plan().exits(0).complains("").stdout;
    assert!(plan.contains("image app"), "{plan}");
    assert_eq!(names(&layout.dir().join("layers")), before);
}
