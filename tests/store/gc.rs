//! Images that nobody uses go; those that somebody uses stay.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use rustix::process::Signal;

use super::{Store, library, names, now, stores, used, used_at};
use crate::aci::{Aci, manifest};
use crate::host::{self, launcher, pod};

const UUID: &str = "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0";

#[test]
fn what_a_pod_needs_is_neither_collected_nor_removed() {
    require_root!();
    let store = Store::new();
    let mut running = launcher(&store.dir())
        .args(["run", "--uuid", UUID])
        .arg(host::image("probe"))
        .args(["--", "--trap-exit", "15", "0"])
        .start();
    running.until_it_says("waiting");
    let [id] = store.ids().try_into().unwrap();
    used_at(&store.path(&id), 1000);
    store
        .image(&["gc", "--grace-period=0"])
        .run()
        .exits(0)
        .says("")
        .complains("");
    store
        .image(&["rm", &id])
        .run()
        .exits(1)
        .says("")
        .naming("ID", &id[..39])
        .complains_as("what a pod needs is neither collected nor removed");
    assert_eq!(store.ids(), [&*id]);
    running.signal(Signal::TERM);
    running.end().exits(0);
    let said = format!("removed {id}\n");
    store
        .image(&["gc", "--grace-period=0"])
        .run()
        .exits(0)
        .says(&said);
    assert_eq!(store.ids(), [""; 0]);
}

#[test]
fn what_was_used_within_the_grace_period_stays() {
    require_root!();
    let store = Store::new();
    let old = store.store("example.com/old", "1");
    let young = store.store("example.com/young", "1");
    used_at(&store.path(&old), u64::try_from(now() - 90_000).unwrap());
    used_at(&store.path(&young), u64::try_from(now() - 3000).unwrap());
    let said = format!("would remove {old}\n");
    store
        .image(&["gc", "--dry-run"])
        .run()
        .exits(0)
        .says(&said)
        .complains("");
    assert_eq!(store.ids().len(), 2);
    let ran = store.image(&["gc", "--grace-period=26h"]).run();
    ran.exits(0).says("").complains("");
    let said = format!("removed {old}\n");
    store
        .image(&["gc"])
        .run()
        .exits(0)
        .says(&said)
        .complains("");
    assert_eq!(store.ids(), [&*young]);
    let said = format!("removed {young}\n");
    let ran = store.image(&["gc", "--grace-period=45m"]).run();
    ran.exits(0).says(&said).complains("");
}

#[test]
fn running_an_image_is_using_it_and_looking_at_it_is_not() {
    require_root!();
    let store = Store::new();
    let probe = host::image("probe");
    pod(&store.dir(), &probe, &["--exit-code", "0"])
        .run()
        .exits(0);
    let [id] = store.ids().try_into().unwrap();
    used_at(&store.path(&id), 1000);
    store.image(&["verify"]).run().exits(0);
    store.image(&["list"]).run().exits(0);
    assert_eq!(used(&store.path(&id)), 1000);
    pod(&store.dir(), &probe, &["--exit-code", "0"])
        .run()
        .exits(0);
    assert!(now() - used(&store.path(&id)) < 100);
}

#[test]
fn nothing_is_left_of_what_was_collected() {
    require_root!();
    let store = Store::new();
    store.store("example.com/gone", "1");
    store.store("example.com/gone", "2");
    // What an interrupted command left.
    fs::create_dir_all(store.dir().join("tmp/12345/rootfs/some")).unwrap();
    fs::write(store.dir().join("tmp/download"), "half").unwrap();
    fs::create_dir_all(store.dir().join("scratch/12345/upper")).unwrap();
    store
        .image(&["gc", "--grace-period=0"])
        .run()
        .exits(0)
        .complains("");
    for directory in ["images", "layers", "names", "scratch", "tmp"] {
        assert_eq!(names(&store.dir().join(directory)), [""; 0], "{directory}");
    }
}

#[test]
fn an_index_forgets_only_what_is_gone() {
    require_root!();
    let store = Store::new();
    let first = store.store("example.com/both", "1");
    let second = store.store("example.com/both", "2");
    used_at(&store.path(&second), 1000);
    store
        .image(&["gc"])
        .run()
        .exits(0)
        .says(&format!("removed {second}\n"));
    let ran = store.image(&["cat-manifest", "example.com/both"]).run();
    assert!(ran.exits(0).stdout.contains("\"value\": \"1\""));
    // Its archive is stored again when it is wanted again.
    assert_eq!(store.store("example.com/both", "2"), second);
    assert!(store.ids().contains(&first));
}

#[test]
fn rendered_layers_go_when_no_pod_needs_them() {
    require_root!();
    let store = Store::new();
    store.store("example.com/base", "1");
    // A whitelist cannot be an overlay.
    let app = r#"{"exec": ["/no/such"], "user": "0", "group": "0"},
        "dependencies": [{"imageName": "example.com/base"}], "pathWhitelist": ["/file1"]"#;
    let image = Aci::new(&manifest(app))
        .file("rootfs/own", 0o644, "")
        .bytes();
    let file = store.scratch.write("app.aci", image);
    let run = || {
        launcher(&store.dir())
            .args(["run", "--insecure-options=image"])
            .arg(&file)
            .run()
            .exits(127)
    };
    run();
    let rendered = || {
        let images = store.ids();
        let mut layers = names(&store.dir().join("layers"));
        layers.retain(|layer| !images.contains(layer));
        layers
    };
    let [id] = rendered().try_into().unwrap();
    used_at(&store.layer(&id), 1000);
    run();
    assert!(now() - used(&store.layer(&id)) < 100);
    used_at(&store.layer(&id), 1000);
    store.image(&["gc"]).run().exits(0).says("").complains("");
    assert_eq!(rendered(), [""; 0]);
    assert_eq!(store.ids().len(), 2);
    run();
    assert_eq!(rendered(), [id]);
}

#[test]
fn a_pod_keeps_what_was_rendered_for_it_wherever_that_is() {
    require_root!();
    let store = Store::new();
    // Paths in it are no UTF-8 text.
    let dir = store.scratch.path().join(OsStr::from_bytes(b"d\xff"));
    let base = store
        .scratch
        .write("base.aci", library("example.com/base", "1"));
    stores(&dir, &base).run().exits(125);
    let app = r#"{"exec": ["/no/such"], "user": "0", "group": "0"},
        "dependencies": [{"imageName": "example.com/base"}], "pathWhitelist": ["/file1"]"#;
    let app = Aci::new(&manifest(app)).bytes();
    let prepare = launcher(&dir).args(["prepare", "--insecure-options=image"]);
    let prepared = prepare.arg(store.scratch.write("app.aci", app)).run();
    let uuid = prepared.exits(0).stdout;
    let collect = launcher(&dir).args(["image", "gc", "--grace-period=0"]);
    collect.run().exits(0).complains("");
    let run = launcher(&dir).args(["run-prepared", uuid.trim_end()]);
    run.run().exits(127);
}

#[test]
fn a_run_beside_collections_never_loses_its_image() {
    require_root!();
    let store = Store::new();
    let probe = host::image("probe");
    let dir = store.dir();
    pod(&dir, &probe, &["--exit-code", "0"]).run().exits(0);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..12 {
                        pod(&dir, &probe, &["--exit-code", "7"])
                            .run()
                            .exits(7)
                            .complains("");
                    }
                })
            })
            .collect();
        let gc = || {
            store
                .image(&["gc", "--grace-period=0"])
                .run()
                .exits(0)
                .complains("")
        };
        while runs.iter().any(|run| !run.is_finished()) {
            gc();
        }
    });
    store.image(&["verify"]).run().exits(0);
}

#[test]
fn an_index_that_was_not_finished_goes() {
    require_root!();
    let store = Store::new();
    store.store("example.com/sample", "1");
    fs::write(store.dir().join("names/unfinished"), "example.com/s").unwrap();
    let before = store.ids();
    store.image(&["gc"]).run().exits(0).says("").complains("");
    let left = names(&store.dir().join("names"));
    assert!(!left.contains(&"unfinished".to_owned()), "{left:?}");
    assert_eq!(store.ids(), before);
}
