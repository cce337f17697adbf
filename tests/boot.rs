//! Pods that run from boot to shutdown: the examples in `launcher/docs/boot`,
//! below the inits that they are for, as far as this host has them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::host::{self, Scratch, call, copy_program, launcher};

/// What the examples run.
const COMMAND: &str = "/usr/bin/launcher run --name=web --pull-policy=never example.com/web";

/// An app that says when it has started, and when it is asked to stop.
const APP: &str = "trap 'echo stopped; exit 3' TERM; echo started; \
                   while true; do /bin/busybox sleep 600 & wait; done";

fn example(name: &str) -> PathBuf {
    host::project().join("launcher/docs/boot").join(name)
}

/// An example that runs the launcher of this test, with a store of its own.
fn here(name: &str, store: &Path) -> String {
    let text = fs::read_to_string(example(name)).unwrap();
    let program = host::program();
    let launcher = format!("{} --dir={}", program.display(), store.display());
    text.replace("/usr/bin/launcher", &launcher)
}

#[test]
fn all_examples_run_the_same_command() {
    for name in ["inittab", "web.service", "web.procd"] {
        let text = fs::read_to_string(example(name)).unwrap();
        assert!(text.contains(COMMAND), "{name}: {text}");
    }
}

#[test]
fn the_init_of_busybox_starts_restarts_and_stops_a_pod() {
    require_root!();
    let busybox = tool!("busybox");
    let unshare = tool!("unshare");
    let scratch = Scratch::new();
    let store = scratch.join("dir");
    fs::create_dir_all(scratch.join("root/bin")).unwrap();
    copy_program(&busybox, &scratch.join("root/bin/busybox"));
    let build = ["image", "build", "--name=example.com/web", "root", "--"];
    launcher(&store)
        .args(build)
        .args(["/bin/busybox", "sh", "-c", APP])
        .dir(scratch.path())
        .run()
        .exits(0);
    let inittab = scratch.write("inittab", here("inittab", &store));
    let script = format!(
        "mount -t tmpfs none /etc && cp {} /etc/inittab && exec {} init",
        inittab.display(),
        busybox.display()
    );
    let mut init = call(&unshare)
        .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["sh", "-c", &script])
        .within(Duration::from_secs(60))
        .start();
    init.until_it_says("started");
    // It is killed, and comes back.
    let app = find(&init, APP);
    kill_process(app, Signal::KILL).unwrap();
    init.until("the second start", |init| {
        init.said().matches("started\n").count() == 2
    });
    // As `poweroff` asks.
    let children = format!("/proc/{0}/task/{0}/children", init.pid());
    let first = fs::read_to_string(children).unwrap();
    let first = Pid::from_raw(first.trim().parse().unwrap()).unwrap();
    kill_process(first, Signal::USR2).unwrap();
    let said = init.end().stdout;
    assert!(said.contains("stopped\n"), "{said}");
}

/// The process below this one that was given this word.
fn find(running: &host::Running, word: &str) -> Pid {
    let mut ahead = vec![running.pid()];
    while let Some(pid) = ahead.pop() {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
        let words = read("cmdline").unwrap_or_default();
        if words.starts_with("/bin/busybox\0sh") && words.contains(word) {
            return Pid::from_raw(pid.try_into().unwrap()).unwrap();
        }
        let below = read(&format!("task/{pid}/children")).unwrap_or_default();
        ahead.extend(
            below
                .split_whitespace()
                .map(|pid| pid.parse::<u32>().unwrap()),
        );
    }
    panic!("no process was given `{word}`");
}

#[test]
fn systemd_finds_no_fault_with_the_unit() {
    let analyze = tool!("systemd-analyze");
    let scratch = Scratch::new();
    let unit = here("web.service", &scratch.join("dir"));
    let unit = scratch.write("web.service", unit);
    call(&analyze)
        .arg("verify")
        .arg(unit)
        .run()
        .exits(0)
        .says("")
        .complains("");
}

#[test]
fn procd_is_told_what_to_run_and_to_run_it_again() {
    let script = format!(
        "for name in open_instance set_param close_instance; do \
         eval \"procd_$name() {{ echo $name \\\"\\$@\\\"; }}\"; done; \
         . {}; echo $USE_PROCD $START; start_service",
        example("web.procd").display()
    );
    call(Path::new("/bin/sh"))
        .args(["-eu", "-c", &script])
        .run()
        .exits(0)
        .says(&format!(
            "1 95\nopen_instance\nset_param command {COMMAND}\nset_param respawn 3600 1 0\n\
             set_param stdout 1\nset_param stderr 1\nset_param term_timeout 10\nclose_instance\n"
        ))
        .complains("");
}

#[test]
fn openrc_is_told_what_to_run_and_to_run_it_again() {
    let script = format!(
        "after() {{ :; }}; . {}; depend; echo $supervisor; \
         echo $command $command_args",
        example("web.openrc").display()
    );
    call(Path::new("/bin/sh"))
        .args(["-eu", "-c", &script])
        .run()
        .exits(0)
        .says(&format!("supervise-daemon\n{COMMAND}\n"))
        .complains("");
}
