//! What commands print for programs: one JSON document each.

use std::fs;

use super::Life;
use crate::aci::{Aci, running};
use crate::golden::{Cases, line};
use crate::host::project;

/// Commands whose results are kept under one title.
struct Told<'a> {
    life: &'a Life,
    names: Vec<(String, &'static str)>,
    cases: Cases,
}

impl<'a> Told<'a> {
    fn by(life: &'a Life) -> Self {
        let here = life.0.path().display().to_string();
        Self {
            life,
            names: vec![(here, "HERE")],
            cases: Cases::default(),
        }
    }

    /// Has a word stand for a value that is another one each time.
    fn name(&mut self, value: &str, word: &'static str) {
        self.names.push((value.to_owned(), word));
    }

    /// Runs a command with `--format=json` for what it prints, and keeps it.
    fn add(&mut self, words: &[&str], status: i32) {
        let ran = self.life.call(words).arg("--format=json");
        let mut told = ran.run().exits(status).stdout;
        let mut shown = line(words);
        for (value, word) in &self.names {
            told = told.replace(value, word);
            shown = shown.replace(value, word);
        }
        assert_eq!(told.lines().count(), 1, "{told}");
        self.cases.add(shown, &told);
    }
}

#[test]
fn what_is_done_to_pods_is_told_to_programs() {
    require_root!();
    let life = Life::new();
    let mut told = Told::by(&life);
    let uuid = life.waiting(&["--keep"]);
    told.name(&uuid, "POD");
    told.add(&["pause", &uuid], 0);
    told.add(&["pause", &uuid], 0);
    told.add(&["resume", &uuid], 0);
    told.add(&["stop", &uuid, "no-such-pod"], 1);
    told.add(&["wait", &uuid], 0);
    told.add(&["gc", "--dry-run", "--grace-period=0"], 0);
    told.add(&["gc", "--grace-period=0"], 0);
    told.add(&["gc"], 0);
    let prepared = life.run(&["prepare", "PROBE"]).exits(0).stdout;
    let prepared = prepared.trim_end();
    told.name(prepared, "PREPARED");
    told.add(&["rm", prepared], 0);
    told.cases.as_written("what is done to pods");
    life.leaves_nothing();
}

#[test]
fn what_is_done_to_images_is_told_to_programs() {
    require_root!();
    let life = Life::new();
    let image = Aci::new(&running(&["/x"])).file("rootfs/x", 0o755, "x");
    let file = life.0.write("image.aci", image.bytes());
    let file = file.to_str().unwrap();
    let bad = life.0.write("bad.aci", &image_with_faults()[..]);
    let bad = bad.to_str().unwrap();
    let mut told = Told::by(&life);
    told.add(&["validate", file, bad], 1);
    let id = life.run(&["fetch", "--full", file]).exits(0).stdout;
    let id = id.trim_end();
    told.name(id, "ID");
    told.add(&["fetch", file, bad], 1);
    told.add(&["image", "verify"], 0);
    let stored = life.dir().join("layers").join(id).join("rootfs/x");
    fs::write(stored, "y").unwrap();
    told.add(&["image", "verify", id], 1);
    told.add(&["image", "gc", "--dry-run", "--grace-period=0"], 0);
    told.add(&["image", "rm", id], 0);
    told.add(&["image", "gc"], 0);
    told.cases.as_written("what is done to images");
}

#[test]
fn what_is_done_with_keys_is_told_to_programs() {
    let life = Life::new();
    let mut told = Told::by(&life);
    let fixtures = "launcher/crates/image/src/trust/openpgp_fixtures";
    let key = project().join(fixtures).join("ed25519.key.asc");
    let key = life.0.write("key.asc", fs::read(key).unwrap());
    let key = key.to_str().unwrap();
    let fingerprint = "2e2bab99d894ff17eef053199eac97be1379422f";
    told.add(&["trust", "--root", "--yes", key], 0);
    told.add(&["trust", "--prefix=example.com", "--yes", key], 0);
    // There may be keys of the host, too.
    let list = ["trust", "list", "--format=json"];
    let listed = life.run(&list).exits(0).stdout;
    let here = format!("\"place\":\"{}\"", life.dir().join("trustedkeys").display());
    let ours = |object: &&str| object.contains(&here);
    let listed = listed.strip_prefix('[').unwrap();
    let listed = listed.strip_suffix("]\n").unwrap();
    let ours: Vec<&str> = listed.split_inclusive("},").filter(ours).collect();
    let ours = ours
        .concat()
        .replace(life.0.path().to_str().unwrap(), "HERE");
    let ours = ours.trim_end_matches(',');
    told.cases.add("trust list", &format!("[{ours}]\n"));
    told.add(&["trust", "rm", "--root", fingerprint], 0);
    told.cases.as_written("what is done with keys");
}

/// An archive with two faults.
fn image_with_faults() -> Vec<u8> {
    let image = Aci::new(&running(&["/x"])).file("other", 0o644, "");
    image.file("rootfs/../x", 0o644, "").bytes()
}

#[test]
fn what_is_told_to_programs_can_be_told_to_people_who_write_them() {
    let life = Life::new();
    let flat = life.run(&["version", "--format=json"]).exits(0).stdout;
    let pretty = life.run(&["version", "--format=json-pretty"]).exits(0);
    assert!(pretty.stdout.lines().count() > 1, "{pretty:?}");
    let again: String = pretty.stdout.lines().map(str::trim_start).collect();
    assert_eq!(again.replace("\": ", "\":") + "\n", flat);
    let text = life.run(&["version"]).exits(0).stdout;
    for line in text.lines() {
        let (name, version) = line.split_once(' ').unwrap();
        let is_number = version.parse::<u32>().is_ok();
        let version = match is_number {
            true => version.to_owned(),
            false => format!("\"{version}\""),
        };
        assert!(flat.contains(&format!("\"{name}\":{version}")), "{flat}");
    }
}
