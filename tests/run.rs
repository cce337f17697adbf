//! The main job: an app's streams, status, arguments and signals, and whether
//! real userlands work.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::{Pid, Signal};

use crate::aci::{Aci, running};
use crate::claims;
use crate::host::{self, Scratch, call, launcher, pod, probed};

// --- what must not remain, and what must not happen ---

#[test]
fn nothing_but_the_image_is_left_behind() {
    require_root!();
    let scratch = Scratch::new();
    let dir = scratch.join("dir");
    let probe = host::image("probe");
    pod(&dir, &probe, &["--write-file", "/new", "text"])
        .run()
        .exits(0);
    assert_only_images(&dir, 1);
    pod(&dir, &probe, &["--exit-code", "3"]).run().exits(3);
    pod(&dir, &probe, &["--kill", "9"]).run().exits(137);
    assert_only_images(&dir, 1);
    // An app that cannot be started.
    let broken = Aci::new(&running(&["/no/such"])).bytes();
    let broken = scratch.write("broken.aci", broken);
    pod(&dir, &broken, &[]).run().exits(127);
    assert_only_images(&dir, 2);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(
        !mounts.contains(scratch.path().to_str().unwrap()),
        "{mounts}"
    );
}

#[test]
fn an_apps_changes_do_not_reach_the_image() {
    require_root!();
    for options in [&[][..], &["--no-overlay"]] {
        let scratch = Scratch::new();
        let run = |words: &[&str]| {
            launcher(&scratch.join("dir"))
                .arg("run")
                .args(options)
                .arg(host::image("probe"))
                .arg("--")
                .args(words)
                .run()
                .exits(0)
                .complains("")
        };
        run(&["--write-file", "/new", "text", "--read-file", "/new"]).says("write /new: ok\ntext");
        run(&["--read-file", "/new"]).says("read /new: ENOENT\n");
    }
}

#[test]
fn a_pod_cannot_be_run_under_the_uuid_of_a_running_one() {
    require_root!();
    const UUID: &str = "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0";
    let scratch = Scratch::new();
    let run = |words: &[&str]| {
        launcher(&scratch.join("dir"))
            .args(["run", "--uuid", UUID])
            .arg(host::image("probe"))
            .arg("--")
            .args(words)
    };
    let mut first = run(&["--trap-exit", "15", "0"]).start();
    first.until_it_says("waiting");
    run(&[])
        .run()
        .exits(125)
        .says("")
        .complains_as("a pod cannot be run under the uuid of a running one");
    first.signal(Signal::TERM);
    first.end().exits(0);
    run(&["--stdout", "again"]).run().exits(0).says("again\n");
}

// --- status ---

#[test]
fn the_exit_status_is_the_apps() {
    require_root!();
    let scratch = Scratch::new();
    for code in [0, 1, 2, 42, 125, 126, 127, 128, 255] {
        let words = ["--exit-code", &code.to_string()];
        pod(&scratch.join("dir"), &host::image("probe"), &words)
            .run()
            .exits(code)
            .complains("");
    }
}

#[test]
fn a_signal_that_ends_the_app_shows_as_128_and_its_number() {
    require_root!();
    let scratch = Scratch::new();
    for signal in [1, 6, 9, 11, 15] {
        let words = ["--kill", &signal.to_string()];
        pod(&scratch.join("dir"), &host::image("probe"), &words)
            .run()
            .exits(128 + signal)
            .complains("");
    }
}

// --- arguments, streams, signals ---

#[test]
fn arguments_arrive_as_they_were_given() {
    require_root!();
    let scratch = Scratch::new();
    let words = [
        "a b",
        "",
        "*",
        "--dir",
        "--",
        "ü",
        "$HOME",
        "'",
        "line\nbreak",
    ];
    let said: String = words.map(|word| format!("You said: {word}\n")).concat();
    let ran = pod(&scratch.join("dir"), &host::image("hello"), &words).run();
    let (first, rest) = ran.stdout.split_once('\n').unwrap();
    assert!(first.starts_with("Hello from hello, process "), "{first}");
    claims::same("what hello heard", rest, &said);
}

#[test]
fn standard_input_arrives_whole() {
    require_root!();
    let scratch = Scratch::new();
    let text = "All work and no play makes jack a dull boy.\n".repeat(30_000);
    let ran = pod(&scratch.join("dir"), &host::image("probe"), &["--stdin"])
        .input(text.as_str())
        .run()
        .exits(0)
        .complains("");
    assert!(ran.stdout == text, "{} bytes came back", ran.stdout.len());
}

#[test]
fn the_apps_streams_are_kept_apart_and_nothing_is_added() {
    require_root!();
    let scratch = Scratch::new();
    let words = ["--stdout", "result", "--stderr", "talk"];
    pod(&scratch.join("dir"), &host::image("probe"), &words)
        .run()
        .exits(0)
        .says("result\n")
        .complains("talk\n");
}

#[test]
fn the_ancestors_options_say_what_the_caller_sees() {
    require_root!();
    let scratch = Scratch::new();
    let dir = scratch.join("dir");
    let probe = host::image("probe");
    let run = |options: &[&str], words: &[&str]| {
        let call = launcher(&dir).arg("run").args(options).arg(&probe);
        call.arg("--").args(words).input("typed").run()
    };
    let words = [
        "--stdin",
        "--stdout",
        "x",
        "--stderr",
        "y",
        "--exit-code",
        "5",
    ];
    run(&["-stdout"], &words)
        .exits(5)
        .says("typedx\n")
        .complains("--- 8< ---\ny\n");
    run(&["-wait"], &words).exits(5).says("").complains("");
    run(&["-wait", "-stdout"], &words)
        .exits(5)
        .says("typedx\n")
        .complains("--- 8< ---\ny\n");
    // What is Nose Cone's to say is said all the same.
    let broken = scratch.write("broken.aci", Aci::new(&running(&["/no/such"])).bytes());
    let ran = launcher(&dir).args(["run", "-wait"]).arg(&broken).run();
    ran.exits(127)
        .complains_as("the ancestors options say what the caller sees");
    assert_only_images(&dir, 2);
}

#[test]
fn signals_reach_the_app() {
    require_root!();
    let scratch = Scratch::new();
    let signals = [
        Signal::INT,
        Signal::TERM,
        Signal::HUP,
        Signal::QUIT,
        Signal::USR1,
    ];
    for (code, signal) in (40..).zip(signals) {
        let words = [
            "--trap-exit",
            &signal.as_raw().to_string(),
            &code.to_string(),
        ];
        let mut app = pod(&scratch.join("dir"), &host::image("probe"), &words).start();
        app.until_it_says("waiting");
        app.signal(signal);
        app.end().exits(code).says("waiting\n").complains("");
    }
}

#[test]
fn a_signal_that_the_app_does_not_handle_ends_it() {
    require_root!();
    let scratch = Scratch::new();
    let words = ["--stdout", "up", "--sleep", "600"];
    for options in [&[][..], &["--pipe-output"]] {
        let start = || {
            let call = launcher(&scratch.join("dir")).arg("run").args(options);
            let call = call.arg(host::image("probe")).arg("--").args(words);
            let mut app = call.start();
            app.until_it_says("up");
            app
        };
        let app = start();
        app.signal(Signal::TERM);
        app.end().exits(143).complains("");
        // A shell must see these: they end its loops.
        for signal in [Signal::INT, Signal::QUIT] {
            let app = start();
            app.signal(signal);
            app.end().dies_of(signal).complains("");
        }
    }
    assert_only_images(&scratch.join("dir"), 1);
}

#[test]
fn a_loop_of_a_shell_ends_with_the_app_that_was_interrupted() {
    require_root!();
    let scratch = Scratch::new();
    // Each time, Ctrl-C reaches all processes of the job.
    let script = "trap 'exit 3' EXIT; while :; do \"$@\"; echo again; done";
    let mut shell = call(Path::new("setsid"))
        .args(["bash", "-c", script, "bash"])
        .arg(host::program())
        .arg("--dir")
        .arg(scratch.join("dir"))
        .arg("run")
        .arg(host::image("probe"))
        .args(["--", "--stdout", "up", "--sleep", "600"])
        .start();
    shell.until_it_says("up");
    let group = Pid::from_raw(i32::try_from(shell.pid()).unwrap()).unwrap();
    rustix::process::kill_process_group(group, Signal::INT).unwrap();
    let ran = shell.end();
    assert_eq!(ran.stdout, "up\n");
}

#[test]
fn orphans_are_reaped() {
    require_root!();
    claims::same(
        "the report",
        &probed(&["--spawn-orphans", "500", "--wait-no-zombies"]),
        "orphans 500\nzombies 0\n",
    );
}

#[test]
fn the_init_is_an_init_without_the_launcher_too() {
    call(&host::stage1())
        .args(["--", "sh", "-c", "echo here; exit 7"])
        .run()
        .exits(7)
        .says("here\n")
        .complains("");
}

// --- what the app finds ---

#[test]
fn the_environment_is_the_images_and_ours_and_nothing_else() {
    require_root!();
    let scratch = Scratch::new();
    let words = ["--report-only", "environment"];
    let ran = pod(&scratch.join("dir"), &host::image("probe"), &words)
        .env("SECRET", "of the host")
        .env("PROBE", "of the host")
        .run()
        .exits(0);
    let said = claims::without_token(&ran.stdout);
    let mut lines: Vec<_> = said.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "environment AC_APP_NAME=probe",
            "environment AC_METADATA_URL=http://127.0.0.1:18112/TOKEN",
            "environment HOME=/",
            "environment PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "environment PROBE=from the image",
            "environment container=nosecone",
        ]
    );
}

#[test]
fn the_host_name_is_the_uuid_or_the_one_asked_for() {
    require_root!();
    const UUID: &str = "11111111-2222-4333-8444-555555555555";
    let scratch = Scratch::new();
    for (options, name) in [(["--uuid", UUID], UUID), (["--hostname", "web-1"], "web-1")] {
        launcher(&scratch.join("dir"))
            .arg("run")
            .args(options)
            .arg(host::image("probe"))
            .args(["--", "--report-only", "hostname"])
            .run()
            .exits(0)
            .says(&format!("hostname {name}\n"));
    }
}

#[test]
fn the_app_starts_with_plain_settings() {
    require_root!();
    for (field, expected) in [
        ("directory", "directory /\n"),
        ("umask", "umask 0022\n"),
        ("uid", "uid 0,0,0,0\n"),
        ("gid", "gid 0,0,0,0\n"),
        ("groups", "groups \n"),
        ("blocked-signals", "blocked-signals 0000000000000000\n"),
        ("threads", "threads 1\n"),
    ] {
        claims::same(field, &probed(&["--report-only", field]), expected);
    }
}

#[test]
fn the_standard_file_systems_and_devices_are_there() {
    require_root!();
    let mounts = probed(&["--report-only", "mount"]);
    for (target, kind) in [
        ("/", "overlay"),
        ("/proc", "proc"),
        ("/sys", "sysfs"),
        ("/dev", "tmpfs"),
        ("/dev/pts", "devpts"),
        ("/dev/shm", "tmpfs"),
        ("/tmp", "tmpfs"),
    ] {
        let line = format!("mount {target} {kind} ");
        assert!(
            mounts.lines().any(|mount| mount.starts_with(&line)),
            "{line}\n{mounts}"
        );
    }
    let devices = probed(&["--list", "/dev"]);
    for name in [
        "console", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
        "stdout", "tty", "urandom", "zero",
    ] {
        claims::has_line(&devices, name);
    }
    claims::same(
        "what the devices do",
        &probed(&[
            "--read-file",
            "/dev/null",
            "--write-file",
            "/dev/null",
            "x",
            "--write-file",
            "/dev/full",
            "x",
        ]),
        "write /dev/null: ok\nwrite /dev/full: ENOSPC\n",
    );
    claims::same(
        "loopback",
        &probed(&["--read-file", "/sys/class/net/lo/flags"]),
        // IFF_UP and IFF_LOOPBACK of netdevice(7).
        "0x9\n",
    );
}

// --- the store ---

#[test]
fn a_second_run_uses_what_the_first_unpacked() {
    require_root!();
    let scratch = Scratch::new();
    let dir = scratch.join("dir");
    let run = || {
        pod(&dir, &host::image("hello"), &[]).run().exits(0);
        let layer = fs::read_dir(dir.join("layers")).unwrap().next();
        let rootfs = layer.unwrap().unwrap().path().join("rootfs/hello");
        fs::metadata(rootfs).unwrap().ino()
    };
    assert_eq!(run(), run());
    assert_only_images(&dir, 1);
}

#[test]
fn a_file_that_became_another_image_is_noticed() {
    require_root!();
    let scratch = Scratch::new();
    let dir = scratch.join("dir");
    let file = scratch.write("app.aci", fs::read(host::image("hello")).unwrap());
    let said = |words: &[&str]| pod(&dir, &file, words).run().exits(0).stdout;
    assert!(said(&[]).starts_with("Hello from hello"));
    fs::write(&file, fs::read(host::image("probe")).unwrap()).unwrap();
    assert_eq!(said(&["--stdout", "probe"]), "probe\n");
    assert_only_images(&dir, 2);
}

#[test]
fn every_compression_of_the_specification_is_read() {
    require_root!();
    let scratch = Scratch::new();
    let hello = host::image("hello");
    let gzip = tool!("gzip");
    let mut plain = call(Path::new("sh"));
    plain = plain.arg("-c").arg("\"$1\" -dc < \"$2\" > \"$3\"");
    let tar = scratch.join("tar.aci");
    plain
        .arg("sh")
        .arg(gzip)
        .arg(hello)
        .arg(&tar)
        .run()
        .exits(0);
    for compressor in [tool!("xz"), tool!("bzip2")] {
        let file = scratch.join("compressed.aci");
        call(Path::new("sh"))
            .args(["-c", "\"$1\" -c \"$2\" > \"$3\"", "sh"])
            .arg(compressor)
            .arg(&tar)
            .arg(&file)
            .run()
            .exits(0);
        pod(&scratch.join("dir"), &file, &[]).run().exits(0);
    }
    pod(&scratch.join("dir"), &tar, &[]).run().exits(0);
    // The identity of an image does not depend on its compression.
    assert_only_images(&scratch.join("dir"), 1);
}

// --- real userlands ---

#[test]
fn an_image_runs_on_the_one_that_it_depends_on() {
    require_root!();
    let scratch = Scratch::new();
    let dir = scratch.join("dir");
    // It has no app, but then it is in the store.
    pod(&dir, &image!("nosecone-base"), &[]).run().exits(125);
    let example = host::image("nosecone-test");
    for options in [&[][..], &["--no-overlay"]] {
        let ran = launcher(&dir)
            .args(["run", "--insecure-options=image"])
            .args(options)
            .arg(&example)
            .run()
            .exits(0)
            .complains("");
        assert!(ran.stdout.starts_with("Hello World!\n"), "{}", ran.stdout);
        for line in ["uid=500 gid=500", "GREETING=Hello World!"] {
            claims::has_line(&ran.stdout, line);
        }
    }
    assert_only_images(&dir, 2);
}

#[test]
fn a_shell_of_busybox_runs_pipelines() {
    require_root!();
    let scratch = Scratch::new();
    let script = "whoami; pwd; echo one two three | tr a-z A-Z | wc -w; \
                  find /etc -name passwd | xargs head -n 1 | cut -d: -f1; \
                  test -t 0 || echo no terminal; exit 7";
    pod(&scratch.join("dir"), &image!("busybox"), &["-c", script])
        .run()
        .exits(7)
        .says("root\n/root\n3\nroot\nno terminal\n")
        .complains("");
}

#[test]
fn a_shell_of_busybox_reads_its_script_from_standard_input() {
    require_root!();
    let scratch = Scratch::new();
    pod(&scratch.join("dir"), &image!("busybox"), &[])
        .input("for i in 1 2 3; do echo $i; done | sort -r\necho $0 done >&2\n")
        .run()
        .exits(0)
        .says("3\n2\n1\n")
        .complains("sh done\n");
}

#[test]
fn a_shell_of_debian_runs_pipelines_as_an_ordinary_user() {
    require_root!();
    let scratch = Scratch::new();
    let script = "set -o pipefail; id -un; id -G; pwd; \
                  seq 10 | sort -rn | head -n 1; perl -e 'print 6 * 7, \"\\n\"'; \
                  dpkg-query -W -f '${Status}\\n' bash; \
                  diff <(echo a) <(echo b) | wc -l; \
                  : > /etc/new || echo cannot write; false | true";
    let ran = pod(&scratch.join("dir"), &image!("debian"), &["-c", script])
        .run()
        .exits(1)
        .says("nobody\n65534 100\n/usr/share\n10\n42\ninstall ok installed\n4\ncannot write\n");
    assert!(
        ran.stderr.contains("/etc/new: Permission denied"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_root_that_is_no_mount_is_told_and_one_that_was_made_a_mount_will_do() {
    require_root!();
    let unshare = tool!("unshare");
    let scratch = Scratch::new();
    let jail = scratch.join("jail");
    // What is on the host, except that the root is a directory.
    let chroot = |prepare: &str| {
        let script = format!(
            "mkdir -p {jail}; cd {jail} && mkdir -p proc sys dev run tmp store && {prepare} \
             for name in usr bin lib lib64 etc; do [ ! -e /$name ] || {{ mkdir -p $name; mount --rbind /$name $name; }}; done
             mount --rbind /proc proc; mount --rbind /sys sys; mount --rbind /dev dev
             cp {launcher} launcher; cp {image} image.aci
             exec chroot . /launcher --dir /store run /image.aci -- --stdout inside",
            jail = jail.display(),
            launcher = host::program().display(),
            image = host::image("probe").display(),
        );
        call(&unshare).args(["--mount", "sh", "-c", &script]).run()
    };
    chroot("")
        .exits(125)
        .says("")
        .complains_as("a root that is no mount");
    let ran = chroot("mount --rbind . . && cd . && cd $PWD &&");
    ran.exits(0).says("inside\n").complains("");
}

/// Fails unless so many images are all that is in the directory.
#[track_caller]
fn assert_only_images(dir: &Path, count: usize) {
    let mut images = Vec::new();
    let mut others = Vec::new();
    for (name, path) in entries(dir) {
        match name.as_str() {
            "images" => images = entries(&path),
            "names" => {}
            // Each image has one.
            "layers" => assert_eq!(entries(&path).len(), count),
            "pods" => others.extend(
                entries(&path)
                    .into_iter()
                    .flat_map(|(_, state)| entries(&state)),
            ),
            _ if path.is_dir() => others.extend(entries(&path)),
            _ => {}
        }
    }
    // A file that is locked or remembers what was stored is no leftover.
    others.retain(|(name, _)| !name.starts_with('.'));
    assert!(others.is_empty(), "left behind: {others:?}");
    assert_eq!(images.len(), count, "{images:?}");
}

fn entries(dir: &Path) -> Vec<(String, std::path::PathBuf)> {
    let named = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, entry.path())
    };
    let entries = fs::read_dir(dir).unwrap();
    let mut entries: Vec<_> = entries.map(|entry| named(entry.unwrap())).collect();
    entries.sort();
    entries
}
