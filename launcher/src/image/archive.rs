//! Walks an image archive: a tar with exactly a `manifest` and a `rootfs`.
//!
//! The only file that knows the tar crate, of which it uses the iteration over
//! headers and nothing that touches a file system. Every path it gives out has
//! been taken apart and put together again: relative, of plain components, and
//! inside the root file system.
//!
//! Source: the App Container specification, "Image Layout" and "Image Archives".

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use super::frame::Recorder;
use crate::ground::{Context as _, Error, Kind, Result};

/// How much an archive may hold. Reaching a bound is an error that names it.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Bytes of all files together.
    pub(crate) bytes: u64,
    /// Files, directories, links.
    pub(crate) entries: u64,
    /// Directories in one another.
    pub(crate) depth: usize,
    /// Bytes of a path.
    pub(crate) path: usize,
    /// Bytes of the manifest.
    pub(crate) manifest: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 64 << 30,
            entries: 2_000_000,
            depth: 256,
            path: 4000,
            manifest: 4 << 20,
        }
    }
}

/// A file, directory or link of the root file system.
pub(crate) struct Entry<'a> {
    /// Its path below `rootfs`; empty for `rootfs` itself.
    pub(crate) path: PathBuf,
    /// What it is.
    pub(crate) kind: EntryKind,
    /// User.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Permission bits.
    pub(crate) mode: u32,
    /// Last modification, in seconds since 1970.
    pub(crate) mtime: i64,
    /// Extended attributes.
    pub(crate) attributes: BTreeMap<OsString, Vec<u8>>,
    /// The content of a file: `size` bytes.
    pub(crate) content: &'a mut dyn Read,
    /// Size of a file, in bytes.
    pub(crate) size: u64,
    /// The content stands in the tar in one piece: it is a file, and not sparse.
    contiguous: bool,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, and where it leads, uninterpreted.
    Symlink(PathBuf),
    /// Another name of the file with this path below `rootfs`.
    HardLink(PathBuf),
    /// A character device: major and minor number.
    Character(u32, u32),
    /// A block device: major and minor number.
    Block(u32, u32),
    /// A named pipe.
    Fifo,
}

/// Reads a whole archive, lets `recorder` see its bytes, calls `visit` for each entry of its root file
/// system, and returns its manifest, byte for byte.
///
/// # Errors
///
/// Whatever breaks the layout or a limit, by name of the entry; what `visit` says.
pub(crate) fn walk(
    reader: impl Read,
    limits: &Limits,
    recorder: Option<&Recorder>,
    visit: &mut dyn FnMut(Entry<'_>) -> Result<()>,
) -> Result<Vec<u8>> {
    let mut archive = tar::Archive::new(Tail {
        reader,
        recorder,
        zeros: 0,
    });
    let mut seen = HashSet::new();
    let mut manifest = None;
    let mut bytes = 0_u64;
    let entries = archive.entries().map_err(unreadable)?;
    for entry in entries {
        let mut entry = entry.map_err(unreadable)?;
        if is_remark(entry.header().entry_type()) {
            continue;
        }
        let name = shown(&entry.path_bytes());
        let place = place(&entry.path_bytes(), limits)
            .map_err(|what| Error::invalid(format!("entry `{name}` {what}")))?;
        if place != Place::Top && !seen.insert(place.clone()) {
            return Err(Error::invalid(format!("entry `{name}` stands twice")));
        }
        if seen.len() as u64 > limits.entries {
            return Err(too_many("entries", limits.entries));
        }
        match place {
            Place::Top => {}
            Place::Manifest => manifest = Some(read_manifest(&mut entry, limits)?),
            Place::Rootfs(path) => {
                bytes = bytes.saturating_add(entry.size());
                if bytes > limits.bytes {
                    return Err(too_many("bytes of content", limits.bytes));
                }
                let what = || format!("cannot unpack entry `{name}`");
                let entry = understand(&mut entry, path).context(what)?;
                if let Some(recorder) = recorder
                    && entry.contiguous
                {
                    recorder.content(&entry.path, entry.size);
                }
                visit(entry).context(what)?;
            }
        }
    }
    drain(archive.into_inner())?;
    if !seen.contains(&Place::Rootfs(PathBuf::new())) {
        return Err(Error::invalid("it has no directory `rootfs`"));
    }
    manifest.ok_or_else(|| Error::invalid("it has no `manifest`"))
}

/// Where in the layout an entry belongs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    Top,
    Manifest,
    Rootfs(PathBuf),
}

fn place(name: &[u8], limits: &Limits) -> std::result::Result<Place, String> {
    let path = PathBuf::from(OsString::from_vec(name.to_vec()));
    if name.len() > limits.path {
        return Err(format!("has a path longer than {} bytes", limits.path));
    }
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) => clean.push(name),
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err("leads out of the image".to_owned());
            }
        }
    }
    if clean.components().count() > limits.depth {
        return Err(format!("is deeper than {} directories", limits.depth));
    }
    if clean.as_os_str().is_empty() {
        return Ok(Place::Top);
    }
    if clean == Path::new("manifest") {
        return Ok(Place::Manifest);
    }
    match clean.strip_prefix("rootfs") {
        Ok(below) => Ok(Place::Rootfs(below.to_owned())),
        Err(_) => Err("is neither `manifest` nor below `rootfs`".to_owned()),
    }
}

/// Headers that say something about others, or about nothing.
fn is_remark(kind: EntryType) -> bool {
    matches!(kind, EntryType::XGlobalHeader)
}

fn read_manifest(entry: &mut tar::Entry<'_, impl Read>, limits: &Limits) -> Result<Vec<u8>> {
    if !is_file(entry.header().entry_type()) {
        return Err(Error::invalid("its `manifest` is no regular file"));
    }
    if entry.size() > limits.manifest {
        return Err(too_many("bytes of manifest", limits.manifest));
    }
    let mut manifest = Vec::new();
    entry
        .read_to_end(&mut manifest)
        .context(|| "cannot read its `manifest`")?;
    Ok(manifest)
}

fn is_file(kind: EntryType) -> bool {
    matches!(
        kind,
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse
    )
}

/// Reads an entry's header, and what PAX headers say in place of it.
fn understand<'a>(entry: &'a mut tar::Entry<'_, impl Read>, path: PathBuf) -> Result<Entry<'a>> {
    const XATTR: &[u8] = b"SCHILY.xattr.";
    let mut attributes = BTreeMap::new();
    if let Some(extensions) = entry.pax_extensions().context(|| "malformed PAX header")? {
        for extension in extensions {
            let extension = extension.context(|| "malformed PAX header")?;
            if let Some(name) = extension.key_bytes().strip_prefix(XATTR) {
                let name = OsString::from_vec(name.to_vec());
                attributes.insert(name, extension.value_bytes().to_vec());
            }
        }
    }
    let header = entry.header();
    let malformed = || "malformed header";
    let uid = id(header.uid().context(malformed)?)?;
    let gid = id(header.gid().context(malformed)?)?;
    let mode = header.mode().context(malformed)? & 0o7777;
    let mtime = i64::try_from(header.mtime().context(malformed)?).unwrap_or(i64::MAX);
    let kind = kind(entry)?;
    if path.as_os_str().is_empty() && kind != EntryKind::Directory {
        return Err(Error::invalid("`rootfs` is no directory"));
    }
    let size = match kind {
        EntryKind::File => entry.size(),
        _ => 0,
    };
    let contiguous = kind == EntryKind::File && entry.header().entry_type() != EntryType::GNUSparse;
    Ok(Entry {
        path,
        contiguous,
        kind,
        uid,
        gid,
        mode,
        mtime,
        attributes,
        content: entry,
        size,
    })
}

fn kind(entry: &tar::Entry<'_, impl Read>) -> Result<EntryKind> {
    let header = entry.header();
    let device = || -> Result<(u32, u32)> {
        let number = |number: io::Result<Option<u32>>| -> Result<u32> {
            Ok(number.context(|| "malformed header")?.unwrap_or(0))
        };
        Ok((
            number(header.device_major())?,
            number(header.device_minor())?,
        ))
    };
    let link = || match entry.link_name_bytes() {
        Some(name) if !name.is_empty() => Ok(name.into_owned()),
        _ => Err(Error::invalid("the link leads nowhere")),
    };
    match header.entry_type() {
        // The first tar formats mark a directory by the end of its name only.
        kind if is_file(kind) && entry.path_bytes().ends_with(b"/") => Ok(EntryKind::Directory),
        kind if is_file(kind) => Ok(EntryKind::File),
        EntryType::Directory => Ok(EntryKind::Directory),
        EntryType::Symlink => Ok(EntryKind::Symlink(OsString::from_vec(link()?).into())),
        EntryType::Link => match place(&link()?, &Limits::default()) {
            Ok(Place::Rootfs(path)) if !path.as_os_str().is_empty() => {
                Ok(EntryKind::HardLink(path))
            }
            _ => Err(Error::invalid("the hard link leads out of the image")),
        },
        EntryType::Char => device().map(|(major, minor)| EntryKind::Character(major, minor)),
        EntryType::Block => device().map(|(major, minor)| EntryKind::Block(major, minor)),
        EntryType::Fifo => Ok(EntryKind::Fifo),
        _ => Err(Error::invalid("it is of a kind that images do not have")),
    }
}

/// Ids are 32 bits wide; the highest means "none" to the kernel.
fn id(number: u64) -> Result<u32> {
    u32::try_from(number)
        .ok()
        .filter(|&id| id != u32::MAX)
        .ok_or_else(|| Error::invalid(format!("{number} cannot be the id of a user or group")))
}

/// A reader that counts the zeros at the end of what it has read.
struct Tail<'a, R> {
    reader: R,
    recorder: Option<&'a Recorder>,
    zeros: u64,
}

impl<R: Read> Read for Tail<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        let read = &buffer[..count];
        if let Some(recorder) = self.recorder {
            recorder.read(read);
        }
        let zeros = read.iter().rev().take_while(|&&byte| byte == 0).count();
        if zeros < count {
            self.zeros = 0;
        }
        self.zeros = self.zeros.saturating_add(zeros as u64);
        Ok(count)
    }
}

/// Reads to the end, so that all of the stream is checked and hashed. A tar
/// ends with two blocks of zeros, and nothing else may follow.
fn drain(mut rest: Tail<'_, impl Read>) -> Result<()> {
    const END: u64 = 1024;
    let mut buffer = [0; 8192];
    loop {
        let count = rest.read(&mut buffer).map_err(unreadable)?;
        if count == 0 {
            break;
        }
        if buffer[..count].iter().any(|&byte| byte != 0) {
            return Err(Error::invalid(
                "there are other bytes behind the archive's end",
            ));
        }
    }
    if rest.zeros < END {
        return Err(Error::invalid("the archive ends too early"));
    }
    Ok(())
}

/// Says what is wrong with the stream: its data, or the reading of it.
fn unreadable(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidData => Error::invalid(error.to_string()),
        io::ErrorKind::UnexpectedEof => Error::invalid("the archive ends too early"),
        // The tar crate's own findings have no kind, and name the entry.
        io::ErrorKind::Other => Error::invalid("its tar is malformed").because(error),
        _ => Error::new(Kind::Failed, "cannot read it").because(error),
    }
}

fn too_many(what: &str, limit: u64) -> Error {
    Error::invalid(format!("it has more than {limit} {what}"))
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).escape_debug().to_string()
}
