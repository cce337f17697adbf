//! What other programs write and read. What GNU tar, libarchive and the reference
//! implementation all read in one way is an image here, too, byte for byte; what
//! they read in different ways is refused, each with a reason.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use tar::EntryType;

use super::{Target, names, new};
use crate::aci::{Aci, running};
use crate::golden::Cases;
use crate::host::{self, Scratch, call, launcher};

/// An archive whose last member is a file, so that what is behind the odd one
/// is known to be read.
fn ending(image: Aci) -> Vec<u8> {
    image.file("rootfs/last", 0o644, "last").bytes()
}

/// An odd member of no content, whose header says that it has a byte.
fn sized(kind: EntryType, target: &str) -> Vec<u8> {
    let image = new().file("rootfs/a", 0o644, "a");
    ending(image.odd(kind, "rootfs/odd", b"", |header| {
        header.set_size(1);
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
        header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
    }))
}

/// A hard link to a file, by this target.
fn linked(target: &str) -> Vec<u8> {
    let image = new().file("rootfs/a", 0o644, "a");
    ending(image.entry(EntryType::Link, "rootfs/h", 0o644, target, b""))
}

/// An archive after a global header.
fn global(record: &[u8]) -> Vec<u8> {
    let image = Aci::empty().odd(EntryType::XGlobalHeader, "pax", record, |_| {});
    let manifest = running(&["/no/such"]);
    ending(image.file("manifest", 0o644, manifest).dir("rootfs"))
}

/// All headers of an archive without extended ones, changed, with this checksum.
fn changed(mut bytes: Vec<u8>, change: fn(&mut [u8]), sum: fn(u8) -> i64) -> Vec<u8> {
    let mut at = 0;
    while bytes[at] != 0 {
        let header = &mut bytes[at..at + 512];
        let size = std::str::from_utf8(&header[124..135]).unwrap();
        let size = usize::from_str_radix(size, 8).unwrap();
        change(header);
        header[148..156].fill(b' ');
        let sum: i64 = header.iter().map(|&byte| sum(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        at += 512 + size.next_multiple_of(512);
    }
    bytes
}

/// What a program unpacks into `rootfs`.
fn unpacked(program: &Path, archive: &Path) -> Vec<String> {
    let scratch = Scratch::new();
    let out = call(program).arg("-C").arg(scratch.path());
    out.arg("-xf").arg(archive).run().exits(0);
    names(&scratch.join("rootfs"))
}

#[test]
fn what_others_all_read_is_read_as_they_read_it() {
    require_root!();
    let plain = || new().file("rootfs/a", 0o644, "a");
    let cut = |zeros: usize| {
        let bytes = ending(plain());
        bytes[..bytes.len() - 1024 + zeros].to_vec()
    };
    let unsigned = |byte: u8| i64::from(byte);
    let first_format: fn(&mut [u8]) = |header| {
        header[257..].fill(0);
        if header[156] == b'0' {
            header[156] = 0;
        }
    };
    let named = |image: Aci| ending(image.file("rootfs/caf\u{e9}", 0o644, "a"));
    let mut cases = vec![
        ("a link with a size", sized(EntryType::Symlink, "x")),
        (
            "a hard link with a size",
            sized(EntryType::Link, "rootfs/a"),
        ),
        ("a directory with a size", sized(EntryType::Directory, "")),
        ("a pipe with a size", sized(EntryType::Fifo, "")),
        ("a device with a size", sized(EntryType::Char, "")),
        (
            "empty names of user and group",
            ending(new().pax([("uname", &b""[..]), ("gname", b"")])),
        ),
        (
            "a comment given twice",
            ending(new().pax([("comment", &b"a"[..]), ("comment", b"b")])),
        ),
        (
            "a time without its fraction",
            ending(new().pax([("mtime", &b"12."[..])])),
        ),
        ("no zeros at the end", cut(0)),
        ("a block of zeros at the end", cut(512)),
        ("an absolute hard link", linked("/rootfs/a")),
        ("a hard link from the top", linked("./rootfs/a")),
        (
            "signed checksums",
            changed(named(new()), |_| {}, |byte| i64::from(byte.cast_signed())),
        ),
        (
            "the first format",
            changed(ending(plain()), first_format, unsigned),
        ),
        (
            "a version that there is not",
            changed(
                ending(plain()),
                |header| header[257..265].copy_from_slice(b"ustar\0\0\0"),
                unsigned,
            ),
        ),
    ];
    let global_keys = ["SCHILY.archtype=x", "comment=", "GNU.volume.label=disk"];
    for key in global_keys {
        let length = key.len() + 4;
        cases.push((key, global(format!("{length} {key}\n").as_bytes())));
    }
    let actool = host::find_tool("actool");
    for (name, bytes) in cases {
        let target = Target::new();
        let rootfs = target.keeps(&bytes);
        let ours = names(&rootfs);
        assert!(ours.contains(&"last".to_owned()), "{name}: {ours:?}");
        let file = target.scratch.join("image.aci");
        for other in ["tar", "bsdtar"] {
            let Some(other) = host::find_tool(other) else {
                host::skipped(&format!("one part needs `{other}`"));
                continue;
            };
            assert_eq!(unpacked(&other, &file), ours, "{name}: {other:?}");
        }
        // What it refuses of these is refused for what is not the archive's fault.
        let more = global_keys.contains(&name) || name == "the first format";
        if let Some(actool) = actool.as_ref().filter(|_| !more) {
            call(actool).arg("validate").arg(&file).run().exits(0);
        }
        // Its ID is that of the very archive, which comes back.
        let back = target.scratch.join("back.tar");
        let id = names(&target.dir().join("images")).remove(0);
        let export = launcher(&target.dir());
        export
            .args(["image", "export", &id])
            .arg(&back)
            .run()
            .exits(0);
        assert!(fs::read(&back).unwrap() == bytes, "{name}");
    }
}

#[test]
fn sparse_files_of_all_formats_keep_their_holes() {
    require_root!();
    let tar = tool!("tar");
    for version in ["0.0", "0.1", "1.0"] {
        let target = Target::new();
        let layout = target.scratch.join("layout");
        fs::create_dir_all(layout.join("rootfs")).unwrap();
        fs::write(layout.join("manifest"), running(&["/no/such"])).unwrap();
        let path = layout.join("rootfs").join("d".repeat(120));
        let mut expected = vec![0_u8; 4 << 20];
        let file = fs::File::create(path).unwrap();
        for at in [1 << 20, 3 << 20] {
            expected[at..at + 4096].fill(7);
            std::os::unix::fs::FileExt::write_all_at(&file, &[7; 4096], at as u64).unwrap();
        }
        file.set_len(expected.len() as u64).unwrap();
        let archive = target.scratch.join("made.tar");
        let sparse = format!("--sparse-version={version}");
        call(&tar)
            .args(["--sparse", &sparse, "--format=posix", "-cf"])
            .arg(&archive)
            .arg("-C")
            .arg(&layout)
            .args(["manifest", "rootfs"])
            .run()
            .exits(0);
        let bytes = fs::read(&archive).unwrap();
        assert!(bytes.len() < 1 << 20, "{version}: it is not sparse");
        let rootfs = target.keeps(&bytes);
        assert_eq!(names(&rootfs), ["d".repeat(120)], "{version}");
        let path = rootfs.join("d".repeat(120));
        assert!(fs::read(&path).unwrap() == expected, "{version}");
        let blocks = std::os::unix::fs::MetadataExt::blocks(&path.metadata().unwrap());
        assert!(blocks * 512 < 1 << 20, "{version}: {blocks} blocks");
    }
}

/// What programs of these names make of bytes.
fn compressed(program: &Path, bytes: &[u8]) -> Vec<u8> {
    let scratch = Scratch::new();
    let file = scratch.write("bytes", bytes);
    call(program).arg("--keep").arg(&file).run().exits(0);
    let name = names(&scratch.join(""))
        .into_iter()
        .find(|name| name != "bytes");
    fs::read(scratch.join(&name.unwrap())).unwrap()
}

#[test]
fn zeros_behind_compressed_data_are_padding() {
    require_root!();
    let plain = ending(new());
    let mut cases = Cases::default();
    for program in [tool!("gzip"), tool!("bzip2"), tool!("xz")] {
        let name = program.file_name().unwrap().to_string_lossy().into_owned();
        let packed = compressed(&program, &plain);
        let (first, second) = plain.split_at(1024);
        let twice = [compressed(&program, first), compressed(&program, second)];
        for (what, bytes) in [
            ("as it is", packed.clone()),
            ("in two pieces", twice.concat()),
            ("padded to a record of tar", {
                let mut padded = packed.clone();
                padded.resize(10_240, 0);
                padded
            }),
        ] {
            let target = Target::new();
            let rootfs = target.keeps(&bytes);
            assert_eq!(names(&rootfs), ["last"], "{name}, {what}");
        }
        let behind = |more: &[u8]| [&packed, more].concat();
        let mut broken = packed.clone();
        let middle = packed.len() / 2;
        broken[middle] ^= 0x55;
        for (what, bytes) in [
            ("cut in its first bytes", packed[..5].to_vec()),
            ("cut in the middle", packed[..middle].to_vec()),
            ("cut at the end", packed[..packed.len() - 4].to_vec()),
            ("damaged in the middle", broken),
            ("with text behind it", behind(b"text text text")),
            (
                "with text behind its padding",
                behind(&[[0; 8], *b"and text"].concat()),
            ),
        ] {
            cases.add(
                format!("{name}, {what}"),
                &Target::new().refuses(&bytes).told(),
            );
        }
    }
    cases.as_written("compressed data that is damaged");
}

// bsdtar pads what it writes to a pipe.
#[test]
fn what_bsdtar_writes_to_a_pipe_is_an_image() {
    require_root!();
    let (sh, bsdtar) = (tool!("sh"), tool!("bsdtar"));
    let target = Target::new();
    let layout = target.scratch.join("layout");
    fs::create_dir_all(layout.join("rootfs")).unwrap();
    fs::write(layout.join("manifest"), running(&["/no/such"])).unwrap();
    for option in ["-cz", "-cj", "-cJ"] {
        let out = target.scratch.join("out");
        call(&sh)
            .args([
                "-c",
                "\"$0\" $1 -f - -C \"$2\" manifest rootfs | cat > \"$3\"",
            ])
            .arg(&bsdtar)
            .arg(option)
            .arg(&layout)
            .arg(&out)
            .run()
            .exits(0);
        let bytes = fs::read(out).unwrap();
        assert_eq!(bytes.len() % 10_240, 0, "{option}: it is not padded");
        Target::new().keeps(&bytes);
    }
}

// Whatever readers read in different ways: see the table in `archive/tar_reader.rs`.
#[test]
fn what_readers_read_in_different_ways_is_refused() {
    require_root!();
    let mut cases = Cases::default();
    let mut refused = |what: &str, bytes: &[u8]| {
        cases.add(what, &Target::new().refuses(bytes).told());
    };
    let mut behind = ending(new());
    behind.write_all(&[b'x'; 512]).unwrap();
    refused("data behind the end", &behind);
    let mut lone = new().bytes();
    lone.truncate(lone.len() - 512);
    lone.extend(Aci::empty().file("rootfs/x", 0o644, "").bytes());
    refused("members behind one block of zeros", &lone);
    let digits = |header: &mut tar::Header| {
        header
            .as_gnu_mut()
            .unwrap()
            .size
            .copy_from_slice(b"\x0000000000001");
    };
    let image = new().odd(EntryType::Regular, "rootfs/x", b"", digits);
    refused("digits behind a NUL byte", &ending(image));
    let letters = |header: &mut tar::Header| {
        header
            .as_gnu_mut()
            .unwrap()
            .uid
            .copy_from_slice(b"zzzzzzz\0");
    };
    let image = new().odd(EntryType::Regular, "rootfs/x", b"", letters);
    refused("letters in a number", &ending(image));
    refused("a path for all members", &global(b"17 path=rootfs/x\n"));
    refused("a time for all members", &global(b"11 mtime=1\n"));
    refused("an owner for all members", &global(b"9 uid=99\n"));
    let empty = new().pax([("path", &b""[..])]);
    refused("an empty path", &ending(empty));
    let twice = new().pax([("uid", &b"1"[..]), ("uid", b"2")]);
    refused("an owner given twice", &ending(twice));
    let label = new().odd(EntryType::new(b'V'), "rootfs/label", b"", |_| {});
    refused("the label of a volume", &ending(label));
    cases.as_written("what readers read in different ways");
}
