//! Ports of the host that lead to a pod.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use rustix::process::Signal;

use super::Site;
use super::reach::{SAY, SERVE, addresses};
use super::site::{HOST, Namespace, REMOTE, within};
use crate::aci::{Aci, manifest};
use crate::golden::Cases;
use crate::host::{self, Running, Scratch, launcher};

/// What a client waits for at most.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a pod tells everybody the address that they came from.
fn told(from: &Namespace, to: &str) -> String {
    let last = asked(from, to, "who");
    let last = last.trim_start_matches('[').trim_end_matches(']');
    last.trim_start_matches("::ffff:").to_owned()
}

/// Asks a pod, and returns the last line of the answer.
fn asked(from: &Namespace, to: &str, what: &'static str) -> String {
    let to = to.to_owned();
    let asked = from.within(move || {
        let mut stream = TcpStream::connect(&to).unwrap_or_else(|error| panic!("{to}: {error}"));
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /cgi-bin/{what} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.lines().last().unwrap_or("").to_owned()
    });
    asked.join().unwrap()
}

/// Runs a pod that serves with these options.
fn serving(site: &Site, options: &[&str]) -> (Running, Vec<String>) {
    let options = [&["--net=nat"], options].concat();
    let script = format!("{SERVE}{SAY}echo up; sleep 600");
    let mut pod = site.pod(&options, &script).start();
    let own = addresses(&mut pod);
    (pod, own)
}

fn kill(pod: Running) {
    pod.signal(Signal::KILL);
    pod.end();
}

#[test]
fn what_is_no_port_or_nobodys_is_refused() {
    let scratch = Scratch::new();
    let mut cases = Cases::default();
    for words in [
        "--publish=80",
        "--publish=8080:80/sctp",
        "--publish=::1:8080:80",
        "-p 0:80",
        "-p 8000-8001:80-82",
        "--port=http",
        "--port=http:0",
        "--port=none:8080 --net=nat",
        "-p 8080:80 -p 127.0.0.1:8080:81 --net=nat",
        "-p 1-300:1 --net=nat",
        "-p 8080:80 --net=host",
        "-P --net=none",
    ] {
        let run = launcher(&scratch.join("dir"))
            .arg("run")
            .args(words.split(' '));
        let ran = run.arg(host::image("hello")).run().exits(125).says("");
        cases.add(words, &ran.told());
    }
    cases.as_written("what is no port or nobodys");
}

#[test]
fn a_port_that_somebody_has_is_refused_with_who_it_is() {
    let site = site!();
    let _ = image!("busybox");
    let (pod, _) = serving(&site, &["-p", "8080:80"]);
    let listed = site
        .launcher()
        .args(["list", "--no-legend", "--full"])
        .run();
    let uuid = listed.stdout.split(' ').next().unwrap().to_owned();
    let _server = site.host.serve(7070);
    let program = std::fs::read_to_string("/proc/self/comm").unwrap();
    let before = site.traces();
    let mut cases = Cases::default();
    for port in [
        "8080:80",
        "127.0.0.1:8080:80",
        "7070:80",
        "192.0.2.99:8080:80",
    ] {
        let ran = site.pod(&["--net=nat", "-p", port], "true").run();
        let ran = ran.exits(125).says("").naming("UUID", &uuid);
        let ran = ran.naming("PROGRAM", program.trim_end());
        let ran = ran.naming("PROCESS", std::process::id().to_string());
        cases.add(port, &ran.told());
        assert_eq!(site.traces(), before);
    }
    cases.as_written("a port that somebody has");
    // Who passes on what comes to it holds it as well.
    assert_eq!(told(&site.host, "127.0.0.1:8080"), "172.16.28.1");
    // Nothing else is in the way: another protocol, or another address.
    for options in [["-p", "8080:80/udp"], ["-p", "127.0.0.1:8081:80"]] {
        site.pod(&[&["--net=nat"], &options[..]].concat(), "true")
            .run()
            .exits(0);
    }
    kill(pod);
    // And a pod that is dead is in nobody's way.
    site.pod(&["--net=nat", "-p", "8080:80"], "true")
        .run()
        .exits(0);
}

#[test]
fn who_connects_to_a_port_gets_to_the_pod() {
    let site = site!();
    let _ = image!("busybox");
    site.host.set("net/ipv6/conf/all/forwarding", "1");
    let before = site.traces();
    let (pod, own) = serving(&site, &["-p", "8080:80"]);
    for (host, remote) in HOST.iter().zip(REMOTE) {
        let to = match host.contains(':') {
            true => format!("[{host}]:8080"),
            false => format!("{host}:8080"),
        };
        // Others keep their addresses, the host and its loopback interface are
        // served by a process that looks like the host.
        assert_eq!(told(&site.remote, &to), remote);
        assert_eq!(told(&site.host, &to), "172.16.28.1");
    }
    for to in ["127.0.0.1:8080", "[::1]:8080", "127.1.2.3:8080"] {
        assert_eq!(told(&site.host, to), "172.16.28.1");
    }
    // Another pod, and the same one, use the host's address.
    let ask = |address: &str| {
        format!("printf 'GET /cgi-bin/who HTTP/1.0\\r\\n\\r\\n' | nc {address} 8080 | tail -n 1")
    };
    let other = site.pod(&["--net=nat"], &ask(HOST[0])).run().exits(0);
    assert!(other.stdout.contains("172.16.28.1"), "{other:?}");
    assert!(!other.stdout.contains(&own[0]), "{other:?}");
    // Ports that were not published lead nowhere, as before.
    for to in [format!("{}:80", HOST[0]), "127.0.0.1:80".to_owned()] {
        let refused = site.host.within(move || TcpStream::connect(to).is_err());
        assert!(refused.join().unwrap());
    }
    assert_eq!(site.host.parameter("net/ipv4/conf/all/route_localnet"), "0");
    pod.signal(Signal::TERM);
    pod.end();
    assert_eq!(site.traces(), before);
    let refused = site
        .host
        .within(|| TcpStream::connect("127.0.0.1:8080").is_err());
    assert!(refused.join().unwrap());
}

#[test]
fn metadata_is_served_while_ports_are() {
    let site = site!();
    let _ = image!("busybox");
    let ask = "printf '#!/bin/sh\\necho; (echo GET / HTTP/1.0; echo) | nc 127.0.0.1 18112 | head -n 1\\n' \
               >cgi-bin/metadata; chmod +x cgi-bin/metadata; ";
    let script = format!("{SERVE}{ask}{SAY}echo up; sleep 600");
    let mut pod = site.pod(&["--net=nat", "-p", "8080:80"], &script).start();
    addresses(&mut pod);
    for _ in 0..3 {
        let answer = asked(&site.host, "127.0.0.1:8080", "metadata");
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    kill(pod);
}

#[test]
fn a_port_of_one_address_is_not_one_of_others() {
    let site = site!();
    let _ = image!("busybox");
    let (pod, _) = serving(
        &site,
        &["-p", "127.0.0.1:8080:80", "-p", "192.0.2.1:8081:80"],
    );
    let reaches = |from: &Namespace, to: &'static str| {
        let reaches = from.within(move || TcpStream::connect(to).is_ok());
        reaches.join().unwrap()
    };
    assert!(reaches(&site.host, "127.0.0.1:8080"));
    assert!(!reaches(&site.host, "192.0.2.1:8080"));
    assert!(!reaches(&site.remote, "192.0.2.1:8080"));
    assert!(!reaches(&site.host, "127.0.0.1:8081"));
    assert_eq!(told(&site.host, "192.0.2.1:8081"), "172.16.28.1");
    assert_eq!(told(&site.remote, "192.0.2.1:8081"), REMOTE[0]);
    kill(pod);
}

#[test]
fn where_the_host_does_not_pass_on_ipv6_a_port_is_reached_by_it_all_the_same() {
    let site = site!();
    let _ = image!("busybox");
    let (pod, _) = serving(&site, &["-p", "8080:80"]);
    let to = format!("[{}]:8080", HOST[1]);
    assert_eq!(told(&site.remote, &to), "172.16.28.1");
    kill(pod);
}

#[test]
fn datagrams_get_to_the_pod_and_answers_back() {
    let site = site!();
    let _ = image!("busybox");
    let (pod, _) = serving(&site, &["-p", "5353:53/udp", "--name=echo"]);
    let status = site.launcher().args(["status", "echo"]).run().exits(0);
    let mut lines = status.stdout.lines();
    let process = lines.find_map(|line| line.strip_prefix("app-busybox.pid="));
    let inside = format!("/proc/{}/ns/net", process.unwrap());
    let server = within(inside.into(), || {
        let server = UdpSocket::bind("[::]:53").unwrap();
        let echo = server.try_clone().unwrap();
        let echoing = std::thread::spawn(move || {
            let mut buffer = [0; 9];
            while let Ok((length @ 1.., from)) = echo.recv_from(&mut buffer) {
                let _ = echo.send_to(&buffer[..length], from);
            }
        });
        (server, echoing)
    });
    let (server, echoing) = server.join().unwrap();
    for (from, to) in [
        (&site.remote, "192.0.2.1:5353"),
        (&site.host, "192.0.2.1:5353"),
        (&site.host, "127.0.0.1:5353"),
        (&site.host, "[::1]:5353"),
    ] {
        let echoed = from.within(move || {
            let any = if to.starts_with('[') {
                "[::]:0"
            } else {
                "0.0.0.0:0"
            };
            let socket = UdpSocket::bind(any).unwrap();
            socket.connect(to).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket.send(b"echo").unwrap();
            let mut buffer = [0; 9];
            let length = socket.recv(&mut buffer).unwrap();
            &buffer[..length] == b"echo"
        });
        assert!(echoed.join().unwrap(), "{to}");
    }
    // An empty datagram ends the server.
    let own = server.local_addr().unwrap().port();
    let end = within(
        format!("/proc/{}/ns/net", process.unwrap()).into(),
        move || {
            let socket = UdpSocket::bind("[::]:0").unwrap();
            socket.send_to(b"", ("::1", own)).unwrap();
        },
    );
    end.join().unwrap();
    echoing.join().unwrap();
    kill(pod);
}

#[test]
fn ports_are_shown_with_their_pod() {
    let site = site!();
    let _ = image!("busybox");
    let options = [
        "-p",
        "8080-8081:80",
        "-p",
        "127.0.0.1:53:5353/udp",
        "--name=web",
    ];
    let (pod, own) = serving(&site, &options);
    let run = |words: &[&str]| {
        site.launcher()
            .args(words)
            .run()
            .exits(0)
            .complains("")
            .stdout
    };
    assert_eq!(
        run(&["port", "web"]),
        "80/tcp -> *:8080\n81/tcp -> *:8081\n5353/udp -> 127.0.0.1:53\n"
    );
    let json = run(&["port", "--format=json", "web"]);
    assert_eq!(
        json,
        "[{\"protocol\":\"tcp\",\"host_port\":8080,\"pod_port\":80},\
         {\"protocol\":\"tcp\",\"host_port\":8081,\"pod_port\":81},\
         {\"protocol\":\"udp\",\"host_address\":\"127.0.0.1\",\"host_port\":53,\"pod_port\":5353}]\n"
    );
    let uuid = run(&["list", "--no-legend", "--full"]);
    let uuid = uuid.split(' ').next().unwrap().to_owned();
    let status = run(&["status", "web"]);
    for line in [
        "networks=lo,eth0\n".to_owned(),
        "network-eth0.mode=nat\n".to_owned(),
        format!("network-eth0.addresses={},{}\n", own[0], own[1]),
        "port=8080/tcp,pod=80/tcp\n".to_owned(),
        "port=127.0.0.1:53/udp,pod=5353/udp\n".to_owned(),
    ] {
        assert!(status.contains(&line), "{line} {status}");
    }
    let json = run(&["status", "--format=json", "web"]);
    let network = format!(
        "\"networks\":[{{\"name\":\"lo\"}},{{\"name\":\"eth0\",\"mode\":\"nat\",\
         \"addresses\":[\"{}\",\"{}\"]}}],\"ports\":[{{\"protocol\":\"tcp\",\"host_port\":8080",
        own[0], own[1]
    );
    assert!(json.contains(&network), "{network} {json}");
    let listed = run(&["list"]);
    let cell = format!("{}, 8080/tcp -> 80, 8081/tcp -> 81", own[0]);
    assert!(
        listed.contains("NETWORK") && listed.contains(&cell),
        "{listed}"
    );
    kill(pod);
    let gone = site.launcher().args(["port", "web"]).run().exits(1);
    gone.says("")
        .naming("UUID", uuid)
        .complains_as("ports of a pod that has ended");
}

#[test]
fn ports_that_apps_declare_are_published_by_name_or_all_at_once() {
    let site = site!();
    let app = r#"{"exec":["/none"],"user":"0","group":"0","ports":[
        {"name":"http","protocol":"tcp","port":80},
        {"name":"dns","protocol":"udp","port":53,"count":2}]}"#;
    let image = site.file("ports.aci", "");
    std::fs::write(&image, Aci::new(&manifest(app)).bytes()).unwrap();
    let plan = |options: &[&str]| {
        let plan = site.launcher().args(["plan", "--net=nat"]).args(options);
        let plan = plan.arg(&image).run().exits(0).complains("").stdout;
        let ports = plan
            .lines()
            .filter(|line| line.starts_with("# ") && line.contains(" of the pod"));
        ports.map(|line| format!("{line}\n")).collect::<String>()
    };
    let mut told = String::new();
    for options in [
        &["--port=http:8080", "--port=dns:127.0.0.1:5353"][..],
        &["-P"],
        &[],
    ] {
        told.push_str(&format!("{}\n{}", options.join(" "), plan(options)));
    }
    crate::golden::as_written("the plan", "ports of the host", &told);
    let unknown = site.launcher().args(["run", "--net=nat", "--port=web:80"]);
    let unknown = unknown.arg(&image).run().exits(125);
    unknown.complains_as("no app has this port");
}
