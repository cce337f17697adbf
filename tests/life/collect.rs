//! What `gc` removes, and what it must not.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Life, kill};

/// Makes the directory of a pod as a command leaves it that is killed.
fn left(life: &Life, state: &str, number: u32) -> String {
    let uuid = format!("abcdef12-4b5a-4978-8796-{number:012}");
    let pod = life.dir().join("pods").join(state).join(&uuid);
    fs::create_dir_all(pod.join("apps/probe/rootfs")).unwrap();
    fs::write(pod.join("apps/probe/rootfs/file"), "content").unwrap();
    uuid
}

/// Says in a record of a pod that it was so long ago.
fn age(life: &Life, pod: &str, record: &str, seconds: u64) {
    let then = SystemTime::now() - Duration::from_secs(seconds);
    let then = then
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    let path = life.dir().join("pods").join(pod).join(record);
    let text = fs::read_to_string(&path).unwrap();
    let (_, rest) = text.split_once([',', '}']).unwrap();
    let end = if rest.trim().is_empty() { "}" } else { "," };
    fs::write(&path, format!("{{\"time\":{then}{end}{rest}")).unwrap();
}

#[test]
fn what_commands_left_that_were_killed_goes_and_the_rest_stays() {
    require_root!();
    let life = Life::new();
    let running = life.waiting(&[]);
    let prepared = life.run(&["prepare", "PROBE"]).exits(0).stdout;
    let exited = life.waiting(&[]);
    life.run(&["stop", &exited]).exits(0);
    let aborted = life.waiting(&[]);
    kill(life.pid(&aborted));
    life.run(&["status", "--wait", &aborted]).exits(125);
    let embryo = left(&life, "embryo", 1);
    let prepare = left(&life, "prepare", 2);
    let garbage = left(&life, "garbage", 3);
    fs::create_dir_all(life.dir().join("tmp/left")).unwrap();
    // Of somebody else.
    fs::create_dir(life.dir().join("pods/run/notes")).unwrap();
    let before = life.pods();
    let rubbish = |done: &str| format!("{done} {embryo}\n{done} {prepare}\n{done} {garbage}\n");
    life.run(&["gc", "--dry-run"])
        .exits(0)
        .says(&rubbish("would remove"))
        .complains("");
    assert_eq!(life.pods(), before);
    life.run(&["gc"])
        .exits(0)
        .says(&rubbish("removed"))
        .complains("");
    let prepared = prepared.trim_end();
    let mut rest = [
        format!("exited/{aborted}"),
        format!("exited/{exited}"),
        format!("prepared/{prepared}"),
        "run/notes".to_owned(),
        format!("run/{running}"),
    ];
    rest.sort();
    assert_eq!(life.pods(), rest);
    assert!(!life.dir().join("tmp/left").exists());
    assert_eq!(life.state(&running), "running");
    fs::remove_dir(life.dir().join("pods/run/notes")).unwrap();
    life.run(&["stop", &running]).exits(0);
    life.leaves_nothing();
}

#[test]
fn pods_go_when_their_time_has_come() {
    require_root!();
    let life = Life::new();
    let over = |seconds| {
        let uuid = life.waiting(&[]);
        life.run(&["stop", &uuid]).exits(0);
        age(&life, &format!("exited/{uuid}"), "ended", seconds);
        uuid
    };
    let prepared = |seconds| {
        let uuid = life.run(&["prepare", "PROBE"]).exits(0).stdout;
        let uuid = uuid.trim_end().to_owned();
        age(&life, &format!("prepared/{uuid}"), "created", seconds);
        uuid
    };
    let (young, old) = (over(29 * 60), over(31 * 60));
    let (fresh, stale) = (prepared(23 * 3600), prepared(25 * 3600));
    let mut gone = [format!("removed {old}\n"), format!("removed {stale}\n")];
    gone.sort();
    life.run(&["gc"])
        .exits(0)
        .says(&gone.concat())
        .complains("");
    assert_eq!(
        life.pods(),
        [format!("exited/{young}"), format!("prepared/{fresh}")]
    );
    life.run(&["gc", "--grace-period=20m", "--expire-prepared=2d"])
        .exits(0)
        .says(&format!("removed {young}\n"));
    life.run(&["gc", "--expire-prepared=22h"])
        .exits(0)
        .says(&format!("removed {fresh}\n"));
    assert_eq!(life.pods(), [""; 0]);
}

#[test]
fn what_is_mounted_in_a_pod_is_not_emptied() {
    require_root!();
    let life = Life::new();
    life.run(&["prepare", "PROBE"]).exits(0);
    let uuid = left(&life, "exited", 1);
    let pod = life.dir().join("pods/exited").join(&uuid);
    // On the same file system, so that only the mount tells.
    let precious = life.0.join("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("file"), "precious").unwrap();
    let target = pod.join("apps/probe/rootfs");
    let script = "mount --bind \"$1\" \"$2\" && shift 2 && \"$@\"";
    let inside = |words: &[&str]| {
        crate::host::call(Path::new("/usr/bin/unshare"))
            .args(["--mount", "sh", "-c", script, "sh"])
            .args([&precious, &target])
            .arg(crate::host::program())
            .arg("--dir")
            .arg(life.dir())
            .args(words)
            .run()
    };
    inside(&["rm", &uuid])
        .exits(1)
        .says("")
        .naming("UUID", &uuid)
        .complains_as("what is mounted in a pod is not emptied");
    assert_eq!(
        fs::read_to_string(precious.join("file")).unwrap(),
        "precious"
    );
    life.leaves_nothing();
    assert_eq!(
        fs::read_to_string(precious.join("file")).unwrap(),
        "precious"
    );
}
