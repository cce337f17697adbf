//! What an image says of how it is run is heeded: its command, user, directory,
//! environment, and how it is asked to end.

use std::fs;

use super::{Layout, base};
use crate::host;

/// A layer with the probe and accounts.
fn layout(run: &str) -> Layout {
    let mut layout = Layout::new();
    let passwd = "root:x:0:0::/root:/bin/sh\napp:x:1234:1235::/home/app:/bin/false\n";
    let group = "app:x:1235:\nvideo:x:44:app\nplugdev:x:29:other,app\nusers:x:100:\n";
    let layer = base()
        .file("etc/passwd", 0o644, passwd)
        .file("etc/group", 0o644, group);
    let layer = layout.layer(layer);
    layout.image("it", run, &[layer]);
    layout
}

#[test]
fn an_image_that_says_nothing_to_run_is_not_run() {
    let layout = layout("{}");
    layout
        .run("it", &[])
        .run()
        .exits(125)
        .complains_as("no command");
    layout
        .run("it", &["/bin/probe", "--stdout", "x"])
        .run()
        .exits(0)
        .says("x\n");
}

#[test]
fn a_user_that_the_image_does_not_have_is_never_root() {
    for (user, title) in [("nobody", "no such user"), ("app:nobody", "no such group")] {
        let run = format!(r#"{{"User":"{user}","Entrypoint":["/bin/probe"]}}"#);
        layout(&run)
            .run("it", &[])
            .run()
            .exits(125)
            .complains_as(title);
    }
}

#[test]
fn arguments_replace_the_command_and_not_the_entrypoint() {
    let both = r#"{"Entrypoint":["/bin/probe","--stdout"],"Cmd":["of the image"]}"#;
    let command = r#"{"Cmd":["/bin/probe","--stdout","of the image"]}"#;
    let other = ["--stdout", "of the caller"];
    let both = layout(both);
    both.run("it", &[]).run().exits(0).says("of the image\n");
    both.run("it", &["of the caller"])
        .run()
        .exits(0)
        .says("of the caller\n");
    both.launch(&["run", &both.reference("it"), "--exec", "/bin/probe", "--"])
        .args(other)
        .run()
        .exits(0)
        .says("of the caller\n");
    let command = layout(command);
    command.run("it", &[]).run().exits(0).says("of the image\n");
    let words = [&["/bin/probe"], &other[..]].concat();
    command
        .run("it", &words)
        .run()
        .exits(0)
        .says("of the caller\n");
}

/// What the probe reports of a user.
#[track_caller]
fn identity(user: &str, options: &[&str]) -> [String; 3] {
    let layout = layout(&format!(
        r#"{{"User":"{user}","Cmd":["/bin/probe","--report"]}}"#
    ));
    let call = layout.launch(&["run", &layout.reference("it")]);
    let ran = call.args(options).run().exits(0);
    ["uid", "gid", "groups"].map(|key| {
        let start = format!("{key} ");
        let mut lines = ran.stdout.lines();
        let value = lines.find_map(|line| line.strip_prefix(&start));
        let value = value.unwrap_or_else(|| panic!("no {key} in {}", ran.stdout));
        match key {
            "groups" => value.to_owned(),
            // The real one, and those that are the same.
            _ => value.split(',').next().unwrap().to_owned(),
        }
    })
}

#[test]
fn the_groups_are_those_of_the_account_unless_one_is_named() {
    for (user, expected) in [
        ("", ["0", "0", ""]),
        ("app", ["1234", "1235", "29,44"]),
        ("1234", ["1234", "1235", "29,44"]),
        ("77", ["77", "0", ""]),
        ("app:users", ["1234", "100", ""]),
        ("app:7", ["1234", "7", ""]),
        ("1234:1235", ["1234", "1235", ""]),
        ("77:video", ["77", "44", ""]),
    ] {
        assert_eq!(identity(user, &[]), expected, "{user}");
    }
    assert_eq!(
        identity("77:7", &["--user", "app"]),
        ["1234", "1235", "29,44"]
    );
}

#[test]
fn environment_and_directory_are_those_of_the_image() {
    let layout = layout(
        r#"{"Env":["A=1","A=2","odd name=3","no value","PATH=/bin"],"WorkingDir":"/made/for/it",
            "User":"app","Volumes":{"/data/x":{}},"Unknown":[1],"Labels":null,"Cmd":["probe","--report"]}"#,
    );
    let ran = layout.run("it", &[]).run().exits(0);
    for line in [
        "environment A=2",
        "environment odd name=3",
        "environment PATH=/bin",
        "environment HOME=/home/app",
        "directory /made/for/it",
    ] {
        assert!(
            ran.stdout.lines().any(|found| found == line),
            "{line}: {}",
            ran.stdout
        );
    }
    let list = ["probe", "--list", "/data"];
    layout.run("it", &list).run().exits(0).says("x\n");
}

#[test]
fn a_volume_of_an_image_can_be_written_to_in_a_root_that_is_read_only() {
    require_root!();
    let owned = |header: &mut tar::Header| {
        header.set_uid(7);
        header.set_gid(8);
        header.set_mode(0o750);
    };
    let layer = base()
        .odd(tar::EntryType::Directory, "data/", b"", owned)
        .odd(tar::EntryType::Regular, "data/file", b"of the image", owned)
        .dir("var")
        .dir("run")
        .dir("run/app")
        .link("var/run", "/run")
        .file("plain", 0o644, "no directory")
        .dir("other");
    let run = r#"{"User":"7:8","Entrypoint":["/bin/probe"],"Volumes":
        {"/data":{},"/new/below":{},"/var/run/app":{},"/plain":{},"/dev/x":{},"/":{}}}"#;
    let mut layout = Layout::new();
    let layer = layout.layer(layer);
    layout.image("it", run, &[layer]);
    let source = layout.scratch.join("source");
    fs::create_dir(&source).unwrap();
    let mounted = format!("--volume=volume-data,kind=host,source={}", source.display());
    for closed in ["--read-only", "--writable=none"] {
        for copied in [&[][..], &["--no-overlay"]] {
            let run = |more: &[&str], user: &str, words: &[&str]| {
                let (before, after) = match closed {
                    "--read-only" => (&[][..], &[closed][..]),
                    _ => (&[closed][..], &[][..]),
                };
                let call = layout.launch(&["run"]).args(before).args(copied).args(more);
                let call = call.arg(layout.reference("it")).args(after);
                call.args(["--user", user, "--"]).args(words).run()
            };
            for (user, path, result) in [
                ("0", "/own", "EROFS"),
                ("0", "/other/own", "EROFS"),
                ("0", "/plain", "EROFS"),
                ("0", "/run/own", "EROFS"),
                ("0", "/new/own", "EROFS"),
                ("9", "/data/own", "EACCES"),
                ("9", "/data/file", "EACCES"),
                ("7", "/data/own", "ok"),
                ("7", "/data/file", "ok"),
                ("0", "/new/below/own", "ok"),
                ("0", "/var/run/app/own", "ok"),
            ] {
                let ran = run(&[], user, &["--write-file", path, "x"]).exits(0);
                ran.says(&format!("write {path}: {result}\n"));
            }
            let read = ["--read-file", "/data/file"];
            run(&[], "7", &read).exits(0).says("of the image");
            let ran = run(&[&mounted], "0", &read).exits(0);
            ran.says("read /data/file: ENOENT\n");
        }
    }
    assert_eq!(host::names(&layout.dir().join("scratch")), [""; 0]);
}

#[test]
fn a_volume_of_an_image_is_mounted_under_the_name_of_its_path() {
    let layout =
        layout(r#"{"Volumes":{"/data/x":{}},"Cmd":["/bin/probe","--read-file","/data/x/file"]}"#);
    let source = layout.scratch.join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), "of the host").unwrap();
    let volume = format!("volume-data-x,kind=host,source={}", source.display());
    layout
        .launch(&["run", "--volume", &volume, &layout.reference("it")])
        .run()
        .exits(0)
        .says("of the host");
}

#[test]
fn a_pod_is_asked_to_end_by_the_signal_of_its_image() {
    for (signal, number) in [("SIGUSR1", "10"), ("SIGRTMIN+3", "37"), ("12", "12")] {
        let run = format!(
            r#"{{"StopSignal":"{signal}","Cmd":["/bin/probe","--trap-exit","{number}","7"]}}"#
        );
        let layout = layout(&run);
        let launch = |words: &[&str]| layout.launch(words).run();
        let image = layout.reference("it");
        launch(&["run", "--detach", "--keep", "--name", "it", &image]).exits(0);
        launch(&["stop", "--time", "60s", "it"]).exits(0);
        launch(&["wait", "it"]).exits(7);
        launch(&["rm", "it"]).exits(0);
    }
}

#[test]
fn a_stop_signal_that_is_none_is_said_to_be_ignored() {
    let layout = layout(r#"{"StopSignal":"SIGNOTHING","Cmd":["/bin/probe","--stdout","x"]}"#);
    layout
        .run("it", &[])
        .run()
        .exits(0)
        .says("x\n")
        .complains_as("no such signal");
}

#[test]
fn images_of_both_formats_run_in_one_pod() {
    let layout = layout(r#"{"Cmd":["/bin/probe","--stdout","oci"]}"#);
    let probe = host::image("probe");
    let ran = layout
        .launch(&["run"])
        .arg(&probe)
        .args(["--name", "aci", "--", "--stdout", "aci", "---"])
        .arg(layout.reference("it"))
        .args(["--name", "other"])
        .run()
        .exits(0);
    let mut lines: Vec<_> = ran.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].ends_with("aci") && lines[1].ends_with("oci"),
        "{lines:?}"
    );
}

#[test]
fn ports_that_an_image_exposes_are_published_by_name_or_all_at_once() {
    let run = r#"{"Entrypoint":["/bin/probe"],"ExposedPorts":{"80/tcp":{},"53/udp":{}}}"#;
    let layout = layout(run);
    layout.fetch("it");
    let plan = |option: &str| {
        let words = ["plan", "--net=nat", option, &layout.reference("it")];
        let plan = layout.launch(&words).run().exits(0).stdout;
        let ports = plan.lines().filter(|line| line.contains(" of the pod #"));
        ports.map(|line| format!("{line}\n")).collect::<String>()
    };
    let mut told = String::new();
    for option in ["--port=80-tcp:8080", "-P"] {
        told.push_str(&format!("{option}\n{}", plan(option)));
    }
    crate::golden::as_written("the plan", "ports that an image exposes", &told);
}

#[test]
fn the_plan_of_an_image_is_as_it_was() {
    let run = r#"{"Entrypoint":["/bin/probe"],"Cmd":["--stdout","x"],"User":"app",
        "Env":["A=1","B"],"WorkingDir":"/srv/app","Volumes":{"/data":{}},
        "ExposedPorts":{"80/tcp":{}},"StopSignal":"SIGINT","Labels":{"a":"b"}}"#;
    let layout = layout(run);
    layout.fetch("it");
    crate::plans::compare_in(
        &layout.dir(),
        "oci.text",
        "text",
        &[&layout.reference("it")],
    );
}
