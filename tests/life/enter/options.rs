//! Options of a command.

use super::super::Life;
use super::WAITING;

/// What the probe says of whom it runs as.
const WHO: [&str; 6] = [
    "--report-only",
    "uid",
    "--report-only",
    "gid",
    "--report-only",
    "groups",
];

#[test]
fn another_user_or_group_is_looked_up_in_the_image_and_has_the_groups_it_has_there() {
    require_root!();
    let life = Life::new();
    let app = r#"{"exec": ["/probe"], "user": "7", "group": "8", "supplementaryGIDs": [9]}"#;
    let image = life.image(app, |image| {
        image
            .dir("rootfs/etc")
            .file(
                "rootfs/etc/passwd",
                0o644,
                "web:x:33:1:::\n1000:x:44:2:::\n",
            )
            .file("rootfs/etc/group", 0o644, "wheel:x:10:web\n")
            .odd(tar::EntryType::Regular, "rootfs/owned", b"", |header| {
                header.set_uid(55);
                header.set_gid(66);
            })
    });
    for pod in [&[][..], &["--no-overlay"]] {
        let uuid = life.detach(&[pod, &[&image[..]], &WAITING[..]].concat());
        for (options, uid, gid, groups) in [
            (&[][..], 7, 8, "9"),
            (&["--user=web"], 33, 1, "10"),
            (&["--user=web", "--group=8"], 33, 8, ""),
            (&["--user=1000"], 44, 2, ""),
            (&["--user=1001"], 1001, 8, ""),
            (&["--user=root"], 0, 8, ""),
            (&["--group=wheel"], 7, 10, ""),
            (&["--user=/owned", "--group=/owned"], 55, 66, ""),
            (&["--user=0", "--group=0"], 0, 0, ""),
        ] {
            let words = [options, &[&uuid[..], "/probe"], &WHO[..]].concat();
            life.enter(&words).exits(0).complains("").says(&format!(
                "uid {uid},{uid},{uid},{uid}\ngid {gid},{gid},{gid},{gid}\ngroups {groups}\n"
            ));
        }
        // Rights are those that the app's user, or root in its place, would have.
        for (user, expected) in [("5", "0000000000000000"), ("0", "00000000a80425fb")] {
            let user = format!("--user={user}");
            let words = [
                &user,
                &uuid,
                "/probe",
                "--report-only",
                "permitted",
                "--report-only",
                "effective",
            ];
            life.enter(&words)
                .exits(0)
                .says(&format!("permitted {expected}\neffective {expected}\n"));
        }
        life.run(&["stop", &uuid]).exits(0);
    }
    life.leaves_nothing();
}

#[test]
fn a_command_starts_where_it_is_told_with_the_variables_that_it_is_told() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&["--set-env=A=1", "--set-env=B=2"]);
    life.enter(&["--cwd=/tmp", &uuid, "/probe", "--report-only", "directory"])
        .exits(0)
        .says("directory /tmp\n");
    let words = ["/probe", "--report-only", "environment"];
    let plain = life
        .enter(&[&[&uuid[..]], &words[..]].concat())
        .exits(0)
        .stdout;
    let options = ["--set-env=B=x = y", "--set-env", "C="];
    let said = life
        .enter(&[&options[..], &[&uuid[..]], &words].concat())
        .exits(0)
        .stdout;
    let expected = plain.replace("environment B=2\n", "environment B=x = y\n");
    crate::claims::same(
        "the environment",
        &said,
        &format!("{expected}environment C=\n"),
    );
    life.run(&["stop", &uuid]).exits(0);
    life.leaves_nothing();
}

#[test]
fn a_pod_is_found_by_the_beginning_of_its_uuid_by_its_name_and_by_a_file() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&["--name=web"]);
    let file = life
        .0
        .write("uuid", format!("{uuid}\n"))
        .display()
        .to_string();
    let file = format!("--uuid-file={file}");
    for words in [
        &[&uuid[..], "/probe"][..],
        &[&uuid[..6], "/probe"],
        &["web", "--", "/probe"],
        &[&file, "/probe"],
        &[&file, "--", "/probe"],
        &["--app=probe", "web", "/probe"],
    ] {
        life.enter(&[words, &["--stdout", "--app=x"]].concat())
            .exits(0)
            .complains("")
            .says("--app=x\n");
    }
    life.run(&["stop", &uuid]).exits(0);
    life.leaves_nothing();
}

#[test]
fn a_shell_is_what_is_run_where_nothing_is_said() {
    require_root!();
    let life = Life::new();
    let uuid = life.detach(&["BUSYBOX", "--", "-c", "sleep 600"]);
    life.call(&["enter", &uuid])
        .input("echo $0 $HOME $PWD; exit 9")
        .run()
        .exits(9)
        .complains("")
        .says("/bin/sh /root /root\n");
    // A name without a slash is searched for in the app's PATH.
    life.enter(&[&uuid, "sh", "-c", "echo $0 -c; echo $1", "sh", "--"])
        .exits(0)
        .says("sh -c\n--\n");
    life.run(&["kill", &uuid]).exits(0);
    life.leaves_nothing();
}
