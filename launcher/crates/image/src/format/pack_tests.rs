//! What is packed is what is read back: by the same strict reader that every
//! other archive has to pass.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use super::*;
use crate::archive::gzip::Gunzip;
use crate::format::aci::walk;

fn attributes() -> Attributes {
    Attributes {
        uid: 0,
        gid: 0,
        mode: 0o755,
        mtime: (0, 0),
        extended: BTreeMap::new(),
    }
}

/// An unnamed file with some content.
fn file(content: &[u8]) -> File {
    let file = empty();
    file.write_all_at(content, 0).unwrap();
    file
}

fn empty() -> File {
    let flags = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR;
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let file = rustix::fs::open(std::env::temp_dir(), flags, mode);
    file.unwrap().into()
}

/// Packs what `add` adds; gives the tar, and the ID that was computed.
fn packed(add: impl FnOnce(&mut Pack<'_>) -> Result<()>) -> Result<(Vec<u8>, Digest)> {
    let mut out = Vec::new();
    let mut pack = Pack::new(
        &mut out,
        "cannot write",
        b"the manifest",
        Instead::default(),
    )?;
    pack.entry(Path::new(""), &EntryKind::Directory, &attributes())?;
    add(&mut pack)?;
    let id = pack.finish()?;
    let mut tar = Vec::new();
    Gunzip::new(out.as_slice()).read_to_end(&mut tar).unwrap();
    Ok((tar, id))
}

/// What is read of an entry.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    path: PathBuf,
    kind: EntryKind,
    owner: (u32, u32),
    mode: u32,
    mtime: (i64, u32),
    extended: BTreeMap<OsString, Vec<u8>>,
    content: Vec<u8>,
}

fn read(mut tar: &[u8]) -> Vec<Seen> {
    let mut all = Vec::new();
    let manifest = walk(&mut tar, &Limits::default(), None, &mut |mut entry| {
        all.push(Seen {
            content: entry.whole_content()?,
            path: entry.path,
            kind: entry.kind,
            owner: (entry.uid, entry.gid),
            mode: entry.mode,
            mtime: entry.mtime,
            extended: entry.attributes,
        });
        Ok(())
    });
    assert_eq!(manifest.unwrap(), b"the manifest");
    all.remove(0);
    all
}

#[test]
fn what_an_image_cannot_have_is_refused() {
    let refused = |path: &str| {
        let entry =
            |pack: &mut Pack<'_>| pack.entry(Path::new(path), &EntryKind::Directory, &attributes());
        packed(entry).unwrap_err().to_string()
    };
    let long = format!(
        "{}{}",
        format!("{}/", "x".repeat(255)).repeat(15),
        "y".repeat(153)
    );
    let expected = format!("`/{long}` has a path longer than 4000 bytes");
    assert_eq!(refused(&long), expected);
    assert!(
        packed(|pack| pack.entry(Path::new(&long[1..]), &EntryKind::Fifo, &attributes())).is_ok()
    );
    let deep = "\n/".repeat(256);
    let shown = r"\n/".repeat(256);
    let expected = format!("`/{shown}` is deeper than 256 directories");
    assert_eq!(refused(&deep), expected);
    let far = EntryKind::Symlink("x".repeat(4001).into());
    let error = packed(|pack| pack.entry(Path::new("far"), &far, &attributes()));
    assert_eq!(
        error.unwrap_err().to_string(),
        "`/far` is a link longer than 4000 bytes"
    );
    let large = empty();
    large.set_len(1 << 37).unwrap();
    let error = packed(|pack| pack.file(Path::new("x"), &attributes(), &large, 1 << 37));
    assert_eq!(
        error.unwrap_err().to_string(),
        "it has more than 64.0 GiB of content"
    );
    let mut many = attributes();
    for number in 0..20 {
        let name = format!("user.{number}").into();
        many.extended.insert(name, vec![0; 60_000]);
    }
    let error = packed(|pack| pack.entry(Path::new("x"), &EntryKind::Directory, &many));
    assert_eq!(
        error.unwrap_err().to_string(),
        "`/x` has too many extended attributes for an image"
    );
}

#[test]
fn a_file_that_became_shorter_is_no_file_with_zeros() {
    for size in [4, 9, 3 << 20] {
        let file = file(b"abc");
        let error = packed(|pack| pack.file(Path::new("x"), &attributes(), &file, size));
        assert_eq!(
            error.unwrap_err().to_string(),
            "cannot read `/x`: it changed while it was being read"
        );
    }
}

/// Takes so many bytes, and no more.
struct Full(usize);

impl io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .checked_sub(bytes.len())
            .ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_cannot_be_written_is_said_wherever_it_stops() {
    let noise: Vec<u8> = (0..400_000_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3] ^ n.to_le_bytes()[0])
        .collect();
    let file = file(&noise);
    for room in [0, 70_000, 200_000] {
        let mut full = Full(room);
        let written = Pack::new(&mut full, "cannot write `x`", b"{}", Instead::default()).and_then(
            |mut pack| {
                pack.file(Path::new("x"), &attributes(), &file, noise.len() as u64)?;
                pack.finish()
            },
        );
        let error = written.unwrap_err().to_string();
        assert_eq!(error, "cannot write `x`: no storage space", "{room}");
    }
}

#[test]
fn every_kind_of_entry_is_read_back_as_it_was() {
    let long = |length: usize, end: &str| format!("{}{end}", "directory/".repeat(length / 10));
    let longest = format!("{}end", format!("{}/", "x".repeat(255)).repeat(15));
    let kinds = [
        ("a", EntryKind::Directory),
        ("b", EntryKind::Symlink("../far".into())),
        ("c", EntryKind::Symlink(long(300, "x").into())),
        ("d", EntryKind::HardLink("a/file".into())),
        ("e", EntryKind::HardLink(long(200, "y").into())),
        ("f", EntryKind::Character(4095, 1_048_575)),
        ("g", EntryKind::Block(8, 0)),
        ("h", EntryKind::Fifo),
        (&long(90, "123"), EntryKind::Directory),
        (&long(90, "1234"), EntryKind::Fifo),
        (&longest, EntryKind::Directory),
    ];
    let mut expected = Vec::new();
    for (number, (path, kind)) in kinds.into_iter().enumerate() {
        let odd = number % 2 == 1;
        expected.push(Seen {
            path: path.into(),
            kind,
            owner: if odd {
                (2_097_152, u32::MAX - 1)
            } else {
                (7, 2_097_151)
            },
            mode: if odd { 0o7777 } else { 0 },
            mtime: [(1 << 33, 0), (-5, 250_000_000), (1 << 40, 7), (-1, 0)][number % 4],
            extended: match odd {
                true => BTreeMap::from([
                    ("user.empty".into(), Vec::new()),
                    ("user.lines".into(), b"\n10 path=b\n\0".to_vec()),
                ]),
                false => BTreeMap::new(),
            },
            content: Vec::new(),
        });
    }
    let (tar, id) = packed(|pack| {
        for seen in &expected {
            let attributes = Attributes {
                uid: seen.owner.0,
                gid: seen.owner.1,
                mode: seen.mode,
                mtime: seen.mtime,
                extended: seen.extended.clone(),
            };
            pack.entry(&seen.path, &seen.kind, &attributes)?;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(read(&tar), expected);
    let mut hasher = Hasher::new(aci::ALGORITHM);
    hasher.update(&tar);
    assert_eq!(id, hasher.finish());
}

#[test]
fn names_are_bytes() {
    use std::os::unix::ffi::OsStrExt as _;
    let names: Vec<_> = [1, 94, 120, 250]
        .map(|length| vec![0xff; length])
        .into_iter()
        .collect();
    let (tar, _) = packed(|pack| {
        for name in &names {
            let target = EntryKind::Symlink(OsStr::from_bytes(name).into());
            pack.entry(Path::new(OsStr::from_bytes(name)), &target, &attributes())?;
        }
        Ok(())
    })
    .unwrap();
    for (seen, name) in read(&tar).iter().zip(&names) {
        assert_eq!(seen.path.as_os_str().as_bytes(), name);
        assert_eq!(seen.kind, EntryKind::Symlink(seen.path.clone()));
    }
}

#[test]
fn zeros_are_left_out_of_large_files_and_contents_stay() {
    const MIB: usize = 1 << 20;
    let contents = [
        Vec::new(),
        b"x".to_vec(),
        vec![7; 512],
        vec![0; 5000],
        vec![0; MIB],
        vec![0; 3 * MIB + 1],
        [vec![1; MIB + 100], vec![0; MIB], vec![2; 70_001]].concat(),
        [vec![0; 2 * MIB], b"end".to_vec()].concat(),
        [b"begin".to_vec(), vec![0; 2 * MIB]].concat(),
    ];
    let (tar, _) = packed(|pack| {
        for (number, content) in contents.iter().enumerate() {
            let path = format!("{number}{}", "x".repeat(120));
            let size = content.len() as u64;
            pack.file(Path::new(&path), &attributes(), &file(content), size)?;
        }
        Ok(())
    })
    .unwrap();
    let seen = read(&tar);
    assert_eq!(seen.len(), contents.len());
    for (seen, content) in seen.iter().zip(&contents) {
        assert!(seen.content == *content, "{}", seen.path.display());
    }
    assert!(tar.len() < 2 * MIB, "{} bytes", tar.len());
}

#[test]
fn a_file_with_holes_and_one_with_zeros_give_the_same_bytes() {
    let size = 5 << 20;
    let end = b"behind a hole";
    let (holes, zeros) = (empty(), file(&vec![0; size]));
    for file in [&holes, &zeros] {
        file.write_all_at(end, (size - end.len()) as u64).unwrap();
    }
    let pack = |file: &File| {
        packed(|pack| pack.file(Path::new("x"), &attributes(), file, size as u64)).unwrap()
    };
    assert!(pack(&holes) == pack(&zeros));
}
