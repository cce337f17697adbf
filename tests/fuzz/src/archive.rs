//! Archives of images: tar and its extensions, and the compressions around it.

use std::io::{BufRead, Cursor};
use std::path::Component;

use error::Result;
use image::archive::stream::{self, Growth};
use image::archive::walk::{Chunk, Entry, EntryKind, Limits};
use image::format::aci;

/// Bounds that a fuzzer can reach.
const LIMITS: Limits = Limits {
    bytes: 16 << 20,
    entries: 1000,
    depth: 16,
    path: 1000,
    name: 255,
    document: 1 << 20,
};

/// Reads an archive of an image, compressed or not.
///
/// # Panics
///
/// An entry lies outside of the root file system, or has not the size that it
/// announced.
pub fn archive(bytes: &[u8]) {
    let mut tar = bytes;
    let plain = walk(&mut tar);
    let input = Cursor::new(bytes.to_vec());
    let streamed = stream::through(input, Growth::Any, aci::ALGORITHM, walk);
    if let (Ok(plain), Ok((streamed, _))) = (plain, streamed) {
        assert_eq!(plain, streamed, "the manifest depends on how it is read");
    }
}

fn walk(input: &mut dyn BufRead) -> Result<Vec<u8>> {
    aci::walk(input, &LIMITS, None, &mut visit)
}

fn visit(mut entry: Entry<'_, '_>) -> Result<()> {
    inside(&entry);
    if entry.kind != EntryKind::File {
        return Ok(());
    }
    let mut length = 0;
    while let Some(chunk) = entry.content()? {
        length += match chunk {
            Chunk::Bytes(bytes) => bytes.len() as u64,
            Chunk::Hole(length) => length,
        };
    }
    assert_eq!(length, entry.size, "the content has another size");
    Ok(())
}

fn inside(entry: &Entry<'_, '_>) {
    let target = match &entry.kind {
        EntryKind::HardLink(target) => Some(target),
        _ => None,
    };
    for path in [&entry.path].into_iter().chain(target) {
        assert!(
            path.components()
                .all(|part| matches!(part, Component::Normal(_))),
            "`{}` leads out of the root",
            path.display()
        );
    }
}
