//! What an unpacked file is: contents, holes, owners, modes, times, attributes.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use tar::EntryType;

use super::{Target, new};
use crate::aci::Aci;
use crate::attack::case;
use crate::host::{self, call, launcher};

/// An entry of a file with these ids and mode.
fn owned(image: Aci, kind: EntryType, path: &str, ids: (u64, u64), mode: u32) -> Aci {
    image.odd(kind, path, b"", |header| {
        header.set_uid(ids.0);
        header.set_gid(ids.1);
        header.set_mode(mode);
        header.set_mtime(1_000_000);
    })
}

/// Owner, group, mode and time of what has this path.
fn seen(path: &Path) -> (u32, u32, u32, i64) {
    let status = path.symlink_metadata().unwrap();
    let mode = status.mode() & 0o7777;
    (status.uid(), status.gid(), mode, status.mtime())
}

#[test]
fn owners_and_modes_are_the_archives_whatever_the_umask() {
    require_root!();
    for umask in ["000", "022", "077", "777"] {
        let mut image = new();
        let mut expected = Vec::new();
        for (number, mode) in [
            0o644, 0o755, 0o600, 0o000, 0o777, 0o4755, 0o2755, 0o6711, 0o1777,
        ]
        .into_iter()
        .enumerate()
        {
            for (at, ids) in [(0, 0), (0, 7), (12_345, 54_321), (4_294_967_294, 1)]
                .into_iter()
                .enumerate()
            {
                for (name, kind) in [
                    ("file", EntryType::Regular),
                    ("dir", EntryType::Directory),
                    ("fifo", EntryType::Fifo),
                ] {
                    let name = format!("{name}{number}-{at}");
                    image = owned(image, kind, &format!("rootfs/{name}"), ids, mode);
                    let (uid, gid) = (u32::try_from(ids.0).unwrap(), u32::try_from(ids.1).unwrap());
                    expected.push((name, (uid, gid, mode, 1_000_000)));
                }
            }
        }
        let target = Target::new();
        let file = target.scratch.write("image.aci", image.bytes());
        let sh = tool!("sh");
        call(&sh)
            .args(["-c", "umask $0 && exec \"$@\"", umask])
            .arg(host::program())
            .arg("--dir")
            .arg(target.dir())
            .arg("run")
            .arg(&file)
            .run()
            .exits(127);
        let layers = target.dir().join("layers");
        let rootfs = layers.join(&super::names(&layers)[0]).join("rootfs");
        for (name, expected) in expected {
            assert_eq!(seen(&rootfs.join(&name)), expected, "{name} umask {umask}");
        }
    }
}

#[test]
fn a_group_that_the_store_hands_down_does_not_reach_images() {
    require_root!();
    let target = Target::new();
    let dir = target.dir();
    fs::create_dir(&dir).unwrap();
    std::os::unix::fs::chown(&dir, Some(0), Some(50)).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o2700);
    fs::set_permissions(&dir, mode).unwrap();
    let image = owned(new(), EntryType::Directory, "rootfs/d", (0, 8), 0o755);
    let image = owned(image, EntryType::Regular, "rootfs/d/a", (0, 0), 0o644);
    let image = owned(image, EntryType::Regular, "rootfs/d/b", (0, 8), 0o644);
    let rootfs = target.keeps(&image.bytes());
    assert_eq!(seen(&rootfs.join("d")), (0, 8, 0o755, 1_000_000));
    assert_eq!(seen(&rootfs.join("d/a")), (0, 0, 0o644, 1_000_000));
    assert_eq!(seen(&rootfs.join("d/b")), (0, 8, 0o644, 1_000_000));
}

#[test]
fn times_have_fractions_and_reach_back_before_1970() {
    require_root!();
    let image = new()
        .pax([("mtime", &b"-1.25"[..])])
        .file("rootfs/early", 0o644, "")
        .pax([("mtime", &b"12.000000007"[..])])
        .dir("rootfs/late")
        .file("rootfs/late/x", 0o644, "")
        .odd(EntryType::Regular, "rootfs/binary", b"", |header| {
            header.as_gnu_mut().unwrap().mtime = [0xff; 12];
        });
    let target = Target::new();
    let rootfs = target.keeps(&image.bytes());
    let time = |name: &str| {
        let status = rootfs.join(name).metadata().unwrap();
        (status.mtime(), status.mtime_nsec())
    };
    assert_eq!(time("early"), (-2, 750_000_000));
    assert_eq!(time("late"), (12, 7));
    assert_eq!(time("binary"), (-1, 0));
}

// Attributes by which an overlay redirects a directory, and labels of the host's
// security modules.
#[test]
fn attributes_are_kept_unless_they_are_the_hosts_affair() {
    require_root!();
    case(
        "T8b",
        "no attribute of an image means something to the host",
        || {
            // Two capabilities whose bits are a line break.
            let capability: &[u8] = b"\x01\0\0\x02\0\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
            let attributes = [
                ("SCHILY.xattr.user.sample", &b"a=b\n10 path=a\n"[..]),
                ("SCHILY.xattr.security.capability", capability),
                ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
                ("SCHILY.xattr.trusted.sample", b"y"),
                ("SCHILY.xattr.user.overlay.redirect", b"/etc"),
                ("SCHILY.xattr.security.selinux", b"label"),
                ("LIBARCHIVE.xattr.user.other", b"eA=="),
            ];
            let image = new()
                .pax(attributes)
                .file("rootfs/file", 0o755, "")
                .pax([("SCHILY.xattr.user.sample", &b"dir"[..])])
                .dir("rootfs/dir");
            let target = Target::new();
            let rootfs = target.keeps(&image.bytes());
            let listed = |name: &str| {
                let mut names = vec![0; 4096];
                let length =
                    rustix::fs::listxattr(rootfs.join(name), names.as_mut_slice()).unwrap();
                let text = String::from_utf8(names[..length].to_vec()).unwrap();
                let mut names: Vec<_> = text.split_terminator('\0').map(str::to_owned).collect();
                names.sort();
                names
            };
            let value = |name: &str, attribute: &str| {
                let mut value = vec![0; 4096];
                let path = rootfs.join(name);
                let length = rustix::fs::getxattr(path, attribute, value.as_mut_slice()).unwrap();
                value[..length].to_vec()
            };
            assert_eq!(listed("file"), ["security.capability", "user.sample"]);
            assert_eq!(value("file", "security.capability"), capability);
            assert_eq!(value("file", "user.sample"), b"a=b\n10 path=a\n");
            assert_eq!(listed("dir"), ["user.sample"]);
        },
    );
}

#[test]
fn sparse_files_keep_their_holes() {
    require_root!();
    let tar = tool!("tar");
    for format in ["gnu", "posix"] {
        let target = Target::new();
        let layout = target.scratch.join("layout");
        fs::create_dir_all(layout.join("rootfs")).unwrap();
        fs::write(layout.join("manifest"), crate::aci::running(&["/no/such"])).unwrap();
        let file = fs::File::create(layout.join("rootfs/sparse")).unwrap();
        let mut expected = vec![0_u8; 40 << 20];
        // More pieces than one header has room for, and a hole at the end.
        for piece in 0..40 {
            let at = piece * (1 << 20) + 8192;
            expected[at..at + 4096].fill(7);
            std::os::unix::fs::FileExt::write_all_at(&file, &[7; 4096], at as u64).unwrap();
        }
        file.set_len(expected.len() as u64).unwrap();
        let archive = target.scratch.join("made.tar");
        call(&tar)
            .args(["--sparse", "--format", format, "-cf"])
            .arg(&archive)
            .arg("-C")
            .arg(&layout)
            .args(["manifest", "rootfs"])
            .run()
            .exits(0);
        let bytes = fs::read(&archive).unwrap();
        assert!(bytes.len() < 1 << 20, "{format}: the archive is not sparse");
        let rootfs = target.keeps(&bytes);
        let path = rootfs.join("sparse");
        assert!(fs::read(&path).unwrap() == expected, "{format}");
        let blocks = path.metadata().unwrap().blocks();
        assert!(blocks * 512 < 4 << 20, "{format}: {blocks} blocks");
        // The archive comes back, and what is written into a hole is noticed.
        let back = target.scratch.join("back.tar");
        let id = super::names(&target.dir().join("images")).remove(0);
        launcher(&target.dir())
            .args(["image", "export", &id])
            .arg(&back)
            .run()
            .exits(0);
        assert!(fs::read(&back).unwrap() == bytes, "{format}");
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"x", 500_000).unwrap();
        launcher(&target.dir())
            .args(["image", "verify"])
            .run()
            .exits(1)
            .naming("ID", &id)
            .says_as("an image that was changed")
            .complains_as("how many were changed");
    }
}

#[test]
fn every_kind_of_entry_is_unpacked() {
    require_root!();
    let image = new()
        .file("rootfs/implied/deep/file", 0o644, "content")
        .link("rootfs/link", "../../anywhere")
        .entry(
            EntryType::Link,
            "rootfs/again",
            0o644,
            "rootfs/implied/deep/file",
            b"",
        )
        .entry(EntryType::Fifo, "rootfs/fifo", 0o644, "", b"")
        .entry(EntryType::Continuous, "rootfs/continuous", 0o644, "", b"c")
        // As the first formats have directories.
        .entry(EntryType::Regular, "rootfs/old/", 0o750, "", b"")
        .dir("rootfs/implied")
        .file("rootfs/name\nwith \u{1b}[2J", 0o644, "");
    let target = Target::new();
    let rootfs = target.keeps(&image.bytes());
    assert_eq!(fs::read(rootfs.join("again")).unwrap(), b"content");
    assert_eq!(rootfs.join("again").metadata().unwrap().nlink(), 2);
    let link = fs::read_link(rootfs.join("link")).unwrap();
    assert_eq!(link, Path::new("../../anywhere"));
    let kind = rootfs.join("fifo").metadata().unwrap().file_type();
    assert!(kind.is_fifo());
    assert_eq!(fs::read(rootfs.join("continuous")).unwrap(), b"c");
    assert_eq!(seen(&rootfs.join("old")), (0, 0, 0o750, 0));
    assert_eq!(seen(&rootfs.join("implied")), (0, 0, 0o755, 0));
    // What no entry describes belongs to root, and everybody may look into it.
    let (uid, gid, mode, _) = seen(&rootfs.join("implied/deep"));
    assert_eq!((uid, gid, mode), (0, 0, 0o755));
    assert!(rootfs.join("name\nwith \u{1b}[2J").is_file());
}
