//! Packs an image archive, which [`crate::format::aci`] can read: a tar of a
//! manifest and a root file system, compressed with gzip. It takes one pass and
//! bounded memory, and computes the image's ID on the way.
//!
//! # Invariants
//!
//! 1. Equal calls give equal bytes: they contain no time, name or number of the
//!    host.
//! 2. An archive that exceeds the limits for unpacking is refused.

use std::fs::File;
use std::io::{Read as _, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use crate::archive::deflate::Gzip;
use crate::archive::fixed_header::BLOCK;
use crate::archive::holes::{self, Piece};
use crate::archive::tar_header::{self, Extent};
use crate::archive::tar_reader::EXTENDED;
use crate::archive::walk::{Chunk, Entry, Limits, clean, too_large, too_many};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::format::aci;
use error::quote::escaped;
use error::{Context as _, Error, Result};

pub use crate::archive::file_writer::is_kept;
pub use crate::archive::tar_header::Attributes;
pub use crate::archive::walk::EntryKind;

/// What is written in place of what files have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Instead {
    /// The user and group of all files.
    pub owner: Option<(u32, u32)>,
    /// The time of all files that were modified later, in seconds since 1970.
    pub latest: Option<i64>,
}

impl Instead {
    /// Returns the attributes to write.
    fn of(self, attributes: &Attributes) -> Attributes {
        let (uid, gid) = self.owner.unwrap_or((attributes.uid, attributes.gid));
        let latest = self.latest.map_or(attributes.mtime, |latest| (latest, 0));
        Attributes {
            uid,
            gid,
            mtime: attributes.mtime.min(latest),
            ..attributes.clone()
        }
    }
}

/// An archive that is being written.
pub struct Pack<'a> {
    out: Out<'a>,
    /// The directory of the archive that is the root; empty if it is the root itself.
    root: &'static Path,
    /// Whether the root has no entry of its own.
    rootless: bool,
    /// The message for when it cannot be written.
    cannot: &'a str,
    instead: Instead,
    hasher: Hasher,
    limits: Limits,
    entries: u64,
    bytes: u64,
}

enum Out<'a> {
    Gzip(Gzip<&'a mut dyn Write>),
    Plain(&'a mut dyn Write),
}

/// How many bytes of a file to read at once.
const MOST: usize = 64 << 10;

impl<'a> Pack<'a> {
    /// Writes the manifest. `cannot` is the message if `out` fails.
    pub fn new(
        out: &'a mut dyn Write,
        cannot: &'a str,
        manifest: &[u8],
        instead: Instead,
    ) -> Result<Self> {
        let out = Out::Gzip(Gzip::new(out).context(|| cannot)?);
        let mut pack = Self::of(out, "rootfs", aci::ALGORITHM, cannot, instead);
        // The manifest is an entry, too.
        pack.entries = 1;
        pack.bytes = manifest.len() as u64;
        let attributes = Attributes {
            uid: 0,
            gid: 0,
            mode: 0o644,
            mtime: (0, 0),
            extended: std::collections::BTreeMap::new(),
        };
        let extent = Extent {
            stored: manifest.len() as u64,
            sparse: None,
        };
        pack.write(&tar_header::headers(
            b"manifest",
            &EntryKind::File,
            &attributes,
            extent,
        ))?;
        pack.write(manifest)?;
        pack.pad(manifest.len() as u64)?;
        Ok(pack)
    }

    /// Starts a layer of an OCI image: a tar of the root alone, not compressed.
    pub fn layer(out: &'a mut dyn Write, cannot: &'a str, instead: Instead) -> Self {
        Self::of(Out::Plain(out), "", Algorithm::Sha256, cannot, instead)
    }

    /// Leaves the attributes of the root to the layers below.
    #[must_use]
    pub fn without_root(self) -> Self {
        Self {
            rootless: true,
            ..self
        }
    }

    fn of(
        out: Out<'a>,
        root: &'static str,
        algorithm: Algorithm,
        cannot: &'a str,
        instead: Instead,
    ) -> Self {
        Self {
            out,
            root: Path::new(root),
            rootless: false,
            cannot,
            instead,
            hasher: Hasher::new(algorithm),
            limits: Limits::default(),
            entries: 0,
            bytes: 0,
        }
    }

    /// Adds anything but a file with content. The path is relative to the root,
    /// whose own path is empty.
    ///
    /// # Errors
    ///
    /// A limit is exceeded; the archive cannot be written.
    pub fn entry(&mut self, path: &Path, kind: &EntryKind, attributes: &Attributes) -> Result<()> {
        self.header(path, kind, attributes, Extent::default(), 0)
    }

    /// Adds a regular file of this size.
    ///
    /// # Errors
    ///
    /// As for [`Self::entry`]; the file cannot be read, or its size has
    /// changed.
    pub fn file(
        &mut self,
        path: &Path,
        attributes: &Attributes,
        file: &File,
        size: u64,
    ) -> Result<()> {
        let what = || format!("cannot read {}", shown(path));
        self.count(size)?;
        // The name of a sparse file must be text.
        let pieces = match path.to_str() {
            Some(_) => holes::pieces(file, size).context(what)?,
            None => holes::none(size),
        };
        let stored = self.start(path, attributes, &pieces, size)?;
        let mut at = 0;
        for piece in pieces {
            at += piece.hole;
            self.content(file, at, piece.data, &what)?;
            at += piece.data;
        }
        if at != size || file.metadata().context(what)?.len() != size {
            return Err(changed(what()));
        }
        self.pad(stored)
    }

    /// Adds a file of another archive.
    ///
    /// # Errors
    ///
    /// As for [`Self::entry`]; the other archive cannot be read.
    pub(crate) fn copy(
        &mut self,
        path: &Path,
        attributes: &Attributes,
        content: &mut Entry<'_, '_>,
    ) -> Result<()> {
        let size = content.size;
        // The name of a sparse file must be text.
        let pieces = match path.to_str() {
            Some(_) => content.pieces(),
            None => holes::none(size),
        };
        let stored = self.start(path, attributes, &pieces, size)?;
        let sparse = path.to_str().is_some();
        while let Some(chunk) = content.content()? {
            match chunk {
                Chunk::Bytes(bytes) => self.write(bytes)?,
                Chunk::Hole(_) if sparse => {}
                Chunk::Hole(zeros) => self.zeros(zeros)?,
            }
        }
        self.pad(stored)
    }

    /// Starts a file of these pieces; returns the size of what has to follow in
    /// the tar, with the map of its holes, which is written here.
    fn start(
        &mut self,
        path: &Path,
        attributes: &Attributes,
        pieces: &[Piece],
        size: u64,
    ) -> Result<u64> {
        let map = match pieces {
            [Piece { hole: 0, .. }] => Vec::new(),
            _ => map(pieces, size),
        };
        let stored = pieces.iter().map(|piece| piece.data).sum::<u64>();
        let extent = Extent {
            stored: stored + map.len() as u64,
            sparse: (!map.is_empty()).then_some(size),
        };
        self.header(path, &EntryKind::File, attributes, extent, size)?;
        self.write(&map)?;
        Ok(extent.stored)
    }

    /// Ends the archive, and returns its digest, which is the ID of an image.
    pub fn finish(mut self) -> Result<Digest> {
        self.write(&[0; 2 * BLOCK])?;
        match &mut self.out {
            Out::Gzip(packed) => packed.finish(),
            Out::Plain(out) => out.flush(),
        }
        .context(|| self.cannot)?;
        Ok(self.hasher.finish())
    }

    /// Counts what will be added against the limits, before any of it is read.
    fn count(&mut self, size: u64) -> Result<()> {
        if self.bytes.saturating_add(size) > self.limits.bytes {
            return Err(too_large("content", self.limits.bytes));
        }
        Ok(())
    }

    fn header(
        &mut self,
        path: &Path,
        kind: &EntryKind,
        attributes: &Attributes,
        extent: Extent,
        size: u64,
    ) -> Result<()> {
        let mut name = self.root.as_os_str().as_bytes().to_vec();
        if !path.as_os_str().is_empty() {
            name = self.root.join(path).into_os_string().into_vec();
        } else if self.rootless {
            return Ok(());
        } else if name.is_empty() {
            name.push(b'.');
        }
        if *kind == EntryKind::Directory {
            name.push(b'/');
        }
        clean(&name, &self.limits)
            .map_err(|what| Error::invalid(format!("{} {what}", shown(path))))?;
        if let EntryKind::Symlink(target) = kind
            && target.as_os_str().len() > self.limits.path
        {
            let (path, most) = (shown(path), self.limits.path);
            let what = format!("{path} is a link longer than {most} bytes");
            return Err(Error::invalid(what));
        }
        self.count(size)?;
        self.bytes += size;
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(too_many("entries", self.limits.entries));
        }
        let attributes = self.instead.of(attributes);
        let linked = match kind {
            EntryKind::HardLink(first) => Some(EntryKind::HardLink(self.root.join(first))),
            _ => None,
        };
        let kind = linked.as_ref().unwrap_or(kind);
        let headers = tar_header::headers(&name, kind, &attributes, extent);
        if headers.len() as u64 > EXTENDED {
            let what = format!(
                "{} has too many extended attributes for an image",
                shown(path)
            );
            return Err(Error::invalid(what));
        }
        self.write(&headers)
    }

    fn content(
        &mut self,
        mut file: &File,
        at: u64,
        size: u64,
        what: &dyn Fn() -> String,
    ) -> Result<()> {
        use std::io::Seek as _;
        file.seek(std::io::SeekFrom::Start(at)).context(what)?;
        let mut buffer = vec![0; usize::try_from(size).unwrap_or(MOST).min(MOST)];
        let mut left = size;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(MOST).min(buffer.len());
            let count = match file.read(&mut buffer[..most]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                read => read.context(what)?,
            };
            if count == 0 {
                return Err(changed(what()));
            }
            self.write(&buffer[..count])?;
            left -= count as u64;
        }
        Ok(())
    }

    fn zeros(&mut self, mut count: u64) -> Result<()> {
        let buffer = vec![0; MOST];
        while count > 0 {
            let most = usize::try_from(count).unwrap_or(MOST).min(MOST);
            self.write(&buffer[..most])?;
            count -= most as u64;
        }
        Ok(())
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        self.write(&[0; BLOCK][..tar_header::padding(size)])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        match &mut self.out {
            Out::Gzip(packed) => packed.write(bytes),
            Out::Plain(out) => out.write_all(bytes),
        }
        .context(|| self.cannot)
    }
}

/// Writes the map of a sparse file, which precedes its content: decimal
/// numbers, one per line, padded with zeros to a whole block.
fn map(pieces: &[Piece], size: u64) -> Vec<u8> {
    let mut places = Vec::new();
    let mut at = 0;
    for piece in pieces {
        at += piece.hole;
        // A hole at the end is marked by an empty piece.
        if piece.data > 0 || at == size {
            places.push((at, piece.data));
        }
        at += piece.data;
    }
    let mut map = format!("{}\n", places.len()).into_bytes();
    for (at, length) in places {
        map.extend_from_slice(format!("{at}\n{length}\n").as_bytes());
    }
    map.resize(map.len() + tar_header::padding(map.len() as u64), 0);
    map
}

/// Returns a path of the root file system for messages.
pub fn shown(path: &Path) -> String {
    format!("`/{}`", escaped(&path.to_string_lossy()))
}

fn changed(what: String) -> Error {
    Error::invalid(format!("{what}: it changed while it was being read"))
}

#[cfg(test)]
#[path = "pack_tests.rs"]
mod tests;
