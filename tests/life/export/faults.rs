//! What breaks while it is written, and what else happens meanwhile.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Life, names_in};
use crate::golden;
use crate::host::{self, Call, call, names};

/// A pod that is over, with a file that does not become small.
fn over(life: &Life) -> String {
    let script = "head -c 500000 /dev/urandom > /noise";
    life.over(&[], &host::image("busybox"), script).0
}

/// Does something in a directory on which a small file system is mounted.
#[track_caller]
fn on(place: &Path, options: &str, test: impl FnOnce()) {
    fs::create_dir(place).unwrap();
    call(&host::find_tool("mount").unwrap())
        .args(["-t", "tmpfs", "-o", options, "none"])
        .arg(place)
        .run()
        .exits(0);
    let tested = std::panic::catch_unwind(std::panic::AssertUnwindSafe(test));
    call(&host::find_tool("umount").unwrap())
        .arg(place)
        .run()
        .exits(0);
    tested.unwrap();
}

#[test]
fn a_full_disk_is_named_and_nothing_is_left_on_it() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let uuid = over(&life);
    let place = life.0.join("full");
    on(&place, "size=200k,mode=700", || {
        let target = place.join("x.aci");
        for existing in ["", "what was there"] {
            if !existing.is_empty() {
                fs::write(&target, existing).unwrap();
            }
            life.run(&["export", "--overwrite", &uuid, target.to_str().unwrap()])
                .exits(1)
                .says("")
                .naming("UUID", &uuid)
                .naming("FILE", &target)
                .complains_as("a disk that is full");
            let left = fs::read_to_string(&target).unwrap_or_default();
            assert_eq!(left, existing);
            assert_eq!(names(&place).len(), usize::from(!existing.is_empty()));
        }
    });
    let place = life.0.join("closed");
    on(&place, "size=1m,ro", || {
        let target = place.join("x.aci");
        life.run(&["export", &uuid, target.to_str().unwrap()])
            .exits(1)
            .says("")
            .naming("FILE", &target)
            .complains_as("a disk that is read-only");
    });
    life.run(&["export", &uuid, "/dev/full"])
        .exits(1)
        .says("")
        .complains_as("a device that is full");
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let ran = Command::new(host::program())
        .arg("--dir")
        .arg(life.dir())
        .args(["export", &uuid, "-"])
        .stdout(full)
        .output()
        .unwrap();
    let told = String::from_utf8(ran.stderr).unwrap();
    golden::as_written(
        "standard error",
        "a standard output that is full",
        &told.replace(&uuid, "UUID"),
    );
    life.leaves_nothing();
}

fn with_fault(life: &Life, fault: &str) -> Call {
    call(&host::find_tool("strace").unwrap())
        .args(["-f", "-qq", "-o"])
        .arg(life.0.join("strace.log"))
        .args(["-e", fault])
        .arg(host::program())
        .arg("--dir")
        .arg(life.dir())
}

#[test]
fn whoever_is_killed_leaves_all_or_nothing_and_the_pod_as_it_was() {
    require_root!();
    let _ = image!("busybox");
    let _ = tool!("strace");
    let life = Life::new();
    let uuid = over(&life);
    let place = life.0.join("place");
    fs::create_dir(&place).unwrap();
    let target = place.join("x.aci");
    let whole = fs::read(life.export(&[], &uuid)).unwrap();
    let mut killed = 0;
    for (calls, times) in [
        ("write", &[1, 2, 5, 9][..]),
        ("read", &[1, 9]),
        ("openat2", &[1, 20]),
        ("getdents64", &[3, 9]),
        ("fsync", &[1, 2]),
        ("linkat", &[1]),
        ("renameat,renameat2", &[1]),
    ] {
        for existing in [false, true] {
            for time in times {
                let _ = fs::remove_file(&target);
                if existing {
                    fs::write(&target, "before").unwrap();
                }
                let fault = format!("inject={calls}:signal=KILL:when={time}");
                let ran = with_fault(&life, &fault)
                    .args(["export", "--overwrite", &uuid])
                    .arg(&target)
                    .run();
                killed += usize::from(ran.exited() != Some(0));
                let left = fs::read(&target).ok();
                let before = existing.then(|| b"before".to_vec());
                assert!(left == before || left.as_ref() == Some(&whole), "{fault}");
                for name in names(&place) {
                    let content = fs::read(place.join(&name)).unwrap();
                    assert!(name == "x.aci" || content == whole, "{fault}: {name}");
                    fs::remove_file(place.join(&name)).unwrap();
                }
                assert_eq!(life.state(&uuid), "exited", "{fault}");
            }
        }
    }
    assert!(killed > 14, "only {killed} of them were hit");
    life.export(&[], &uuid);
    life.leaves_nothing();
}

#[test]
fn on_file_systems_without_unnamed_files_it_is_the_same() {
    require_root!();
    let _ = image!("busybox");
    let _ = tool!("strace");
    let life = Life::new();
    let uuid = over(&life);
    let whole = fs::read(life.export(&[], &uuid)).unwrap();
    let place = life.0.join("place");
    fs::create_dir(&place).unwrap();
    let target = place.join("x.aci");
    // Which of its calls is it?
    with_fault(&life, "trace=openat")
        .args(["export", &uuid])
        .arg(&target)
        .run()
        .exits(0);
    let log = fs::read_to_string(life.0.join("strace.log")).unwrap();
    let at = 1 + log
        .lines()
        .position(|line| line.contains("O_TMPFILE"))
        .unwrap();
    let fault = format!("inject=openat:error=EOPNOTSUPP:when={at}");
    let export = |words: &[&str]| {
        let words = [&["export"], words].concat();
        with_fault(&life, &fault).args(words).arg(&target).run()
    };
    export(&["--overwrite", &uuid]).exits(0).complains("");
    assert!(fs::read(&target).unwrap() == whole);
    fs::remove_file(&target).unwrap();
    export(&[&uuid]).exits(0).complains("");
    assert!(fs::read(&target).unwrap() == whole);
    assert_eq!(names(&place), ["x.aci"]);
    fs::remove_file(&target).unwrap();
    // Of what fails nothing is left there, either.
    let noise = life.upper(&uuid, "busybox").join("noise");
    let name = "trusted.overlay.metacopy";
    rustix::fs::setxattr(noise, name, b"", rustix::fs::XattrFlags::empty()).unwrap();
    export(&[&uuid]).exits(1);
    assert_eq!(names(&place), [""; 0]);
    life.leaves_nothing();
}

#[test]
fn meanwhile_nobody_removes_the_pod_or_runs_it() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    for state in ["exited", "prepared"] {
        let uuid = match state {
            "exited" => over(&life),
            _ => life.run(&["prepare", "BUSYBOX", "--", "-c", "true"]).stdout,
        };
        let uuid = uuid.trim_end();
        let mut exporting = Command::new(host::program())
            .arg("--dir")
            .arg(life.dir())
            .args(["export", uuid, "-"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It goes on when somebody reads.
        super::super::until("it is held", || life.is_locked(state, uuid));
        let refused = |words: &[&str], title: &str| {
            life.run(words)
                .exits(if words[0] == "run-prepared" { 125 } else { 1 })
                .says("")
                .naming("UUID", uuid)
                .complains_as(title);
        };
        // What is over will be free some time.
        let waiting = (state == "exited").then(|| {
            let file = life.0.join("second.aci");
            let export = ["export", uuid, file.to_str().unwrap()];
            [&export[..], &["rm", uuid]].map(|words| life.call(words).start())
        });
        if state == "prepared" {
            refused(&["rm", uuid], "removing what is in use");
            refused(&["rm", "--force", uuid], "removing what is in use");
            refused(&["export", uuid, "/nowhere/x"], "exporting what is in use");
            refused(&["run-prepared", uuid], "running what is in use");
        }
        let gc = ["gc", "--grace-period=0", "--expire-prepared=0"];
        life.run(&gc).exits(0).says("").complains("");
        life.run(&["image", "rm", "nosecone.net/example/busybox"])
            .exits(1);
        assert_eq!(life.state(uuid), state);
        let mut archive = Vec::new();
        let mut stdout = exporting.stdout.take().unwrap();
        stdout.read_to_end(&mut archive).unwrap();
        assert!(exporting.wait().unwrap().success());
        let file = life.0.write("x.aci", archive);
        assert!(names_in(&file).contains(&"rootfs/bin/busybox".to_owned()));
        match waiting {
            Some([export, remove]) => {
                let late = export.end().exited() == Some(1);
                assert_eq!(life.0.join("second.aci").exists(), !late);
                remove.end().exits(0).says(&format!("removed {uuid}\n"));
            }
            None => {
                life.run(&["rm", uuid]).exits(0);
            }
        }
    }
    life.leaves_nothing();
}
