//! Work of the host's for what apps ask.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustix::thread::LinkNameSpaceType;

use crate::attack::case;
use crate::host::{Running, Scratch, launcher};

/// Asks once, and then nothing more.
const ASKED: &str = "wget -q -O /dev/null $AC_METADATA_URL/acMetadata/v1/pod/uuid; \
    echo served; sleep 100; true";

/// How long it may take in any case.
const LONGEST: Duration = Duration::from_secs(120);

/// Asks without end, from the network of a process, as an app can that is
/// written for it. Some requests are none, and some connections have none.
fn flood(pid: &str, over: &AtomicBool) {
    let network = fs::File::open(format!("/proc/{pid}/ns/net")).unwrap();
    let kind = Some(LinkNameSpaceType::Network);
    rustix::thread::move_into_link_name_space(network.as_fd(), kind).unwrap();
    let requests = ["GET /acMetadata/v1/pod/uuid HTTP/1.1\r\n\r\n", "GET / ", ""];
    let begun = Instant::now();
    for request in requests.iter().cycle() {
        if over.load(Ordering::Relaxed) || begun.elapsed() > LONGEST {
            return;
        }
        if let Ok(mut stream) = TcpStream::connect("127.0.0.1:18112") {
            let _ = stream.write_all(request.as_bytes());
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
}

/// The process that serves, and how much time of the processors it has used.
fn server(pod: &Running) -> Option<(u32, Duration)> {
    let path = format!("/proc/{0}/task/{0}/children", pod.pid());
    let children = fs::read_to_string(path).ok()?;
    children.split_whitespace().find_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (front, behind) = stat.rsplit_once(')')?;
        // Fields 14 and 15, in hundredths of a second: of user and of kernel mode.
        let fields = behind.split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.map(|field| field.parse::<u64>().unwrap()).sum();
        let used = Duration::from_millis(ticks * 10);
        front
            .ends_with("(launcher")
            .then(|| (pid.parse().unwrap(), used))
    })
}

/// The server is no process of the pod: it is not bounded by its limits, nor
/// frozen with it, nor killed for its memory. A pod that may use a tenth of a
/// processor made it use seconds of a whole one. cgroups(7).
#[test]
fn an_app_that_asks_without_end_gets_little_of_the_hosts_processors() {
    require_root!();
    let busybox = image!("busybox");
    case(
        "H9a",
        "answering a flood of requests takes a twentieth of a processor",
        || {
            let scratch = Scratch::new();
            let mut pod = launcher(&scratch.join("dir"))
                .arg("run")
                .arg(&busybox)
                .args(["--", "-c", ASKED])
                .start();
            pod.until_it_says("served");
            let (pid, before) = server(&pod).unwrap();
            // PID 1 of the pod began first.
            let path = format!("/proc/{0}/task/{0}/children", pod.pid());
            let children = fs::read_to_string(path).unwrap();
            let init = children.split_whitespace().next().unwrap();
            let (begun, over) = (Instant::now(), AtomicBool::new(false));
            let spent = Duration::from_millis(250);
            let (passed, after) = thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| flood(init, &over));
                }
                pod.until("a quarter of a second is used", |pod| {
                    server(pod).is_none_or(|(_, used)| used >= before + spent)
                });
                let (passed, after) = (begun.elapsed(), server(&pod));
                over.store(true, Ordering::Relaxed);
                pod.signal(Signal::KILL);
                (passed, after)
            });
            pod.end();
            let (same, used) = after.unwrap();
            // It is there all the time: to execute it again and again costs more.
            assert_eq!(same, pid);
            // What it may use at once, and what the counter is coarse by.
            let most = passed / 20 + Duration::from_millis(50 + 40);
            let used = used - before;
            assert!(used <= most, "{used:?} of a processor in {passed:?}");
        },
    );
}
