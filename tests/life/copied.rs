//! Files copied between pods and the host.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::Life;
use crate::golden::Cases;
use crate::host;

/// A tree with something of each kind that both sides may have.
const TREE: &str = "
    set -e
    mkdir -m 750 /t; cd /t; mkdir -p a/b 'with space'; echo 1 > a/b/1; echo 2 > 'with space/2'
    ln a/b/1 again; ln -s /etc/passwd link; ln -s nowhere dead; mkfifo -m 640 fifo
    dd if=/dev/zero of=sparse bs=1 count=1 seek=3000000 2>/dev/null; chmod 600 sparse
    chown 1234:4321 a/b/1 'with space'; chown -h 5:6 link; touch -d '2001-02-03 04:05:06' a/b a
";

/// Shows it.
const SHOW: &str = "
    cd /t; find . -exec stat -c '%N %F %a %u %g %s %h' {} + | sort
    find . -type f -exec md5sum {} + | sort; stat -c %y a a/b; stat -c %b sparse
";

/// The options of pods whose root is made in each way.
const ROOTS: [&[&str]; 2] = [&[], &["--no-overlay"]];

// --- what must not happen ---

#[test]
fn no_link_of_an_app_leads_to_the_host() {
    require_root!();
    let life = Life::new();
    let secret = life.0.write("secret", "of the host");
    let outside = life.0.join("outside");
    fs::create_dir(&outside).unwrap();
    let script = format!(
        "ln -s {} /secret; ln -s /../../../.. /up; ln -s {} /out; mkdir -p {}",
        secret.display(),
        outside.display(),
        outside.display()
    );
    for options in ROOTS {
        let (uuid, _) = life.over(options, &host::image("busybox"), &script);
        let from = |path: &str| format!("{uuid}:{path}");
        let into = life.0.join("into");
        fs::create_dir(&into).unwrap();
        let here = into.to_str().unwrap();
        // The link itself is copied.
        life.run(&["cp", &from("/secret"), here]).exits(0);
        assert!(into.join("secret").is_symlink());
        // What is below a link is looked for in the root.
        let below = from(&format!("/up{}", secret.display()));
        life.run(&["cp", &below, here]).exits(1);
        let file = life.0.write("file", "new").display().to_string();
        for target in ["/up/made", "/out"] {
            life.run(&["cp", &file, &from(target)]).exits(0);
        }
        assert!(!fs::exists("/made").unwrap());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(&secret).unwrap(), "of the host");
        fs::remove_dir_all(into).unwrap();
    }
}

#[test]
fn nothing_that_an_app_made_gets_power_on_the_host() {
    require_root!();
    let life = Life::new();
    let script = "mkdir /d; cp /bin/busybox /d/su; chmod 6755 /d/su; mknod /d/null c 1 3";
    let (uuid, _) = life.over(&[], &host::image("busybox"), script);
    let here = life.0.join("here");
    let ran = life.run(&["cp", &format!("{uuid}:/d"), here.to_str().unwrap()]);
    ran.exits(0)
        .says("")
        .complains("launcher: `here/null` is a device, and was left out\n");
    let mode = fs::metadata(here.join("su")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
    assert_eq!(host::names(&here), ["su"]);
}

#[test]
fn what_is_in_the_way_stays() {
    require_root!();
    let life = Life::new();
    let script = "mkdir -p /d/x; echo file > /d/x/file; echo file > /f";
    let (uuid, _) = life.over(&[], &host::image("busybox"), script);
    let here = life.0.join("here");
    fs::create_dir_all(here.join("f/kept")).unwrap();
    fs::create_dir(here.join("d")).unwrap();
    fs::write(here.join("d/x"), "kept").unwrap();
    let (file, tree) = (format!("{uuid}:/f"), format!("{uuid}:/d"));
    let mut cases = Cases::default();
    let path = |name: &str| here.join(name).display().to_string();
    for (title, source, target) in [
        ("a file where a directory is", &file, path("")),
        ("a directory where a file is", &tree, path("")),
        ("into a directory that is missing", &file, path("none/f")),
        (
            "into a directory that is missing, with a slash",
            &file,
            path("none/"),
        ),
        ("below a file", &file, path("d/x/y")),
        ("what is missing", &format!("{uuid}:/none"), path("")),
    ] {
        let ran = life.run(&["cp", source, &target]).exits(1).says("");
        let ran = ran.naming("POD", &uuid).naming("HERE", &here);
        cases.add(title, &ran.told());
    }
    assert_eq!(fs::read_to_string(here.join("d/x")).unwrap(), "kept");
    assert_eq!(host::names(&here.join("f")), ["kept"]);
    assert_eq!(host::names(&here), ["d", "f"]);
    cases.as_written("what is in the way of a copy");
}

#[test]
fn a_copy_that_is_no_copy_between_a_pod_and_the_host_is_refused() {
    require_root!();
    let life = Life::new();
    let app = |name| ["PROBE", "--name", name, "--", "--trap-exit", "15", "0"];
    let two = life.detach(&[&app("a")[..], &["---"], &app("b")].concat());
    let prepared = life.run(&["prepare", "BUSYBOX"]).exits(0).stdout;
    let prepared = prepared.trim_end();
    let mut cases = Cases::default();
    for (status, words) in [
        (2, &["cp"][..]),
        (2, &["cp", "a:b"]),
        (2, &["cp", "a", "b"]),
        (2, &["cp", "a:/x", "b:/x"]),
        (1, &["cp", "none:/x", "."]),
        (1, &["cp", &format!("{two}:/x"), "."]),
        (1, &["cp", &format!("{prepared}:/x"), "."]),
    ] {
        let ran = life.run(words).exits(status).says("");
        let ran = ran.naming("TWO", &two).naming("PREPARED", prepared);
        let title = words.join(" ").replace(&two, "TWO");
        cases.add(title.replace(prepared, "PREPARED"), &ran.told());
    }
    life.run(&["rm", "--force", &two, prepared]).exits(0);
    cases.as_written("copies that are refused");
}

// --- what happens ---

#[test]
fn a_tree_is_the_same_after_it_was_on_the_host() {
    require_root!();
    let life = Life::new();
    let tree = life.0.join("t");
    let here = tree.to_str().unwrap();
    let mut shown = String::new();
    for options in ROOTS {
        let (uuid, said) = life.over(options, &host::image("busybox"), &format!("{TREE}{SHOW}"));
        life.run(&["cp", &format!("{uuid}:/t"), here])
            .exits(0)
            .complains("");
        shown = said;
        if options.is_empty() {
            fs::remove_dir_all(&tree).unwrap();
        }
    }
    // Into a pod that runs, and from there into one that has ended.
    let uuid = life.detach(&["BUSYBOX", "--", "-c", "echo up; sleep 600"]);
    life.until_it_logs(&uuid, "up\n");
    life.run(&["cp", here, &format!("{uuid}:/t")])
        .exits(0)
        .complains("");
    let told = life.enter(&[&uuid, "sh", "-c", SHOW]).exits(0).stdout;
    assert_eq!(told, shown);
    fs::remove_dir_all(&tree).unwrap();
    life.run(&["cp", &format!("{uuid}:/t"), here])
        .exits(0)
        .complains("");
    life.run(&["rm", "--force", &uuid]).exits(0);
    for options in ROOTS {
        let (uuid, _) = life.over(options, &host::image("busybox"), "mkdir /srv");
        life.run(&["cp", here, &format!("{uuid}:srv/")])
            .exits(0)
            .complains("");
        let again = life.0.join("again");
        let copy = format!("{uuid}:/srv/t");
        life.run(&["cp", &copy, again.to_str().unwrap()]).exits(0);
        let status = |path| fs::symlink_metadata(path).unwrap();
        for name in ["a/b/1", "again", "link", "fifo", "sparse", "with space", ""] {
            let (was, is) = (status(tree.join(name)), status(again.join(name)));
            let seen = |of: &fs::Metadata| (of.mode(), of.uid(), of.gid(), of.size(), of.mtime());
            assert_eq!(seen(&is), seen(&was), "{name}");
        }
        fs::remove_dir_all(again).unwrap();
    }
}

#[test]
fn directories_are_merged_files_replaced_and_links_not_written_through() {
    require_root!();
    let life = Life::new();
    let (uuid, _) = life.over(
        &[],
        &host::image("busybox"),
        "mkdir /d; echo new > /d/a; echo new > /d/b",
    );
    let here = life.0.join("here");
    fs::create_dir(&here).unwrap();
    fs::set_permissions(&here, fs::Permissions::from_mode(0o711)).unwrap();
    let kept = life.0.write("kept", "kept");
    fs::write(here.join("a"), "old").unwrap();
    fs::write(here.join("c"), "old").unwrap();
    symlink(&kept, here.join("b")).unwrap();
    life.run(&["cp", &format!("{uuid}:/d/."), here.to_str().unwrap()])
        .exits(0)
        .complains("");
    let content = |name: &str| fs::read_to_string(here.join(name)).unwrap();
    assert_eq!(
        [content("a"), content("b"), content("c")],
        ["new\n", "new\n", "old"]
    );
    assert_eq!(fs::read_to_string(kept).unwrap(), "kept");
    let mode = fs::metadata(&here).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o711, "it belongs to whoever made it");
}

#[test]
fn a_file_of_the_kernel_that_a_pod_sees_can_be_copied() {
    require_root!();
    let life = Life::new();
    let uuid = life.waiting(&[]);
    let here = life.0.join("status");
    life.run(&[
        "cp",
        &format!("{uuid}:/proc/1/status"),
        here.to_str().unwrap(),
    ])
    .exits(0)
    .complains("");
    assert!(
        fs::read_to_string(here)
            .unwrap()
            .starts_with("Name:\tstage1-init\n")
    );
    life.run(&["rm", "--force", &uuid]).exits(0);
}
