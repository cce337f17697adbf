//! What cannot be had: a sentence, status 125, and nothing on the host.

use std::fs;
use std::net::Ipv4Addr;

use super::site;
use crate::golden::Cases;
use crate::host::{self, Scratch, launcher};

#[test]
fn what_is_no_network_is_refused() {
    let scratch = Scratch::new();
    let mut cases = Cases::default();
    for network in [
        "",
        "nta",
        "default",
        "nat,host",
        "nat:",
        "nat:eth0",
        "nat:IP=fd00::2",
        "nat:MTU=10",
        "nat:MAC=ff:ff:ff:ff:ff:ff",
        "nat:DNS=192.0.2.2",
        "nat,nat",
        "bridge:a b",
        "host:eth0",
        "\u{1b}[2J",
    ] {
        let option = format!("--net={network}");
        let ran = launcher(&scratch.join("dir")).args(["run", &option]);
        let ran = ran.arg(host::image("hello")).run().exits(125).says("");
        cases.add(option.escape_debug(), &ran.told());
    }
    cases.as_written("what is no network is refused");
    assert!(!scratch.join("dir").exists());
}

#[test]
fn a_pod_gets_no_address_that_the_host_reaches_otherwise() {
    let site = site!();
    let used = "172.16.0.0/12 10.228.29.0/24 192.168.228.0/30";
    for network in used.split(' ') {
        site.host
            .ip(&format!("route add {network} via {}", site::REMOTE[0]));
    }
    let before = site.traces();
    let ran = site
        .launcher()
        .args(["run", "--net=nat"])
        .arg(host::image("hello"));
    ran.run()
        .exits(125)
        .says("")
        .complains_as("all networks are in use");
    assert_eq!(site.traces(), before);
    // The first that is free is taken.
    site.host.ip("route del 192.168.228.0/30");
    let _ = image!("busybox");
    let ran = site
        .pod(&["--net=nat"], "ip -4 -o address show eth0")
        .run()
        .exits(0);
    assert!(ran.stdout.contains(" 192.168."), "{}", ran.stdout);
}

#[test]
fn when_all_addresses_are_used_the_next_pod_is_refused() {
    let site = site!();
    let _ = image!("busybox");
    // One file with many names is locked under all of them.
    let leases = site.leases();
    fs::create_dir_all(&leases).unwrap();
    let address = |at: u32| Ipv4Addr::from_bits(Ipv4Addr::new(172, 16, 28, 0).to_bits() + at);
    let first = leases.join(address(2).to_string());
    let lease = fs::File::create(&first).unwrap();
    rustix::fs::flock(&lease, rustix::fs::FlockOperation::LockExclusive).unwrap();
    for at in 3..1023 {
        fs::hard_link(&first, leases.join(address(at).to_string())).unwrap();
    }
    let before = site.traces();
    let pod = |options| site.pod(options, "ip -4 -o address show eth0").run();
    let refused = pod(&["--net=nat"]).exits(125).says("");
    refused.complains_as("all addresses are used");
    assert_eq!(site.traces(), before);
    let free = address(777).to_string();
    fs::remove_file(leases.join(&free)).unwrap();
    let ran = pod(&["--net=nat"]).exits(0).complains("");
    assert!(ran.stdout.contains(&format!(" {free}/")), "{}", ran.stdout);
}

#[test]
fn a_name_that_the_host_has_taken_is_an_error_that_leaves_nothing() {
    let site = site!();
    let uuid = "6733c088-a507-4694-0001-edbe4fc5266f";
    let pod = |script| site.pod(&["--net=nat", "--uuid", uuid], script);
    let _ = image!("busybox");
    let said = pod("ip -4 -o address show eth0").run().exits(0).stdout;
    // A pod with the same UUID looks for an address at the same place.
    let address = said
        .split([' ', '/'])
        .find(|word| word.starts_with("172."))
        .unwrap();
    let address: Ipv4Addr = address.parse().unwrap();
    let name = format!("nsc-{:08x}", address.to_bits());
    site.host.ip(&format!("link add {name} type bridge"));
    let before = site.traces();
    pod("true")
        .run()
        .exits(125)
        .says("")
        .naming("LINK", &name)
        .complains_as("a link has the name");
    // What has its name goes with the lease.
    let after = site.traces();
    let without = before.replace(&format!(", \"{name}\""), "");
    assert_eq!(after, without);
}

#[test]
fn parameters_that_cannot_be_set_are_an_error_that_leaves_nothing() {
    let site = site!();
    let before = site.traces();
    let program = host::program();
    let script = "mount --bind -o ro /proc/sys /proc/sys && exec \"$@\"";
    let shell = site
        .host
        .call("/usr/bin/unshare".as_ref())
        .args(["--mount", "sh", "-c", script, "-"]);
    let scratch = Scratch::new();
    let ran = shell.arg(program).arg("--dir").arg(scratch.join("dir"));
    let ran = ran
        .args(["run", "--net=nat"])
        .arg(host::image("hello"))
        .run();
    let link = ran
        .stderr
        .split(['`', '.'])
        .find(|word| word.starts_with("nsc-"));
    let link = link.unwrap_or("?").to_owned();
    ran.exits(125)
        .says("")
        .naming("LINK", link)
        .complains_as("parameters are read-only");
    assert_eq!(site.traces(), before);
    assert_eq!(
        fs::read_dir(scratch.join("dir/pods/run")).map_or(0, Iterator::count),
        0
    );
}
