//! The metadata service of a pod: what it costs before anybody asks, and what
//! apps that mean harm can do to it.

use std::fs;

use rustix::process::Signal;

use crate::host::{Call, Running, Scratch, launcher};

/// Asks for something, with what comes after the token.
const ASK: &str = "ask() { wget -q -O - \"$@\"; }; \
    post() { wget -q -O - --post-data \"$1\" $AC_METADATA_URL/acMetadata/v1/pod/hmac/$2; }; \
    v1=$AC_METADATA_URL/acMetadata/v1; ";

/// A pod in which a shell runs a script.
macro_rules! pod {
    ($scratch:expr, $options:expr, $script:expr) => {{
        require_root!();
        let image = image!("busybox");
        let script = format!("{ASK}{}", $script);
        let call: Call = launcher(&$scratch.join("dir"))
            .arg("run")
            .args($options)
            .arg(image)
            .args(["--", "-c", &script]);
        call
    }};
}

const NONE: [&str; 0] = [];

/// The processes that the pod's outer half has started.
fn children(pod: &Running) -> usize {
    let path = format!("/proc/{0}/task/{0}/children", pod.pid());
    let children = fs::read_to_string(path).unwrap_or_default();
    children.split_whitespace().count()
}

#[test]
fn a_pod_that_nobody_asks_about_has_no_process_for_it() {
    let scratch = Scratch::new();
    let mut quiet = pod!(scratch, NONE, "echo up; sleep 100; true").start();
    quiet.until_it_says("up");
    assert_eq!(children(&quiet), 1);
    let script = "ask $v1/pod/uuid; echo; echo up; sleep 100; true";
    let mut asking = pod!(scratch, NONE, script).start();
    asking.until_it_says("up");
    assert_eq!(children(&asking), 2);
    for pod in [quiet, asking] {
        pod.signal(Signal::KILL);
        pod.end();
    }
}

#[test]
fn who_serves_has_no_privileges() {
    let scratch = Scratch::new();
    let script = "ask $v1/pod/uuid >/dev/null; echo up; sleep 100; true";
    let mut pod = pod!(scratch, NONE, script).start();
    pod.until_it_says("up");
    let path = format!("/proc/{0}/task/{0}/children", pod.pid());
    let children = fs::read_to_string(path).unwrap();
    let servers = children.split_whitespace().filter_map(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.starts_with("Name:\tlauncher").then_some(status)
    });
    let servers: Vec<String> = servers.collect();
    let [status] = &servers[..] else {
        panic!("there is not one server: {servers:?}");
    };
    for line in [
        "Uid:\t65534\t65534\t65534\t65534",
        "Gid:\t65534\t65534\t65534\t65534",
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "NoNewPrivs:\t1",
    ] {
        assert!(status.lines().any(|each| each == line), "{line}: {status}");
    }
    pod.signal(Signal::KILL);
    pod.end();
}

#[test]
fn clients_that_say_nothing_keep_nobody_waiting() {
    let scratch = Scratch::new();
    let script = "i=0; while [ $i -lt 150 ]; do (sleep 30 | nc 127.0.0.1 18112 >/dev/null 2>&1 &); \
        i=$((i+1)); done; sleep 0.3; ask $v1/pod/uuid; kill -9 -1";
    let uuid = "6733c088-a507-4694-0001-edbe4fc5266f";
    let ran = pod!(scratch, ["--uuid", uuid], script).run();
    assert!(ran.stdout.starts_with(uuid), "{ran:?}");
}

#[test]
fn who_does_not_know_the_token_learns_nothing() {
    let scratch = Scratch::new();
    let script = "ask http://127.0.0.1:18112/acMetadata/v1/pod/uuid; \
        ask ${AC_METADATA_URL%?}/acMetadata/v1/pod/uuid; ask ${v1}/pod/none; true";
    let ran = pod!(scratch, NONE, script).run().exits(0).says("");
    ran.complains(
        "wget: server returned error: HTTP/1.1 401 Unauthorized\n\
         wget: server returned error: HTTP/1.1 401 Unauthorized\n\
         wget: server returned error: HTTP/1.1 404 Not Found\n",
    );
}

#[test]
fn of_a_pod_that_is_damaged_nothing_is_told_and_nobody_waits() {
    let scratch = Scratch::new();
    let uuid = "6733c088-a507-4694-0004-edbe4fc5266f";
    let script = format!("{ASK}ask $v1/pod/uuid");
    require_root!();
    launcher(&scratch.join("dir"))
        .args(["prepare", "--uuid", uuid])
        .arg(image!("busybox"))
        .args(["--", "-c", &script])
        .run()
        .exits(0);
    let prepared = scratch.join("dir/pods/prepared").join(uuid);
    fs::write(prepared.join("manifest"), "{}").unwrap();
    launcher(&scratch.join("dir"))
        .args(["run-prepared", uuid])
        .run()
        .exits(1)
        .says("")
        .naming("UUID", uuid)
        .complains_as("of a pod that is damaged nothing is told and nobody waits");
}

#[test]
fn one_pod_can_have_verified_what_another_one_signed() {
    let scratch = Scratch::new();
    let uuid = "6733c088-a507-4694-0002-edbe4fc5266f";
    let signed = pod!(scratch, ["--uuid", uuid], "post content=mine sign")
        .run()
        .exits(0);
    let signature = signed.stdout.replace('+', "%2B").replace('/', "%2F");
    for (content, uuid, code) in [
        ("mine", uuid, 0),
        ("yours", uuid, 1),
        ("mine", "6733c088-a507-4694-0003-edbe4fc5266f", 1),
    ] {
        let script = format!("post 'content={content}&uuid={uuid}&signature={signature}' verify");
        pod!(scratch, NONE, script).run().exits(code).says("");
    }
    // On another host it counts for nothing.
    let elsewhere = Scratch::new();
    let script = format!("post 'content=mine&uuid={uuid}&signature={signature}' verify");
    pod!(elsewhere, NONE, script).run().exits(1).says("");
}
