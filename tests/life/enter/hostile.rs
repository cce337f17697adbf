//! What the pod could learn of the host, and do to it, through a command.

use std::fs;

use super::super::{Life, child, until};
use super::WAITING;
use crate::host;

/// How many commands are watched.
const COMMANDS: usize = 40;

#[test]
fn who_watches_newcomers_sees_nothing_of_the_host() {
    require_root!();
    let life = Life::new();
    // With all that root may have without having the host.
    let uuid = life.detach(&["PROBE", "--", "--watch", "/tmp/done"]);
    let before = fs::read(host::program()).unwrap();
    for _ in 0..COMMANDS {
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
    // A process that just ends has only the beginning of a word left.
    let known = |word: &&str| expected.iter().any(|known| known.starts_with(word));
    let odd: Vec<_> = words.iter().filter(|word| !known(word)).collect();
    assert!(odd.is_empty(), "{found}");
    assert!(
        before == fs::read(host::program()).unwrap(),
        "the launcher was changed"
    );
    life.leaves_nothing();
}

#[test]
fn a_working_directory_leads_nowhere_else() {
    require_root!();
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
}

#[test]
fn what_executes_itself_executes_nothing_of_the_host() {
    require_root!();
    let life = Life::new();
    let app = r#"{"exec": ["/probe"], "user": "0", "group": "0"}"#;
    let image = life.image(app, |image| {
        image
            .dir("rootfs/bin")
            .link("rootfs/bin/sh", "/proc/self/exe")
            .file("rootfs/script", 0o755, "#!/proc/self/exe\n")
    });
    let uuid = life.detach(&[&[&image[..]], &WAITING[..]].concat());
    let before = [host::program(), host::stage1()].map(|path| fs::read(path).unwrap());
    for command in [&[][..], &["/proc/self/exe", "x"], &["/script"]] {
        // It is the init, which does not know what it should do there.
        let ran = life.enter(&[&[&uuid[..]], command].concat()).exits(125);
        assert!(ran.stderr.starts_with("stage1-init: "), "{ran:?}");
    }
    let after = [host::program(), host::stage1()].map(|path| fs::read(path).unwrap());
    assert!(before == after, "a program of the host was changed");
    life.run(&["stop", &uuid]).exits(0);
    life.leaves_nothing();
}

#[test]
fn what_an_app_makes_of_its_passwd_makes_nobody_root() {
    require_root!();
    let life = Life::new();
    let script =
        "echo 'evil:x:0:0:::' >> /etc/passwd; echo 'evil:x:0:' >> /etc/group; echo up; sleep 600";
    for options in [&[][..], &["--no-overlay"]] {
        let uuid = life.detach(&[options, &["BUSYBOX", "--", "-c", script]].concat());
        life.until_it_logs(&uuid, "up\n");
        life.enter(&["--user=evil", &uuid, "id"])
            .exits(125)
            .says("")
            .complains("launcher: the image has no user `evil` in `/etc/passwd`\n");
        life.enter(&["--group=evil", &uuid, "id"])
            .exits(125)
            .says("")
            .complains("launcher: the image has no group `evil` in `/etc/group`\n");
        life.run(&["kill", &uuid]).exits(0);
    }
    life.leaves_nothing();
}

#[test]
fn what_is_no_user_never_is_root() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&[]);
    for name in [
        "nobody",
        "-1",
        "+5",
        "0x0",
        "1000x",
        "1:",
        ":1",
        "4294967295",
        "4294967296",
        " 0",
        "0 ",
        "/no/such",
        "",
    ] {
        for option in ["--user", "--group"] {
            let ran = life.enter(&[&format!("{option}={name}"), &uuid, "/probe"]);
            assert_eq!(ran.exits(125).says("").stdout, "", "{name:?}");
        }
    }
    life.run(&["stop", &uuid]).exits(0);
    life.leaves_nothing();
}

#[test]
fn no_capability_is_handed_down_from_the_caller() {
    require_root!();
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
}

#[test]
fn an_app_with_a_user_namespace_of_its_own_is_not_entered() {
    require_root!();
    let life = Life::new();
    let uuid = life.detach(
        &[
            &[
                "PROBE",
                "--user=1000",
                "--group=1000",
                "--seccomp=mode=retain,@appc.io/all",
            ][..],
            &["--", "--try", "unshare-user"],
            &WAITING[1..],
        ]
        .concat(),
    );
    until("it waits", || {
        life.run(&["logs", &uuid]).stdout.ends_with("waiting\n")
    });
    if life.run(&["logs", &uuid]).stdout != "try unshare-user: ok\nwaiting\n" {
        life.run(&["rm", "--force", &uuid]).exits(0);
        skip!("needs user namespaces that everybody can make");
    }
    life.enter(&["--user=0", &uuid, "/probe"])
        .exits(125)
        .says("")
        .complains(&format!(
            "launcher: cannot enter pod `{uuid}`: the app has a user namespace of its own\n"
        ));
    life.run(&["stop", &uuid]).exits(0);
    life.leaves_nothing();
}

#[test]
fn no_process_is_entered_that_only_has_the_number() {
    require_root!();
    let life = Life::new();
    let script = "sleep 600 & echo up; wait";
    let uuid = life.detach(&["BUSYBOX", "--name=b", "--", "-c", script]);
    life.until_it_logs(&uuid, "up\n");
    let report = life.dir().join("pods/run").join(&uuid).join("report");
    assert_eq!(fs::read_to_string(&report).unwrap(), "started b 2\nready\n");
    let other = child(child(child(life.pid(&uuid))));
    let status = fs::read_to_string(format!("/proc/{other}/status")).unwrap();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let inside = numbers.unwrap().split_whitespace().last().unwrap();
    for told in [
        // A child of the app, the init itself, and nobody.
        &format!("started b {inside}\nready\n")[..],
        "started b 1\n",
        "started b 4711\n",
        // Whoever has the number by now.
        "started b 2\nready\nexited b 0\n",
    ] {
        fs::write(&report, told).unwrap();
        life.enter(&[&uuid, "id"])
            .exits(125)
            .says("")
            .complains(&format!(
                "launcher: cannot enter app `b` of pod `{uuid}`: it has ended\n"
            ));
    }
    life.run(&["kill", &uuid]).exits(0);
    life.leaves_nothing();
}
