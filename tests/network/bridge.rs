//! Networks that pods share, and what can be said of a pod's place in one.

use super::reach::{SAY, SERVE, addresses};
use super::site::{PORT, REMOTE, Site};
use crate::host::{self, Running};

/// A pod that serves on a bridge, and its addresses.
fn served(site: &Site, net: &str) -> (Running, Vec<String>) {
    let script = format!("{SERVE}{SAY}echo up; sleep 600");
    let mut pod = site.pod(&[&format!("--net={net}")], &script).start();
    let addresses = addresses(&mut pod);
    (pod, addresses)
}

/// What a pod is told that asks a page of an address, by its own way.
fn asks(site: &Site, net: &str, address: &str) -> String {
    let script = format!("printf 'GET /cgi-bin/who HTTP/1.0\\r\\n\\r\\n' | nc -w 9 {address} 80");
    let ran = site.pod(&[&format!("--net={net}")], &script).run();
    let said = ran.stdout.trim().lines().last().unwrap_or_default();
    let said = said.trim_matches(['[', ']']);
    said.strip_prefix("::ffff:").unwrap_or(said).to_owned()
}

#[test]
fn an_address_is_not_given_to_two_pods_nor_one_that_is_no_pods() {
    let site = site!();
    let _ = image!("busybox");
    let (pod, all) = served(&site, "nat:IP=172.16.29.9");
    assert_eq!(all[0], "172.16.29.9");
    let before = site.traces();
    for (net, title) in [
        ("nat:IP=172.16.29.9", "an address that another pod has"),
        ("nat:IP=172.16.28.1", "an address that is the host's"),
        ("nat:IP=192.0.2.9", "an address of another network"),
        ("bridge:IP=172.16.29.10", "an address of another pool"),
    ] {
        let run = site.launcher().args(["run", &format!("--net={net}")]);
        let ran = run.arg(host::image("hello")).run().exits(125).says("");
        ran.complains_as(title);
        assert_eq!(site.traces(), before, "{net}");
    }
    drop(pod);
}

#[test]
fn a_link_of_the_hosts_own_is_not_taken_for_a_bridge() {
    let site = site!();
    for kind in ["veth peer name other", "bridge"] {
        site.host.ip(&format!("link add nsc-web type {kind}"));
        let before = site.traces();
        let run = site.launcher().args(["run", "--net=bridge:web"]);
        let ran = run.arg(host::image("hello")).run().exits(125).says("");
        ran.complains_as("a link of the host has the name of a bridge");
        assert_eq!(site.traces(), before);
        site.host.ip("link del nsc-web");
    }
}

#[test]
fn pods_of_a_bridge_reach_each_other_by_their_own_addresses() {
    let site = site!();
    let _ = image!("busybox");
    let before = site.traces();
    let (pod, all) = served(&site, "bridge:web");
    assert!(all[0].starts_with("10.229.0."), "{all:?}");
    for (address, own) in all.iter().zip(["10.229.0.", "fd6e:6f73:6563::ae5:"]) {
        let told = asks(&site, "bridge:web", address);
        assert!(told.starts_with(own) && told != *address, "{told}");
    }
    // Those of another bridge have another network, and come by the host.
    let told = asks(&site, "bridge", &all[0]);
    assert!(told.starts_with("10.229.1."), "{told}");
    let told = asks(&site, "nat", &all[0]);
    assert!(told.starts_with("172.16."), "{told}");
    assert!(site.traces().contains("nsc-web"));
    pod.signal(rustix::process::Signal::TERM);
    pod.end();
    assert_eq!(site.traces(), before);
}

#[test]
fn a_pod_of_a_bridge_reaches_others_by_the_hosts_address() {
    let site = site!();
    let _ = image!("busybox");
    let _server = site.remote.serve(PORT);
    let script = format!("nc {} {PORT}", REMOTE[0]);
    let told = site.pod(&["--net=bridge"], &script).run().exits(0);
    assert_eq!(told.stdout, "192.0.2.1\n");
}

#[test]
fn a_pod_can_have_several_networks_each_as_it_was_said() {
    let site = site!();
    let _ = image!("busybox");
    let nets = "nat:MTU=1400,MAC=02:00:00:00:00:0a,bridge:web:IP=10.229.0.77,bridge:db";
    let script = "ip -o link; ip -4 -o address; ip -4 route";
    let told = site.pod(&[&format!("--net={nets}")], script).run().exits(0);
    let line = |words: &[&str]| {
        let mut lines = told.stdout.lines();
        assert!(
            lines.any(|line| words.iter().all(|word| line.contains(word))),
            "{words:?} {}",
            told.stdout
        );
    };
    line(&["eth0@", "mtu 1400", "02:00:00:00:00:0a"]);
    line(&["eth0", "inet 172.16.", "/32"]);
    line(&["eth1", "inet 10.229.0.77/24"]);
    line(&["eth2", "inet 10.229.1.", "/24"]);
    line(&["default via 172.16.28.1 dev eth0"]);
    line(&["10.229.0.0/24 dev eth1"]);
    assert_eq!(told.stdout.matches("default").count(), 1);
}

#[test]
fn a_bridge_stays_as_long_as_one_of_its_pods_however_the_others_end() {
    let site = site!();
    let _ = image!("busybox");
    let before = site.traces();
    let (one, all) = served(&site, "bridge:web");
    let (other, _) = served(&site, "bridge:web");
    other.signal(rustix::process::Signal::KILL);
    other.end();
    assert_eq!(
        asks(&site, "bridge:web", &all[0]).split('.').next(),
        Some("10")
    );
    one.signal(rustix::process::Signal::KILL);
    one.end();
    site.launcher().arg("gc").run().exits(0);
    assert_eq!(site.traces(), before);
}

/// A pod on the bridge `web` with a name, and its address.
fn named(site: &Site, name: &str, options: &[&str]) -> (Running, String) {
    let options = [&["--net=bridge:web", "--name", name][..], options].concat();
    let script = format!("{SAY}echo up; sleep 600");
    let mut pod = site.pod(&options, &script).start();
    let address = addresses(&mut pod)[0].clone();
    (pod, address)
}

/// What a command in a pod says of a name: its address, or nothing.
fn found(site: &Site, pod: &str, name: &str) -> String {
    let script = format!("grep -w {name} /etc/hosts | head -n 1 | cut -f 1");
    let enter = site.launcher().args(["enter", pod, "/bin/sh", "-c"]);
    enter.arg(script).run().exits(0).stdout.trim().to_owned()
}

#[test]
fn nobody_finds_a_pod_that_has_ended_or_is_on_another_bridge() {
    let site = site!();
    let _ = image!("busybox");
    let before = site.traces();
    let (one, _) = named(&site, "one", &[]);
    let (two, address) = named(&site, "two", &[]);
    let other = ["--net=bridge:db", "--name", "three"];
    let mut three = site.pod(&other, "echo up; sleep 600").start();
    three.until_it_says("up");
    assert_eq!(found(&site, "one", "two"), address);
    assert_eq!(found(&site, "one", "three"), "");
    assert_eq!(found(&site, "three", "one"), "");
    two.signal(rustix::process::Signal::TERM);
    two.end();
    assert_eq!(found(&site, "one", "two"), "");
    // One that is killed is found until somebody clears up.
    three.signal(rustix::process::Signal::KILL);
    three.end();
    site.launcher()
        .args(["gc", "--grace-period=0s"])
        .run()
        .exits(0);
    one.signal(rustix::process::Signal::TERM);
    one.end();
    assert_eq!(site.traces(), before);
}

#[test]
fn pods_of_a_bridge_find_each_other_by_their_names() {
    let site = site!();
    let _ = image!("busybox");
    let options = [
        "--hostname",
        "db1.example",
        "--hosts-entry",
        "192.0.2.9=cache",
    ];
    let (_one, first) = named(&site, "one", &options);
    let (_two, second) = named(&site, "two", &[]);
    // Whoever was there before finds who came later.
    for (pod, name, expected) in [
        ("one", "two", &*second),
        ("two", "one", &*first),
        ("two", "db1.example", &*first),
        ("one", "cache", "192.0.2.9"),
        ("two", "cache", ""),
    ] {
        assert_eq!(found(&site, pod, name), expected, "{name} in {pod}");
    }
    // A file that the image or a volume brings stays as it is.
    let hosts = site.file("hosts", "192.0.2.1\tmine\n");
    let volume = format!("{}:/etc/hosts", hosts.display());
    let words = ["--net=bridge:web", "--volume", &volume];
    let told = site.pod(&words, "cat /etc/hosts").run().exits(0);
    assert_eq!(told.stdout, "192.0.2.1\tmine\n");
    // And no app changes what others read.
    let script = "echo 192.0.2.66 two >>/etc/hosts";
    let told = site.pod(&["--net=bridge:web"], script).run().exits(1);
    assert!(told.stderr.contains("Read-only"), "{}", told.stderr);
}

#[test]
fn the_plan_says_which_bridge_is_made_and_where_names_come_from() {
    let site = site!();
    let fetch = ["fetch", "--insecure-options=image"];
    let fetch = site.launcher().args(fetch).arg(host::image("busybox"));
    fetch.run().exits(0);
    let plan = site.launcher().args(["plan", "--net=bridge:web"]);
    let told = plan.arg(host::image("busybox")).run().exits(0).stdout;
    for part in [
        "# on the host: the bridge `nsc-web` with the network `10.229.0.0/24` # option",
        "# on the host: a link `nsc-…` to `eth0` of the pod, as a port of the bridge `nsc-web`",
        "\nbind fd:91 /etc/hosts ",
    ] {
        assert!(told.contains(part), "{part} {told}");
    }
    assert!(!site.traces().contains("nsc-"));
    // Whoever executes the plan gets a pod that knows nobody.
    let script = "cat /etc/hosts";
    let plan = site.launcher().args(["plan", "--net=bridge:web"]);
    let plan = plan.arg(host::image("busybox"));
    let told = plan.args(["--exec", "/bin/sh", "--", "-c", script]).run();
    let file = site.file("plan", &told.exits(0).stdout);
    let run = site.launcher().args(["run", "--plan"]).arg(file);
    let told = run.run().exits(0).stdout;
    assert_eq!(told, "127.0.0.1\tlocalhost \n::1\tlocalhost \n");
}
