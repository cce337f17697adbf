//! What the pod could learn of the host, and do to it, through a command.

use std::fs;

use super::super::{Life, child, until};
use super::WAITING;

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
        .naming("UUID", &uuid)
        .complains_as("an app with a user namespace of its own is not entered");
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
            .naming("UUID", &uuid)
            .complains_as("no process is entered that only has the number");
    }
    life.run(&["kill", &uuid]).exits(0);
    life.leaves_nothing();
}
