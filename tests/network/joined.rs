//! Networks that are there already: those of other pods, and those that a file
//! stands for.

use std::fs;

use rustix::process::Signal;

use super::site::{PORT, REMOTE, Site};
use crate::golden::Cases;
use crate::host;

/// Runs a pod in the background, and returns its UUID.
fn behind(site: &Site, options: &[&str], script: &str) -> String {
    let run = site.launcher().args(["run", "--detach", "--rm"]);
    let run = run.args(options).arg(host::image("busybox"));
    let run = run.args(["--exec", "/bin/sh", "--", "-c", script]);
    run.run().exits(0).complains("").stdout.trim().to_owned()
}

/// Ends a pod.
fn end(site: &Site, pod: &str) {
    site.launcher().args(["rm", "--force", pod]).run().exits(0);
}

const SLEEP: &str = "sleep 600";

#[test]
fn what_is_no_network_of_others_is_refused() {
    let site = site!();
    let _ = image!("busybox");
    let exited = "6733c088-a507-4694-0002-edbe4fc5266f";
    let run = site.launcher().args(["run", "--keep", "--net=none"]);
    let run = run
        .arg(format!("--uuid={exited}"))
        .arg(host::image("hello"));
    run.run().exits(0);
    let hosts = behind(&site, &["--net=host", "--name=hosts"], SLEEP);
    let file = site.file("file", "");
    let pipe = file.with_extension("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    let other = "ns:/proc/self/ns/uts".to_owned();
    let own = "ns:/proc/self/ns/net".to_owned();
    let before = site.traces();
    let mut cases = Cases::default();
    for (title, net) in [
        ("a pod that there is not", "pod:nobody".to_owned()),
        ("a pod that has ended", format!("pod:{exited}")),
        ("a pod in the host's network", "pod:hosts".to_owned()),
        ("no file", "ns:/nonexistent/netns".to_owned()),
        ("a file", format!("ns:{}", file.display())),
        ("a pipe", format!("ns:{}", pipe.display())),
        ("another namespace", other),
        ("the host's", own),
        ("a path from here", "ns:netns".to_owned()),
        ("no pod", "pod:".to_owned()),
        ("two networks", "nat,pod:hosts".to_owned()),
    ] {
        let run = site.launcher().args(["run", &format!("--net={net}")]);
        let ran = run.arg(host::image("hello")).run().exits(125).says("");
        let ran = ran
            .naming("FILE", &file)
            .naming("UUID", exited)
            .naming("HOSTS", &hosts);
        cases.add(title, &ran.told());
    }
    cases.as_written("what is no network of others");
    assert_eq!(site.traces(), before);
    let port = ["run", "--net=pod:hosts", "-p", "8080:80"];
    let ran = site.launcher().args(port).arg(host::image("hello"));
    ran.run()
        .exits(125)
        .says("")
        .complains_as("a port of a network of others");
    end(&site, &hosts);
}

#[test]
fn a_pod_has_the_interfaces_of_the_one_that_it_joins() {
    let site = site!();
    let _ = image!("busybox");
    let before = site.traces();
    let _server = site.remote.serve(PORT);
    let first = behind(
        &site,
        &["--net=nat", "--name=first"],
        "while nc -l -p 99 -e echo yes; do :; done",
    );
    let during = site.traces();
    let own = "ip -o -4 address; readlink /proc/self/ns/net";
    let entered = site.launcher().args(["enter", &first, "sh", "-c", own]);
    let own_said = entered.run().exits(0).stdout;
    // By name, and by a prefix of the UUID; the loopback interface is shared.
    for pod in ["first", &first[..6]] {
        let ran = site.pod(&[&format!("--net=pod:{pod}")], own).run().exits(0);
        assert_eq!(ran.complains("").stdout, own_said);
    }
    let ask = format!("nc {} {PORT} && nc 127.0.0.1 99", REMOTE[0]);
    let ran = site.pod(&["--net=pod:first"], &ask).run().exits(0);
    assert_eq!(ran.stdout, "192.0.2.1\nyes\n");
    // It has no metadata of the other, and changes nothing of its network.
    let sysctl = "--sysctl=net.ipv4.ip_default_ttl=7";
    let script = "echo \"<$AC_METADATA_URL>\"; cat /proc/sys/net/ipv4/ip_default_ttl";
    let ran = site
        .pod(&["--net=pod:first", sysctl], script)
        .run()
        .exits(0);
    assert_eq!(ran.stdout, "<>\n64\n");
    ran.complains_as("a parameter of a network of others");
    assert_eq!(site.traces(), during);
    end(&site, &first);
    assert_eq!(site.traces(), before);
}

#[test]
fn a_pod_whose_network_was_joined_leaves_nothing_and_the_other_goes_on() {
    let site = site!();
    let _ = image!("busybox");
    let before = site.traces();
    for signal in ["TERM", "KILL"] {
        let first = behind(&site, &["--net=nat"], "trap exit TERM; sleep 600 & wait");
        let own = "--net=pod:".to_owned() + &first;
        // It sees the interface go.
        let wait = "echo up; while ip link show eth0 >/dev/null 2>&1; do :; done; \
                    ip -o link | sed 's/^[0-9]*: \\([a-z]*\\).*/\\1/'";
        let mut second = site.pod(&[&own], wait).start();
        second.until_it_says("up");
        let kill = ["kill", &format!("--signal={signal}"), &first];
        site.launcher().args(kill).run().exits(0);
        let ran = second.end().exits(0).complains("");
        assert_eq!(ran.stdout, "up\nlo\n");
        let gc = ["gc", "--grace-period=0s"];
        site.launcher().args(gc).run().exits(0);
        assert_eq!(site.traces(), before);
    }
}

#[test]
fn a_pod_joins_a_namespace_that_a_file_stands_for() {
    let site = site!();
    let _ = image!("busybox");
    let before = site.traces();
    let there = format!("ns:{}", site.remote.path().display());
    let script = "ip -o -4 address show eth0; readlink /proc/self/ns/net; echo up; sleep 600";
    let mut pod = site.pod(&[&format!("--net={there}")], script).start();
    pod.until_it_says("up");
    let link = fs::read_link(site.remote.path()).unwrap();
    let said = pod.said();
    assert!(said.contains(&format!(" {}/24 ", REMOTE[0])), "{said}");
    assert!(said.contains(link.to_str().unwrap()), "{said}");
    assert_eq!(site.traces(), before);
    pod.signal(Signal::TERM);
    pod.end();
    // The namespace is as it was.
    assert!(site.remote.ip("address show lo").contains("127.0.0.1/8"));
}

#[test]
fn what_was_joined_is_shown() {
    let site = site!();
    let _ = image!("busybox");
    let first = behind(&site, &["--net=bridge"], SLEEP);
    let second = behind(&site, &[&format!("--net=pod:{first}")], SLEEP);
    let there = format!("ns:{}", site.remote.path().display());
    let third = behind(&site, &[&format!("--net={there}")], SLEEP);
    for (pod, joined, short) in [
        (
            &second,
            format!("pod:{first}"),
            format!("pod:{}", &first[..8]),
        ),
        (&third, there.clone(), there),
    ] {
        let status = |words: &[&str]| {
            let status = site.launcher().arg("status").args(words).arg(pod);
            status.run().exits(0).stdout
        };
        let line = format!("\njoined-network={joined}\n");
        assert!(status(&[]).contains(&line), "{}", status(&[]));
        let json = status(&["--format=json"]);
        let key = format!("\"joined_network\":\"{joined}\"");
        assert!(json.contains(&key), "{json}");
        let listed = site.launcher().arg("list").run().exits(0).stdout;
        let mut lines = listed.lines();
        let line = lines.find(|line| line.starts_with(&pod[..8])).unwrap();
        assert!(
            line.contains(&short) && !line.contains(&format!("{short}-")),
            "{line}"
        );
        // A command is where its pod is.
        let space = "readlink /proc/self/ns/net";
        let entered = site.launcher().args(["enter", pod, "sh", "-c", space]);
        let entered = entered.run().exits(0).stdout;
        let other = if pod == &second { &first } else { &third };
        let entered_other = site.launcher().args(["enter", other, "sh", "-c", space]);
        assert_eq!(entered, entered_other.run().exits(0).stdout);
    }
    for pod in [first, second, third] {
        end(&site, &pod);
    }
}
