//! Waiting, stopping, removing.

use std::fs;
use std::time::{Duration, Instant};

use super::{Life, child};

#[test]
fn stopping_waits_for_the_end_and_keeps_what_became_of_the_apps() {
    require_root!();
    let life = Life::new();
    let (one, two) = (life.waiting(&["--name", "one"]), life.waiting(&[]));
    life.run(&["stop", "one", &two, &one[..8]])
        .exits(0)
        .says(&format!("stopped {one}\nstopped {two}\n"))
        .complains("");
    for uuid in [&one, &two] {
        assert_eq!(life.state(uuid), "exited");
        assert_eq!(life.status(uuid, "app-probe").as_deref(), Some("0"));
        life.run(&["stop", uuid])
            .exits(0)
            .says("")
            .naming("UUID", uuid)
            .complains_as("stopping what is over");
    }
    life.leaves_nothing();
}

#[test]
fn what_does_not_end_is_killed_after_its_time_and_not_before() {
    require_root!();
    let life = Life::new();
    let uuid = life.stubborn();
    let begun = Instant::now();
    life.run(&["stop", "--time=1s", &uuid])
        .exits(0)
        .says(&format!("stopped {uuid}\n"))
        .complains("");
    let taken = begun.elapsed();
    assert!(
        taken >= Duration::from_secs(1) && taken < Duration::from_secs(9),
        "{taken:?}"
    );
    assert_eq!(life.state(&uuid), "exited");
    assert_eq!(life.status(&uuid, "status").as_deref(), Some("137"));
    let uuid = life.stubborn();
    life.run(&["stop", "--time=0", &uuid]).exits(0);
    assert_eq!(life.state(&uuid), "exited");
    let uuid = life.stubborn();
    life.run(&["kill", &uuid]).exits(0).says("").complains("");
    assert_eq!(life.status(&uuid, "status").as_deref(), Some("137"));
    life.leaves_nothing();
}

#[test]
fn a_foreground_pod_that_is_stopped_is_removed_and_tells_its_caller() {
    require_root!();
    const UUID: &str = "abcdef12-4b5a-4978-8796-a5b4c3d2e1f1";
    let life = Life::new();
    for (verb, status) in [(&["stop", UUID][..], 4), (&["kill", UUID], 137)] {
        let mut running = life
            .call(&[
                "run",
                "--uuid",
                UUID,
                "PROBE",
                "--",
                "--trap-exit",
                "15",
                "4",
            ])
            .start();
        running.until_it_says("waiting");
        life.run(verb).exits(0);
        assert_eq!(life.pods(), [""; 0]);
        assert_eq!(running.end().exited(), Some(status));
    }
}

#[test]
fn signals_are_passed_on() {
    require_root!();
    let life = Life::new();
    for (words, signal, status) in [
        (&["kill", "--signal=USR1"][..], "10", "5"),
        (&["kill", "--signal=2"], "2", "6"),
        (&["stop", "--signal=SIGHUP"], "1", "7"),
        (&["kill", "--signal=RTMIN+3"], "37", "8"),
        (&["stop", "--signal=sigrtmax-2"], "62", "9"),
        (&["kill", "--signal=64"], "64", "10"),
        (&["kill", "--signal=StkFlt"], "16", "11"),
    ] {
        let uuid = life.detach(&["PROBE", "--", "--trap-exit", signal, status]);
        life.until_it_logs(&uuid, "waiting\n");
        life.run(&[words, &[&uuid]].concat()).exits(0);
        life.run(&["status", "--wait", &uuid])
            .exits(status.parse().unwrap());
        assert_eq!(life.status(&uuid, "status").as_deref(), Some(status));
    }
    life.leaves_nothing();
}

#[test]
fn who_waits_is_told_of_the_end_even_of_a_pod_that_is_removed_then() {
    require_root!();
    let life = Life::new();
    for (options, state) in [(&[][..], "state=exited\n"), (&["--rm"], "state=gone\n")] {
        let uuid = life.waiting(options);
        let waiters: Vec<_> = [
            &["--wait"][..],
            &["--wait=100s"],
            &["--wait-ready", "--wait"],
        ]
        .iter()
        .map(|options| {
            life.call(&[&["status"], *options, &[&uuid]].concat())
                .start()
        })
        .collect();
        // They are at it, or will be; both must end.
        life.run(&["status", &uuid]).exits(0);
        life.run(&["stop", &uuid]).exits(0);
        for waiter in waiters {
            let ran = waiter.end();
            if ran.succeeded() {
                assert!(ran.stdout.starts_with(state), "{ran:?}");
                continue;
            }
            assert_eq!(state, "state=gone\n", "{ran:?}");
            ran.naming("UUID", &uuid)
                .complains_as_one_of("a pod that is gone");
        }
    }
    life.leaves_nothing();
}

#[test]
fn who_waits_until_it_is_ready_hears_when_the_apps_run_and_if_they_never_will() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&[]);
    life.run(&["status", "--wait-ready", &uuid])
        .exits(0)
        .complains("");
    life.run(&["stop", &uuid]).exits(0);
    // It was, once.
    life.run(&["status", "--wait-ready", &uuid])
        .exits(0)
        .complains("");
    // As if it had been killed before.
    let report = life.dir().join("pods/exited").join(&uuid).join("report");
    std::fs::write(report, "").unwrap();
    life.run(&["status", "--wait-ready", &uuid])
        .exits(1)
        .naming("UUID", &uuid)
        .complains_as("who waits until it is ready hears when the apps run and if they never will");
    life.leaves_nothing();
}

#[test]
fn removing_by_force_kills_and_without_does_not() {
    require_root!();
    let life = Life::new();
    for options in [&[][..], &["--rm"]] {
        let uuid = life.waiting(options);
        life.run(&["rm", &uuid]).exits(1).says("");
        assert_eq!(life.state(&uuid), "running");
        life.run(&["rm", "--force", &uuid])
            .exits(0)
            .says(&format!("removed {uuid}\n"))
            .complains("");
        assert_eq!(life.pods(), [""; 0]);
    }
    // One that cannot be removed does not keep the others.
    let (running, prepared) = (life.waiting(&[]), life.run(&["prepare", "PROBE"]).stdout);
    life.run(&["rm", &running, prepared.trim_end()])
        .exits(1)
        .says(&format!("removed {prepared}"));
    assert_eq!(life.pods(), [format!("run/{running}")]);
    life.run(&["rm", "--force", &running]).exits(0);
}

#[test]
fn who_waits_sleeps_until_there_is_something_to_tell() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&[]);
    for options in [&["--wait"][..], &["--wait=100s"]] {
        let waiter = life
            .call(&[&["status"], options, &[&uuid]].concat())
            .start();
        super::sleeps(waiter.pid());
        waiter.signal(rustix::process::Signal::KILL);
        let _ = waiter.end();
    }
    life.run(&["stop", &uuid]).exits(0);
    life.leaves_nothing();
}

#[test]
fn who_ends_a_pod_waits_until_all_of_it_has_ended() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let many = "i=0; while [ $i -lt 300 ]; do sleep 600 & i=$((i+1)); done; echo up; \
                trap '' TERM; while :; do sleep 600; done";
    for words in [
        &["kill"][..],
        &["stop", "--time=0"],
        &["stop", "--signal=KILL"],
        &["rm", "--force"],
    ] {
        let uuid = life.detach(&["BUSYBOX", "--", "-c", many]);
        life.until_it_logs(&uuid, "up\n");
        let inner = child(life.pid(&uuid));
        let link = format!("/proc/{}/ns/pid", inner.as_raw_nonzero());
        let namespace = fs::read_link(link).unwrap();
        life.run(&[words, &[&uuid]].concat()).exits(0).complains("");
        let left = fs::read_dir("/proc").unwrap().filter(|process| {
            let process = process.as_ref().unwrap().path();
            fs::read_link(process.join("ns/pid")).is_ok_and(|own| own == namespace)
        });
        assert_eq!(left.count(), 0, "{words:?}");
        if words[0] != "rm" {
            assert_eq!(life.state(&uuid), "exited");
            assert_eq!(life.status(&uuid, "status").as_deref(), Some("137"));
        }
    }
    life.leaves_nothing();
}

#[test]
fn whatever_is_listed_can_be_removed_but_what_is_being_made() {
    require_root!();
    let life = Life::new();
    life.run(&["fetch", "PROBE"]).exits(0);
    let uuid = "6f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a10";
    for (state, shown) in [
        ("embryo", "embryo"),
        ("prepare", "aborted prepare"),
        ("prepared", "prepared"),
        ("run", "aborted"),
        ("exited", "aborted"),
        ("garbage", "garbage"),
    ] {
        let pods = life.dir().join("pods").join(state);
        fs::create_dir(pods.join(uuid)).unwrap();
        let listed = life.run(&["list", "--full", "--no-legend"]).exits(0).stdout;
        assert!(listed.starts_with(uuid), "{state}: {listed}");
        assert!(listed.contains(shown), "{state}: {listed}");
        if state == "embryo" {
            // As long as somebody makes pods, it may be one of them.
            let making = fs::File::open(&pods).unwrap();
            making.lock_shared().unwrap();
            let what = "it is being prepared";
            let ran = life.run(&["rm", uuid]).exits(1).says("");
            ran.complains(&format!("launcher: cannot remove pod `{uuid}`: {what}\n"));
        }
        let ran = life.run(&["rm", &uuid[..8]]).exits(0);
        ran.says(&format!("removed {uuid}\n")).complains("");
        assert_eq!(life.pods(), [""; 0], "{state}");
    }
}
