//! How a pod ended: what is told of it, and with which status whoever waits
//! exits.

use super::Life;
use crate::host::{self, Scratch};

/// What `status` says of the only app of a pod.
fn app(life: &Life, uuid: &str, app: &str, key: &str) -> Option<String> {
    let key = match key {
        "" => format!("app-{app}"),
        key => format!("app-{app}.{key}"),
    };
    life.status(uuid, &key)
}

/// The column EXIT of a pod with one app.
fn cell(life: &Life, uuid: &str) -> String {
    let ran = life.run(&["list", "--full"]).exits(0);
    let mut lines = ran.stdout.lines();
    let title = lines.next().unwrap().find("EXIT").unwrap();
    let line = lines.find(|line| line.starts_with(uuid)).unwrap();
    let cell = line.get(title..).unwrap_or_default();
    cell.split("  ").next().unwrap_or_default().to_owned()
}

#[test]
fn who_waits_for_a_pod_exits_with_its_status() {
    require_root!();
    let life = Life::new();
    let seven = life.detach(&["PROBE", "--name", "a", "--", "--exit-code", "7"]);
    let zero = life.detach(&["PROBE", "--", "--exit-code", "0"]);
    life.run(&["status", "--wait", &seven]).exits(7);
    life.run(&["status", "--wait=1m", &zero]).exits(0);
    life.run(&["status", &seven]).exits(0);
    life.run(&["wait", &zero, &seven])
        .exits(7)
        .says("0\n7\n")
        .complains("");
    life.run(&["wait", &seven, "none", &zero])
        .exits(125)
        .says("7\n0\n")
        .complains_as("waiting for a pod that does not exist");
    assert_eq!(cell(&life, &seven), "7");
    assert_eq!(cell(&life, &zero), "0");
}

#[test]
fn a_pod_that_does_not_end_in_time_is_no_success() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&[]);
    for words in [
        &["wait", "--time=0", &uuid][..],
        &["status", "--wait=0s", &uuid],
    ] {
        life.run(words)
            .exits(125)
            .naming("UUID", &uuid)
            .complains_as("waiting for a pod that goes on");
    }
    assert_eq!(cell(&life, &uuid), "");
    life.run(&["stop", &uuid]).exits(0);
    life.run(&["wait", &uuid]).exits(0).says("0\n");
}

#[test]
fn the_status_of_a_pod_that_is_not_kept_is_known_to_who_waited() {
    const UUID: &str = "abcdef12-4b5a-4978-8796-a5b4c3d2e1f2";
    require_root!();
    let life = Life::new();
    let words = [
        "run",
        "--uuid",
        UUID,
        "PROBE",
        "--",
        "--trap-exit",
        "15",
        "5",
    ];
    let mut running = life.call(&words).start();
    running.until("it waits", |running| running.said() == "waiting\n");
    let waiting = life.call(&["wait", UUID]).start();
    super::sleeps(waiting.pid());
    life.run(&["stop", UUID]).exits(0);
    running.end().exits(5);
    waiting.end().exits(5).says("5\n").complains("");
    life.run(&["wait", UUID]).exits(125).says("");
}

#[test]
fn apps_that_were_killed_with_their_pod_were_killed() {
    require_root!();
    let life = Life::new();
    let (one, two) = (life.stubborn(), life.stubborn());
    life.run(&["kill", &one]).exits(0);
    life.run(&["stop", "--time=0", &two]).exits(0);
    for uuid in [&one, &two] {
        assert_eq!(app(&life, uuid, "busybox", "").as_deref(), Some("137"));
        let signal = app(&life, uuid, "busybox", "signal");
        assert_eq!(signal.as_deref(), Some("KILL"));
        assert_eq!(cell(&life, uuid), "137 (KILL)");
        let json = life.run(&["status", "--format=json", uuid]).exits(0).stdout;
        let expected = r#""state":"exited","exit_code":137,"signal":"KILL""#;
        assert!(json.contains(expected), "{json}");
    }
}

/// A script that needs more memory than there is, in the process of the shell.
const GREEDY: &str = "x=a; while :; do x=$x$x; done";

#[test]
fn an_app_that_was_killed_for_want_of_memory_is_told_from_one_that_was_not() {
    require_root!();
    let _image = image!("busybox");
    let life = Life::new();
    if !life.limits(&["--memory", "16Mi"]) {
        skip!("needs cgroups with the controller memory");
    }
    let limited = ["BUSYBOX", "--memory", "16Mi", "--", "-c"];
    life.run(&[&["run"], &limited[..], &[GREEDY]].concat())
        .exits(137)
        .says("")
        .complains_as("running out of memory");
    // The app outlives it.
    life.run(&[&["run"], &limited[..], &[&format!("({GREEDY}); exit 3")]].concat())
        .exits(3)
        .complains_as("a process that runs out of memory");
    life.run(&[&["run"], &limited[..], &["exit 4"]].concat())
        .exits(4)
        .complains("");
    let greedy = life.detach(&[&limited[..], &[GREEDY]].concat());
    life.run(&["wait", &greedy]).exits(137);
    assert_eq!(
        app(&life, &greedy, "busybox", "oom-kills").as_deref(),
        Some("1")
    );
    assert_eq!(life.status(&greedy, "oom-kills").as_deref(), Some("1"));
    assert_eq!(cell(&life, &greedy), "137 (out of memory)");
    let json = life.run(&["list", "--format=json"]).exits(0).stdout;
    assert_eq!(json.matches(r#""oom_kills":1"#).count(), 2, "{json}");
    let killed = life.detach(&[&limited[..], &["kill -9 $$"]].concat());
    life.run(&["wait", &killed]).exits(137);
    assert_eq!(app(&life, &killed, "busybox", "oom-kills"), None);
    assert_eq!(cell(&life, &killed), "137 (KILL)");
}

#[test]
fn memory_that_runs_out_in_a_pod_is_seen_while_it_runs() {
    require_root!();
    let _image = image!("busybox");
    let life = Life::new();
    if !life.limits(&["--memory", "16Mi"]) {
        skip!("needs cgroups with the controller memory");
    }
    let script = format!("({GREEDY}); echo on; exec sleep 600");
    let limited = [
        "BUSYBOX", "--name=a", "--memory", "16Mi", "--", "-c", &script,
    ];
    let other = ["---", "BUSYBOX", "--name=b", "--", "-c", "exec sleep 600"];
    let uuid = life.detach(&[&limited[..], &other].concat());
    super::until("it goes on", || {
        life.run(&["logs", &uuid]).exits(0).stdout.contains("on\n")
    });
    assert_eq!(app(&life, &uuid, "a", "oom-kills").as_deref(), Some("1"));
    assert_eq!(app(&life, &uuid, "b", "oom-kills"), None);
    life.run(&["kill", &uuid]).exits(0);
    assert_eq!(app(&life, &uuid, "a", "oom-kills").as_deref(), Some("1"));
    assert_eq!(life.status(&uuid, "oom-kills").as_deref(), Some("1"));
}

#[test]
fn the_good_ones_of_several_are_done_and_the_bad_ones_named() {
    require_root!();
    let life = Life::new();
    let one = life.waiting(&["--name", "one"]);
    let says = |word: &str| format!("{word} {one}\n");
    if life.run(&["pause", "none", "one"]).stdout == says("paused") {
        life.run(&["resume", "none", "one"])
            .exits(1)
            .says(&says("resumed"))
            .complains_as("one pod of several");
    }
    let ran = life.run(&["stats", "--no-legend", "none", "one"]);
    let ran = ran.exits(1).complains_as("one pod of several");
    assert!(ran.stdout.starts_with(&one[..8]), "{}", ran.stdout);
    life.run(&["kill", "-s", "WINCH", "none", "one"])
        .exits(1)
        .complains_as("one pod of several");
    life.run(&["stop", "none", "one", "neither"])
        .exits(1)
        .says(&says("stopped"))
        .complains_as("two pods of several");
    life.run(&["rm", "none", "one"])
        .exits(1)
        .says(&says("removed"))
        .complains_as("one pod of several");
    let id = life.run(&["fetch", "--full", "PROBE"]).exits(0).stdout;
    let name = "nosecone.net/example/probe";
    life.run(&["image", "verify", "none.example/x", name])
        .exits(1)
        .says(&format!("{} OK\n", id.trim_end()))
        .complains_as("one image of several");
    life.run(&["image", "rm", "none.example/x", name])
        .exits(1)
        .says(&format!("removed {id}"))
        .complains_as("one image of several");
}

#[test]
fn of_pods_with_one_name_that_have_ended_the_newest_is_meant() {
    require_root!();
    let life = Life::new();
    let run = |code: &str| {
        let uuid = life.detach(&["--name", "job", "PROBE", "--", "--exit-code", code]);
        life.run(&["wait", &uuid]);
        uuid
    };
    let pods = ["1", "2", "3"].map(run);
    for (code, uuid) in ["3", "2", "1"].into_iter().zip(pods.iter().rev()) {
        assert_eq!(life.status("job", "status").as_deref(), Some(code));
        life.run(&["logs", "job"]).exits(0);
        life.run(&["rm", "job"])
            .exits(0)
            .says(&format!("removed {uuid}\n"));
    }
    life.run(&["status", "job"]).exits(1);
}

#[test]
fn times_in_json_are_text() {
    require_root!();
    let life = Life::new();
    let uuid = life.detach(&["PROBE", "--", "--exit-code", "0"]);
    life.run(&["wait", &uuid]).exits(0);
    let pods = life.run(&["list", "--format=json-pretty"]).exits(0).stdout;
    let images = life.run(&["image", "list", "--format=json-pretty"]);
    let both = pods + &images.exits(0).stdout;
    let times = both.lines().filter_map(|line| {
        let (key, value) = line.trim().split_once(": ")?;
        let is_time = key.ends_with("_at\"") || key.ends_with("_time\"");
        is_time.then(|| value.trim_end_matches(','))
    });
    let times: Vec<&str> = times.collect();
    assert_eq!(times.len(), 5, "{both}");
    for time in times {
        let inside = time
            .strip_prefix('"')
            .and_then(|time| time.strip_suffix("Z\""));
        assert!(
            inside.is_some_and(|time| time.as_bytes()[10] == b'T'),
            "{time}"
        );
    }
}

#[test]
fn sizes_for_people_are_not_cut_off() {
    require_root!();
    let scratch = Scratch::new();
    let life = Life(scratch);
    life.run(&["fetch", "PROBE"]).exits(0);
    let size = std::fs::metadata(host::image("probe")).unwrap().len();
    let listed = |options: &[&str]| {
        let words = [&["image", "list", "--no-legend", "--fields=size"], options].concat();
        life.run(&words).exits(0).stdout.trim_end().to_owned()
    };
    assert_eq!(listed(&["--full"]), size.to_string());
    let (number, unit) = match size {
        0..0x10_0000 => (size * 10 / 1024, "KiB"),
        _ => (size * 10 / 1024 / 1024, "MiB"),
    };
    let near = [number, number + 1].map(|tenths| format!("{}.{} {unit}", tenths / 10, tenths % 10));
    let shown = listed(&[]);
    assert!(near.contains(&shown), "{shown} {near:?}");
}
