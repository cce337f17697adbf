//! What makes images and pods be found: IDs, names, dependencies.

use std::fs;

use super::case;
use crate::aci::{Aci, running};
use crate::golden::Cases;
use crate::host::{self, Scratch, launcher};
use crate::life::Life;

/// Texts that lead out where they become part of a path.
const WAYS_OUT: &[&str] = &[
    "../../outside",
    "..",
    ".",
    "/",
    "a/../../outside",
    "/etc/passwd",
    "x/y",
    "-",
    "a b",
    "a\nb",
    "",
];

// A digest that is a path: what is removed, shown or written over is another file
// of the host (CVE-2024-3727).
#[test]
fn no_id_of_an_image_is_a_path() {
    require_root!();
    case("R26", "no ID of an image is a path", || {
        let life = Life::new();
        fs::create_dir(life.0.join("outside")).unwrap();
        life.run(&["fetch", "PROBE"]).exits(0);
        let [id] = host::names(&life.dir().join("images")).try_into().unwrap();
        let target = life.0.join("out.aci").display().to_string();
        let odd = [
            "sha512-../../outside",
            "sha512-..",
            "sha512-",
            &id.to_uppercase(),
            &format!("{id}00"),
            &format!("{id}/../../outside"),
            &format!("./{id}"),
        ];
        for text in odd.iter().chain(WAYS_OUT) {
            for words in [
                &["image", "rm", text][..],
                &["image", "verify", text],
                &["image", "export", text, &target],
                &["image", "cat-manifest", text],
            ] {
                let ran = life.run(words);
                assert!(
                    !ran.succeeded() && ran.stdout.is_empty(),
                    "{text:?}: {ran:?}"
                );
            }
        }
        assert!(!fs::exists(&target).unwrap());
        assert!(fs::exists(life.0.join("outside")).unwrap());
        assert_eq!(host::names(&life.dir().join("images")), [id]);
    });
}

// The same with names and UUIDs of pods, which become names of directories.
#[test]
fn no_name_of_a_pod_or_an_app_is_a_path() {
    require_root!();
    case("R27", "no name of a pod or an app is a path", || {
        let life = Life::new();
        let outside = life.0.join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "as it was").unwrap();
        life.run(&["gc"]).exits(0);
        for text in WAYS_OUT {
            for words in [
                &["run", &format!("--name={text}"), "PROBE"][..],
                &["run", &format!("--uuid={text}"), "PROBE"],
                &["run", "PROBE", &format!("--name={text}")],
                &["rm", "--force", text],
                &["stop", text],
                &["kill", text],
                &["pause", text],
                &["status", text],
                &["logs", text],
                &["enter", text],
                &["attach", text],
                &["cat-manifest", text],
                &["export", text, "/dev/null"],
                &["run-prepared", text],
            ] {
                let ran = life.run(words);
                assert!(
                    !ran.succeeded() && ran.stdout.is_empty(),
                    "{words:?}: {ran:?}"
                );
            }
        }
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"as it was");
        life.leaves_nothing();
    });
}

/// What the specification calls this machine.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        other => other,
    }
}

/// An image of this name that needs others.
fn dependent(name: &str, on: &[&str]) -> Vec<u8> {
    let arch = arch();
    let labels = format!(
        r#""labels": [{{"name": "version", "value": "1.0.0"}},
            {{"name": "os", "value": "linux"}}, {{"name": "arch", "value": "{arch}"}}]"#
    );
    let on = on.iter().map(|name| {
        let name = format!(r#""imageName": "example.com/{name}""#);
        format!("{{{name}, {labels}}}")
    });
    let on = on.collect::<Vec<_>>().join(", ");
    let text = running(&["/no/such"]).replace("example.com/sample", &format!("example.com/{name}"));
    let (head, tail) = text.split_once("\"app\"").unwrap();
    let text = format!("{head}{labels}, \"dependencies\": [{on}], \"app\"{tail}");
    Aci::new(&text).bytes()
}

// Images that need each other, or one another without end, so that whoever
// collects them never ends, or overflows its stack.
#[test]
fn dependencies_without_end_are_refused() {
    require_root!();
    case("T15b", "dependencies without end are refused", || {
        let scratch = Scratch::new();
        let provisioned = scratch.join("provisioned/example.com");
        fs::create_dir_all(&provisioned).unwrap();
        let store = |name: &str, on: &[&str]| {
            let file = format!("{name}-1.0.0-linux-{}.aci", arch());
            fs::write(provisioned.join(file), dependent(name, on)).unwrap();
        };
        store("own", &["own"]);
        store("a", &["b"]);
        store("b", &["c", "a"]);
        store("c", &["a"]);
        for number in 0..1000 {
            store(&format!("n{number}"), &[&format!("n{}", number + 1)]);
        }
        store("n1000", &[]);
        let mut cases = Cases::default();
        for name in ["own", "a", "n0"] {
            let call = launcher(&scratch.join("dir")).args(["run", "--pull-policy=never"]);
            let call = call.arg("--image-dir").arg(scratch.join("provisioned"));
            let ran = call.arg(format!("example.com/{name}")).run();
            let ran = ran.exits(125).at_last();
            let mut words = ran.stderr.split('`');
            let id = words.find(|word| word.starts_with("sha512-"));
            let id = id.unwrap_or("no ID").to_owned();
            cases.add(name, &ran.naming("ID", id).told());
        }
        cases.as_written("dependencies without end");
    });
}
