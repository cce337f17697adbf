//! What many pods and images cost, in system calls: a budget that no clock is asked
//! for, and that holds on a busy machine.

use std::fs;
use std::path::Path;

use crate::aci::{Aci, manifest};
use crate::host::{self, Scratch};
use crate::life::Life;

/// All calls.
const ALL: &str = "trace=all";

/// Calls that look for files. Others depend on who is faster.
const FINDING: &str = "trace=%file,getdents64";

/// Counts the calls of a launcher and of all that it starts.
#[track_caller]
fn calls(strace: &Path, life: &Life, which: &str, words: &[&str]) -> usize {
    let log = life.0.join("calls");
    let traced = host::call(strace)
        .args(["-f", "-qq", "-e", which, "-o"])
        .arg(&log)
        .arg(host::program())
        .arg("--dir")
        .arg(life.dir())
        .args(Life::words(words));
    traced.run().exits(0);
    let log = fs::read_to_string(&log).unwrap();
    let is_call = |line: &&str| {
        let call = line.split_whitespace().nth(1).unwrap_or_default();
        call.starts_with(|c: char| c.is_ascii_alphabetic())
    };
    // The standard library that tests are built with examines every descriptor
    // before it closes it.
    let is_ours = |line: &&str| !line.contains("F_GETFD");
    log.lines().filter(is_call).filter(is_ours).count()
}

/// Stores so many images.
fn store(life: &Life, scratch: &Scratch, numbers: std::ops::Range<usize>) {
    let images = numbers.map(|number| {
        let name = format!("example.com/image{number}");
        let manifest = manifest("null").replace("example.com/sample", &name);
        let image = Aci::new(&manifest).dir("rootfs/dir").bytes();
        let file = scratch.write(&format!("{number}.aci"), image);
        file.display().to_string()
    });
    let images: Vec<String> = images.collect();
    let words: Vec<&str> = images.iter().map(String::as_str).collect();
    life.run(&[&["fetch"], &words[..]].concat()).exits(0);
}

/// Makes pods, in turn prepared ones and such that have exited.
fn make(life: &Life, number: usize) {
    for number in 0..number {
        let words: &[&str] = match number % 2 {
            0 => &["prepare", "PROBE"],
            _ => &["run", "--keep", "PROBE", "--", "--exit-code", "0"],
        };
        life.run(words).exits(0);
    }
}

/// Most calls for each more that is listed.
const LISTED: usize = 4;

#[test]
fn a_pod_that_rests_is_listed_with_four_calls() {
    require_root!();
    let strace = tool!("strace");
    let life = Life::new();
    make(&life, 2);
    let few = calls(&strace, &life, ALL, &["list"]);
    make(&life, 20);
    for words in [&["list"][..], &["list", "--format=json"]] {
        let many = calls(&strace, &life, ALL, words);
        assert!((many - few) / 20 <= LISTED, "{few} calls, then {many}");
    }
}

#[test]
fn an_image_is_listed_with_four_calls() {
    require_root!();
    let strace = tool!("strace");
    let (life, scratch) = (Life::new(), Scratch::new());
    store(&life, &scratch, 0..2);
    let few = calls(&strace, &life, ALL, &["image", "list"]);
    store(&life, &scratch, 2..22);
    let many = calls(&strace, &life, ALL, &["image", "list"]);
    assert!((many - few) / 20 <= LISTED, "{few} calls, then {many}");
}

#[test]
fn what_is_listed_is_what_all_files_say() {
    require_root!();
    let (life, scratch) = (Life::new(), Scratch::new());
    make(&life, 2);
    store(&life, &scratch, 0..2);
    let listed = |words: &[&str]| {
        let words = [words, &["--format=json"]].concat();
        life.run(&words).exits(0).complains("").stdout
    };
    let (pods, images) = (listed(&["list"]), listed(&["image", "list"]));
    // As it was before there were such records.
    let pod = |state: &str| {
        let pods = life.dir().join("pods").join(state);
        pods.join(&host::names(&pods)[0])
    };
    fs::remove_file(pod("prepared").join("prepared")).unwrap();
    let ended = pod("exited").join("ended");
    let record = fs::read_to_string(&ended).unwrap();
    let (record, _) = record.split_once(",\"pod\":").unwrap();
    fs::write(&ended, format!("{record}}}\n")).unwrap();
    let stored = life.dir().join("images");
    for id in host::names(&stored) {
        // When it was last used is when its directory was last changed.
        let image = fs::File::open(stored.join(&id)).unwrap();
        let used = image.metadata().unwrap().modified().unwrap();
        fs::remove_file(stored.join(id).join("listed")).unwrap();
        image.set_modified(used).unwrap();
    }
    assert_eq!(listed(&["list"]), pods);
    assert_eq!(listed(&["image", "list"]), images);
}

#[test]
fn a_run_makes_the_same_calls_whatever_else_is_stored() {
    require_root!();
    let strace = tool!("strace");
    let (life, scratch) = (Life::new(), Scratch::new());
    let run = ["run", "PROBE", "--", "--exit-code", "0"];
    make(&life, 1);
    let few = calls(&strace, &life, FINDING, &run);
    store(&life, &scratch, 0..60);
    make(&life, 60);
    assert_eq!(calls(&strace, &life, FINDING, &run), few);
}
