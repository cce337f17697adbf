//! Whatever an app did to its files, the image shows.

use std::path::PathBuf;

use tar::EntryType;

use super::{LIST, Life, tar_of};
use crate::aci::{Aci, manifest};
use crate::host;

/// What an app does in /t: of everything once.
const CHANGES: &str = r#"
set -e
cd /t
rm gone
rm -r to-file; echo file > to-file
rm to-dir; mkdir -m 2750 to-dir; echo x > to-dir/x
mv renamed renamed-now
mkdir pure; echo 1 > pure/1; mv pure pure-now
mv joined/low joined/moved
mv joined/top /t/out-of-it
echo more >> hard-1
ln linked linked-2; ln to-dir/x x-2; ln -s nowhere dead; ln dead dead-2
chmod 4711 mode
chown 1234:4321 owned; chown -h 7:8 link; chown 5:6 joined
rm -r opaque; mkdir opaque; echo new > opaque/new
rm emptied/a emptied/b
rm again; echo again > again
rm there-and-back; mkdir there-and-back; rmdir there-and-back; echo back > there-and-back
rm -r over; ln -s /etc over
mkfifo -m 601 fifo; mknod -m 620 null c 1 3; mknod loop b 7 300
mkdir -m 1777 sticky
: > .wh.stays; mkdir .wh..wh..opq; echo x > .wh..wh..opq/.wh.x
: > "$(printf 'line\nbreak \033[2J')"; : > "$(printf 'bytes \377\376')"
name=$(printf '%0255d' 7); mkdir $name; : > $name/$(printf '%0200d' 8)
: > "$(printf '%0120d\377' 9)"
ln -s $name/$name/$name long-link
dd if=/dev/zero of=sparse bs=1 count=1 seek=5000000 2>/dev/null; echo end >> sparse
head -c 2000000 /dev/zero > zeros
touch -d '1969-12-31 23:59:58' old; touch -d '2300-01-01 00:00:00' young
touch -d '2001-02-03 04:05:06' joined emptied
"#;

/// What is in /t at first, of two images.
fn lower() -> Aci {
    let new = Aci::new(&manifest("null").replace("sample", "low"));
    let owned = |header: &mut tar::Header| {
        header.set_uid(11);
        header.set_gid(22);
        header.set_mtime(1_000_000_000);
    };
    new.dir("rootfs/t")
        .file("rootfs/t/stays", 0o644, "stays")
        .file("rootfs/t/gone", 0o644, "gone")
        .dir("rootfs/t/to-file")
        .file("rootfs/t/to-file/x", 0o644, "x")
        .file("rootfs/t/to-dir", 0o644, "x")
        .dir("rootfs/t/renamed")
        .file("rootfs/t/renamed/a", 0o640, "a")
        .dir("rootfs/t/renamed/b")
        .file("rootfs/t/renamed/b/c", 0o600, "c")
        .dir("rootfs/t/joined")
        .file("rootfs/t/joined/low", 0o644, "low")
        .file("rootfs/t/joined/both", 0o644, "low")
        .file("rootfs/t/hard-1", 0o644, "hard")
        .entry(
            EntryType::Link,
            "rootfs/t/hard-2",
            0o644,
            "rootfs/t/hard-1",
            b"",
        )
        .file("rootfs/t/linked", 0o644, "linked")
        .file("rootfs/t/mode", 0o644, "mode")
        .odd(EntryType::Regular, "rootfs/t/owned", b"o", owned)
        .link("rootfs/t/link", "owned")
        .dir("rootfs/t/opaque")
        .file("rootfs/t/opaque/old", 0o644, "old")
        .dir("rootfs/t/emptied")
        .file("rootfs/t/emptied/a", 0o644, "a")
        .dir("rootfs/t/over")
        .file("rootfs/t/over/x", 0o644, "x")
        .file("rootfs/t/again", 0o644, "first")
        .file("rootfs/t/there-and-back", 0o644, "first")
}

/// The image above it; `more` is what else its manifest says.
fn upper(more: &str) -> Aci {
    let app = r#"{"exec": ["/bin/sh"], "user": "0", "group": "0"}"#;
    let needs = r#""dependencies": [
        {"imageName": "nosecone.net/example/busybox"}, {"imageName": "example.com/low"}]"#;
    let text = manifest(app).replace("\"app\"", &format!("{needs},{more} \"app\""));
    Aci::new(&text)
        .dir("rootfs/t")
        .dir("rootfs/t/joined")
        .file("rootfs/t/joined/top", 0o644, "top")
        .file("rootfs/t/joined/both", 0o644, "top")
        .dir("rootfs/t/emptied")
        .file("rootfs/t/emptied/b", 0o644, "b")
        .dir("rootfs/empty")
}

/// The image of all of them.
fn layered(life: &Life, more: &str) -> PathBuf {
    let busybox = host::image("busybox");
    life.run(&["fetch", busybox.to_str().unwrap()]).exits(0);
    life.store("low.aci", lower());
    life.0.write("top.aci", upper(more).bytes())
}

#[test]
fn the_image_shows_what_the_app_saw_at_its_end() {
    require_root!();
    let _ = image!("busybox");
    // All that the script does not make itself, and some that stays below.
    let listed = [
        "bin/busybox",
        "bin/sh",
        "usr/bin/find",
        "bin/stat",
        "usr/bin/md5sum",
        "bin/sort",
        "usr/bin/sort",
        "usr/bin/head",
        "bin/find",
        "bin/grep",
        "bin/rm",
        "bin/mv",
        "bin/ln",
        "bin/mkdir",
        "bin/rmdir",
        "bin/chmod",
        "bin/chown",
        "bin/mkfifo",
        "bin/mknod",
        "usr/bin/mkfifo",
        "bin/dd",
        "bin/touch",
        "usr/bin/printf",
        "t/gone",
        "t/to-file/x",
        "t/to-dir",
        "t/renamed/a",
        "t/renamed/b/c",
        "t/joined/low",
        "t/joined/top",
        "t/hard-1",
        "t/linked",
        "t/mode",
        "t/owned",
        "t/link",
        "t/opaque/old",
        "t/emptied/a",
        "t/emptied/b",
        "t/again",
        "t/there-and-back",
        "t/over/x",
    ];
    let listed = listed.map(|path| format!("\"/{path}\"")).join(",");
    let whitelist = format!("\"pathWhitelist\": [{listed}],");
    for (more, options) in [
        ("", &[][..]),
        ("", &["--no-overlay"]),
        (&whitelist, &[]),
        (&whitelist, &["--no-overlay"]),
    ] {
        let life = Life::new();
        let image = layered(&life, more);
        let script = format!("{CHANGES}{LIST}");
        let (uuid, before) = life.over(options, &image, &script);
        let has_all = before.contains("renamed-now/b/c") && before.contains("/t/long-link");
        assert!(has_all, "{before}");
        assert_eq!(before.contains("/t/stays"), more.is_empty(), "{before}");
        let export = life.export(&[], &uuid);
        let after = life.within(&export, LIST);
        crate::claims::same(&format!("{options:?} {more}"), &after, &before);
        life.leaves_nothing();
    }
}

#[test]
fn names_of_one_file_stay_names_of_one_file() {
    require_root!();
    let _ = image!("busybox");
    for options in [&[][..], &["--no-overlay"]] {
        let life = Life::new();
        let image = layered(&life, "");
        let (uuid, _) = life.over(options, &image, CHANGES);
        let (_, id) = life.exported(&[], &uuid);
        let tree = life.unpacked(&id);
        let inode = |name: &str| {
            let path = tree.join("t").join(name);
            std::os::unix::fs::MetadataExt::ino(&path.symlink_metadata().unwrap())
        };
        for (one, other) in [
            ("linked", "linked-2"),
            ("to-dir/x", "x-2"),
            ("dead", "dead-2"),
        ] {
            assert_eq!(inode(one), inode(other), "{one}");
        }
        // One of them was copied to be changed, unless all are copies.
        assert_eq!(inode("hard-1") == inode("hard-2"), !options.is_empty());
    }
}

#[test]
fn an_image_of_an_image_has_the_same_files_byte_for_byte() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let image = layered(&life, "");
    // What is made where nothing is would be made anew.
    let own = "mkdir -p /etc; echo 1 > /etc/hosts; echo 2 > /etc/hostname";
    let (uuid, _) = life.over(&[], &image, &format!("{CHANGES} {own} || true"));
    let (first, id) = life.exported(&[], &uuid);
    let (again, same) = life.exported(&[], &uuid);
    assert_eq!(id, same);
    assert!(std::fs::read(&first).unwrap() == std::fs::read(again).unwrap());
    for options in [&[][..], &["--no-overlay"]] {
        let (uuid, _) = life.over(options, &first, "exit 0");
        let second = life.export(&[], &uuid);
        let [first, second] = [&first, &second].map(|archive| {
            let tar = tar_of(archive);
            let root = tar
                .chunks(512)
                .position(|block| block.starts_with(b"rootfs/\0"));
            tar[(root.unwrap() + 1) * 512..].to_vec()
        });
        assert!(first == second, "{options:?}");
    }
}

#[test]
fn of_several_apps_the_one_that_is_named_becomes_an_image() {
    require_root!();
    let busybox = image!("busybox");
    let life = Life::new();
    let busybox = busybox.to_str().unwrap();
    let word = |name: &'static str| [busybox, "--name", name, "--", "-c"];
    let mut words = vec!["run", "--keep", "--uuid-file-save", "uuid"];
    words.extend(word("one"));
    words.extend(["echo 1 > /one; chmod 700 /one", "---"]);
    words.extend(word("two"));
    words.push("rm /linuxrc; echo 2 > /two");
    life.call(&words).dir(life.0.path()).run().exits(0);
    let uuid = std::fs::read_to_string(life.0.join("uuid")).unwrap();
    let uuid = uuid.trim_end();
    let look = "cat /one /two 2>/dev/null; ls -d /linuxrc 2>/dev/null";
    let look = |app: &str| {
        let export = life.export(&["--app", app], uuid);
        life.within(&export, &format!("{look}; true"))
    };
    assert_eq!(look("one"), "1\n/linuxrc\n");
    assert_eq!(look("two"), "2\n");
    life.leaves_nothing();
}

#[test]
fn what_never_ran_and_what_was_killed_is_exported_as_it_is() {
    require_root!();
    let _ = image!("busybox");
    for options in [&[][..], &["--no-overlay"]] {
        let life = Life::new();
        let words = [&["prepare"], options, &["BUSYBOX", "--", "-c", "echo ran"]].concat();
        let uuid = life.run(&words).exits(0).stdout;
        let export = life.export(&[], uuid.trim_end());
        life.run(&["run", export.to_str().unwrap()])
            .exits(0)
            .says("ran\n")
            .complains("");
        life.run(&["run-prepared", uuid.trim_end()])
            .exits(0)
            .says("ran\n");
        let script = "echo file > /file; echo up; sleep 600; sleep 600";
        let words = [options, &["BUSYBOX", "--", "-c", script]].concat();
        let uuid = life.detach(&words);
        life.until_it_logs(&uuid, "up\n");
        super::super::kill(life.pid(&uuid));
        life.run(&["status", "--wait", &uuid]).exits(125);
        assert_eq!(life.state(&uuid), "aborted");
        let export = life.export(&[], &uuid);
        assert_eq!(life.state(&uuid), "aborted");
        assert_eq!(life.pods(), [format!("exited/{uuid}")]);
        assert_eq!(life.within(&export, "cat /file"), "file\n");
        life.leaves_nothing();
    }
}

#[test]
fn an_image_runs_what_the_app_ran_and_needs_no_others() {
    require_root!();
    let _ = image!("busybox");
    let life = Life::new();
    let more = r#""labels": [{"name": "version", "value": "1.2"}],
        "annotations": [{"name": "authors", "value": "somebody"}],
        "pathWhitelist": ["/bin/busybox", "/bin/sh", "/bin/cat"],"#;
    let image = layered(&life, more);
    let image = image.to_str().unwrap();
    let tail = [
        "--user",
        "3",
        "--working-dir",
        "/t",
        "--",
        "-c",
        "echo ran; id -u; pwd",
    ];
    let head = [
        "run",
        "--insecure-options=image",
        "--keep",
        "--name",
        "pod",
        image,
        "--memory",
        "64Mi",
        "--environment",
    ];
    life.run(&[&head[..], &["A=b"], &tail].concat()).exits(0);
    let (export, id) = life.exported(&[], "pod");
    life.run(&["image", "cat-manifest", &id]).exits(0).says(
        r#"{
  "acKind": "ImageManifest",
  "acVersion": "0.8.11",
  "name": "example.com/sample",
  "labels": [
    {
      "name": "version",
      "value": "1.2"
    }
  ],
  "app": {
    "exec": [
      "/bin/sh",
      "-c",
      "echo ran; id -u; pwd"
    ],
    "user": "3",
    "group": "0",
    "workingDirectory": "/t",
    "environment": [
      {
        "name": "A",
        "value": "b"
      }
    ],
    "isolators": [
      {
        "name": "resource/memory",
        "value": {
          "limit": "64Mi"
        }
      }
    ]
  },
  "annotations": [
    {
      "name": "authors",
      "value": "somebody"
    }
  ]
}

"#,
    );
    life.leaves_nothing();
    // Nothing of the images that it was made of is needed.
    life.run(&["image", "gc", "--grace-period=0"]).exits(0);
    life.run(&["run", export.to_str().unwrap()])
        .exits(0)
        .says("ran\n3\n/t\n");
}
