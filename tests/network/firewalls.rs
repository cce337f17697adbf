//! Packet filters of others that drop what the host passes on: nothing of theirs
//! is changed, and whoever starts a pod is told.

use super::Site;
use super::site::{HOST, PORT, REMOTE};
use crate::golden::Cases;
use crate::host::{self, Call};

/// A pod that says what the remote tells it, or `nothing`.
fn asks(site: &Site, options: &[&str]) -> Call {
    let script = format!("nc -w 1 {} {PORT} || echo nothing", REMOTE[0]);
    site.pod(options, &script)
}

/// Runs the commands that a hint names.
fn heed(site: &Site, told: &str) {
    let hint = told.lines().find_map(|line| line.strip_prefix("hint: "));
    let commands = hint.expect("a hint").split('`').skip(1).step_by(2);
    for command in commands {
        let shell = site.host.call(&host::find_tool("sh").unwrap());
        shell.args(["-c", command]).run().exits(0);
    }
}

#[test]
fn whoever_starts_a_pod_is_told_that_another_table_drops_what_it_sends_and_what_helps() {
    let site = site!();
    let _ = image!("busybox");
    let _ = tool!("iptables");
    let _server = site.remote.serve(PORT);
    let hook = "{ type filter hook forward priority 0; policy drop; }";
    let mut cases = Cases::default();
    for (case, commands) in [
        (
            "iptables",
            "add table ip filter;add chain ip filter FORWARD HOOK",
        ),
        (
            "docker",
            "add table ip filter;add chain ip filter FORWARD HOOK;add chain ip filter DOCKER-USER;\
             add rule ip filter FORWARD jump DOCKER-USER",
        ),
        (
            "nftables",
            "add table inet mine;add chain inet mine passed HOOK",
        ),
    ] {
        for command in commands.split(';') {
            site.host.nft(&command.replace("HOOK", hook));
        }
        let before = site.traces();
        let ran = asks(&site, &["--net=nat"]).run().exits(0).says("nothing\n");
        assert_eq!(site.traces(), before);
        let told = ran.told();
        cases.add(case, &told);
        heed(&site, &told);
        let ran = asks(&site, &["--net=nat"]).run().exits(0);
        ran.says(&format!("{}\n", HOST[0])).complains("");
        site.host.nft("flush ruleset");
    }
    cases.as_written("another table drops what pods send");
}

#[test]
fn a_zone_that_knows_pods_or_a_table_that_drops_nothing_of_theirs_is_no_obstacle() {
    let site = site!();
    let _ = image!("busybox");
    let mut cases = Cases::default();
    for (case, commands) in [
        (
            "firewalld",
            "add table inet firewalld;\
             add chain inet firewalld filter_FORWARD { type filter hook forward priority 10; };\
             add rule inet firewalld filter_FORWARD reject",
        ),
        (
            "firewalld with a zone of pods",
            "add chain inet firewalld zones;add rule inet firewalld zones iifname \"nsc-*\" accept",
        ),
        (
            "by network",
            "flush ruleset;add table ip filter;\
             add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; };\
             add rule ip filter FORWARD ip saddr 172.16.28.0/22 accept",
        ),
        (
            "input",
            "flush ruleset;add table ip filter;\
             add chain ip filter INPUT { type filter hook input priority 0; policy drop; };\
             add chain ip filter FORWARD { type filter hook forward priority 0; policy accept; }",
        ),
        (
            "IPv6",
            "flush ruleset;add table ip6 filter;\
             add chain ip6 filter FORWARD { type filter hook forward priority 0; policy drop; }",
        ),
    ] {
        // Chains are set up between braces, where `;` is part of the command.
        for command in commands.replace("; ", "\0").split(';') {
            site.host.nft(&command.replace('\0', "; "));
        }
        let ran = site.pod(&["--net=nat"], "true").run().exits(0);
        cases.add(case, &ran.told());
    }
    cases.as_written("what is an obstacle to pods");
    // In no network, it is nobody's concern.
    site.host.nft("flush ruleset");
    site.host.nft("add table ip filter");
    let hook = "{ type filter hook forward priority 0; policy drop; }";
    site.host
        .nft(&format!("add chain ip filter FORWARD {hook}"));
    for option in ["--net=none", "--net=host"] {
        site.pod(&[option], "true").run().exits(0).complains("");
    }
}
