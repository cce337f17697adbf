//! Without a plan.

use std::path::Path;

use rustix::process::Signal;

use super::init;
use crate::host::{self, Scratch};

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
        .complains_as("a command that is not there");
    init("-- nosuchprogram")
        .run()
        .exits(127)
        .complains_as("a command that is not in PATH");
    init("-- /etc/passwd")
        .run()
        .exits(126)
        .complains_as("a command that cannot be executed");
}

#[test]
fn a_command_needs_no_dashes_before_it() {
    init("sh -c").arg("exit 4").run().exits(4).complains("");
    // Otherwise, it would be a plan, or an option.
    for words in ["plan", "-x"] {
        init(words).run().exits(125);
        init("--").arg(words).run().exits(127);
    }
}

#[test]
fn an_exit_code_can_mean_success() {
    for (code, exits) in [(3, 0), (143, 0), (4, 4), (0, 0)] {
        init("-e 3 -e 143 sh -c")
            .arg(format!("exit {code}"))
            .run()
            .exits(exits);
    }
    init("-e 143 sh -c").arg("kill $$").run().exits(0);
}

#[test]
fn signals_can_go_to_the_whole_group() {
    // The shell itself ignores the signal.
    let script = "trap '' USR1; (trap 'echo got; exit 0' USR1; echo here; while :; do sleep 0.02; done) & wait";
    let mut running = init("-g sh -c").arg(script).start();
    running.until_it_says("here");
    running.signal(Signal::USR1);
    running.until_it_says("got");
    running.end().exits(0);
}

#[test]
fn its_name_is_not_that_of_the_file() {
    let scratch = Scratch::new();
    let file = host::public_copy(&scratch, &host::stage1(), "7");
    host::call(&file)
        .args(["sh", "-c", "cat /proc/$PPID/comm"])
        .run()
        .exits(0)
        .says("stage1-init\n");
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
fn blocked_signals_are_not_the_commands_and_ignored_ones_are() {
    let python = tool!("python3");
    // Others would keep a command from working that does not expect it.
    let script = "import os,signal,sys
for n in range(1, 32):
    if n not in (9, 19): signal.signal(n, signal.SIG_DFL)
for n in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGTERM, signal.SIGHUP): signal.signal(n, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
os.execv(sys.argv[1], sys.argv[1:] + ['--', 'grep', '-E', '^Sig(Blk|Ign)', '/proc/self/status'])";
    let (zero, both) = ("0000000000000000", "0000000000004001");
    host::call(&python)
        .args(["-c", script])
        .arg(host::stage1())
        .run()
        .exits(0)
        .says(&format!("SigBlk:\t{zero}\nSigIgn:\t{both}\n"));
}

#[test]
fn a_signal_that_the_caller_ignores_is_not_passed_on() {
    let python = tool!("python3");
    let script = "import signal
signal.signal(signal.SIGHUP, lambda *_: exit(9))
print('here', flush=True)
signal.pause()";
    let mut running = host::call(Path::new("/bin/sh"))
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh"])
        .arg(host::stage1())
        .arg("--")
        .arg(python)
        .args(["-c", script])
        .start();
    running.until_it_says("here");
    running.signal(Signal::HUP);
    running.signal(Signal::TERM);
    running.end().exits(143);
}

/// Runs a program on a terminal of its own and types, each time the terminal
/// shows some text. Exits as the program does.
const TYPIST: &str = "
import os, pty, signal, sys
program, *steps = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0: os.execv('/bin/sh', ['sh', '-c', program])
signal.alarm(20)
shown = b''
for step in steps:
    awaited, typed = step.split('>')
    while awaited.encode() not in shown: shown += os.read(terminal, 999)
    shown = shown[shown.index(awaited.encode()):]
    os.write(terminal, typed.encode())
try:
    while os.read(terminal, 999): pass
except OSError: pass
os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

#[test]
fn the_command_reads_from_the_terminal_and_so_do_those_after_it() {
    let python = tool!("python3");
    let script = format!(
        "{} -- sh -c 'echo first; read x; test $x = one'; echo second; read y; test $y = two && exit 5",
        host::stage1().display()
    );
    host::call(&python)
        .args(["-c", TYPIST, &script, "first>one\n", "second>two\n"])
        .run()
        .exits(5);
}

/// A shell's job control, as far as it takes: a job in the foreground that is
/// stopped, seen to be, and continued.
const SHELL: &str = "
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    os.execv(sys.argv[1], sys.argv[1:])
stopped = os.WIFSTOPPED(os.waitpid(job, os.WUNTRACED)[1])
given_back = os.tcgetpgrp(0) == job
os.tcsetpgrp(0, job)
os.killpg(job, signal.SIGCONT)
ended = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
os._exit(ended if stopped and given_back and os.tcgetpgrp(0) == job else 99)
";

#[test]
fn a_stopped_command_gives_the_terminal_back_and_gets_it_again() {
    let python = tool!("python3");
    let scratch = Scratch::new();
    let shell = scratch.write("shell.py", SHELL);
    let script = format!(
        "exec {} {} {} -- sh -c 'echo first; read x; test $x = one && exit 6'",
        python.display(),
        shell.display(),
        host::stage1().display()
    );
    // The stop character, and, when it is seen to have been, a line.
    host::call(&python)
        .args(["-c", TYPIST, &script, "first>\x1a", "^Z>one\n"])
        .run()
        .exits(6);
}
