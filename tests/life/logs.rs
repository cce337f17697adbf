//! What apps write that have no caller: it is kept within its size, whatever
//! they do, and read in the order in which it came.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Life, kill, sleeps, until};
use crate::claims;
use crate::host;

/// A pipe with a name, by which a test tells apps when to go on.
struct Gate(PathBuf, File);

impl Gate {
    fn new(life: &Life, name: &str) -> Self {
        let directory = life.0.join(name);
        fs::create_dir(&directory).unwrap();
        let path = directory.join("gate");
        let mode = rustix::fs::Mode::from_raw_mode(0o666);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        // Open on both ends, nobody waits for who opens the other.
        let file = File::options().read(true).write(true).open(&path).unwrap();
        Self(directory, file)
    }

    /// The volume that it is in, called so.
    fn volume(&self, name: &str) -> String {
        format!("--volume={name},kind=host,source={}", self.0.display())
    }

    /// Lets who reads a line go on.
    fn open(&mut self) {
        self.1.write_all(b"\n").unwrap();
    }
}

/// `launcher logs OPTIONS UUID`, which must print this.
#[track_caller]
fn logs(life: &Life, uuid: &str, options: &[&str], out: &str, err: &str) {
    let words = [&["logs"], options, &[uuid]].concat();
    life.run(&words).exits(0).says(out).complains(err);
}

/// The directory of an app's log, wherever its pod is.
fn directory(life: &Life, uuid: &str, app: &str) -> PathBuf {
    let pods = life.dir().join("pods");
    let states = ["run", "exited"].map(|state| pods.join(state).join(uuid).join("log").join(app));
    let found = states.into_iter().find(|path| path.exists());
    found.expect("there is a log")
}

/// The sizes of the two files of a log.
fn sizes(life: &Life, uuid: &str, app: &str) -> Vec<u64> {
    let directory = directory(life, uuid, app);
    let size = |name: &String| fs::metadata(directory.join(name)).unwrap().len();
    host::names(&directory).iter().map(size).collect()
}

#[test]
fn an_app_that_floods_its_log_is_not_held_up_and_fills_no_disk() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    // Some 34 MB, on both streams.
    let script = "yes error | head -c 4000000 >&2; seq 1 4000000; echo done; exit 7";
    let words = ["--log-size=64Ki", "BUSYBOX", "--", "-c", script];
    let uuid = life.detach(&words);
    life.run(&["status", "--wait", &uuid]).exits(7);
    assert_eq!(life.status(&uuid, "status").as_deref(), Some("7"));
    let sizes = sizes(&life, &uuid, "busybox");
    assert!(
        sizes.len() == 2 && sizes.iter().all(|&size| size <= 65_536),
        "{sizes:?}"
    );
    // All of the end is there, and nothing but whole records.
    let said = life.run(&["logs", &uuid]).exits(0).complains("").stdout;
    let lines: Vec<_> = said.lines().skip(1).collect();
    let first: u32 = lines[0].parse().unwrap();
    assert!(first < 3_999_000, "{first}");
    let numbers = (first..=4_000_000).map(|number| number.to_string());
    let expected: Vec<_> = numbers.chain(["done".to_owned()]).collect();
    claims::same("the end", &lines.join("\n"), &expected.join("\n"));
    life.leaves_nothing();
}

#[test]
fn what_several_apps_write_is_read_in_the_order_in_which_it_came() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let (mut one, mut two) = (Gate::new(&life, "one"), Gate::new(&life, "two"));
    let volumes = [one.volume("one"), two.volume("two")];
    let script =
        "exec 3<>/gate/gate; read x <&3; echo $0 1; read x <&3; echo $0 2 >&2; printf '$0 3'";
    let script = script.replace("'$0 3'", "\"$0 3\"");
    let app = |name: &'static str, mount: &'static str| {
        [
            "BUSYBOX",
            "--name",
            name,
            mount,
            "--",
            "-c",
            script.as_str(),
            name,
        ]
    };
    let words = [
        &[volumes[0].as_str(), &volumes[1]][..],
        &app("a", "--mount=volume=one,target=/gate"),
        &["---"],
        &app("b", "--mount=volume=two,target=/gate"),
    ];
    let begun = std::time::SystemTime::now();
    let uuid = life.detach(&words.concat());
    let lines = |number| {
        until("it is written", || {
            let ran = life.run(&["logs", "--format=json", &uuid]).exits(0);
            ran.stdout.lines().count() == number
        });
    };
    two.open();
    lines(1);
    one.open();
    lines(2);
    two.open();
    lines(4);
    one.open();
    life.run(&["status", "--wait", &uuid])
        .exits(0)
        .complains("");
    logs(&life, &uuid, &[], "b 1\na 1\nb 3a 3", "b 2\na 2\n");
    logs(&life, &uuid, &["--app=a"], "a 1\na 3", "a 2\n");
    logs(&life, &uuid, &["--tail=2"], "b 3a 3", "");
    logs(
        &life,
        &uuid,
        &["--tail", "3", "--app", "b"],
        "b 1\nb 3",
        "b 2\n",
    );
    logs(&life, &uuid, &["--since=1h", "--tail=0"], "", "");
    logs(&life, &uuid, &["--since=9999-01-01T00:00:00Z"], "", "");
    logs(
        &life,
        &uuid,
        &["--since=2001-01-01T00:00:00Z", "-f", "--tail=1"],
        "a 3",
        "",
    );
    // Stamps: of this very time, and those of the records in JSON.
    let stamped = life.run(&["logs", "--timestamps", &uuid]).exits(0);
    let json = life.run(&["logs", "--format=json", &uuid]).exits(0);
    let field = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!("\"{name}\":\"")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let lines = json.stdout.lines().map(|line| {
        let [time, app, stream, text] =
            ["time", "app", "stream", "text"].map(|name| field(line, name));
        format!("{time} {app} {stream} {text}\n")
    });
    let lines: Vec<String> = lines.collect();
    let of = |stream: &str| -> String {
        let stream = format!(" {stream} ");
        lines
            .iter()
            .filter(|line| line.contains(&stream))
            .map(String::as_str)
            .collect()
    };
    let stamped = stamped.says(&of("stdout")).complains(&of("stderr"));
    let words: Vec<&str> = stamped
        .stdout
        .lines()
        .flat_map(|line| line.split(' '))
        .collect();
    assert_eq!(
        [words[1], words[2], words[3], words[4]],
        ["b", "stdout", "b", "1"]
    );
    let year = begun
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        / 31_556_952
        + 1970;
    assert!(
        words[0].starts_with(&format!("{year}-")) && words[0].ends_with('Z'),
        "{words:?}"
    );
    life.leaves_nothing();
}

#[test]
fn the_logs_of_many_apps_are_kept_apart() {
    require_root!();
    let life = Life::new();
    // More descriptors than there are below those that the plan names.
    let names: Vec<String> = (10..38).map(|number| format!("app-{number}")).collect();
    let mut words = Vec::new();
    for name in &names {
        words.extend(words.last().map(|_| "---"));
        words.extend(["PROBE", "--name", name, "--", "--stdout", name]);
    }
    let uuid = life.detach(&words);
    life.run(&["status", "--wait", &uuid]).exits(0);
    for name in [&names[0], &names[27]] {
        logs(&life, &uuid, &["--app", name], &format!("{name}\n"), "");
    }
    let said = life.run(&["logs", &uuid]).exits(0).complains("").stdout;
    let mut said: Vec<&str> = said.lines().collect();
    said.sort_unstable();
    assert_eq!(said, names);
    life.leaves_nothing();
}

#[test]
fn who_follows_misses_and_repeats_nothing_when_files_are_renamed() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let mut gate = Gate::new(&life, "gate");
    // Each part is more than one file can hold.
    let script = "exec 3<>/gate/gate; n=0; while [ $n -lt 30 ]; do read x <&3; \
                  seq $((n * 3000 + 1)) $((n * 3000 + 3000)); n=$((n + 1)); done; echo over >&2";
    let words = [
        &gate.volume("gate"),
        "--log-size=20Ki",
        "BUSYBOX",
        "--mount=volume=gate,target=/gate",
        "--",
        "-c",
        script,
    ];
    let uuid = life.detach(&words);
    let mut follower = life.call(&["logs", "--follow", &uuid]).start();
    for part in 1..=30 {
        gate.open();
        follower.until_it_says(&(part * 3000).to_string());
    }
    let expected: Vec<String> = (1..=90_000).map(|number| format!("{number}\n")).collect();
    follower
        .end()
        .exits(0)
        .says(&expected.concat())
        .complains("over\n");
    assert_eq!(sizes(&life, &uuid, "busybox").len(), 2);
    life.leaves_nothing();
}

#[test]
fn who_follows_sleeps_and_ends_with_the_pod() {
    require_root!();
    let life = Life::new();
    for options in [&[][..], &["--rm"]] {
        let uuid = life.waiting(options);
        let followers = [
            &["-f"][..],
            &["--follow", "--tail=5"],
            &["-f", "--timestamps"],
            &["-f", "--format=json"],
        ];
        let mut followers = followers.map(|options| {
            let words = [&["logs"], options, &[&uuid]].concat();
            life.call(&words).start()
        });
        for follower in &mut followers {
            follower.until("shows it", |follower| follower.said().contains("waiting"));
            sleeps(follower.pid());
        }
        life.run(&["stop", &uuid]).exits(0);
        for follower in followers {
            let ran = follower.end().exits(0).complains("");
            assert_eq!(ran.stdout.matches("waiting").count(), 1, "{}", ran.stdout);
        }
        life.leaves_nothing();
    }
}

#[test]
fn a_reader_that_goes_away_ends_who_follows_though_nothing_is_written() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&[]);
    let mut follower = Command::new(host::program())
        .arg("--dir")
        .arg(life.dir())
        .args(["logs", "-f", &uuid])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(follower.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "waiting\n");
    drop(reader);
    let waiter = std::thread::spawn(move || follower.wait_with_output().unwrap());
    until("it ends", || waiter.is_finished());
    let ended = waiter.join().unwrap();
    assert_eq!((ended.status.code(), ended.stderr), (Some(0), Vec::new()));
    assert_eq!(life.state(&uuid), "running");
    life.run(&["stop", &uuid]).exits(0);
    life.leaves_nothing();
}

#[test]
fn what_is_written_until_a_pod_is_killed_can_be_read() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&[]);
    let follower = life.call(&["logs", "-f", &uuid]).start();
    kill(life.pid(&uuid));
    follower.end().exits(0).says("waiting\n").complains("");
    assert_eq!(life.state(&uuid), "aborted");
    logs(&life, &uuid, &[], "waiting\n", "");
    life.leaves_nothing();
}

#[test]
fn what_is_damaged_hides_nothing_else() {
    require_root!();
    let life = Life::new();
    let uuid = life.detach(&["PROBE", "--", "--stdout", "x"]);
    life.run(&["status", "--wait", &uuid]).exits(0);
    let path = directory(&life, &uuid, "probe").join("log");
    let record = |number: usize, stream: &str, text: &str| {
        let length = text.len();
        format!("176408640{number}.000000000 {stream} {length}\n{text}")
    };
    let first = record(1, "out", "first\n");
    let second = record(2, "err", "second\n");
    let third = record(3, "out", "third\n");
    let half = &second[..second.len() - 4];
    let zeros = second.replacen("2.0", "\0\0\0", 1);
    let long = second.replacen('7', "70", 1);
    let not_third = third
        .replacen("third", "THIRD", 1)
        .replacen(" out", " OUT", 1);
    for (log, out, err) in [
        ([&first, &second, &third], "first\nthird\n", "second\n"),
        ([&first, &zeros, &third], "first\nthird\n", ""),
        ([&first, &half.to_owned(), &third], "first\nthird\n", "sec"),
        ([&first, &long, &third], "first\nthird\n", "second\n"),
        ([&first, &third, &half.to_owned()], "first\nthird\n", "sec"),
        ([&first, &second, &not_third], "first\n", "second\n"),
    ] {
        fs::write(&path, log.map(String::as_str).concat()).unwrap();
        logs(&life, &uuid, &[], out, err);
    }
    fs::write(&path, b"\0\0nothing of ours\n").unwrap();
    logs(&life, &uuid, &[], "", "");
    life.leaves_nothing();
}

#[test]
fn an_app_that_is_not_root_can_open_its_streams_once_more() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let script = "echo out > /dev/stdout; echo err > /dev/stderr; id -u";
    let user = ["--user=1000", "--group=1001", "--working-dir=/"];
    let words = [&["BUSYBOX"], &user[..], &["--", "-c", script]].concat();
    let uuid = life.detach(&words);
    life.run(&["status", "--wait", &uuid]).exits(0);
    logs(&life, &uuid, &[], "out\n1000\n", "err\n");
    life.run(&[&["run"], &words[..]].concat())
        .exits(0)
        .says("out\n1000\n")
        .complains("err\n");
    life.leaves_nothing();
}

#[test]
fn files_of_the_caller_stay_his() {
    use std::os::unix::fs::MetadataExt as _;
    require_root!();
    let life = Life::new();
    let gate = Gate::new(&life, "gate");
    let file = life.0.write("file", "");
    for path in [file, gate.0.join("gate")] {
        let to = File::options().append(true).open(&path).unwrap();
        let status = Command::new(host::program())
            .arg("--dir")
            .arg(life.dir())
            .arg("run")
            .arg(host::image("probe"))
            .args(["--user=1000", "--group=1001", "--", "--stdout", "text"])
            .stdin(Stdio::null())
            .stdout(to)
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(0));
        let owner = fs::metadata(&path).unwrap();
        assert_eq!((owner.uid(), owner.gid()), (0, 0), "{}", path.display());
    }
    life.leaves_nothing();
}

#[test]
fn where_the_log_is_kept_changes_the_plan_and_not_the_spec() {
    require_root!();
    const UUID: &str = "abcdef12-4b5a-4978-8796-a5b4c3d2e1f1";
    let life = Life::new();
    let line = |verb: &'static str, options: &[&'static str]| {
        let words = ["PROBE", "--", "--exit-code", "0"];
        [&[verb, "--uuid", UUID], options, &words].concat()
    };
    let spec = |options: &[&'static str]| {
        life.run(&line("run", options)).exits(0);
        life.run(&["status", "--wait", UUID]).exits(0);
        let path = life.dir().join("pods/exited").join(UUID).join("spec");
        let spec = fs::read_to_string(path).unwrap();
        life.run(&["rm", UUID]).exits(0);
        spec
    };
    let kept = spec(&["--keep"]);
    for options in [
        &["--detach"][..],
        &["--detach", "--log=none"],
        &["--detach", "--log-size=64Ki"],
    ] {
        claims::same(&format!("the spec of {options:?}"), &spec(options), &kept);
    }
    let shown = |options: &[&'static str]| -> Vec<String> {
        let plan = life.run(&line("plan", options)).exits(0).complains("");
        let words = |line: &str| line.split(" #").next().unwrap().trim_end().to_owned();
        plan.stdout.lines().map(words).collect()
    };
    let plain = shown(&[]);
    assert_eq!(shown(&["--detach", "--log=none"]), plain);
    let mut logged = shown(&["--detach", "--log-size=64Ki"]);
    let at = |line: &str| logged.iter().position(|each| each == line).unwrap();
    assert_eq!(at("stdio 0 103 105"), at("process") + 1);
    let is_added = |line: &mut String| !plain.contains(line);
    let added: Vec<_> = logged.extract_if(.., is_added).collect();
    assert_eq!(
        added,
        [
            "log 102 101 out 65536",
            "log 104 101 err 65536",
            "stdio 0 103 105"
        ]
    );
    assert_eq!(logged, plain);
    life.leaves_nothing();
}

#[test]
fn a_log_that_is_kept_nowhere_is_not() {
    require_root!();
    let life = Life::new();
    let uuid = life.detach(&[
        "--log=none",
        "PROBE",
        "--",
        "--stdout",
        "x",
        "--exit-code",
        "5",
    ]);
    life.run(&["status", "--wait", &uuid]).exits(5);
    assert_eq!(life.status(&uuid, "status").as_deref(), Some("5"));
    assert!(
        !life
            .dir()
            .join("pods/exited")
            .join(&uuid)
            .join("log")
            .exists()
    );
    life.leaves_nothing();
}
