//! Two commands at a time that are about one image: it is stored once, and
//! whoever was told that it is there has it.
//!
//! Each race is run a few times, or as often as ROUNDS says: `cargo xtask sweep
//! --races`.

use std::path::Path;

use super::{Store, library};
use crate::host::{self, Call, Ran, launcher, rounds};

/// How often a race is run, if nobody says.
const FEW: usize = 6;

fn fetch(store: &Store, file: &Path) -> Call {
    launcher(&store.dir()).arg("fetch").arg(file)
}

fn collect(store: &Store) -> Call {
    store.image(&["gc", "--grace-period=0"])
}

/// Runs all of them at a time.
fn all(calls: impl IntoIterator<Item = Call>) -> Vec<Ran> {
    let started: Vec<_> = calls.into_iter().map(Call::start).collect();
    started.into_iter().map(|one| one.end()).collect()
}

#[test]
fn of_many_who_fetch_an_image_all_get_it() {
    require_root!();
    let store = Store::new();
    let file = store
        .scratch
        .write("library.aci", library("example.com/sample", "1"));
    for _ in 0..rounds(FEW) {
        for ran in all((0..4).map(|_| fetch(&store, &file))) {
            ran.exits(0).complains("");
        }
        assert_eq!(store.ids().len(), 1);
        store.image(&["verify"]).run().exits(0).complains("");
        collect(&store).run().exits(0).complains("");
        assert_eq!(store.ids(), [""; 0]);
    }
}

#[test]
fn who_fetches_beside_a_collection_gets_the_image() {
    require_root!();
    let store = Store::new();
    let file = store
        .scratch
        .write("library.aci", library("example.com/sample", "1"));
    for _ in 0..rounds(FEW) {
        let calls = [
            fetch(&store, &file),
            collect(&store),
            fetch(&store, &file),
            collect(&store),
        ];
        for ran in all(calls) {
            ran.exits(0).complains("");
        }
        store.image(&["verify"]).run().exits(0).complains("");
        let left = host::names(&store.dir().join("tmp"));
        assert_eq!(left, [""; 0]);
    }
}

#[test]
fn of_many_who_remove_an_image_one_does() {
    require_root!();
    let store = Store::new();
    let file = store
        .scratch
        .write("library.aci", library("example.com/sample", "1"));
    for _ in 0..rounds(FEW) {
        fetch(&store, &file).run().exits(0);
        let [id] = store.ids().try_into().unwrap();
        let mut winners = 0;
        for ran in all((0..4).map(|_| store.image(&["rm", &id]))) {
            match ran.succeeded() {
                true => winners += 1,
                false => ran
                    .naming("ID", &id)
                    .naming("SHORT-ID", &id[..39])
                    .complains_as_one_of("what somebody else removes"),
            }
        }
        assert_eq!(winners, 1);
        assert_eq!(store.ids(), [""; 0]);
    }
}

#[test]
fn a_pod_keeps_its_image_beside_a_collection() {
    require_root!();
    let store = Store::new();
    let words = ["--", "--stdout", "ran"];
    let pod = |verb| {
        let pod = launcher(&store.dir()).arg(verb).arg(host::image("probe"));
        pod.args(words)
    };
    for _ in 0..rounds(FEW) {
        let calls = [
            collect(&store),
            pod("run"),
            collect(&store),
            pod("prepare"),
            collect(&store),
        ];
        let [one, ran, other, prepared, third] = all(calls).try_into().unwrap();
        for ran in [one, other, third] {
            ran.exits(0).complains("");
        }
        ran.exits(0).says("ran\n").complains("");
        let uuid = prepared.exits(0).complains("").stdout;
        launcher(&store.dir())
            .args(["run-prepared", uuid.trim_end()])
            .run()
            .exits(0)
            .says("ran\n")
            .complains("");
    }
}
