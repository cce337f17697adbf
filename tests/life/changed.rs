//! What is told of an app's changes to its files.

use std::fs;

use super::Life;
use crate::golden::Cases;
use crate::host;

/// Changes of each kind, and what does not count: the time of a directory, and a
/// file that was made and removed.
const CHANGES: &str = "
    mkdir /made; echo 1 > /made/file; ln -s x /link; mkfifo /made/fifo
    rm -r /bin/vi /root; echo >> /etc/passwd; chmod 600 /etc/group
    rm /bin/ls; mkdir /bin/ls; touch /tmp/away; rm /tmp/away
    : > \"$(printf '/made/\\033[2J')\"
";

/// What is told of them.
const TOLD: &str = "\
C /bin/ls
D /bin/vi
C /etc/group
C /etc/passwd
A /link
A /made
A /made/\\u{1b}[2J
A /made/fifo
A /made/file
D /root
";

#[test]
fn what_the_pod_itself_needs_in_a_root_is_no_change() {
    require_root!();
    let life = Life::new();
    fs::create_dir_all(life.0.join("source")).unwrap();
    let volume = format!(
        "--volume=v,kind=host,source={}",
        life.0.join("source").display()
    );
    let script = ": > /srv/data/file; : > /cache/here/file";
    for roots in [&[][..], &["--no-overlay"]] {
        let file = life.0.join("uuid");
        let save = format!("--uuid-file-save={}", file.display());
        let pod = ["run", "--keep", &save, "--timezone=UTC", &volume];
        let app = [
            "BUSYBOX",
            "--mount=volume=v,target=/srv/data",
            "--tmpfs=/cache/here",
            "--exec=/bin/sh",
            "--",
            "-c",
            script,
        ];
        life.run(&[&pod[..], roots, &app].concat()).exits(0);
        let uuid = fs::read_to_string(&file).unwrap();
        let diff = ["diff", uuid.trim_end()];
        life.run(&diff).exits(0).says("").complains("");
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn what_was_added_changed_and_deleted_is_told_of_an_overlay_and_of_a_copy() {
    require_root!();
    let life = Life::new();
    for options in [&[][..], &["--no-overlay"]] {
        let (uuid, _) = life.over(options, &host::image("busybox"), CHANGES);
        life.run(&["diff", &uuid]).exits(0).says(TOLD).complains("");
    }
}

#[test]
fn the_changes_of_a_running_app_are_told_as_well() {
    require_root!();
    let life = Life::new();
    let script = format!("{CHANGES} echo done; sleep 600");
    let words = ["BUSYBOX", "--exec=/bin/sh", "--", "-c", &script];
    let uuid = life.detach(&words);
    life.until_it_logs(&uuid, "done\n");
    life.run(&["diff", &uuid]).exits(0).says(TOLD).complains("");
    life.run(&["rm", "--force", &uuid]).exits(0);
}

#[test]
fn changes_are_told_as_json() {
    require_root!();
    let life = Life::new();
    let script = "rm -r /root; : > /new; : >> /etc/passwd; touch /etc/passwd";
    let (uuid, _) = life.over(&[], &host::image("busybox"), script);
    let told = "[{\"change\":\"changed\",\"path\":\"/etc/passwd\"},\
        {\"change\":\"added\",\"path\":\"/new\"},{\"change\":\"deleted\",\"path\":\"/root\"}]\n";
    life.run(&["diff", "--format=json", &uuid])
        .exits(0)
        .says(told);
}

#[test]
fn changes_that_cannot_be_told_are_refused() {
    require_root!();
    let life = Life::new();
    let app = |name| ["PROBE", "--name", name, "--", "--trap-exit", "15", "0"];
    let two = life.detach(&[&app("a")[..], &["---"], &app("b")].concat());
    let memory = life.waiting(&["--rm", "--writable=memory"]);
    let (removed, _) = life.over(&[], &host::image("busybox"), ":");
    life.run(&["rm", &removed]).exits(0);
    let mut cases = Cases::default();
    for (status, words) in [
        (2, &["diff"][..]),
        (1, &["diff", &two]),
        (1, &["diff", "--app=web", &two]),
        (1, &["diff", &memory]),
        (1, &["diff", &removed]),
    ] {
        let ran = life.run(words).exits(status).says("");
        let ran = ran.naming("TWO", &two).naming("MEMORY", &memory);
        let ran = ran.naming("REMOVED", &removed);
        let title = words.join(" ");
        let title = title.replace(&two, "TWO").replace(&memory, "MEMORY");
        cases.add(title.replace(&removed, "REMOVED"), &ran.told());
    }
    life.run(&["rm", "--force", &two, &memory]).exits(0);
    cases.as_written("changes that cannot be told");
}
