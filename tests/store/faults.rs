//! Whatever is refused halfway is said, and the next command works.
//!
//! strace(1) lets a system call fail that storing an image makes. What happens
//! at all of them, and where the launcher is killed, `sweep` shows.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Store, library, names, stores};
use crate::golden::{self, Cases};
use crate::host::{self, Call, Scratch, call};

/// Stores the library with this fault.
fn with_fault(strace: &Path, store: &Store, file: &Path, fault: &str) -> Call {
    let log = store.scratch.join("strace.log");
    call(strace)
        .args(["-f", "-qq", "-o"])
        .arg(log)
        .args(["-e", fault])
        .arg(host::program())
        .arg("--dir")
        .arg(store.dir())
        .arg("run")
        .arg(file)
}

/// The library and the store that it is to be stored in.
fn prepared() -> (Store, PathBuf) {
    let store = Store::new();
    let image = library("example.com/sample", "1");
    let file = store.scratch.write("library.aci", image);
    (store, file)
}

/// What storing complains of where nothing is wrong.
const SAID: &str = "an image that is stored and has no app";

/// Fails unless everything works as if nothing had happened.
#[track_caller]
fn works(store: &Store, file: &Path, fault: &str) {
    let ran = store.image(&["verify"]).run();
    let verified = ran.stdout.clone();
    assert!(ran.succeeded(), "{fault}: {ran:?}");
    // Nothing, or the whole image.
    assert_eq!(verified.lines().count(), store.ids().len(), "{fault}");
    store.image(&["list"]).run().exits(0).complains("");
    let ran = stores(&store.dir(), file).run();
    golden::as_written(fault, SAID, &ran.stderr);
    let [id] = store.ids().try_into().unwrap();
    let said = format!("{id} OK\n");
    store
        .image(&["verify"])
        .run()
        .exits(0)
        .says(&said)
        .complains("");
    let ran = store.image(&["cat-manifest", "example.com/sample"]).run();
    ran.exits(0).complains("");
    // What was interrupted is gone with the next thing that is made there.
    store.image(&["gc"]).run().exits(0).says("").complains("");
    assert_eq!(names(&store.dir().join("tmp")), [""; 0], "{fault}");
}

#[test]
fn a_call_that_fails_is_said_and_leaves_all_or_nothing() {
    require_root!();
    let strace = tool!("strace");
    let mut cases = Cases::default();
    for (name, hit, error) in [
        ("syncfs", 1, "EIO"),
        ("renameat2", 1, "ENOSPC"),
        ("renameat2", 2, "ENOSPC"),
        ("symlinkat", 1, "ENOSPC"),
        ("pwrite64", 3, "EDQUOT"),
        ("utimensat", 2, "EIO"),
        ("mkdirat", 18, "ENOSPC"),
    ] {
        let (store, file) = prepared();
        let fault = format!("inject={name}:error={error}:when={hit}");
        let ran = with_fault(&strace, &store, &file, &fault).run().exits(125);
        let told = ran.naming("FILE", &file).told();
        cases.add(format!("{error} of call {hit} of {name}"), &masked(&told));
        assert_eq!(names(&store.dir().join("tmp")), [""; 0], "{fault}");
        assert_eq!(store.ids(), [""; 0], "{fault}");
        works(&store, &file, &fault);
    }
    cases.as_written("a call that fails");
}

/// A text with every image ID as `ID`.
fn masked(text: &str) -> String {
    let words: Vec<_> = text.split('`').collect();
    let words = words.iter().map(|word| match word.starts_with("sha512-") {
        true => "ID",
        false => word,
    });
    words.collect::<Vec<_>>().join("`")
}

#[test]
fn a_full_disk_is_named_and_emptied_again() {
    require_root!();
    let mount = tool!("mount");
    let umount = tool!("umount");
    let (store, file) = prepared();
    fs::create_dir(store.dir()).unwrap();
    call(&mount)
        .args(["-t", "tmpfs", "-o", "size=24k,mode=700", "none"])
        .arg(store.dir())
        .run()
        .exits(0);
    let ran = stores(&store.dir(), &file).run();
    let (tmp, ids) = (names(&store.dir().join("tmp")), store.ids());
    let gc = store.image(&["gc", "--grace-period=0"]).run();
    call(&umount).arg(store.dir()).run().exits(0);
    assert!(
        ran.stderr.ends_with(": No space left on device\n"),
        "{ran:?}"
    );
    ran.exits(125);
    assert_eq!((tmp, ids), (Vec::new(), Vec::new()));
    gc.exits(0).complains("");
}

#[test]
fn an_image_that_many_want_at_a_time_is_stored_once() {
    require_root!();
    let strace = tool!("strace");
    let (store, file) = prepared();
    let logs = Scratch::new();
    let started: Vec<_> = (0..8)
        .map(|number| {
            call(&strace)
                .args(["-f", "-qq", "-e", "trace=syncfs,renameat2", "-o"])
                .arg(logs.join(&format!("{number}")))
                .arg(host::program())
                .arg("--dir")
                .arg(store.dir())
                .arg("run")
                .arg(&file)
                .start()
        })
        .collect();
    for run in started {
        run.end().exits(125).complains_as(SAID);
    }
    let logs: String = (0..8)
        .map(|number| fs::read_to_string(logs.join(&format!("{number}"))).unwrap())
        .collect();
    assert_eq!(logs.matches("syncfs(").count(), 1, "{logs}");
    // Its layer, and the image.
    let published = logs.lines().filter(|line| line.contains("\"sha512-"));
    assert_eq!(published.count(), 2, "{logs}");
    works(&store, &file, "eight at a time");
}
