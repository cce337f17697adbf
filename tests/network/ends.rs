//! What goes with a pod, however it ends.

use std::collections::BTreeSet;
use std::fs;

use rustix::process::{Pid, Signal};

use super::Site;
use super::site::{HOST, PORT, REMOTE};
use crate::host::{self, Running};

const SAY: &str = "ip -4 -o address show eth0 | sed 's/.*inet \\([0-9.]*\\).*/\\1/'; ";

/// Runs a pod with a network that sleeps.
fn asleep(site: &Site) -> Running {
    let mut pod = site.pod(&["--net=nat"], "echo up; sleep 600").start();
    pod.until_it_says("up");
    pod
}

/// Kills a process, and waits until everything that had a part in it is gone.
fn kill(pod: Running) {
    pod.signal(Signal::KILL);
    pod.end();
}

#[test]
fn when_a_pod_ends_only_forwarding_stays() {
    let site = site!();
    let _ = image!("busybox");
    let before = site.traces();
    let mut pod = asleep(&site);
    let during = site.traces();
    for part in [
        "leases: [\"172.16.",
        "nsc-ac10",
        "table inet nosecone",
        "comment",
    ] {
        assert!(during.contains(part), "{part}: {during}");
    }
    pod.signal(Signal::TERM);
    pod.until("ends", |_| true);
    pod.end();
    assert_eq!(site.traces(), before);
    assert_eq!(site.host.parameter("net/ipv4/conf/eth0/forwarding"), "1");
    for untouched in [
        "net/ipv4/ip_forward",
        "net/ipv4/conf/lo/forwarding",
        "net/ipv6/conf/all/forwarding",
        "net/ipv4/conf/all/route_localnet",
    ] {
        assert_eq!(site.host.parameter(untouched), "0", "{untouched}");
    }
}

#[test]
fn a_pod_that_does_not_start_leaves_nothing() {
    let site = site!();
    let before = site.traces();
    let run = site
        .launcher()
        .args(["run", "--net=nat"])
        .arg(host::image("hello"));
    run.args(["--exec", "/none"]).run().exits(127);
    assert_eq!(site.traces(), before);
}

#[test]
fn what_a_killed_pod_has_left_goes_at_the_next_run_or_with_gc() {
    let site = site!();
    let _ = image!("busybox");
    let before = site.traces();
    for by in ["run", "gc"] {
        let pod = asleep(&site);
        let left = pod.pid();
        kill(pod);
        let traces = site.traces();
        assert!(traces.contains("leases"), "{traces}");
        match by {
            "run" => {
                site.pod(&["--net=nat"], "true").run().exits(0);
            }
            _ => {
                site.launcher()
                    .args(["gc", "--grace-period=0s"])
                    .run()
                    .exits(0);
            }
        }
        assert_eq!(site.traces(), before, "{by} after {left}");
    }
}

#[test]
fn what_was_left_before_a_reboot_is_in_nobodys_way() {
    let site = site!();
    let _ = image!("busybox");
    let pod = asleep(&site);
    kill(pod);
    // Of a reboot the file system in memory knows nothing, and the kernel has
    // nothing of what the leases are for.
    let kept = site.leases();
    let names = host::names(&kept);
    site.host.nft("flush ruleset");
    for link in site
        .host
        .ip("-o link")
        .lines()
        .filter(|line| line.contains("nsc-"))
    {
        let name = link
            .split([' ', '@', ':'])
            .find(|word| word.starts_with("nsc-"));
        // It may have gone with the pod's namespace meanwhile.
        let ip = site.host.call(&host::find_tool("ip").unwrap());
        ip.args(["link", "del", name.unwrap()]).run();
    }
    assert_eq!(host::names(&kept), names);
    site.launcher()
        .args(["gc", "--grace-period=0s"])
        .run()
        .exits(0);
    assert!(!kept.exists());
}

#[test]
fn a_table_that_somebody_has_removed_is_made_anew_for_the_next_pod() {
    let site = site!();
    let _ = image!("busybox");
    let before = site.traces();
    let mut first = asleep(&site);
    site.host.nft("flush ruleset");
    let _server = site.remote.serve(PORT);
    let script = format!("nc {} {PORT}", REMOTE[0]);
    site.pod(&["--net=nat"], &script)
        .run()
        .exits(0)
        .says(&format!("{}\n", HOST[0]));
    first.until("runs", |_| true);
    first.signal(Signal::TERM);
    first.end();
    assert_eq!(site.traces(), before);
}

#[test]
fn rules_of_others_are_left_alone() {
    let site = site!();
    let _ = image!("busybox");
    site.host.nft("add table inet filter");
    site.host
        .nft("add chain inet filter forward { type filter hook forward priority 0; }");
    site.host
        .nft("add rule inet filter forward iifname eth0 counter accept");
    let before = site.traces();
    site.pod(&["--net=nat"], "true").run().exits(0);
    assert_eq!(site.traces(), before);
}

#[test]
fn pods_that_start_and_end_at_once_do_not_get_into_each_others_way() {
    let site = site!();
    let _ = image!("busybox");
    let before = site.traces();
    let _server = site.remote.serve(PORT);
    let rounds = host::rounds(2);
    for _ in 0..rounds {
        let script = format!("{SAY}nc {} {PORT}", REMOTE[0]);
        let pods = (0..6).map(|_| site.pod(&["--net=nat"], &script).start());
        let pods: Vec<Running> = pods.collect();
        let mut seen = BTreeSet::new();
        for pod in pods {
            let ran = pod.end().exits(0).complains("");
            let (own, host) = ran.stdout.trim().split_once('\n').unwrap();
            assert_eq!(host, HOST[0]);
            seen.insert(own.to_owned());
        }
        assert!(!seen.is_empty());
        assert_eq!(site.traces(), before);
    }
}

#[test]
fn pods_that_run_at_once_have_different_addresses() {
    let site = site!();
    let _ = image!("busybox");
    let pods = (0..6).map(|_| {
        let script = format!("{SAY}echo up; sleep 600");
        site.pod(&["--net=nat"], &script).start()
    });
    let mut pods: Vec<Running> = pods.collect();
    let mut seen = BTreeSet::new();
    for pod in &mut pods {
        pod.until_it_says("up");
        seen.insert(pod.said().lines().next().unwrap().to_owned());
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
    for pod in pods {
        kill(pod);
    }
    site.launcher()
        .args(["gc", "--grace-period=0s"])
        .run()
        .exits(0);
    assert!(!site.leases().exists());
}

#[test]
fn pods_that_are_killed_while_they_start_leave_nothing_that_lasts() {
    let site = site!();
    let _ = image!("busybox");
    let before = site.traces();
    for round in 0..host::rounds(20) {
        let pod = site.pod(&["--net=nat", "-p", "8080:80"], "true").start();
        let until = std::time::Duration::from_micros(700) * u32::try_from(round).unwrap();
        std::thread::sleep(until);
        let pid = Pid::from_raw(i32::try_from(pod.pid()).unwrap()).unwrap();
        let _ = rustix::process::kill_process(pid, Signal::KILL);
        pod.end();
    }
    let last = site.pod(&["--net=nat", "-p", "8080:80"], "true");
    last.run().exits(0).complains("");
    site.launcher()
        .args(["gc", "--grace-period=0s"])
        .run()
        .exits(0);
    assert_eq!(site.traces(), before);
}

#[test]
fn detached_and_prepared_pods_have_their_network_as_long_as_they_run() {
    let site = site!();
    let _ = image!("busybox");
    let before = site.traces();
    let script = format!("{SAY}sleep 600");
    let image = host::image("busybox");
    let words = ["--exec", "/bin/sh", "--", "-c", &script];
    let prepare = site
        .launcher()
        .args(["prepare", "--net=nat"])
        .arg(&image)
        .args(words);
    let prepared = prepare.run().exits(0).stdout.trim().to_owned();
    assert_eq!(site.traces(), before);
    let begin = ["run-prepared", "--detach", &prepared];
    site.launcher().args(begin).run().exits(0);
    let run = site
        .launcher()
        .args(["run", "--detach", "--rm", "--net=nat"]);
    let detached = run
        .arg(&image)
        .args(words)
        .run()
        .exits(0)
        .stdout
        .trim()
        .to_owned();
    assert_eq!(host::names(&site.leases()).len(), 2);
    site.launcher().args(["stop", &prepared]).run().exits(0);
    assert_eq!(host::names(&site.leases()).len(), 1);
    site.launcher()
        .args(["kill", "--signal=KILL", &detached])
        .run()
        .exits(0);
    assert_eq!(site.traces(), before);
    // It is kept, without a network.
    let kept = site.launcher().args(["status", &prepared]).run().exits(0);
    assert!(kept.stdout.contains("state=exited"), "{}", kept.stdout);
    let _ = fs::metadata(site.leases()).unwrap_err();
}

#[test]
fn the_plan_says_what_changes_on_the_host_and_what_stays() {
    let site = site!();
    let plan = |words: &[&str]| {
        let plan = site
            .launcher()
            .arg("plan")
            .args(words)
            .arg(host::image("hello"));
        plan.run().exits(0).stdout
    };
    let changes = |text: &str| {
        let lines = text.lines().filter(|line| line.starts_with("# "));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let fetch = ["fetch", "--insecure-options=image"];
    let fetch = site.launcher().args(fetch).arg(host::image("hello"));
    fetch.run().exits(0);
    let text = plan(&["--net=nat"]);
    crate::golden::as_written("the plan", "what changes on the host", &changes(&text));
    for words in [&["--net=none"][..], &["--net=host"], &[]] {
        assert_eq!(changes(&plan(words)), "");
    }
    // Whoever executes the plan gets what is in it: loopback.
    let file = site.file("plan", &text);
    let before = site.traces();
    site.launcher()
        .args(["run", "--plan"])
        .arg(file)
        .run()
        .exits(0);
    assert_eq!(site.traces(), before);
    let json = plan(&["--net=nat", "--format=json"]);
    let stays = json.matches("\"stays\": true").count();
    assert_eq!(
        (stays, json.matches("\"stays\": false").count()),
        (1, 3),
        "{json}"
    );
    assert_eq!(site.host.parameter("net/ipv4/conf/eth0/forwarding"), "0");
}
