//! What is wrong, with the whole text that is shown.

use super::Life;

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
        for (word, said) in [
            ("", "the UUID of a pod is empty"),
            (
                "fff",
                "there is no pod `fff`\nhint: `launcher list` lists all pods",
            ),
            (
                "ABCD",
                "several pods begin with `ABCD`\nhint: give more digits",
            ),
        ] {
            life.run(&[verb, word])
                .exits(1)
                .says("")
                .complains(&format!("launcher: {said}\n"));
        }
        life.run(&[verb, "--uuid-file=/no/such"])
            .exits(1)
            .says("")
            .complains("launcher: cannot read the UUID of `/no/such`: No such file or directory\n");
        life.run(&[verb]).exits(2).says("").complains(
            "launcher: the UUID of a pod is missing\nhint: `launcher list` lists all pods\n",
        );
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
    let running = life.waiting(&["--name", "r"]);
    for (words, said) in [
        (
            &["pause", "p"][..],
            format!("cannot pause pod `{prepared}`: it does not run, but is prepared"),
        ),
        (
            &["resume", "p"],
            format!("cannot resume pod `{prepared}`: it does not run, but is prepared"),
        ),
        (
            &["stats", "p"],
            format!("cannot measure pod `{prepared}`: it does not run, but is prepared"),
        ),
        (
            &["stop", "p"],
            format!("cannot stop pod `{prepared}`: it does not run, but is prepared"),
        ),
        (
            &["kill", "p"],
            format!("cannot kill pod `{prepared}`: it does not run, but is prepared"),
        ),
        (
            &["kill", "--signal=USR1", "p"],
            format!("cannot signal pod `{prepared}`: it does not run, but is prepared"),
        ),
        (
            &["logs", "p"],
            format!("pod `{prepared}` has no log: it was not run with `--detach`"),
        ),
        (
            &["rm", "r"],
            format!(
                "cannot remove pod `{running}`: it runs\n\
                 hint: `launcher stop` ends it, and `--force` kills it"
            ),
        ),
        (
            &["prepare", "--name", "p", "PROBE"],
            format!("pod `{prepared}` is called `p` already"),
        ),
        (
            &["prepare", "--name", "r", "PROBE"],
            format!("pod `{running}` is called `r` already"),
        ),
        (
            &[
                "prepare",
                "--name",
                "abcdef124b5a49788796a5b4c3d2e1f1",
                "PROBE",
            ],
            "`abcdef124b5a49788796a5b4c3d2e1f1` is a UUID and no name".to_owned(),
        ),
    ] {
        life.run(words)
            .exits(1)
            .says("")
            .complains(&format!("launcher: {said}\n"));
    }
    let ran = life.run(&["status", "--wait", "p"]).exits(1);
    assert!(ran.stdout.starts_with("state=prepared\n"), "{}", ran.stdout);
    ran.complains(&format!(
        "launcher: pod `{prepared}` does not run: it is prepared\n\
         hint: `launcher run-prepared` runs a prepared pod\n"
    ));
    let ran = life.run(&["status", "--wait=0s", "r"]).exits(1);
    assert!(ran.stdout.starts_with("state=running\n"), "{}", ran.stdout);
    ran.complains(&format!("launcher: pod `{running}` is not over yet\n"));
    life.run(&["stop", "r"]).exits(0);
    for verb in ["kill", "pause", "resume", "stats"] {
        life.run(&[verb, "r"])
            .exits(1)
            .complains(&format!("launcher: pod `{running}` is over already\n"));
    }
    // A name is free again when its pod is over; then two have had it.
    let again = life.waiting(&["--name", "r"]);
    life.run(&["stop", "r"])
        .exits(0)
        .says(&format!("stopped {again}\n"));
    life.run(&["status", "r"])
        .exits(1)
        .complains("launcher: several pods are called `r`\nhint: give the UUID of one\n");
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
    let logged = over(&[]);
    let plan = life.dir().join("pods/exited").join(&logged).join("plan");
    let plan = std::fs::read_to_string(plan).unwrap();
    let plan = plan.replace("\nprocess\n", "\nprocess\nstdio 0 1 2\n");
    life.run(&["rm", &logged]).exits(0);
    let own = life.detach(&["--plan", &life.0.write("plan", plan).display().to_string()]);
    life.run(&["status", "--wait", &own]).exits(0);
    let logged = over(&["--name=logged"]);
    for (words, said) in [
        (
            &["logs", &silent][..],
            format!("pod `{silent}` has no log: it was run with `--log=none`"),
        ),
        (
            &["logs", &own],
            format!("pod `{own}` has no log: its plan says itself where its apps write"),
        ),
        (
            &["logs", "--app=d\x1b", "logged"],
            format!(
                "pod `{logged}` has no log of an app `d\\u{{1b}}`\n\
                 hint: it has that of `probe`"
            ),
        ),
    ] {
        life.run(words)
            .exits(1)
            .says("")
            .complains(&format!("launcher: {said}\n"));
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
    run()
        .exits(125)
        .complains(&format!("launcher: pod `{UUID}` exists already\n"));
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
    let there = there.to_str().unwrap();
    let link = life.0.join("link.aci");
    std::os::unix::fs::symlink(there, &link).unwrap();
    let link = link.to_str().unwrap();
    let here = life.0.path().to_str().unwrap();
    for (words, status, said) in [
        (
            &["export"][..],
            2,
            "the UUID of a pod is missing\nhint: `launcher list` lists all pods".to_owned(),
        ),
        (
            &["export", "one"],
            2,
            "a file is missing\nhint: `-` is the standard output".to_owned(),
        ),
        (
            &["export", "--app=", "one", "x"],
            2,
            "`--app` needs a value".to_owned(),
        ),
        (
            &["export", "fff", "x"],
            1,
            "there is no pod `fff`\nhint: `launcher list` lists all pods".to_owned(),
        ),
        (
            &["export", "two", "x"],
            1,
            format!(
                "pod `{two}` has several apps: `a`, `b`\n\
                 hint: `--app=NAME` says which of them is meant"
            ),
        ),
        (
            &["export", "--app=c", "two", "x"],
            1,
            format!("pod `{two}` has no app `c`\nhint: it has `a`, `b`"),
        ),
        (
            &["export", "running", "x"],
            1,
            format!(
                "cannot export pod `{running}`: it runs\n\
                 hint: `launcher stop` ends it; it is kept if it was run with --keep or --detach"
            ),
        ),
        (
            &["export", "one", there],
            1,
            format!("cannot write `{there}`: it exists already\nhint: `--overwrite` replaces it"),
        ),
        (
            &["export", "one", here],
            1,
            format!("cannot write `{here}`: it exists already\nhint: `--overwrite` replaces it"),
        ),
        (
            &["export", "--overwrite", "one", here],
            1,
            format!("cannot write `{here}`: it is no regular file"),
        ),
        (
            &["export", "--overwrite", "one", link],
            1,
            format!("cannot write `{link}`: it is no regular file"),
        ),
        (
            &["export", "one", "/none/x.aci"],
            1,
            "cannot write `/none/x.aci`: No such file or directory".to_owned(),
        ),
        (
            &["export", "one", ".."],
            1,
            "cannot write `..`: it has no name".to_owned(),
        ),
    ] {
        let ran = life.call(words).dir(life.0.path()).run();
        ran.exits(status)
            .says("")
            .complains(&format!("launcher: {said}\n"));
    }
    assert_eq!(std::fs::read_to_string(there).unwrap(), "what was there");
    assert!(!life.0.join("x").exists());
    // With files of a pod, or of the store, that somebody took away.
    let said = |uuid: &str, what: &str| {
        life.run(&["export", uuid, "/dev/shm/none"])
            .exits(1)
            .says("")
            .complains(&format!("launcher: {what}\n"));
    };
    let pod = |uuid: &str| life.dir().join("pods/exited").join(uuid);
    let of = |uuid: &str| format!("cannot export app `busybox` of pod `{uuid}`");
    let rootfs = pod(&copied).join("apps/busybox/rootfs");
    std::fs::remove_dir_all(rootfs).unwrap();
    let what = "cannot open its root file system: No such file or directory";
    said(&copied, &format!("{}: {what}", of(&copied)));
    let plan = "plan 1\napp busybox\nprocess\nmain 1 /bin/sh\n";
    std::fs::write(pod(&copied).join("plan"), plan).unwrap();
    let what = "its plan does not say what its root file system was made of";
    said(&copied, &format!("{}: {what}", of(&copied)));
    std::fs::write(pod(&copied).join("plan"), "plan 2\n").unwrap();
    let what = "cannot read its plan: word 1 of the plan (`2`): the version must be 1";
    said(&copied, &format!("{}: {what}", of(&copied)));
    let manifest = std::fs::read_to_string(pod(&one).join("pod")).unwrap();
    let (_, id) = manifest.split_once("sha512-").unwrap();
    let id = format!("sha512-{}", &id[..128]);
    let layer = life.dir().join("layers").join(&id);
    let rootfs = layer.join("rootfs");
    std::fs::rename(&rootfs, layer.join("aside")).unwrap();
    let what = format!(
        "cannot open `{}`: No such file or directory",
        rootfs.display()
    );
    said(&one, &format!("{}: {what}", of(&one)));
    std::fs::rename(life.dir().join("images").join(&id), life.0.join("image")).unwrap();
    let what = format!("image `{id}` was removed");
    said(&one, &format!("{}: {what}", of(&one)));
    std::fs::remove_file(pod(&one).join("pod")).unwrap();
    said(
        &one,
        &format!("pod `{one}` has no manifest: it was run from a plan"),
    );
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
    let refused = |why: &str| {
        life.run(&["export", uuid, "/dev/shm/none"])
            .exits(1)
            .says("")
            .complains(&format!("launcher: cannot export pod `{uuid}`: {why}\n"));
    };
    refused("whoever prepared it was killed");
    let pod = std::fs::File::open(life.dir().join("pods").join(&pods[0])).unwrap();
    rustix::fs::flock(&pod, rustix::fs::FlockOperation::LockExclusive).unwrap();
    refused("it is being prepared");
    drop(pod);
    life.leaves_nothing();
}

#[test]
fn a_terminal_is_no_place_for_an_image() {
    require_root!();
    let script = tool!("script");
    let life = Life::new();
    let uuid = life.run(&["prepare", "PROBE"]).exits(0).stdout;
    let (program, dir) = (crate::host::program(), life.dir());
    let line = format!(
        "{} --dir {} export {} -",
        program.display(),
        dir.display(),
        uuid.trim_end()
    );
    crate::host::call(&script)
        .args(["-qec", &line, "/dev/null"])
        .run()
        .exits(1)
        .says(
            "launcher: an image is nothing for a terminal\r\n\
             hint: name a file, or pass it on to another program\r\n",
        );
    life.leaves_nothing();
}
