//! Links that share an interface of the host: pods that are its neighbours.

use std::fs;

use rustix::process::Signal;

use super::reach::{SAY, SERVE, addresses};
use super::site::{PORT, REMOTE, Site};
use crate::golden::Cases;
use crate::host::{self, Running};

/// Runs a server of DHCP on the remote, which lends `192.0.2.70` for as long as
/// this, and says this, too.
fn lends(site: &Site, seconds: &str, more: &str) -> Running {
    let leases = site.file("leases", "");
    let text = format!(
        "start 192.0.2.70\nend 192.0.2.70\ninterface eth0\nlease_file {}\nauto_time 0\n\
         conflict_time 0\npidfile {}\nopt subnet 255.255.255.0\nopt lease {seconds}\n{more}",
        leases.display(),
        leases.with_extension("pid").display(),
    );
    let file = site.file("udhcpd.conf", &text);
    let busybox = site.remote.call(&host::find_tool("busybox").unwrap());
    // It does not wait long for somebody who has the address already, and asks again
    // soon: the kernel may still be removing the link of the pod before.
    let server = busybox.args(["udhcpd", "-f", "-a", "10"]).arg(file).start();
    while !leases.with_extension("pid").exists() {
        std::thread::yield_now();
    }
    server
}

/// Leaves the test if busybox has no server.
macro_rules! server {
    ($site:expr, $seconds:expr, $more:expr) => {{
        let busybox = $crate::host::find_tool("busybox").unwrap();
        let listed = $crate::host::call(&busybox).arg("--list").run().stdout;
        if !listed.lines().any(|applet| applet == "udhcpd") {
            skip!("needs a `busybox` with `udhcpd`; see `cargo xtask setup`");
        }
        lends($site, $seconds, $more)
    }};
}

#[test]
fn what_cannot_be_shared_is_an_error_that_leaves_nothing() {
    let site = site!();
    site.host.ip("link add name down type veth peer name peer");
    site.host.ip("tuntap add dev tun0 mode tun");
    site.host.ip("link set tun0 up");
    site.host.ip("link add name port type veth peer name away");
    site.host.ip("link add name br0 type bridge");
    site.host.ip("link set port master br0 up");
    let before = site.traces();
    let mut cases = Cases::default();
    for net in [
        "macvlan:nowhere",
        "macvlan:lo",
        "ipvlan:lo",
        "macvlan:tun0",
        "macvlan:down",
        "macvlan:port:IP=192.0.2.9/24",
        "macvlan:eth0:MTU=9000",
        "nat,macvlan:nowhere",
    ] {
        let run = site.launcher().args(["run", &format!("--net={net}")]);
        let ran = run.arg(host::image("hello")).run().exits(125).says("");
        cases.add(net, &ran.told());
        assert_eq!(site.traces(), before, "{net}");
    }
    cases.as_written("what cannot be shared");
    assert!(!site.leases().exists());
}

#[test]
fn what_the_kernel_cannot_do_is_named() {
    let site = site!();
    let options = fs::read("/proc/config.gz").ok();
    let zcat = host::find_tool("zcat");
    let Some((zcat, _)) = zcat.zip(options) else {
        skip!("needs a kernel that tells its options");
    };
    let options = host::call(&zcat).arg("/proc/config.gz").run().stdout;
    if options.contains("CONFIG_IPVLAN=") {
        skip!("needs a kernel without `CONFIG_IPVLAN`");
    }
    let before = site.traces();
    let run = site.launcher().args(["run", "--net=ipvlan:eth0"]);
    let ran = run.arg(host::image("hello")).run().exits(125).says("");
    ran.complains_as("a kernel without ipvlan");
    assert_eq!(site.traces(), before);
}

#[test]
fn an_address_that_nobody_lends_is_an_error_that_leaves_nothing() {
    let site = site!();
    let before = site.traces();
    let run = site.launcher().args(["run", "--net=macvlan:eth0"]);
    let ran = run.arg(host::image("hello")).run().exits(125).says("");
    ran.complains_as("no server has answered");
    assert_eq!(site.traces(), before);
}

#[test]
fn a_pod_that_is_a_neighbour_has_the_address_that_it_was_given() {
    let site = site!();
    let _ = image!("busybox");
    let before = site.traces();
    let _server = site.remote.serve(PORT);
    let script = format!(
        "{SAY}cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu; ip route; \
         nc {} {PORT}",
        REMOTE[0]
    );
    let net = "--net=macvlan:eth0:IP=192.0.2.9/24,GATEWAY=192.0.2.2,\
               MAC=02:00:00:00:00:09,MTU=1400";
    let ran = site.pod(&[net], &script).run().exits(0).complains("");
    let lines: Vec<&str> = ran.stdout.lines().map(str::trim_end).collect();
    let lines: Vec<&str> = lines
        .into_iter()
        .filter(|line| !line.starts_with("fe80"))
        .collect();
    let expected = [
        "192.0.2.9",
        "02:00:00:00:00:09",
        "1400",
        "default via 192.0.2.2 dev eth0",
        "192.0.2.0/24 dev eth0 scope link  src 192.0.2.9",
        "192.0.2.9",
    ];
    assert_eq!(lines, expected);
    assert_eq!(site.traces(), before);
    // By IPv6 as well.
    let script = format!("nc {} {PORT}", REMOTE[1]);
    let ran = site.pod(&["--net=macvlan:eth0:IP=fd00:1::9/64"], &script);
    ran.run().exits(0).says("fd00:1::9\n");
}

#[test]
fn others_reach_a_neighbour_and_the_host_does_not() {
    let site = site!();
    let _ = image!("busybox");
    let before = site.traces();
    let script = format!("{SERVE}{SAY}echo up; sleep 600");
    let net = "--net=macvlan:eth0:IP=192.0.2.9/24,MAC=02:00:00:00:00:09";
    let mut pod = site.pod(&[net], &script).start();
    assert_eq!(addresses(&mut pod)[0], "192.0.2.9");
    // The host has nothing of it that could be left.
    assert_eq!(site.traces(), before);
    let ask = |namespace: &super::site::Namespace| {
        let busybox = namespace.call(&host::find_tool("busybox").unwrap());
        let words = ["wget", "-q", "-O", "-"];
        let asked = busybox.args(words);
        asked.arg("http://192.0.2.9/cgi-bin/who").run()
    };
    assert!(!ask(&site.host).succeeded());
    let told = ask(&site.remote).exits(0).stdout;
    assert!(told.contains(REMOTE[0]), "{told}");
    // Another pod on the interface does, unless that is not wanted.
    let ask = "wget -q -O - http://192.0.2.9/cgi-bin/who";
    let other = "--net=macvlan:eth0:IP=192.0.2.8/24";
    let ran = site.pod(&[other], ask).run().exits(0);
    assert!(ran.stdout.contains("192.0.2.8"), "{}", ran.stdout);
    let apart = format!("{other},MODE=private");
    assert!(!site.pod(&[&apart], ask).run().succeeded());
    // Nobody else has its hardware address, or the interface for itself.
    let mut cases = Cases::default();
    for argument in ["MAC=02:00:00:00:00:09", "MODE=passthru"] {
        let option = format!("{other},{argument}");
        let ran = site.pod(&[&option], "true").run().exits(125).says("");
        cases.add(argument, &ran.told());
    }
    cases.as_written("what a neighbour already has");
    pod.signal(Signal::KILL);
    pod.end();
    assert_eq!(site.traces(), before);
}

#[test]
fn a_server_gives_a_pod_its_address_routes_and_servers() {
    let site = site!();
    let _ = image!("busybox");
    let more = "opt router 192.0.2.2\nopt dns 192.0.2.2 192.0.2.3\nopt domain lan.example\n\
                opt mtu 1300\n";
    let server = server!(&site, "4294967295", more);
    let before = site.traces();
    let _server = site.remote.serve(PORT);
    let script = format!(
        "{SAY}cat /sys/class/net/eth0/mtu; ip route; cat /etc/resolv.conf; nc {} {PORT}",
        REMOTE[0]
    );
    let net = "--net=macvlan:eth0";
    let ran = site.pod(&[net], &script).run().exits(0).complains("");
    let lines: Vec<&str> = ran.stdout.lines().map(str::trim_end).collect();
    let lines: Vec<&str> = lines
        .into_iter()
        .filter(|line| !line.starts_with("fe80"))
        .collect();
    let expected = [
        "192.0.2.70",
        "1300",
        "default via 192.0.2.2 dev eth0",
        "192.0.2.0/24 dev eth0 scope link  src 192.0.2.70",
        "nameserver 192.0.2.2",
        "nameserver 192.0.2.3",
        "search lan.example",
        "192.0.2.70",
    ];
    assert_eq!(lines, expected);
    assert_eq!(site.traces(), before);
    // What was asked for by name goes before.
    let options = [net, "--dns=192.0.2.99"];
    let ran = site.pod(&options, "cat /etc/resolv.conf").run().exits(0);
    assert_eq!(ran.stdout, "nameserver 192.0.2.99\n");
    // The first network has the default route.
    let options = ["--net=nat", "--net=macvlan:eth0"];
    let script = "ip route | sed -n 's/^default //p'; ip -4 -o address show eth1";
    let ran = site.pod(&options, script).run().exits(0);
    assert!(ran.stdout.starts_with("via 172.16."), "{}", ran.stdout);
    assert!(ran.stdout.contains(" 192.0.2.70/24 "), "{}", ran.stdout);
    assert_eq!(ran.stdout.lines().count(), 2, "{}", ran.stdout);
    server.signal(Signal::TERM);
}

#[test]
fn an_address_that_is_lent_for_a_while_is_lent_again_or_goes() {
    let site = site!();
    let _ = image!("busybox");
    let server = server!(&site, "8", "min_lease 1\n");
    let script = "echo up; while sleep 1; do ip -4 -o address show eth0; echo; done";
    let mut pod = site.pod(&["--net=macvlan:eth0"], script).start();
    pod.until_it_says("up");
    // It has its address for longer than it was lent for at first.
    let has = |line: &str| line.contains(" 192.0.2.70/24 ");
    pod.until("has the address", |pod| {
        pod.said().lines().filter(|line| has(line)).count() > 20
    });
    assert!(
        pod.said()
            .split("\n\n")
            .skip(1)
            .all(|part| part.trim().is_empty() || has(part))
    );
    // Without the server, it has it no more.
    server.signal(Signal::TERM);
    server.end();
    pod.until("loses the address", |pod| pod.said().ends_with("\n\n\n"));
    pod.signal(Signal::KILL);
    pod.end();
}

#[test]
fn the_status_of_a_neighbour_says_whom_it_shares_with() {
    let site = site!();
    let _ = image!("busybox");
    let net = "--net=macvlan:eth0:IP=192.0.2.9/24";
    let run = site.launcher().args(["run", "--detach", "--rm", net]);
    let run = run.arg(host::image("busybox"));
    let run = run.args(["--exec", "/bin/sh", "--", "-c", "sleep 600"]);
    let uuid = run.run().exits(0).stdout.trim().to_owned();
    let status = site.launcher().args(["status", &uuid]).run().exits(0);
    for line in [
        "network-eth0.mode=macvlan:eth0\n",
        "network-eth0.addresses=192.0.2.9\n",
    ] {
        assert!(status.stdout.contains(line), "{}", status.stdout);
    }
    let enter = site
        .launcher()
        .args(["enter", &uuid, "ip", "-4", "-o", "address"]);
    let entered = enter.run().exits(0).stdout;
    assert!(entered.contains(" 192.0.2.9/24 "), "{entered}");
    site.launcher()
        .args(["rm", "--force", &uuid])
        .run()
        .exits(0);
    // What changes is nothing that anybody on the host would see.
    let plan = site
        .launcher()
        .args(["plan", net])
        .arg(host::image("busybox"));
    let plan = plan.run().exits(0).stdout;
    let changes = plan.lines().filter(|line| line.starts_with("# "));
    let changes: String = changes.map(|line| format!("{line}\n")).collect();
    crate::golden::as_written("the plan", "what is shared", &changes);
}
