//! Who reaches whom, and by which address.

use super::site::{HOST, PORT, REMOTE};
use crate::host::{self, Running};

/// Serves in a pod: everybody is told the address they came from.
pub(super) const SERVE: &str = "mkdir -p /www/cgi-bin; cd /www; \
    printf '#!/bin/sh\\necho; echo $REMOTE_ADDR' >cgi-bin/who; chmod +x cgi-bin/who; \
    httpd -h /www -p 80; ";

/// Asks for that, by address.
const ASK: &str = "ask() { printf 'GET /cgi-bin/who HTTP/1.0\r\n\r\n' | nc $1 80 | tail -n 1; }; ";

/// Says the pod's addresses.
pub(super) const SAY: &str =
    "ip -o address show eth0 | while read -r _ _ _ a _; do echo \"${a%/*}\"; done; ";

/// Waits until a pod that says its addresses is up, and returns them.
pub(super) fn addresses(pod: &mut Running) -> Vec<String> {
    pod.until_it_says("up");
    let said = pod.said();
    let told = said.lines().take_while(|line| *line != "up");
    told.filter(|line| !line.starts_with("fe80"))
        .map(str::to_owned)
        .collect()
}

/// What the site is asked by the way of `wget`.
fn get(site: &super::Site, from: &super::site::Namespace, address: &str) -> String {
    let _ = site;
    let address = match address.contains(':') {
        true => format!("[{address}]"),
        false => address.to_owned(),
    };
    let busybox = host::find_tool("busybox").unwrap();
    let words = ["wget", "-q", "-O", "-"];
    let asked = from
        .call(&busybox)
        .args(words)
        .arg(format!("http://{address}/cgi-bin/who"));
    asked.run().exits(0).stdout.trim().to_owned()
}

#[test]
fn who_was_not_asked_cannot_connect_to_a_pod() {
    let site = site!();
    let _ = image!("busybox");
    let mut pod = site
        .pod(&["--net=nat"], &format!("{SERVE}{SAY}echo up; sleep 600"))
        .start();
    let to = addresses(&mut pod)[0].clone();
    site.remote
        .ip(&format!("route add {to}/32 via {}", HOST[0]));
    for (chain, priority) in [("before", -1), ("after", 1)] {
        site.host.nft("add table ip seen");
        let hook = format!("type filter hook forward priority {priority}");
        site.host
            .nft(&format!("add chain ip seen {chain} {{ {hook}; }}"));
        site.host.nft(&format!(
            "add rule ip seen {chain} ip daddr {to} tcp dport 80 counter"
        ));
    }
    let count = |chain: &str| {
        let listed = site.host.nft(&format!("list chain ip seen {chain}"));
        !listed.contains("packets 0 ")
    };
    let address = to.clone();
    let asking = site.remote.within(move || {
        let to = format!("{address}:80").parse().unwrap();
        std::net::TcpStream::connect_timeout(&to, std::time::Duration::from_secs(30)).is_ok()
    });
    pod.until("is asked", |_| count("before"));
    assert!(!count("after"), "a packet of a stranger was passed on");
    // Without our table, it would have been.
    site.host.nft("flush chain inet nosecone forward");
    assert!(asking.join().unwrap());
    pod.signal(rustix::process::Signal::KILL);
    pod.end();
}

#[test]
fn a_pod_cannot_send_in_the_name_of_others() {
    let site = site!();
    let _ = image!("busybox");
    let forged = ["192.0.2.77", "fd00:1::77"];
    site.host.set("net/ipv6/conf/all/forwarding", "1");
    for (family, address) in [("ip", forged[0]), ("ip6", forged[1])] {
        site.remote.nft(&format!("add table {family} seen"));
        site.remote.nft(&format!(
            "add chain {family} seen in {{ type filter hook input priority 0; }}"
        ));
        site.remote.nft(&format!(
            "add rule {family} seen in {family} saddr {address} counter"
        ));
    }
    let script = format!(
        "ip addr add {0}/32 dev eth0; ip -6 addr add {1}/128 dev eth0 nodad; \
         ping -c 1 -W 1 -I {0} {2}; ping6 -c 1 -W 1 -I {1} {3}; \
         ping -c 1 -W 9 {2} >/dev/null && ping6 -c 1 -W 9 {3} >/dev/null && echo through",
        forged[0], forged[1], REMOTE[0], REMOTE[1]
    );
    let image = host::image("busybox");
    let run = site.launcher().args(["run", "--net=nat"]).arg(image);
    let run = run.args([
        "--cap-add",
        "NET_ADMIN",
        "--exec",
        "/bin/sh",
        "--",
        "-c",
        &script,
    ]);
    let ran = run.run();
    // Packets of its own come after those, and get there.
    assert!(ran.stdout.ends_with("through\n"), "{ran:?}");
    for family in ["ip", "ip6"] {
        let listed = site.remote.nft(&format!("list table {family} seen"));
        assert!(listed.contains("packets 0 "), "{listed}");
    }
}

#[test]
fn a_pod_reaches_others_by_the_hosts_address() {
    let site = site!();
    let _ = image!("busybox");
    site.host.set("net/ipv6/conf/all/forwarding", "1");
    let _server = site.remote.serve(PORT);
    let script = format!("nc {} {PORT}; nc {} {PORT}", REMOTE[0], REMOTE[1]);
    let ran = site.pod(&["--net=nat"], &script).run();
    ran.exits(0)
        .says(&format!("{}\n{}\n", HOST[0], HOST[1]))
        .complains("");
}

#[test]
fn where_the_host_does_not_pass_on_ipv6_a_pod_is_told_so_at_once() {
    let site = site!();
    let _ = image!("busybox");
    let _server = site.remote.serve(PORT);
    let script = format!("nc {} {PORT}; nc {} {PORT}", REMOTE[0], REMOTE[1]);
    let ran = site.pod(&["--net=nat"], &script).run().exits(1);
    ran.says(&format!("{}\n", HOST[0])).complains_as("no route");
    assert_eq!(site.host.parameter("net/ipv6/conf/all/forwarding"), "0");
}

#[test]
fn a_host_without_ipv6_has_pods_without_it() {
    let site = site!();
    let _ = image!("busybox");
    site.host.set("net/ipv6/conf/all/disable_ipv6", "1");
    let _server = site.remote.serve(PORT);
    let script = format!("ip -6 route; nc {} {PORT}", REMOTE[0]);
    let ran = site
        .pod(&["--net=nat"], &script)
        .run()
        .exits(0)
        .complains("");
    assert!(!ran.stdout.contains("fd6e"), "{}", ran.stdout);
    assert!(
        ran.stdout.ends_with(&format!("{}\n", HOST[0])),
        "{}",
        ran.stdout
    );
}

#[test]
fn host_and_pod_reach_each_other() {
    let site = site!();
    let _ = image!("busybox");
    if host::find_tool("busybox").is_none() {
        skip!("needs `busybox`; see `cargo xtask setup`");
    }
    let _server = site.host.serve(PORT);
    let ask = format!("nc {} {PORT}; nc {} {PORT}; ", HOST[0], HOST[1]);
    let script = format!("{SERVE}{SAY}echo up; {ask} echo asked; sleep 600");
    let mut pod = site.pod(&["--net=nat"], &script).start();
    let own = addresses(&mut pod);
    let [four, six] = &own[..] else {
        panic!("{own:?}");
    };
    pod.until_it_says("asked");
    let said = pod.said();
    let told: Vec<&str> = said.lines().skip_while(|line| *line != "up").collect();
    assert!(told.starts_with(&["up", four]), "{said}");
    for (to, from) in [(four, "172.16.28.1"), (six, "fd6e:6f73:6563::ac10:1c01")] {
        let told = get(&site, &site.host, to);
        assert!(told.contains(from), "{told}");
    }
    pod.signal(rustix::process::Signal::KILL);
    pod.end();
}

#[test]
fn pods_reach_each_other_by_their_own_addresses() {
    let site = site!();
    let _ = image!("busybox");
    site.host.set("net/ipv6/conf/all/forwarding", "1");
    let mut one = site
        .pod(&["--net=nat"], &format!("{SERVE}{SAY}echo up; sleep 600"))
        .start();
    let to = addresses(&mut one);
    let script = format!("{ASK}{SAY}echo up; ask {}; ask {}", to[0], to[1]);
    let ran = site.pod(&["--net=nat"], &script).run().exits(0);
    let said: Vec<&str> = ran
        .stdout
        .lines()
        .filter(|line| !line.starts_with("fe80"))
        .collect();
    let [four, six, "up", seen4, seen6] = said[..] else {
        panic!("{}", ran.stdout);
    };
    assert!(seen4.contains(four) && seen6.contains(six), "{said:?}");
    one.signal(rustix::process::Signal::KILL);
    one.end();
}

#[test]
fn a_pod_in_the_hosts_network_has_its_links_and_no_metadata_service() {
    let site = site!();
    let _ = image!("busybox");
    site.host.set("net/ipv4/ip_unprivileged_port_start", "1024");
    let script = "ip -o link | cut -d: -f2; echo ${AC_METADATA_URL-none}; hostname";
    let before = site.traces();
    let ran = site
        .pod(&["--net=host", "--hostname=own"], script)
        .run()
        .exits(0)
        .complains("");
    let names = ran
        .stdout
        .split_whitespace()
        .map(|name| name.split('@').next().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["lo", "eth0", "none", "own"]);
    assert_eq!(site.traces(), before);
    let start = site.host.parameter("net/ipv4/ip_unprivileged_port_start");
    assert_eq!(start, "1024");
}

#[test]
fn parameters_of_the_hosts_network_are_not_a_pods_to_set() {
    let site = site!();
    let options = [
        "--net=host",
        "--sysctl",
        "net.ipv4.ip_unprivileged_port_start=0",
    ];
    let run = site
        .launcher()
        .arg("run")
        .args(options)
        .arg(host::image("hello"));
    run.run()
        .exits(0)
        .complains_as("parameters of the host's network");
    let strict = site.launcher().args(["run", "--strict"]).args(options);
    let strict = strict.arg(host::image("hello")).run().exits(125);
    strict.complains_as("parameters of the host's network, strictly");
    let start = site.host.parameter("net/ipv4/ip_unprivileged_port_start");
    assert_ne!(start, "0");
}
