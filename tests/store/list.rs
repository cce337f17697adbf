//! Lists, names, and images that are damaged.

use std::fs;

use super::{Store, names, stores};
use crate::aci::{Aci, manifest};
use crate::golden::{Cases, line};
use crate::host::launcher;

#[test]
fn one_bad_image_hides_no_other() {
    require_root!();
    let store = Store::new();
    let good = store.store("example.com/good", "1");
    let record = store.store("example.com/record", "1");
    let manifest = store.store("example.com/manifest", "1");
    let lost = store.store("example.com/lost", "1");
    fs::write(store.path(&record).join("record"), "{\"from\": ").unwrap();
    fs::write(store.path(&manifest).join("manifest"), "{}").unwrap();
    fs::remove_file(store.path(&lost).join("manifest")).unwrap();
    let ran = store
        .image(&["list", "--fields=id,name", "--full", "--no-legend"])
        .run();
    ran.exits(1)
        .says(&format!("{good}  example.com/good:1\n"))
        .naming("RECORD", &record[..39])
        .naming("MANIFEST", &manifest)
        .naming("LOST", &lost[..39])
        .complains_as("one bad image hides no other");
    // Nor does it keep others from being used, or itself from being removed.
    let ran = store.image(&["cat-manifest", "example.com/good"]).run();
    assert!(
        ran.exits(0)
            .complains("")
            .stdout
            .contains("example.com/good")
    );
    for id in [record, manifest, lost] {
        let ran = store.image(&["rm", &id]).run();
        ran.exits(0).says(&format!("removed {id}\n")).complains("");
    }
    assert_eq!(store.ids(), [good]);
}

#[test]
fn lists_have_the_columns_and_orders_that_are_asked_for() {
    require_root!();
    let store = Store::new();
    let first = store.store("example.com/b", "1.0");
    let second = store.store("example.com/a", "2.0");
    store.backdate(&first, 1_000_000_000, 1_300_000_000);
    store.backdate(&second, 1_100_000_000, 1_200_000_000);
    let said = |words: &[&str]| {
        let ran = store.image(&["list"]).args(words).run();
        ran.exits(0).complains("").stdout
    };
    let (a, b) = (&second[..19], &first[..19]);
    let line = |id: &str, name: &str, stored: &str, used: &str| {
        format!("{id}  {name}  2.0 KiB  {stored:<13}  {used:<13}  file\n")
    };
    let days = |then: i64| format!("{} days ago", (super::now() - then) / 86_400);
    let expected = [
        format!(
            "{:<19}  {:<17}  SIZE     {:<13}  {:<13}  TRUST\n",
            "ID", "NAME", "IMPORT TIME", "LAST USED"
        ),
        line(
            b,
            "example.com/b:1.0",
            &days(1_000_000_000),
            &days(1_300_000_000),
        ),
        line(
            a,
            "example.com/a:2.0",
            &days(1_100_000_000),
            &days(1_200_000_000),
        ),
    ];
    assert_eq!(said(&[]), expected.concat());
    let names = |words: &[&str]| said(&[&["--fields=name", "--no-legend"], words].concat());
    let (a, b) = ("example.com/a:2.0\n", "example.com/b:1.0\n");
    assert_eq!(names(&["--sort=name"]), format!("{a}{b}"));
    assert_eq!(names(&["--sort=lastused"]), format!("{a}{b}"));
    assert_eq!(names(&["--sort=importtime"]), format!("{b}{a}"));
    assert_eq!(names(&["--order=desc"]), format!("{a}{b}"));
    assert_eq!(
        said(&[
            "--full",
            "--no-legend",
            "--fields=importtime,size,lastused,name"
        ]),
        "2001-09-09T01:46:40Z  2048  2011-03-13T07:06:40Z  example.com/b:1.0\n\
         2004-11-09T11:33:20Z  2048  2008-01-10T21:20:00Z  example.com/a:2.0\n"
    );
    let trust = r#""trust":"file","trusted_by":"""#;
    let json = format!(
        "[{{\"id\":\"{first}\",\"name\":\"example.com/b\",\"version\":\"1.0\",\
         \"import_time\":\"2001-09-09T01:46:40Z\",\"last_used_time\":\"2011-03-13T07:06:40Z\",\
         \"size\":2048,{trust}}},{{\"id\":\"{second}\",\"name\":\"example.com/a\",\
         \"version\":\"2.0\",\"import_time\":\"2004-11-09T11:33:20Z\",\
         \"last_used_time\":\"2008-01-10T21:20:00Z\",\"size\":2048,{trust}}}]\n"
    );
    assert_eq!(said(&["--format=json"]), json);
    let pretty = said(&["--format=json-pretty"]);
    assert!(
        pretty.starts_with("[\n  {\n    \"id\": \"sha512-"),
        "{pretty}"
    );
    let flat: String = pretty.lines().map(str::trim_start).collect();
    assert_eq!(flat.replace("\": ", "\":") + "\n", json);
}

#[test]
fn an_empty_store_lists_nothing() {
    let store = Store::new();
    let list = |words: &[&str]| store.image(&["list"]).args(words).run().exits(0).stdout;
    assert_eq!(list(&[]), "ID  NAME  SIZE  IMPORT TIME  LAST USED  TRUST\n");
    assert_eq!(list(&["--no-legend"]), "");
    assert_eq!(list(&["--format=json"]), "[]\n");
}

#[test]
fn names_that_mean_no_image_or_several_are_refused() {
    let store = Store::new();
    fs::create_dir_all(store.path("")).unwrap();
    fs::write(store.dir().join("version"), "2\n").unwrap();
    let digits = "0".repeat(126);
    for end in ["00", "0f", "ff"] {
        fs::create_dir(store.path(&format!("sha512-{digits}{end}"))).unwrap();
    }
    let mut cases = Cases::default();
    for name in [
        "",
        "00",
        "sha512-00",
        "DIGITS0",
        // A digit could be a name, and is too short to mean one image for long.
        "0",
        "sha512-",
        "ab",
        "example.com/none",
        "DIGITS00a",
    ] {
        for verb in ["rm", "verify", "cat-manifest"] {
            let ran = store.image(&[verb, &name.replace("DIGITS", &digits)]).run();
            let ran = ran.exits(1).says("").naming("DIGITS", &digits);
            cases.add(line(&[verb, name]), &ran.told());
        }
    }
    cases.as_written("names that mean no image or several");
    // In either case of letters, with or without the algorithm.
    for name in [format!("{digits}FF"), format!("sha512-{digits}0f")] {
        store.image(&["rm", &name]).run().exits(0).complains("");
    }
    assert_eq!(store.ids(), [format!("sha512-{digits}00")]);
}

#[test]
fn a_name_means_the_highest_version_and_a_name_with_a_version_that_one() {
    require_root!();
    let store = Store::new();
    let name = "example.com/app";
    let versions = ["1.10.0", "1.9.0", "2.0.0-rc.1", "latest", "1.10.0-rc.10"];
    let ids: Vec<_> = versions
        .iter()
        .map(|version| store.store(name, version))
        .collect();
    let none = store.scratch.write("none.aci", {
        let text = manifest("null").replace("example.com/sample", name);
        Aci::new(&text).bytes()
    });
    stores(&store.dir(), &none).run().exits(125);
    let meant = |asked: &str| {
        let ran = store.image(&["cat-manifest", asked]).run().exits(0);
        let (_, version) = ran.stdout.split_once("\"value\": \"").unwrap();
        version.split('"').next().unwrap().to_owned()
    };
    // As they are listed.
    for version in versions {
        assert_eq!(meant(&format!("{name}:{version}")), version);
        assert_eq!(meant(&format!("{name},version={version}")), version);
    }
    for verb in ["verify", "rm"] {
        let ran = store.image(&[verb, &format!("{name}:3")]).run().exits(1);
        ran.says("").complains(&format!(
            "launcher: image `{name}:3` not found\nhint: `launcher image list` lists all images\n"
        ));
    }
    // A bare name, for every verb: from the highest to the lowest.
    for highest in [2, 0, 4, 1, 3] {
        assert_eq!(meant(name), versions[highest]);
        let id = &ids[highest];
        let ran = store.image(&["verify", name]).run();
        ran.exits(0).says(&format!("{id} OK\n"));
        let plan = [
            "run",
            "--pull-policy=never",
            "--insecure-options=image",
            name,
        ];
        let ran = launcher(&store.dir()).args(plan).run().exits(125);
        assert!(ran.stderr.contains("has no app"), "{}", ran.stderr);
        let ran = store.image(&["rm", name]).run();
        ran.exits(0).says(&format!("removed {id}\n"));
    }
    // What has no version at all.
    store.image(&["rm", name]).run().exits(0);
    assert_eq!(store.ids(), [""; 0]);
}

#[test]
fn wrong_usage_is_named() {
    let store = Store::new();
    let mut cases = Cases::default();
    for line in [
        "list --fields=id,latest",
        "list --order=up",
        "list --format=xml",
        "gc --grace-period=1",
        "gc now",
        "rm",
    ] {
        let words: Vec<_> = line.split(' ').collect();
        let ran = store.image(&words).run().exits(2).says("");
        cases.add(line, &ran.told());
    }
    cases.as_written("wrong usage");
    assert!(!store.dir().exists());
}

#[test]
fn an_export_takes_the_place_of_another_file_only_if_it_is_asked_to() {
    require_root!();
    let store = Store::new();
    let id = store.store("example.com/sample", "1");
    let place = store.scratch.join("place");
    fs::create_dir(&place).unwrap();
    let file = place.join("x.aci");
    let export = |words: &[&str]| store.image(words).arg(&file).run();
    export(&["export", &id]).exits(0).says("").complains("");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, "what was there").unwrap();
    export(&["export", &id])
        .exits(1)
        .naming("FILE", &file)
        .complains_as("an export takes the place of another file only if it is asked to");
    assert_eq!(fs::read_to_string(&file).unwrap(), "what was there");
    // Of an image that is damaged there is no half.
    let damaged = store.layer(&id).join("rootfs/file3");
    let content = fs::read(&damaged).unwrap();
    fs::write(&damaged, "").unwrap();
    export(&["export", "--overwrite", &id]).exits(1);
    assert_eq!(fs::read_to_string(&file).unwrap(), "what was there");
    fs::write(&damaged, content).unwrap();
    export(&["export", "--overwrite", &id])
        .exits(0)
        .complains("");
    assert!(fs::read(&file).unwrap() == whole);
    assert_eq!(names(&place), ["x.aci"]);
}

#[test]
fn a_directory_of_another_format_is_refused() {
    let store = Store::new();
    fs::create_dir_all(store.dir()).unwrap();
    for (file, found) in [("images/sha512-00", "1"), ("version", "3")] {
        let path = store.dir().join(file);
        match file {
            "version" => fs::write(path, "3\n").unwrap(),
            _ => fs::create_dir_all(path).unwrap(),
        }
        for words in [&["image", "list"][..], &["fetch", "x.aci"]] {
            let ran = launcher(&store.dir()).args(words).run().exits(1);
            ran.naming("DIR", store.dir())
                .naming("version `FOUND`", format!("version `{found}`"))
                .complains_as("a directory of another format");
        }
        let left = names(&store.dir());
        assert!(!left.contains(&"layers".to_owned()), "{left:?}");
    }
}
