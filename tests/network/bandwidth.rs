//! How much the interfaces of a pod may carry.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::site::{PORT, REMOTE, Site};
use crate::golden::Cases;
use crate::host;

/// What is sent: several times what may be sent at once.
const LENGTH: usize = 1_000_000;

/// How many bytes a second are to be let through.
const LIMIT: &str = "--network-bandwidth=250k";

/// So long it takes at least, with nothing left of what may be sent at once; but
/// what is on its way does not count.
const LEAST: Duration = Duration::from_secs(2);

/// How long it takes a pod to get so much from the remote, and to send it there.
fn times(site: &Site, options: &[&str]) -> [Duration; 2] {
    ["", "head -c 1000000 /dev/zero | "].map(|input| {
        let sends = input.is_empty();
        let listening = site
            .remote
            .within(|| TcpListener::bind(("::", PORT)).unwrap());
        let listener = listening.join().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let began = Instant::now();
            let mut received = vec![0; LENGTH];
            if sends {
                stream.write_all(&received).unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                // It comes again when it has all.
                listener.accept().unwrap();
            } else {
                stream.read_exact(&mut received).unwrap();
            }
            began.elapsed()
        });
        let again = if sends {
            format!("; nc {} {PORT}", REMOTE[0])
        } else {
            String::new()
        };
        let script = format!("{input}nc {} {PORT} | wc -c{again}", REMOTE[0]);
        let ran = site.pod(options, &script).run().exits(0).complains("");
        let told = if sends { "1000000" } else { "0" };
        assert_eq!(ran.stdout.trim(), told, "{options:?}");
        server.join().unwrap()
    })
}

#[test]
fn what_is_sent_and_received_takes_its_time_on_each_interface() {
    let site = site!();
    let _ = image!("busybox");
    let before = site.traces();
    for net in [
        "--net=nat",
        "--net=bridge",
        "--net=macvlan:eth0:IP=192.0.2.9/24",
    ] {
        let free = times(&site, &[net]);
        let limited = times(&site, &[net, LIMIT]);
        for (free, limited) in free.into_iter().zip(limited) {
            assert!(limited > LEAST, "{net}: {limited:?}");
            assert!(free < limited, "{net}: {free:?}, {limited:?}");
        }
    }
    assert_eq!(site.traces(), before);
}

#[test]
fn loopback_is_never_limited() {
    let site = site!();
    let _ = image!("busybox");
    let script = "ip link | sed -n 's/^[0-9]*: \\([a-z0-9]*\\).* qdisc \\([a-z]*\\) .*/\\1 \\2/p'";
    let ran = site.pod(&["--net=nat", LIMIT], script).run().exits(0);
    assert_eq!(ran.stdout, "lo noqueue\neth0 tbf\n");
}

#[test]
fn where_nothing_is_limited_a_message_says_so() {
    let site = site!();
    let before = site.traces();
    let mut cases = Cases::default();
    for options in [
        &["--net=host", LIMIT][..],
        &["--net=none", LIMIT],
        &["--net=none", "--strict", LIMIT],
        &["--net=nat", "--network-bandwidth=0"],
        &["--net=nat", "--network-bandwidth=fast"],
    ] {
        let run = site.launcher().arg("run").args(options);
        let ran = run.arg(host::image("hello")).run();
        cases.add(options.join(" "), &ran.told());
    }
    cases.as_written("where nothing is limited");
    assert_eq!(site.traces(), before);
}
