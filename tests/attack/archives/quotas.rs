//! Bounds on what an archive may hold, and on the memory that reading it takes.

use tar::EntryType;

use super::{Target, new, refused};
use crate::aci::Aci;
use crate::attack::case;
use crate::golden::{Cases, line};
use crate::host::{self, Scratch, call, launcher};

// Names of 64 KiB, trees of a hundred thousand levels.
#[test]
fn every_bound_is_named() {
    require_root!();
    case(
        "T10a",
        "paths, links, depths and headers are bounded",
        || {
            let named = |path: &str| new().pax([("path", path.as_bytes())]).file("x", 0o644, "");
            let entry = |path: &str, title: &str| {
                let ran = refused(named(path)).naming("PATH", path);
                ran.complains_as(title);
            };
            let long = format!("rootfs/{}", "n".repeat(256));
            entry(&long, "a name that is too long");
            let long = format!("rootfs/{}", "d/".repeat(2000));
            entry(&long, "a path that is too long");
            let deep = format!("rootfs{}", "/d".repeat(256));
            entry(&deep, "too many directories");
            let link = "t".repeat(4001);
            let link = new().pax([("linkpath", link.as_bytes())]);
            refused(link.link("rootfs/x", "")).complains_as("a link that is too long");
            let manifest = " ".repeat((4 << 20) + 1);
            refused(Aci::new(&manifest)).complains_as("a manifest that is too long");
            let header = vec![b'x'; (1 << 20) + 1];
            for kind in [
                EntryType::XHeader,
                EntryType::XGlobalHeader,
                EntryType::GNULongName,
                EntryType::GNULongLink,
            ] {
                let image = new().odd(kind, "x", &header, |_| {});
                refused(image).complains_as("a header that is too long");
            }
        },
    );
}

// A sparse file of eight exbibytes, in a few hundred bytes.
#[test]
fn a_file_that_is_nearly_all_hole_counts_whole() {
    require_root!();
    case(
        "T10b",
        "a file that is nearly all hole counts whole",
        || {
            let sparse = |size: &str| {
                let mut map = format!("1\n{size}\n0\n").into_bytes();
                map.resize(512, 0);
                new()
                    .pax([
                        ("GNU.sparse.major", &b"1"[..]),
                        ("GNU.sparse.minor", b"0"),
                        ("GNU.sparse.realsize", size.as_bytes()),
                    ])
                    .file("rootfs/x", 0o644, map)
            };
            for size in ["9223372036854775807", "68719476737"] {
                refused(sparse(size)).complains_as("a file that is too large");
            }
        },
    );
}

// The classic: ten gigabytes of zeros in 42 kilobytes.
#[test]
fn what_becomes_very_much_larger_is_refused() {
    require_root!();
    case("T10c", "what becomes very much larger is refused", || {
        let ran = Target::new().refuses(&bomb(new()));
        ran.complains_as("what becomes very much larger");
    });
}

// Such as the image of a disk, of which little is used.
#[test]
fn what_becomes_very_much_larger_is_read_where_that_is_allowed() {
    require_root!();
    let (scratch, mut cases) = (Scratch::new(), Cases::default());
    scratch.write("image.aci", bomb(new()));
    scratch.write("root.tar.gz", bomb(Aci::empty()));
    for (verb, rest) in [
        (&["validate"][..], &["image.aci"][..]),
        (&["plan"], &["image.aci"]),
        (&["fetch"], &["image.aci"]),
        (
            &[
                "image",
                "build",
                "--name=example.com/a",
                "--output=built.aci",
            ],
            &["root.tar.gz", "--", "/a"],
        ),
    ] {
        let call = |options: &[&str]| {
            let words = [verb, options, rest].concat();
            let launcher = launcher(&scratch.join("dir")).dir(scratch.path());
            launcher.args(words).run()
        };
        let refused = call(&[]);
        assert!(!refused.succeeded(), "{refused:?}");
        cases.add(line(verb), &format!("{}{}", refused.stdout, refused.stderr));
        call(&["--insecure-options=compression"]).exits(0);
    }
    cases.as_written("what becomes very much larger, by whom it is read");
}

/// An archive with a file of zeros, a third of a gigabyte, which becomes a
/// thousand times larger: it is in members of a megabyte.
fn bomb(archive: Aci) -> Vec<u8> {
    const MEMBERS: u32 = 320;
    let zeros = vec![0; 1 << 20];
    let head = archive.odd(EntryType::Regular, "rootfs/zeros", b"", |header| {
        header.set_size(u64::from(MEMBERS) << 20);
    });
    let head = head.bytes();
    let mut packed = member(&head[..head.len() - 1024]);
    for _ in 0..MEMBERS {
        packed.extend(member(&zeros));
    }
    packed.extend(member(&[0; 1024]));
    packed
}

/// Bytes as a member of gzip.
fn member(content: &[u8]) -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    packed.extend(miniz_oxide::deflate::compress_to_vec(content, 6));
    let mut crc = crc32fast::Hasher::new();
    crc.update(content);
    packed.extend(crc.finalize().to_le_bytes());
    packed.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
    packed
}

// A million entries of no content.
#[test]
fn many_names_take_little_memory() {
    require_root!();
    case("T10d", "many names take little memory", || {
        // A hundred thousand names of 200 bytes: 20 MB if they were kept.
        let mut image = new();
        let stem = "n".repeat(60);
        for number in 0..100_000 {
            image = image.file(&format!("rootfs/{stem}{number:030}"), 0o644, "");
        }
        let scratch = Scratch::new();
        let file = scratch.write("image.aci", image.bytes());
        let sh = tool!("sh");
        // Of data, not of addresses: threads reserve more than they use.
        call(&sh)
            .args(["-c", "ulimit -d 65536 && exec \"$0\" validate \"$1\""])
            .arg(host::program())
            .arg(&file)
            .run()
            .exits(0)
            .says(&format!("{} OK\n", file.display()));
    });
}
