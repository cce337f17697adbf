//! What can be wrong, and what is said of it.

use super::Life;
use crate::golden::{self, Cases, line};

const VERBS: [&str; 8] = [
    "status",
    "pause",
    "resume",
    "stop",
    "kill",
    "rm",
    "cat-manifest",
    "logs",
];

#[test]
fn pods_that_are_not_there_or_not_alone_are_named() {
    require_root!();
    let life = Life::new();
    for end in ["1", "2"] {
        let uuid = format!("abcdef12-4b5a-4978-8796-a5b4c3d2e1f{end}");
        life.run(&["prepare", "--uuid", &uuid, "PROBE"]).exits(0);
    }
    for verb in VERBS {
        for (word, title) in [
            ("", "an empty UUID"),
            ("fff", "a pod that is not there"),
            ("ABCD", "several pods that begin so"),
            ("--uuid-file=/no/such", "a file of a UUID that is not there"),
        ] {
            life.run(&[verb, word])
                .exits(1)
                .says("")
                .complains_as(title);
        }
        life.run(&[verb])
            .exits(2)
            .says("")
            .complains_as("no UUID at all");
    }
    assert_eq!(life.pods().len(), 2);
}

#[test]
fn what_a_pod_is_not_in_the_state_for_is_refused() {
    require_root!();
    let life = Life::new();
    let prepared = life
        .run(&["prepare", "--name", "p", "PROBE"])
        .exits(0)
        .stdout;
    let prepared = prepared.trim_end();
    const TAKEN: &str = "abcdef124b5a49788796a5b4c3d2e1f1";
    let running = life.waiting(&["--name", "r"]);
    let mut cases = Cases::default();
    for words in [
        &["pause", "p"][..],
        &["resume", "p"],
        &["stats", "p"],
        &["stop", "p"],
        &["kill", "p"],
        &["kill", "--signal=USR1", "p"],
        &["logs", "p"],
        &["rm", "r"],
        &["prepare", "--name", "p", "PROBE"],
        &["prepare", "--name", "r", "PROBE"],
        &["prepare", "--name", TAKEN, "PROBE"],
    ] {
        let ran = life.run(words).exits(1).says("");
        let ran = ran.naming("PREPARED", prepared).naming("RUNNING", &running);
        cases.add(line(words), &ran.told());
    }
    cases.as_written("what a pod is not in the state for");
    let ran = life.run(&["status", "--wait", "p"]).exits(125);
    assert!(ran.stdout.starts_with("state=prepared\n"), "{}", ran.stdout);
    ran.naming("UUID", prepared)
        .complains_as("waiting for what does not run");
    let ran = life.run(&["status", "--wait=0s", "r"]).exits(125);
    assert!(ran.stdout.starts_with("state=running\n"), "{}", ran.stdout);
    ran.naming("UUID", &running)
        .complains_as("waiting no longer");
    life.run(&["stop", "r"]).exits(0);
    for verb in ["kill", "pause", "resume", "stats"] {
        life.run(&[verb, "r"])
            .exits(1)
            .naming("UUID", &running)
            .complains_as("what takes a pod that runs, of one that is over");
    }
    // A name is free again when its pod is over; then two have had it, and the
    // newest is meant.
    let again = life.waiting(&["--name", "r"]);
    life.run(&["stop", "r"])
        .exits(0)
        .says(&format!("stopped {again}\n"));
    life.run(&["kill", "r"])
        .exits(1)
        .naming("UUID", &again)
        .complains_as("of two pods with a name, the newest");
    life.leaves_nothing();
}

#[test]
fn logs_that_there_are_not_are_not_silently_empty() {
    require_root!();
    let life = Life::new();
    let end = ["PROBE", "--", "--exit-code", "0"];
    let over = |options: &[&str]| {
        let uuid = life.detach(&[options, &end].concat());
        life.run(&["status", "--wait", &uuid]).exits(0);
        uuid
    };
    let silent = over(&["--log=none"]);
    let plan = life.run(&[&["plan"], &end[..]].concat()).exits(0).stdout;
    let plan = plan.replace("\nprocess\n", "\nprocess\nstdio 0 1 2\n");
    let own = life.detach(&["--plan", &life.0.write("plan", plan).display().to_string()]);
    life.run(&["status", "--wait", &own]).exits(0);
    let logged = over(&["--name=logged"]);
    for (words, uuid, title) in [
        (&["logs", &silent][..], &silent, "no log was wanted"),
        (&["logs", &own], &own, "a plan of somebody's own"),
        (
            &["logs", "--app=d\x1b", "logged"],
            &logged,
            "the log of no app",
        ),
    ] {
        life.run(words)
            .exits(1)
            .says("")
            .naming("UUID", uuid)
            .complains_as(title);
    }
    life.leaves_nothing();
}

#[test]
fn the_uuid_of_a_pod_that_is_kept_is_taken() {
    require_root!();
    const UUID: &str = "abcdef12-4b5a-4978-8796-a5b4c3d2e1f1";
    let life = Life::new();
    let run = || {
        life.run(&[
            "run",
            "--keep",
            "--uuid",
            UUID,
            "PROBE",
            "--",
            "--exit-code",
            "0",
        ])
    };
    run().exits(0);
    run().exits(125).complains_as("a UUID that is taken");
    life.run(&["rm", UUID]).exits(0);
    run().exits(0);
    life.leaves_nothing();
}

#[test]
fn what_cannot_be_exported_is_said() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let keep = |words: &[&str]| {
        let ran = life.run(&[&["run", "--keep", "--name"], words].concat());
        ran.exits(0).complains("");
        let pod = life.run(&["status", words[0], "--format=json"]).exits(0);
        let (_, uuid) = pod.stdout.split_once("\"uuid\":\"").unwrap();
        uuid[..36].to_owned()
    };
    let one = keep(&["one", "BUSYBOX", "--", "-c", "true"]);
    let apps = [
        "--name", "a", "--", "-c", "true", "---", "BUSYBOX", "--name", "b",
    ];
    let two = keep(&[&["two", "BUSYBOX"], &apps[..], &["--", "-c", "true"]].concat());
    let copied = keep(&["copied", "--no-overlay", "BUSYBOX", "--", "-c", "true"]);
    let running = life.waiting(&["--name", "running"]);
    let there = life.0.write("there.aci", "what was there");
    std::os::unix::fs::symlink(&there, life.0.join("link.aci")).unwrap();
    let here = life.0.path().to_str().unwrap();
    let mut cases = Cases::default();
    for (words, status) in [
        (&["export"][..], 2),
        (&["export", "one"], 2),
        (&["export", "--app=", "one", "x"], 2),
        (&["export", "fff", "x"], 1),
        (&["export", "two", "x"], 1),
        (&["export", "--app=c", "two", "x"], 1),
        (&["export", "running", "x"], 1),
        (&["export", "one", "HERE/there.aci"], 1),
        (&["export", "one", "HERE"], 1),
        (&["export", "--overwrite", "one", "HERE"], 1),
        (&["export", "--overwrite", "one", "HERE/link.aci"], 1),
        (&["export", "one", "/none/x.aci"], 1),
        (&["export", "one", ".."], 1),
    ] {
        let words: Vec<_> = words
            .iter()
            .map(|word| word.replace("HERE", here))
            .collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let ran = life.call(&words).dir(life.0.path()).run();
        let ran = ran.exits(status).says("").naming("HERE", here);
        let ran = ran.naming("TWO", &two).naming("RUNNING", &running);
        cases.add(line(&words).replace(here, "HERE"), &ran.told());
    }
    cases.as_written("what cannot be exported");
    assert_eq!(std::fs::read_to_string(there).unwrap(), "what was there");
    assert!(!life.0.join("x").exists());
    // With files of a pod, or of the store, that somebody took away.
    let pod = |uuid: &str| life.dir().join("pods/exited").join(uuid);
    let manifest = std::fs::read_to_string(pod(&one).join("manifest")).unwrap();
    let (_, id) = manifest.split_once("sha512-").unwrap();
    let id = &id[..128];
    let said = |uuid: &str, title: &str| {
        life.run(&["export", uuid, "/dev/shm/none"])
            .exits(1)
            .says("")
            .naming("DIR", life.dir())
            .naming("ID", id)
            .naming("UUID", uuid)
            .complains_as(title);
    };
    let rootfs = pod(&copied).join("apps/busybox/rootfs");
    std::fs::remove_dir_all(rootfs).unwrap();
    said(&copied, "without the root that it has of its own");
    let path = pod(&copied).join("spec");
    let spec = std::fs::read_to_string(&path).unwrap();
    let (before, root) = spec.split_once("\"root\":{").unwrap();
    let (_, behind) = root.split_once('}').unwrap();
    let rootless = format!("{before}\"root\":null{behind}");
    let renamed = spec.replace("\"name\":\"busybox\"", "\"name\":\"other\"");
    let newer = spec.replacen("\"version\":1", "\"version\":2", 1);
    for (wrong, title) in [
        (&rootless[..], "with a spec that says nothing of its root"),
        (&renamed, "with a spec of other apps"),
        (&newer, "with a spec of another version"),
        (&spec[..1], "with a spec that was cut short"),
    ] {
        assert_ne!(wrong, spec, "{title}");
        std::fs::write(&path, wrong).unwrap();
        said(&copied, title);
    }
    std::fs::remove_file(path).unwrap();
    said(&copied, "without its spec");
    let id = format!("sha512-{id}");
    let (image, layer) = (
        life.dir().join("images").join(&id),
        life.dir().join("layers").join(&id),
    );
    std::fs::rename(layer.join("rootfs"), layer.join("aside")).unwrap();
    said(&one, "without the root of its image");
    std::fs::rename(&image, life.0.join("image")).unwrap();
    said(&one, "without its image");
    std::fs::remove_file(pod(&one).join("manifest")).unwrap();
    said(&one, "without its manifest");
    life.run(&["stop", "running"]).exits(0);
    life.leaves_nothing();
}

#[test]
fn what_is_not_prepared_to_the_end_is_not_exported() {
    require_root!();
    let strace = tool!("strace");
    let life = Life::new();
    let ran = crate::host::call(&strace)
        .args(["-f", "-qq", "-o", "/dev/null", "-e"])
        .arg("inject=renameat2:signal=KILL:when=5")
        .arg(crate::host::program())
        .arg("--dir")
        .arg(life.dir())
        .arg("prepare")
        .arg(crate::host::image("probe"))
        .run();
    assert!(!ran.succeeded(), "{ran:?}");
    let pods = life.pods();
    let uuid = pods[0].strip_prefix("prepare/").unwrap();
    let refused = |title: &str| {
        life.run(&["export", uuid, "/dev/shm/none"])
            .exits(1)
            .says("")
            .naming("UUID", uuid)
            .complains_as(title);
    };
    refused("whoever prepared it was killed");
    let pod = std::fs::File::open(life.dir().join("pods").join(&pods[0])).unwrap();
    rustix::fs::flock(&pod, rustix::fs::FlockOperation::LockExclusive).unwrap();
    refused("it is being prepared");
    // What another test forks at this moment has the descriptor, too.
    rustix::fs::flock(&pod, rustix::fs::FlockOperation::Unlock).unwrap();
    life.leaves_nothing();
}

#[test]
fn a_terminal_is_no_place_for_an_image() {
    require_root!();
    let script = tool!("script");
    let life = Life::new();
    let uuid = life.run(&["prepare", "PROBE"]).exits(0).stdout;
    let (program, dir) = (crate::host::program(), life.dir());
    let command = format!(
        "{} --dir {} export {} -",
        program.display(),
        dir.display(),
        uuid.trim_end()
    );
    let ran = crate::host::call(&script)
        .args(["-qec", &command, "/dev/null"])
        .run()
        .exits(1);
    golden::as_written(
        "the terminal",
        "a terminal is no place for an image",
        &ran.stdout.replace("\r\n", "\n"),
    );
    life.leaves_nothing();
}
