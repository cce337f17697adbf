//! Streams that mean different things to different readers.

use tar::EntryType;

use super::{Target, new, refused};
use crate::aci::Aci;
use crate::attack::case;
use crate::golden::Cases;
use crate::host::call;

/// A PAX header of these bytes, well formed or not.
fn extended(kind: EntryType, image: Aci, bytes: &[u8]) -> Aci {
    image.odd(kind, "pax", bytes, |_| {})
}

// What one reader passes over, another takes for a name or size
// (CVE-2025-62518, "TARmageddon").
#[test]
fn malformed_extended_headers_are_refused() {
    require_root!();
    case("T6a", "malformed PAX headers are refused", || {
        let pax = |bytes: &[u8]| {
            extended(EntryType::XHeader, new(), bytes).file("rootfs/x", 0o644, "content")
        };
        let mut cases = Cases::default();
        for bytes in [
            &b"path=x\n"[..],
            b"99 path=rootfs/y\n",
            b"17 path=rootfs/y\n\n",
            b"17 path=rootfs/y\n17 path=rootfs/z\n",
            b"8 path=\n",
            b"12 size=-99\n",
            b"10 uid=a1\n",
        ] {
            cases.add(bytes.escape_ascii(), &refused(pax(bytes)).told());
        }
        cases.as_written("PAX headers that are malformed");
    });
}

// A scanner that believes one of them, and a reader that believes the other; and a
// NUL byte, where one of them stops reading.
#[test]
fn names_that_are_said_in_several_ways_are_refused() {
    require_root!();
    case(
        "T6b",
        "names that are said in several ways are refused",
        || {
            let long = |kind, image: Aci, name: &[u8]| extended(kind, image, name);
            let twice = "two extended headers of one kind";
            for kind in [EntryType::GNULongName, EntryType::GNULongLink] {
                let image = long(kind, new(), b"rootfs/y\0");
                let image = long(kind, image, b"rootfs/z\0");
                refused(image.file("rootfs/x", 0o644, "")).complains_as(twice);
            }
            let image = extended(EntryType::XHeader, new(), b"17 path=rootfs/y\n");
            let image = extended(EntryType::XHeader, image, b"10 uid=500\n");
            refused(image.file("rootfs/x", 0o644, "")).complains_as(twice);

            let image = extended(EntryType::XHeader, new(), b"17 path=rootfs/y\n");
            let image = long(EntryType::GNULongName, image, b"rootfs/z\0");
            refused(image.file("rootfs/x", 0o644, "")).complains_as("two kinds of long names");

            let image = long(EntryType::GNULongName, new(), b"\0");
            refused(image.file("rootfs/x", 0o644, "")).complains_as("an empty long name");
            let image = long(EntryType::GNULongName, new(), b"rootfs/y\0");
            refused(image).complains_as("nothing behind a header");
            let image = extended(EntryType::XGlobalHeader, new(), b"17 path=rootfs/y\n");
            refused(image).complains_as("a name for all files");
            let image = new().pax([("path", &b"rootfs/a\0b"[..])]);
            refused(image.file("rootfs/x", 0o644, "")).complains_as("a NUL byte");
        },
    );
}

// Content that is taken for headers where the sizes differ, so that an archive in
// the archive is unpacked (CVE-2025-62518, RUSTSEC-2026-0068).
#[test]
fn the_size_in_a_pax_header_counts() {
    require_root!();
    case(
        "T6c",
        "the size in a PAX header counts, so that nothing is hidden in content",
        || {
            // Read by the other size, the content is a header that writes a file.
            let hidden = Aci::empty().file("rootfs/hidden", 0o644, "").bytes();
            let hidden = &hidden[..512];
            let image = new().pax([("size", &b"512"[..])]).odd(
                EntryType::Regular,
                "rootfs/x",
                hidden,
                |header| {
                    header.set_size(0);
                },
            );
            // The builder wrote the content that the header does not count.
            let target = Target::new();
            let rootfs = target.keeps(&image.bytes());
            assert_eq!(super::names(&rootfs), ["x"]);
            assert_eq!(std::fs::read(rootfs.join("x")).unwrap(), hidden);
            // Larger than what follows.
            let image = new()
                .pax([("size", &b"1000000"[..])])
                .file("rootfs/x", 0o644, "x");
            refused(image).complains_as("a size that is larger than what follows");
        },
    );
}

// Numbers in base 256 of which a reader sees the lower half.
#[test]
fn numbers_that_are_none_are_refused() {
    require_root!();
    case("T6d", "sizes and ids that overflow are refused", || {
        let odd = |change: &dyn Fn(&mut tar::GnuHeader)| {
            new().odd(EntryType::Regular, "rootfs/x", b"", |header| {
                change(header.as_gnu_mut().unwrap());
            })
        };
        let mut cases = Cases::default();
        let mut refused = |what: &str, image| cases.add(what, &super::refused(image).told());
        refused("octal", odd(&|header| header.size = *b"9zzzzzzzzzzz"));
        refused("sign", odd(&|header| header.mode = *b"-0000644"));
        // 2^64 and more, of which a reader may see the lower half only.
        refused(
            "more than 64 bits",
            odd(&|header| header.size = [0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
        );
        refused("negative", odd(&|header| header.size = [0xff; 12]));
        refused("size", odd(&|header| header.size = *b"777777777777"));
        for uid in [
            [0xff; 8],
            [0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
            [0x80, 0, 0, 1, 0, 0, 0, 0],
        ] {
            refused(&format!("uid {uid:02x?}"), odd(&|header| header.uid = uid));
        }
        cases.as_written("numbers that are none");
    });
}

// Readers differ in whether the content of what is no file is passed over.
#[test]
fn only_files_have_content() {
    require_root!();
    case("T6e", "members that are no files have no content", || {
        let hidden = Aci::empty().file("rootfs/hidden", 0o644, "").bytes();
        let hidden = &hidden[..512];
        for kind in [
            EntryType::Directory,
            EntryType::Symlink,
            EntryType::Link,
            EntryType::Fifo,
        ] {
            let image = new().pax([("size", &b"512"[..])]);
            let image = image.odd(kind, "rootfs/x", hidden, |header| header.set_size(0));
            refused(image).complains_as("content of what is no file");
            // Content behind a header that says so is no member.
            let image = new().file("rootfs/y", 0o644, "");
            let image = image.entry(kind, "rootfs/x", 0o644, "rootfs/y", &[b'x'; 512]);
            refused(image).complains_as("a damaged header");
        }
        let link = |image: Aci| image.entry(EntryType::Link, "rootfs/x", 0o644, "y", hidden);
        let image = link(new().pax([("mtime", &b"1.5"[..])]));
        refused(image).complains_as("content of what is no file");
        let image = extended(EntryType::XGlobalHeader, new(), b"13 comment=x\n");
        refused(link(image)).complains_as("content of what is no file");
        let image = new().entry(EntryType::Regular, "rootfs/x/", 0o644, "", b"x");
        refused(image).complains_as("content of what is no file");
    });
}

#[test]
fn members_of_other_kinds_are_refused() {
    require_root!();
    for kind in *b"VMDNXZ" {
        let image = new().entry(EntryType::new(kind), "rootfs/x", 0o644, "", b"");
        refused(image).complains_as("members of other kinds");
    }
}

// Bytes behind the end, a cut in a header, in content and between members.
#[test]
fn damaged_and_cut_archives_are_refused() {
    require_root!();
    case(
        "T11a",
        "of a damaged or cut archive nothing is stored",
        || {
            let sound = new().file("rootfs/x", 0o644, [7; 3000]).bytes();
            let early = "a cut in a header, or in padding";
            let middle = "a cut in content";
            for (length, title) in [
                (sound.len() - 1025, early),
                (sound.len() - 1024 - 3072 + 100, middle),
                (sound.len() - 1024 - 3072 - 100, early),
                (600, early),
            ] {
                let ran = Target::new().refuses(&sound[..length]);
                ran.complains_as(title);
            }
            let mut broken = sound.clone();
            let at = sound.len() - 1024 - 3072 - 512 + 20;
            broken[at] ^= 1;
            let ran = Target::new().refuses(&broken);
            ran.complains_as("a damaged header");
            let mut longer = sound.clone();
            longer.extend(Aci::empty().file("rootfs/y", 0o644, "").bytes());
            let behind = "bytes behind the end";
            Target::new().refuses(&longer).complains_as(behind);
            longer.truncate(sound.len());
            longer.push(1);
            Target::new().refuses(&longer).complains_as(behind);
        },
    );
}

// Pieces that overlap, or lie behind the end.
#[test]
fn broken_maps_of_sparse_files_are_refused() {
    require_root!();
    case("T6f", "broken maps of sparse files are refused", || {
        let broken = "a broken map";
        let old = |map: &[(u64, u64)], stored: usize, size: u64| {
            new().odd(
                EntryType::GNUSparse,
                "rootfs/x",
                &vec![7; stored],
                |header| {
                    let gnu = header.as_gnu_mut().unwrap();
                    gnu.realsize
                        .copy_from_slice(format!("{size:011o}\0").as_bytes());
                    for (slot, (offset, length)) in gnu.sparse.iter_mut().zip(map) {
                        slot.offset
                            .copy_from_slice(format!("{offset:011o}\0").as_bytes());
                        slot.numbytes
                            .copy_from_slice(format!("{length:011o}\0").as_bytes());
                    }
                },
            )
        };
        for (map, stored, size) in [
            (&[(512, 512)][..], 512, 600),         // behind the end
            (&[(512, 512), (0, 512)], 1024, 1024), // backwards
            (&[(0, 512), (256, 512)], 1024, 1024), // over one another
            (&[(0, 512)], 1024, 1024),             // less than is there
            (&[(0, 1024)], 512, 1024),             // more than is there
            (&[(0, 100), (512, 100)], 200, 1024),  // uneven
        ] {
            refused(old(map, stored, size)).complains_as(broken);
        }
        let new_format = |map: &[u8], size: &str| {
            let mut content = map.to_vec();
            content.resize(512, 0);
            new()
                .pax([
                    ("GNU.sparse.major", &b"1"[..]),
                    ("GNU.sparse.minor", b"0"),
                    ("GNU.sparse.name", b"rootfs/x"),
                    ("GNU.sparse.realsize", size.as_bytes()),
                ])
                .file("rootfs/GNUSparseFile.0/x", 0o644, content)
        };
        for map in [
            &b"1\n0\n"[..],
            b"1\n-1\n0\n",
            b"1\n0\n512\n",
            b"1\n0\n0x0\n",
            b"",
        ] {
            refused(new_format(map, "10")).complains_as(broken);
        }
        let image = new_format(b"9999999\n", "10");
        refused(image).complains_as("a map of too many pieces");
        for (records, title) in [
            (
                &[("GNU.sparse.map", &b"0,0"[..])][..],
                "a map without a size",
            ),
            (
                &[("GNU.sparse.map", b"0,0"), ("GNU.sparse.size", b"0")],
                broken,
            ),
            (
                &[("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0")],
                "a map of a newer format",
            ),
        ] {
            let image = new().pax(records.iter().copied());
            refused(image.file("rootfs/x", 0o644, "")).complains_as(title);
        }
    });
}

// The same archive must be the same files to GNU tar and libarchive.
#[test]
fn other_readers_list_what_is_unpacked() {
    require_root!();
    case("T6g", "other readers list what is unpacked", || {
        let long = format!("rootfs/{}/file", "d".repeat(150));
        let image = new()
            .dir("./rootfs/dir")
            .file("rootfs//dir/./a", 0o644, "a")
            .pax([("path", long.as_bytes()), ("mtime", b"12.5")])
            .file("rootfs/short", 0o644, "b")
            .link("rootfs/line\nbreak", "/x")
            .file("rootfs/\u{e9}", 0o644, "c");
        let bytes = image.bytes();
        let target = Target::new();
        let rootfs = target.keeps(&bytes);
        let file = target.scratch.join("image.aci");
        let mut ours = Vec::new();
        list(&rootfs, "rootfs", &mut ours);
        ours.push("manifest".to_owned());
        ours.push("rootfs".to_owned());
        ours.sort();
        for (name, word) in [
            ("tar", "--quoting-style=literal"),
            ("bsdtar", "--numeric-owner"),
        ] {
            let Some(tool) = crate::host::find_tool(name) else {
                crate::host::skipped(&format!("one part needs `{name}`"));
                continue;
            };
            let ran = call(&tool)
                .env("LC_ALL", "C.UTF-8")
                .args([word, "-tf"])
                .arg(&file)
                .run()
                .exits(0);
            let mut theirs: Vec<_> = ran
                .stdout
                .replace("line\nbreak", "line break")
                .replace("line\\nbreak", "line break")
                .lines()
                .map(|line| {
                    line.trim_end_matches('/')
                        .replace("//", "/")
                        .replace("./", "")
                })
                .collect();
            // The directory of the long name has no entry.
            theirs.push(format!("rootfs/{}", "d".repeat(150)));
            theirs.sort();
            assert_eq!(theirs, ours, "{name}");
        }
    });
}

fn list(dir: &std::path::Path, above: &str, paths: &mut Vec<String>) {
    for name in super::names(dir) {
        let path = format!("{above}/{}", name.replace('\n', " "));
        if dir.join(&name).symlink_metadata().unwrap().is_dir() {
            list(&dir.join(&name), &path, paths);
        }
        paths.push(path);
    }
}
