//! What differs from an image's ID is told, whatever it is, and is neither run
//! nor exported.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, FileType, Mode, XattrFlags};
use tar::EntryType;

use super::Store;
use crate::aci::{Aci, manifest};
use crate::golden::Cases;
use crate::host::launcher;

/// A capability of a file, as the kernel stores it: CAP_NET_RAW, permitted and
/// effective (linux/capability.h, VFS_CAP_REVISION_2).
pub(super) const NET_RAW: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

fn image() -> Vec<u8> {
    let one = |header: &mut tar::Header| {
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
    };
    Aci::new(&manifest("null"))
        .file("rootfs/file", 0o644, "some content")
        .file("rootfs/other", 0o644, "some content")
        .pax([
            ("SCHILY.xattr.user.kept", &b"value"[..]),
            ("SCHILY.xattr.security.capability", &NET_RAW),
        ])
        .file("rootfs/ping", 0o755, "a program")
        .entry(EntryType::Link, "rootfs/hard", 0o644, "rootfs/file", b"")
        .link("rootfs/link", "file")
        .dir("rootfs/dir")
        .file("rootfs/dir/below", 0o600, "")
        .dir("rootfs/empty")
        .file("rootfs/implied/below", 0o600, "")
        .link("rootfs/through", "dir")
        .file("rootfs/through/beyond", 0o600, "")
        .odd(EntryType::Char, "rootfs/null", b"", one)
        .entry(EntryType::Fifo, "rootfs/fifo", 0o644, "", b"")
        .bytes()
}

/// A store with that image, and its ID.
fn stored() -> (Store, String) {
    let store = Store::new();
    let file = store.scratch.write("image.aci", image());
    launcher(&store.dir())
        .arg("fetch")
        .arg(&file)
        .run()
        .exits(0);
    let id = store.ids().remove(0);
    (store, id)
}

fn set(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

fn remove(path: &Path, name: &str) {
    rustix::fs::lremovexattr(path, name).unwrap();
}

/// Changes the content of a file, and nothing else that can be set.
fn rewrite(path: &Path, content: &str) {
    let before = fs::metadata(path).unwrap().modified().unwrap();
    fs::write(path, content).unwrap();
    fs::File::open(path).unwrap().set_modified(before).unwrap();
}

/// Replaces a file by what `make` makes.
fn replace(path: PathBuf, make: impl FnOnce(&Path)) {
    match path.symlink_metadata().unwrap().is_dir() {
        true => fs::remove_dir(&path).unwrap(),
        false => fs::remove_file(&path).unwrap(),
    }
    make(&path);
}

fn node(path: &Path, kind: FileType, minor: u32) {
    let (mode, device) = (Mode::from_raw_mode(0o644), rustix::fs::makedev(1, minor));
    let name = CString::new(path.as_os_str().as_bytes()).unwrap();
    rustix::fs::mknodat(CWD, &name, kind, mode, device).unwrap();
    let times = rustix::fs::Timestamps {
        last_access: rustix::fs::Timespec::default(),
        last_modification: rustix::fs::Timespec::default(),
    };
    rustix::fs::utimensat(CWD, &name, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// What is done to the tree of a layer, and what is said of that.
type Damage = (&'static str, fn(&Path));

/// Each of them changes one thing.
const DAMAGES: &[Damage] = &[
    ("`/file` has mode 4777, not 0644", |root| {
        let mode = fs::Permissions::from_mode(0o4777);
        fs::set_permissions(root.join("file"), mode).unwrap();
    }),
    ("`/dir` has mode 0700, not 0755", |root| {
        let mode = fs::Permissions::from_mode(0o700);
        fs::set_permissions(root.join("dir"), mode).unwrap();
    }),
    ("`/` has mode 1755, not 0755", |root| {
        fs::set_permissions(root, fs::Permissions::from_mode(0o1755)).unwrap();
    }),
    ("`/other` belongs to 1:2, not to 0:0", |root| {
        chown(root.join("other"), Some(1), Some(2)).unwrap();
    }),
    ("`/dir` has another modification time", |root| {
        let file = fs::File::open(root.join("dir")).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(5))
            .unwrap();
    }),
    ("`/dir/below` is missing", |root| {
        fs::remove_file(root.join("dir/below")).unwrap();
    }),
    ("`/dir/new` is not in the archive", |root| {
        fs::write(root.join("dir/new"), "").unwrap();
    }),
    ("`/implied/new` is not in the archive", |root| {
        fs::create_dir(root.join("implied/new")).unwrap();
    }),
    ("`/through/beyond` is missing", |root| {
        fs::rename(root.join("dir/beyond"), root.join("dir/moved")).unwrap();
    }),
    ("`/link` leads to `other`, not to `file`", |root| {
        replace(root.join("link"), |path| symlink("other", path).unwrap());
    }),
    ("`/hard` is no hard link to `/file`", |root| {
        let content = fs::read(root.join("file")).unwrap();
        replace(root.join("hard"), |path| fs::write(path, content).unwrap());
    }),
    ("`/other` is a hard link to another file", |root| {
        replace(root.join("other"), |path| {
            fs::hard_link(root.join("file"), path).unwrap();
        });
    }),
    ("`/empty` is a regular file, not a directory", |root| {
        replace(root.join("empty"), |path| fs::write(path, "").unwrap());
    }),
    ("`/fifo` is a character device, not a fifo", |root| {
        replace(root.join("fifo"), |path| {
            node(path, FileType::CharacterDevice, 3)
        });
    }),
    ("`/null` is device 1:5, not 1:3", |root| {
        replace(root.join("null"), |path| {
            node(path, FileType::CharacterDevice, 5)
        });
    }),
    ("`/ping` has no attribute `security.capability`", |root| {
        remove(&root.join("ping"), "security.capability");
    }),
    (
        "`/ping` has another value of attribute `user.kept`",
        |root| {
            set(&root.join("ping"), "user.kept", b"other");
        },
    ),
    (
        "`/other` has an attribute `security.capability` that it did not have",
        |root| set(&root.join("other"), "security.capability", &NET_RAW),
    ),
    (
        "`/dir` has an attribute `trusted.overlay.opaque` that it did not have",
        |root| set(&root.join("dir"), "trusted.overlay.opaque", b"y"),
    ),
    ("`/file` was changed after it was stored", |root| {
        rewrite(&root.join("file"), "SOME CONTENT");
    }),
    ("`/file` has another size or kind", |root| {
        rewrite(&root.join("file"), "some more content");
    }),
];

#[test]
fn whatever_changed_in_the_store_is_named() {
    require_root!();
    for (expected, damage) in DAMAGES {
        let (store, id) = stored();
        let ok = store.image(&["verify"]).run();
        ok.exits(0).says(&format!("{id} OK\n")).complains("");
        damage(&store.layer(&id).join("rootfs"));
        let ran = store.image(&["verify"]).run().exits(1);
        let ran = ran.complains("launcher: one image has changed since it was stored\n");
        let told = ran.stdout.strip_prefix(&format!("{id} NOT OK: "));
        let told = told.unwrap_or_else(|| panic!("{expected}: {}", ran.stdout));
        assert!(
            told.trim_end()
                .split("; ")
                .any(|one| one.contains(expected)),
            "{expected}: {told}"
        );
    }
}

#[test]
fn more_differences_than_anybody_reads_are_counted() {
    require_root!();
    let (store, id) = stored();
    for number in 0..30 {
        let name = format!("rootfs/implied/{number}");
        fs::write(store.layer(&id).join(name), "").unwrap();
    }
    let ran = store.image(&["verify", &id]).run().exits(1);
    assert!(ran.stdout.ends_with("; and 20 more\n"), "{}", ran.stdout);
    assert_eq!(ran.stdout.lines().count(), 1);
}

#[test]
fn an_image_whose_files_changed_is_not_exported() {
    require_root!();
    let (store, id) = stored();
    let file = store.scratch.join("out.aci");
    let export = || store.image(&["export", &id]).arg(&file).run();
    rewrite(&store.layer(&id).join("rootfs/file"), "SOME CONTENT");
    export()
        .exits(1)
        .says("")
        .naming("ID", &id)
        .complains_as("an image whose files changed is not exported");
    assert!(!file.exists());
    rewrite(&store.layer(&id).join("rootfs/file"), "some content");
    export().exits(0).says("").complains("");
    assert!(fs::read(&file).unwrap() == image());
}

#[test]
fn an_edited_manifest_is_never_used() {
    require_root!();
    let (store, id) = stored();
    let path = store.path(&id).join("manifest");
    let app = r#"{"exec": ["/ping"], "user": "0", "group": "0"}"#;
    fs::write(&path, manifest(app)).unwrap();
    let ran = store.image(&["verify"]).run().exits(1);
    ran.says(&format!(
        "{id} NOT OK: its manifest is not that of the archive\n"
    ));
    for (words, status) in [
        (&["run", &id[..]][..], 125),
        (&["prepare", &id], 125),
        (&["plan", &id], 1),
        (&["image", "cat-manifest", &id], 1),
        (&["image", "cat-manifest", "example.com/sample"], 1),
    ] {
        let ran = launcher(&store.dir()).args(words).run();
        assert_ne!(ran.exited(), Some(0), "{words:?}");
        let ran = ran.says("");
        assert!(
            ran.stderr
                .contains("its manifest has changed since it was stored"),
            "{words:?} {status}: {}",
            ran.stderr
        );
    }
    // By its name it can still be removed.
    let ran = store.image(&["rm", "example.com/sample"]).run();
    ran.exits(0).says(&format!("removed {id}\n"));
}

#[test]
fn an_image_does_not_take_the_files_of_another() {
    require_root!();
    let (store, id) = stored();
    let other = store.store("example.com/other", "1");
    let path = store.path(&id).join("image");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace(&format!("layer {id}"), &format!("layer {other}")),
    )
    .unwrap();
    let ran = store.image(&["verify", &id]).run().exits(1);
    ran.says(&format!("{id} NOT OK: its layer is not its own\n"));
    let file = store.scratch.join("out.aci");
    store.image(&["export", &id]).arg(&file).run().exits(1);
    assert!(!file.exists());
    let ran = launcher(&store.dir()).args(["run", &id]).run().exits(125);
    assert!(
        ran.stderr.contains("its layer is not its own"),
        "{}",
        ran.stderr
    );
}

// --- what was rendered ---

/// A store with an image that needs another, of which it has one file, so that
/// its root is rendered; the layer, and the IDs of both.
fn rendered() -> (Store, PathBuf, [String; 2]) {
    let store = Store::new();
    let base = store.store("example.com/base", "1");
    let app = r#"{"exec": ["/no/such"], "user": "0", "group": "0"},
        "dependencies": [{"imageName": "example.com/base"}], "pathWhitelist": ["/file1"]"#;
    let file = store
        .scratch
        .write("app.aci", Aci::new(&manifest(app)).bytes());
    prepare(&store, &file);
    let mut ids = store.ids();
    ids.retain(|id| *id != base);
    let mut layers = crate::host::names(&store.dir().join("layers"));
    layers.retain(|layer| *layer != base && *layer != ids[0]);
    let [layer] = layers.try_into().unwrap();
    let layer = store.layer(&layer);
    (store, layer, [ids.remove(0), base])
}

/// Prepares a pod, and gives its UUID.
fn prepare(store: &Store, file: &Path) -> String {
    let prepare = launcher(&store.dir()).args(["prepare", "--insecure-options=image"]);
    prepare
        .arg(file)
        .run()
        .exits(0)
        .stdout
        .trim_end()
        .to_owned()
}

#[test]
fn a_rendered_layer_that_has_changed_is_removed_and_made_again() {
    require_root!();
    let (store, layer, ids) = rendered();
    let gc = |store: &Store| {
        launcher(&store.dir())
            .args(["gc", "--expire-prepared=0"])
            .run()
            .exits(0);
    };
    let all_well = || {
        let mut sorted = ids.clone();
        sorted.sort();
        let lines = sorted.map(|id| format!("{id} OK\n"));
        store
            .image(&["verify"])
            .run()
            .exits(0)
            .says(&lines.concat());
    };
    all_well();
    let file = layer.join("rootfs/file1");
    let changes: [&dyn Fn(); 6] = [
        // The same size, at the same time.
        &|| {
            let modified = fs::metadata(&file).unwrap().modified().unwrap();
            let mut bytes = fs::read(&file).unwrap();
            bytes[7] ^= 1;
            fs::write(&file, bytes).unwrap();
            let opened = fs::File::options().write(true).open(&file).unwrap();
            opened.set_modified(modified).unwrap();
        },
        &|| fs::remove_file(&file).unwrap(),
        &|| fs::write(layer.join("rootfs/more"), "").unwrap(),
        &|| fs::set_permissions(&file, fs::Permissions::from_mode(0o4755)).unwrap(),
        &|| set(&file, "user.more", b"x"),
        &|| {
            fs::remove_file(&file).unwrap();
            symlink("/etc/passwd", &file).unwrap();
        },
    ];
    let mut cases = Cases::default();
    let app = store.scratch.join("app.aci");
    for (number, change) in changes.iter().enumerate() {
        change();
        let verify = || {
            let ran = store.image(&["verify", &ids[0]]).run().exits(1);
            let ran = ran.naming("LAYER", layer.file_name().unwrap());
            let ran = ran.naming("IMAGE", &ids[0]).naming("SHORT", &ids[0][..39]);
            format!("{}{}", ran.output(), ran.told())
        };
        // The pod that it was made for is not robbed of it.
        cases.add(format!("change {number}, used by a pod"), &verify());
        assert!(layer.exists());
        gc(&store);
        cases.add(format!("change {number}"), &verify());
        assert!(!layer.exists());
        store.image(&["verify", &ids[0]]).run().exits(0);
        prepare(&store, &app);
        all_well();
    }
    cases.as_written("a rendered layer that has changed");
}

#[test]
fn a_rendered_layer_is_not_blamed_for_a_change_of_its_images() {
    require_root!();
    let (store, layer, [app, base]) = rendered();
    fs::write(store.layer(&base).join("rootfs/file1"), "x").unwrap();
    store
        .image(&["verify", &app])
        .run()
        .exits(0)
        .says(&format!("{app} OK\n"));
    assert!(layer.exists());
}
