//! What is wrong, with the whole text that is shown.

use std::fs;

use rustix::fs::{FlockOperation, Mode, OFlags};

use super::super::{Life, until};
use super::{Groups, WAITING};
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
    for (words, said) in [
        (
            &["p"][..],
            format!("cannot enter pod `{prepared}`: it does not run, but is prepared"),
        ),
        (&["over"], format!("cannot enter pod `{over}`: it is over")),
        (
            &["nobody"],
            "there is no pod `nobody`\nhint: `launcher list` lists all pods".to_owned(),
        ),
        (
            &["several"],
            format!(
                "pod `{several}` has several apps: `one`, `two`\n\
                 hint: `--app=NAME` says which of them is meant"
            ),
        ),
        (
            &["--app=three", "several"],
            format!("pod `{several}` has no app `three`\nhint: it has `one`, `two`"),
        ),
        (
            &["--app=two", "several"],
            format!("cannot enter app `two` of pod `{several}`: it has ended"),
        ),
        (
            &["early"],
            format!("cannot enter app `app` of pod `{early}`: it has not been started yet"),
        ),
        (
            &["--uuid-file=/no/such"],
            "cannot read the UUID of `/no/such`: No such file or directory".to_owned(),
        ),
    ] {
        life.enter(words)
            .exits(125)
            .says("")
            .complains(&format!("launcher: {said}\n"));
    }
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
    for (words, status, said) in [
        (
            &[&uuid[..]][..],
            127,
            "cannot execute `/bin/sh`: No such file or directory",
        ),
        (
            &[&uuid, "none"],
            127,
            "cannot execute `none`: No such file or directory",
        ),
        (
            &[&uuid, ""],
            127,
            "cannot execute ``: No such file or directory",
        ),
        (
            &[&uuid, "/text"],
            126,
            "cannot execute `/text`: Exec format error",
        ),
        (
            &[&uuid, "/data"],
            126,
            "cannot execute `/data`: Permission denied",
        ),
        (
            &[&uuid, "/tmp"],
            126,
            "cannot execute `/tmp`: Permission denied",
        ),
        (
            &[&uuid, "/script"],
            127,
            "cannot execute `/script`: its interpreter `/bin/none` is not in the image\n\
             hint: build the program statically, or add what it needs to the image",
        ),
        (
            &["--cwd=/none", &uuid, "/probe"],
            125,
            "cannot use `/none` as the working directory: No such file or directory",
        ),
        (
            &["--cwd=/text", &uuid, "/probe"],
            125,
            "cannot use `/text` as the working directory: Not a directory",
        ),
        (
            &["--user=x", &uuid, "/probe"],
            125,
            "the image has no user `x` in `/etc/passwd`",
        ),
        (
            &["--group=x", &uuid, "/probe"],
            125,
            "the image has no group `x` in `/etc/group`",
        ),
        (
            &["--user=/x", &uuid, "/probe"],
            125,
            "cannot take the user from `/x`: the image has no such file",
        ),
    ] {
        life.enter(words)
            .exits(status)
            .says("")
            .complains(&format!("launcher: {said}\n"));
    }
    life.call(&["enter", &uuid])
        .user(1000)
        .run()
        .exits(125)
        .complains(
            "launcher: pods can only be run by root\n\
             hint: `launcher plan` shows without privileges what would be done\n",
        );
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
    for name in ["plan", "pod", "report", "started"] {
        fs::copy(pod.with_file_name(&uuid).join(name), pod.join(name)).unwrap();
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
        .complains(&format!(
            "launcher: cannot enter pod `{UUID}`: its process cannot be seen from here\n"
        ));
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
            .complains(&format!(
                "launcher: cannot enter pod `{uuid}`: its plan names the descriptor 9, \
                 which only whoever ran it had open\n"
            ));
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
    let begin = format!("launcher: cannot enter pod `{uuid}`: cannot enter the cgroup `");
    assert!(
        ran.stderr.starts_with(&begin) && ran.stderr.ends_with("`: it is mounted nowhere\n"),
        "{ran:?}"
    );
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
    let open: Vec<_> = open
        .unwrap()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    for (script, said) in [
        (
            without("-sys_ptrace"),
            "cannot open its namespaces: Permission denied\n\
             hint: that takes CAP_SYS_PTRACE"
                .to_owned(),
        ),
        (
            format!("renice -n 5 -p $$ >/dev/null; {}", without("-sys_nice")),
            "cannot become as nice as the pod is (0): Permission denied".to_owned(),
        ),
        (
            hard("ulimit -n 100"),
            format!(
                "cannot set the limit `nofile` to {} and {}: \
                 Operation not permitted\n\
                 hint: to raise a limit takes CAP_SYS_RESOURCE",
                open[0], open[1]
            ),
        ),
    ] {
        let ran = life.enter_after(&script, &[&uuid, "/probe"]).run();
        let what = match said.starts_with("cannot set") {
            true => String::new(),
            false => format!("cannot enter pod `{uuid}`: "),
        };
        ran.exits(125)
            .says("")
            .complains(&format!("launcher: {what}{said}\n"));
    }
    life.run(&["stop", &uuid]).exits(0);
    life.leaves_nothing();
}
