//! Files that are written for the caller; signals.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::fs::Mode;

use super::super::case;
use super::USER;
use crate::golden::Cases;
use crate::host::{Scratch, image, launcher};

/// A link in a directory that others can write to leads to a file of root's
/// (CWE-59): a UUID over /etc/shadow locks everybody out.
#[test]
fn a_uuid_is_written_over_no_file_that_was_not_made_for_it() {
    require_root!();
    case(
        "H12c",
        "--uuid-file-save follows no link and overwrites no file",
        || {
            let scratch = Scratch::new();
            let dir = scratch.join("dir");
            let path = scratch.join("uuid");
            let run = || {
                let words = ["prepare", "--uuid-file-save"];
                launcher(&dir)
                    .args(words)
                    .arg(&path)
                    .arg(image("probe"))
                    .run()
            };
            let victim = scratch.write("victim", "precious\n");
            let old = "11111111-2222-4333-8444-555555555555\n";
            let uuid = scratch.write("another", old);
            let empty = scratch.write("empty", "");
            let others = scratch.write("others", old);
            std::os::unix::fs::chown(&others, Some(USER), None).unwrap();
            let mut cases = Cases::default();
            for what in [
                "link victim",
                "link another",
                "link empty",
                "link nothing",
                "hard another",
                "hard empty",
                "move others",
                "dir",
                "fifo",
                "hard victim",
                "copy victim",
            ] {
                let (how, file) = what.split_once(' ').unwrap_or((what, ""));
                let file = scratch.join(file);
                match how {
                    "link" => symlink(&file, &path).unwrap(),
                    "hard" => fs::hard_link(&file, &path).unwrap(),
                    "move" => fs::rename(&file, &path).unwrap(),
                    "copy" => drop(fs::copy(&file, &path).unwrap()),
                    "dir" => fs::create_dir(&path).unwrap(),
                    _ => {
                        let here = rustix::fs::CWD;
                        rustix::fs::mkfifoat(here, &path, Mode::RUSR | Mode::WUSR).unwrap();
                    }
                }
                let ran = run().exits(1).says("").naming("FILE", &path);
                cases.add(what, &ran.told());
                assert_eq!(fs::read_to_string(&victim).unwrap(), "precious\n", "{what}");
                assert_eq!(fs::read_to_string(&uuid).unwrap(), old, "{what}");
                assert_eq!(fs::read_to_string(&empty).unwrap(), "", "{what}");
                assert!(!scratch.join("nothing").exists());
                let path = scratch.join("uuid");
                let removed = match path.is_dir() && !path.is_symlink() {
                    true => fs::remove_dir(&path),
                    false => fs::remove_file(&path),
                };
                removed.unwrap();
            }
            cases.as_written("a file that was not made for it");
            // Who uses it time and again has a file with an earlier UUID there.
            for before in ["", old, "11111111-2222-4333-8444-555555555555"] {
                fs::write(&path, before).unwrap();
                let ran = run().exits(0).complains("");
                assert_eq!(fs::read_to_string(&path).unwrap(), ran.stdout);
            }
        },
    );
}

/// SIGSTOP cannot be caught; a stopped process hears SIGTERM when it goes on
/// (signal(7)), and until then `stop` could only wait and kill.
#[test]
fn a_stopped_app_is_asked_to_end_and_can() {
    require_root!();
    case("H12a", "stop lets a stopped app go on, and end", || {
        let scratch = Scratch::new();
        let dir = scratch.join("dir");
        for stopped in ["app", "init"] {
            let words = ["run", "--detach"];
            let probe = ["--", "--trap-exit", "15", "7"];
            let ran = launcher(&dir)
                .args(words)
                .arg(image("probe"))
                .args(probe)
                .run();
            let uuid = ran.exits(0).stdout.trim_end().to_owned();
            let status = |key: &str| -> String {
                let said = launcher(&dir).args(["status", &uuid]).run().exits(0).stdout;
                let found = said.lines().find_map(|line| line.strip_prefix(key));
                found.unwrap_or_default().to_owned()
            };
            while launcher(&dir).args(["logs", &uuid]).run().stdout != "waiting\n" {}
            let key = if stopped == "app" {
                "app-probe.pid="
            } else {
                "pid="
            };
            let pid = status(key);
            let number = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
            rustix::process::kill_process(number, rustix::process::Signal::STOP).unwrap();
            let stat = format!("/proc/{pid}/stat");
            while !fs::read_to_string(&stat).unwrap().contains(") T ") {}
            let ran = launcher(&dir).args(["stop", "--time=100s", &uuid]).run();
            ran.exits(0).says(&format!("stopped {uuid}\n"));
            assert_eq!(status("app-probe="), "7", "{stopped}");
        }
    });
}
