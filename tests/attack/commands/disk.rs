//! A full disk, and one that is read-only.

use std::fs::{self, File};

use super::super::case;
use super::{Memory, kept};
use crate::golden::Cases;
use crate::host::{Ran, Scratch, image, launcher, names};

/// A directory of images and pods in a file system of so little room, with an
/// image that no pod uses, and one in a pod that is over: gives the UUID.
fn furnished(memory: &Memory) -> String {
    let dir = memory.dir();
    launcher(&dir)
        .arg("fetch")
        .arg(image("hello"))
        .run()
        .exits(0);
    kept(&dir).0
}

/// Room for the images and a little more.
const SMALL: &str = "size=32m,nr_inodes=400";

/// Writing down where rubbish goes, or making a directory for it, needs room:
/// on a full disk nothing could be removed that makes room (docker and podman
/// had many reports of it).
#[test]
fn a_full_disk_keeps_nobody_from_looking_or_from_making_room() {
    require_root!();
    case(
        "H6a",
        "a full disk locks out neither looking nor removing",
        || {
            for (verb, says) in [
                ("list --no-legend", "UUID8"),
                ("status UUID", "state=exited"),
                ("stats", ""),
                ("cat-manifest UUID", "acKind"),
                ("image list --no-legend", "hello"),
                ("image verify", "OK"),
                ("image gc --dry-run --grace-period=0", "would remove"),
                ("gc --dry-run --grace-period=0", "would remove UUID"),
                ("rm UUID", "removed UUID"),
                ("gc --grace-period=0", "removed UUID"),
                ("image rm nosecone.net/example/hello", "removed sha512-"),
                ("image gc --grace-period=0", "removed sha512-"),
            ] {
                let memory = Memory::new(SMALL);
                let uuid = furnished(&memory);
                memory.fill();
                let named = |text: &str| text.replace("UUID8", &uuid[..8]).replace("UUID", &uuid);
                let words = named(verb);
                let ran = launcher(&memory.dir()).args(words.split(' ')).run();
                let ran = ran.exits(0).complains("");
                assert!(ran.stdout.contains(&named(says)), "{words}: {}", ran.stdout);
                if says.starts_with("removed") {
                    File::create(memory.0.join("again")).unwrap();
                    fs::write(memory.0.join("again"), [1; 4096]).unwrap();
                }
            }
        },
    );
}

/// What only looks makes nothing, whatever of the directory there is.
#[test]
fn what_only_looks_makes_nothing() {
    require_root!();
    case("H6b", "what only looks makes nothing", || {
        let scratch = Scratch::new();
        let dir = scratch.join("dir");
        for there in [false, true] {
            if there {
                fs::create_dir(&dir).unwrap();
            }
            for (verb, status) in LOOKS {
                let ran = launcher(&dir).args(verb.split(' ')).run();
                assert_eq!(ran.exited(), Some(status), "{verb}: {ran:?}");
                assert_eq!(dir.exists(), there, "{verb}");
                assert_eq!(names(&dir), [""; 0], "{verb}");
            }
        }
    });
}

/// What only looks, and its status where nothing is.
const LOOKS: [(&str, i32); 18] = [
    ("list", 0),
    ("stats", 0),
    ("gc", 0),
    ("image list", 0),
    ("image verify", 0),
    ("image gc", 0),
    ("trust list", 0),
    ("status x", 1),
    ("stop x", 1),
    ("kill x", 1),
    ("rm x", 1),
    ("logs x", 1),
    ("enter x", 125),
    ("attach x", 125),
    ("cat-manifest x", 1),
    ("image rm x", 1),
    ("image cat-manifest x", 1),
    ("plan example.com/x", 1),
];

/// A disk that has errors is mounted read-only (ext4(5), `errors=remount-ro`).
#[test]
fn on_a_read_only_disk_looking_works_and_the_rest_says_why_it_does_not() {
    require_root!();
    case("H6c", "a read-only disk can be looked at", || {
        let memory = Memory::new("size=64m");
        let dir = memory.dir();
        let uuid = furnished(&memory);
        let outside = Scratch::new();
        let file = outside.join("out.aci").display().to_string();
        memory.freeze();
        let run = |verb: &str| -> Ran {
            let words = verb.split(' ').map(|word| match word {
                "UUID" => uuid.clone(),
                "FILE" => file.clone(),
                "PROBE" => image("probe").display().to_string(),
                word => word.to_owned(),
            });
            launcher(&dir).args(words).run()
        };
        for verb in [
            "list",
            "status UUID",
            "stats",
            "cat-manifest UUID",
            "image list",
            "image verify",
            "image cat-manifest nosecone.net/example/hello",
            "image export --overwrite nosecone.net/example/hello FILE",
            "export --overwrite UUID FILE",
            "trust list",
            "gc --dry-run",
            "image gc --dry-run",
            "plan PROBE",
        ] {
            run(verb).exits(0).complains("");
        }
        let mut cases = Cases::default();
        for (verb, status) in [
            ("rm UUID", 1),
            ("gc --grace-period=0", 1),
            ("image rm nosecone.net/example/hello", 1),
            ("image gc --grace-period=0", 1),
            ("fetch --insecure-options=image PROBE", 1),
            ("prepare PROBE", 1),
            ("run PROBE", 125),
        ] {
            let ran = run(verb).exits(status).says("");
            let ids = names(&dir.join("images"));
            let ran = ids.iter().fold(ran, |ran, id| {
                ran.naming("ID", id).naming("SHORT-ID", &id[..39])
            });
            let ran = ran.naming("PROBE", image("probe"));
            let told = ran.naming("DIR", &dir).naming("UUID", &uuid).told();
            cases.add(verb, &told);
        }
        cases.as_written("a file system that is read-only");
        run("status UUID").exits(0);
    });
}
