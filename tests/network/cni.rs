//! Networks that plugins of CNI make: those of Debian, and scripts that stand for
//! others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rustix::process::Signal;

use super::Site;
use super::reach::{SAY, SERVE, addresses};
use super::site::{HOST, Namespace, PORT, REMOTE};
use crate::golden::Cases;
use crate::host::{self, Call, Running};

/// Where Debian has its plugins.
pub(super) const DEBIAN: &str = "/usr/lib/cni";

/// A host with network configurations and plugins.
pub(super) struct Plugins {
    pub(super) site: Site,
}

/// How addresses are chosen: `DIR` is a place of the test's own.
pub(super) const ADDRESSES: &str = r#""ipam":{"type":"host-local","dataDir":"DIR/leases",
    "subnet":"10.77.0.0/24","routes":[{"dst":"0.0.0.0/0"}]}"#;

impl Plugins {
    pub(super) fn at(site: Site) -> Self {
        let own = Self { site };
        for name in ["net.d", "plugins"] {
            fs::create_dir(own.place(name)).unwrap();
        }
        own
    }

    fn place(&self, name: &str) -> PathBuf {
        self.site.directory().with_file_name(name)
    }

    /// Configures a network: `ADDRESSES` is how it chooses them.
    pub(super) fn network(&self, file: &str, text: &str) -> &Self {
        let text = text.replace("ADDRESSES", ADDRESSES);
        let text = text.replace("DIR/", &self.place("").display().to_string());
        fs::write(self.place("net.d").join(file), text).unwrap();
        self
    }

    /// Installs a script as a plugin; `DIR` is a place of the test's own.
    fn plugin(&self, name: &str, script: &str) -> &Self {
        let file = self.place("plugins").join(name);
        let script = script.replace("DIR/", &self.place("").display().to_string());
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
        self
    }

    /// The launcher, on this host, with a /run as after a reboot.
    fn launcher(&self) -> Call {
        let script = "set -e; for d in /run /etc/nosecone; do mkdir -p $d; mount -t tmpfs none $d; done; \
             chmod 755 /etc/nosecone; cp -r --preserve=mode \"$0\" /etc/nosecone/net.d; \
             exec \"$@\"";
        let unshare = self.site.host.call(&host::find_tool("unshare").unwrap());
        let plugins = format!("{}:{DEBIAN}", self.place("plugins").display());
        unshare
            .args(["--mount", "sh", "-c", script])
            .arg(self.place("net.d"))
            .arg(host::program())
            .env("CNI_PATH", plugins)
            .arg("--dir")
            .arg(self.site.directory())
    }

    /// A pod in which a shell runs a script.
    pub(super) fn pod(&self, options: &[&str], script: &str) -> Call {
        let run = self.launcher().arg("run").args(options);
        let run = run.arg(host::image("busybox"));
        run.args(["--exec", "/bin/sh", "--", "-c", script])
    }

    /// What was recorded by a plugin.
    fn recorded(&self, name: &str) -> String {
        fs::read_to_string(self.place(name)).unwrap_or_default()
    }

    /// The addresses that plugins have given to pods.
    fn leased(&self) -> Vec<String> {
        let mut all = Vec::new();
        for network in host::names(&self.place("leases")) {
            all.extend(host::names(&self.place("leases").join(network)));
        }
        all.retain(|name| name.starts_with("10.") || name.starts_with("192."));
        all
    }

    /// Fails if something is left of pods.
    #[track_caller]
    pub(super) fn has_nothing_left(&self) {
        assert_eq!(self.leased(), [""; 0]);
        let links = self.site.host.ip("-o link");
        assert!(!links.contains("veth"), "{links}");
        let rules = self.site.host.nft("list ruleset");
        assert!(!rules.contains("10.77.0."), "{rules}");
        let pods = host::names(&self.site.directory().join("pods/run"));
        assert_eq!(pods, [""; 0]);
    }
}

/// A bridge whose pods have the host's address elsewhere.
pub(super) const BRIDGE: &str = r#"{"cniVersion":"1.0.0","name":"net","plugins":[
    {"type":"bridge","bridge":"cni-test","isGateway":true,"ipMasq":true,ADDRESSES},
    {"type":"portmap","capabilities":{"portMappings":true}},
    {"type":"firewall"}]}"#;

/// Asks a server of the tests.
fn ask() -> String {
    format!("nc {} {PORT}", REMOTE[0])
}

fn kill(pod: Running) {
    pod.signal(Signal::KILL);
    pod.end();
}

#[test]
fn what_is_wrong_with_a_network_is_told_and_leaves_nothing() {
    let own = plugins!();
    own.plugin(
        "fails",
        r#"echo '{"code":7,"msg":"no room","details":"at all"}'; [ $CNI_COMMAND = DEL ]"#,
    )
    .plugin("talks", "echo broken >&2; [ $CNI_COMMAND = DEL ]")
    .plugin("says-nothing", "true");
    let mut cases = Cases::default();
    for (file, text, options) in [
        ("", "", "--net=none-such"),
        ("1.conf", "{\"name\":\n  net}", "--net=net"),
        ("1.conf", r#"{"name":"net"}"#, "--net=net"),
        ("1.conf", r#"{"name":"net","type":"../fails"}"#, "--net=net"),
        (
            "1.conf",
            r#"{"name":"net","type":"fails","cniVersion":"9.0.0"}"#,
            "--net=net",
        ),
        ("1.conflist", r#"{"name":"net","plugins":[]}"#, "--net=net"),
        (
            "1.conf",
            r#"{"name":"net","type":"none-such"}"#,
            "--net=net",
        ),
        ("1.conf", r#"{"name":"net","type":"fails"}"#, "--net=net"),
        ("1.conf", r#"{"name":"net","type":"talks"}"#, "--net=net"),
        (
            "1.conf",
            r#"{"name":"net","type":"says-nothing"}"#,
            "--net=net",
        ),
        (
            "1.conf",
            r#"{"name":"net","type":"bridge"}"#,
            "--net=net -p 8080:80",
        ),
        ("1.conf", r#"{"name":"net","type":"bridge"}"#, "--net=net:x"),
        (
            "1.conf",
            r#"{"name":"net","type":"bridge"}"#,
            "--net=net:A=1;B",
        ),
        (
            "1.conf",
            r#"{"name":"net","type":"bridge"}"#,
            "--net=net:MTU=1400",
        ),
    ] {
        if !file.is_empty() {
            own.network(file, text);
        }
        let before = own.site.traces();
        let options: Vec<&str> = options.split(' ').collect();
        let ran = own.pod(&options, "true").run().exits(125).says("");
        let ran = ran.naming("PLUGINS", own.place("plugins").display().to_string());
        cases.add(format!("{} {text}", options.join(" ")), &ran.told());
        assert_eq!(own.site.traces(), before);
        own.has_nothing_left();
        let _ = fs::remove_file(own.place("net.d").join(file));
    }
    cases.as_written("what is wrong with a network");
    own.network("1.conf", r#"{"name":"net","type":"bridge"}"#);
    let file = own.place("net.d").join("1.conf");
    fs::set_permissions(file, PermissionsExt::from_mode(0o666)).unwrap();
    let ran = own.pod(&["--net=net"], "true").run().exits(125);
    ran.complains_as("a configuration that others can write to");
}

#[test]
fn plugins_that_had_run_are_undone_when_one_fails() {
    let own = plugins!();
    own.plugin(
        "fails",
        r#"cat >>DIR/calls; echo " $CNI_COMMAND" >>DIR/calls; [ $CNI_COMMAND = DEL ] || exit 1"#,
    )
    .network(
        "1.conflist",
        r#"{"cniVersion":"1.0.0","name":"net","plugins":[
            {"type":"bridge","bridge":"cni-test","ipMasq":true,ADDRESSES},{"type":"fails"}]}"#,
    );
    let ran = own.pod(&["--net=net"], "true").run().exits(125).says("");
    ran.complains_as("a plugin that fails after others");
    own.has_nothing_left();
    let calls = own.recorded("calls");
    let calls: Vec<&str> = calls.lines().collect();
    assert!(calls.len() == 2, "{calls:?}");
    // Both are told what the first has made.
    for (call, operation) in calls.iter().zip([" ADD", " DEL"]) {
        assert!(
            call.contains("\"prevResult\":{") && call.ends_with(operation),
            "{call}"
        );
    }
}

#[test]
fn plugins_are_called_as_the_specification_says() {
    let own = plugins!();
    let script = format!(
        "echo $CNI_COMMAND $CNI_IFNAME $CNI_CONTAINERID \"$CNI_ARGS\" >>DIR/calls; \
         stat -L -c %i $CNI_NETNS >>DIR/namespaces; \
         cat >DIR/stdin-$CNI_COMMAND; env -0 | tr '\\0' '\\n' >DIR/env; \
         exec {DEBIAN}/bridge <DIR/stdin-$CNI_COMMAND"
    );
    own.plugin("proxy", &script).network(
        "a-very-long-name.conf",
        r#"{"cniVersion":"0.4.0","name":"a-network-with-a-name-that-is-no-name-of-a-link",
            "type":"proxy","bridge":"cni-test","capabilities":{"ips":true,"mac":true},
            ADDRESSES}"#,
    );
    let net = "--net=a-network-with-a-name-that-is-no-name-of-a-link:\
               IP=10.77.0.9,MAC=02:00:00:00:00:09,FOO_1=bar";
    let uuid = "6733c088-a507-4694-0001-edbe4fc5266f";
    let script = "readlink /proc/self/ns/net | tr -dc 0-9; echo; ip -o link show eth0; ip -4 -o addr show eth0";
    let ran = own
        .pod(&[net, "--uuid", uuid], script)
        .run()
        .exits(0)
        .complains("");
    let namespace = ran.stdout.lines().next().unwrap();
    for part in ["link/ether 02:00:00:00:00:09", " 10.77.0.9/24"] {
        assert!(ran.stdout.contains(part), "{}", ran.stdout);
    }
    let arguments = "IgnoreUnknown=1;IP=10.77.0.9;MAC=02:00:00:00:00:09;FOO_1=bar";
    let expected = ["ADD", "DEL"].map(|word| format!("{word} eth0 {uuid} {arguments}\n"));
    assert_eq!(own.recorded("calls"), expected.concat());
    // In the end it is still the pod's.
    let both = format!("{namespace}\n{namespace}\n");
    assert_eq!(own.recorded("namespaces"), both);
    let environment = own.recorded("env");
    let names = environment.lines().filter_map(|line| line.split_once('='));
    let mut names: Vec<&str> = names.map(|(name, _)| name).collect();
    names.retain(|name| !["PWD", "_", "SHLVL", "OLDPWD"].contains(name));
    names.sort_unstable();
    let expected = ["ARGS", "COMMAND", "CONTAINERID", "IFNAME", "NETNS", "PATH"];
    let mut expected = expected.map(|name| format!("CNI_{name}")).to_vec();
    expected.push("PATH".to_owned());
    assert_eq!(names, expected);
    let (add, delete) = (own.recorded("stdin-ADD"), own.recorded("stdin-DEL"));
    let runtime = r#""runtimeConfig":{"ips":["10.77.0.9"],"mac":"02:00:00:00:00:09"}"#;
    for request in [&add, &delete] {
        assert!(
            request.starts_with(r#"{"cniVersion":"0.4.0","name":"a-network-"#),
            "{request}"
        );
        assert!(
            request.contains(runtime) && !request.contains("capabilities"),
            "{request}"
        );
    }
    assert!(!add.contains("prevResult"), "{add}");
    assert!(
        delete.contains(r#""prevResult":{"cniVersion":"0.4.0""#),
        "{delete}"
    );
    own.has_nothing_left();
}

#[test]
fn who_wants_an_address_that_another_pod_has_is_refused() {
    let own = plugins!();
    own.network("1.conflist", BRIDGE);
    let net = "--net=net:IP=10.77.0.9";
    let mut first = own.pod(&[net], "echo up; sleep 600").start();
    first.until_it_says("up");
    let refused = own.pod(&[net], "true").run().exits(125).says("");
    refused.complains_as("an address that another pod has");
    assert_eq!(own.leased(), ["10.77.0.9"]);
    kill(first);
}

#[test]
fn pods_on_a_bridge_reach_each_other_the_host_and_others() {
    let own = plugins!();
    own.network("1.conflist", BRIDGE);
    let _server = own.site.remote.serve(PORT);
    let script = format!("{SERVE}{SAY}echo up; {}; echo asked; sleep 600", ask());
    let mut pod = own.pod(&["--net=net", "--name=web"], &script).start();
    let address = addresses(&mut pod)[0].clone();
    assert!(address.starts_with("10.77.0."), "{address}");
    pod.until_it_says("asked");
    let said = pod.said();
    assert!(
        said.ends_with(&format!("up\n{}\nasked\n", HOST[0])),
        "{said}"
    );
    let get = format!("wget -q -O - http://{address}/cgi-bin/who");
    let other = own
        .pod(&["--net=net"], &format!("{SAY}{get}"))
        .run()
        .exits(0);
    let lines: Vec<&str> = other
        .stdout
        .lines()
        .filter(|line| !line.starts_with("fe80"))
        .collect();
    // Each sees the other's own address.
    let seen = format!("[::ffff:{}]", lines[0]);
    assert!(
        lines[1..] == [&*seen] || lines[1..] == [lines[0]],
        "{lines:?}"
    );
    let status = own.launcher().args(["status", "web"]).run().exits(0).stdout;
    for line in [
        "network-eth0.mode=net\n".to_owned(),
        format!("network-eth0.addresses={address}\n"),
    ] {
        assert!(status.contains(&line), "{status}");
    }
    let list = own
        .launcher()
        .args(["list", "--format=json"])
        .run()
        .exits(0);
    let shown = format!("\"name\":\"eth0\",\"mode\":\"net\",\"addresses\":[\"{address}\"]");
    assert!(list.stdout.contains(&shown), "{}", list.stdout);
    pod.signal(Signal::TERM);
    pod.end();
    own.has_nothing_left();
}

#[test]
fn a_network_says_how_names_are_looked_up_unless_an_option_does() {
    let own = plugins!();
    own.network(
        "1.conf",
        r#"{"cniVersion":"0.3.1","name":"net","type":"ptp","dns":{"nameservers":["192.0.2.53"],
            "domain":"a.example","search":["b.example","c.example"],"options":["ndots:2"]},
            ADDRESSES}"#,
    );
    let said = "nameserver 192.0.2.53\nsearch b.example c.example\noptions ndots:2\n";
    for (options, expected) in [
        (&["--net=net"][..], said),
        (&["--net=nat", "--net=net"], said),
        (&["--net=net", "--dns=192.0.2.9"], "nameserver 192.0.2.9\n"),
        (&["--net=net", "--dns=none"], "none\n"),
    ] {
        let ran = own.pod(options, "cat /etc/resolv.conf || echo none").run();
        assert_eq!(ran.exits(0).stdout, expected, "{options:?}");
    }
    own.has_nothing_left();
}

#[test]
fn published_ports_are_the_plugins_concern() {
    let own = plugins!();
    own.network("1.conflist", BRIDGE);
    let options = ["--net=net", "-p", "8080:80", "--name=web"];
    let script = format!("{SERVE}echo up; sleep 600");
    let mut pod = own.pod(&options, &script).start();
    pod.until_it_says("up");
    let reaches = |from: &Namespace, to: &'static str| {
        let reaches = from.within(move || std::net::TcpStream::connect(to).is_ok());
        reaches.join().unwrap()
    };
    assert!(reaches(&own.site.remote, "192.0.2.1:8080"));
    assert!(reaches(&own.site.host, "192.0.2.1:8080"));
    assert!(reaches(&own.site.host, "127.0.0.1:8080"));
    assert!(!reaches(&own.site.remote, "192.0.2.1:80"));
    let rules = own.site.host.nft("list ruleset");
    assert!(
        rules.contains("CNI-HOSTPORT-DNAT") && !rules.contains("inet nosecone"),
        "{rules}"
    );
    let shown = own.launcher().args(["port", "web"]).run().exits(0);
    shown.says("80/tcp -> *:8080\n");
    pod.signal(Signal::TERM);
    pod.end();
    own.has_nothing_left();
    assert!(!reaches(&own.site.remote, "192.0.2.1:8080"));
}

#[test]
fn every_kind_of_link_reaches_others() {
    let own = plugins!();
    own.network(
        "ptp.conf",
        r#"{"cniVersion":"0.3.0","name":"ptp","type":"ptp","ipMasq":true,ADDRESSES}"#,
    )
    .network(
        "macvlan.conf",
        r#"{"cniVersion":"0.4.0","name":"neighbour","type":"macvlan","master":"eth0",
            "ipam":{"type":"host-local","dataDir":"DIR/leases","subnet":"192.0.2.0/24",
            "rangeStart":"192.0.2.77","rangeEnd":"192.0.2.77"}}"#,
    )
    .network(
        "old.conf",
        r#"{"name":"old","type":"bridge","bridge":"cni-old","isGateway":true,"ipMasq":true,
            ADDRESSES}"#,
    );
    let _server = own.site.remote.serve(PORT);
    for (network, expected) in [
        ("ptp", HOST[0]),
        ("neighbour", "192.0.2.77"),
        ("old", HOST[0]),
        ("ptp,nat", HOST[0]),
    ] {
        let option = format!("--net={network}");
        let ran = own.pod(&[&option], &ask()).run().exits(0);
        ran.says(&format!("{expected}\n")).complains("");
    }
    own.has_nothing_left();
}

#[test]
fn what_plugins_have_made_for_a_killed_pod_goes_at_the_next_run_or_with_gc() {
    let own = plugins!();
    own.network("1.conflist", BRIDGE);
    for by in ["run", "gc", "gc after a reboot"] {
        let mut pod = own
            .pod(&["--net=net", "-p", "8080:80"], "echo up; sleep 600")
            .start();
        pod.until_it_says("up");
        kill(pod);
        assert_eq!(own.leased().len(), 1, "{by}");
        // What there is to know of it outlives a reboot.
        let pods = own.site.directory().join("pods/run");
        assert_eq!(host::names(&pods).len(), 1, "{by}");
        let rules = own.site.host.nft("list ruleset");
        assert!(rules.contains("10.77.0."), "{rules}");
        // Nothing of this is needed any more.
        fs::remove_file(own.place("net.d").join("1.conflist")).unwrap();
        if by == "gc after a reboot" {
            own.site.host.nft("flush ruleset");
            own.site.host.ip("link delete cni-test");
        }
        if by == "run" {
            own.network("1.conf", r#"{"name":"other","type":"loopback"}"#);
            own.plugin("loopback", "echo '{}'");
            own.pod(&["--net=other"], "true")
                .run()
                .exits(0)
                .complains("");
            assert_eq!(own.leased(), [""; 0]);
            let rules = own.site.host.nft("list ruleset");
            assert!(!rules.contains("10.77.0."), "{rules}");
        }
        let gc = ["gc", "--grace-period=0s"];
        own.launcher().args(gc).run().exits(0).complains("");
        own.has_nothing_left();
        own.network("1.conflist", BRIDGE);
    }
}

#[test]
fn what_a_plugin_is_still_doing_is_not_undone_before_it_is_done() {
    let own = plugins!();
    let script = "case $CNI_COMMAND in ADD) echo begun >>DIR/calls; sleep 1; \
                  echo done >>DIR/calls;; DEL) echo undone >>DIR/calls;; esac; echo '{}'";
    own.plugin("slow", script)
        .network("1.conf", r#"{"name":"net","type":"slow"}"#);
    let mut pod = own.pod(&["--net=net"], "true").start();
    pod.until("calls the plugin", |_| !own.recorded("calls").is_empty());
    kill(pod);
    let gc = ["gc", "--grace-period=0s"];
    own.launcher().args(gc).run().exits(0).complains("");
    assert_eq!(own.recorded("calls"), "begun\ndone\nundone\n");
    own.has_nothing_left();
}

#[test]
fn what_was_used_in_the_beginning_is_used_in_the_end() {
    let own = plugins!();
    own.plugin(
        "notes",
        "cat >>DIR/$CNI_COMMAND; echo '{\"cniVersion\":\"1.0.0\"}'",
    );
    let text = |mark: &str| {
        format!(r#"{{"cniVersion":"1.0.0","name":"net","type":"notes","mark":"{mark}"}}"#)
    };
    own.network("1.conf", &text("first"));
    let mut pod = own.pod(&["--net=net"], "echo up; read line").start();
    pod.until_it_says("up");
    own.network("1.conf", &text("second"));
    pod.end().exits(1);
    for operation in ["ADD", "DEL"] {
        let recorded = own.recorded(operation);
        assert!(
            recorded.contains("\"first\"") && !recorded.contains("second"),
            "{recorded}"
        );
    }
}

#[test]
fn a_plugin_that_does_not_remove_what_it_made_is_asked_again_but_not_for_ever() {
    let own = plugins!();
    let script = "echo $CNI_COMMAND >>DIR/calls; [ $CNI_COMMAND = ADD ] || \
                  { echo '{\"msg\":\"not now\"}'; exit 1; }; echo '{}'";
    own.plugin("stays", script)
        .network("1.conf", r#"{"name":"net","type":"stays"}"#);
    // The pod's status is its own all the same.
    let uuid = "6733c088-a507-4694-0001-edbe4fc5266f";
    let ran = own
        .pod(&["--net=net", "--uuid", uuid], "exit 7")
        .run()
        .exits(7);
    let mut cases = Cases::default();
    cases.add("run", &ran.told());
    for _ in 0..2 {
        let ran = own.launcher().args(["gc", "--grace-period=0s"]).run();
        cases.add("gc", &ran.exits(1).says("").told());
    }
    let ran = own.launcher().args(["gc", "--grace-period=0s"]).run();
    ran.exits(0)
        .says(&format!("removed {uuid}\n"))
        .complains("");
    cases.as_written("a plugin that does not remove what it made");
    // Without the pod's namespace it is asked twice: with another, and with none.
    assert_eq!(own.recorded("calls"), format!("ADD\n{}", "DEL\n".repeat(5)));
    own.has_nothing_left();
}

#[test]
fn pods_that_are_killed_while_plugins_work_leave_nothing_that_lasts() {
    let own = plugins!();
    own.network("1.conflist", BRIDGE);
    for round in 0..host::rounds(12) {
        let pod = own.pod(&["--net=net"], "true").start();
        let until = std::time::Duration::from_millis(40) * u32::try_from(round).unwrap();
        std::thread::sleep(until);
        let pid = rustix::process::Pid::from_raw(i32::try_from(pod.pid()).unwrap()).unwrap();
        let _ = rustix::process::kill_process(pid, Signal::KILL);
        pod.end();
    }
    let gc = ["gc", "--grace-period=0s"];
    own.launcher().args(gc).run().exits(0);
    own.has_nothing_left();
}

#[test]
fn the_plan_names_the_plugins_and_calls_none() {
    let own = plugins!();
    own.plugin("notes", "cat >>DIR/calls").network(
        "1.conflist",
        r#"{"name":"net","plugins":[{"type":"notes"},
                {"type":"portmap","capabilities":{"portMappings":true}}]}"#,
    );
    let fetch = ["fetch", "--insecure-options=image"];
    own.launcher()
        .args(fetch)
        .arg(host::image("hello"))
        .run()
        .exits(0);
    let plan = own.launcher().args(["plan", "--net=net", "-p", "8080:80"]);
    let plan = plan.arg(host::image("hello")).run().exits(0);
    let changes = plan.stdout.lines().filter(|line| line.starts_with("# "));
    let changes: String = changes.map(|line| format!("{line}\n")).collect();
    crate::golden::as_written("the plan", "what plugins would do", &changes);
    assert_eq!(own.recorded("calls"), "");
    let missing = own.launcher().args(["plan", "--net=none-such"]);
    missing.arg(host::image("hello")).run().exits(1).says("");
}

#[test]
fn pods_in_the_background_and_prepared_ones_have_plugins_too() {
    let own = plugins!();
    own.network("1.conflist", BRIDGE);
    let words = ["--exec", "/bin/sh", "--", "-c", "sleep 600"];
    let image = host::image("busybox");
    let run = |first: &[&str]| {
        let run = own.launcher().args(first).arg("--net=net").arg(&image);
        run.args(words).run().exits(0).stdout.trim().to_owned()
    };
    let prepared = run(&["prepare"]);
    assert_eq!(own.leased(), [""; 0]);
    let begin = ["run-prepared", "--detach", &prepared];
    own.launcher().args(begin).run().exits(0);
    let detached = run(&["run", "--detach", "--rm"]);
    assert_eq!(own.leased().len(), 2);
    own.launcher().args(["stop", &detached]).run().exits(0);
    own.launcher().args(["stop", &prepared]).run().exits(0);
    own.has_nothing_left();
}
