//! How a pod is connected if the caller does not say.

use super::Site;
use super::site::{HOST, PORT, REMOTE};
use crate::golden::Cases;
use crate::host::{self, Call};

/// The launcher on a host with this `/etc/nosecone/config`; `before` is done first.
fn launcher(site: &Site, config: &str, before: &str) -> Call {
    let script = format!(
        "set -e; mkdir -p /etc/nosecone; mount -t tmpfs none /etc/nosecone; \
         printf '{config}' >/etc/nosecone/config; {before} exec \"$@\""
    );
    let unshare = site.host.call(&host::find_tool("unshare").unwrap());
    let launcher = unshare
        .args(["--mount", "sh", "-c", &script, "-"])
        .arg(host::program());
    let launcher = launcher.env("NOSECONE_NET", "");
    launcher.arg("--dir").arg(site.directory())
}

/// The links of a pod.
const LINKS: [&str; 6] = [
    "--exec",
    "/bin/sh",
    "--",
    "-c",
    "cd /sys/class/net; echo *",
    "-",
];

#[test]
fn a_default_that_is_no_network_is_refused() {
    let site = site!();
    let before = site.traces();
    let mut cases = Cases::default();
    for (variable, config) in [
        ("nta", "network = nat\\n"),
        ("", "network = nta\\n"),
        ("", "# a comment\\n\\nnet = none\\n"),
        ("", "network\\n"),
        ("", "network = nat\\nnetwork = none\\n"),
    ] {
        let run = launcher(&site, config, "").env("NOSECONE_NET", variable);
        let run = run.arg("run").arg(host::image("hello")).run();
        let title = format!("NOSECONE_NET={variable} {config}");
        cases.add(title.trim_end(), &run.exits(125).says("").told());
    }
    cases.as_written("a default that is no network");
    assert_eq!(site.traces(), before);
}

#[test]
fn the_variable_goes_before_the_file_and_the_option_before_both() {
    let site = site!();
    let _ = image!("busybox");
    let before = site.traces();
    for (option, variable, config, expected) in [
        ("--strict", "", "", "eth0 lo\n"),
        ("--strict", "", "network = none\\n", "lo\n"),
        ("--strict", "nat", "network = none\\n", "eth0 lo\n"),
        ("--strict", "none", "network = nat # or not\\n", "lo\n"),
        ("--net=none", "nat", "network = nat\\n", "lo\n"),
        ("--net=nat", "none", "network = none\\n", "eth0 lo\n"),
    ] {
        let run = launcher(&site, config, "").env("NOSECONE_NET", variable);
        let run = run.args(["run", option]).arg(host::image("busybox"));
        let ran = run.args(LINKS).run().exits(0).complains("");
        assert_eq!(ran.stdout, expected, "{option} {variable} {config}");
    }
    assert_eq!(site.traces(), before);
}

#[test]
fn without_a_word_a_pod_reaches_what_its_host_reaches() {
    let site = site!();
    let _ = image!("busybox");
    let _server = site.remote.serve(PORT);
    let run = launcher(&site, "", "")
        .arg("run")
        .arg(host::image("busybox"));
    let script = format!("nc {} {PORT}", REMOTE[0]);
    let run = run.args(["--exec", "/bin/sh", "--", "-c", &script]);
    run.run().exits(0).says(&format!("{}\n", HOST[0]));
}

#[test]
fn where_the_host_cannot_connect_it_a_pod_has_loopback_only_unless_more_was_asked_for() {
    let site = site!();
    let _ = image!("busybox");
    let before = site.traces();
    let read_only = "mount --bind -o ro /proc/sys/net/ipv4/conf /proc/sys/net/ipv4/conf;";
    let run = |config, words: &[&str]| {
        let run = launcher(&site, config, read_only).arg("run").args(words);
        run.arg(host::image("busybox")).args(LINKS).run()
    };
    let link = |told: &str| {
        let mut words = told.split(['`', '.']);
        words
            .find(|word| word.starts_with("nsc-"))
            .unwrap()
            .to_owned()
    };
    let ran = run("", &[]).exits(0).says("lo\n");
    let name = link(&ran.stderr);
    ran.naming("LINK", name)
        .complains_as("it cannot be connected");
    assert_eq!(site.traces(), before);
    // In the background, it is the caller who hears of it.
    let ran = run("", &["--detach", "--rm"]).exits(0);
    let name = link(&ran.stderr);
    ran.naming("LINK", name)
        .complains_as("it cannot be connected");
    // Whoever asked for more by name gets an error.
    for (config, option) in [
        ("", "--net=nat"),
        ("", "--publish=8080:80"),
        ("network = nat\\n", "--strict"),
    ] {
        let ran = run(config, &[option]).exits(125).says("");
        let name = link(&ran.stderr);
        ran.naming("LINK", name)
            .complains_as("parameters are read-only");
    }
    site.launcher()
        .args(["gc", "--grace-period=0s"])
        .run()
        .exits(0);
    assert_eq!(site.traces(), before);
}
