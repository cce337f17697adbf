//! Packs App Container images so that the same input gives the same bytes:
//! entries sorted by path, times zero, owners root, modes normalised.
//!
//! The only file of xtask that knows `tar` and `miniz_oxide`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tar::{EntryType, Header};

use crate::cmd::{Result, failed};

/// What stands in a root file system at some path.
pub(crate) enum Node {
    /// A directory.
    Dir { mode: u32 },
    /// A file with its content.
    File { mode: u32, content: Vec<u8> },
    /// A symbolic link and where it leads.
    Symlink(String),
}

/// A root file system in memory: relative paths and what stands there.
#[derive(Default)]
pub(crate) struct Tree(BTreeMap<String, Node>);

impl Tree {
    /// Adds a node, and the directories above it where they are missing.
    pub(crate) fn put(&mut self, path: &str, node: Node) {
        for (end, _) in path.match_indices('/') {
            self.0
                .entry(path[..end].to_owned())
                .or_insert(Node::Dir { mode: 0o755 });
        }
        self.0.insert(path.to_owned(), node);
    }

    /// Adds an executable file.
    pub(crate) fn program(&mut self, path: &str, content: Vec<u8>) {
        self.put(
            path,
            Node::File {
                mode: 0o755,
                content,
            },
        );
    }

    /// Adds what stands in a directory of the host. Of the modes only the
    /// execution bit counts: it is all that version control keeps.
    pub(crate) fn add(&mut self, dir: &Path, prefix: &str) -> Result<()> {
        for entry in fs::read_dir(dir).map_err(failed("list", dir))? {
            let path = entry.map_err(failed("list", dir))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let inside = format!("{prefix}{name}");
            let meta = fs::symlink_metadata(&path).map_err(failed("look at", &path))?;
            if meta.is_dir() {
                self.put(&inside, Node::Dir { mode: 0o755 });
                self.add(&path, &format!("{inside}/"))?;
            } else if meta.is_symlink() {
                let target = fs::read_link(&path).map_err(failed("read", &path))?;
                self.put(&inside, Node::Symlink(target.display().to_string()));
            } else {
                let content = fs::read(&path).map_err(failed("read", &path))?;
                let mode = if is_executable(&meta) { 0o755 } else { 0o644 };
                self.put(&inside, Node::File { mode, content });
            }
        }
        Ok(())
    }

    /// Makes the tree on disk.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).map_err(failed("make", dir))?;
        // A directory stands before what is in it: its path is the shorter one.
        for (path, node) in &self.0 {
            let path = dir.join(path);
            match node {
                Node::Dir { mode } => {
                    fs::create_dir(&path).map_err(failed("make", &path))?;
                    set_mode(&path, *mode)?;
                }
                Node::File { mode, content } => {
                    fs::write(&path, content).map_err(failed("write", &path))?;
                    set_mode(&path, *mode)?;
                }
                Node::Symlink(target) => {
                    std::os::unix::fs::symlink(target, &path).map_err(failed("make", &path))?;
                }
            }
        }
        Ok(())
    }

    /// Packs an image: the manifest, then the tree below `rootfs`.
    pub(crate) fn pack(&self, manifest: &[u8]) -> Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut append = |path: &str, node: &Node| {
            append(&mut archive, path, node)
                .map_err(|error| format!("cannot pack `{path}`: {error}"))
        };
        append(
            "manifest",
            &Node::File {
                mode: 0o644,
                content: manifest.to_owned(),
            },
        )?;
        append("rootfs", &Node::Dir { mode: 0o755 })?;
        for (path, node) in &self.0 {
            append(&format!("rootfs/{path}"), node)?;
        }
        let bytes = archive
            .into_inner()
            .map_err(|error| format!("cannot pack: {error}"))?;
        Ok(gzip(&bytes))
    }
}

fn append(archive: &mut tar::Builder<Vec<u8>>, path: &str, node: &Node) -> std::io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    match node {
        Node::Dir { mode } => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(*mode);
            archive.append_data(&mut header, format!("{path}/"), std::io::empty())
        }
        Node::File { mode, content } => {
            header.set_entry_type(EntryType::Regular);
            header.set_mode(*mode);
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, path, content.as_slice())
        }
        Node::Symlink(target) => {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            archive.append_link(&mut header, path, target)
        }
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed("change", path))
}

fn is_executable(meta: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    meta.permissions().mode() & 0o111 != 0
}

/// Compresses as RFC 1952 says, with no name and no time.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    /// Deflate; no flags; no time; best compression; system unknown.
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    /// RFC 1952 stores the length modulo 2^32.
    const MODULUS: u64 = 1 << 32;
    let length = u32::try_from(bytes.len() as u64 % MODULUS).unwrap_or(0);
    let mut out = HEADER.to_vec();
    out.extend(miniz_oxide::deflate::compress_to_vec(bytes, 9));
    out.extend(crc32(bytes).to_le_bytes());
    out.extend(length.to_le_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut table = [0_u32; 256];
    for (number, entry) in (0_u32..).zip(&mut table) {
        *entry = (0..8).fold(number, |crc, _| {
            if crc & 1 == 1 {
                0xedb8_8320 ^ (crc >> 1)
            } else {
                crc >> 1
            }
        });
    }
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        let index = usize::from(crc.to_le_bytes()[0] ^ byte);
        table[index] ^ (crc >> 8)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn the_order_of_insertion_does_not_show() {
        let mut one = Tree::default();
        one.program("bin/a", b"a".to_vec());
        one.put("etc", Node::Dir { mode: 0o755 });
        let mut other = Tree::default();
        other.put("etc", Node::Dir { mode: 0o755 });
        other.program("bin/a", b"a".to_vec());
        assert_eq!(one.pack(b"{}").unwrap(), other.pack(b"{}").unwrap());
        other.put("etc", Node::Dir { mode: 0o700 });
        assert_ne!(one.pack(b"{}").unwrap(), other.pack(b"{}").unwrap());
    }
}
