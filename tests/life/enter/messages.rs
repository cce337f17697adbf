//! What can be wrong, and what is said of it.

use std::fs;

use rustix::fs::{FlockOperation, Mode, OFlags};

use super::super::{Life, until};
use super::{Groups, WAITING};
use crate::golden::{Cases, line};
use crate::host;

#[test]
fn what_cannot_be_entered_is_told_why() {
    require_root!();
    let life = Life::new();
    let prepared = life.run(&["prepare", "--name=p", "PROBE"]).exits(0).stdout;
    let prepared = prepared.trim_end();
    let over = life.waiting(&["--name=over"]);
    life.run(&["stop", &over]).exits(0);
    let (one, two) = ("--name=one", "--name=two");
    let several = [
        &["--name=several", "PROBE", one][..],
        &WAITING,
        &["---", "PROBE", two],
    ]
    .concat();
    let several = life.detach(&[&several[..], &["--", "--exit-code", "0"]].concat());
    until("an app has ended", || {
        life.status(&several, "app-two").is_some()
    });
    let handlers = r#"{"exec": ["/probe"], "user": "0", "group": "0",
        "eventHandlers": [{"name": "pre-start", "exec": ["/probe", "--sleep", "600"]}]}"#;
    let early = life.image(handlers, |image| image);
    let early = life.detach(&["--name=early", &early, "--name=app"]);
    let mut cases = Cases::default();
    for words in [
        &["p"][..],
        &["over"],
        &["nobody"],
        &["several"],
        &["--app=three", "several"],
        &["--app=two", "several"],
        &["early"],
        &["--uuid-file=/no/such"],
    ] {
        let ran = life.enter(words).exits(125).says("");
        let ran = ran.naming("PREPARED", prepared).naming("OVER", &over);
        let ran = ran.naming("SEVERAL", &several).naming("EARLY", &early);
        cases.add(line(words), &ran.told());
    }
    cases.as_written("what cannot be entered");
    life.enter(&["--app=one", "several", "/probe", "--exit-code", "0"])
        .exits(0)
        .complains("");
    life.run(&["rm", "--force", "several", "early", "p", "over"])
        .exits(0);
    life.leaves_nothing();
}

#[test]
fn a_command_that_cannot_be_executed_is_told_why() {
    require_root!();
    let life = Life::new();
    let app = r#"{"exec": ["/probe"], "user": "0", "group": "0"}"#;
    let image = life.image(app, |image| {
        image
            .file("rootfs/text", 0o755, "not a program\n")
            .file("rootfs/data", 0o644, "no program at all\n")
            .file("rootfs/script", 0o755, "#!/bin/none\n")
    });
    let uuid = life.detach(&[&[&image[..]], &WAITING[..]].concat());
    let mut cases = Cases::default();
    for (words, status) in [
        (&[&uuid[..]][..], 127),
        (&[&uuid, "none"], 127),
        (&[&uuid, ""], 127),
        (&[&uuid, "/text"], 126),
        (&[&uuid, "/data"], 126),
        (&[&uuid, "/tmp"], 126),
        (&[&uuid, "/script"], 126),
        (&["--cwd=/none", &uuid, "/probe"], 125),
        (&["--cwd=/text", &uuid, "/probe"], 125),
        (&["--user=x", &uuid, "/probe"], 125),
        (&["--group=x", &uuid, "/probe"], 125),
        (&["--user=/x", &uuid, "/probe"], 125),
    ] {
        let ran = life.enter(words).exits(status).says("");
        cases.add(line(words).replace(&uuid, "UUID"), &ran.told());
    }
    cases.as_written("what cannot be executed");
    life.call(&["enter", &uuid])
        .user(1000)
        .run()
        .exits(125)
        .complains_as("an ordinary user");
    life.run(&["stop", &uuid]).exits(0);
    life.leaves_nothing();
}

#[test]
fn a_pod_whose_process_cannot_be_seen_is_not_entered() {
    require_root!();
    const UUID: &str = "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0";
    let life = Life::new();
    let uuid = life.waiting(&[]);
    let pod = life.dir().join("pods/run").join(UUID);
    fs::create_dir(&pod).unwrap();
    for name in ["spec", "report", "started"] {
        let file = fs::read_to_string(pod.with_file_name(&uuid).join(name)).unwrap();
        fs::write(pod.join(name), file.replace(&uuid, UUID)).unwrap();
    }
    let started = fs::read_to_string(pod.join("started")).unwrap();
    // The process runs, but began at another time.
    fs::write(
        pod.join("started"),
        started.replace("\"ticks\":", "\"ticks\":1"),
    )
    .unwrap();
    let lock = rustix::fs::open(&pod, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
    life.enter(&[UUID, "/probe"])
        .exits(125)
        .says("")
        .complains_as("a process that cannot be seen");
    rustix::fs::flock(&lock, FlockOperation::Unlock).unwrap();
    life.run(&["stop", &uuid]).exits(0);
    life.run(&["rm", UUID]).exits(0);
    life.leaves_nothing();
}

#[test]
fn a_filter_that_only_the_caller_had_is_not_left_out() {
    require_root!();
    let life = Life::new();
    life.run(&["run", "PROBE", "--", "--exit-code", "0"])
        .exits(0);
    let words = [&["plan", "PROBE"][..], &WAITING].concat();
    let plan = life.run(&words).exits(0).stdout;
    let plan = plan.replace("\nseccomp 100 ", "\nseccomp 9 ");
    let plan = life.0.write("plan", plan).display().to_string();
    // struct sock_filter: everything is allowed.
    let filter = life.0.write("filter", [6, 0, 0, 0, 0, 0, 0xff, 0x7f]);
    let script = format!("exec 9<{}; exec \"$@\"", filter.display());
    let shell = host::call(std::path::Path::new("sh"))
        .args(["-c", &script, "sh"])
        .arg(host::program())
        .arg("--dir")
        .arg(life.dir())
        .args(["run", "--detach", "--plan", &plan]);
    let uuid = shell.run().exits(0).complains("").stdout;
    let uuid = uuid.trim_end();
    for script in ["", "exec 9</etc/passwd"] {
        life.enter_after(script, &[uuid, "/probe"])
            .run()
            .exits(125)
            .says("")
            .naming("UUID", uuid)
            .complains_as("a filter that only the caller had");
    }
    life.run(&["kill", uuid]).exits(0);
    life.leaves_nothing();
}

#[test]
fn who_cannot_enter_the_cgroups_of_an_app_does_not_enter_it() {
    require_root!();
    let unshare = tool!("unshare");
    let life = Life::new();
    let uuid = life.waiting(&[]);
    let groups = Groups::new(&uuid);
    if groups.0.is_empty() {
        skip!("needs cgroups");
    }
    let script = "mount --make-rprivate /; umount -l /sys/fs/cgroup/* /sys/fs/cgroup 2>/dev/null";
    let unshare = unshare.display();
    let again = format!("exec {unshare} -m sh -c '{script}\nexec \"$@\"' sh \"$@\"");
    let ran = life
        .enter_after(
            &format!("{}\n{again}", groups.entering()),
            &[&uuid, "/probe"],
        )
        .run()
        .exits(125)
        .says("");
    // Which of them it is, depends on the host.
    let (front, _) = ran.stderr.rsplit_once(" is not").unwrap();
    let group = front.split('`').nth(3).unwrap().to_owned();
    let hierarchy = match front.strip_suffix('`') {
        Some(front) => format!("`{}`", front.rsplit('`').next().unwrap()),
        None => "version 2".to_owned(),
    };
    ran.naming("HIERARCHY", hierarchy)
        .naming("GROUP", group)
        .naming("UUID", &uuid)
        .complains_as("a cgroup that cannot be entered");
    life.run(&["stop", &uuid]).exits(0);
    life.leaves_nothing();
}

#[test]
fn who_lacks_the_rights_to_be_like_the_pod_is_told_which() {
    require_root!();
    let setpriv = tool!("setpriv");
    let life = Life::new();
    let uuid = life.waiting(&[]);
    let without = |rights: &str| {
        let setpriv = setpriv.display();
        format!("exec {setpriv} --bounding-set={rights} \"$@\"")
    };
    let hard = |script: &str| format!("{script}; {}", without("-sys_resource"));
    let open = fs::read_to_string("/proc/self/limits").unwrap();
    let open = open
        .lines()
        .find_map(|line| line.strip_prefix("Max open files "));
    let open: Vec<_> = open.unwrap().split_whitespace().take(2).collect();
    for (script, title) in [
        (without("-sys_ptrace"), "without CAP_SYS_PTRACE"),
        (
            format!("renice -n 5 -p $$ >/dev/null; {}", without("-sys_nice")),
            "without CAP_SYS_NICE",
        ),
        (hard("ulimit -n 100"), "without CAP_SYS_RESOURCE"),
    ] {
        life.enter_after(&script, &[&uuid, "/probe"])
            .run()
            .exits(125)
            .says("")
            .naming("UUID", &uuid)
            .naming("OPEN", open.join(" and "))
            .complains_as(title);
    }
    life.run(&["stop", &uuid]).exits(0);
    life.leaves_nothing();
}
