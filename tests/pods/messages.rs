//! Whatever can be wrong on the command line of a pod. Nothing is run.

use super::Pods;
use crate::claims::same;
use crate::golden::Cases;
use crate::host::launcher;

/// Runs command lines, split at blanks, that are all refused.
#[track_caller]
fn refused(title: &str, lines: &[&str]) {
    let pods = Pods::new();
    pods.make(&[
        ("file", ""),
        ("bad.env", "A=1\n\nexport B=2\n"),
        ("twice.env", "A=1\nA=2\n"),
        ("ours.env", "AC_APP_NAME=x\n"),
        ("none.json", "{}"),
    ]);
    std::os::unix::fs::symlink("file", pods.0.join("link")).unwrap();
    let here = pods.0.path();
    let mut cases = Cases::default();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let mut told = Vec::new();
        for (verb, status) in [("run", 125), ("plan", 2), ("prepare", 2)] {
            let ran = pods.call(&[&[verb], &words[..]].concat()).run();
            // What only the host shows is no wrong usage.
            let status = match ran.exited() {
                Some(1) if status == 2 => 1,
                _ => status,
            };
            let ran = ran.exits(status).says("").naming("HERE", here);
            let ran = ran.naming("--dir DIR VERB ", format!("--dir DIR {verb} "));
            told.push(ran.told());
        }
        for other in &told[1..] {
            same(line, other, &told[0]);
        }
        cases.add(line, &told[0]);
    }
    cases.as_written(title);
}

#[test]
fn options_in_the_wrong_place() {
    refused(
        "options in the wrong place",
        &[
            "--exec /x a.aci -- y",
            "a.aci --hostname web --- b.aci --user 1",
            "--mount volume=a,target=/a --volume a,kind=empty a.aci",
            "--- a.aci",
            "-- a.aci",
            "a.aci ---",
            "a.aci --- --user 1",
            "a.aci b.aci",
        ],
    );
}

#[test]
fn options_of_pods() {
    refused(
        "options of pods",
        &[
            "--hostname a --hostname b a.aci",
            "--hostname",
            "--hostname a_b PROBE",
            "--interactive=maybe a.aci",
            "--no-overlay=2 a.aci",
            "--writable=here a.aci",
            "--writable=disk:1Mi a.aci",
            "--writable=memory:0 a.aci",
            "--writable=memory --no-overlay a.aci",
            "--strict=2 a.aci",
            "--inherit-env= a.aci",
            "--interactive PROBE --name a --- PROBE --name b",
            "--uuid 1 a.aci",
            "--set-env A a.aci",
            "--set-env 1=2 a.aci",
            "--set-env A=1 --set-env A=2 a.aci",
            "--set-env container=x a.aci",
            "--set-env-file HERE/ours.env PROBE",
            "--set-env-file HERE/none.env PROBE",
            "--set-env-file HERE/bad.env PROBE",
            "--set-env-file HERE/twice.env PROBE",
            "--locale a/b a.aci",
            "--timezone ../shadow PROBE",
            "--timezone Europe/Atlantis PROBE",
            "--annotation a a.aci",
            "--annotation A=1 a.aci",
            "--annotation a=1 --annotation a=2 a.aci",
            "--pod-manifest p.json a.aci",
            "--pod-manifest p.json --set-env A=1",
            "--pod-manifest HERE/none.json",
            "--pod-manifest p.json --inherit-env",
        ],
    );
}

#[test]
fn volumes() {
    refused(
        "volumes",
        &[
            "--volume Data,kind=empty a.aci",
            "--volume d a.aci",
            "--volume d,kind a.aci",
            "--volume d,kind=disk a.aci",
            "--volume d,kind=empty,size=1 a.aci",
            "--volume d,kind=empty,uid=1,uid=1 a.aci",
            "--volume d,kind=host a.aci",
            "--volume d,kind=host,source=srv a.aci",
            "--volume d,kind=host,source=/,mode=0700 a.aci",
            "--volume d,kind=empty,source=/ a.aci",
            "--volume d,kind=empty,recursive=true a.aci",
            "--volume d,kind=empty,mode=rwx a.aci",
            "--volume d,kind=empty,uid=root a.aci",
            "--volume d,kind=empty,gid=4294967295 a.aci",
            "--volume d,kind=empty,readOnly=yes a.aci",
            "--volume d,kind=host,source=/,recursive= a.aci",
            "--volume d,kind=empty --volume d,kind=empty PROBE",
            "--volume d,kind=empty PROBE",
            "PROBE --mount volume=d,target=/d",
            "--volume d,kind=host,source=HERE/none PROBE --mount volume=d,target=/d",
            "--volume d,kind=host,source=HERE/link PROBE --mount volume=d,target=/d",
            "--volume d,kind=host,source=HERE/file PROBE --mount volume=d,target=/",
            "--volume d,kind=empty PROBE --mount volume=d,target=/probe",
            "--volume d,kind=empty --volume e,kind=empty PROBE --mount volume=d,target=/d --mount volume=e,target=d/",
            "a.aci --mount target=/d",
            "a.aci --mount volume=d",
            "a.aci --mount volume=d,target=",
            "a.aci --mount volume=d,target=/d,ro=true",
            "a.aci --mount volume=d,target=/d --mount volume=e,target=d/.",
        ],
    );
}

#[test]
fn what_is_in_memory_cannot_be_kept() {
    let pods = Pods::new();
    let mut cases = Cases::default();
    for (line, status) in [
        ("run --writable=memory --keep a.aci", 125),
        ("run --writable=memory --detach a.aci", 125),
        ("prepare --writable=memory a.aci", 2),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let ran = pods.call(&words).run().exits(status).says("");
        cases.add(line, &ran.told());
    }
    cases.as_written("changes in memory are not kept");
}

#[test]
fn options_of_apps() {
    refused(
        "options of apps",
        &[
            "PROBE --- PROBE",
            "a.aci --name A",
            "a.aci --exec=",
            "a.aci --user=",
            "a.aci --group=",
            "PROBE --user web",
            "PROBE --group -1",
            "PROBE --name a --- PROBE --name b --user /none",
            "a.aci --supplementary-gids 1,staff",
            "a.aci --supplementary-gids 4294967295",
            "a.aci --working-dir srv",
            "a.aci --environment A",
            "a.aci --environment A=1 --environment A=1",
            "a.aci --readonly-rootfs=y",
            "a.aci --no-new-privileges=y",
            "a.aci --annotation =",
            "a.aci --user-annotation a",
            "a.aci --user-label a",
            "a.aci --user-label a=1 --user-label a=2",
            "a.aci --caps-retain CAP_CHOWN --caps-remove CAP_KILL",
            "a.aci --caps-retain ,",
            "a.aci --memory lots",
            "a.aci --memory 16",
            "a.aci --memory -1",
            "a.aci --cpu -1",
            "a.aci --cpu-shares 1",
            "a.aci --oom-score-adj 1001",
            "--pids-limit 0 a.aci",
            "--pids-limit none a.aci",
            "a.aci --allow-isolators=seccomp",
            "a.aci --tmpfs data",
            "a.aci --tmpfs /dev/shm",
            "a.aci --tmpfs /a/../proc",
            "a.aci --tmpfs /a:size=0",
            "a.aci --tmpfs /a:size=101%",
            "a.aci --tmpfs /a:size=1Mi,owner=7",
            "a.aci --tmpfs /a:mode=rw",
            "a.aci --cpu-shares many",
            "a.aci --seccomp a",
            "a.aci --seccomp mode=kill,a",
            "a.aci --seccomp mode=retain",
            "a.aci --seccomp mode=retain,errno=1,a",
        ],
    );
}

#[test]
fn prepared_pods() {
    require_root!();
    let pods = Pods::new();
    for (word, title) in [
        ("abc", "a prepared pod that is not there"),
        ("", "an empty UUID"),
    ] {
        pods.call(&["run-prepared", word])
            .run()
            .exits(125)
            .says("")
            .complains_as(title);
    }
    launcher(&pods.dir())
        .arg("run-prepared")
        .run()
        .exits(125)
        .complains_as("no UUID at all");
}
