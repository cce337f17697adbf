//! What the service manager that has started the launcher is told.

use std::io::{IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, sockopt};
use rustix::process::Signal;

use crate::aci::{Aci, in_perl};
use crate::golden::Cases;
use crate::host::{self, Call, Scratch, launcher};

/// How long to wait for a message.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service manager, which takes messages and knows who has sent them.
struct Manager {
    scratch: Scratch,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let scratch = Scratch::new();
        let socket = UnixDatagram::bind(scratch.join("manager")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        sockopt::set_socket_passcred(&socket, true).unwrap();
        Self { scratch, socket }
    }

    fn dir(&self) -> PathBuf {
        self.scratch.join("dir")
    }

    /// A command line that it starts.
    fn starts(&self, call: Call) -> Call {
        call.env("NOTIFY_SOCKET", self.scratch.join("manager"))
    }

    /// A pod of an app in Perl, which can say something.
    fn pod(&self, options: &[&str], script: &str) -> Call {
        let image = in_perl(r#""ports": []"#, &format!("{SAY} {script}"), "");
        self.pod_of(options, image)
    }

    fn pod_of(&self, options: &[&str], image: Aci) -> Call {
        let image = self.scratch.write("app.aci", image.bytes());
        let run = launcher(&self.dir()).args(["run", "--volume=/usr:/usr:ro"]);
        self.starts(run.args(options).arg(image))
    }

    /// The next message, and the process that has sent it.
    #[track_caller]
    fn next(&self) -> (String, u32) {
        let mut buffer = [0; 8192];
        let mut space =
            [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4), ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let got = rustix::net::recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(&mut buffer)],
            &mut control,
            RecvFlags::empty(),
        );
        let length = got.expect("a message comes").bytes;
        let mut sender = 0;
        for one in control.drain() {
            match one {
                RecvAncillaryMessage::ScmCredentials(who) => {
                    sender = who.pid.as_raw_nonzero().get().unsigned_abs();
                }
                _ => panic!("a descriptor came along"),
            }
        }
        (
            String::from_utf8(buffer[..length].to_vec()).unwrap(),
            sender,
        )
    }

    /// All messages that are there.
    fn all(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).unwrap();
        let mut all = Vec::new();
        let mut buffer = [0; 8192];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            all.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        self.socket.set_nonblocking(false).unwrap();
        all
    }
}

/// Says something to whoever is in the environment.
const SAY: &str = r#"
    use Socket; $| = 1;
    sub say_it {
        socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die;
        my $to = pack_sockaddr_un($ENV{NOTIFY_SOCKET});
        defined send($socket, $_[0], 0, $to) or die "send: $!";
    }
"#;

#[test]
fn nothing_that_is_not_about_the_app_is_passed_on() {
    require_root!();
    let _ = tool!("perl");
    let manager = Manager::new();
    let script = r#"
        say_it("MAINPID=1");
        say_it("FDSTORE=1\nFDNAME=x");
        say_it("NOTIFYACCESS=all\nWATCHDOG_USEC=1\nBARRIER=1");
        say_it("STATUS=a\x{1b}[31m");
        say_it("READY=1" . "\n" x 5000);
        say_it("\xff\xfe");
        say_it("");
        say_it("READY=1\nMAINPID=1\nSTATUS=well\nX_Y=1");
    "#;
    let ran = manager.pod(&["--sdnotify=app"], script).run();
    ran.exits(0).complains("");
    assert_eq!(manager.all(), ["READY=1\nSTATUS=well"]);
}

#[test]
fn a_pod_is_ready_when_its_app_says_so_and_not_before() {
    require_root!();
    let _ = tool!("perl");
    let manager = Manager::new();
    let script = r#"
        $SIG{USR1} = sub { say_it("READY=1") };
        $SIG{TERM} = sub { say_it("STOPPING=1"); exit 0 };
        print "up\n"; sleep 1 while 1;
    "#;
    // Whatever its user, and whether or not anything of its image can be changed.
    let run = manager.pod(&["--sdnotify=app"], script);
    let mut pod = run.args(["--readonly-rootfs", "--user=1000"]).start();
    pod.until_it_says("up");
    assert_eq!(manager.all(), [""; 0]);
    pod.signal(Signal::USR1);
    let (message, sender) = manager.next();
    assert_eq!((&*message, sender), ("READY=1", pod.pid()));
    pod.signal(Signal::TERM);
    assert_eq!(manager.next().0, "STOPPING=1");
    pod.end().exits(0).complains("");
}

#[test]
fn the_launcher_says_that_a_pod_is_ready_when_its_apps_were_started() {
    require_root!();
    let manager = Manager::new();
    let run = launcher(&manager.dir()).arg("run");
    let run = run
        .arg(image!("busybox"))
        .args(["--exec", "/bin/sleep", "--", "600"]);
    let pod = manager.starts(run).start();
    let (message, sender) = manager.next();
    assert_eq!(sender, pod.pid());
    let (ready, status) = message.split_once('\n').unwrap();
    assert_eq!(ready, "READY=1");
    assert!(status.starts_with("STATUS=Pod "), "{status}");
    pod.signal(Signal::TERM);
    pod.end().exits(143);
}

#[test]
fn who_tells_it_does_not_stay() {
    require_root!();
    let scratch = Scratch::new();
    let name = format!("nosecone-test-notify-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let run = launcher(&scratch.join("dir")).arg("run");
    let run = run
        .arg(image!("busybox"))
        .args(["--exec", "/bin/sleep", "--", "600"]);
    let mut pod = run.env("NOTIFY_SOCKET", format!("@{name}")).start();
    let mut message = [0; 100];
    assert!(socket.recv(&mut message).unwrap() > 0);
    pod.until("only PID 1 of the pod is left", |pod| {
        let path = format!("/proc/{0}/task/{0}/children", pod.pid());
        let children = std::fs::read_to_string(path).unwrap_or_default();
        children.split_whitespace().count() == 1
    });
    pod.signal(Signal::TERM);
    pod.end().exits(143);
}

#[test]
fn a_pod_that_ends_at_once_was_ready() {
    require_root!();
    let _ = tool!("perl");
    for options in [&["--sdnotify=app"][..], &["--sdnotify=launcher"]] {
        let manager = Manager::new();
        let script = match options {
            ["--sdnotify=app"] => r#"say_it("READY=1")"#,
            _ => "exit 0",
        };
        manager.pod(options, script).run().exits(0).complains("");
        let all = manager.all();
        assert!(all.iter().any(|one| one.starts_with("READY=1")), "{all:?}");
    }
}

#[test]
fn a_pod_that_cannot_be_started_is_not_ready() {
    require_root!();
    let manager = Manager::new();
    let run = launcher(&manager.dir()).arg("run").arg(image!("busybox"));
    let ran = manager.starts(run.args(["--exec", "/nothing"])).run();
    ran.exits(127);
    assert_eq!(manager.all(), [""; 0]);
}

#[test]
fn an_app_that_nobody_listens_to_finds_no_socket() {
    require_root!();
    let _ = tool!("perl");
    let script = r#"print "$ENV{NOTIFY_SOCKET}.$ENV{WATCHDOG_USEC}.", -e "/dev/notify" ? 1 : 0"#;
    for options in [
        &["--sdnotify=ignore"][..],
        &["--sdnotify=launcher"],
        &["--inherit-env"],
    ] {
        let manager = Manager::new();
        let run = manager.pod(options, script).env("WATCHDOG_USEC", "1000");
        run.run().exits(0).says("..0");
        assert_eq!(manager.all().is_empty(), options == ["--sdnotify=ignore"]);
    }
    let manager = Manager::new();
    let run = manager.pod(&["--sdnotify=app"], script);
    run.env("NOTIFY_SOCKET", "").run().exits(0).says("..0");
}

#[test]
fn an_annotation_says_that_an_app_notifies() {
    require_root!();
    let _ = tool!("perl");
    let manager = Manager::new();
    let option = "--annotation=appc.io/executor/supports-systemd-notify=true";
    let run = manager.pod(&[], r#"say_it("READY=1\nSTATUS=mine")"#);
    run.arg(option).run().exits(0).complains("");
    assert_eq!(manager.all(), ["READY=1\nSTATUS=mine"]);
}

#[test]
fn a_tool_of_the_service_manager_works_in_a_pod_and_waits_for_its_barrier() {
    require_root!();
    let _ = tool!("perl");
    let _ = tool!("systemd-notify");
    let manager = Manager::new();
    let script = r#"
        exec "/usr/bin/systemd-notify", "--ready", "--status=well", "MAINPID=1" or die;
    "#;
    let begun = Instant::now();
    manager
        .pod(&["--sdnotify=app"], script)
        .run()
        .exits(0)
        .complains("");
    // It would wait for five seconds, and fail.
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(manager.all(), ["READY=1\nSTATUS=well"]);
}

#[test]
fn an_app_watches_over_itself() {
    require_root!();
    let _ = tool!("perl");
    let manager = Manager::new();
    let script = r#"print "$ENV{WATCHDOG_USEC} ", $ENV{WATCHDOG_PID} == $$; say_it("WATCHDOG=1")"#;
    let run = manager.pod(&["--sdnotify=app"], script);
    run.env("WATCHDOG_USEC", "3000000")
        .run()
        .exits(0)
        .says("3000000 1");
    assert_eq!(manager.all(), ["WATCHDOG=1"]);
    // Another process is watched over.
    let run = manager.pod(&["--sdnotify=app"], r#"print "$ENV{WATCHDOG_USEC}.""#);
    let run = run.env("WATCHDOG_USEC", "3000000").env("WATCHDOG_PID", "1");
    run.run().exits(0).says(".");
}

#[test]
fn a_flood_is_passed_on_slowly() {
    require_root!();
    let _ = tool!("perl");
    let manager = Manager::new();
    let script = r#"for (1 .. 150) { say_it("STATUS=$_") } print "over\n"; sleep 600"#;
    let mut pod = manager.pod(&["--sdnotify=app"], script).start();
    let begun = Instant::now();
    for number in 1..=150 {
        assert_eq!(manager.next().0, format!("STATUS={number}"));
    }
    // A hundred in a second at most.
    assert!(begun.elapsed() >= Duration::from_millis(1400));
    pod.until_it_says("over");
    pod.signal(Signal::TERM);
    pod.end().exits(143);
}

#[test]
fn the_socket_in_a_pod_cannot_be_changed() {
    require_root!();
    let _ = tool!("perl");
    let manager = Manager::new();
    let script = r#"
        print chmod(0777, "/dev/notify"), unlink("/dev/notify"), chown(1, 1, "/dev/notify"),
            utime(1, 1, "/dev/notify"), rename("/dev/notify", "/dev/other") ? 1 : 0;
    "#;
    manager
        .pod(&["--sdnotify=app"], script)
        .run()
        .exits(0)
        .says("00000");
}

#[test]
fn the_metadata_of_a_pod_is_served_meanwhile() {
    require_root!();
    let _ = tool!("perl");
    let manager = Manager::new();
    let script = r#"
        my ($place) = $ENV{AC_METADATA_URL} =~ m{http://([0-9.]+)};
        my ($port, $path) = $ENV{AC_METADATA_URL} =~ m{:([0-9]+)(/.*)?$};
        for my $time (1 .. 2) {
            say_it("STATUS=$time");
            socket(my $socket, AF_INET, SOCK_STREAM, 0) or die;
            connect($socket, pack_sockaddr_in($port, inet_aton($place))) or die "connect: $!";
            syswrite $socket, "GET $path/acMetadata/v1/pod/uuid HTTP/1.0\r\nMetadata-Flavor: AppContainer\r\n\r\n";
            my $line = <$socket>; print $line =~ / 200 / ? "ok" : $line;
        }
        say_it("STATUS=over");
    "#;
    manager
        .pod(&["--sdnotify=app"], script)
        .run()
        .exits(0)
        .says("okok");
    assert_eq!(manager.all(), ["STATUS=1", "STATUS=2", "STATUS=over"]);
}

#[test]
fn the_service_is_the_process_that_stays_and_it_is_told_that_it_ends() {
    require_root!();
    let _ = tool!("perl");
    let manager = Manager::new();
    let ran = manager.pod(&["--detach", "--rm"], "sleep 600").run();
    let uuid = ran.exits(0).complains("").stdout;
    let (first, _) = manager.next();
    let main: u32 = first
        .strip_prefix("MAINPID=")
        .expect(&first)
        .parse()
        .unwrap();
    let (second, sender) = manager.next();
    assert!(second.starts_with("READY=1\n"), "{second}");
    assert_eq!(sender, main);
    launcher(&manager.dir())
        .args(["stop", uuid.trim()])
        .run()
        .exits(0);
    let (last, sender) = manager.next();
    assert_eq!((&*last, sender), ("STOPPING=1", main));
    assert_eq!(manager.all(), [""; 0]);
}

#[test]
fn a_prepared_pod_tells_the_manager_of_whoever_runs_it() {
    require_root!();
    let _ = tool!("perl");
    let manager = Manager::new();
    let image = in_perl(r#""ports": []"#, &format!(r#"{SAY} say_it("READY=1")"#), "");
    let image = manager.scratch.write("app.aci", image.bytes());
    let words = ["prepare", "--sdnotify=app", "--volume=/usr:/usr:ro"];
    let uuid = launcher(&manager.dir())
        .args(words)
        .arg(image)
        .run()
        .exits(0)
        .stdout;
    let run = launcher(&manager.dir()).args(["run-prepared", uuid.trim()]);
    manager.starts(run).run().exits(0);
    assert_eq!(manager.all(), ["READY=1"]);
}

#[test]
fn a_pod_that_waits_for_a_connection_is_ready() {
    require_root!();
    let manager = Manager::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let section =
        r#""ports": [{"name": "x", "protocol": "tcp", "port": 1, "socketActivated": true}]"#;
    let option = format!("--socket=x:{address}");
    let mut pod = manager
        .pod_of(&[&option], in_perl(section, "exit 0", ""))
        .start();
    let (message, sender) = manager.next();
    assert!(message.starts_with("READY=1\n"), "{message}");
    assert_eq!(sender, pod.pid());
    pod.until("it waits", |pod| {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", pod.pid()));
        name.is_ok_and(|name| name == "stage1-init\n")
    });
    pod.signal(Signal::TERM);
    pod.end().exits(143);
}

/// Serves a file once, over HTTP; returns where.
fn served(file: Vec<u8>) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
                request.push(byte[0]);
            }
            let length = file.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(&file));
        }
    });
    format!("http://{address}/hello.aci")
}

#[test]
fn while_an_image_is_fetched_there_is_more_time() {
    require_root!();
    let manager = Manager::new();
    let url = served(std::fs::read(host::image("hello")).unwrap());
    let fetching = |all: &[String]| {
        let wanted = "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=Fetching ";
        all.first().is_some_and(|first| first.starts_with(wanted))
    };
    for (option, expected) in [
        ("--sdnotify=ignore", false),
        ("--sdnotify=launcher", true),
        // It is stored.
        ("--pull-policy=never", false),
    ] {
        let words = ["run", "--insecure-options=image,http", option, &url];
        let ran = manager.starts(launcher(&manager.dir()).args(words)).run();
        ran.exits(0);
        assert_eq!(fetching(&manager.all()), expected, "{option}");
        if option == "--sdnotify=ignore" {
            std::fs::remove_dir_all(manager.dir()).unwrap();
        }
    }
}

#[test]
fn what_cannot_be_notified_is_refused() {
    require_root!();
    let scratch = Scratch::new();
    let dir = scratch.join("dir");
    let mut cases = Cases::default();
    let hello = host::image("hello");
    for (socket, words) in [
        ("relative/path", &[][..]),
        ("vsock:2:1234", &[]),
        ("", &["--sdnotify=everybody"]),
    ] {
        let run = launcher(&dir).arg("run").args(words).arg(&hello);
        let ran = run.env("NOTIFY_SOCKET", socket).run().exits(125).says("");
        cases.add(format!("{socket} {}", words.join(" ")), &ran.told());
    }
    let two = launcher(&dir).args(["run", "--sdnotify=app"]).arg(&hello);
    let two = two.args(["--name=a", "---"]).arg(&hello).arg("--name=b");
    cases.add("two apps", &two.run().exits(125).told());
    cases.as_written("what cannot be notified");
    // Nobody listens: the pod runs all the same.
    let run = launcher(&dir).arg("run").arg(&hello);
    let run = run.env("NOTIFY_SOCKET", Path::new("/nonexistent/socket"));
    run.run().exits(0).complains("");
}
