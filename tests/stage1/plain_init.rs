//! Without a plan.

use std::path::Path;

use rustix::process::Signal;

use super::init;
use crate::host;

#[test]
fn the_status_is_the_commands() {
    for (script, code) in [("exit 0", 0), ("exit 9", 9), ("kill -9 $$", 137)] {
        init("-- /bin/sh -c")
            .arg(script)
            .run()
            .exits(code)
            .complains("");
    }
    init("-- /nonexistent/x")
        .run()
        .exits(127)
        .complains("stage1-init: /nonexistent/x: No such file or directory\n");
    init("-- nosuchprogram")
        .run()
        .exits(127)
        .complains("stage1-init: nosuchprogram: No such file or directory\n");
    init("-- /etc/passwd")
        .run()
        .exits(126)
        .complains("stage1-init: /etc/passwd: Permission denied\n");
}

#[test]
fn the_command_gets_streams_environment_and_directory() {
    init("-- sh -c")
        .arg("cat; echo $WHO; pwd; echo error >&2")
        .env("WHO", "me")
        .dir(Path::new("/usr"))
        .input("in\n")
        .run()
        .exits(0)
        .says("in\nme\n/usr\n")
        .complains("error\n");
}

#[test]
fn orphans_come_to_it_and_are_reaped() {
    let script = "(sleep 0.1 &); until [ $(cat /proc/$PPID/task/*/children | wc -w) = 1 ]; do sleep 0.02; done; echo reaped";
    init("-- sh -c").arg(script).run().exits(0).says("reaped\n");
}

#[test]
fn it_is_pid_1_where_somebody_made_it_so() {
    require_root!();
    let unshare = tool!("unshare");
    let script = "echo $PPID; (true &); i=0; while [ $i -lt 50 ]; do (true &); i=$((i+1)); done; until [ $(ls -d /proc/[0-9]* | wc -l) -le 5 ]; do sleep 0.02; done; exit 6";
    host::call(&unshare)
        .args(["-fp", "--mount-proc"])
        .arg(host::stage1())
        .args(["--", "sh", "-c", script])
        .run()
        .exits(6)
        .says("1\n");
}

#[test]
fn signals_are_passed_on() {
    let mut running = init("-- sh -c")
        .arg("trap 'exit 42' TERM; echo here; while :; do sleep 0.02; done")
        .start();
    running.until_it_says("here");
    running.signal(Signal::TERM);
    running.end().exits(42);
}

#[test]
fn ignored_and_blocked_signals_are_not_the_commands() {
    let python = tool!("python3");
    let script = "import os,signal,sys
for n in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGTERM, signal.SIGHUP): signal.signal(n, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
os.execv(sys.argv[1], sys.argv[1:] + ['--', 'grep', '-E', '^Sig(Blk|Ign)', '/proc/self/status'])";
    let zero = "0000000000000000";
    host::call(&python)
        .args(["-c", script])
        .arg(host::stage1())
        .run()
        .exits(0)
        .says(&format!("SigBlk:\t{zero}\nSigIgn:\t{zero}\n"));
}
