//! Where the changes of apps go: to the disk, to memory, or nowhere.

use super::Pods;
use crate::host::{Scratch, names};

/// Where the pods of a data directory are that run; the files that they write,
/// too, if the host has no place in memory for pods.
const PLACES: [&str; 2] = ["pods/run", "scratch"];

#[test]
fn nothing_that_is_written_in_memory_is_on_the_disk() {
    require_root!();
    let pods = Pods::new();
    let words = ["--write-file", "/new", "text", "--trap-exit", "15", "0"];
    let options = ["--writable=memory", "PROBE", "--"];
    let mut running = pods.run(&[&options[..], &words].concat()).start();
    running.until_it_says("waiting");
    let places = PLACES.map(|place| pods.dir().join(place));
    let pod = places.iter().flat_map(|place| {
        let pods = names(place).into_iter();
        pods.map(|pod| place.join(pod).join("apps/probe"))
    });
    let apps: Vec<_> = pod.filter(|app| app.exists()).collect();
    assert!(!apps.is_empty());
    for app in &apps {
        assert_eq!(names(app), [""; 0], "{}", app.display());
    }
    running.signal(rustix::process::Signal::TERM);
    running.end().exits(0);
    assert!(apps.iter().all(|app| !app.exists()));
}

#[test]
fn what_is_in_memory_can_be_changed_up_to_its_size() {
    require_root!();
    let _ = image!("busybox");
    let pods = Pods::new();
    let fill = "dd if=/dev/zero of=/full bs=4k count=1024 2>&1 | grep -o 'No space left on device'; \
                rm /full /etc/passwd; echo new > /new; cat /new; ls /etc/passwd 2>/dev/null";
    pods.run(&["--writable=memory:1Mi", "BUSYBOX", "--", "-c", fill])
        .run()
        .exits(1)
        .says("No space left on device\nnew\n");
}

#[test]
fn what_is_writable_nowhere_is_read_only_for_every_app() {
    require_root!();
    let pods = Pods::new();
    let write = ["--write-file", "/new", "text"];
    let app = |name| [&["PROBE", "--name", name, "--"][..], &write].concat();
    let words = [&["--writable=none"][..], &app("one"), &["---"], &app("two")].concat();
    let ran = pods.run(&words).run().exits(0);
    let mut lines: Vec<&str> = ran.stdout.lines().collect();
    lines.dedup();
    assert_eq!(lines, ["write /new: EROFS"]);
}

/// When a pod has ended, stage1-init removes by name what the plan has made; an
/// app that was root could have put a link in its place.
#[test]
fn a_link_of_an_app_leads_nobody_who_removes_its_pod_to_the_host() {
    require_root!();
    let _ = image!("busybox");
    let (pods, host) = (Pods::new(), Scratch::new());
    host.write("hosts", "the host's");
    let link = format!("rm -rf /etc && ln -s {} /etc", host.path().display());
    let ran = pods.run(&["BUSYBOX", "--", "-c", &link]).run();
    ran.exits(0).complains("");
    assert_eq!(names(host.path()), ["hosts"]);
    for place in ["pods/run", "pods/garbage", "scratch"] {
        assert_eq!(names(&pods.dir().join(place)), [""; 0], "{place}");
    }
}
