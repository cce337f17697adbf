//! Descriptors of the caller: open ones, and too few.

use std::path::Path;

use crate::attack::case;
use crate::host::{self, Call, Scratch};

/// `launcher WORDS`, called by a shell that runs a script before. BUSYBOX and
/// HELLO stand for those images.
fn called_after(script: &str, dir: &Path, words: &[&str]) -> Call {
    let shell = host::find_tool("bash").unwrap_or_else(|| "sh".into());
    let word = |word: &&str| match *word {
        "BUSYBOX" => host::image("busybox").display().to_string(),
        "HELLO" => host::image("hello").display().to_string(),
        word => word.to_owned(),
    };
    host::call(&shell)
        .args(["-c", &format!("{script}\nexec \"$@\""), "sh"])
        .arg(host::program())
        .arg("--dir")
        .arg(dir)
        .args(words.iter().map(word))
}

/// Every way to run something, called after a script: with a filter and limits
/// of the app's own, so that all kinds of descriptors are there that a plan names.
fn run_in_every_way(script: &str) {
    let scratch = Scratch::new();
    let dir = scratch.join("dir");
    let call = |words: &[&str]| called_after(script, &dir, words);
    // The last one is that of ls itself.
    let seen = "0 1 2 3 ";
    let look = "ls /proc/self/fd | tr '\\n' ' '";
    let own = ["--seccomp", "mode=remove,swapon", "--memory", "64Mi", "--"];
    let app = [&["BUSYBOX"][..], &own, &["-c", look]].concat();
    call(&["run", "HELLO"]).run().exits(0).complains("");
    let run = [&["run"], &app[..]].concat();
    call(&run).run().exits(0).complains("").says(seen);

    // A plan, with the labels that it has for what the launcher opens.
    let words = ["plan", "BUSYBOX", "--", "-c", look];
    let plan = call(&words).run().exits(0).stdout;
    assert!(plan.contains("\njoin net 99 "), "{plan}");
    let ran = call(&["run", "--plan", "-"]).input(plan).run();
    ran.exits(0).complains("").says(seen);

    // Who answers the apps must not need more of them, either.
    let uuid = "6733c088-a507-4694-0010-edbe4fc5266f";
    let ask = "wget -q -O - $AC_METADATA_URL/acMetadata/v1/pod/uuid";
    let words = ["run", "--uuid", uuid, "BUSYBOX", "--", "-c", ask];
    call(&words).run().exits(0).complains("").says(uuid);

    let prepare = [&["prepare"], &app[..]].concat();
    let uuid = call(&prepare).run().exits(0).stdout;
    let ran = call(&["run-prepared", uuid.trim()]).run();
    ran.exits(0).complains("").says(seen);

    let quiet = [&["run", "-wait"], &app[..]].concat();
    call(&quiet).run().exits(0).says("");

    let shell = [
        "run",
        "--interactive",
        "BUSYBOX",
        "--",
        "-c",
        "echo at $(tty)",
    ];
    let ran = call(&shell).run().exits(0).complains("");
    assert_eq!(ran.stdout, "at /dev/console\r\n");

    let begin = [&["run", "--detach"], &app[..]].concat();
    let uuid = call(&begin).run().exits(0).complains("").stdout;
    let logs = ["status", "--wait", uuid.trim()];
    call(&logs).run().exits(0);
    let ran = call(&["logs", uuid.trim()]).run().exits(0);
    assert_eq!(ran.stdout, seen);

    // One that goes on: others come to it.
    let at = ["run", "--detach", "--interactive", "BUSYBOX"];
    let at = [&at[..], &own[..4]].concat();
    let uuid = call(&at).run().exits(0).complains("").stdout;
    let ran = call(&["enter", uuid.trim(), "/bin/sh", "-c", look]).run();
    ran.exits(0).complains("").says(seen);
    let ran = call(&["enter", "-t", uuid.trim(), "/bin/sh", "-c", "echo it"]).run();
    ran.exits(0).complains("").says("it\r\n");
    call(&["attach", uuid.trim()])
        .input("exit 5\n")
        .run()
        .exits(5);
}

/// A plan named descriptors by fixed numbers from 96 on, and the launcher gave
/// up where its caller had one of them open: so could a shell, a make(1) with a
/// job server, or anybody who wanted nothing to run. dup(2), fcntl(2) `F_DUPFD`.
#[test]
fn what_a_caller_has_open_keeps_nothing_from_running() {
    require_root!();
    let _ = image!("busybox");
    let _ = tool!("bash");
    case(
        "H10a",
        "no open descriptor of the caller keeps a pod from running, or reaches it",
        || {
            run_in_every_way("for n in {3..200}; do eval \"exec $n</etc/passwd\"; done");
        },
    );
}

/// Numbers from 96 on cannot be had below that limit: setrlimit(2),
/// `RLIMIT_NOFILE`.
#[test]
fn a_low_limit_of_descriptors_keeps_nothing_from_running() {
    require_root!();
    let _ = image!("busybox");
    case(
        "H10b",
        "25 descriptors are enough for every way to run something",
        || {
            run_in_every_way("ulimit -n 25");
        },
    );
}

/// Whatever is not to be had is said, and nothing panics (which is an abort).
#[test]
fn too_few_descriptors_are_a_sentence() {
    require_root!();
    case(
        "H10c",
        "with too few descriptors a run ends in a sentence",
        || {
            let scratch = Scratch::new();
            let dir = scratch.join("dir");
            called_after("", &dir, &["run", "HELLO"]).run().exits(0);
            let mut enough = false;
            for limit in 4..26 {
                let ran =
                    called_after(&format!("ulimit -n {limit}"), &dir, &["run", "HELLO"]).run();
                match ran.exited() {
                    Some(0) => enough = true,
                    code => {
                        assert!(!enough, "{limit} are too few, but less were not: {ran:?}");
                        assert!(matches!(code, Some(125)), "{limit}: {ran:?}");
                        let said = ran.stderr.contains("Too many open files");
                        assert!(said, "{limit}: {ran:?}");
                    }
                }
            }
            assert!(enough);
        },
    );
}
