//! The life of pods: collected, removed, stopped, listed. A row is a story, for
//! one command alone shows little of a life: what is done, one step after the
//! other, and all that is expected of each step.
//!
//! What an earlier runner had that is told in another way here:
//!
//! - `gc --mark-only` has no counterpart. How and when a pod ended its own init
//!   writes down; of one that was killed, whatever `gc` meets it first does,
//!   and its grace begins then;
//! - `stop --force` is `stop --time=0`, or `kill`;
//! - an image that a pod needs is not removed, so that nothing has to outlive it;
//! - there are no file systems to be unmounted: a pod's are its own, and gone
//!   with its last process. What is left after the host was restarted is
//!   directories, and records of another run of the kernel.

use super::Said::{Has, Is};
use super::story::Step::{self, Do, Groups, Killed, Lost, Pods, Reboot, Until};
use super::story::{OTHER, check, filled, image};
use super::{Table, UUID};
use crate::golden::Cases;
use crate::host::{self, Scratch, launcher};

/// A pod that waits to be asked to end.
const RUN: Step<'_> = Do(
    "run --detach --uuid ONE PROBE -- --trap-exit 15 0",
    0,
    Is("ONE\n"),
    "",
);
const WAITING: Step<'_> = Until("logs ONE", "waiting\n");
const KEEP: Step<'_> = Do(
    "run --keep --uuid ONE --uuid-file-save HERE/uuid PROBE -- --exit-code 0",
    0,
    Is(""),
    "",
);
const PREPARE: Step<'_> = Do(
    "prepare --uuid OTHER PROBE -- --stdout ran",
    0,
    Is("OTHER\n"),
    "",
);
const COLLECT: &str = "gc --grace-period=0 --expire-prepared=0";

#[test]
fn what_is_over_is_collected_and_nothing_else() {
    require_root!();
    check(&[
        (
            "what ran, what never ran, and what could not be prepared",
            &[
                KEEP,
                PREPARE,
                Do("prepare PROBE --- PROBE", 1, Is(""), "two apps of one name"),
                Do("gc", 0, Is(""), ""),
                Do(
                    "gc --dry-run --grace-period=0 --expire-prepared=0",
                    0,
                    Is("would remove ONE\nwould remove OTHER\n"),
                    "",
                ),
                Pods(&["exited/ONE", "prepared/OTHER"]),
                Do(COLLECT, 0, Is("removed ONE\nremoved OTHER\n"), ""),
                Pods(&[]),
                Do("list --no-legend", 0, Is(""), ""),
            ],
        ),
        (
            "what runs stays",
            &[
                RUN,
                WAITING,
                Do(COLLECT, 0, Is(""), ""),
                Do("status ONE", 0, Has("state=running"), ""),
                Pods(&["run/ONE"]),
            ],
        ),
        (
            "what was killed is marked when it is met, and removed when its grace is over",
            &[
                RUN,
                Killed("ONE"),
                Pods(&["run/ONE"]),
                Do("gc", 0, Is(""), ""),
                Pods(&["exited/ONE"]),
                Do("status ONE", 0, Has("state=aborted"), ""),
                Do("gc", 0, Is(""), ""),
                Do(COLLECT, 0, Is("removed ONE\n"), ""),
                Pods(&[]),
            ],
        ),
        (
            "what ran when the host was restarted",
            &[
                RUN,
                PREPARE,
                Reboot("ONE"),
                Do("status ONE", 0, Has("state=aborted"), ""),
                Do("stop ONE", 0, Is(""), "stopping what is over"),
                Do("gc --grace-period=0", 0, Is("removed ONE\n"), ""),
                Pods(&["prepared/OTHER"]),
                // What was prepared before is run after.
                Do("run-prepared OTHER", 0, Is("ran\n"), ""),
                Pods(&[]),
            ],
        ),
        (
            "a name is free again when its pod was lost in that way",
            &[
                Do(
                    "run --detach --name web --uuid ONE PROBE -- --trap-exit 15 0",
                    0,
                    Is("ONE\n"),
                    "",
                ),
                Reboot("ONE"),
                Do(
                    "prepare --name web --uuid OTHER PROBE",
                    0,
                    Is("OTHER\n"),
                    "",
                ),
                Do("status web", 0, Has("state=prepared"), ""),
            ],
        ),
    ]);
}

#[test]
fn no_cgroup_outlives_its_pod() {
    require_root!();
    const RUN: Step<'_> = Do(
        "run --detach --uuid LIMITED PROBE --memory 40Mi -- --trap-exit 15 0",
        0,
        Is("LIMITED\n"),
        "",
    );
    let words = [
        "plan",
        &host::image("probe").display().to_string(),
        "--memory",
        "40Mi",
    ];
    let scratch = Scratch::new();
    if !launcher(&scratch.join("dir")).args(words).run().succeeded() {
        skip!("needs cgroups with the controller memory");
    }
    check(&[
        (
            "its end",
            &[
                RUN,
                Until("logs LIMITED", "waiting\n"),
                Groups("LIMITED", true),
                Do("stop LIMITED", 0, Is("stopped LIMITED\n"), ""),
                Groups("LIMITED", false),
            ],
        ),
        (
            "its removal",
            &[
                RUN,
                Groups("LIMITED", true),
                Do("rm --force LIMITED", 0, Is("removed LIMITED\n"), ""),
                Groups("LIMITED", false),
            ],
        ),
        (
            "its collection, when it was killed",
            &[
                RUN,
                Killed("LIMITED"),
                Groups("LIMITED", true),
                Do(COLLECT, 0, Is("removed LIMITED\n"), ""),
                Groups("LIMITED", false),
            ],
        ),
        (
            "its collection, when the host was restarted and has the groups still",
            &[
                RUN,
                Reboot("LIMITED"),
                Do(COLLECT, 0, Is("removed LIMITED\n"), ""),
                Groups("LIMITED", false),
                Pods(&[]),
            ],
        ),
    ]);
}

#[test]
fn what_is_meant_is_removed_and_nobody_else() {
    require_root!();
    check(&[
        (
            "what is over and what never ran",
            &[
                KEEP,
                PREPARE,
                Do("rm ONE OTHER", 0, Is("removed ONE\nremoved OTHER\n"), ""),
                Pods(&[]),
            ],
        ),
        (
            "by the file that its UUID was saved to",
            &[
                KEEP,
                Do("rm --uuid-file HERE/uuid", 0, Is("removed ONE\n"), ""),
                Pods(&[]),
            ],
        ),
        (
            "what runs only by force",
            &[
                RUN,
                Do("rm ONE", 1, Is(""), "what runs"),
                Pods(&["run/ONE"]),
                Do("rm --force ONE", 0, Is("removed ONE\n"), ""),
                Pods(&[]),
            ],
        ),
        (
            "nobody, where nobody is meant, or several are",
            &[
                KEEP,
                PREPARE,
                Do("rm fff", 1, Is(""), "nobody"),
                Do("rm ''", 1, Is(""), "an empty UUID"),
                Do("rm 3c1d", 1, Is(""), "several pods"),
                Do("rm", 2, Is(""), "no UUID"),
                Do("rm --uuid-file HERE/none", 1, Is(""), "no such file"),
                Do(
                    "rm --uuid-file HERE/uuid OTHER",
                    2,
                    Is(""),
                    "a file and a UUID",
                ),
                Pods(&["exited/ONE", "prepared/OTHER"]),
            ],
        ),
    ]);
}

#[test]
fn pods_are_stopped() {
    require_root!();
    const STOPPED: &str = "stopped ONE\n";
    const DEAF: &str = "run --detach --uuid ONE BUSYBOX -- -c 'trap \"\" TERM; echo waiting; sleep 600; sleep 600'";
    let _ = image!("busybox");
    check(&[
        (
            "gently: the app ends as it wants to",
            &[
                RUN,
                WAITING,
                Do("stop ONE", 0, Is(STOPPED), ""),
                Do("status ONE", 0, Has("state=exited"), ""),
                Do("status ONE", 0, Has("app-probe=0"), ""),
            ],
        ),
        (
            "by force: what does not listen is killed",
            &[
                Do(DEAF, 0, Is("ONE\n"), ""),
                WAITING,
                Do("stop --time=0 ONE", 0, Is(STOPPED), ""),
                Do("status ONE", 0, Has("state=exited"), ""),
                Do("status ONE", 0, Has("status=137"), ""),
            ],
        ),
        (
            "by the file that the UUID was saved to",
            &[
                Do(
                    "run --detach --uuid ONE --uuid-file-save HERE/uuid PROBE -- --trap-exit 15 0",
                    0,
                    Is("ONE\n"),
                    "",
                ),
                WAITING,
                Do("stop --uuid-file HERE/uuid", 0, Is(STOPPED), ""),
                Do("status --uuid-file HERE/uuid", 0, Has("app-probe=0"), ""),
            ],
        ),
        (
            "who is over already is no failure, and who never ran is one",
            &[
                KEEP,
                PREPARE,
                Do("stop ONE", 0, Is(""), "stopping what is over"),
                Do("stop OTHER", 1, Is(""), "stopping what never ran"),
            ],
        ),
        (
            "while they are paused, too",
            &[
                Do(
                    "run --detach --uuid PAUSED PROBE -- --trap-exit 15 0",
                    0,
                    Is("PAUSED\n"),
                    "",
                ),
                Until("logs PAUSED", "waiting\n"),
                Do("pause PAUSED", 0, Is("paused PAUSED\n"), ""),
                Do("status PAUSED", 0, Has("state=paused"), ""),
                Do("stop PAUSED", 0, Is("stopped PAUSED\n"), ""),
                Do("status PAUSED", 0, Has("app-probe=0"), ""),
                Groups("PAUSED", false),
            ],
        ),
    ]);
}

#[test]
fn pods_are_told_of_with_their_images_whatever_becomes_of_those() {
    require_root!();
    const LINE: &str = "3c1d9a52  probe  nosecone.net/example/probe  prepared    just now\n";
    const IMAGE: &str = "nosecone.net/example/probe";
    let remove = format!("image rm {IMAGE}");
    check(&[
        (
            "of a file with the UUID",
            &[
                Do(
                    "prepare --uuid ONE --uuid-file-save HERE/uuid PROBE",
                    0,
                    Is("ONE\n"),
                    "",
                ),
                Do("status --uuid-file HERE/uuid", 0, Has("state=prepared"), ""),
            ],
        ),
        (
            "an image that a pod needs is kept, and the pod is run",
            &[
                PREPARE,
                Do(&remove, 1, Is(""), "an image of a prepared pod"),
                Do("list --no-legend", 0, Is(LINE), ""),
                Do("run-prepared OTHER", 0, Is("ran\n"), ""),
                Do(&remove, 0, Is("removed IMAGE\n"), ""),
            ],
        ),
        (
            "an image that is lost all the same is said, and can be stored again",
            &[
                PREPARE,
                Lost,
                Do("list --no-legend", 0, Is(LINE), ""),
                Do(
                    "status --format=json-pretty OTHER",
                    0,
                    Has("      \"image_id\": \"IMAGE\""),
                    "",
                ),
                Do("run-prepared OTHER", 125, Is(""), "an image that is lost"),
                Pods(&["prepared/OTHER"]),
                Do("run PROBE -- --stdout again", 0, Is("again\n"), ""),
                Do("run-prepared OTHER", 0, Is("ran\n"), ""),
                Pods(&[]),
            ],
        ),
        (
            "a pod that is over keeps its image, too",
            &[
                KEEP,
                Do(&remove, 1, Is(""), "an image of a pod that is over"),
                Do("rm ONE", 0, Is("removed ONE\n"), ""),
                Do(&remove, 0, Is("removed IMAGE\n"), ""),
            ],
        ),
    ]);
}

/// What stands for a pod under a key of its JSON, as a number.
#[track_caller]
fn text(json: &str, key: &str) -> String {
    let (_, behind) = json.split_once(&format!("\"{key}\":\"")).unwrap();
    behind.split('"').next().unwrap().to_owned()
}

#[test]
fn whole_lists_have_whole_ids_and_times_are_those_of_the_clock() {
    require_root!();
    // Texts of one form compare as the times do.
    let date = tool!("date");
    let now = || {
        let date = host::call(&date).args(["-u", "+%Y-%m-%dT%H:%M:%S.%NZ"]);
        date.run().exits(0).stdout.trim_end().to_owned()
    };
    let table = Table::new(&[]);
    let before = now();
    table
        .launch(&[], &filled("prepare --uuid OTHER PROBE -- --exit-code 0"))
        .exits(0);
    let prepared = now();
    let ran = table
        .launch(&["list", "--full", "--no-legend"], "")
        .exits(0);
    let cells: Vec<_> = ran.stdout.split_whitespace().collect();
    assert_eq!(
        cells[..5],
        [
            OTHER,
            "probe",
            "nosecone.net/example/probe",
            image(),
            "prepared"
        ]
    );
    table
        .launch(&["run-prepared", "--keep", OTHER], "")
        .exits(0);
    let over = now();
    let json = table.launch(&["list", "--format=json"], "").exits(0).stdout;
    let [created, started, exited] =
        ["created_at", "started_at", "exited_at"].map(|key| text(&json, key));
    assert!(before <= created && created <= prepared, "{json}");
    assert!(
        prepared <= started && started <= exited && exited <= over,
        "{json}"
    );
}

#[test]
fn a_manifest_is_printed_as_it_was_written_and_of_one_pod() {
    require_root!();
    let table = Table::new(&[]);
    let file = |state: &str, uuid: &str| {
        let path = table
            .scratch
            .join("dir/pods")
            .join(state)
            .join(uuid)
            .join("manifest");
        std::fs::read_to_string(path).unwrap()
    };
    let launch = |line: &str| table.launch(&[], &filled(line));
    launch("prepare --name p --uuid OTHER PROBE").exits(0);
    launch("run --detach --uuid ONE --uuid-file-save HERE/uuid PROBE -- --sleep 600").exits(0);
    for line in ["OTHER", "p", "3c1d9a5270c54f0a8a7e0d8d1f1f6b02"] {
        let ran = launch(&format!("cat-manifest {line}")).exits(0);
        ran.says(&file("prepared", OTHER)).complains("");
    }
    let ran = launch("cat-manifest --uuid-file HERE/uuid").exits(0);
    ran.says(&file("run", UUID)).complains("");
    launch("kill ONE").exits(0);
    let ran = launch("cat-manifest ONE").exits(0);
    ran.says(&file("exited", UUID)).complains("");
    let mut cases = Cases::default();
    for word in ["fff", "''", "3c"] {
        let ran = launch(&format!("cat-manifest {word}")).exits(1).says("");
        cases.add(word, &ran.told());
    }
    cases.as_written("the manifest of no pod");
}
