//! Pods that are not remembered: their directories are in memory, and what their
//! apps write is in the data directory, until they end.

use super::Life;
use super::memory::with_run;

/// Waits until a pod runs, and sets `uuid`; the command before ran in the background.
const UNTIL_RUNNING: &str = "
    until $L list | grep -q running; do sleep 0.01; done
    uuid=$(basename $D/scratch/*)
    until $L status $uuid | grep -q ^app-probe.pid=; do sleep 0.01; done
";

/// Shows what is left of pods anywhere.
const LEFT: &str = "ls -d /run/nosecone/*/pods/*/* $D/pods/*/* $D/scratch/* 2>/dev/null || true";

#[test]
fn a_pod_that_ends_with_its_caller_is_in_memory_and_only_its_files_are_on_the_disk() {
    require_root!();
    let life = Life::new();
    let script = format!(
        "$L run $P -- --trap-exit 15 3 > /dev/null & caller=$!
        {UNTIL_RUNNING}
        ls $D/pods/*/ | grep -c $uuid || true
        ls /run/nosecone/*/pods/run/$uuid
        ls $D/scratch/$uuid
        stat -c %a /run/nosecone /run/nosecone/* $D/scratch/$uuid
        $L stop $uuid | sed s/$uuid/UUID/
        wait $caller || echo $?
        {LEFT}"
    );
    with_run(&life, "1m", &script).exits(0).complains("").says(
        "0\ncreated\nlock\nmanifest\nreport\nspec\nstarted\nundo\napps\nlayers\n\
         700\n700\n700\nstopped UUID\n3\n",
    );
    life.leaves_nothing();
}

#[test]
fn it_is_found_like_any_other_and_nothing_takes_its_image_away() {
    require_root!();
    let life = Life::new();
    let script = format!(
        "$L run --name=web $P -- --trap-exit 15 0 > /dev/null & caller=$!
        {UNTIL_RUNNING}
        $L list --no-legend | awk '{{print $2, $4, $NF}}'
        $L status web | grep ^state=
        $L enter web /probe --stdout entered
        $L image rm --all 2>/dev/null || true
        $L image gc --grace-period=0 > /dev/null 2>&1 || true
        ls $D/layers | wc -l
        $L run --name=web $P 2> $S/said || echo $?
        $L kill --signal=TERM web; wait $caller
        {LEFT}"
    );
    with_run(&life, "1m", &script)
        .exits(0)
        .complains("")
        .says("probe running web\nstate=running\nentered\n1\n125\n");
    life.leaves_nothing();
}

#[test]
fn what_is_kept_or_goes_on_without_its_caller_is_on_the_disk() {
    require_root!();
    let life = Life::new();
    let script = "
        $L run --keep --name=kept $P -- --exit-code 0
        $L run --detach --rm --name=on $P -- --trap-exit 15 0 > /dev/null
        ls $D/pods/exited | wc -l; ls $D/pods/run | wc -l
        ls /run/nosecone/*/pods/*/* 2>/dev/null | wc -l; ls $D/scratch | wc -l
        $L stop on > /dev/null; $L rm kept > /dev/null";
    with_run(&life, "1m", script)
        .exits(0)
        .complains("")
        .says("1\n1\n0\n0\n");
    life.leaves_nothing();
}

#[test]
fn what_a_crash_or_a_power_cut_leaves_of_it_is_collected() {
    require_root!();
    let life = Life::new();
    let script = format!(
        "$L run $P -- --trap-exit 15 0 > /dev/null & caller=$!
        {UNTIL_RUNNING}
        kill -9 $caller; wait $caller 2>/dev/null || true
        until $L list | grep -q aborted; do sleep 0.01; done
        $L gc --grace-period=0 | sed s/$uuid/UUID/
        {LEFT}
        # A host that was started again has another /run.
        $L run $P -- --trap-exit 15 0 > /dev/null & caller=$!
        {UNTIL_RUNNING}
        mount -t tmpfs tmpfs /run
        $L list --no-legend
        kill -9 $caller; wait $caller 2>/dev/null || true
        until $L gc && [ -z \"$(ls $D/scratch)\" ]; do sleep 0.01; done
        {LEFT}"
    );
    with_run(&life, "1m", &script)
        .exits(0)
        .complains("")
        .says("removed UUID\n");
    life.leaves_nothing();
}

#[test]
fn whatever_call_it_is_killed_at_nothing_stays() {
    require_root!();
    let _ = tool!("strace");
    let life = Life::new();
    let script = "
        $L fetch $P > /dev/null 2>&1
        for calls in mkdirat flock renameat2 unlinkat memfd_create execve; do
            for number in 1 2 3 4 5; do
                strace -f -qq -o $S/trace -e inject=$calls:signal=KILL:when=$number \\
                    $L run $P -- --exit-code 0 > /dev/null 2>&1 || true
                until ! $L list | grep -q running; do sleep 0.01; done
                $L gc --grace-period=0 > /dev/null
                ls -d /run/nosecone/*/pods/*/* $D/pods/*/* $D/scratch/* 2>/dev/null \\
                    && echo $calls $number || true
            done
        done";
    with_run(&life, "1m", script)
        .exits(0)
        .says("")
        .complains("");
    life.leaves_nothing();
}

#[test]
fn where_a_host_has_no_place_in_memory_it_is_with_the_others() {
    require_root!();
    let life = Life::new();
    let script = "
        umount /run; mkdir -p $S/run; mount --bind $S/run /run
        $L run $P -- --trap-exit 15 0 > $S/said & caller=$!
        until grep -q waiting $S/said; do sleep 0.01; done
        ls $D/pods/run | wc -l; ls $D/scratch | wc -l; ls /run | wc -l
        $L stop $(ls $D/pods/run) > /dev/null; wait $caller
        ls $D/pods/run | wc -l";
    with_run(&life, "1m", script)
        .exits(0)
        .complains("")
        .says("1\n0\n0\n0\n");
    life.leaves_nothing();
}
