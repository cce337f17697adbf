//! What is wrong, with the whole text that is shown.

use super::Life;

const VERBS: [&str; 6] = ["status", "stop", "kill", "rm", "cat-manifest", "logs"];

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
            &["stop", "p"][..],
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
    life.run(&["kill", "r"])
        .exits(1)
        .complains(&format!("launcher: pod `{running}` is over already\n"));
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
