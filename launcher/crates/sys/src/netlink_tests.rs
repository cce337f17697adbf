//! What the kernel made of requests, as ip(8) and nft(8) read it back, in
//! network namespaces of the tests' own.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::IpAddr;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::process::Command;
use std::time::Duration;

use rustix::io::Errno;

use super::Socket;
use super::bridge::Bridge;
use super::expression::{Connection, Expression, Field, IPV4, IPV6, KNOWN, Meta};
use super::nftables::{Batch, Hook, Kind};
use super::route::{Route, Veth};
use super::upper::{IpvlanMode, Link, MacvlanMode, Sharing, Upper};
use crate::netns;

/// A network namespace with a socket of each kind.
struct Place {
    namespace: OwnedFd,
    route: Socket,
    filter: Socket,
}

/// Makes one, unless this host or caller cannot, or lacks the program that
/// tells what is there.
fn place(program: &str) -> Option<Place> {
    let there = |dir: &str| std::path::Path::new(dir).join(program).exists();
    if !rustix::process::geteuid().is_root() || !["/usr/sbin", "/sbin"].into_iter().any(there) {
        return None;
    }
    let (namespace, sockets) = netns::make(|| Ok((Socket::route()?, Socket::netfilter()?))).ok()?;
    Some(Place {
        namespace,
        route: sockets.0,
        filter: sockets.1,
    })
}

impl Place {
    /// What a program says in the namespace.
    fn told(&self, program: &str, words: &[&str]) -> String {
        let namespace = format!(
            "--net=/proc/{}/fd/{}",
            std::process::id(),
            self.namespace.as_raw_fd()
        );
        let mut call = Command::new("nsenter");
        let call = call.arg(namespace).arg(program).args(words);
        let output = call.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn ip_sees_the_links_addresses_and_routes_that_were_added() {
    let (Some(mut one), Some(mut other)) = (place("ip"), place("ip")) else {
        return;
    };
    assert_eq!(one.route.find_link("a"), Ok(None));
    assert_eq!(one.route.delete_link("a"), Ok(()));
    let there = other.namespace.as_fd();
    let veth = Veth {
        here: "a",
        there: "eth0",
        namespace: there,
        mac: Some([2, 0, 0, 0, 0, 9]),
        mtu: Some(1400),
    };
    one.route.add_veth(&veth).unwrap();
    let again = Veth {
        namespace: one.namespace.as_fd(),
        ..veth
    };
    assert_eq!(one.route.add_veth(&again), Err(Errno::EXIST));
    let link = one.route.find_link("a").unwrap().unwrap();
    let inside = other.route.find_link("eth0").unwrap().unwrap();
    for address in [(ip("10.1.0.1"), 32), (ip("fd00::1"), 128)] {
        one.route.add_address(link, address).unwrap();
        assert_eq!(one.route.add_address(link, address), Err(Errno::EXIST));
    }
    one.route.set_up(link).unwrap();
    other.route.set_up(inside).unwrap();
    for (to, prefix, gateway) in [
        (ip("10.1.0.2"), 32, None),
        (ip("fd00::2"), 128, None),
        (ip("10.9.0.0"), 16, Some(ip("10.1.0.2"))),
        (ip("0.0.0.0"), 0, Some(ip("10.1.0.2"))),
        (ip("::"), 0, Some(ip("fd00::2"))),
    ] {
        let route = Route {
            to: (to, prefix),
            link,
            gateway,
        };
        one.route.add_route(&route).unwrap();
        assert_eq!(one.route.add_route(&route), Err(Errno::EXIST));
    }
    let lost = Route {
        to: (ip("10.2.0.0"), 16),
        link,
        gateway: Some(ip("10.3.0.1")),
    };
    assert_eq!(one.route.add_route(&lost), Err(Errno::NETUNREACH));
    let addresses = one.told("ip", &["-br", "address", "show", "a"]);
    assert!(
        addresses.starts_with(&format!("a@if{inside}")),
        "{addresses}"
    );
    for part in ["UP", "10.1.0.1/32", "fd00::1/128"] {
        assert!(addresses.contains(part), "{addresses}");
    }
    let routes = one.told("ip", &["-4", "route"]);
    let routes: Vec<&str> = routes.lines().map(str::trim_end).collect();
    let expected = [
        "default via 10.1.0.2 dev a",
        "10.1.0.2 dev a scope link",
        "10.9.0.0/16 via 10.1.0.2 dev a",
    ];
    assert_eq!(routes, expected);
    let routes = one.told("ip", &["-6", "route"]);
    assert!(
        routes.contains("default via fd00::2 dev a metric 1024"),
        "{routes}"
    );
    one.told(
        "ip",
        &[
            "route",
            "add",
            "10.7.0.0/16",
            "nexthop",
            "via",
            "10.1.0.2",
            "dev",
            "a",
        ],
    );
    let mut seen = one.route.routes().unwrap();
    seen.sort_by_key(|route| route.to);
    let to: Vec<String> = seen
        .iter()
        .map(|route| format!("{}/{}", route.to.0, route.to.1))
        .collect();
    assert_eq!(
        to,
        ["0.0.0.0/0", "10.1.0.2/32", "10.7.0.0/16", "10.9.0.0/16"]
    );
    assert!(seen.iter().all(|route| route.link == link), "{seen:?}");
    one.route.delete_link("a").unwrap();
    assert_eq!(one.route.find_link("a"), Ok(None));
    assert_eq!(other.route.find_link("eth0"), Ok(None));
}

#[test]
fn ip_sees_what_was_said_of_a_link_and_the_bridge_it_is_a_port_of() {
    let (Some(mut one), Some(other)) = (place("ip"), place("ip")) else {
        return;
    };
    let mac = [2, 0x6e, 10, 229, 0, 1];
    let bridge = one.route.add_bridge("br", mac).unwrap();
    assert_eq!(one.route.add_bridge("br", mac), Err(Errno::EXIST));
    assert_eq!(one.route.has_ports(bridge), Ok(false));
    let veth = Veth {
        here: "a",
        there: "eth0",
        namespace: other.namespace.as_fd(),
        mac: Some([2, 0, 0, 0, 0, 9]),
        mtu: Some(1400),
    };
    one.route.add_veth(&veth).unwrap();
    let link = one.route.find_link("a").unwrap().unwrap();
    one.route.add_port(bridge, link).unwrap();
    assert_eq!(one.route.has_ports(bridge), Ok(true));
    assert_eq!(one.route.has_ports(link), Ok(false));
    let known = Bridge {
        number: bridge,
        name: "br".to_owned(),
        mac,
    };
    // A link that is no bridge is not listed.
    assert_eq!(one.route.bridges(), Ok(vec![known]));
    let told = one.told("ip", &["-o", "link", "show", "a"]);
    assert!(
        told.contains("mtu 1400 ") && told.contains(" master br "),
        "{told}"
    );
    let told = other.told("ip", &["-o", "link", "show", "eth0"]);
    assert!(
        told.contains("mtu 1400 ") && told.contains(" 02:00:00:00:00:09 "),
        "{told}"
    );
}

#[test]
fn ip_sees_the_links_on_another_one_in_their_own_namespaces() {
    let (Some(mut one), Some(mut other), Some(far)) = (place("ip"), place("ip"), place("ip"))
    else {
        return;
    };
    let veth = Veth {
        here: "new0",
        there: "far",
        namespace: far.namespace.as_fd(),
        mac: None,
        mtu: None,
    };
    one.route.add_veth(&veth).unwrap();
    assert_eq!(one.route.look_at_link("new1"), Ok(None));
    let look =
        |place: &mut Place, name| -> Link { place.route.look_at_link(name).unwrap().unwrap() };
    assert!(look(&mut one, "lo").is_loopback() && !look(&mut one, "lo").has_broadcast());
    let lower = look(&mut one, "new0");
    assert!(!lower.is_loopback() && lower.has_broadcast() && !lower.is_up());
    let namespace = other.namespace.try_clone().unwrap();
    let upper = |name, sharing, mac: Option<[u8; 6]>| Upper {
        name,
        lower: lower.number,
        sharing,
        namespace: namespace.as_fd(),
        mac,
        mtu: mac.map(|_| 1400),
    };
    let mac = [2, 0, 0, 0, 0, 7];
    let bridge = |name| upper(name, Sharing::Macvlan(MacvlanMode::Bridge), Some(mac));
    let (here, there) = (&mut one.route, &mut other.route);
    let made = here.add_upper(there, &bridge("eth0")).unwrap();
    here.set_up(lower.number).unwrap();
    there.set_up(made).unwrap();
    let twin = here.add_upper(there, &bridge("twin")).unwrap();
    assert_eq!(there.set_up(twin), Err(Errno::ADDRINUSE));
    // This kernel may not have it; but it cannot be together with the other.
    let ipvlan = upper("eth1", Sharing::Ipvlan(IpvlanMode::L2), None);
    let refused = here.add_upper(there, &ipvlan);
    assert!(matches!(refused, Err(Errno::OPNOTSUPP | Errno::BUSY)));
    let through = upper("eth1", Sharing::Macvlan(MacvlanMode::Passthru), None);
    assert_eq!(here.add_upper(there, &through), Err(Errno::INVAL));
    let link = look(&mut other, "eth0");
    assert_eq!((link.number, link.mac, link.mtu), (made, Some(mac), 1400));
    other.route.set_mtu(made, 1300).unwrap();
    assert_eq!(look(&mut other, "eth0").mtu, 1300);
    assert_eq!(other.route.set_mtu(made, 9000), Err(Errno::INVAL));
    let told = other.told("ip", &["-d", "link", "show", "eth0"]);
    assert!(told.contains("macvlan mode bridge"), "{told}");
    let hour = Duration::from_secs(3600);
    let address: std::net::Ipv4Addr = "192.0.2.7".parse().unwrap();
    let lent = (address, 24);
    assert_eq!(other.route.time_left(made, address), Ok(None));
    other
        .route
        .lend_address(made, lent, hour / 2, hour / 3)
        .unwrap();
    other
        .route
        .lend_address(made, lent, hour, hour / 2)
        .unwrap();
    let left = other.route.time_left(made, address).unwrap().unwrap();
    assert!(
        left.valid > hour / 2 && left.preferred <= hour / 2,
        "{left:?}"
    );
    assert_eq!(left.prefix, 24);
    let told = other.told("ip", &["address", "show", "eth0"]);
    let left = told.contains("valid_lft 3600sec") || told.contains("valid_lft 3599sec");
    assert!(told.contains("inet 192.0.2.7/24 ") && left, "{told}");
}

#[test]
fn tc_sees_how_fast_packets_leave_a_link() {
    let (Some(mut one), Some(far)) = (place("tc"), place("tc")) else {
        return;
    };
    let veth = Veth {
        here: "a",
        there: "far",
        namespace: far.namespace.as_fd(),
        mac: None,
        mtu: None,
    };
    one.route.add_veth(&veth).unwrap();
    let link = one.route.find_link("a").unwrap().unwrap();
    assert_eq!(one.route.limit_rate(link + 1, 1000), Err(Errno::NODEV));
    for (rate, expected) in [
        (1000, "rate 8Kbit burst "),
        (1_000_000, "rate 8Mbit burst 6"),
        (1_000_000_000, "rate 8Gbit burst 1"),
        (10_000_000_000, "rate 80Gbit burst "),
    ] {
        // The last one counts.
        one.route.limit_rate(link, rate).unwrap();
        let told = one.told("tc", &["qdisc", "show", "dev", "a"]);
        assert!(
            told.starts_with("qdisc tbf ") && told.contains(expected),
            "{told}"
        );
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

#[test]
fn nft_sees_the_rules_sets_and_elements_that_were_added() {
    let Some(mut place) = place("nft") else {
        return;
    };
    let make = |comment: &str| {
        let mut batch = Batch::of("t");
        batch.table();
        batch.set("four", &[Kind::Ipv4]);
        batch.set("six", &[Kind::Ipv6]);
        batch.map(
            "to4",
            &[Kind::Protocol, Kind::Port],
            &[Kind::Ipv4, Kind::Port],
        );
        batch.map(
            "to6",
            &[Kind::Ipv6, Kind::Protocol, Kind::Port],
            &[Kind::Ipv6, Kind::Port],
        );
        batch.empty_chain("pre", Hook::DestinationNat);
        batch.empty_chain("post", Hook::SourceNat);
        batch.empty_chain("fore", Hook::Forward);
        batch.rule(
            "post",
            &[
                Expression::meta(Meta::Version),
                Expression::is(&[IPV4]),
                Expression::field(Field::Source4),
                Expression::is_in("four"),
                Expression::meta(Meta::OutLink),
                Expression::is_not(b"ns-"),
                Expression::masquerade(),
            ],
        );
        batch.rule(
            "fore",
            &[
                Expression::meta(Meta::Version),
                Expression::is(&[IPV6]),
                Expression::field(Field::Source6),
                Expression::is_not_in("six"),
                Expression::meta(Meta::InLink),
                Expression::is(b"lo\0"),
                Expression::connection(Connection::State),
                Expression::masked(KNOWN),
                Expression::is(&[0; 4]),
                Expression::drop(),
            ],
        );
        let [fib, local] = Expression::is_for_host();
        batch.rule(
            "pre",
            &[
                fib,
                local,
                Expression::meta(Meta::Version),
                Expression::is(&[IPV4]),
                Expression::meta(Meta::Protocol),
                Expression::field_after(4, Field::Port),
                Expression::value_in("to4"),
                Expression::redirect(IPV4),
            ],
        );
        batch.rule(
            "pre",
            &[
                Expression::meta(Meta::Version),
                Expression::is(&[IPV6]),
                Expression::field(Field::Destination6),
                Expression::meta_after(16, Meta::Protocol),
                Expression::field_after(20, Field::Port),
                Expression::value_in("to6"),
                Expression::redirect(IPV6),
            ],
        );
        batch.empty_chain("in", Hook::Incoming);
        let limit = Expression::exceeds(1_000_000, 70_000);
        batch.rule(
            "in",
            &[
                Expression::meta(Meta::InLink),
                Expression::is(b"eth0\0"),
                limit,
                Expression::drop(),
            ],
        );
        batch.element("four", &[10, 1, 0, 2], comment);
        batch.element("six", &[0xfd; 16], comment);
        let four = [[10, 1, 0, 2], [0, 80, 0, 0]].concat();
        batch.value("to4", &[6, 0, 0, 0, 0x1f, 0x90, 0, 0], &four, comment);
        let key = [&[0xfd; 16][..], &[17, 0, 0, 0, 0, 53, 0, 0]].concat();
        let six = [&[0xfe; 16][..], &[0, 53, 0, 0]].concat();
        batch.value("to6", &key, &six, comment);
        batch
    };
    place.filter.commit(&make("a pod")).unwrap();
    // Twice is as good as once.
    place.filter.commit(&make("a pod")).unwrap();
    let told = place.told("nft", &["list", "table", "inet", "t"]);
    let expected = "\
table inet t {
	set four {
		type ipv4_addr
		elements = { 10.1.0.2 comment \"a pod\" }
	}

	set six {
		type ipv6_addr
		elements = { fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd comment \"a pod\" }
	}

	map to4 {
		type inet_proto . inet_service : ipv4_addr . inet_service
		elements = { tcp . 8080 comment \"a pod\" : 10.1.0.2 . 80 }
	}

	map to6 {
		type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service
		elements = { fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd . udp . 53 comment \"a pod\" : fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe . 53 }
	}

	chain pre {
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local meta nfproto ipv4 dnat ip to meta l4proto . th dport map @to4
		dnat ip6 to ip6 daddr . meta l4proto . th dport map @to6
	}

	chain post {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr @four oifname != \"ns-*\" masquerade
	}

	chain fore {
		type filter hook forward priority filter; policy accept;
		ip6 saddr != @six iifname \"lo\" ct state ! established,related drop
	}

	chain in {
		type filter hook prerouting priority raw; policy accept;
		iifname \"eth0\" limit rate over 1000000 bytes/second burst 70000 bytes drop
	}
}
";
    assert_eq!(told, expected);
    // One change that fails is a failure of all.
    let mut batch = Batch::of("t");
    batch.element("four", &[10, 1, 0, 3], "");
    batch.delete_element("four", &[10, 1, 0, 9]);
    let refused = place.filter.commit(&batch).unwrap_err();
    assert_eq!(refused.errno, Errno::NOENT);
    assert_eq!(place.told("nft", &["list", "table", "inet", "t"]), expected);
    // Whoever looked before another change is told so.
    let generation = place.filter.generation().unwrap();
    let mut batch = Batch::of("t");
    batch.delete_element("four", &[10, 1, 0, 2]);
    place.filter.commit(&batch).unwrap();
    let mut batch = Batch::of("t").only_in(generation);
    batch.delete_table();
    assert_eq!(
        place.filter.commit(&batch).unwrap_err().errno,
        Errno::RESTART
    );
    let mut batch = Batch::of("t").only_in(place.filter.generation().unwrap());
    batch.delete_table();
    place.filter.commit(&batch).unwrap();
    assert_eq!(place.told("nft", &["list", "ruleset"]), "");
}

#[test]
fn chains_of_others_are_seen_with_what_they_do_to_packets_that_are_passed_on() {
    let Some(mut place) = place("nft") else {
        return;
    };
    let before = place.filter.chains().unwrap();
    assert_eq!(before, []);
    for command in [
        "add table ip filter",
        "add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }",
        "add chain ip filter other",
        "add rule ip filter other iifname \"abc-*\" ip saddr 10.9.0.0/16 accept",
        "add table inet a",
        "add chain inet a in { type filter hook input priority 0; policy drop; }",
        "add chain inet a fore { type filter hook forward priority 0; }",
        "add table ip6 b",
        "add chain ip6 b fore { type filter hook forward priority 0; policy drop; }",
    ] {
        place.told("nft", &[command]);
    }
    let chains = place.filter.chains().unwrap();
    let seen = chains.iter().map(|chain| {
        let place = (chain.family(), &*chain.table, &*chain.name);
        (place, chain.sees_ipv4(), chain.forwards, chain.drops)
    });
    let expected = [
        (("ip", "filter", "FORWARD"), true, true, true),
        (("ip", "filter", "other"), true, false, false),
        (("inet", "a", "in"), true, false, true),
        (("inet", "a", "fore"), true, true, false),
        (("other", "b", "fore"), false, true, true),
    ];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    let mut mentions = |at: usize, value: &[u8]| {
        let chain = &chains[at];
        place.filter.mentions(chain, &[b"none", value]).unwrap()
    };
    assert!(mentions(0, b"abc-") && mentions(1, &[10, 9]));
    assert!(!mentions(0, b"nsc-") && !mentions(2, b"abc-") && !mentions(4, b"abc-"));
}
