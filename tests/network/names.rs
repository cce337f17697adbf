//! How apps find others by name.

use super::Site;
use crate::aci::{Aci, running};
use crate::golden::Cases;
use crate::host::{self, Call, Ran, Scratch, launcher};

#[test]
fn what_is_no_server_or_contradicts_itself_is_refused() {
    let scratch = Scratch::new();
    let mut cases = Cases::default();
    for words in [
        "--dns=example.com",
        "--dns=192.0.2.1:53",
        "--dns=host --dns=192.0.2.1",
        "--dns=none --dns-search=example.com",
        "--dns-search=a\tb",
        "--dns-opt=",
        "--hosts-entry=database",
        "--hosts-entry=192.0.2.7=",
        "--hosts-entry=a=192.0.2.7",
    ] {
        let run = launcher(&scratch.join("dir"))
            .arg("run")
            .args(words.split(' '));
        let ran = run.arg(host::image("hello")).run().exits(125).says("");
        cases.add(words.escape_debug(), &ran.told());
    }
    cases.as_written("what is no server or contradicts itself");
}

/// The host's own file, unless a case has another.
pub(super) const OWN: &str = "nameserver 192.0.2.9\\nsearch example.com\\noptions rotate\\n";

/// The launcher on a host with this /etc/resolv.conf and a systemd-resolved that
/// asks 192.0.2.53.
fn launcher_with(site: &Site, own: &str) -> Call {
    let mounts = format!(
        "set -e; mount -t tmpfs none /run; mkdir -p /run/systemd/resolve; \
         printf 'nameserver 192.0.2.53\\n' >/run/systemd/resolve/resolv.conf; \
         printf '{own}' >/run/own; mount --bind /run/own /etc/resolv.conf; \
         printf '192.0.2.7 db\\n' >/run/hosts; mount --bind /run/hosts /etc/hosts; exec \"$@\""
    );
    let unshare = site.host.call(&host::find_tool("unshare").unwrap());
    let launcher = unshare
        .args(["--mount", "sh", "-c", &mounts, "-"])
        .arg(host::program());
    launcher.arg("--dir").arg(site.directory())
}

/// A pod with these options that shows a file.
fn showing(site: &Site, own: &str, options: &[&str], path: &str) -> Ran {
    let script = format!("cat {path} 2>/dev/null || echo none");
    let run = launcher_with(site, own).arg("run").args(options);
    let run = run.arg(host::image("busybox"));
    let run = run.args(["--exec", "/bin/sh", "--", "-c", &script]);
    run.run().exits(0)
}

/// What a pod with these options has of a file.
pub(super) fn shown(site: &Site, own: &str, options: &[&str], path: &str) -> String {
    showing(site, own, options, path).complains("").stdout
}

#[test]
fn a_pod_asks_the_servers_that_it_was_given_or_those_of_the_host_that_it_reaches() {
    let site = site!();
    let _ = image!("busybox");
    let stub = "nameserver 127.0.0.53\\noptions edns0\\n";
    let given = "nameserver 192.0.2.1\nsearch foo.com bar.com\noptions debug use-vc\n";
    for (own, options, expected) in [
        (OWN, "--net=none", "none\n"),
        (
            OWN,
            "--net=nat",
            "nameserver 192.0.2.9\nsearch example.com\noptions rotate\n",
        ),
        (
            OWN,
            "--net=host",
            "nameserver 192.0.2.9\nsearch example.com\noptions rotate\n",
        ),
        (stub, "--net=nat", "nameserver 192.0.2.53\n"),
        (
            "nameserver 127.0.0.1\\n",
            "--net=host",
            "nameserver 127.0.0.1\n",
        ),
        (
            stub,
            "--net=nat --dns=host",
            "nameserver 127.0.0.53\noptions edns0\n",
        ),
        (OWN, "--net=nat --dns=none", "none\n"),
        (
            OWN,
            "--net=nat --dns=192.0.2.1 --dns-search=foo.com --dns-search=bar.com \
             --dns-opt=debug --dns-opt=use-vc",
            given,
        ),
        (OWN, "--net=none --dns=fd00::1", "nameserver fd00::1\n"),
        (
            OWN,
            "--net=nat --dns-search=foo.com",
            "nameserver 192.0.2.9\noptions rotate\nsearch foo.com\n",
        ),
    ] {
        let words: Vec<&str> = options.split_whitespace().collect();
        assert_eq!(
            shown(&site, own, &words, "/etc/resolv.conf"),
            expected,
            "{own} {options}"
        );
    }
}

#[test]
fn a_pod_that_reaches_no_server_says_so() {
    let site = site!();
    let _ = image!("busybox");
    let own = "nameserver 127.0.0.1\\nnameserver fe80::1%%eth0\\n";
    let ran = showing(&site, own, &["--net=nat"], "/etc/resolv.conf");
    ran.says("none\n")
        .complains_as("the servers are out of reach");
    for options in [
        &["--net=none"][..],
        &["--net=nat", "--dns=192.0.2.1"],
        &["--net=nat", "--dns=none"],
    ] {
        shown(&site, own, options, "/etc/resolv.conf");
    }
}

#[test]
fn only_an_option_replaces_a_file_that_the_image_brings() {
    let site = site!();
    let image = || Aci::new(&running(&["/none"])).dir("rootfs/etc");
    let file = |text: &str| image().file("rootfs/etc/resolv.conf", 0o644, text);
    for (name, image, usual) in [
        ("full.aci", file("nameserver 198.51.100.1\n"), false),
        ("empty.aci", file(""), true),
        ("none.aci", image(), true),
        (
            "link.aci",
            image().link("rootfs/etc/resolv.conf", "/run/none"),
            true,
        ),
    ] {
        let path = site.file(name, "");
        std::fs::write(&path, image.bytes()).unwrap();
        for (option, expected) in [
            ("--net=nat", usual),
            ("--dns=192.0.2.1", true),
            ("--dns=none", false),
        ] {
            let plan = launcher_with(&site, OWN).args(["plan", option]);
            let plan = plan.arg(&path).run().exits(0).stdout;
            let made = plan.contains("file /etc/resolv.conf");
            assert_eq!(made, expected, "{name} {option}: {plan}");
        }
    }
}
