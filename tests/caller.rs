//! What an app gets from its caller, and what a launcher does not take over.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::claims;
use crate::host::{self, Scratch, call, launcher};
use crate::life::Life;

/// Runs a launcher with words after `sh -c SCRIPT`.
fn under(script: &str, dir: &Path, words: &[&str]) -> host::Call {
    call(Path::new("/bin/sh"))
        .args(["-c", &format!("{script}; exec \"$0\" \"$@\"")])
        .arg(host::program())
        .arg("--dir")
        .arg(dir)
        .args(Life::words(words))
}

#[test]
fn what_the_caller_ignores_is_ignored_by_the_app_and_not_passed_on() {
    require_root!();
    let _ = image!("busybox");
    let scratch = Scratch::new();
    let dir = scratch.join("dir");
    let ignores = "trap '' HUP INT USR1 PIPE";
    let show = "exec grep SigIgn /proc/self/status";
    for options in [&[][..], &["-t"], &["--pipe-output"]] {
        let words = [&["run"], options, &["BUSYBOX", "--", "-c", show]].concat();
        let ran = under(ignores, &dir, &words).run().exits(0);
        // What is ignored here already, the shell ignores as well. SIGPIPE is
        // not among them: it depends on the language of a program; and the first
        // real-time signals are the C library's own.
        let ours = fs::read_to_string("/proc/self/status").unwrap();
        let ignored = |text: &str| {
            let set = text.lines().find_map(|line| line.strip_prefix("SigIgn:\t"));
            u64::from_str_radix(set.unwrap(), 16).unwrap() & 0x7fff_ffff
        };
        let expected = ignored(&ours) & !(1 << 12) | 0x203;
        assert_eq!(ignored(&ran.stdout), expected, "{options:?}");
    }
    // A pod that goes on without its caller is nobody's job.
    let words = ["run", "--detach", "--name=one", "BUSYBOX", "--", "-c", show];
    under(ignores, &dir, &words).run().exits(0);
    launcher(&dir)
        .args(["status", "--wait", "one"])
        .run()
        .exits(0);
    let log = launcher(&dir).args(["logs", "one"]).run().exits(0);
    log.says("SigIgn:\t0000000000000000\n");
    for options in [&[][..], &["--pipe-output"]] {
        let words = [
            &["run"],
            options,
            &["PROBE", "--", "--trap-exit", "10", "9"],
        ]
        .concat();
        let mut app = under(ignores, &dir, &words).start();
        app.until_it_says("waiting");
        // Signals are received in the order of their numbers.
        app.signal(Signal::USR1);
        app.signal(Signal::TERM);
        app.end().exits(143);
    }
}

#[test]
fn the_callers_soft_limits_are_the_apps_and_do_not_hinder_the_launcher() {
    require_root!();
    let _ = image!("busybox");
    let scratch = Scratch::new();
    // The image alone is larger.
    let limits = "ulimit -Sn 24; ulimit -Sf 8";
    let show =
        "grep -E '^Max (file size|open files)' /proc/self/limits | tr -s ' ' | cut -d' ' -f-4";
    for options in [&[][..], &["-t"], &["--pipe-output"]] {
        let words = [&["run"], options, &["BUSYBOX", "--", "-c", show]].concat();
        let dir = scratch.join(options.first().unwrap_or(&"plainly"));
        let ran = under(limits, &dir, &words).run().exits(0).complains("");
        let said = ran.stdout.replace('\r', "");
        claims::same("limits", &said, "Max file size 4096\nMax open files 24\n");
    }
    let dir = scratch.join("plainly");
    let script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done";
    let words = [
        "run",
        "--detach",
        "--name=one",
        "BUSYBOX",
        "--",
        "-c",
        script,
    ];
    under(limits, &dir, &words).run().exits(0);
    launcher(&dir)
        .args(["status", "--wait", "one"])
        .run()
        .exits(0);
    let log = launcher(&dir).args(["logs", "one"]).run().exits(0);
    let expected: String = (0..2000).map(|number| format!("line {number}\n")).collect();
    claims::same("the log", &log.stdout, &expected);
    // A hard limit cannot be raised.
    let image = host::image("busybox").display().to_string();
    for title in ["fetch", "run"] {
        let ran = under("ulimit -f 0", &scratch.join(title), &[title, &image]).run();
        assert!(ran.exited().is_some_and(|status| status > 0), "{ran:?}");
        assert!(
            ran.stderr.contains("File too large\nhint: `ulimit -f`"),
            "{ran:?}"
        );
    }
}
