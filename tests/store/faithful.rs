//! Every way that the files of an image take keeps everything they have.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tar::EntryType;

use super::Store;
use super::damage::NET_RAW;
use crate::aci::{Aci, manifest};
use crate::host::{launcher, names};

/// The size of a file that is a hole and five bytes.
const SPARSE: u64 = (64 << 20) + 5;

/// An image with an entry of every kind, in /t.
fn every_kind() -> Aci {
    let map = format!("1\n{}\n5\n", SPARSE - 5).into_bytes();
    let padded = [map.clone(), vec![0; 512 - map.len()], b"bytes".to_vec()].concat();
    let size = SPARSE.to_string();
    let app = r#"{"exec": ["/x"], "user": "0", "group": "0"}"#;
    let odd = |seconds| {
        move |header: &mut tar::Header| {
            header.set_uid(1000);
            header.set_gid(4242);
            header.set_mode(0o6751);
            header.set_mtime(seconds);
        }
    };
    let capable: [(&str, &[u8]); 3] = [
        ("SCHILY.xattr.security.capability", &NET_RAW),
        ("SCHILY.xattr.user.a", b"with\0zeros\n"),
        ("mtime", b"1.000000007"),
    ];
    Aci::new(&manifest(app))
        .odd(EntryType::Directory, "rootfs/t/", b"", |header| {
            header.set_mode(0o1777);
            header.set_uid(7);
            header.set_mtime(1_000_000_000);
        })
        .pax(capable)
        .odd(EntryType::Regular, "rootfs/t/capable", b"x", odd(1))
        .entry(
            EntryType::Link,
            "rootfs/t/linked",
            0o644,
            "rootfs/t/capable",
            b"",
        )
        .odd(EntryType::Regular, "rootfs/t/setuid", b"", odd(86_400))
        .pax([("mtime", &b"-5.25"[..])])
        .file("rootfs/t/old", 0o0, "old")
        .pax([("mtime", &b"4102444800.999999999"[..])])
        .file("rootfs/t/young", 0o444, "young")
        .pax([("SCHILY.xattr.user.on-a-directory", &b""[..])])
        .odd(EntryType::Directory, "rootfs/t/dir/", b"", odd(5))
        .file("rootfs/t/dir/below", 0o600, "below")
        .odd(EntryType::Fifo, "rootfs/t/fifo", b"", odd(6))
        .odd(EntryType::Char, "rootfs/t/char", b"", |header| {
            odd(7)(header);
            header.set_device_major(1).unwrap();
            header.set_device_minor(3).unwrap();
        })
        .odd(EntryType::Block, "rootfs/t/block", b"", |header| {
            odd(8)(header);
            header.set_device_major(7).unwrap();
            header.set_device_minor(300).unwrap();
        })
        .odd(EntryType::Symlink, "rootfs/t/symlink", b"", |header| {
            odd(9)(header);
            header.set_link_name("../nowhere").unwrap();
        })
        .pax([
            ("GNU.sparse.major", &b"1"[..]),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"rootfs/t/sparse"),
            ("GNU.sparse.realsize", size.as_bytes()),
        ])
        .file("GNUSparseFile", 0o644, padded)
}

/// Everything that the files below a directory have, each on a line.
fn described(root: &Path) -> String {
    let mut first_names = BTreeMap::new();
    let mut text = String::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(path) = ahead.pop() {
        let status = path.symlink_metadata().unwrap();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let kind = status.file_type();
        let first = first_names.entry(status.ino()).or_insert(name.clone());
        let (seconds, nanoseconds) = (status.mtime(), status.mtime_nsec());
        write!(
            text,
            "{name} {:o} {}:{} {seconds}.{nanoseconds} rdev={} first={first}",
            status.mode(),
            status.uid(),
            status.gid(),
            status.rdev(),
        )
        .unwrap();
        if kind.is_symlink() {
            write!(text, " -> {:?}", fs::read_link(&path).unwrap()).unwrap();
        }
        if kind.is_file() {
            let content = fs::read(&path).unwrap();
            let end = content.len().saturating_sub(20);
            let zeros = content[..end].iter().all(|&byte| byte == 0);
            write!(text, " {} {zeros} {:?}", content.len(), &content[end..]).unwrap();
            let taken = status.blocks() * 512;
            assert!(taken < 1 << 20, "{} takes {taken} bytes", path.display());
        }
        if kind.is_dir() {
            ahead.extend(names(&path).iter().map(|name| path.join(name)));
        }
        let mut list = vec![0; 4096];
        let length = rustix::fs::llistxattr(&path, &mut list[..]).unwrap();
        let mut attributes: Vec<_> = list[..length].split(|&byte| byte == 0).collect();
        attributes.sort_unstable();
        for attribute in attributes.iter().filter(|name| !name.is_empty()) {
            let attribute = String::from_utf8_lossy(attribute);
            let mut value = vec![0; 4096];
            let length = rustix::fs::lgetxattr(&path, &*attribute, &mut value[..]).unwrap();
            write!(text, " {attribute}={:?}", &value[..length]).unwrap();
        }
        text.push('\n');
    }
    text
}

/// Stores an image, and gives its ID.
fn fetch(dir: &Path, file: &Path) -> String {
    let call = launcher(dir)
        .args(["fetch", "--full", "--insecure-options=image"])
        .arg("--pull-policy=new")
        .arg(file);
    call.run().exits(0).stdout.trim_end().to_owned()
}

#[test]
fn every_kind_of_entry_is_the_same_on_every_way() {
    require_root!();
    let store = Store::new();
    let (dir, scratch) = (store.dir(), &store.scratch);
    let id = fetch(&dir, &scratch.write("every.aci", every_kind().bytes()));
    let image = |verb: &str, id: &str, name: &str| -> PathBuf {
        let target = scratch.join(name);
        store
            .image(&[verb, id])
            .arg(&target)
            .run()
            .exits(0)
            .complains("");
        target
    };
    let unpacked = described(&store.layer(&id).join("rootfs/t"));
    for part in [
        "capable 106751 1000:4242 1.7 ",
        "old 100000 0:0 -6.750000000 ",
        "young 100444 0:0 4102444800.999999999 ",
        "linked 106751 1000:4242 1.7 rdev=0 first=",
        "symlink 120777 1000:4242 9.0 ",
        &format!(" security.capability={NET_RAW:?} user.a="),
        "dir 46751 1000:4242 5.0 ",
        "user.on-a-directory=[]",
        &format!(" {SPARSE} true "),
    ] {
        assert!(unpacked.contains(part), "{part}: {unpacked}");
    }
    let mut ways = vec![
        ("extract", image("extract", &id, "extracted")),
        ("render", image("render", &id, "rendered")),
    ];

    // An image that takes only a part of another is rendered to a layer.
    let needs = r#""dependencies": [{"imageName": "example.com/sample"}],
        "pathWhitelist": ["/t", "/t/*"], "app""#;
    let above = manifest("null").replace("\"app\"", needs);
    let above = above.replace("example.com/sample\",\n", "example.com/above\",\n");
    let above = above.replace(
        "/t/*",
        "/t/capable\", \"/t/linked\", \"/t/setuid\", \"/t/old\", \"/t/young\", \"/t/dir\", \
         \"/t/dir/below\", \"/t/fifo\", \"/t/char\", \"/t/block\", \"/t/symlink\", \"/t/sparse",
    );
    let above = fetch(&dir, &scratch.write("above.aci", Aci::new(&above).bytes()));
    ways.push(("render of a part", image("render", &above, "part")));

    // Pods that are never run, each with its files.
    for (way, options) in [("copied", &["--no-overlay"][..]), ("overlay", &[])] {
        let ran = launcher(&dir).arg("prepare").args(options).arg(&id).run();
        let uuid = ran.exits(0).stdout.trim_end().to_owned();
        if way == "copied" {
            let apps = dir.join("pods/prepared").join(&uuid).join("apps");
            ways.push((way, apps.join(&names(&apps)[0]).join("rootfs")));
        }
        let file = scratch.join(&format!("{way}.aci"));
        let ran = launcher(&dir).arg("export").arg(&uuid).arg(&file).run();
        let exported = ran.exits(0).complains("").stdout.trim_end().to_owned();
        assert_eq!(fetch(&dir, &file), exported);
        let back = image("extract", &exported, &format!("back-{way}"));
        ways.push(("exported and back", back));
    }
    for (way, path) in ways {
        let seen = described(&path.join("t"));
        assert_eq!(sorted(&seen), sorted(&unpacked), "{way}");
    }
    store.image(&["verify"]).run().exits(0).complains("");
}

/// The names of hard links have an order of their own on each way.
fn sorted(text: &str) -> Vec<String> {
    let first = |line: &str| {
        line.replace("first=capable", "first=LINK")
            .replace("first=linked", "first=LINK")
    };
    let mut lines: Vec<_> = text.lines().map(first).collect();
    lines.sort();
    lines
}
