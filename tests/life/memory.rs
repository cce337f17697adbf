//! Logs that are kept in memory: they end with their pod, whatever happens.
//!
//! Each test has a /run of its own, since that of this host may be on a disk.

use std::fs;

use super::Life;
use crate::host::{self, Ran, call, find_tool};

/// Runs a script of a shell that has a /run of its own, in `size` bytes of
/// memory. In it `$L` is the launcher, `$D` its directory, and `$P` and `$B`
/// are the images of the probe and of busybox.
#[track_caller]
pub(super) fn with_run(life: &Life, size: &str, script: &str) -> Ran {
    let unshare = find_tool("unshare").expect("util-linux is installed");
    let mount = format!("set -e; mount -t tmpfs -o size={size} tmpfs /run\n{script}");
    let program = host::program().display().to_string();
    call(&unshare)
        .args(["--mount", "sh", "-c", &mount])
        .env("L", format!("{program} --dir {}", life.dir().display()))
        .env("D", life.dir())
        .env("S", life.0.path())
        .env("P", host::image("probe"))
        .env("B", host::images().join("busybox.aci"))
        .run()
}

#[test]
fn a_log_in_memory_leaves_nothing_on_the_disk_and_goes_with_its_pod() {
    require_root!();
    let life = Life::new();
    let script = "
        uuid=$($L run --detach --log=memory --name=m $P -- --stdout out --stderr err)
        $L status --wait m > /dev/null
        stat -c '%a %U' /run/nosecone /run/nosecone/log/$uuid /run/nosecone/log/$uuid/log/probe/log
        ls $D/pods/exited/$uuid | grep -c log || true
        $L logs m
        $L rm m > /dev/null
        ls /run/nosecone/log
        # One that is not kept.
        $L run --detach --rm --log=memory $P -- --trap-exit 15 0 > $S/uuid
        $L stop --uuid-file=$S/uuid > /dev/null
        ls /run/nosecone/log
        # One that does not run at all.
        $L run --detach --log=memory $P --exec /no/such 2> /dev/null || echo $?
        ls /run/nosecone/log";
    with_run(&life, "1m", script)
        .exits(0)
        .says("700 root\n700 root\n600 root\n0\nout\n127\n")
        .complains("err\n");
    life.leaves_nothing();
}

#[test]
fn what_is_left_of_logs_in_memory_is_collected_and_other_logs_are_not() {
    require_root!();
    let life = Life::new();
    let script = "
        run() { \"$@\" run --detach --log=memory $P -- --trap-exit 15 0; }
        running=$(run $L)
        removed=$(run $L) half=$(run $L) kept=$(run $L)
        M=\"${L% *} $S/other\"
        other=$(run $M)
        $L stop $removed $half $kept > /dev/null
        rm -r $D/pods/exited/$removed $D/pods/exited/$half/started
        mkdir -p $D/pods/garbage; mv $D/pods/exited/$half $D/pods/garbage/
        mkdir /run/nosecone/log/abcdef12-4b5a-4978-8796-a5b4c3d2e1f1
        mkdir /run/nosecone/log/notes
        gone=$(printf '%s\\n' $removed $half abcdef12-4b5a-4978-8796-a5b4c3d2e1f1 | sort)
        for options in --dry-run ''; do
            said=$($L gc $options | sed 's/.* //' | sort)
            [ \"$said\" = \"$gone\" ] || echo \"$said, not $gone\"
        done
        left=$(printf '%s\\n' $running $kept $other notes | sort)
        [ \"$(ls /run/nosecone/log | sort)\" = \"$left\" ] || ls /run/nosecone/log
        $L logs $running
        $L logs $kept
        $M logs $other
        # The same UUID as that of a pod elsewhere.
        $L run --detach --log=memory --uuid=$other $P 2>&1 | sed s/$other/UUID/ 
        $M logs $other
        $L stop $running > /dev/null; $M rm --force $other > /dev/null
        $L gc --grace-period=0 > /dev/null
        ls /run/nosecone/log";
    with_run(&life, "1m", script)
        .exits(0)
        .complains("")
        .says_as("logs of pods with the same UUID");
    life.leaves_nothing();
}

#[test]
fn a_full_disk_under_a_log_stops_no_app() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let script = "
        $L run --detach --log=memory --log-size=4Mi --name=m $B -- -c 'seq 1 400000; exit 7' > /dev/null
        $L status --wait m | grep ^status
        [ $(df -k /run | tail -n 1 | awk '{print $4}') -lt 8 ] || df -k /run
        # Whole records of the beginning, since later ones found no room.
        $L logs m > $S/log
        lines=$(($(wc -l < $S/log) - 1))
        [ $lines -gt 30000 ] && seq 1 $lines > $S/expected && head -n $lines $S/log | cmp - $S/expected
        $L rm m > /dev/null
        ls /run/nosecone/log";
    with_run(&life, "512k", script)
        .exits(0)
        .says("status=7\n")
        .complains("");
    life.leaves_nothing();
}

#[test]
fn whatever_is_killed_no_log_stays_in_memory() {
    require_root!();
    let _ = tool!("strace");
    let life = Life::new();
    let script = "
        for calls in mkdirat symlinkat flock renameat unlinkat pipe2,pipe execve; do
            for number in 1 2 3 4; do
                strace -f -qq -o $S/trace -e inject=$calls:signal=KILL:when=$number \\
                    $L run --detach --rm --log=memory $P -- --exit-code 0 > /dev/null 2>&1 || true
                until ! $L list | grep -q running; do sleep 0.01; done
                $L gc --grace-period=0 > /dev/null
                ls -d /run/nosecone/log/* $D/pods/*/* 2>/dev/null && echo $calls $number || true
            done
        done";
    with_run(&life, "1m", script)
        .exits(0)
        .says("")
        .complains("");
    life.leaves_nothing();
}

#[test]
fn a_log_that_the_host_lost_or_cannot_keep_is_said_to_be() {
    require_root!();
    let life = Life::new();
    let script = "
        uuid=$($L run --detach --log=memory $P -- --stdout x)
        $L status --wait $uuid > /dev/null
        rm -r /run/nosecone
        $L logs $uuid 2>&1 | sed s/$uuid/UUID/
        $L rm $uuid > /dev/null
        mount -t sysfs sysfs /run
        $L run --detach --log=memory --uuid=abcdef12-4b5a-4978-8796-a5b4c3d2e1f1 $P || echo $?";
    with_run(&life, "1m", script)
        .exits(0)
        .says_as("a log that the host lost, and the status of what comes next")
        .complains_as("a place that is not in memory");
    assert!(
        !fs::exists(
            life.dir()
                .join("pods/run/abcdef12-4b5a-4978-8796-a5b4c3d2e1f1")
        )
        .unwrap()
    );
    life.leaves_nothing();
}
