//! What the options of an app and of a pod change. A case is a command line,
//! split at blanks, and what the app then says.

use super::Pods;
use crate::aci::{Aci, manifest};
use crate::claims;
use crate::host;

/// An image of the probe that says something about everything.
fn app(pods: &Pods) {
    let app = r#"{"exec": ["/probe"], "user": "400", "group": "500", "supplementaryGIDs": [600],
        "workingDirectory": "/srv",
        "environment": [{"name": "A", "value": "image"}, {"name": "B", "value": "image"}]}"#;
    let bytes = Aci::new(&manifest(app))
        .file("rootfs/probe", 0o755, std::fs::read(host::probe()).unwrap())
        .link("rootfs/probe-link", "probe")
        .dir("rootfs/srv")
        .dir("rootfs/etc")
        .file(
            "rootfs/etc/passwd",
            0o644,
            "user1:x:1000:7:::\n3000:x:3001:0:::\n",
        )
        .file("rootfs/etc/group", 0o644, "group1:x:100:\n")
        .file("rootfs/etc/hosts", 0o644, "of the image\n")
        .bytes();
    pods.0.write("app.aci", bytes);
    pods.make(&[
        ("one.env", "# comment\nA=file\nC=file\n"),
        ("two.env", "C=two\n"),
    ]);
}

/// Runs cases: what is given, and the report's field and lines.
#[track_caller]
fn cases(cases: &[(&str, &str, &str)]) {
    let pods = Pods::new();
    app(&pods);
    for (line, field, expected) in cases {
        let words = format!("{line} -- --report-only {field}");
        let words: Vec<_> = words.split_whitespace().collect();
        let said = pods
            .run(&words)
            .env("A", "caller")
            .env("D", "caller")
            .env("container", "none")
            .run()
            .exits(0)
            .complains("")
            .stdout;
        let expected: Vec<_> = expected.split(' ').collect();
        for value in expected {
            let (wanted, value) = match value.strip_prefix('!') {
                None => (true, value),
                Some(value) => (false, value),
            };
            let found = said.lines().any(|each| each == format!("{field} {value}"));
            assert!(found == wanted, "{line}: {wanted} {value}\n{said}");
        }
    }
}

#[test]
fn nothing_of_the_caller_is_passed_on_unasked() {
    require_root!();
    cases(&[
        ("HERE/app.aci", "environment", "!A=caller !D=caller A=image"),
        (
            "--inherit-env HERE/app.aci",
            "environment",
            "container=nosecone !container=none",
        ),
    ]);
}

#[test]
fn the_nearer_to_the_app_a_variable_is_set_the_more_it_counts() {
    require_root!();
    const INHERIT: &str = "--inherit-env";
    const SET: &str = "--set-env A=set --set-env C=set";
    const FILE: &str = "--set-env-file HERE/one.env";
    let of = |options: &[&str], app: &str| {
        let options = options.join(" ");
        format!("{options} HERE/app.aci {app}")
    };
    for (line, expected) in [
        (of(&[], ""), "A=image B=image"),
        (of(&[INHERIT], ""), "A=image D=caller"),
        (of(&[SET], ""), "A=set B=image C=set"),
        (of(&[INHERIT, SET], ""), "A=set D=caller"),
        (of(&[INHERIT, "--set-env D=set"], ""), "D=set !D=caller"),
        (of(&[FILE], ""), "A=file B=image C=file"),
        (of(&[SET, FILE], ""), "A=set C=set !C=file"),
        (
            of(&[FILE, "--set-env-file HERE/two.env"], ""),
            "C=two !C=file",
        ),
        (
            of(&[SET], "--environment A=app --environment E="),
            "A=app C=set E=",
        ),
        (
            of(&["--set-env PATH=/x"], ""),
            "PATH=/x !PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
        (of(&["--locale=C.UTF-8"], ""), "LANG=C.UTF-8"),
        (of(&["--locale=C", "--set-env LANG=x"], ""), "LANG=x"),
        (of(&["--timezone UTC"], ""), "TZ=UTC0"),
    ] {
        cases(&[(&line, "environment", expected)]);
    }
}

#[test]
fn an_app_with_a_terminal_knows_which() {
    require_root!();
    let pods = Pods::new();
    for (option, expected) in [
        (&[][..], false),
        (&["--interactive"], true),
        (&["--inherit-env"], true),
    ] {
        let words = ["PROBE", "--", "--report-only", "environment"];
        let ran = pods
            .run(&[option, &words].concat())
            .env("TERM", "vt52")
            .run()
            .exits(0);
        let found = ran
            .stdout
            .lines()
            .any(|line| line == "environment TERM=vt52");
        assert_eq!(found, expected, "{option:?}");
    }
}

#[test]
fn what_pods_and_apps_say_about_themselves_is_in_the_manifest() {
    require_root!();
    let pods = Pods::new();
    let uuid = pods
        .call(&[
            "prepare",
            "--annotation",
            "of=pod",
            "PROBE",
            "--annotation",
            "of=app",
            "--user-annotation",
            "A b=c",
            "--user-label",
            "L=",
            "--memory",
            "64Mi",
            "--seccomp",
            "mode=remove,errno=EPERM,mount,bpf",
        ])
        .run()
        .exits(0)
        .stdout;
    let path = pods
        .dir()
        .join("pods/prepared")
        .join(uuid.trim())
        .join("manifest");
    let manifest = std::fs::read_to_string(path).unwrap();
    let manifest: String = manifest.split_whitespace().collect();
    for piece in [
        r#""isolators":[{"name":"resource/memory","value":{"limit":"64Mi"}},{"name":"os/linux/seccomp-remove-set","value":{"set":["mount","bpf"],"errno":"EPERM"}}],"userAnnotations":{"Ab":"c"},"userLabels":{"L":""}}"#,
        r#"},"annotations":[{"name":"of","value":"app"}]}],"#,
        r#"],"annotations":[{"name":"of","value":"pod"}]}"#,
    ] {
        assert!(manifest.contains(piece), "{piece}\n{manifest}");
    }
}

#[test]
fn the_user_is_a_path_then_a_name_then_a_number() {
    require_root!();
    cases(&[
        ("HERE/app.aci", "uid", "400,400,400,400"),
        ("HERE/app.aci", "gid", "500,500,500,500"),
        ("HERE/app.aci", "groups", "600"),
        ("HERE/app.aci --user 200", "uid", "200,200,200,200"),
        ("HERE/app.aci --user 200", "gid", "500,500,500,500"),
        ("HERE/app.aci --group 300", "gid", "300,300,300,300"),
        ("HERE/app.aci --user user1", "uid", "1000,1000,1000,1000"),
        ("HERE/app.aci --group group1", "gid", "100,100,100,100"),
        ("HERE/app.aci --user 3000", "uid", "3001,3001,3001,3001"),
        ("HERE/app.aci --user /probe", "uid", "0,0,0,0"),
        ("HERE/app.aci --group /probe", "gid", "0,0,0,0"),
        (
            "HERE/app.aci --supplementary-gids 400,500,1200",
            "groups",
            "400,500,1200",
        ),
        ("HERE/app.aci --supplementary-gids=", "groups", ""),
        (
            "PROBE --- HERE/app.aci --user user1 --group group1",
            "uid",
            "1000,1000,1000,1000",
        ),
    ]);
}

#[test]
fn the_command_can_be_replaced() {
    require_root!();
    let pods = Pods::new();
    app(&pods);
    let none = Aci::new(&manifest("null"))
        .file("rootfs/probe", 0o755, std::fs::read(host::probe()).unwrap())
        .bytes();
    pods.0.write("none.aci", none);
    for (line, program) in [
        ("HERE/app.aci", "/probe"),
        ("HERE/app.aci --exec /probe-link", "/probe-link"),
        ("HERE/app.aci --exec ../probe-link", "../probe-link"),
        (
            "HERE/app.aci --exec probe-link --environment PATH=/none:/",
            "probe-link",
        ),
        ("HERE/none.aci --exec /probe", "/probe"),
    ] {
        let words: Vec<_> = line.split(' ').collect();
        let words = [&words[..], &["--", "--report-only", "argument"]].concat();
        let said = format!("argument {program}\nargument --report-only\nargument argument\n");
        pods.run(&words).run().exits(0).complains("").says(&said);
    }
}

#[test]
fn the_app_starts_where_it_should() {
    require_root!();
    cases(&[
        ("HERE/app.aci", "directory", "/srv"),
        (
            "HERE/app.aci --working-dir /etc/..//srv/.",
            "directory",
            "/srv",
        ),
        ("HERE/app.aci --working-dir /", "directory", "/"),
        ("PROBE", "directory", "/"),
    ]);
}

#[test]
fn no_new_privileges_are_gained_where_that_was_asked_for() {
    require_root!();
    let pods = Pods::new();
    for (value, user) in [("true", "0"), ("false", "0"), ("true", "1000")] {
        let app = format!(
            r#"{{"exec": ["/probe"], "user": "{user}", "group": "0", "isolators":
                [{{"name": "os/linux/no-new-privileges", "value": {value}}}]}}"#
        );
        let bytes = Aci::new(&manifest(&app))
            .file("rootfs/probe", 0o755, std::fs::read(host::probe()).unwrap())
            .bytes();
        pods.0.write("app.aci", bytes);
        for (option, expected) in [
            (None, value == "true"),
            (Some("--no-new-privileges"), true),
            (Some("--no-new-privileges=false"), false),
        ] {
            let mut words = vec!["HERE/app.aci"];
            words.extend(option);
            words.extend(["--", "--report-only", "no-new-privileges"]);
            let said = format!("no-new-privileges {}\n", u8::from(expected));
            pods.run(&words).run().exits(0).complains("").says(&said);
        }
    }
}

#[test]
fn files_in_etc_are_made_only_where_the_image_has_none() {
    require_root!();
    let pods = Pods::new();
    app(&pods);
    let read = [
        "--",
        "--read-file",
        "/etc/hosts",
        "--read-file",
        "/etc/hostname",
    ];
    pods.run(&[&["--hostname", "web", "HERE/app.aci"][..], &read].concat())
        .run()
        .exits(0)
        .says("of the image\nweb\n");
    pods.run(&[&["--hostname", "web", "PROBE"][..], &read].concat())
        .run()
        .exits(0)
        .says("127.0.0.1\tlocalhost web\n::1\tlocalhost web\nweb\n");
    let _ = image!("busybox");
    let script = "readlink /etc/mtab; stat -c '%a %u %g' /etc/hostname; head -n 1 /etc/mtab | cut -d ' ' -f 1-3";
    pods.run(&["BUSYBOX", "--", "-c", script])
        .run()
        .exits(0)
        .says("../proc/self/mounts\n644 0 0\noverlay / overlay\n");
}

#[test]
fn a_time_zone_needs_no_files_of_the_image() {
    require_root!();
    let zone = "/usr/share/zoneinfo/Asia/Kolkata";
    if !std::path::Path::new(zone).exists() {
        skip!("needs the time zones of tzdata");
    }
    let pods = Pods::new();
    let _ = image!("busybox");
    let words = ["--timezone", "Asia/Kolkata", "BUSYBOX", "--", "-c"];
    pods.run(
        &[
            &words[..],
            &["date -d @0 +%H:%M; echo $TZ; head -c 4 /etc/localtime; echo >/etc/localtime"],
        ]
        .concat(),
    )
    .run()
    .exits(1)
    .says("05:30\nIST-5:30\nTZif")
    .complains("sh: can't create /etc/localtime: Read-only file system\n");
}

#[test]
fn the_uuid_is_saved_before_anything_else() {
    require_root!();
    const UUID: &str = "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f1";
    let pods = Pods::new();
    pods.run(&[
        "--uuid",
        UUID,
        "--uuid-file-save",
        "HERE/uuid",
        "HERE/none.aci",
    ])
    .run()
    .exits(125);
    let saved = std::fs::read_to_string(pods.0.join("uuid")).unwrap();
    claims::same("the file", &saved, &format!("{UUID}\n"));
    pods.run(&["--uuid-file-save", "HERE/no/uuid", "PROBE"])
        .run()
        .exits(125)
        .naming("FILE", pods.0.join("no/uuid"))
        .complains_as("the uuid is saved before anything else");
}

#[test]
fn strict_refuses_what_is_otherwise_only_said() {
    require_root!();
    let pods = Pods::new();
    let app = r#"{"exec": ["/probe"], "user": "0", "group": "0", "isolators":
        [{"name": "resource/magic", "value": 1}]}"#;
    let bytes = Aci::new(&manifest(app))
        .file("rootfs/probe", 0o755, std::fs::read(host::probe()).unwrap())
        .bytes();
    pods.0.write("app.aci", bytes);
    pods.run(&["--strict", "HERE/app.aci", "--", "--stdout", "x"])
        .run()
        .exits(125)
        .says("")
        .complains_as("an isolator that is unknown, with --strict");
    pods.run(&["HERE/app.aci", "--", "--stdout", "x"])
        .run()
        .exits(0)
        .says("x\n")
        .complains_as("an isolator that is unknown");
}
