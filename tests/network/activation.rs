//! Sockets that are open before an app starts: the launcher's own, which start the
//! pod, and those that a service manager passes.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::aci::in_perl;
use crate::golden::Cases;
use crate::host::{self, Call, Running, Scratch, call, launcher};
use crate::kernel;

/// What a client waits for at most.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers on descriptor 3 as often as it is told to, with what it was passed.
const ANSWER: &str = r#"
    $| = 1;
    my @open = grep { -e "/proc/self/fd/$_" } 3 .. 40;
    my $own = $ENV{LISTEN_PID} == $$ ? "own" : "another's";
    open(my $socket, "+<&=3") or die "3 is not open: $!";
    for (1 .. $ARGV[0]) {
        accept(my $client, $socket) or die "accept: $!";
        syswrite $client, "$ENV{LISTEN_FDS} $ENV{LISTEN_FDNAMES} $own\n";
    }
"#;

/// An image of an app with these ports.
fn image(scratch: &Scratch, ports: &str, script: &str, words: &str) -> PathBuf {
    let image = in_perl(&format!(r#""ports": [{ports}]"#), script, words);
    scratch.write("activated.aci", image.bytes())
}

const HTTP: &str = r#"{"name": "http", "protocol": "tcp", "port": 80, "socketActivated": true}"#;

/// A pod of that image.
fn pod(dir: &Path, options: &[&str], image: &Path) -> Call {
    let run = launcher(dir).args(["run", "--volume=/usr:/usr:ro"]);
    run.args(options).arg(image)
}

/// A port on which nobody listens: one that was free a moment ago.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// What a client is told; waits until somebody listens.
#[track_caller]
fn told(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn is_open(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_err()
}

/// A pod that waits at this address.
fn waiting(dir: &Path, address: SocketAddr, image: &Path) -> Running {
    let option = format!("--socket=http:{address}");
    let mut pod = pod(dir, &[&option], image).start();
    pod.until("it waits", |pod| {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", pod.pid()));
        name.is_ok_and(|name| name == "stage1-init\n") && is_open(address)
    });
    pod
}

/// The processes of the pod's directory, beside the one that waits.
fn others(dir: &Path, pod: &Running) -> usize {
    let all = kernel::processes(dir);
    let own = |pid: rustix::process::Pid| pid.as_raw_nonzero().get().unsigned_abs() == pod.pid();
    all.into_iter().filter(|(pid, _)| !own(*pid)).count()
}

/// How many lines `launcher list` prints; the first is a heading.
fn listed(dir: &Path) -> usize {
    let list = launcher(dir).arg("list").run().exits(0);
    list.stdout.lines().count()
}

#[test]
fn what_cannot_be_listened_on_or_is_nobodys_is_refused() {
    require_root!();
    let scratch = Scratch::new();
    let dir = scratch.join("dir");
    let ports = format!(
        r#"{HTTP}, {{"name": "own", "protocol": "tcp", "port": 81}},
           {{"name": "many", "protocol": "udp", "port": 82, "count": 3, "socketActivated": true}},
           {{"name": "strange", "protocol": "sctp", "port": 99, "socketActivated": true}}"#
    );
    let image = image(&scratch, &ports, "exit 7", "");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let name = std::fs::read_to_string("/proc/self/comm").unwrap();
    let own = format!("program `{}` (process {})", name.trim(), std::process::id());
    let mut cases = Cases::default();
    for words in [
        "--socket=http",
        "--socket=http:0",
        "--socket=none:8080",
        "--socket=own:8080",
        "--socket=strange:8080",
        "--socket=http:8080 --socket=http:8081",
        "--socket=http:8080 --port=own:8080 --net=nat",
        "--socket=many:65534",
        "--socket=http:192.0.2.77:8080",
        "--socket=http:127.0.0.1:TAKEN",
        "--socket=http:8080 -t",
    ] {
        let given = words.replace("TAKEN", &port);
        let given: Vec<&str> = given.split(' ').collect();
        let ran = pod(&dir, &given, &image).run().exits(125).says("");
        let told = ran.told().replace(&port, "TAKEN");
        cases.add(words, &told.replace(&own, "THIS TEST"));
    }
    cases.as_written("what cannot be listened on");
    assert_eq!(host::names(&dir.join("pods/run")), [""; 0]);
    let prepare = launcher(&dir).args(["prepare", "--socket=http:8080"]);
    prepare.arg(&image).run().exits(2);
}

#[test]
fn a_pod_that_nobody_connects_to_is_not_started() {
    require_root!();
    let _ = tool!("perl");
    let scratch = Scratch::new();
    let (dir, address) = (scratch.join("dir"), free());
    let image = image(&scratch, HTTP, ANSWER, "1");
    for (signal, status) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let pod = waiting(&dir, address, &image);
        assert_eq!(others(&dir, &pod), 0);
        pod.signal(signal);
        pod.end().exits(status).says("").complains("");
        assert!(!is_open(address));
        assert_eq!(listed(&dir), 1);
    }
    let pod = waiting(&dir, address, &image);
    pod.signal(Signal::INT);
    pod.end().dies_of(Signal::INT);
}

#[test]
fn a_pod_that_is_killed_while_it_waits_leaves_no_process_and_no_socket() {
    require_root!();
    let scratch = Scratch::new();
    let (dir, address) = (scratch.join("dir"), free());
    let image = image(&scratch, HTTP, "exit 7", "");
    let pod = waiting(&dir, address, &image);
    pod.signal(Signal::KILL);
    pod.end();
    assert!(!is_open(address));
    launcher(&dir)
        .args(["gc", "--grace-period=0"])
        .run()
        .exits(0);
    assert_eq!(listed(&dir), 1);
}

#[test]
fn who_waits_takes_little_memory() {
    require_root!();
    let scratch = Scratch::new();
    let (dir, address) = (scratch.join("dir"), free());
    let image = image(&scratch, HTTP, "exit 7", "");
    let pod = waiting(&dir, address, &image);
    let status = std::fs::read_to_string(format!("/proc/{}/status", pod.pid())).unwrap();
    let line = |name| status.lines().find_map(|line| line.strip_prefix(name));
    let size = line("RssAnon:").unwrap().trim().trim_end_matches(" kB");
    assert!(size.parse::<u32>().unwrap() <= 64, "{status}");
    pod.signal(Signal::TERM);
    pod.end().exits(143);
}

#[test]
fn the_first_client_starts_the_pod_and_every_client_is_answered() {
    require_root!();
    let _ = tool!("perl");
    let scratch = Scratch::new();
    let (dir, address) = (scratch.join("dir"), free());
    let image = image(&scratch, HTTP, ANSWER, "3");
    let pod = waiting(&dir, address, &image);
    for _ in 0..3 {
        assert_eq!(told(address), "1 http own\n");
    }
    pod.end().exits(0).complains("");
    assert!(!is_open(address));
}

#[test]
fn a_detached_pod_waits_as_well_and_can_be_stopped() {
    require_root!();
    let _ = tool!("perl");
    let scratch = Scratch::new();
    let (dir, address) = (scratch.join("dir"), free());
    let image = image(&scratch, HTTP, ANSWER, "9");
    let option = format!("--socket=http:{address}");
    for clients in [0, 2] {
        let ran = pod(&dir, &["--detach", "--rm", &option], &image).run();
        let uuid = ran.exits(0).complains("").stdout;
        assert!(is_open(address));
        for _ in 0..clients {
            assert_eq!(told(address), "1 http own\n");
        }
        launcher(&dir).args(["stop", uuid.trim()]).run().exits(0);
        launcher(&dir).args(["status", "--wait", uuid.trim()]).run();
        assert!(!is_open(address));
    }
}

#[test]
fn the_socket_of_an_app_is_not_there_for_a_command_that_enters() {
    require_root!();
    let _ = tool!("perl");
    let scratch = Scratch::new();
    let (dir, address) = (scratch.join("dir"), free());
    let image = image(&scratch, HTTP, ANSWER, "9");
    let option = format!("--socket=http:{address}");
    let ran = pod(&dir, &["--detach", "--rm", &option], &image).run();
    let uuid = ran.exits(0).stdout;
    told(address);
    let script = r#"print "$ENV{LISTEN_FDS}.\n"; print -e "/proc/self/fd/3" ? "open" : "closed""#;
    let entered = launcher(&dir).args(["enter", uuid.trim(), "/usr/bin/perl", "-e", script]);
    // The script that Perl was given is an argument.
    entered.run().exits(0).says(".\nclosed");
    launcher(&dir).args(["stop", uuid.trim()]).run().exits(0);
    launcher(&dir).args(["status", "--wait", uuid.trim()]).run();
}

#[test]
fn a_datagram_starts_a_pod_as_well() {
    require_root!();
    let _ = tool!("perl");
    let scratch = Scratch::new();
    let dir = scratch.join("dir");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let place = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = place.local_addr().unwrap();
    drop(place);
    let script = r#"
        open(my $socket, "+<&=3") or die; my $from = recv($socket, my $heard, 100, 0);
        send($socket, "got $heard", 0, $from);
    "#;
    let dns = HTTP.replace("http", "dns").replace("tcp", "udp");
    let image = image(&scratch, &dns, script, "");
    let option = format!("--socket=dns:{address}");
    let mut pod = pod(&dir, &[&option], &image).start();
    pod.until("it waits", |_| UdpSocket::bind(address).is_err());
    client.send_to(b"hello", address).unwrap();
    let mut answer = [0; 100];
    let length = client.recv(&mut answer).unwrap();
    assert_eq!(&answer[..length], b"got hello");
    pod.end().exits(0);
}

/// systemd-socket-activate(1), which runs a command when somebody connects.
fn manager(addresses: &[SocketAddr], names: Option<&str>, command: Call) -> Call {
    let mut manager = call(&host::find_tool("systemd-socket-activate").unwrap());
    for address in addresses {
        manager = manager.arg("-l").arg(address.to_string());
    }
    if let Some(names) = names {
        manager = manager.arg(format!("--fdname={names}"));
    }
    manager
        .arg("-E")
        .arg("NOSECONE_NET=none")
        .args(command.words())
}

/// A script that says which of its sockets listens where.
const NAMES: &str = r#"
    my @names = split /:/, $ENV{LISTEN_FDNAMES};
    for my $at (0 .. $ENV{LISTEN_FDS} - 1) {
        open(my $socket, "+<&=" . (3 + $at)) or die "not open: $!";
        my ($port) = unpack "x2 n", getsockname $socket;
        print "$names[$at] $port\n";
    }
"#;

/// Runs a pod of a script with sockets from a service manager, and returns what it
/// says.
fn managed(ports: &str, names: Option<&str>, addresses: &[SocketAddr]) -> host::Ran {
    let scratch = Scratch::new();
    let image = image(&scratch, ports, NAMES, "");
    let dir = scratch.join("dir");
    let mut started = manager(addresses, names, pod(&dir, &[], &image)).start();
    started.until("it listens", |_| is_open(addresses[0]));
    let client = TcpStream::connect(addresses[0]);
    let ran = started.end();
    drop(client);
    ran
}

#[test]
fn sockets_are_passed_by_their_names_their_ports_or_in_order() {
    require_root!();
    let _ = (tool!("perl"), tool!("systemd-socket-activate"));
    let port = |name: &str, port: u16| {
        format!(
            r#"{{"name": "{name}", "protocol": "tcp", "port": {port}, "socketActivated": true}}"#
        )
    };
    let (one, two) = (free(), free());
    let (first, second) = (one.port(), two.port());
    for (ports, names, expected) in [
        // An app that declares none gets them as they are.
        (String::new(), "x:y", format!("x {first}\ny {second}\n")),
        (
            format!("{}, {}", port("b", 7), port("a", 8)),
            "a:b",
            format!("a {first}\nb {second}\n"),
        ),
        (
            format!("{}, {}", port("b", second), port("a", first)),
            "x:y",
            format!("a {first}\nb {second}\n"),
        ),
        (
            format!("{}, {}", port("b", 7), port("a", 8)),
            "x:y",
            format!("b {first}\na {second}\n"),
        ),
    ] {
        let ran = managed(&ports, Some(names), &[one, two]);
        assert_eq!(ran.exits(0).stdout, expected, "{ports}");
    }
}

#[test]
fn a_socket_that_no_app_expects_is_refused() {
    require_root!();
    let _ = (tool!("perl"), tool!("systemd-socket-activate"));
    let ran = managed(HTTP, Some("http:more"), &[free(), free()]);
    let ran = ran.exits(125).says("");
    assert!(
        ran.stderr
            .contains("no app expects the socket that was passed as descriptor 4"),
        "{}",
        ran.stderr
    );
}

#[test]
fn sockets_for_another_process_are_not_passed() {
    require_root!();
    let _ = tool!("perl");
    let scratch = Scratch::new();
    let image = image(&scratch, "", NAMES, "");
    let run = pod(&scratch.join("dir"), &[], &image);
    let run = run.env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
    run.run().exits(0).says("").complains("");
}

#[test]
fn a_port_that_an_app_expects_to_be_open_and_is_not_is_named() {
    require_root!();
    let _ = tool!("perl");
    let scratch = Scratch::new();
    let image = image(&scratch, HTTP, "print qq(ran\\n)", "");
    let run = pod(&scratch.join("dir"), &[], &image).run();
    run.exits(0).says("ran\n").complains(
        "launcher: `socketActivated` of port `http` of app `sample` is ignored: no socket was \
         passed, so the app has to open the port itself\n",
    );
}

#[test]
fn a_prepared_pod_gets_the_sockets_of_whoever_runs_it() {
    require_root!();
    let _ = (tool!("perl"), tool!("systemd-socket-activate"));
    let scratch = Scratch::new();
    let dir = scratch.join("dir");
    let image = image(&scratch, HTTP, ANSWER, "1");
    let prepare = launcher(&dir).args(["prepare", "--volume=/usr:/usr:ro"]);
    let uuid = prepare.arg(&image).run().exits(0).stdout;
    let address = free();
    let run = launcher(&dir).args(["run-prepared", uuid.trim()]);
    let mut started = manager(&[address], None, run).start();
    started.until("it listens", |_| is_open(address));
    assert_eq!(told(address), "1 http own\n");
    started.end().exits(0);
}

#[test]
fn each_app_of_a_pod_gets_its_own() {
    require_root!();
    let _ = (tool!("perl"), tool!("systemd-socket-activate"));
    let scratch = Scratch::new();
    let dir = scratch.join("dir");
    let one = image(&scratch, HTTP, ANSWER, "1");
    let other = one.with_file_name("other.aci");
    std::fs::rename(&one, &other).unwrap();
    let dns = HTTP.replace("http", "dns");
    let one = image(&scratch, &dns, ANSWER, "1");
    let both = pod(&dir, &[], &one).args(["--name=b", "---"]).arg(&other);
    let (first, second) = (free(), free());
    let started = manager(&[first, second], Some("http:dns"), both.arg("--name=a"));
    let mut started = started.start();
    started.until("it listens", |_| is_open(first));
    assert_eq!(told(first), "1 http own\n");
    assert_eq!(told(second), "1 dns own\n");
    started.end().exits(0);
}

#[test]
fn a_client_that_writes_first_is_heard() {
    require_root!();
    let _ = tool!("perl");
    let scratch = Scratch::new();
    let (dir, address) = (scratch.join("dir"), free());
    let echo = r#"
        open(my $socket, "+<&=3") or die; accept(my $client, $socket) or die;
        my $line = <$client>; syswrite $client, "got $line";
    "#;
    let image = image(&scratch, HTTP, echo, "");
    let pod = waiting(&dir, address, &image);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"hello\n").unwrap();
    let mut answer = String::new();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "got hello\n");
    pod.end().exits(0);
}
