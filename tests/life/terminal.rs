//! Terminals of pods: who has one, who attends to it, and what is left of that.

use std::fs;

use rustix::process::Signal;

use super::{Life, until};
use crate::claims;
use crate::golden;
use crate::host;
use crate::seat::{Modes, Seat};

/// `launcher WORDS` at a terminal.
fn seat(life: &Life, words: &[&str]) -> Seat {
    let dir = life.dir().display().to_string();
    let busybox = host::image("busybox").display().to_string();
    let mut all = vec!["--dir", &dir];
    all.extend(words.iter().map(|&word| match word {
        "BUSYBOX" => busybox.as_str(),
        word => word,
    }));
    Seat::take(&host::program(), &all)
}

/// A shell in a pod, at its terminal.
#[track_caller]
fn shell(life: &Life, options: &[&str]) -> Seat {
    let words = [&["run", "--interactive"], options, &["BUSYBOX"]].concat();
    let seat = seat(life, &words);
    seat.until("# ");
    seat
}

/// The same, without a caller; gives the UUID.
#[track_caller]
fn left_alone(life: &Life, options: &[&str]) -> String {
    life.detach(&[&["--interactive"], options, &["BUSYBOX"]].concat())
}

#[test]
fn an_app_has_a_terminal_of_its_own_and_not_the_callers() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let mut seat = shell(&life, &[]);
    seat.types("tty; stty size; ps -o tty,args | grep -c 'pts\\|136,'\n");
    seat.until("/dev/console");
    seat.until("24 80");
    // Whatever is injected goes into its own input.
    let before = seat.modes();
    assert!(!before.intersects(Modes::ICANON | Modes::ECHO | Modes::ISIG));
    seat.types("exit 7\n");
    let (status, shown) = seat.end();
    assert_eq!(status, Some(7), "{shown}");
    assert_eq!(life.pods(), [""; 0]);
}

#[test]
fn the_callers_terminal_is_as_it_was_however_it_ends() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let cooked = Modes::ICANON | Modes::ECHO | Modes::ISIG;
    let modes_after = |end: &dyn Fn(&mut Seat)| {
        let mut seat = shell(&life, &[]);
        end(&mut seat);
        until("the terminal is as it was", || {
            seat.modes().contains(cooked)
        });
        seat.end()
    };
    modes_after(&|seat| seat.types("exit\n"));
    modes_after(&|seat| seat.types("\x10\x11"));
    modes_after(&|seat| seat.signal(Signal::HUP));
    let (status, _) = modes_after(&|seat| seat.types("kill -9 $$\n"));
    assert_eq!(status, Some(137));
    // Who has left a pod by keys finds it running.
    let [left] = life.pods().try_into().unwrap();
    let uuid = left.strip_prefix("run/").unwrap();
    life.run(&["rm", "--force", uuid]).exits(0);
}

#[test]
fn keys_are_signals_inside_and_not_outside() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let mut seat = shell(&life, &[]);
    seat.types("trap 'echo caught' INT; sleep 100\n");
    until("it sleeps", || {
        life.run(&["list"]).stdout.contains("running")
    });
    std::thread::sleep(std::time::Duration::from_millis(200));
    seat.types("\x03");
    seat.until("caught\r\n");
    // Job control, too: the shell takes its terminal back.
    seat.types("sleep 200\n");
    std::thread::sleep(std::time::Duration::from_millis(200));
    seat.types("\x1a");
    seat.until("Stopped");
    seat.types("kill -9 %1\n");
    seat.types("exit 3\n");
    seat.types("exit 3\n");
    let (status, shown) = seat.end();
    assert_eq!(status, Some(3), "{shown}");
}

#[test]
fn the_terminal_becomes_as_large_as_the_callers() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let mut seat = shell(&life, &[]);
    seat.resize(50, 132);
    let begun = std::time::Instant::now();
    while !seat.shown().contains("50 132") {
        assert!(begun.elapsed().as_secs() < 30, "{}", seat.shown());
        seat.types("stty size\n");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    seat.types("exit 0\n");
    assert_eq!(seat.end().0, Some(0));
}

#[test]
fn all_that_was_written_is_shown_before_the_end() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let script = "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done; exit 4";
    let seat = seat(&life, &["run", "-t", "BUSYBOX", "--", "-c", script]);
    let (status, shown) = seat.end();
    assert_eq!(status, Some(4));
    let expected: String = (0..5000).map(|i| format!("line {i}\r\n")).collect();
    let from = shown.find("line 0\r\n").expect("it begins");
    claims::same("what is shown", &shown[from..], &expected);
}

#[test]
fn who_leaves_by_keys_finds_the_pod_as_it_was_left() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let shared = life.0.path().join("shared");
    fs::create_dir(&shared).unwrap();
    let volume = format!("shared,kind=host,source={}", shared.display());
    let mut words = vec!["run", "-t", "--name", "here", "--keep", "--volume", &volume];
    words.extend(["BUSYBOX", "--mount", "volume=shared,target=/shared"]);
    let mut seat = self::seat(&life, &words);
    seat.until("# ");
    seat.types(
        "X=remembered; (until test -e /shared/go; do sleep 0.05; done; echo nobody looks) &\n",
    );
    seat.types("\x10\x11");
    let (status, shown) = seat.end();
    fs::write(shared.join("go"), "").unwrap();
    assert_eq!(status, Some(0), "{shown}");
    let title = "a terminal that was left";
    golden::has_lines_as_written("the terminal", title, &shown.replace("\r\n", "\n"));
    assert_eq!(life.state("here"), "running");
    until("it is in the log", || {
        let log = life.run(&["logs", "here"]).exits(0);
        log.stdout.contains("nobody looks\r\n")
    });
    let mut seat = self::seat(&life, &["attach", "here"]);
    seat.types("echo $X\n");
    seat.until("\r\nremembered");
    seat.types("exit 6\n");
    let (status, shown) = seat.end();
    assert_eq!(status, Some(6), "{shown}");
    assert_eq!(life.state("here"), "exited");
}

#[test]
fn one_attends_at_a_time_and_whoever_is_killed_makes_room() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let uuid = left_alone(&life, &["--name", "alone"]);
    let mut first = seat(&life, &["attach", "alone"]);
    first.types("echo first $((1+1))\n");
    first.until("first 2");
    life.run(&["attach", "alone"])
        .exits(125)
        .naming("UUID", &uuid)
        .complains_as("one attends at a time and whoever is killed makes room");
    first.signal(Signal::KILL);
    first.end();
    let mut second = seat(&life, &["attach", "--detach-keys=ctrl-x,q", "alone"]);
    second.types("echo second $((1+2))\n");
    second.until("second 3");
    second.types("\x18q");
    assert_eq!(second.end().0, Some(0));
    assert_eq!(life.state(&uuid), "running");
    life.run(&["rm", "--force", &uuid]).exits(0);
}

#[test]
fn a_flood_that_nobody_reads_does_not_stop_the_app() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; exit 5";
    let words = ["--interactive", "BUSYBOX", "--", "-c", script];
    let uuid = life.detach(&words);
    life.run(&["status", "--wait", &uuid]).exits(5);
    assert_eq!(life.status(&uuid, "status").unwrap(), "5");
    let log = life.run(&["logs", &uuid]).exits(0);
    assert!(
        log.stdout.ends_with("line 19999\r\n"),
        "{}",
        log.stdout.len()
    );
}

#[test]
fn signals_from_elsewhere_reach_the_app() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let script = "trap 'echo got it; exit 9' TERM; echo up; while :; do sleep 0.02; done";
    let seat = seat(&life, &["run", "-t", "BUSYBOX", "--", "-c", script]);
    seat.until("up");
    seat.signal(Signal::TERM);
    let (status, shown) = seat.end();
    assert_eq!(status, Some(9), "{shown}");
    assert!(shown.contains("got it"), "{shown}");
}

#[test]
fn input_that_is_no_terminal_is_typed_and_ends() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let script = "read x; echo got $x; cat; exit 8";
    let call = life.call(&["run", "-t", "BUSYBOX", "--", "-c", script]);
    let ran = call.input("one\ntwo").run().exits(8).complains("");
    // First as the terminal echoes it.
    assert!(ran.stdout.contains("got one\r\n"), "{ran:?}");
    assert!(ran.stdout.ends_with("two"), "{ran:?}");
}

#[test]
fn a_user_can_open_the_terminal_by_its_name() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let script = "id -u; echo by name > /dev/console; echo out > /dev/stdout";
    let words = [
        "run",
        "-t",
        "BUSYBOX",
        "--user=1234",
        "--group=1234",
        "--working-dir=/",
        "--",
        "-c",
        script,
    ];
    let (status, shown) = seat(&life, &words).end();
    assert_eq!(status, Some(0), "{shown}");
    assert!(shown.contains("1234\r\nby name\r\nout\r\n"), "{shown}");
}

#[test]
fn a_pod_without_a_terminal_is_not_attended_to() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&[]);
    life.run(&["attach", &uuid])
        .exits(125)
        .naming("UUID", &uuid)
        .complains_as("a pod without a terminal");
    life.run(&["stop", &uuid]).exits(0);
    life.run(&["attach", &uuid])
        .exits(125)
        .naming("UUID", &uuid)
        .complains_as("a pod that is over");
    life.run(&["attach", "--detach-keys=x-y", &uuid])
        .exits(125)
        .complains_as("keys that are none");
    assert!(!fs::exists(life.dir().join("pods/run").join(&uuid)).unwrap());
}

#[test]
fn a_command_has_a_terminal_of_the_pods_if_that_is_asked_for() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let uuid = life.detach(&["BUSYBOX", "--", "-c", "sleep 600"]);
    let mut seat = seat(&life, &["enter", "-t", &uuid]);
    seat.until("# ");
    seat.types("tty; echo kind $TERM; stty size\n");
    seat.until("/dev/pts/0");
    seat.until("kind vt100");
    seat.until("24 80");
    seat.types("sleep 300\n");
    seat.until("sleep 300");
    std::thread::sleep(std::time::Duration::from_millis(200));
    seat.types("\x03");
    seat.types("exit 4\n");
    let (status, shown) = seat.end();
    assert_eq!(status, Some(4), "{shown}");
    let (status, shown) = self::seat(&life, &["enter", "-t", &uuid, "/no/such"]).end();
    assert_eq!(status, Some(127), "{shown}");
    assert!(shown.contains("/no/such"), "{shown}");
    let words = [
        "enter",
        "--user=1234",
        "--cwd=/",
        "-t",
        &uuid,
        "sh",
        "-c",
        "echo mine > $(tty)",
    ];
    let (status, shown) = self::seat(&life, &words).end();
    assert_eq!((status, shown.as_str()), (Some(0), "mine\r\n"));
    // With the pod ends the command.
    let mut seat = self::seat(&life, &["enter", "--interactive", &uuid]);
    seat.until("# ");
    seat.types("echo still $((1+1))\n");
    seat.until("still 2");
    life.run(&["rm", "--force", &uuid]).exits(0);
    assert_eq!(seat.end().0, Some(137));
}
