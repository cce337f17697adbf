//! What runs commands in a pod, and what the pod sees of it.

use std::fs;

use super::{case, rounds};
use crate::host;
use crate::life::Life;
use crate::life::enter::{WAITING, same};

// The same through `enter`: a shell that is a link to /proc/self/exe
// (CVE-2019-5736).
#[test]
fn what_executes_itself_executes_nothing_of_the_host() {
    require_root!();
    case(
        "R1b",
        "a command that executes itself executes nothing of the host",
        || {
            let life = Life::new();
            let app = r#"{"exec": ["/probe"], "user": "0", "group": "0"}"#;
            let image = life.image(app, |image| {
                image
                    .dir("rootfs/bin")
                    .link("rootfs/bin/sh", "/proc/self/exe")
                    .file("rootfs/script", 0o755, "#!/proc/self/exe --x\n")
            });
            let uuid = life.detach(&[&[&image[..]], &WAITING[..]].concat());
            let before = [host::program(), host::stage1()].map(|path| fs::read(path).unwrap());
            for command in [&[][..], &["/proc/self/exe", "--x"], &["/script"]] {
                // It is the init, which does not know what it should do there.
                let ran = life.enter(&[&[&uuid[..]], command].concat()).exits(125);
                assert!(ran.stderr.starts_with("stage1-init: "), "{ran:?}");
            }
            let after = [host::program(), host::stage1()].map(|path| fs::read(path).unwrap());
            assert!(before == after, "a program of the host was changed");
            life.run(&["stop", &uuid]).exits(0);
            life.leaves_nothing();
        },
    );
}

// A process that joins a pod can be looked at and traced before it has given up
// what it had outside (CVE-2016-9962).
#[test]
fn who_watches_newcomers_sees_nothing_of_the_host() {
    require_root!();
    case(
        "R2",
        "who watches a command begin sees nothing of the host",
        || {
            let life = Life::new();
            // With all that root may have without having the host.
            let uuid = life.detach(&["PROBE", "--", "--watch", "/tmp/done"]);
            let before = fs::read(host::program()).unwrap();
            for _ in 0..rounds(40) {
                life.call(&["enter", &uuid, "/probe", "--exit-code", "0"])
                    .env("SECRET", "of the host")
                    .run()
                    .exits(0)
                    .complains("");
            }
            // With the file the pod ends, and perhaps before the command does.
            let last = life.enter(&[&uuid, "/probe", "--write-file", "/tmp/done", ""]);
            assert!(matches!(last.exited(), Some(0 | 137)), "{last:?}");
            life.run(&["status", "--wait", &uuid]).exits(0);
            let found = life.run(&["logs", &uuid]).exits(0).stdout;
            // A command, once it is executed, is like any other process of the pod; its
            // streams are the caller's. Before, there is the init, and its words.
            let mut words = Vec::new();
            for line in found.lines() {
                match line.split_once(' ').unwrap() {
                    ("exe" | "memory", "/probe") | ("cwd" | "root", "/") | ("fd", "pipe:") => {}
                    // What its own runtime reads.
                    ("fd", file) if file.starts_with("/proc/") && file.ends_with("/maps") => {}
                    // It had ended before it could be asked who it was.
                    ("memory", "gone") => {}
                    ("rounds", _) => {}
                    ("word", word) if word.bytes().all(|byte| byte.is_ascii_digit()) => {}
                    ("word", word) => words.push(word),
                    _ => panic!("{found}"),
                }
            }
            let expected = [
                "--",
                "--exit-code",
                "--finally-fd",
                "--hold-fd",
                "--plan-fd",
                "--report-fd",
                "--write-file",
                "/probe",
                "/tmp/done",
                "entered",
                "launcher",
                "stage1-init",
            ];
            // A process that just ends has only the beginning of a word left, and of
            // one that is just being erased there is only the end.
            let known = |word: &&str| {
                let mut known = expected.iter();
                known.any(|known| known.starts_with(word) || known.ends_with(word))
            };
            let odd: Vec<_> = words.iter().filter(|word| !known(word)).collect();
            assert!(odd.is_empty(), "{found}");
            assert!(
                before == fs::read(host::program()).unwrap(),
                "the launcher was changed"
            );
            life.leaves_nothing();
        },
    );
}

// `--cwd` that is a descriptor of the runner's, or a link to one (CVE-2024-21626).
#[test]
fn a_working_directory_leads_nowhere_else() {
    require_root!();
    case(
        "R9c",
        "no working directory of a command is outside of the pod",
        || {
            let life = Life::new();
            let app = r#"{"exec": ["/probe"], "user": "0", "group": "0"}"#;
            let image = life.image(app, |image| {
                image
                    .link("rootfs/way-out", "../../../../../..")
                    .link("rootfs/eight", "/proc/self/fd/8")
            });
            let uuid = life.detach(&[&[&image[..]], &WAITING[..]].concat());
            let mut ways: Vec<String> = (0..30)
                .map(|number| format!("/proc/self/fd/{number}"))
                .collect();
            for way in [
                "/proc/1/root",
                "/proc/1/cwd",
                "/proc/self/cwd/../..",
                "/way-out",
                "/eight",
            ] {
                ways.push(way.to_owned());
            }
            let (mut refused, mut outside) = (0, 0);
            for way in &ways {
                // As what runs it has open, and as what the shell has.
                let words = [
                    &format!("--cwd={way}"),
                    &uuid,
                    "/probe",
                    "--report-only",
                    "directory",
                ];
                let ran = life.enter_after("exec 7</etc 8</ 9<.", &words).run();
                match ran.exited() {
                    Some(0) => assert_eq!(ran.stdout, "directory /\n", "{way}"),
                    Some(125) => {
                        refused += 1;
                        outside += usize::from(ran.stderr.contains("Invalid cross-device link"));
                        assert_eq!(ran.stdout, "", "{way}");
                    }
                    _ => panic!("{way}: {ran:?}"),
                }
            }
            assert!(refused > 10 && outside > 0, "{refused} {outside}");
            life.run(&["stop", &uuid]).exits(0);
            life.leaves_nothing();
        },
    );
}

// Capabilities in the inheritable set, which programs with file capabilities then
// have (CVE-2022-24769, CVE-2022-29162, CVE-2022-27649).
#[test]
fn no_capability_is_handed_down_from_the_caller() {
    require_root!();
    case("R7", "no capability is handed down from the caller", || {
        let setpriv = tool!("setpriv");
        let life = Life::new();
        let uuid = life.waiting(&[]);
        let caller = [
            setpriv.to_str().unwrap(),
            "--inh-caps=+net_raw,+sys_admin",
            "--ambient-caps=+net_raw,+sys_admin",
        ]
        .join(" ");
        let script = format!("exec {caller} \"$@\"");
        for user in ["0", "1000"] {
            let mut words = vec![format!("--user={user}"), uuid.clone(), "/probe".to_owned()];
            for set in ["inheritable", "ambient", "bounding"] {
                words.extend(["--report-only".to_owned(), set.to_owned()]);
            }
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            life.enter_after(&script, &words).run().exits(0).complains("").says(
            "inheritable 0000000000000000\nambient 0000000000000000\nbounding 00000000a80425fb\n",
        );
        }
        life.run(&["stop", &uuid]).exits(0);
        life.leaves_nothing();
    });
}

// `rkt enter` ran commands without the filter, the capabilities and the device
// rules of their app (CVE-2019-10144, CVE-2019-10145, CVE-2019-10147).
#[test]
fn a_command_is_bounded_as_its_app_is() {
    require_root!();
    case("R20", "a command is bounded as its app is", || {
        same::compare(&[], &[&[]], "probe", 0);
        let options = [
            "--user=1000",
            "--group=1001",
            "--caps-retain=CAP_KILL",
            "--memory=64Mi",
        ];
        same::compare(&[], &[&options], "probe", 0);
    });
}
