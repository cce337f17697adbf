//! Pods that go on without their caller.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use super::{Life, child};
use crate::aci::{Aci, running};
use crate::claims;
use crate::host::launcher;

#[test]
fn who_detaches_hears_why_a_pod_does_not_run_and_nothing_is_left() {
    require_root!();
    let life = Life::new();
    let nothing = Aci::new(&running(&["/no/such"])).bytes();
    let nothing = life.0.write("nothing.aci", nothing);
    let text = Aci::new(&running(&["/text"]))
        .file("rootfs/text", 0o755, "not a program\n")
        .bytes();
    let text = life.0.write("text.aci", text);
    for (image, status, title) in [
        (&nothing, 127, "a program that is not there"),
        (&text, 126, "a program that is none"),
    ] {
        for options in [&["--detach"][..], &["--detach", "--rm"], &[], &["--keep"]] {
            life.call(&[&["run"], options].concat())
                .arg(image)
                .run()
                .exits(status)
                .says("")
                .complains_as(title);
            assert_eq!(life.pods(), [""; 0]);
        }
    }
    life.run(&["run", "--detach", "PROBE", "--user", "nobody-here"])
        .exits(125)
        .says("")
        .complains_as("a user that is not there");
    assert_eq!(life.pods(), [""; 0]);
}

#[test]
fn the_apps_run_when_the_uuid_is_printed_and_do_not_care_for_the_caller() {
    require_root!();
    let life = Life::new();
    let uuid = life.detach(&["PROBE", "--", "--sleep", "600"]);
    life.run(&["status", "--wait-ready=0s", &uuid])
        .exits(0)
        .complains("");
    let outer = life.pid(&uuid);
    // A session of its own, and in the end no child of whoever called.
    let stat = fs::read_to_string(format!("/proc/{outer}/stat")).unwrap();
    let fields: Vec<_> = stat.split(' ').collect();
    assert_eq!(fields[5], outer.to_string(), "its session: {stat}");
    assert_eq!(fields[6], "0", "its terminal: {stat}");
    let inner = child(outer);
    // Nor does it keep the caller's directory busy.
    for process in [outer, inner] {
        let directory = fs::read_link(format!("/proc/{process}/cwd")).unwrap();
        assert_eq!(directory, Path::new("/"));
    }
    for (process, expected) in [
        (outer, ["/dev/null"; 3]),
        // What it has to say goes to the other half.
        (inner, ["none", "none", "pipe:"]),
        (child(inner), ["/dev/null", "pipe:", "pipe:"]),
    ] {
        for (number, expected) in expected.iter().enumerate() {
            let link = fs::read_link(format!("/proc/{process}/fd/{number}"));
            let link = link.map_or("none".to_owned(), |link| link.display().to_string());
            assert!(link.starts_with(expected), "{process} {number}: {link}");
        }
    }
    life.run(&["stop", &uuid]).exits(0);
    life.leaves_nothing();
}

#[test]
fn what_the_apps_write_is_kept_apart_and_their_input_is_empty() {
    require_root!();
    let life = Life::new();
    let words = [
        "--stdin",
        "--stdout",
        "result",
        "--stderr",
        "talk",
        "--exit-code",
        "3",
    ];
    let uuid = life
        .call(&[&["run", "--detach", "PROBE", "--"], &words[..]].concat())
        .input("not for the pod")
        .run()
        .exits(0)
        .complains("")
        .stdout;
    let uuid = uuid.trim_end();
    life.run(&["status", "--wait", uuid]).exits(3);
    assert_eq!(life.status(uuid, "status").as_deref(), Some("3"));
    assert_eq!(life.status(uuid, "app-probe").as_deref(), Some("3"));
    life.run(&["logs", uuid])
        .exits(0)
        .says("result\n")
        .complains("talk\n");
    assert_eq!(life.pods(), [format!("exited/{uuid}")]);
    life.run(&["rm", uuid])
        .exits(0)
        .says(&format!("removed {uuid}\n"))
        .complains("");
    assert_eq!(life.pods(), [""; 0]);
}

#[test]
fn a_pod_is_kept_or_removed_as_it_was_started() {
    require_root!();
    let life = Life::new();
    for (options, kept) in [
        (&["--detach"][..], true),
        (&["--detach", "--rm"], false),
        (&["--keep"], true),
        (&["--rm"], false),
        (&[], false),
    ] {
        let words = [
            "--uuid-file-save",
            "uuid",
            "PROBE",
            "--",
            "--exit-code",
            "0",
        ];
        life.call(&[&["run"], options, &words].concat())
            .dir(life.0.path())
            .run()
            .exits(0)
            .complains("");
        let uuid = fs::read_to_string(life.0.join("uuid")).unwrap();
        let uuid = uuid.trim_end();
        // It may be gone before anybody can ask, but for its files.
        let _ = life.run(&["status", "--wait", uuid]);
        super::until("its files are gone", || {
            life.pods().iter().all(|pod| !pod.starts_with("garbage/"))
        });
        let expected = kept.then(|| format!("exited/{uuid}"));
        claims::same(
            &format!("{options:?}"),
            &format!("{:?}", life.pods()),
            &format!("{:?}", Vec::from_iter(expected)),
        );
        life.leaves_nothing();
    }
}

#[test]
fn a_prepared_pod_and_a_plan_can_be_detached_too() {
    require_root!();
    let life = Life::new();
    let words = ["PROBE", "--", "--stdout", "ran"];
    let ran = life.run(&[&["prepare", "--name", "web"], &words[..]].concat());
    let uuid = ran.exits(0).stdout;
    life.run(&["run-prepared", "--detach", "web"])
        .exits(0)
        .says(&uuid)
        .complains("");
    life.run(&["status", "--wait", "web"]).exits(0);
    life.run(&["logs", "web"]).exits(0).says("ran\n");
    let uuid = uuid.trim_end();
    life.run(&["rm", "web"]).exits(0);
    let plan = life.run(&[&["plan", "--uuid", uuid], &words[..]].concat());
    let plan = plan.exits(0).complains("").stdout;
    let plan = life.0.write("plan", plan).display().to_string();
    let again = life.detach(&["--name", "plan", "--plan", &plan]);
    assert_eq!(again, uuid);
    life.run(&["status", "--wait", "plan"]).exits(0);
    life.run(&["logs", "plan"]).exits(0).says("ran\n");
    life.run(&["list", "--no-legend"]).exits(0).says(&format!(
        "{}  probe    exited  0  just now  just now    plan\n",
        &uuid[..8]
    ));
    life.run(&["cat-manifest", "plan"])
        .exits(1)
        .naming("UUID", uuid)
        .complains_as("a prepared pod and a plan can be detached too");
    life.leaves_nothing();
}

#[test]
fn a_data_directory_that_is_moved_while_pods_run_records_their_end() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&[]);
    let (before, moved) = (life.dir(), life.0.join("moved"));
    let start = |options: &[&str], code| {
        let words = ["PROBE", "--", "--trap-exit", "15", code];
        let words = [&["run"], options, &words].concat();
        let mut running = life.call(&words).start();
        running.until_it_says("waiting");
        running
    };
    let (gone, kept) = (start(&[], "0"), start(&["--keep"], "7"));
    fs::rename(&before, &moved).unwrap();
    // Another one that comes to be there has nothing to do with it.
    life.run(&["fetch", "PROBE"]).exits(0);
    for running in [&gone, &kept] {
        running.signal(Signal::TERM);
    }
    gone.end().exits(0).complains("");
    kept.end().exits(7).complains("");
    assert_eq!(life.pods(), [""; 0]);
    fs::remove_dir_all(&before).unwrap();
    let said = |words: &[&str]| launcher(&moved).args(words).run().exits(0).stdout;
    said(&["stop", &uuid]);
    let status = said(&["status", &uuid]);
    assert!(status.contains("state=exited\n"), "{status}");
    assert!(status.contains("app-probe=0\n"), "{status}");
    assert!(!before.exists());
    fs::rename(&moved, &before).unwrap();
    let pods = life.pods();
    assert_eq!(pods.len(), 2, "{pods:?}");
    assert!(
        pods.iter().all(|pod| pod.starts_with("exited/")),
        "{pods:?}"
    );
    life.leaves_nothing();
}
