//! The specification's own conformance program, run as it is meant to be: two
//! images in one pod. And what it finds when something is amiss, so that it is
//! known to find something.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::host::{Call, Ran, Scratch, launcher};

/// The pod, as options say it.
struct Pod {
    scratch: Scratch,
    /// Groups of processes are named by it, and tests run side by side, also
    /// those of another checkout.
    uuid: String,
    images: [PathBuf; 2],
}

/// Leaves a test whose images could not be built here.
macro_rules! pod {
    () => {{
        require_root!();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Pod {
            scratch: Scratch::new(),
            uuid: format!(
                "{:08x}-a507-4694-{:04x}-{number:012x}",
                std::process::id(),
                line!()
            ),
            images: [image!("ace-main"), image!("ace-sidekick")],
        }
    }};
}

impl Pod {
    fn dir(&self) -> PathBuf {
        self.scratch.join("dir")
    }

    /// The directory of the pod, when it is prepared.
    fn prepared(&self) -> PathBuf {
        self.dir().join("pods/prepared").join(&self.uuid)
    }

    /// `launcher VERB`, with a volume, and more options for the first app.
    fn call(&self, verb: &str, volume: &str, options: &[&str]) -> Call {
        let [main, sidekick] = &self.images;
        launcher(&self.dir())
            .args([verb, "--uuid", &self.uuid, "--volume", volume])
            .args(["--annotation", "nosecone.net/pod=of the pod"])
            .arg(main)
            .args(["--name", "ace-validator-main"])
            .args(["--annotation", "nosecone.net/color=of the pod"])
            .args(options)
            .arg("---")
            .arg(sidekick)
            .args(["--name", "ace-validator-sidekick"])
    }

    /// Prepares the pod, changes its spec, and runs it.
    fn changed(&self, change: impl Fn(&str) -> String) -> Ran {
        self.call("prepare", EMPTY, &[]).run().exits(0);
        let path = self.prepared().join("spec");
        let text = fs::read_to_string(&path).unwrap();
        let changed = change(&text);
        assert!(changed != text, "nothing was changed in {text}");
        fs::write(&path, changed).unwrap();
        launcher(&self.dir())
            .args(["run-prepared", &self.uuid])
            .run()
    }
}

const EMPTY: &str = "database,kind=empty";

/// Changes the text that stands behind `before`, up to `end`, wherever that is.
fn edited(text: &str, before: &str, end: &str, edit: impl Fn(&str) -> String) -> String {
    let mut parts = text.split(before);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |done, part| {
        let (old, rest) = part.split_once(end).unwrap();
        format!("{done}{before}{}{end}{rest}", edit(old))
    })
}

/// Some phase failed, and said so.
#[track_caller]
fn fails(ran: &Ran, said: &str) {
    assert!(!ran.succeeded(), "{ran:?}");
    assert!(ran.stdout.contains(" FAIL\n"), "{ran:?}");
    assert!(ran.stderr.contains(said), "{ran:?}");
}

// --- what it finds ---

#[test]
fn a_variable_that_is_not_as_it_must_be_is_found() {
    for (name, said) in [
        ("PATH", "PATH not set appropriately"),
        ("IN_ACE_VALIDATOR", "IN_ACE_VALIDATOR"),
        ("AC_METADATA_URL", "AC_METADATA_URL is not set"),
    ] {
        let pod = pod!();
        let named = format!(r#"{{"name":"{name}","#);
        let ran = pod.changed(|text| text.replace(&named, r#"{"name":"OTHER","#));
        fails(&ran, said);
    }
    let pod = pod!();
    let renamed = pod.changed(|text| {
        text.replace(
            r#"{"name":"AC_APP_NAME","value":"ace-validator-main"}"#,
            r#"{"name":"AC_APP_NAME","value":"main"}"#,
        )
    });
    fails(&renamed, "AC_APP_NAME not set appropriately");
}

#[test]
fn another_working_directory_is_found() {
    let pod = pod!();
    let ran = pod.changed(|text| {
        text.replace(
            r#""directory":{"value":"/opt/acvalidator""#,
            r#""directory":{"value":"/""#,
        )
    });
    fails(&ran, "working directory not set appropriately");
}

#[test]
fn a_service_that_answers_at_another_address_is_found() {
    let pod = pod!();
    let variable = r#"{"name":"AC_METADATA_URL","value":""#;
    let ran = pod.changed(|text| edited(text, variable, "\"", |url| format!("{url}/")));
    fails(&ran, "failed with 4");
}

#[test]
fn a_service_that_does_not_know_the_pod_is_found() {
    let pod = pod!();
    // Of a pod without its manifest nothing can be told.
    pod.call("prepare", EMPTY, &[]).run().exits(0);
    fs::write(pod.prepared().join("manifest"), "{}").unwrap();
    let ran = launcher(&pod.dir()).args(["run-prepared", &pod.uuid]).run();
    fails(&ran, "failed with 503");
}

#[test]
fn a_missing_or_read_only_volume_is_found() {
    let pod = pod!();
    let ran = pod.changed(|text| edited(text, r#""mounts":["#, "]", |_| String::new()));
    fails(&ran, "timed out waiting for /db/");
    let pod = pod!();
    let ran = pod
        .call("run", "database,kind=empty,readOnly=true", &[])
        .run();
    fails(&ran, "/db");
}

#[test]
fn a_volume_that_was_used_before_is_found() {
    let pod = pod!();
    let database = pod.scratch.join("database");
    fs::create_dir(&database).unwrap();
    fs::write(database.join("main"), "").unwrap();
    let volume = format!("database,kind=host,source={}", database.display());
    fails(&pod.call("run", &volume, &[]).run(), "/db/main");
}

#[test]
fn a_root_that_cannot_be_written_to_is_found() {
    let pod = pod!();
    let ran = pod.call("run", EMPTY, &["--readonly-rootfs"]).run();
    fails(&ran, "prestart");
}

#[test]
fn a_handler_that_was_left_out_is_found() {
    let pod = pod!();
    let ran = pod.changed(|text| {
        edited(text, r#""pre_start":"#, r#","post_stop""#, |_| {
            "null".to_owned()
        })
    });
    fails(&ran, "/prestart");
}

#[test]
fn apps_that_do_not_run_side_by_side_are_found() {
    let pod = pod!();
    let [main, _] = &pod.images;
    let ran = launcher(&pod.dir())
        .args(["run", "--volume", EMPTY])
        .arg(main)
        .args(["--name", "ace-validator-main"])
        .run();
    fails(&ran, "/db/sidekick");
}

// --- and that nothing is amiss ---

#[test]
fn all_phases_pass() {
    let pod = pod!();
    let ran = pod.call("run", EMPTY, &[]).run().exits(0);
    let mut lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.first(), Some(&"prestart OK"), "{ran:?}");
    lines.sort_unstable();
    assert_eq!(
        lines,
        ["main OK", "poststop OK", "prestart OK", "sidekick OK"]
    );
}

#[test]
fn all_phases_pass_for_a_prepared_pod() {
    let pod = pod!();
    pod.call("prepare", EMPTY, &[]).run().exits(0);
    let ran = launcher(&pod.dir()).args(["run-prepared", &pod.uuid]).run();
    let ran = ran.exits(0);
    assert!(!ran.stdout.contains("FAIL"), "{ran:?}");
    assert!(ran.stdout.contains("main OK\n"), "{ran:?}");
}
