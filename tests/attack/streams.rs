//! What is open, and to whom.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::case;
use crate::aci::{Aci, manifest};
use crate::host::{self, Scratch, call, launcher, pod};
use crate::life::Life;
use crate::seat::Seat;

// An image whose program is the link to whatever executes it, so that the runner
// runs itself inside, where its own file can be opened (CVE-2019-5736).
#[test]
fn the_launcher_cannot_be_reached_through_proc() {
    require_root!();
    case(
        "R1a",
        "no program of the host can be written to through /proc/PID/exe",
        || {
            let scratch = Scratch::new();
            let probe = fs::read(host::probe()).unwrap();
            let before = fs::read(host::program()).unwrap();
            // What runs is whatever executes this link (CVE-2019-5736).
            let app = r#"{"exec": ["/run"], "user": "0", "group": "0"}"#;
            let image = Aci::new(&manifest(app))
                .file("rootfs/probe", 0o755, probe)
                .link("rootfs/run", "/proc/self/exe")
                .bytes();
            let image = scratch.write("exe.aci", image);
            let ran = pod(
                &scratch.join("dir"),
                &image,
                &["--open-to-write", "/proc/1/exe"],
            )
            .run();
            assert!(!ran.stdout.contains("ok"), "{}", ran.stdout);
            assert!(
                before == fs::read(host::program()).unwrap(),
                "the launcher was changed"
            );
        },
    );
}

// A descriptor of a directory of the host that is left open (CVE-2024-21626).
#[test]
fn inherits_no_descriptors() {
    require_root!();
    case(
        "R9a",
        "an app has the descriptors 0, 1 and 2 and no others",
        || {
            let scratch = Scratch::new();
            // A shell that leaves files open, among them a directory (CVE-2024-21626).
            let script = "exec 3</etc/passwd 4<. 9>\"$1/log\"; shift; exec \"$@\"";
            let ran = call(Path::new("sh"))
                .args(["-c", script, "sh"])
                .arg(scratch.path())
                .arg(host::program())
                .arg("--dir")
                .arg(scratch.join("dir"))
                .arg("run")
                .arg(host::image("probe"))
                .args(["--", "--report-only", "fd"])
                .run()
                .exits(0);
            let numbers: Vec<_> = ran
                .stdout
                .lines()
                .filter_map(|line| line.split(' ').nth(1))
                .collect();
            assert_eq!(numbers, ["0", "1", "2"], "{}", ran.stdout);
        },
    );
}

// A working directory that is a descriptor of the runner's, by way of /proc
// (CVE-2024-21626).
#[test]
fn a_working_directory_that_is_a_link_leads_nowhere_else() {
    require_root!();
    case(
        "R9b",
        "no working directory of an image is outside of it",
        || {
            let scratch = Scratch::new();
            for directory in [
                "/proc/self/fd/3",
                "/proc/self/fd/9",
                "/proc/1/root",
                "/way-out",
            ] {
                let probe = fs::read(host::probe()).unwrap();
                let app = format!(
                    r#"{{"exec": ["/probe"], "user": "0", "group": "0", "workingDirectory": "{directory}"}}"#
                );
                let image = Aci::new(&manifest(&app))
                    .file("rootfs/probe", 0o755, probe)
                    .link("rootfs/way-out", "../../../../../..")
                    .bytes();
                let image = scratch.write("workdir.aci", image);
                let words = ["--report-only", "directory"];
                let ran = launcher(&scratch.join("dir"))
                    .arg("run")
                    .arg(&image)
                    .arg("--")
                    .args(words)
                    .run();
                assert!(
                    ran.stdout.is_empty() || ran.stdout == "directory /\n",
                    "{directory}: {}",
                    ran.stdout
                );
            }
        },
    );
}

// Programs with the setuid bit in images, which any user of the host could execute
// where directories above them can be searched (CVE-2021-41091).
#[test]
fn nobody_else_can_look_into_what_is_stored() {
    require_root!();
    case("R22", "nobody but its owner comes near the store", || {
        let scratch = Scratch::new();
        let dir = scratch.join("dir");
        pod(&dir, &host::image("hello"), &[]).run().exits(0);
        let ran = call(Path::new("ls"))
            .user(1000)
            .arg(dir.join("images"))
            .run();
        assert!(
            ran.stderr.contains("Permission denied"),
            "{}{}",
            ran.stdout,
            ran.stderr
        );
    });
}

// An app that types into the terminal of its caller, who then executes it: with
// TIOCSTI (CVE-2017-5226), with TIOCLINUX, and with higher bits that a filter looks
// at and the kernel does not (CVE-2019-10063).
#[test]
fn no_app_types_into_the_terminal_of_its_caller() {
    require_root!();
    case(
        "R16",
        "no app types into the terminal of its caller",
        || {
            let scratch = Scratch::new();
            let (dir, image) = (scratch.join("dir"), host::image("probe"));
            let (dir, image) = (dir.display().to_string(), image.display().to_string());
            let tries = [
                "--try",
                "tiocsti",
                "--try",
                "tiocsti-wide",
                "--try",
                "tioclinux",
            ];
            for options in [&[][..], &["--caps-retain=CAP_SYS_ADMIN,CAP_SYS_TTY_CONFIG"]] {
                // Its standard input is the terminal of its caller.
                let words = [&["--dir", &dir, "run", &image], options, &["--"], &tries].concat();
                let (status, shown) = Seat::take(&host::program(), &words).end();
                assert_eq!(status, Some(0), "{shown}");
                for name in ["tiocsti", "tiocsti-wide", "tioclinux"] {
                    assert!(shown.contains(&format!("try {name}: EPERM\r\n")), "{shown}");
                }
            }
        },
    );
}

// Programs with the setuid bit, which users start with descriptors and variables
// of their own (CVE-2016-8659, CVE-2020-5291): we ship none, and none of ours works.
#[test]
fn no_program_of_ours_works_with_the_rights_of_somebody_else() {
    require_root!();
    case(
        "R17",
        "no program of ours works with the rights of somebody else",
        || {
            for program in [host::program(), host::stage1()] {
                let mode = fs::metadata(&program).unwrap().mode();
                assert_eq!(mode & 0o6000, 0, "{}", program.display());
            }
            let scratch = Scratch::new();
            let copy = host::public_copy(&scratch, &host::stage1(), "stage1-init");
            for mode in [0o4755, 0o2755] {
                fs::set_permissions(&copy, fs::Permissions::from_mode(mode)).unwrap();
                let ran = call(&copy)
                    .user(1000)
                    .args(["--", "/bin/echo", "ran"])
                    .run();
                ran.exits(125).says("");
            }
        },
    );
}

// Sockets in the host's network that a pod, or any user, can connect to: abstract
// ones have no modes (CVE-2020-15257), and 127.0.0.1 is everybody's
// (CVE-2020-8558).
#[test]
fn no_socket_of_a_pod_is_in_the_hosts_network() {
    require_root!();
    case("R21", "no socket of a pod is in the host's network", || {
        let _ = image!("busybox");
        let life = Life::new();
        // So that the metadata service runs, too.
        let script = "wget -q -O - $AC_METADATA_URL/acMetadata/v1/pod/uuid && echo up; sleep 600";
        let uuid = life.detach(&["BUSYBOX", "--", "-c", script]);
        life.until_it_logs(&uuid, &format!("{uuid}up\n"));
        let pid = u32::try_from(life.pid(&uuid).as_raw_nonzero().get()).unwrap();
        let mut sockets = Vec::new();
        let mut family = vec![pid];
        while let Some(pid) = family.pop() {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
            let children = children.unwrap_or_default();
            family.extend(
                children
                    .split_whitespace()
                    .map(|pid| pid.parse::<u32>().unwrap()),
            );
            for name in host::names(Path::new(&format!("/proc/{pid}/fd"))) {
                let link = fs::read_link(format!("/proc/{pid}/fd/{name}")).unwrap_or_default();
                let link = link.display().to_string();
                sockets.extend(link.strip_prefix("socket:[").map(|id| id.replace(']', "")));
            }
        }
        assert!(!sockets.is_empty(), "the service has a socket");
        for table in [
            "unix", "tcp", "tcp6", "udp", "udp6", "raw", "packet", "netlink",
        ] {
            let table = fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
            for line in table.lines() {
                let is_it = |word: &str| sockets.iter().any(|socket| socket == word);
                assert!(!line.split_whitespace().any(is_it), "{line}");
            }
        }
        life.run(&["kill", &uuid]).exits(0);
        life.leaves_nothing();
    });
}

/// Through /proc/self/fd an app opens once more what its streams lead to: of a
/// file of the caller's, also what was in it before.
#[test]
fn an_app_behind_pipes_cannot_open_its_callers_files_again() {
    require_root!();
    let _ = image!("busybox");
    case(
        "H12f",
        "with --pipe-output no file of the caller's is open",
        || {
            let scratch = Scratch::new();
            let dir = scratch.join("dir");
            let script =
                "for it in 1 2; do readlink /proc/$$/fd/$it | sed 's/:.*//'; done; echo error >&2
            true > /proc/self/fd/1; exit 7";
            let run = |options: &str| {
                let out = scratch.write("out", "before\n");
                let line = format!(
                    "exec \"$0\" \"$@\" >>{} 2>>{}",
                    out.display(),
                    scratch.join("err").display()
                );
                let _ = fs::remove_file(scratch.join("err"));
                call(Path::new("/bin/sh"))
                    .args(["-c", &line])
                    .arg(host::program())
                    .arg("--dir")
                    .arg(&dir)
                    .arg("run")
                    .args(options.split_whitespace())
                    .arg(host::image("busybox"))
                    .args(["--", "-c", script])
                    .run()
                    .exits(7);
                let read = |name| fs::read_to_string(scratch.join(name)).unwrap();
                (read("out"), read("err"))
            };
            let piped = ("before\npipe\npipe\n".to_owned(), "error\n".to_owned());
            assert_eq!(run("--pipe-output"), piped);
            // What it is about: without the option, what was there is gone.
            assert!(!run("").0.contains("before"));
        },
    );
}

/// It is as if nothing were between: status, signals, readers who go away.
#[test]
fn pipes_before_the_streams_pass_on_signals() {
    require_root!();
    let scratch = Scratch::new();
    let mut pod = launcher(&scratch.join("dir"))
        .args(["run", "--pipe-output"])
        .arg(host::image("probe"))
        .args(["--", "--trap-exit", "15", "9"])
        .start();
    pod.until_it_says("waiting");
    pod.signal(rustix::process::Signal::TERM);
    pod.end().exits(9).says("waiting\n").complains("");
}
